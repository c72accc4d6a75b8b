"""Following what is brighter or darker than its ground: cells, nuclei, bacteria, beads.

Works at the frame's own size in a crop round each object. The mask warped along the flow gives
the levels of object and ground; the outline lies half way between them; where neighbours touch,
a watershed from the cores of all of them, prompted or not, finds the valley.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from skimage.segmentation import watershed

from napari_sam3.models.optical_flow.cell_instances import assign_instances, find_instances
from napari_sam3.models.optical_flow.division import Form, one_daughter
from napari_sam3.models.optical_flow.grey import is_grey
from napari_sam3.models.optical_flow.mask_shapes import (
    core_of,
    disc,
    distance_to,
    fill_holes,
    largest_part,
    rank,
)
from napari_sam3.models.optical_flow.motion import FloatImage
from napari_sam3.values import BoolArray, ObjectMask

_LARGEST_COLOURED = 2500  # px; larger ones in colour have textures, not just a level
_PLAIN, _FAINT = (4.0, 1.0), (1.5, 0.3)  # least step, and noise taken for granted, in units of Lab
_LEAST_CONTRAST = 1.5  # of object against ground, in spreads within both
_GROWTH = 0.12  # of the object's size: how far the outline may move in a frame
_OUTLINES = np.linspace(0.25, 0.75, 11)  # where between ground and object an outline may lie
_GROUND = 0.3  # of the pixels of a ring in part filled by neighbours: the level of ground
_VALLEY = 0.75  # of the step, that a dip between neighbours goes below
_SOLID = 0.65  # of the step, above which a pixel is well inside


def _to_lab(rgb: np.ndarray) -> FloatImage:
    """CIE Lab of RGB in 0..255, in the units of its 8-bit form but not rounded to it."""
    lab = cv2.cvtColor(rgb.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    return np.asarray(lab * np.array((2.55, 1, 1)) + (0, 128, 128), np.float32)


_LAB_OF_GREYS = _to_lab(np.repeat(np.arange(256), 3).reshape(1, 256, 3))


@dataclass(frozen=True, eq=False)
class Levels:
    """How an object stands out from its ground.

    Attributes
    ----------
    axis : (3,) float32
        Direction in Lab.
    step : float
        Difference along it.
    outline : float
        Where between ground (0) and object (1) the prompted outline lies.
    form : Form
        Of the prompted mask.
    is_grey : bool
        Whether the picture has no colour; there it may stand among its like.
    """

    axis: np.ndarray
    step: float
    outline: float
    form: Form
    is_grey: bool

    @classmethod
    def measure(cls, frame: np.ndarray, mask: ObjectMask) -> Levels | None:
        """Measure on an object's prompted frame; None if it is not a mere blob.

        In grey pictures (microscopy mostly) what is faint counts, and what stands among its like.
        """
        has_cells = is_grey(frame)
        if not has_cells and mask.area > _LARGEST_COLOURED:
            return None
        crop, own, _, _ = cut_out(frame, mask)
        ring = ring_of(own)
        if ring.sum() < 4:
            return None
        lab = np.asarray(cv2.GaussianBlur(_to_lab(crop), (0, 0), 0.8))
        least_step, noise = _FAINT if has_cells else _PLAIN
        inside, outside = lab[own], lab[ring]
        centre, ground = np.median(inside, axis=0), np.median(outside, axis=0)
        difference = centre - ground
        step = float(np.linalg.norm(difference))
        if step >= least_step:
            axis = (difference / step).astype(np.float32)
            spread = noise + 0.5 * (_spread(inside @ axis) + _spread(outside @ axis))
            if step >= _LEAST_CONTRAST * spread:
                ground_level = float(np.median(outside @ axis))
                share = (lab @ axis - ground_level) / step
                return cls._with_outline(axis, step, share, own, is_grey=has_cells)
        return cls._measure_crowded(lab, own, ring) if has_cells else None

    @classmethod
    def _measure_crowded(cls, lab: FloatImage, mask: BoolArray, ring: BoolArray) -> Levels | None:
        """Measure where neighbours of the same kind fill much of the ring."""
        for sign in (1, -1):
            axis = np.array((sign, 0, 0), np.float32)
            value = lab @ axis
            inside = value[mask]
            level = rank(inside, 0.5)
            ground_level = rank(value[ring], _GROUND)
            step = level - ground_level
            if step < _PLAIN[0] or step < _LEAST_CONTRAST * (_PLAIN[1] + _spread(inside)):
                continue
            share = (value - ground_level) / step
            # all round it there must be a valley or ground
            grown = cv2.dilate(mask.view(np.uint8), disc(1)).view(bool)
            lowest = cv2.erode(share, disc(3))
            if float((lowest[grown & ~mask] < _VALLEY).mean()) > 0.5:
                return cls._with_outline(axis, step, share, mask, is_grey=True)
        return None

    @classmethod
    def _with_outline(
        cls, axis: np.ndarray, step: float, share: FloatImage, mask: BoolArray, *, is_grey: bool
    ) -> Levels:
        near = (distance_to(mask) <= 3) & ~mask
        inside, outside = (
            np.count_nonzero(share[part][:, None] > _OUTLINES, axis=0) for part in (mask, near)
        )
        fits = inside / (np.count_nonzero(mask) + outside)
        outline = float(_OUTLINES[int(fits.argmax())]) if fits.any() else 0.4
        return cls(axis, step, outline, Form.of(mask), is_grey)


def _spread(values: np.ndarray) -> float:
    low, high = np.percentile(values, (20, 80))
    return float(high - low) / 1.68


def ring_of(mask: BoolArray, away: FloatImage | None = None) -> BoolArray:
    """The ground close round a mask; `away` is the distance to it, where that is known."""
    width = max(3, round(0.35 * float(np.sqrt(np.count_nonzero(mask)))))
    away = distance_to(mask) if away is None else away
    return np.asarray((away > 2.5) & (away <= 2.5 + width))


def value_of(crop: np.ndarray, levels: Levels) -> FloatImage:
    """How far an RGB crop goes along the axis of a blob, float32, slightly smoothed."""
    red, green, blue = (crop[..., k] for k in range(3))
    if np.array_equal(red, green) and np.array_equal(green, blue):  # as most of microscopy
        table = cv2.transform(_LAB_OF_GREYS, levels.axis.reshape(1, 3))
        value = cv2.LUT(np.ascontiguousarray(green), table)
    else:
        lab = cv2.cvtColor(np.ascontiguousarray(crop), cv2.COLOR_RGB2LAB).astype(np.float32)
        value = cv2.transform(lab, levels.axis.reshape(1, 3))
    return np.asarray(cv2.GaussianBlur(value, (0, 0), 0.8))


def cut_out(frame: np.ndarray, mask: ObjectMask) -> tuple[np.ndarray, BoolArray, int, int]:
    """Crop of a frame round a mask with some ground: crop, mask in it, its x0 and y0."""
    x0, y0, x1, y1 = mask.bbox
    margin = 6 + round(0.4 * float(np.sqrt(mask.area)))  # the ring, and a rim
    height, width = mask.size
    left, top = max(0, x0 - margin), max(0, y0 - margin)
    right, bottom = min(width, x1 + margin), min(height, y1 + margin)
    own = np.zeros((bottom - top, right - left), bool)
    own[y0 - top : y1 - top, x0 - left : x1 - left] = mask.crop
    return frame[top:bottom, left:right], own, left, top


def refine(
    value: FloatImage, before: FloatImage, warped: BoolArray, others: np.ndarray, levels: Levels
) -> tuple[BoolArray, float]:
    """Move a warped mask's outline to where the level changes.

    Parameters
    ----------
    value, before : (h, w) float32
        Crop of the frame, and of the one before warped onto it; from `value_of`.
    warped : (h, w) bool
        The mask warped along the flow.
    others : (h, w) int32
        Other objects' warped masks by id, 0 elsewhere.

    Returns
    -------
    mask, contrast : (h, w) bool, float
        The blob, and the step between it and its ground over that on the prompted frame.
    """
    claimed = (others > 0) & ~warped
    away = distance_to(warped)
    ring = ring_of(warped, away) & ~claimed
    core = core_of(warped)
    object_level = rank(value[core], 0.5)
    # a neighbour that nobody named may fill part of the ring: the ground is its lower part
    ground_level = rank(value[ring], _GROUND) if ring.any() else object_level - 1
    step = object_level - ground_level
    contrast = step / levels.step
    if contrast < 0.2:
        return warped, max(contrast, 0.0)
    share = (value - ground_level) / step
    share_before = (before - ground_level) / step
    area = int(np.count_nonzero(warped))
    size = float(np.sqrt(area))
    reach = 2 + _GROWTH * size
    bright = share > levels.outline
    markers = np.zeros(warped.shape, np.int32)
    strange = _strange(share_before, warped | claimed)
    markers[bright & (strange | (away > reach))] = 2
    own = neighbours = np.zeros(warped.shape, bool)
    if levels.is_grey:
        # among cells the valleys between them tell more than the flow does
        instances = find_instances(share, bright, levels.form.width)
        own, neighbours = assign_instances(instances, warped, levels.form)
    own = own & ~claimed
    strange &= ~own
    nearest = away
    if strange.any():
        nearest = np.minimum(away, distance_to(strange))
        # against it nothing but the flow tells where the outline is
        markers[warped & bright & (distance_to(strange) <= 4)] = 1
    for other in np.unique(others[others > 0]):
        theirs = others == other
        markers[core_of(theirs)] = 2
        nearest = np.minimum(nearest, distance_to(theirs))
    markers[core] = 1
    markers[neighbours] = 2
    markers[own] = 1
    found = bright | core | own
    if (markers[found] == 2).any():
        # where no valley shows, neighbours meet half way between where the flow took them
        landscape = -cv2.GaussianBlur(share.astype(np.float32), (0, 0), 1.0) + 0.06 * nearest
        found = watershed(landscape, markers, mask=found) == 1
    found &= (away <= reach) | own
    if size > 8:
        opened = cv2.morphologyEx(found.view(np.uint8), cv2.MORPH_OPEN, disc(1)).view(bool)
        found = opened if opened.any() else found
    found = fill_holes(largest_part(found)) & ~claimed & ~strange
    if np.count_nonzero(found) < 0.3 * area and size > 3:
        found = warped
    found = one_daughter(found, share > max(levels.outline, _SOLID), warped, levels.form)
    return np.asarray(found), contrast


def _strange(share_before: FloatImage, named: BoolArray) -> BoolArray:
    """What was bright before and was nobody's then: it belongs to a neighbour that has no name."""
    strange = (share_before > 0.6) & ~named
    if strange.any():
        # a thin rim does not count, it is what the outline left out
        strange = cv2.morphologyEx(strange.view(np.uint8), cv2.MORPH_OPEN, disc(2)).view(bool)
    return np.asarray(strange)
