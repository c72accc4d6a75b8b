"""Multi-page TIFFs as video: one page a frame, read when it is asked for.

Only what is shown is in memory, however large the file. A file that breaks off opens with the
pages that are whole, and says how many are missing where it can.
"""

from __future__ import annotations

import math
import re
import warnings
import weakref
from collections import Counter
from contextlib import suppress
from io import BufferedReader
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import tifffile

from napari_sam3.errors import VideoError
from napari_sam3.video.base import Frame, Video
from napari_sam3.video.fair_lock import FairLock
from napari_sam3.video.image_file import (
    PICTURE_ERRORS,
    announced_pages,
    reading_picture,
)
from napari_sam3.video.limits import check_picture_size
from napari_sam3.video.missing_frames import warn_of_loss, warn_of_missing_pages
from napari_sam3.video.plane_choice import NO_CHOICE, PlaneChoice
from napari_sam3.video.tiff_calibration import Calibration, read_calibration
from napari_sam3.video.tiff_files import LoneFile, OmePlan, TiffFiles, read_plan
from napari_sam3.video.tiff_pages import (
    Pages,
    PillowPages,
    RunPages,
    SeveralFilesPages,
    TiffPages,
    as_frame,
    is_whole,
)
from napari_sam3.video.tiff_planes import (
    axes_of_series,
    channel_names,
    choose_pages,
    declared_axes,
    scene_of,
)

# the ends of tifffile's words for the axes of a stack that a frame can take up
_FRAME_AXES = ("YXS", "SYX", "YX")
_MOST_TAGS = 4096
_PLAIN_SERIES = ("generic", "uniform", "shaped", "imagej")
_OF_A_SET = re.compile(r".*_(?:MMStack|NDTiffStack)")
# colours that Pillow turns into red, green and blue
_NO_RGB = (tifffile.PHOTOMETRIC.SEPARATED, tifffile.PHOTOMETRIC.CIELAB)


class TiffStack(Video):
    """A multi-page TIFF, one page a frame, read when asked for.

    Parameters
    ----------
    path : Path
    choice : PlaneChoice
        Of a stack of more axes the channel, depth and image that are meant.

    Raises
    ------
    VideoError
        If it can't be read, or a choice is missing.
    """

    def __init__(self, path: Path, choice: PlaneChoice = NO_CHOICE) -> None:
        self._lock = FairLock()
        self._file = LoneFile(path.open("rb", buffering=0))
        weakref.finalize(self, self._file.close).atexit = False
        try:
            with reading_picture(path):
                opened = open_stack(path, self._file, choice)
        except VideoError:
            self._file.close()
            raise
        self._source, self._lost, calibration = opened.pages, opened.lost, opened.calibration
        self._identity = self._identify()
        self._warned = False
        n_frames, step = len(self._source), calibration.step
        # what is missing among them took its time
        times = np.asarray(self._source.numbers, np.float64) * step if step else None
        weakref.finalize(self, self._source.close).atexit = False
        super().__init__(
            (n_frames, *self._source.frame_shape),
            self._source.dtype.newbyteorder("="),
            path=path,
            fps=1 / step if step else None,
            timestamps=times,
            metadata={
                "container": "tiff",
                "axes": self._source.axes,
                "frames": n_frames,
                "duration": n_frames * step if step else None,
                **calibration.metadata,
                **({"left_out": left_out} if (left_out := self._source.left_out)[0] else {}),
                **({"channels": opened.channels} if opened.channels else {}),
            },
            choice=opened.choice,
        )

    @classmethod
    def open(cls, path: Path, choice: PlaneChoice = NO_CHOICE) -> TiffStack:
        """Open a file, and tell the user of frames that are missing."""
        stack = cls(path, choice)
        warn_of_loss(path, stack._lost, len(stack), has_holes=False)
        warn_of_missing_pages(path, *stack._source.left_out, stack._source.why)
        if stack._source.note:
            warnings.warn(f"{path.name!r} {stack._source.note}", stacklevel=3)
        return stack

    @property
    def breaks_off(self) -> bool:
        """Whether frames are missing."""
        return self._lost != 0 or self._source.left_out[0] > 0 or bool(self._source.note)

    def reopen(self) -> TiffStack:
        """Open the same file once more."""
        assert self.path is not None
        return TiffStack(self.path, self.choice)

    def _identify(self) -> tuple[int, int]:
        # of the open file: one that was moved away or deleted can be read on
        status = self._file.status
        return status.st_size, status.st_mtime_ns

    def _read(self, frame_index: int) -> Frame:
        with self._lock:
            self._check_open()
            if self._identify() != self._identity:
                raise VideoError(
                    f"{str(self.path)!r} has changed since it was opened; open it anew with "
                    "open_video"
                )
            try:
                page = self._source.read(frame_index)
                if page.shape == self._source.page_shape:
                    return as_frame(page, self._source.axes).astype(self.dtype, order="C")
                reason = f"it is {page.shape}, the first one {self._source.page_shape}"
            except VideoError:
                raise
            except PICTURE_ERRORS as exc:
                reason = str(exc)
            self._warn_of_page(frame_index, reason)
            return np.zeros(self.shape[1:], self.dtype)

    def _warn_of_page(self, frame_index: int, reason: str) -> None:
        if not self._warned:
            self._warned = True
            warnings.warn(
                f"frame {frame_index} of {self._name} can't be read ({reason}): the file is "
                "damaged there; black is shown in its place, as for others like it",
                stacklevel=5,
            )

    def _release(self) -> None:
        with self._lock:
            self._source.close()
            self._file.close()

    def __reduce__(self) -> tuple[Any, ...]:
        return TiffStack, (self.path, self.choice)


