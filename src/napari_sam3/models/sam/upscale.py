"""From a tracker's logits to masks at the video's size, and back.

Enlarging computes only where the object is. It is equal to
`interpolate(logits, size, mode="bilinear") > 0`, which is what upstream's processors do, but a
200 x 200 object on a 4K frame costs what 200 x 200 pixels cost.

An accelerator is asked twice for all objects of a frame, not for each: where they are
(`find_cells`), and what their masks are (`cut_masks`), which come packed, eight pixels a byte.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from math import prod
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import interpolate, pad

from napari_sam3.values import ObjectMask

SURE = 10.0
"""Logit of what is certain, as upstream has it."""

Cells = Sequence[float]
"""First and last row, first and last column of what is above 0; -1 where nothing is."""

_LARGE = 1 / 8  # part of the frame from which on PyTorch's own loop over all of it is faster


class _Axis(NamedTuple):
    """Between which two cells of a small axis each pixel of a large one lies.

    `first` and `last` are the two cells as the computer knows them, `low` and `high` the same on
    the device, and `part` is how much the second counts; `scale` is of pixels to cells.
    """

    scale: float
    first: NDArray[np.int64]
    last: NDArray[np.int64]
    low: Tensor
    high: Tensor
    part: Tensor


class _Reach(NamedTuple):
    """Pixels `begin` to `end` of an axis, and cells `first` to `last` that they lie on."""

    begin: int
    end: int
    first: int
    last: int


def mask_at_size(logits: Tensor, size: tuple[int, int], score: float) -> ObjectMask | None:
    """Enlarge logits to a frame's size and take what is above 0.

    Parameters
    ----------
    logits : (h, w) float tensor
    size : (height, width)
        Of the frame, px.
    score : float

    Returns
    -------
    ObjectMask or None
        None where nothing is above 0.
    """
    return masks_at_size(logits[None], size, [score])[0]


def masks_at_size(
    logits: Tensor, size: tuple[int, int], scores: Sequence[float]
) -> list[ObjectMask | None]:
    """As `mask_at_size`, of (N, h, w) logits."""
    return cut_masks(logits, find_cells(logits).cpu().tolist(), size, scores)


def find_cells(logits: Tensor) -> Tensor:
    """Where objects are: `Cells` of each of (N, h, w) logits, an (N, 4) float32 tensor."""
    inside = logits > 0
    ends = []
    for there in (inside.any(dim=2), inside.any(dim=1)):
        places = torch.arange(there.shape[1], dtype=torch.float32, device=there.device)
        last = torch.where(there, places, -1).amax(dim=1)
        first = torch.where(there, places, there.shape[1]).amin(dim=1)
        ends += [torch.where(last < 0, last, first), last]
    return torch.stack(ends, dim=1)


def cut_masks(
    logits: Tensor, cells: Sequence[Cells], size: tuple[int, int], scores: Sequence[float]
) -> list[ObjectMask | None]:
    """Enlarge logits to a frame's size where objects are, and bring the masks over.

    Parameters
    ----------
    logits : (N, h, w) float tensor
    cells : N `Cells`
        As `find_cells` tells.
    size : (height, width)
        Of the frame, px.
    scores : N floats

    Returns
    -------
    list of ObjectMask or None
        None where nothing is above 0.
    """
    there = [i for i, (_, last, *_) in enumerate(cells) if last >= 0]
    crops, corners = [], []
    for i in there:
        crop, corner = _enlarge(logits[i], cells[i], size)
        crops.append(crop)
        corners.append(corner)
    masks: list[ObjectMask | None] = [None] * len(cells)
    for i, pixels, (left, top) in zip(there, _bring_over(crops), corners, strict=True):
        masks[i] = ObjectMask.from_crop(pixels, left, top, size, scores[i])
    return masks


def shrink_mask(mask: ObjectMask, side: int, device: torch.device) -> Tensor:
    """Make a mask (1, 1, side, side) of 0 and 1, as upstream's processor does it."""
    whole = torch.from_numpy(mask.mask)[None, None].to(device, torch.float32)
    if whole.shape[-2:] == (side, side):
        return whole
    part = interpolate(whole, (side, side), mode="bilinear", antialias=True)
    # a few pixels of a large frame never fill half a pixel of the model's: what fills it most
    threshold = min(0.5, 0.5 * float(part.max()))
    return (part >= threshold).float()


