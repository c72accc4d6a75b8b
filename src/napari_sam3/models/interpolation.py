"""One mask of two: an object between two of its keyframes, followed from either side."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from napari_sam3.values import ObjectMask

_SAME = 0.3  # overlap from which on two masks mean the same place, and are averaged
_SURE = 0.5  # score from which on a mask counts though the other side does not see the object
_SCORE_POWER = 3  # how much more the better believed one counts
_DEPTH = 0.2  # of the object's size: what lies deeper within it, or farther off, counts alike


def interpolate_masks(
    near: ObjectMask | None, far: ObjectMask | None, share: float
) -> ObjectMask | None:
    """Make one mask of what was found of an object on a frame from the keyframes on its two sides.

    Where both see it in one place, the outline goes between theirs; where not, the one that is
    believed more has it. Where only one sees it, it must be sure or the nearer one.

    Parameters
    ----------
    near, far : ObjectMask or None
        As found from the one side and from the other; None where it was not seen.
    share : float
        How much `far` counts for where its keyframe is, 0..1; `near` counts for the rest.

    Returns
    -------
    ObjectMask or None
        Its score is the mean of both, weighed, or that of the one chosen.
    """
    if near is None and far is None:
        return None
    if near is None or far is None:
        seen, weight = (near, 1 - share) if far is None else (far, share)
        return seen if seen is not None and (seen.score >= _SURE or weight > 0.5) else None
    weights = (1 - share) * near.score**_SCORE_POWER, share * far.score**_SCORE_POWER
    if near.overlap(far) >= _SAME:
        between = _average_outlines(near, far, weights)
        if between is not None:
            return between
    believed = near.score, far.score
    if believed[0] == believed[1]:
        believed = weights
    return near if believed[0] >= believed[1] else far


def _average_outlines(
    near: ObjectMask, far: ObjectMask, weights: tuple[float, float]
) -> ObjectMask | None:
    boxes = np.array([near.bbox, far.bbox])
    x0, y0 = boxes[:, :2].min(axis=0)
    x1, y1 = boxes[:, 2:].max(axis=0)
    depth = max(1.0, _DEPTH * float(np.sqrt(0.5 * (near.area + far.area))))
    total = sum(weights)
    if total <= 0:
        return None
    field = np.zeros((y1 - y0, x1 - x0), np.float32)
    for mask, weight in zip((near, far), weights, strict=True):
        field += np.float32(weight / total) * np.clip(_depth_in(mask, x0, y0, field), -depth, depth)
    score = (near.score * weights[0] + far.score * weights[1]) / total
    return ObjectMask.from_crop(field > 0, int(x0), int(y0), near.size, float(score))


def _depth_in(mask: ObjectMask, x0: int, y0: int, like: NDArray[np.float32]) -> NDArray[np.float32]:
    """How deep pixels of a box lie in a mask, px; negative outside."""
    left, top, right, bottom = mask.bbox
    # a rim, for the box may be full of the mask
    inside = np.zeros((like.shape[0] + 2, like.shape[1] + 2), np.uint8)
    inside[top - y0 + 1 : bottom - y0 + 1, left - x0 + 1 : right - x0 + 1] = mask.crop
    depths = [cv2.distanceTransform(m, cv2.DIST_L2, 5) for m in (inside, 1 - inside)]
    return np.asarray(depths[0] - depths[1], np.float32)[1:-1, 1:-1]