# ------------------------------------------------------------------- what a file holds


class OpenedStack(NamedTuple):
    """The frames of a file; how many are lost, None if some but who knows how many."""

    pages: Pages
    lost: int | None
    calibration: Calibration
    choice: PlaneChoice
    channels: tuple[str, ...]


def open_stack(path: Path, file: LoneFile, choice: PlaneChoice = NO_CHOICE) -> OpenedStack:
    """Find the pages of a file that are meant."""
    size = file.status.st_size
    n_pages, stray = _walk_pages(file, size)
    # tifffile takes the file to begin where it stands
    file.seek(0)
    tiff = tifffile.TiffFile(file, name=path.name)
    first: Any = tiff.pages.first
    if math.prod(first.shape) == 0:
        raise ValueError("its pictures have no pixels")
    check_picture_size(path, first.imagelength, first.imagewidth)
    lost: int | None = 0
    scene, n_scenes = scene_of(path, tiff, choice)
    plan = _read_plan(path, tiff, scene)
    stack: Pages | None = None
    if plan is not None and (plan.names_others or (stray is None and plan.exceeds(n_pages))):
        stack = _follow_plan(plan, tiff, file, n_pages, path.parent)
    elif stray is None:
        stack = _find_series(path, tiff, file, scene, choice)
    if isinstance(stack, TiffPages):
        lost = stack.drop_cut(size)
    is_run = n_pages == 1 or isinstance(stack, RunPages)
    if is_run and scene == 0 and not (plan and plan.names_others):
        run, missing = _find_run(tiff, file, size, stray, stack)
        if run is not None:
            stack, lost = run, missing
    if stack is None:
        whole = [page for page in (_page(tiff, n) for n in range(n_pages)) if page is not None]
        alike = [p for p in whole if (p.shape, p.dtype) == (first.shape, first.dtype)]
        stack = TiffPages(first, f"Q{first.axes}", [page for page in alike if is_whole(page, size)])
        if not len(stack):
            raise EOFError("it ends before its first picture does")
        announced = announced_pages(tiff)
        lost = announced - len(stack) if announced > len(stack) else None
    if lost == 0 and scene == 0 and announced_pages(tiff) > stack.n_announced:
        lost = announced_pages(tiff) - len(stack)
    stack.note = _tell_of_others(path, plan) or (_tell_of_series(tiff) if stray is None else "")
    try:
        calibration = read_calibration(tiff, scene)
    except PICTURE_ERRORS:
        calibration = Calibration()
    channels = channel_names(tiff, scene)
    declared = declared_axes(tiff, plan) if scene == 0 else {}
    try:
        stack, lost, chosen = choose_pages(path, stack, declared, lost, choice, channels)
    except VideoError:
        stack.close()
        raise
    if stack.axes[:-2].rstrip("S")[-1:] in ("Z", "C"):
        # frames that are not one after another in time
        calibration = Calibration(None, calibration.pixel_size, calibration.unit)
    chosen = PlaneChoice(chosen.channel, chosen.z, scene if n_scenes > 1 else None)
    return OpenedStack(stack, lost, calibration, chosen, channels)