def _enlarge(logits: Tensor, cells: Cells, size: tuple[int, int]) -> tuple[Tensor, tuple[int, int]]:
    """A bool mask around an object, and the column and row of its first pixel."""
    top, bottom, left, right = (int(cell) for cell in cells)
    rows = _axis(logits.shape[0], size[0], logits.device)
    columns = _axis(logits.shape[1], size[1], logits.device)
    y, x = _reach(rows, top, bottom), _reach(columns, left, right)
    if (y.end - y.begin) * (x.end - x.begin) > _LARGE * size[0] * size[1]:
        return interpolate(logits[None, None], size, mode="bilinear")[0, 0] > 0, (0, 0)
    part = logits[y.first : y.last + 1, x.first : x.last + 1]
    across, down = slice(x.begin, x.end), slice(y.begin, y.end)
    x_part, y_part = columns.part[across], rows.part[down, None]
    # along x first, then along y, as PyTorch does it: the sums shall round alike
    wide = part[:, columns.low[across] - x.first] * (1 - x_part)
    wide += part[:, columns.high[across] - x.first] * x_part
    whole = wide[rows.low[down] - y.first] * (1 - y_part)
    whole += wide[rows.high[down] - y.first] * y_part
    return whole > 0, (x.begin, y.begin)


@lru_cache(maxsize=32)
def _axis(small: int, large: int, device: torch.device) -> _Axis:
    """Made once for a video: what is sent to an accelerator is waited for."""
    place = (torch.arange(large, dtype=torch.float32) + 0.5) * torch.tensor(
        small / large, dtype=torch.float32
    ) - 0.5
    place = place.clamp(min=0)
    low = place.long().clamp(max=small - 1)
    high = (low + 1).clamp(max=small - 1)
    part = (place - low).clamp(0, 1)
    on_device = (low.to(device), high.to(device), part.to(device))
    return _Axis(small / large, low.numpy(), high.numpy(), *on_device)


def _reach(axis: _Axis, first: int, last: int) -> _Reach:
    """Which pixels the cells first..last reach to, and all cells that those lie between."""
    begin = max(0, int((first - 0.5) / axis.scale - 0.5) - 1)
    end = min(len(axis.first), int((last + 1.5) / axis.scale + 0.5) + 1)
    return _Reach(begin, end, int(axis.first[begin]), int(axis.last[end - 1]))


def pack_bits(tensors: Sequence[Tensor]) -> Tensor:
    """Bool tensors of any shapes as one row of bytes, a bit a value; on their device."""
    flat = torch.cat([tensor.flatten() for tensor in tensors]).view(torch.uint8)
    bits = pad(flat, (0, -len(flat) % 8)).view(-1, 8)
    packed = bits[:, 0].clone()
    for column in range(1, 8):
        packed.mul_(2).add_(bits[:, column])
    return packed


def unpack_bits(
    packed: NDArray[np.uint8], shapes: Sequence[tuple[int, ...]]
) -> list[NDArray[np.bool_]]:
    """What `pack_bits` packed, in arrays of these shapes."""
    sizes = [prod(shape) for shape in shapes]
    values = np.unpackbits(packed)[: sum(sizes)].view(bool)
    parts = np.split(values, np.cumsum(sizes)[:-1])
    return [part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)]


def _bring_over(crops: Sequence[Tensor]) -> list[NDArray[np.bool_]]:
    """Bool tensors of any shapes, to the computer's memory in one piece."""
    if not crops:
        return []
    packed = pack_bits(crops).cpu().numpy()
    return unpack_bits(packed, [tuple(crop.shape) for crop in crops])
