"""Following what has a look: colours, textures, parts. People, animals, things.

Works at the flow's working size. The mask pulled along the flow is the prior; a classifier that
knows what the object looks like, and the colours of the frame before, say where it went wrong; a
graph cut decides.
"""

from __future__ import annotations

import cv2
import numpy as np

from napari_sam3.models.optical_flow.appearance import colour_ratio
from napari_sam3.models.optical_flow.cut import cut
from napari_sam3.models.optical_flow.flow import FloatImage
from napari_sam3.models.optical_flow.look import Look
from napari_sam3.models.optical_flow.scene import Scene, place_of
from napari_sam3.models.optical_flow.shapes import distance_to
from napari_sam3.values import BoolArray

BAND = 25  # working px round the pulled mask in which the outline may lie
SURE = 8.0  # log-odds where the answer is not asked for
_PRIOR_REACH = 3.0
_LOOK_WEIGHT, _LOOK_REACH = 1.2, 4.0
_COLOUR_WEIGHT = 0.3
_NEW = 1.0  # log-odds against what was not in the frame before
_SMOOTHNESS = 5.0
_FOUND_AGAIN = 1.5  # log-odds, before and after pooling, for an object that was lost


def weigh_evidence(
    pulled: FloatImage,
    box: tuple[int, int, int, int],
    look: Look | None,
    scene: Scene,
    before: tuple[np.ndarray, BoolArray],
    is_new: BoolArray,
) -> tuple[FloatImage, FloatImage]:
    """Log-odds that the pixels of a box are the object.

    Parameters
    ----------
    pulled : (h, w) float32
        The soft mask pulled along the flow, within `box`.
    before : (h, w, 3) uint8, (h, w) bool
        Colours (Lab) and mask of a part of the frame before.
    is_new : (h, w) bool
        What was not in the frame before: what is pulled there from its border is no evidence.

    Returns
    -------
    log_odds, look_odds : (h, w) float32
        All evidence together, and alone that of the classifier as it was first taught.
    """
    x0, y0, x1, y1 = box
    inside = pulled > 0.5
    least = 1 / (1 + np.exp(_PRIOR_REACH))
    share = np.clip(pulled, least, 1 - least)
    odds = np.log(share / (1 - share)).astype(np.float32)
    if look is None or not inside.any():
        return odds * 2, odds
    odds[is_new] = -_NEW
    (cx, cy), size = place_of(inside)
    features = scene.around(box, (cx + x0, cy + y0), size)
    look_odds = look.now.log_odds(features)
    lab, mask = before
    ground = cv2.dilate(mask.astype(np.uint8), np.ones((31, 31), np.uint8)).astype(bool) & ~mask
    colour = colour_ratio(lab, mask, ground, scene.lab[y0:y1, x0:x1])
    odds += _LOOK_WEIGHT * np.clip(look_odds, -_LOOK_REACH, _LOOK_REACH) + _COLOUR_WEIGHT * colour
    away = distance_to(inside)
    depth = cv2.distanceTransform(inside.astype(np.uint8), cv2.DIST_L2, 5)
    odds[away > BAND] = -SURE
    odds[depth > BAND] = SURE
    return odds, look.at_first.log_odds(features)


def decide(
    odds: FloatImage, box: tuple[int, int, int, int], scene: Scene, *, smooth: bool
) -> BoolArray:
    """Turn log-odds into a mask whose outline runs along the picture's edges."""
    if not smooth:
        return np.asarray(odds > 0)
    x0, y0, x1, y1 = box
    guide = cv2.GaussianBlur(scene.lab[y0:y1, x0:x1, :2], (0, 0), 0.6)
    return cut(odds, guide, _SMOOTHNESS)


def find_again(
    look: Look, scene: Scene, area: float, taken: BoolArray
) -> tuple[BoolArray, float] | None:
    """Look for a lost object anywhere in a frame.

    Parameters
    ----------
    area : float
        Of the whole object, working px.
    taken : (h, w) bool
        Where other objects are.

    Returns
    -------
    mask, probability : (h, w) bool, float
        At working size; None if nothing looks enough like it, in about the size it had.
    """
    odds = look.now.log_odds(scene.anywhere())
    odds[taken] = -_LOOK_REACH
    area = max(area, 4.0)
    pooled = cv2.GaussianBlur(odds, (0, 0), max(1.0, 0.08 * float(np.sqrt(area))))
    sure = (pooled > _FOUND_AGAIN).astype(np.uint8)
    count, parts, stats, _ = cv2.connectedComponentsWithStats(sure, connectivity=4)
    if count < 2:
        return None
    largest = 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax())
    if not 0.15 < stats[largest, cv2.CC_STAT_AREA] / area < 2:
        return None
    mask = parts == largest
    probability = float((1 / (1 + np.exp(-odds[mask]))).mean())
    return (mask, probability) if probability > 0.85 else None
