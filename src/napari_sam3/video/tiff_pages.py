"""The pages of a TIFF: where they lie, how many are whole, how each is read."""

from __future__ import annotations

import json
import math
import os
import struct
from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import suppress
from io import BufferedReader
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from PIL import Image

from napari_sam3.errors import VideoError
from napari_sam3.video.base import Frame
from napari_sam3.video.calibration import Calibration, read_calibration
from napari_sam3.video.picture import PICTURE_ERRORS, from_pillow

# the ends of tifffile's words for the axes of a stack that a frame can take up
_FRAME_AXES = ("YXS", "SYX", "YX")
# colours that Pillow turns into red, green and blue
_NO_RGB = (tifffile.PHOTOMETRIC.SEPARATED, tifffile.PHOTOMETRIC.CIELAB)


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
        announced = _announced(tiff)
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
    order = {b"II": "<", b"MM": ">"}.get(head[:2])
    if order is None or len(head) < 16:
        raise ValueError("it does not begin as a TIFF")
    big = struct.unpack(order + "H", head[2:4])[0] == 43
    count_format, tag_size, link_format = ("Q", 20, "Q") if big else ("H", 12, "I")
    place = struct.unpack_from(order + link_format, head, 8 if big else 4)[0]
    seen: set[int] = set()
    while place:
        if place in seen or place >= size:
            return len(seen), place
        file.seek(place)
        counted = file.read(struct.calcsize(count_format))
        if len(counted) < struct.calcsize(count_format):
            return len(seen), place
        n_tags = struct.unpack(order + count_format, counted)[0]
        if n_tags > 4096:
            return len(seen), place
        file.seek(n_tags * tag_size, 1)
        link = file.read(struct.calcsize(link_format))
        if len(link) < struct.calcsize(link_format):
            return len(seen), place
        seen.add(place)
        place = struct.unpack(order + link_format, link)[0]
    return len(seen), None


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
    announced = max(len(found) if found is not None else 1, _announced(tiff) if found else 0)
    if stray is not None and stray >= size:
        announced = max(announced, (stray - offset) // nbytes)
    if announced <= 1 or (found is not None and len(found) == announced <= there):
        return None, 0
    if there < 1:
        raise EOFError("it ends before its first picture does")
    axes = found.axes if found is not None and len(found) > 1 else f"Q{first.axes}"
    run = _Run(first, axes, min(there, announced), file, offset, tiff.byteorder)
    return run, announced - len(run)


def _announced(tiff: tifffile.TiffFile) -> int:
    """How many pictures the description says there are; 0 if it does not."""
    try:
        if tiff.is_imagej:
            return int((tiff.imagej_metadata or {}).get("images", 0))
        first: Any = tiff.pages.first
        if first.is_shaped:
            # what tifffile itself writes
            shape = json.loads(first.shaped_description)["shape"]
            return int(math.prod(shape) // math.prod(first.shape))
    except PICTURE_ERRORS:
        pass
    return 0


def _page(tiff: tifffile.TiffFile, number: int) -> Any | None:
    try:
        return tiff.pages[number].aspage()
    except PICTURE_ERRORS:
        return None


def _is_whole(page: Any, size: int) -> bool:
    """Whether a page's picture lies within the file."""
    places = zip(page.dataoffsets, page.databytecounts, strict=False)
    return max((offset + length for offset, length in places), default=size + 1) <= size