def _walk_pages(file: BufferedReader, size: int) -> tuple[int, int | None]:
    """Count the pages, and see where their chain ends (TIFF 6.0, section 2, and BigTIFF).

    tifffile does so too, but goes round for ever where a chain bites its own tail.

    Returns
    -------
    int
        Pages whose tags are whole.
    int or None
        Where the next page would be, if that is no place in the file or one that was passed
        already; None where the chain ends as it should.
    """
    file.seek(0)
    head = file.read(16)
    order: Literal["little", "big"] = "big" if head[:2] == b"MM" else "little"
    if head[:2] not in (b"II", b"MM") or len(head) < 16:
        raise ValueError("it does not begin as a TIFF")
    is_big = int.from_bytes(head[2:4], order) == 43
    count_size, tag_size, link_size = (8, 20, 8) if is_big else (2, 12, 4)
    place = int.from_bytes(head[8:16] if is_big else head[4:8], order)
    passed: set[int] = set()
    while place and place not in passed and place < size:
        file.seek(place)
        n_tags = int.from_bytes(file.read(count_size), order)
        file.seek(min(n_tags, _MOST_TAGS) * tag_size, 1)
        link = file.read(link_size)
        if n_tags > _MOST_TAGS or len(link) < link_size:
            break
        passed.add(place)
        place = int.from_bytes(link, order)
    return len(passed), place or None


def _read_plan(path: Path, tiff: tifffile.TiffFile, scene: int) -> OmePlan | None:
    """What OME-XML tells of the pages; None if there is none, or it can't be understood."""
    try:
        return read_plan(tiff.ome_metadata or "", path.name, scene) if tiff.is_ome else None
    except PICTURE_ERRORS:
        return None


def _follow_plan(
    plan: OmePlan, tiff: tifffile.TiffFile, file: LoneFile, n_pages: int, folder: Path
) -> Pages | None:
    """Find the pages that a plan tells of, here and beside; None if not one is there."""
    files = TiffFiles(folder)
    pages: dict[int, tuple[str | None, int]] = {}
    first: Any = None
    missing: dict[str, str] = {}
    for run in plan.runs:
        found: tuple[LoneFile, tifffile.TiffFile] = file, tiff
        n_there = n_pages
        if run.file is not None:
            try:
                found = files.get(run.file)
                n_there, _ = _walk_pages(found[0], found[0].status.st_size)
            except PICTURE_ERRORS as exc:
                missing.setdefault(run.file, getattr(exc, "strerror", None) or str(exc))
                continue
        there = range(run.page, n_there if run.count is None else run.page + run.count)
        there = there[: max(0, min(n_there - run.page, plan.n_planes - run.frame))]
        while there and not is_whole(_page(found[1], there[-1]), found[0].status.st_size):
            there = there[:-1]
        for frame, page in enumerate(there, run.frame):
            pages.setdefault(frame, (run.file, page))
        if there and first is None:
            first = _page(found[1], there[0])
    if first is None:
        files.close()
        return None
    axes = f"{plan.axes or 'T'}{first.axes}"
    stack = SeveralFilesPages(first, axes, pages, plan.n_planes, tiff, files)
    stack.sizes = plan.sizes
    stack.why = TiffPages.why
    if missing:
        named = ", ".join(f"{name!r} ({reason})" for name, reason in list(missing.items())[:3])
        more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
        stack.why = f"the file names others that can't be had beside it: {named}{more}"
    return stack


def _tell_of_others(path: Path, plan: OmePlan | None) -> str:
    """What is to be told of a file that is one of several, and tells of itself alone."""
    if plan is not None and plan.whole is not None:
        return (
            f"is one of several files of a film that {plan.whole!r} describes; only its own frames "
            "are read: open that one if it is a TIFF file"
        )
    set_name = _OF_A_SET.match(path.name)
    if (plan is None or not plan.names_others) and set_name:
        others = [
            other.name
            for other in path.parent.iterdir()
            if other.name.startswith(set_name[0]) and other.suffix == path.suffix
        ]
        if len(others) > 1:
            return (
                f"is one of {len(others)} files of a Micro-Manager set; only its own frames are "
                "read: save the set as one file, or as OME-TIFF"
            )
    return ""


