"""Multi-page TIFFs as video: one page a frame, read when it is asked for.

Only what is shown is in memory, however large the file. A file that breaks off opens with the
pages that are whole, and says how many are missing where it can.
"""

from __future__ import annotations

import math
import os
import warnings
import weakref
from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import suppress
from io import BufferedReader
from pathlib import Path
from typing import Any, Literal

import numpy as np
import tifffile
from PIL import Image

from napari_sam3.errors import VideoError
from napari_sam3.video.base import Frame, Video
from napari_sam3.video.fair_lock import FairLock
from napari_sam3.video.image_file import (
    PICTURE_ERRORS,
    announced_pages,
    from_pillow,
    unreadable,
)
from napari_sam3.video.missing_frames import warn_of_loss
from napari_sam3.video.tiff_calibration import Calibration, read_calibration

# the ends of tifffile's words for the axes of a stack that a frame can take up
_FRAME_AXES = ("YXS", "SYX", "YX")
_MOST_TAGS = 4096
# colours that Pillow turns into red, green and blue
_NO_RGB = (tifffile.PHOTOMETRIC.SEPARATED, tifffile.PHOTOMETRIC.CIELAB)


class TiffStack(Video):
    """A multi-page TIFF, one page a frame, read when asked for.

    Raises
    ------
    VideoError
        If it can't be read, or is not (T, H, W) or (T, H, W, 3).
    """

    def __init__(self, path: Path) -> None:
        self._lock = FairLock()
        self._file = path.open("rb")
        weakref.finalize(self, self._file.close).atexit = False
        try:
            self._source, self._lost, calibration = open_stack(path, self._file)
        except VideoError:
            self._file.close()
            raise
        except PICTURE_ERRORS as exc:
            self._file.close()
            raise unreadable(path, exc) from exc
        self._identity = self._identify()
        self._warned = False
        n_frames, step = len(self._source), calibration.step
        super().__init__(
            (n_frames, *self._source.frame_shape),
            self._source.dtype.newbyteorder("="),
            path=path,
            fps=1 / step if step else None,
            timestamps=np.arange(n_frames, dtype=np.float64) * step if step else None,
            metadata={
                "container": "tiff",
                "axes": self._source.axes,
                "frames": n_frames,
                "duration": n_frames * step if step else None,
                **calibration.metadata,
            },
        )

    @classmethod
    def open(cls, path: Path) -> TiffStack:
        """Open a file, and tell the user of frames that are missing."""
        stack = cls(path)
        warn_of_loss(path, stack._lost, len(stack), has_holes=False)
        return stack

    @property
    def breaks_off(self) -> bool:
        """Whether frames are missing at the end."""
        return self._lost != 0

    def reopen(self) -> TiffStack:
        """Open the same file once more."""
        assert self.path is not None
        return TiffStack(self.path)

    def _identify(self) -> tuple[int, int]:
        # of the open file: one that was moved away or deleted can be read on
        status = os.fstat(self._file.fileno())
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
            self._file.close()

    def __reduce__(self) -> tuple[Any, ...]:
        return TiffStack, (self.path,)


# ----------------------------------------------------------------------------------- pages


class Pages(ABC):
    """Where pages come from, and what each of them looks like.

    Parameters
    ----------
    first : tifffile.TiffPage or ndarray
    axes : str
        tifffile's words for the axes of the stack.
    n_frames : int
    """

    def __init__(self, first: Any, axes: str, n_frames: int) -> None:
        self.page_shape: tuple[int, ...] = tuple(first.shape)
        self.dtype = np.dtype(first.dtype)
        self.axes = axes
        self._n_frames = n_frames

    def __len__(self) -> int:
        return self._n_frames

    @property
    def frame_shape(self) -> tuple[int, ...]:
        """(H, W) or (H, W, 3)."""
        return as_frame(np.broadcast_to(np.zeros(()), self.page_shape), self.axes).shape

    @abstractmethod
    def read(self, frame_index: int) -> Frame:
        """Read a page as it is stored; raises any of `PICTURE_ERRORS`."""


class _Run(Pages):
    """Pictures that lie uncompressed one behind the other."""

    def __init__(
        self,
        first: Any,
        axes: str,
        n_frames: int,
        file: BufferedReader,
        offset: int,
        byteorder: str,
    ) -> None:
        super().__init__(first, axes, n_frames)
        self._file, self._offset = file, offset
        self._stored = self.dtype.newbyteorder(byteorder)

    def read(self, frame_index: int) -> Frame:
        n_bytes = math.prod(self.page_shape) * self._stored.itemsize
        self._file.seek(self._offset + frame_index * n_bytes)
        data = bytearray(n_bytes)
        if self._file.readinto(data) != n_bytes:
            raise EOFError("the file ends before it")
        return np.frombuffer(data, self._stored).reshape(self.page_shape)


class _TiffPages(Pages):
    """Pages that tifffile knows where to find, and to unpack."""

    def __init__(self, first: Any, axes: str, pages: Sequence[Any]) -> None:
        super().__init__(first, axes, len(pages))
        self._pages = pages

    def drop_cut(self, size: int) -> int:
        """Leave out pages at the end that the file breaks off in; how many these are."""
        whole = len(self)
        while whole > 1 and self._pages[whole - 1] is not None:
            if _is_whole(self._pages[whole - 1].aspage(), size):
                break
            whole -= 1
        lost, self._n_frames = len(self) - whole, whole
        return lost

    def read(self, frame_index: int) -> Frame:
        page = self._pages[frame_index]
        if page is None:
            # it may be left out of a file where it would be empty
            return np.zeros(self.page_shape, self.dtype)
        array: Frame = page.asarray()
        return array


