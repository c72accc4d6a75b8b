"""Looking for objects that were lost; rather not found than a neighbour taken for it."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from napari_sam3.models.optical_flow.blobs import Levels, value_of
from napari_sam3.models.optical_flow.confidence import FOUND_BLOB, FOUND_TEXTURED
from napari_sam3.models.optical_flow.frame_features import FrameFeatures
from napari_sam3.models.optical_flow.mask_shapes import fill_holes, largest_part, rank
from napari_sam3.models.optical_flow.motion import ByteImage, FloatImage
from napari_sam3.models.optical_flow.pixel_classifier import PixelClassifier
from napari_sam3.models.optical_flow.tracked_object import Found, TrackedObject, centre_of
from napari_sam3.models.optical_flow.warp import to_frame_size
from napari_sam3.values import BoolArray, ObjectMask

_TAKEN = -4.0  # log-odds of what other objects have
_FOUND_AGAIN = 1.5  # log-odds, before and after pooling
_LIKELY = 0.85  # that its pixels are the object's
_SAME_COLOUR = 3  # range of what a picture without colour has of it
_WAY = 1.5  # times its own width that an object goes unseen, beside going on as before
_WAS_THERE = 0.8  # of a blob's area, beyond which it is one that was there before
_STANDS_OUT = 0.5  # of its step, what did so before


def reacquire_textured(
    lost: TrackedObject,
    classifier: PixelClassifier,
    features: FrameFeatures,
    scale: tuple[float, float],
    taken: BoolArray,
    *,
    goes_far: bool,
) -> Found | None:
    """Look for what a classifier knows anywhere in a frame, in about the size it had.

    Where several things look like it, one that it can hardly have got to is another one.

    Parameters
    ----------
    scale : (float, float)
        Working px per frame px, x and y.
    taken : (H, W) bool
        Where other objects are.
    goes_far : bool
        Whether it is taken for the object all the same.

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
    alike = [
        (part, probability)
        for part in _parts_of(pooled > _FOUND_AGAIN)
        if 0.15 < np.count_nonzero(part) / area < 2
        and (probability := float((1 / (1 + np.exp(-odds[part]))).mean())) > _LIKELY
    ]
    if not goes_far and (len(alike) > 1 or _is_without_colour(features.lab)):
        alike = [(part, p) for part, p in alike if _is_within_reach(lost, part, scale)]
    if not alike:
        return None
    found, probability = alike[0]
    mask = to_frame_size(found, (0, 0, width, height), scale, taken.shape)
    return None if mask is None else (mask, FOUND_TEXTURED * probability)


def _parts_of(mask: BoolArray) -> list[BoolArray]:
    """The connected parts of a mask, the largest first."""
    count, parts, stats, _ = cv2.connectedComponentsWithStats(mask.view(np.uint8), connectivity=4)
    sizes = stats[1:count, cv2.CC_STAT_AREA]
    return [parts == 1 + n for n in np.argsort(-sizes, kind="stable").tolist()]


def _is_without_colour(lab: ByteImage) -> bool:
    return int(np.ptp(lab[..., 1:], axis=(0, 1)).max()) < _SAME_COLOUR


def _is_within_reach(lost: TrackedObject, part: BoolArray, scale: tuple[float, float]) -> bool:
    """Whether an object can have got to a place while it was not seen: about where it went."""
    rows, columns = np.nonzero(part)
    place = np.array([columns.mean() / scale[0], rows.mean() / scale[1]])
    way = np.array(lost.velocity) * min(lost.missing + 1, 20)
    ahead = place - np.array(centre_of(lost.last))
    length = float(way @ way)
    share = min(max(float(ahead @ way) / length, 0.0), 1.0) if length else 0.0
    reach = _WAY * float(np.sqrt(lost.whole)) + 0.25 * length**0.5
    return bool(np.hypot(*(ahead - share * way)) <= reach)


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
