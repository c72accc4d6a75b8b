"""Looking for objects that were lost; rather not found than a neighbour taken for it."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from napari_sam3.models.optical_flow.blobs import Levels, value_of
from napari_sam3.models.optical_flow.confidence import FOUND_BLOB, FOUND_TEXTURED
from napari_sam3.models.optical_flow.frame_features import FrameFeatures
from napari_sam3.models.optical_flow.mask_shapes import fill_holes, largest_part, rank
from napari_sam3.models.optical_flow.motion import FloatImage
from napari_sam3.models.optical_flow.pixel_classifier import PixelClassifier
from napari_sam3.models.optical_flow.tracked_object import Found, TrackedObject, centre_of
from napari_sam3.models.optical_flow.warp import to_frame_size
from napari_sam3.values import BoolArray, ObjectMask

_TAKEN = -4.0  # log-odds of what other objects have
_FOUND_AGAIN = 1.5  # log-odds, before and after pooling
_WAS_THERE = 0.8  # of a blob's area, beyond which it is one that was there before
_STANDS_OUT = 0.5  # of its step, what did so before


def reacquire_textured(
    lost: TrackedObject,
    classifier: PixelClassifier,
    features: FrameFeatures,
    scale: tuple[float, float],
    taken: BoolArray,
) -> Found | None:
    """Look for what a classifier knows anywhere in a frame, in about the size it had.

    Parameters
    ----------
    scale : (float, float)
        Working px per frame px, x and y.
    taken : (H, W) bool
        Where other objects are.

    Returns
    -------
    mask, confidence : ObjectMask, float
        Or None.
    """
    height, width = features.lab.shape[:2]
    odds = classifier.log_odds(features.anywhere())
    odds[cv2.resize(taken.astype(np.uint8), (width, height)) > 0] = _TAKEN
    area = max(lost.whole * scale[0] * scale[1], 4.0)
    pooled = cv2.GaussianBlur(odds, (0, 0), max(1.0, 0.08 * float(np.sqrt(area))))
    found = largest_part(pooled > _FOUND_AGAIN)
    if not 0.15 < np.count_nonzero(found) / area < 2:
        return None
    probability = float((1 / (1 + np.exp(-odds[found]))).mean())
    if probability <= 0.85:
        return None
    mask = to_frame_size(found, (0, 0, width, height), scale, taken.shape)
    return None if mask is None else (mask, FOUND_TEXTURED * probability)


def reacquire_blob(
    lost: TrackedObject,
    levels: Levels,
    frame: np.ndarray,
    before: Callable[[int, int, tuple[int, ...]], np.ndarray] | None,
    taken: BoolArray,
) -> Found | None:
    """Look for a blob near where it should be by now.

    What was there on the frame before, while the object was not, is a neighbour.

    Parameters
    ----------
    frame : (H, W, 3) uint8
    before : callable or None
        Gives the (h, w, 3) uint8 part of the frame before for x0, y0 and a shape; None where that
        showed another scene.
    taken : (H, W) bool
        Where other objects are.

    Returns
    -------
    mask, confidence : ObjectMask, float
        Or None.
    """
    height, width = taken.shape
    side = float(np.sqrt(lost.whole))
    frames = min(lost.missing + 1, 20)
    x, y = centre_of(lost.last)
    x, y = x + lost.velocity[0] * frames, y + lost.velocity[1] * frames
    reach = 0.6 * side + 0.5 * float(np.hypot(*lost.velocity)) * frames
    margin = reach + 1.5 * side + 4
    x0, y0 = max(0, int(x - margin)), max(0, int(y - margin))
    x1, y1 = min(width, int(x + margin) + 1), min(height, int(y + margin) + 1)
    if x0 >= x1 or y0 >= y1:
        return None
    value = value_of(frame[y0:y1, x0:x1], levels)
    share = (value - float(np.median(value))) / levels.step
    bright = (share > 0.5) & ~taken[y0:y1, x0:x1]
    found = _find_near(share, bright, (x - x0, y - y0), reach, lost.whole)
    if found is None:
        return None
    if before is not None:
        own = lost.last.mask[y0:y1, x0:x1] & (lost.missing == 0)  # a frame ago it was there
        if was_there_before(found, before(x0, y0, found.shape), own, levels):
            return None
    mask = ObjectMask.from_crop(found, x0, y0, (height, width))
    return None if mask is None else (mask, FOUND_BLOB)


def _find_near(
    share: FloatImage, bright: BoolArray, place: tuple[float, float], reach: float, area: float
) -> BoolArray | None:
    """The nearest bright part to a place, at most `reach` px off, that may be the blob."""
    count, parts, stats, centres = cv2.connectedComponentsWithStats(
        bright.view(np.uint8), connectivity=4
    )
    near = []
    for part in range(1, count):
        distance = float(np.hypot(centres[part][0] - place[0], centres[part][1] - place[1]))
        if distance < reach and 0.1 < stats[part, cv2.CC_STAT_AREA] / area < 1.8:
            near.append((distance, part))
    for _, part in sorted(near):
        found = parts == part
        size, level = float(np.count_nonzero(found)) / area, rank(share[found], 0.5)
        if size > 0.35 and 0.6 < level < 1.6:
            return fill_holes(found)
        # a nucleus in division: small and bright, with the light of before or half of it
        if level >= 1.6 and 0.25 < float(share[found].sum()) / area < 1.3:
            return fill_holes(largest_part(found & (share > 0.5 * level)))
    return None


def was_there_before(found: BoolArray, before: np.ndarray, own: BoolArray, levels: Levels) -> bool:
    """Whether what was found for a lost blob was there before, beside it: a neighbour.

    Parameters
    ----------
    found, own : (h, w) bool
        What was found, and where the blob itself was on the frame before.
    before : (h, w, 3) uint8
        That frame, warped onto the one it was found on.
    """
    value = value_of(before, levels)
    stands_out = (value - float(np.median(value))) / levels.step > _STANDS_OUT
    return bool((stands_out & ~own)[found].mean() > _WAS_THERE)
