"""Where the pages of a TIFF stack come from, and how one becomes a frame."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from io import BufferedReader
from itertools import pairwise
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import tifffile

from napari_sam3.video.base import Frame
from napari_sam3.video.image_file import from_pillow
from napari_sam3.video.limits import open_picture
from napari_sam3.video.tiff_files import TiffFiles


class Pages(ABC):
    """Where pages come from, and what each of them looks like.

    Parameters
    ----------
    first : tifffile.TiffPage or ndarray
    axes : str
        tifffile's words for the axes of the stack.
    n_frames : int
    numbers : sequence of int, optional
        Which pages of those announced they are, where some are missing; rising.
    n_announced : int, optional
        How many there should be.

    Attributes
    ----------
    why : str
        Why some are missing, in words.
    note : str
        What else is to be told of the file; empty if nothing is.
    sizes : dict of str to int
        How long each axis of the stack is, the slowest first; empty where only pages are known.
    """

    why = ""
    note = ""
    sizes: Mapping[str, int] = MappingProxyType({})

    def __init__(
        self,
        first: Any,
        axes: str,
        n_frames: int,
        numbers: Sequence[int] | None = None,
        n_announced: int | None = None,
    ) -> None:
        self._numbers = numbers
        self._n_announced = n_announced
        self.page_shape: tuple[int, ...] = tuple(first.shape)
        self.dtype = np.dtype(first.dtype)
        self.axes = axes
        self._n_frames = n_frames

    def __len__(self) -> int:
        return self._n_frames

    @property
    def numbers(self) -> Sequence[int]:
        """Which of the pages announced they are."""
        return range(len(self)) if self._numbers is None else self._numbers[: len(self)]

    @property
    def n_announced(self) -> int:
        """How many there should be."""
        return len(self) if self._n_announced is None else self._n_announced

    @property
    def left_out(self) -> tuple[int, int]:
        """How many of the pages announced are missing, and in how many places."""
        if self._n_announced is None or self._numbers is None:
            return 0, 0
        bounds = [-1, *self._numbers, self._n_announced]
        steps = [stop - start for start, stop in pairwise(bounds)]
        return sum(steps) - len(steps), sum(step > 1 for step in steps)

    def close(self) -> None:  # noqa: B027  (most hold nothing)
        """Give back what is held beside the file itself."""

    @property
    def frame_shape(self) -> tuple[int, ...]:
        """(H, W) or (H, W, 3)."""
        return as_frame(np.broadcast_to(np.zeros(()), self.page_shape), self.axes).shape

    @abstractmethod
    def read(self, frame_index: int) -> Frame:
        """Read a page as it is stored; raises any of `PICTURE_ERRORS`."""


class RunPages(Pages):
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
        """Read a page as it is stored."""
        n_bytes = math.prod(self.page_shape) * self._stored.itemsize
        self._file.seek(self._offset + frame_index * n_bytes)
        data = bytearray(n_bytes)
        if self._file.readinto(data) != n_bytes:
            raise EOFError("the file ends before it")
        return np.frombuffer(data, self._stored).reshape(self.page_shape)


class TiffPages(Pages):
    """Pages that tifffile knows where to find, and to unpack."""

    why = "the file announces them, but has no pages for them"

    def __init__(self, first: Any, axes: str, pages: Sequence[Any]) -> None:
        numbers = [number for number, page in enumerate(pages) if page is not None]
        super().__init__(first, axes, len(numbers), numbers, len(pages))
        self._pages = [pages[number] for number in numbers]

    def drop_cut(self, size: int) -> int:
        """Leave out pages at the end that the file breaks off in; how many these are."""
        whole = len(self)
        while whole > 1 and not is_whole(self._pages[whole - 1].aspage(), size):
            whole -= 1
        lost, self._n_frames = len(self) - whole, whole
        return lost

    def read(self, frame_index: int) -> Frame:
        """Read a page as it is stored."""
        return _unpack(self._pages[frame_index], self)


class SeveralFilesPages(Pages):
    """Pages here and in other files beside this one.

    Parameters
    ----------
    first : tifffile.TiffPage
    axes : str
    pages : dict of int to (str or None, int)
        For each frame of the film that is there the file, None for the one that tells of it, and
        the page in it.
    n_announced : int
    tiff : tifffile.TiffFile
    files : TiffFiles
    """

    def __init__(
        self,
        first: Any,
        axes: str,
        pages: dict[int, tuple[str | None, int]],
        n_announced: int,
        tiff: tifffile.TiffFile,
        files: TiffFiles,
    ) -> None:
        numbers = sorted(pages)
        super().__init__(first, axes, len(numbers), numbers, n_announced)
        self._pages = [pages[number] for number in numbers]
        self._tiff, self._files = tiff, files

    def read(self, frame_index: int) -> Frame:
        """Read a page as it is stored."""
        name, page = self._pages[frame_index]
        tiff = self._tiff if name is None else self._files.get(name)[1]
        return _unpack(tiff.pages[page].aspage(), self)

    def close(self) -> None:
        """Close the other files."""
        self._files.close()


def _unpack(page: Any, pages: Pages) -> Frame:
    # by its tags, before memory is taken for what they say
    if tuple(page.shape) != pages.page_shape:
        raise ValueError(f"it is {page.shape}, the first one {pages.page_shape}")
    array: Frame = page.asarray()
    return array


class PillowPages(Pages):
    """Pages that are packed in a way that tifffile needs another package for, and Pillow none."""

    def __init__(self, axes: str, n_frames: int, path: Path, file: BufferedReader) -> None:
        self._image = open_picture(path, file)
        super().__init__(self.read(0), axes, n_frames)

    def read(self, frame_index: int) -> Frame:
        """Read a page as it is stored."""
        self._image.seek(frame_index)
        return from_pillow(self._image)


def as_frame(page: Frame, axes: str) -> Frame:
    """A page as (H, W) or (H, W, 3): channels last, alpha dropped."""
    if axes.endswith("SYX"):
        page = np.moveaxis(page, 0, -1)
    if page.ndim == 3:
        page = page[..., :3] if page.shape[2] > 2 else page[..., 0]
    return page


def is_whole(page: Any | None, size: int) -> bool:
    """Whether a page's picture lies within the file."""
    if page is None:
        return False
    places = zip(page.dataoffsets, page.databytecounts, strict=False)
    return max((offset + length for offset, length in places), default=size + 1) <= size
