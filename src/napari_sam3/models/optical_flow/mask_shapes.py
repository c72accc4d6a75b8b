"""Shapes of masks: measured, widened, cleaned."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np

from napari_sam3.models.optical_flow.motion import FloatImage
from napari_sam3.values import BoolArray

Pixels = tuple[np.ndarray, np.ndarray]
"""Rows and columns of pixels, (N,) int each: what an image is indexed with."""


def distance_to(mask: BoolArray) -> FloatImage:
    """How far from a mask a pixel is; 0 inside."""
    return np.asarray(cv2.distanceTransform((~mask).view(np.uint8), cv2.DIST_L2, 5))


def depth_of(mask: BoolArray) -> FloatImage:
    """How far inside a mask a pixel is, the frame's border counted as outside."""
    padded = cv2.copyMakeBorder(mask.astype(np.uint8), 1, 1, 1, 1, cv2.BORDER_CONSTANT)
    return np.asarray(cv2.distanceTransform(padded, cv2.DIST_L2, 5)[1:-1, 1:-1])


def grow(mask: BoolArray, by: int) -> BoolArray:
    """A mask and all that is at most `by` px from it along rows and columns."""
    side = 2 * by + 1
    return np.asarray(cv2.dilate(mask.view(np.uint8), np.ones((side, side), np.uint8)) > 0)


def ring_round(mask: BoolArray, start: int, end: int) -> BoolArray:
    """What is more than `start` and at most `end` px from a mask along rows and columns."""
    return grow(mask, end) & ~grow(mask, start)


def core_of(mask: BoolArray) -> BoolArray:
    """The inner part of a mask, never empty unless the mask is."""
    depth = depth_of(mask)
    return np.asarray(mask & (depth >= min(0.5 * float(depth.max()), 6.0)))


def outline_of(mask: BoolArray) -> BoolArray:
    """Pixels along a mask's border, two wide; none where the picture cuts it off."""
    kernel = np.ones((3, 3), np.uint8)
    whole = mask.view(np.uint8)
    return np.asarray(cv2.dilate(whole, kernel) != cv2.erode(whole, kernel))


def border_length(mask: BoolArray) -> float:
    """How many pixels of a mask lie on the picture's four sides, corners counted twice."""
    return float(sum(np.count_nonzero(s) for s in (mask[0], mask[-1], mask[:, 0], mask[:, -1])))


def fill_holes(mask: BoolArray) -> BoolArray:
    """Fill what a mask encloses."""
    # a tenth of the time that SciPy takes for small ones
    rims, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    filled = np.zeros(mask.shape, np.uint8)
    cv2.drawContours(filled, rims, -1, 1, cv2.FILLED)
    return np.asarray(filled.astype(bool))


def largest_part(mask: BoolArray) -> BoolArray:
    """Of a mask in pieces the largest one."""
    count, parts, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=4)
    if count < 3:
        return mask
    return np.asarray(parts == 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax()))


def parts_with(mask: BoolArray, pixels: Pixels) -> BoolArray:
    """The connected parts of a mask that hold any of the pixels."""
    _, parts = cv2.connectedComponents(mask.view(np.uint8), connectivity=4)
    return has_label_of(parts, pixels)


def has_label_of(labels: np.ndarray, pixels: Pixels) -> BoolArray:
    """What has the same label, other than 0, as any of the pixels."""
    own = np.unique(labels[pixels])
    own = own[own > 0]
    if len(own) == 1:  # mostly: a tenth of the time
        return np.asarray(labels == own[0])
    return np.asarray(np.isin(labels, own))


def solidity_of(mask: BoolArray) -> float:
    """Area of a mask over that of its convex hull; 1 for an empty one."""
    points = cv2.findNonZero(mask.astype(np.uint8))
    if points is None:
        return 1.0
    # centres of pixels: their hull has half its rim less area
    hull = cv2.convexHull(points)
    area = cv2.contourArea(hull) + 0.5 * cv2.arcLength(hull, True) + 1
    return float(np.count_nonzero(mask) / area)


@lru_cache
def disc(radius: int) -> np.ndarray:
    """A disc to grow or shrink masks with."""
    return np.asarray(
        cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    )


def rank(values: FloatImage, share: float) -> float:
    """The value that a share of all is below, at a quarter of NumPy's cost for a percentile."""
    place = min(int(share * values.size), values.size - 1)
    return float(np.partition(values, place)[place])
