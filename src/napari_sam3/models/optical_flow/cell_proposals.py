"""Proposals for a cell that was clicked in a picture without colour.

A cell is brighter or darker than what is round it, so it is a connected part of the picture above
some level. Which level is not known: many are tried, on the lightness held against its
neighbourhood, in which touching cells part and uneven light is even. That one is a cell whose
outline changes little from level to level, which is not cut off by the window, runs along edges
all round and resembles an ellipse. It may still be a clump of cells: see `clumps.py`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage.segmentation import watershed

from napari_sam3.models.optical_flow.mask_shapes import (
    Pixels,
    fill_holes,
    grow,
    outline_of,
    ring_round,
)
from napari_sam3.models.optical_flow.motion import FloatImage
from napari_sam3.models.optical_flow.window import Clicks, Proposal, Window
from napari_sam3.values import BoolArray

_LEVELS = 20  # tried between the brightest and the darkest of a window
_LEAST_AREA, _MOST_SHARE = 12, 0.5  # px of a window, and share of it
_LEAST_SHARE = 0.02  # of a window; a smaller window sees it larger
_NEAR = 16  # a window's side over the neighbourhood that lightness is held against
_NOISE = 3.0  # lightness; contrast against a neighbourhood is not blown up beyond it
_SAME = 1.12  # areas of one region on two levels
_HALF = 0.42  # of the way from ground to cell, where its outline is
_PURE = 0.1  # of the step from ground to cell, that greys without noise may vary
_LEAST_RIVAL = 0.08  # of a core's area, for another one to bound it

PartImage = NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class Core:
    """One of the parts of a picture above a level.

    Attributes
    ----------
    parts : (h, w) int32
        All of them, numbered from 1.
    own : int
        The number of this one.
    growth : float
        By how much its area changes from level to level, in logarithms.
    """

    parts: PartImage
    own: int
    growth: float = 0.0

    @property
    def mask(self) -> BoolArray:
        """Where it is, (h, w)."""
        return np.asarray(self.parts == self.own)


def propose_cells(window: Window, clicks: Clicks, *, is_smallest: bool) -> Iterator[Proposal]:
    """Regions that may be the cell, or the clump of cells, that was clicked.

    Parameters
    ----------
    is_smallest : bool
        Whether small things are looked for in this window, for want of a smaller one.
    """
    seeds, against = window.locate(clicks.positive), window.locate(clicks.negative)
    if min(window.lab.shape[:2]) < 5:
        return
    for sign in (1, -1):
        value = window.lightness * np.float32(sign)
        for core in _cores(window, value, seeds, is_smallest):
            mask = grow_core(value, core)
            if mask is not None:
                mask = step_of(window.lab[..., 0] * np.float32(sign), mask)
            if mask is not None and mask[seeds].all() and not mask[against].any():
                yield Proposal(window, mask, _judge(window, value, core, mask, seeds))


def ellipse_likeness(mask: BoolArray) -> float:
    """Overlap of a region, of at least one pixel, with the ellipse of its moments."""
    m = cv2.moments(mask.view(np.uint8), binaryImage=True)
    x, y = m["m10"] / m["m00"], m["m01"] / m["m00"]
    # a pixel is a square of variance 1/12, not a point
    xx, yy = m["mu20"] / m["m00"] + 1 / 12, m["mu02"] / m["m00"] + 1 / 12
    xy = m["mu11"] / m["m00"]
    rows, columns = np.ogrid[: mask.shape[0], : mask.shape[1]]
    dx, dy = columns - x, rows - y
    ellipse = yy * dx * dx - 2 * xy * dx * dy + xx * dy * dy <= 4 * (xx * yy - xy * xy)
    return float(np.count_nonzero(ellipse & mask) / np.count_nonzero(ellipse | mask))


def grow_core(value: FloatImage, core: Core) -> BoolArray | None:
    """Widen a core to where its outline is, not into other cores; None if it has no ground.

    Parameters
    ----------
    value : (h, w) float32
        Lightness, with its sign changed for what is dark.
    """
    own = core.mask
    reach = _reach(own)
    where = _box(own, reach + 3)
    own, parts, value_there = own[where], core.parts[where], value[where]
    ring = ring_round(own, 2, 2 + reach) & (parts == 0)
    if np.count_nonzero(ring) < 4:
        return None
    ground = float(np.percentile(value_there[ring], 30))
    level = ground + _HALF * (float(np.median(value_there[own])) - ground)
    wide = ((value_there > level) & grow(own, reach)) | own
    _, joined = cv2.connectedComponents(wide.view(np.uint8), connectivity=4)
    wide = joined == joined[own][0]
    markers = np.where(wide, parts, 0)
    areas = np.bincount(markers.ravel())
    keeps = areas >= max(5, _LEAST_RIVAL * np.count_nonzero(own))
    keeps[0], keeps[core.own] = False, True
    if np.count_nonzero(keeps) > 1:
        markers[~keeps[markers]] = 0
        wide = watershed(-value_there, markers, mask=wide) == core.own
    mask = np.zeros(value.shape, bool)
    mask[where] = fill_holes(wide)
    return mask


def step_of(value: FloatImage, mask: BoolArray) -> BoolArray:
    """Move a cell's outline to the pixel on which its picture steps, if that is without noise.

    A picture that was drawn, or cut at a level before, has two greys; smoothing would round the
    cell off. Where the greys of the cell or of its ground vary, the mask stays.

    Parameters
    ----------
    value : (h, w) float32
        Lightness before it was smoothed, with its sign changed for what is dark.
    mask : (h, w) bool
    """
    near = grow(mask, 2)
    inside, outside = value[~grow(~mask, 2)], value[ring_round(mask, 2, 2 + _reach(mask))]
    if not inside.size or not outside.size:
        return mask
    levels = np.median(inside), np.median(outside)
    step = float(levels[0] - levels[1])
    if np.ptp(inside) + np.ptp(outside) > _PURE * step:
        return mask
    return np.asarray(near & (value > sum(levels) / 2))


def _cores(window: Window, value: FloatImage, seeds: Pixels, is_smallest: bool) -> Iterator[Core]:
    """The clicked part above one level after the other, those nearly equal but once."""
    near = max(value.shape) / _NEAR
    over = value - cv2.GaussianBlur(value, (0, 0), near)
    view = over / np.sqrt(cv2.GaussianBlur(over**2, (0, 0), near) + _NOISE**2)
    found: list[tuple[PartImage, int, int]] = []
    for level in np.linspace(np.percentile(view, 99.9), view.min(), _LEVELS + 2)[1:-1]:
        _, parts = cv2.connectedComponents(fill_holes(view > level).view(np.uint8), connectivity=4)
        own = parts[seeds]
        if own[0] == 0 or (own != own[0]).any():
            continue
        area = int(np.count_nonzero(parts == own[0]))
        if area > _MOST_SHARE * value.size:
            break
        if area >= _LEAST_AREA and (area >= _LEAST_SHARE * value.size or is_smallest):
            found.append((np.asarray(parts, np.int32), int(own[0]), area))
    last: tuple[Core, int, float] | None = None
    for k, (parts, number, area) in enumerate(found):
        before = found[k - 1][2] if k else area / 3
        after = found[k + 1][2] if k + 1 < len(found) else area * 3
        growth = float(np.log(after / before)) / 2
        outline = outline_of(parts == number)
        rim = float(window.edges[outline].mean()) if outline.any() else 0.0
        if last is not None and area < _SAME * last[1]:
            growth = min(growth, last[0].growth)
            if rim <= last[2]:
                parts, number, area, rim = last[0].parts, last[0].own, *last[1:]
        elif last is not None:
            yield last[0]
        last = Core(parts, number, growth), area, rim
    if last is not None:
        yield last[0]


def _judge(window: Window, value: FloatImage, core: Core, mask: BoolArray, seeds: Pixels) -> float:
    """How likely a region is a cell; about 1 for a clear one."""
    reach = _reach(mask)
    where = _box(mask, reach + 3)
    own, value_there = mask[where], value[where]
    ring = ring_round(own, 2, 2 + reach)
    level = float(np.median(value_there[own]))
    ground = float(np.percentile(value_there[ring], 30)) if ring.any() else level
    step = max(level - ground, 1e-3)
    clicked = (float(np.median(value[seeds])) - ground) / step
    outline = outline_of(mask)
    strength = window.edges[outline]
    closed = float((strength > 0.4 * strength.mean()).mean()) if strength.size else 0.0
    cut_off = window.cut_off(mask) / max(strength.size / 2, 1)
    return (
        closed
        + 0.1 * float(np.log1p(step))
        + 0.5 * ellipse_likeness(own)
        - 2.6 * min(core.growth, 1.0)
        - 2.6 * cut_off
        - 3.0 * min(max(0.5 - clicked, 0.0), 1.0)
        - 2.0 * min(max(clicked - 1.8, 0.0), 1.0)
    )


def _reach(mask: BoolArray) -> int:
    """How far round a region its ground is looked for, px."""
    return max(3, round(0.35 * math.sqrt(np.count_nonzero(mask))))


def _box(mask: BoolArray, margin: int) -> tuple[slice, slice]:
    """The rows and columns that a mask and what is `margin` px round it take."""
    x, y, width, height = cv2.boundingRect(mask.view(np.uint8))
    return (
        slice(max(0, y - margin), y + height + margin),
        slice(max(0, x - margin), x + width + margin),
    )
