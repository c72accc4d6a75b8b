"""Cells that touch, told apart: by their shape, and by the valleys of lightness between them.

A clump is parted on trial in several ways, and each is judged by what comes out: parts of like
size that resemble ellipses are cells, pieces of one cell's texture do not. Where the evidence is
weak, a valley tells that runs all the way between two parts: that of a texture has bridges.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from scipy import ndimage
from skimage.morphology import h_maxima
from skimage.segmentation import watershed

from napari_sam3.models.optical_flow.cell_proposals import (
    Core,
    PartImage,
    ellipse_likeness,
    grow_core,
)
from napari_sam3.models.optical_flow.mask_shapes import fill_holes
from napari_sam3.models.optical_flow.motion import FloatImage
from napari_sam3.models.optical_flow.window import Window
from napari_sam3.values import BoolArray

_SIDE = 192  # px; what a clump is shrunk to
_SCALES = (8, 24)  # a clump's side over the neighbourhood that lightness is held against
_LEVELS = (-0.4, -0.15, 0.1, 0.35, 0.6)  # of lightness against its neighbourhood
# in log depth, by how much lobes are deeper than the neck between them: of a clump, and of what a
# level leaves of it, whose outline is less sure
_NECK, _NECK_OF_LEVEL = 0.15, 0.25
_ROUNDER = 0.04  # in likeness to an ellipse: parts against the clump, if shape alone parts them
_EVIDENCE = 0.11  # of one cell, however textured, at most 0.09; of clumps 0.1 to 0.4
# a faint valley is evidence enough if it runs all the way between two parts: its highest places are
# so far below the parts, in steps and in spreads within them
_CUT, _CUT_OF_TEXTURE = 0.04, 2.2
_HIGHEST = 90  # percentile
_MUCH_ROUNDER, _FAINT = 0.06, 0.12  # in likeness, and of the step: a valley with a bridge in it
_COVER, _SECOND = 0.5, 0.3  # of the clump, in such parts; of the largest one, the second
_LEAST_PART = 0.01  # of a clump
_ROUNDS = 3  # a part of a clump may be a smaller one


@dataclass(frozen=True, eq=False)
class _Parting:
    """A clump parted on trial.

    Attributes
    ----------
    cover : float
        Share of the clump that lies in parts of like size.
    likeness : float
        Of those parts to ellipses.
    valley : float
        How far lightness falls between the parts, over the step from clump to ground; less
        where it varies as much within them.
    """

    parts: PartImage
    count: int
    cover: float
    likeness: float
    valley: float

    @property
    def evidence(self) -> float:
        roundness = max(0.0, self.likeness - 0.7) / 0.3
        return self.cover * roundness * self.valley * float(np.log2(self.count))


def split_clump(frame: np.ndarray, mask: BoolArray, pixels: np.ndarray) -> BoolArray:
    """What of a region of the frame was clicked, if it is a clump of cells; else the region.

    Parameters
    ----------
    pixels : (N, 2) int
        Columns and rows of the clicks, inside the mask.
    """
    for turn in range(_ROUNDS):
        # what was parted has a ragged outline, which says little
        part = _part_once(frame, mask, pixels, by_shape=turn == 0)
        if part is None:
            break
        mask = part
    return mask


def _part_once(
    frame: np.ndarray, mask: BoolArray, pixels: np.ndarray, *, by_shape: bool
) -> BoolArray | None:
    x, y, width, height = cv2.boundingRect(mask.view(np.uint8))
    side = max(width, height)
    margin = 3 + 0.15 * side
    window = Window.cut_out(
        frame, x - margin, y - margin, x + width + margin, y + height + margin, _SIDE
    )
    x0, y0, x1, y1 = window.box
    height, width = window.lab.shape[:2]
    small = cv2.resize(
        mask[y0:y1, x0:x1].view(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST
    )
    clump = small > 0
    rows, columns = window.locate(pixels)
    is_inside = clump[rows, columns]
    seeds = rows[is_inside], columns[is_inside]
    if not is_inside.any() or clump.all():
        return None
    value = window.lightness
    if np.median(value[clump]) < np.median(value[~clump]):
        value = -value
    parting = _best_parting(value, clump, side * window.scale[0], by_shape)
    if parting is None:
        return None
    basins = watershed(-value, parting.parts, mask=clump)
    own = np.unique(basins[seeds])
    clicked = np.zeros(clump.shape, bool)
    for number in own[own > 0]:
        grown = grow_core(value, Core(parting.parts, int(number)))
        clicked |= (basins == number) if grown is None else (basins == number) & grown
    if not clicked[seeds].all() or len(own) == parting.count:
        return None
    found = np.zeros(mask.shape, bool)
    window.paste(clicked, found)
    return found if found.any() else None


def _best_parting(
    value: FloatImage, clump: BoolArray, side: float, by_shape: bool
) -> _Parting | None:
    lobes = _judge(value, clump, _lobes(clump, _NECK)) if by_shape else None
    if lobes is not None and lobes.likeness * lobes.cover > ellipse_likeness(clump) + _ROUNDER:
        return lobes
    tried = sorted(_partings(value, clump, side), key=lambda p: -p.evidence)
    if tried and tried[0].evidence > _EVIDENCE:
        return tried[0]
    whole = ellipse_likeness(clump)
    return next((p for p in tried if _is_cut_through(value, clump, p, whole)), None)


def _is_cut_through(value: FloatImage, clump: BoolArray, parting: _Parting, whole: float) -> bool:
    """Whether a valley runs all the way between parts that resemble ellipses as the clump does."""
    if parting.cover < _COVER:
        return False
    basins = np.asarray(watershed(-value, parting.parts, mask=clump), np.int32)
    areas = np.bincount(basins.ravel())
    areas[0] = 0
    gain = _mean_likeness(basins, np.flatnonzero(areas).tolist(), areas) - whole
    if np.partition(areas, -2)[-2] < _SECOND * areas.max() or gain < 0:
        return False
    if gain > _MUCH_ROUNDER and parting.valley > _FAINT:
        return True
    deep = cv2.erode(clump.view(np.uint8), np.ones((5, 5), np.uint8), borderValue=0) > 0
    around = np.ones((3, 3), np.uint8)
    numbers = basins.astype(np.float32)
    line = deep & (cv2.dilate(numbers, around) != cv2.erode(numbers, around))
    if np.count_nonzero(line) < 4:
        return False
    inside = value[parting.parts > 0]
    level = float(np.median(inside))
    cut = level - float(np.percentile(value[line], _HIGHEST))
    step = _step_of(value, clump, level)
    texture = float(np.median(np.abs(inside - level)))
    return cut > max(_CUT * step, _CUT_OF_TEXTURE * texture)


def _step_of(value: FloatImage, clump: BoolArray, level: float) -> float:
    """From the ground of a clump to a level in it."""
    return max(level - float(np.percentile(value[~clump], 30)), 1.0)


def _mean_likeness(parts: PartImage, numbers: Sequence[int], areas: np.ndarray) -> float:
    """How much some parts resemble ellipses, on average by area."""
    boxes = ndimage.find_objects(parts)
    alike = sum(areas[i] * ellipse_likeness(np.pad(parts[boxes[i - 1]] == i, 2)) for i in numbers)
    return float(alike / areas[numbers].sum())


def _partings(value: FloatImage, clump: BoolArray, side: float) -> Iterator[_Parting]:
    weight = clump.astype(np.float32)
    for scale in _SCALES:
        near = side / scale
        share = np.maximum(cv2.GaussianBlur(weight, (0, 0), near), 1e-3)
        # against the clump's own neighbourhood: the ground is left out
        over = (value - cv2.GaussianBlur(value * weight, (0, 0), near) / share) * weight
        usual = cv2.GaussianBlur(over**2, (0, 0), near) / share
        view = over / np.sqrt(usual + 9.0)
        for level in _LEVELS:
            parting = _judge(
                value, clump, _lobes(fill_holes((view > level) & clump), _NECK_OF_LEVEL)
            )
            if parting is not None:
                yield parting


def _lobes(whole: BoolArray, neck: float) -> PartImage:
    """The lobes of a mask, parted where it has necks, numbered from 1."""
    depth = cv2.distanceTransform(whole.view(np.uint8), cv2.DIST_L2, 5)
    depth = cv2.GaussianBlur(depth, (0, 0), 1.0) * whole
    x, y, width, height = cv2.boundingRect(whole.view(np.uint8))
    # with a rim of ground round it: what is beyond says no more, and takes as long
    where = slice(max(0, y - 1), y + height + 1), slice(max(0, x - 1), x + width + 1)
    lobes = np.zeros(whole.shape, np.int32)
    depth, inside = depth[where], whole[where]
    peaks = h_maxima(np.log(np.maximum(depth, 0.5)), neck) & inside
    markers, _ = ndimage.label(peaks, np.ones((3, 3)))
    lobes[where] = watershed(-depth, markers, mask=inside)
    return lobes


def _judge(value: FloatImage, clump: BoolArray, parts: PartImage) -> _Parting | None:
    """Judge those parts that are of like size; None if there are not two."""
    total = np.count_nonzero(clump)
    areas = np.bincount(parts.ravel())
    areas[0] = 0
    large = np.flatnonzero(areas >= max(12, _LEAST_PART * total))
    if len(large) < 2:
        return None
    # half of what is covered lies in larger parts, half in smaller ones
    ordered = np.sort(areas[large])
    usual = ordered[np.searchsorted(np.cumsum(ordered), ordered.sum() / 2)]
    alike = [int(i) for i in large if usual / 3 < areas[i] < 3 * usual]
    if len(alike) < 2:
        return None
    # along its rim a clump is as faint as between its parts
    deep = cv2.erode(clump.view(np.uint8), np.ones((7, 7), np.uint8), borderValue=0) > 0
    between = deep & (parts == 0)
    valley = 0.0
    if np.count_nonzero(between) >= 5:
        inside = value[parts > 0]
        level = float(np.median(inside))
        step = _step_of(value, clump, level)
        valley = max(level - float(np.median(value[between])), 0.0) / step
        # the texture of one cell has valleys too, but its heights are as uneven
        texture = float(np.median(np.abs(inside - level))) / step
        valley *= valley / (valley + 2 * texture + 1e-6)
    covered = int(areas[alike].sum()) / total
    return _Parting(parts, len(alike), covered, _mean_likeness(parts, alike, areas), valley)
