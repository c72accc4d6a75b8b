"""Following what has colours, textures, parts: people, animals, things.

Works at the flow's working size. The mask warped along the flow is the prior; a classifier that
knows what the object looks like, and the colours of the frame before, say where it went wrong; a
graph cut decides.
"""

from __future__ import annotations

import cv2
import numpy as np

from napari_sam3.models.optical_flow.appearance_model import AppearanceModel
from napari_sam3.models.optical_flow.frame_features import FrameFeatures, centre_and_size
from napari_sam3.models.optical_flow.graph_cut import cut_graph
from napari_sam3.models.optical_flow.mask_shapes import distance_to, ring_round
from napari_sam3.models.optical_flow.motion import FloatImage
from napari_sam3.models.optical_flow.pixel_classifier import colour_ratio
from napari_sam3.values import BoolArray, Box

BAND = 25  # working px round the warped mask in which the outline may lie
SURE = 8.0  # log-odds where the answer is not asked for
_PRIOR_REACH = 3.0
_APPEARANCE_WEIGHT, _APPEARANCE_REACH = 1.2, 4.0
_COLOUR_WEIGHT = 0.3
_NEW = 1.0  # log-odds against what was not in the frame before
_SMOOTHNESS = 5.0


def weigh_evidence(
    warped: FloatImage,
    box: Box,
    appearance: AppearanceModel | None,
    features: FrameFeatures,
    before: tuple[np.ndarray, BoolArray],
    is_new: BoolArray,
) -> tuple[FloatImage, FloatImage]:
    """Log-odds that the pixels of a box are the object.

    Parameters
    ----------
    warped : (h, w) float32
        The soft mask warped along the flow, within `box`.
    before : (h, w, 3) uint8, (h, w) bool
        Colours (Lab) and mask of a part of the frame before.
    is_new : (h, w) bool
        What was not in the frame before: what is warped there from its border is no evidence.

    Returns
    -------
    log_odds, appearance_odds : (h, w) float32
        All evidence together, and alone that of the classifier as it was first taught.
    """
    x0, y0, x1, y1 = box
    inside = warped > 0.5
    least = 1 / (1 + np.exp(_PRIOR_REACH))
    share = np.clip(warped, least, 1 - least)
    odds = np.log(share / (1 - share)).astype(np.float32)
    if appearance is None or not inside.any():
        return odds * 2, odds
    odds[is_new] = -_NEW
    (cx, cy), size = centre_and_size(inside)
    there = features.around(box, (cx + x0, cy + y0), size)
    appearance_odds = appearance.now.log_odds(there)
    lab, mask = before
    colour = colour_ratio(lab, mask, ring_round(mask, 0, 15), features.lab[y0:y1, x0:x1])
    odds += (
        _APPEARANCE_WEIGHT * np.clip(appearance_odds, -_APPEARANCE_REACH, _APPEARANCE_REACH)
        + _COLOUR_WEIGHT * colour
    )
    away = distance_to(inside)
    odds[away > BAND] = -SURE
    odds[distance_to(~inside) > BAND] = SURE
    return odds, appearance.at_first.log_odds(there)


def decide(odds: FloatImage, box: Box, features: FrameFeatures, *, smooth: bool) -> BoolArray:
    """Turn log-odds into a mask whose outline runs along the picture's edges."""
    if not smooth:
        return np.asarray(odds > 0)
    x0, y0, x1, y1 = box
    guide = cv2.GaussianBlur(features.lab[y0:y1, x0:x1, :2], (0, 0), 0.6)
    return cut_graph(odds, guide, _SMOOTHNESS)
