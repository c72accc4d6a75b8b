"""Cellpose's `_seg.npy`, one a picture or one of a stack."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from napari_sam3.errors import VideoError
from napari_sam3.imports.beside_pictures import find_pictures, number_files
from napari_sam3.imports.label_file import LabelFile, check_pixels, explain_read_errors
from napari_sam3.imports.pictures import greatest_of
from napari_sam3.imports.plain_pickle import read_pickle
from napari_sam3.plain_files import open_plain
from napari_sam3.values import MAX_OBJECT_ID

SEG_ENDING = "_seg.npy"

_MOST_SEG = 2**31
"""Bytes of a file. It holds flows beside the masks, and is read whole for each frame."""


class CellposeLabels(LabelFile):
    """The masks of Cellpose's files.

    A file is a pickle within NumPy's format; it is read as plain data, and nothing of it is run
    (see `plain_pickle`).

    Parameters
    ----------
    path : Path
        The file, whose masks may be a stack of frames, or the folder of files.
    files : sequence of Path
        At least one; each of the frame of the picture that lies beside it, or whose number its
        name has.
    first_number : int, optional
        The number that frame 0 has.
    """

    def __init__(
        self, path: Path, files: Sequence[Path], *, first_number: int | None = None
    ) -> None:
        told: list[str] = []
        stems = [file.name[: -len(SEG_ENDING)] for file in files]
        numbers = number_files(path, stems, find_pictures(path), first_number)
        self._files = dict(zip(numbers.frames, files, strict=True))
        first = _read_masks(self._files[min(self._files)])
        self._stack: NDArray[Any] | None = None
        length, known = numbers.reach, numbers.known
        if first.ndim == 3:
            if len(files) > 1:
                raise VideoError(
                    f"{str(path)!r} has stacks of masks, {first.shape}; a folder of files is one "
                    "file a frame: open each stack alone"
                )
            self._stack, length = first, len(first)
            known = tuple(range(length))
        if len(files) > 1:
            told.append(
                "Cellpose numbers each picture's objects alone: what has one number on two frames "
                "need not be one object"
            )
        super().__init__(
            path,
            (length, int(first.shape[-2]), int(first.shape[-1])),
            greatest=MAX_OBJECT_ID if len(files) > 1 else greatest_of(first.dtype),
            known=known,
            may_go_on=not numbers.length,
            told=[*numbers.told, *told],
        )

    def _read(self, frame_index: int) -> NDArray[Any]:
        if self._stack is not None:
            return np.asarray(self._stack[frame_index])
        file = self._files.get(frame_index)
        return np.zeros(self.shape[1:], np.uint8) if file is None else _read_masks(file)


def find_segs(files: Sequence[Path]) -> list[Path]:
    """Those of some files that Cellpose made, by their names."""
    return [f for f in files if f.name.lower().endswith(SEG_ENDING)]


def _read_masks(file: Path) -> NDArray[Any]:
    with explain_read_errors(file):
        content = _read_table(file)
        masks: Any = content.get("masks")
        if not isinstance(masks, np.ndarray) or masks.dtype.kind not in "iu":
            found = ", ".join(repr(str(key)[:30]) for key in list(content)[:8])
            raise VideoError(
                f"{str(file)!r} has no masks, as Cellpose's files of that name do; it has {found}"
            )
        if masks.ndim not in (2, 3) or not masks.size:
            raise ValueError(f"its masks have the shape {masks.shape}; they must be (H, W) or more")
        check_pixels(file, masks.shape[-2], masks.shape[-1])
    return np.asarray(masks)


def _read_table(file: Path) -> dict[Any, Any]:
    with open_plain(file.resolve(), most_bytes=_MOST_SEG) as opened:
        version = npy.read_magic(opened)
        if version not in ((1, 0), (2, 0)):
            raise ValueError(f"it is of NumPy's format {version}; known are 1.0 and 2.0")
        read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, _, kind = read(opened)
        if kind.kind != "O" or shape != ():
            raise VideoError(
                f"{str(file)!r} is an array of {kind} of shape {shape}, not the table that "
                "Cellpose saves; save the labels as TIFF or PNG instead"
            )
        content = read_pickle(opened.read())
    # the one object of an array of objects, which is kept as a list
    if isinstance(content, list) and len(content) == 1:
        content = content[0]
    if not isinstance(content, dict):
        raise ValueError(f"it holds a {type(content).__name__}, not Cellpose's table")
    return content