def _tell_of_series(tiff: tifffile.TiffFile) -> str:
    """What is to be told of pages that are none of the film, unless they show it smaller."""
    try:
        # tifffile believes what OME-XML announces, and takes memory for it
        if tiff.is_ome or tiff.series[0].kind not in _PLAIN_SERIES:
            return ""
        first, *others = tiff.series
        page = first.keyframe
        if first.shape == page.shape:
            others = [s for s in others if (s.shape, s.dtype) != (first.shape, first.dtype)]
            n_alike = len(tiff.series) - len(others)
        else:
            n_alike = len(first)
        sizes = Counter((s.keyframe.shape, s.dtype) for s in others for _ in range(len(s)))
    except PICTURE_ERRORS:
        return ""
    # a pyramid, or a thumbnail, holds one of each size
    if n_alike < 2 and max(sizes.values(), default=0) < 2:
        return ""
    n_others = sum(sizes.values())
    if not n_others:
        return ""
    return f"holds {n_others} more page{'s' * (n_others > 1)} of another kind, which are left out"


def _not_a_video(path: Path, shape: tuple[int, ...], axes: str) -> VideoError:
    return VideoError(
        f"{path.name!r} is a stack of shape {shape} with axes {axes}, but a video is (T, H, W) or "
        "(T, H, W, 3); open it in napari and choose the axes there, or pass the array that you mean"
    )


def _find_series(
    path: Path, tiff: tifffile.TiffFile, file: BufferedReader, scene: int, choice: PlaneChoice
) -> Pages | None:
    """The pages as tifffile orders them; None where it can't."""
    try:
        series = tiff.series
        n_series = len(series)
        first, pages = (series[scene], series[scene].pages) if scene < n_series else (None, ())
    except PICTURE_ERRORS:
        return None
    if first is None:
        raise VideoError(f"the scene {scene} that {path.name!r} tells of is not in it")
    page: Any = first.keyframe
    shape, axes = tuple(first.shape), str(first.axes)
    n_leading = len(shape) - next(
        (len(end) for end in _FRAME_AXES if axes.endswith(end)), len(shape)
    )
    is_of_pages = math.prod(page.shape) == math.prod(shape[n_leading:])
    if (n_leading > 1 and not is_of_pages) or not axes.endswith(_FRAME_AXES):
        raise _not_a_video(path, shape, axes)
    if n_leading == 0 and len(series) > 1 and not choice.scene:
        # written page by page, each as a series of its own
        alike = [s for s in series if (s.shape, s.dtype) == (first.shape, first.dtype)]
        return TiffPages(page, f"Q{axes}", [s.pages[0] for s in alike])
    n_frames = math.prod(shape[:n_leading])
    sizes = axes_of_series(path, axes, shape, n_leading, choice)
    if first.dataoffset is not None and page.is_contiguous and page.photometric not in _NO_RGB:
        run = RunPages(page, axes, n_frames, file, first.dataoffset, tiff.byteorder)
        run.sizes = sizes
        return run
    stack = TiffPages(page, axes, pages)
    stack.sizes = sizes
    try:
        if page.photometric not in _NO_RGB:
            stack.read(0)
            return stack
    except PICTURE_ERRORS:
        # most likely a compression that needs the package imagecodecs; Pillow knows the usual ones
        pass
    if scene == 0:
        with suppress(*PICTURE_ERRORS):
            packed = PillowPages(axes, n_frames, path, file)
            packed.sizes = sizes
            return packed
    return stack


def _find_run(
    tiff: tifffile.TiffFile,
    file: BufferedReader,
    size: int,
    stray: int | None,
    found: Pages | None,
) -> tuple[Pages | None, int]:
    """Uncompressed pictures behind the first page's own, though the file breaks off in them.

    ImageJ writes tags for the first page alone if the file is large; others write the tags of the
    second page behind the pictures of all.
    """
    first: Any = tiff.pages.first
    if not first.is_contiguous or first.dtype is None:
        return None, 0
    offset, nbytes = int(first.dataoffsets[0]), int(first.nbytes)
    there = (size - offset) // nbytes
    announced = max(found.n_announced, announced_pages(tiff)) if found is not None else 1
    if stray is not None and stray >= size:
        announced = max(announced, (stray - offset) // nbytes)
    if announced <= 1 or (found is not None and len(found) == announced <= there):
        return None, 0
    if there < 1:
        raise EOFError("it ends before its first picture does")
    axes = found.axes if found is not None and len(found) > 1 else f"Q{first.axes}"
    run = RunPages(first, axes, min(there, announced), file, offset, tiff.byteorder)
    run.sizes = found.sizes if found is not None and len(found) > 1 else {}
    return run, announced - len(run)


def _page(tiff: tifffile.TiffFile, number: int) -> Any | None:
    try:
        return tiff.pages[number].aspage()
    except PICTURE_ERRORS:
        return None