class _PillowPages(Pages):
    """Pages that are packed in a way that tifffile needs another package for, and Pillow none."""

    def __init__(self, axes: str, n_frames: int, file: BufferedReader) -> None:
        self._image = Image.open(file)
        super().__init__(self.read(0), axes, n_frames)

    def read(self, frame_index: int) -> Frame:
        self._image.seek(frame_index)
        return from_pillow(self._image)


def as_frame(page: Frame, axes: str) -> Frame:
    """A page as (H, W) or (H, W, 3): channels last, alpha dropped."""
    if axes.endswith("SYX"):
        page = np.moveaxis(page, 0, -1)
    if page.ndim == 3:
        page = page[..., :3] if page.shape[2] > 2 else page[..., 0]
    return page


# --------------------------------------------------------------------------------- opening


def open_stack(path: Path, file: BufferedReader) -> tuple[Pages, int | None, Calibration]:
    """Find the pages of a file; how many are lost, None if some but who knows how many."""
    size = os.fstat(file.fileno()).st_size
    n_pages, stray = _walk_pages(file, size)
    # tifffile takes the file to begin where it stands
    file.seek(0)
    tiff = tifffile.TiffFile(file, name=path.name)
    first: Any = tiff.pages.first
    if math.prod(first.shape) == 0:
        raise ValueError("its pictures have no pixels")
    lost: int | None = 0
    stack = _find_series(path, tiff, file) if stray is None else None
    if isinstance(stack, _TiffPages):
        lost = stack.drop_cut(size)
    if n_pages == 1 or isinstance(stack, _Run):
        run, missing = _find_run(tiff, file, size, stray, stack)
        if run is not None:
            stack, lost = run, missing
    if stack is None:
        whole = [page for page in (_page(tiff, n) for n in range(n_pages)) if page is not None]
        alike = [p for p in whole if (p.shape, p.dtype) == (first.shape, first.dtype)]
        stack = _TiffPages(
            first, f"Q{first.axes}", [page for page in alike if _is_whole(page, size)]
        )
        if not len(stack):
            raise EOFError("it ends before its first picture does")
        announced = announced_pages(tiff)
        lost = announced - len(stack) if announced > len(stack) else None
    try:
        calibration = read_calibration(tiff)
    except PICTURE_ERRORS:
        calibration = Calibration()
    if stack.axes[:-2].rstrip("S")[-1:] in ("Z", "C"):
        # frames that are not one after another in time
        calibration = Calibration(None, calibration.pixel_size, calibration.unit)
    return stack, lost, calibration


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


def _find_series(path: Path, tiff: tifffile.TiffFile, file: BufferedReader) -> Pages | None:
    """The pages as tifffile orders them; None where it can't."""
    try:
        series = tiff.series
        first, pages = series[0], series[0].pages
    except PICTURE_ERRORS:
        return None
    page: Any = first.keyframe
    shape, axes = tuple(first.shape), str(first.axes)
    n_leading = len(shape) - next(
        (len(end) for end in _FRAME_AXES if axes.endswith(end)), len(shape)
    )
    if n_leading > 1 or not axes.endswith(_FRAME_AXES):
        raise VideoError(
            f"{path.name!r} is a stack of shape {shape} with axes {axes}, but a video is (T, H, W) "
            "or (T, H, W, 3); open it in napari and choose the axes there, or pass the array that "
            "you mean"
        )
    if n_leading == 0 and len(series) > 1:
        # written page by page, each as a series of its own
        alike = [s for s in series if (s.shape, s.dtype) == (first.shape, first.dtype)]
        return _TiffPages(page, f"Q{axes}", [s.pages[0] for s in alike])
    n_frames = shape[0] if n_leading else 1
    if first.dataoffset is not None and page.is_contiguous and page.photometric not in _NO_RGB:
        return _Run(page, axes, n_frames, file, first.dataoffset, tiff.byteorder)
    stack = _TiffPages(page, axes, pages)
    try:
        if page.photometric not in _NO_RGB:
            stack.read(0)
            return stack
    except PICTURE_ERRORS:
        # most likely a compression that needs the package imagecodecs; Pillow knows the usual ones
        pass
    with suppress(*PICTURE_ERRORS):
        return _PillowPages(axes, n_frames, file)
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
    announced = max(len(found) if found is not None else 1, announced_pages(tiff) if found else 0)
    if stray is not None and stray >= size:
        announced = max(announced, (stray - offset) // nbytes)
    if announced <= 1 or (found is not None and len(found) == announced <= there):
        return None, 0
    if there < 1:
        raise EOFError("it ends before its first picture does")
    axes = found.axes if found is not None and len(found) > 1 else f"Q{first.axes}"
    run = _Run(first, axes, min(there, announced), file, offset, tiff.byteorder)
    return run, announced - len(run)


def _page(tiff: tifffile.TiffFile, number: int) -> Any | None:
    try:
        return tiff.pages[number].aspage()
    except PICTURE_ERRORS:
        return None


def _is_whole(page: Any, size: int) -> bool:
    """Whether a page's picture lies within the file."""
    places = zip(page.dataoffsets, page.databytecounts, strict=False)
    return max((offset + length for offset, length in places), default=size + 1) <= size
