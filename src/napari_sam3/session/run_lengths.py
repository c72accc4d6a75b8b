"""Masks as run lengths, the way COCO counts them: down the columns, background first."""

from __future__ import annotations

from typing import Any

import numpy as np

from napari_sam3.values import BoolArray


def run_lengths(crop: BoolArray, x0: int, y0: int, size: tuple[int, int]) -> list[int]:
    """Lengths of the runs of a whole mask.

    Parameters
    ----------
    crop : (h, w) bool array
        The mask inside a box.
    x0, y0 : int
        Top left pixel of the box.
    size : (height, width)
        Of the frame, px.
    """
    height, width = size
    rows, columns = crop.shape
    slab = np.zeros((columns, height), bool)
    slab[:, y0 : y0 + rows] = crop.T
    flat = slab.ravel()
    changes = np.flatnonzero(np.diff(flat, prepend=False, append=False)) + x0 * height
    return [int(n) for n in np.diff(changes, prepend=0, append=height * width)]


def decode_runs(counts: Any, size: tuple[int, int]) -> BoolArray:
    """Run lengths, squeezed into COCO's characters or not, as an (H, W) mask.

    Raises
    ------
    ValueError
        If they are neither, or do not fill a mask of that size.
    """
    if isinstance(counts, str):
        counts = _unsqueeze(counts)
    try:
        runs = np.array(counts)
    except OverflowError:
        runs = np.array(None)
    if runs.ndim != 1 or runs.dtype.kind not in "iu" or (runs < 0).any():
        raise ValueError("the runs of a mask must be whole numbers from 0")
    # no sum of numbers that large would be what it says
    if (runs > size[0] * size[1]).any() or runs.sum() != size[0] * size[1]:
        raise ValueError("the runs of a mask do not fill its image")
    values = np.arange(len(runs)) % 2 == 1
    return np.repeat(values, runs).reshape(size[::-1]).T


def _unsqueeze(counts: str) -> list[int]:
    """Run lengths out of COCO's characters: six bits each, five of a number and one for "more".

    The numbers from the fourth on are differences to the last but one. Read here, and not by
    pycocotools, which reads and writes beyond its memory where the characters are wrong.
    """
    runs: list[int] = []
    value = shift = 0
    for character in counts.encode("ascii"):
        bits = character - 48
        if not 0 <= bits < 64 or shift > 60:
            raise ValueError(f"{chr(character)!r} can't be in the runs of a mask")
        value |= (bits & 31) << shift
        shift += 5
        if not bits & 32:
            if bits & 16:
                value -= 1 << shift
            runs.append(value + runs[-2] if len(runs) > 2 else value)
            value = shift = 0
    if shift:
        raise ValueError("the runs of a mask break off")
    return runs
