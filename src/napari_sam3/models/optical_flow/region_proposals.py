"""Proposals for the region that clicks mean, in a small window of a frame."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.morphology import h_maxima
from skimage.segmentation import watershed

from napari_sam3.models.optical_flow.mask_shapes import (
    Pixels,
    border_length,
    depth_of,
    fill_holes,
    has_label_of,
    outline_of,
    parts_with,
    ring_round,
)
from napari_sam3.models.optical_flow.window import Clicks, Proposal, Window
from napari_sam3.values import BoolArray

_HALF = 0.42  # of the way from ground to object
_LEAST_AREA = 12  # px of a window; less says nothing, a smaller window sees it larger
_MOST = 0.6  # of a window; what fills more of it is ground, or fits a larger one
_ROUNDS = 3  # turns of learning colours and cutting
_LEVELS = 20  # thresholds tried between a click and its surroundings


def propose_by_level(window: Window, clicks: Clicks) -> Iterator[Proposal]:
    """Regions brighter or darker than a level that hold the positive clicks, no negative one."""
    seeds = window.locate(clicks.positive)
    yield from _judge(window, _threshold_regions(window, seeds), clicks)


def propose_by_colour(window: Window, clicks: Clicks) -> Iterator[Proposal]:
    """Regions of like colours that hold the positive clicks, no negative one."""
    seeds, against = window.locate(clicks.positive), window.locate(clicks.negative)
    mask = _cut_region(window, seeds, against)
    if mask is not None:
        # in a picture without colour a clump is more likely cells than a body with limbs
        lobe = find_lobe(mask, mask, seeds) if window.is_grey else mask
        yield from _judge(window, [(mask, lobe)], clicks)


def _judge(
    window: Window, found: Iterable[tuple[BoolArray, BoolArray]], clicks: Clicks
) -> Iterator[Proposal]:
    """Proposals made of whole regions and the lobes of them that were clicked."""
    seeds, against = window.locate(clicks.positive), window.locate(clicks.negative)
    for clump, mask in found:
        joined = parts_with(mask, seeds)
        joined[against] = False
        joined = fill_holes(parts_with(joined, seeds))
        joined[against] = False
        if not _LEAST_AREA <= joined.sum() <= _MOST * joined.size or not joined[seeds].all():
            continue
        # where lobes touch there is no edge: the outline of their clump is what counts
        score = _likeness(window, clump if mask is not clump else joined)
        if window.is_grey:
            score -= _unlike_a_cell(window, joined, seeds)
        yield Proposal(window, joined, score)


def grab(lab: np.ndarray, sides: np.ndarray, seeds: Pixels, against: Pixels) -> BoolArray | None:
    """Colour mixtures learnt in turns with a cut, from a first guess of the sides."""
    sides = sides.copy()
    sides[seeds] = cv2.GC_FGD
    sides[against] = cv2.GC_BGD
    object_side = (sides & 1).astype(bool)
    if object_side.sum() < 5 or (~object_side).sum() < 5:
        return None
    cv2.setRNGSeed(1)
    try:
        cv2.grabCut(
            lab, sides, None, np.zeros((1, 65)), np.zeros((1, 65)), _ROUNDS, cv2.GC_INIT_WITH_MASK
        )
    except cv2.error:  # a side ran empty in one of the turns
        return None
    return np.asarray((sides & 1).astype(bool))


def _cut_region(window: Window, seeds: Pixels, against: Pixels) -> BoolArray | None:
    height, width = window.lab.shape[:2]
    if min(height, width) < 5:
        return None
    away = np.ones((height, width), np.uint8)
    away[seeds] = 0
    distance = cv2.distanceTransform(away, cv2.DIST_L2, 3)
    side = max(height, width)
    sides = np.where(distance < 0.2 * side, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
    for strip in window.inner_sides(max(1, side // 24)):
        sides[strip] = cv2.GC_BGD
    sides[distance < max(1.0, side / 40)] = cv2.GC_FGD
    return grab(window.lab, sides, seeds, against)


def _threshold_regions(window: Window, seeds: Pixels) -> Iterator[tuple[BoolArray, BoolArray]]:
    """Connected parts brighter, or darker, than a level: whole, and the lobe that was clicked."""
    lightness = window.lightness
    value = float(np.median(lightness[seeds]))
    for sign, end in ((1, float(lightness.min())), (-1, float(lightness.max()))):
        if abs(value - end) < 6:
            continue
        best, best_score = None, -np.inf
        for level in np.linspace(value, end, _LEVELS + 2)[1:-1]:
            mask = parts_with((lightness - level) * sign > 0, seeds)
            if mask.sum() > _MOST * mask.size or not mask.any():
                break
            rim = outline_of(mask)
            score = float(window.edges[rim].mean()) if rim.any() else 0.0
            if score > best_score:
                best, best_score = mask, score
        if best is not None:
            best = fill_holes(best)
            wide = fill_holes(_down_to_half(best, lightness * sign, seeds))
            yield wide, find_lobe(best, wide, seeds)


def _down_to_half(mask: BoolArray, value: NDArray[np.float32], seeds: Pixels) -> BoolArray:
    """Widen a region found at its steepest level to about half way down to the ground."""
    ring = ring_round(mask, 2, 5)
    if not ring.any():
        return mask
    ground = float(np.percentile(value[ring], 30))
    level = ground + _HALF * (float(np.median(value[mask])) - ground)
    wider = parts_with(value > level, seeds)
    return wider if mask.sum() < wider.sum() < 2 * mask.sum() else mask


def find_lobe(mask: BoolArray, wide: BoolArray, seeds: Pixels) -> BoolArray:
    """The lobe of a widened mask that holds the clicks; all of it where it is one lobe.

    Lobes are told apart on the narrower mask, whose necks are thinner.
    """
    depth = _depth(mask)
    # most regions have one peak: the search for high ones, which is slow, is spared them
    summits = (depth >= cv2.dilate(depth, np.ones((3, 3), np.uint8))) & mask
    if cv2.connectedComponents(summits.astype(np.uint8))[0] < 3:
        return wide
    peaks, count = ndimage.label(h_maxima(depth, max(0.5, 0.12 * float(depth.max()))))
    if count < 2:
        return wide
    lobes = watershed(-depth, peaks, mask=mask)
    lobes = watershed(-_depth(wide), lobes, mask=wide)
    if len(np.unique(lobes[seeds])) >= count:
        return wide
    return has_label_of(lobes, seeds)


def _depth(mask: BoolArray) -> NDArray[np.float32]:
    return np.asarray(cv2.GaussianBlur(depth_of(mask), (0, 0), 1.0))


def _likeness(window: Window, mask: BoolArray) -> float:
    """How well an outline runs along edges, against how quiet it is inside; about -1..1.5."""
    outline = outline_of(mask)
    if not outline.any():
        return -1.0
    strength = window.edges[outline]
    rim = float(strength.mean())
    whole = mask.view(np.uint8)
    deep = cv2.erode(whole, np.ones((5, 5), np.uint8)) > 0
    texture = float(window.edges[deep].mean()) if deep.any() else 0.5 * rim
    closed = float((strength > 0.4 * rim).mean())
    length = float(outline.sum()) / 2
    parts = cv2.connectedComponents(whole)[0] - 1
    size = np.log(max(float(mask.sum()) / (window.scale[0] * window.scale[1]), 1.0))
    return (
        (rim - texture) / (rim + texture + 2.0)
        + 0.3 * closed
        + 0.03 * float(size)
        - 1.5 * window.cut_off(mask) / length
        - 0.3 * border_length(mask) / length
        - 0.3 * (parts - 1)
    )


def _unlike_a_cell(window: Window, mask: BoolArray, seeds: Pixels) -> float:
    """Penalty, in a picture without colour, for what winds between cells or is not as clicked."""
    rims, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    hull = sum(float(cv2.contourArea(cv2.convexHull(rim))) for rim in rims)
    solid = min(1.0, float(mask.sum()) / max(hull, 1.0))
    value, ring = window.lightness, ring_round(mask, 2, 4)
    if not ring.any():
        return 1.0
    ground, level = float(np.median(value[ring])), float(np.median(value[mask]))
    clicked = float(np.median(value[seeds]))
    step = level - ground
    share = (clicked - ground) / step if abs(step) > 1 else 0.0
    return 2.0 * max(0.0, 0.85 - solid) + min(1.0, 2.0 * max(0.0, 0.5 - share, share - 1.8))
