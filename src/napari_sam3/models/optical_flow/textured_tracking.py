"""Following what has colours, textures, parts: people, animals, things.

Works at the flow's working size. The mask warped along the flow is the prior, the surer the deeper
inside; a classifier that knows what the object looks like, the colours of the frame before, and
what moves as the object does, say where it went wrong; a graph cut decides.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import cv2
import numpy as np

from napari_sam3.models.optical_flow.appearance_model import AppearanceModel
from napari_sam3.models.optical_flow.confidence import judge_appearance
from napari_sam3.models.optical_flow.frame_features import FrameFeatures, centre_and_size
from napari_sam3.models.optical_flow.graph_cut import cut_graph
from napari_sam3.models.optical_flow.mask_shapes import distance_to, ring_round
from napari_sam3.models.optical_flow.motion import FloatImage, Motion, WorkingFrame
from napari_sam3.models.optical_flow.motion_ratio import motion_ratio
from napari_sam3.models.optical_flow.pixel_classifier import colour_ratio
from napari_sam3.models.optical_flow.tracked_object import Found, TrackedObject
from napari_sam3.models.optical_flow.warp import WarpedMask, to_frame_size, to_working_size
from napari_sam3.values import BoolArray, Box, ObjectMask

_BAND = 25  # working px round the warped mask in which the outline may lie
_SURE = 8.0  # log-odds where the answer is not asked for
_PRIOR_REACH = 3.0
_APPEARANCE_WEIGHT, _APPEARANCE_REACH = 1.2, 4.0
_COLOUR_WEIGHT = 0.3
_DEEP, _DEEPEST, _DEPTH_WEIGHT = 3.0, 23.0, 0.2  # working px inside; log-odds a px between
_MOTION_WEIGHT = 0.7
_AT_OUTLINE = 6.0  # working px: flow is smooth, so nearer to the outline it tells less and less
_JOINING = 2.5  # times the weight: what moves as the ground does is not to join
_NEW = 1.0  # log-odds against what was not in the frame before
_SMOOTHNESS = 5.0


class TexturedView(NamedTuple):
    """Two neighbouring frames at working size.

    Attributes
    ----------
    before, here : WorkingFrame
        The source frame and the target.
    motion : Motion
        Between them.
    features : FrameFeatures
        Of the target.
    """

    before: WorkingFrame
    here: WorkingFrame
    motion: Motion
    features: FrameFeatures


class _Evidence(NamedTuple):
    """What speaks for an object in a box of the target; (h, w) float32 each.

    Attributes
    ----------
    prior : ndarray
        The soft mask warped along the flow.
    odds : ndarray
        Log-odds by all evidence together.
    appearance_odds : ndarray
        Log-odds by the classifier alone as it was first taught.
    """

    box: Box
    prior: FloatImage
    odds: FloatImage
    appearance_odds: FloatImage

    @property
    def slices(self) -> tuple[slice, slice]:
        x0, y0, x1, y1 = self.box
        return slice(y0, y1), slice(x0, x1)


def follow_textured(
    view: TexturedView,
    warped: Mapping[int, WarpedMask],
    tracked: Mapping[int, TrackedObject],
    settled: Iterable[ObjectMask],
) -> dict[int, Found]:
    """Find textured objects on the target frame; they compete for pixels.

    Parameters
    ----------
    view : TexturedView
    warped : mapping of object id to WarpedMask
        Where the flow takes the objects.
    tracked : mapping of object id to TrackedObject
        The same ones, and maybe others.
    settled : iterable of ObjectMask
        Where others are for sure.

    Returns
    -------
    mapping of object id to Found
    """
    rivals = np.zeros(view.here.grey.shape, np.float32)
    for mask in settled:
        rivals[to_working_size(mask, view.here)] += np.float32(np.exp(_SURE))
    evidence = {}
    for obj_id, guess in warped.items():
        evidence[obj_id] = _weigh(view, guess, tracked[obj_id].appearance)
        rivals[evidence[obj_id].slices] += np.exp(evidence[obj_id].odds)
    seen = {}
    for obj_id, (box, prior, odds, appearance_odds) in evidence.items():
        taught = tracked[obj_id].appearance is not None
        others = np.maximum(rivals[evidence[obj_id].slices] - np.exp(odds), 0)
        alone = odds - np.log1p(others)
        found = _cut_out(alone, box, view.features) if taught else np.asarray(alone > 0)
        whole = to_frame_size(found, box, view.motion.scale, warped[obj_id].mask.size)
        if whole is not None and tracked[obj_id].is_enough(whole):
            agreement = judge_appearance(found, prior > 0.5, appearance_odds, taught=taught)
            seen[obj_id] = (whole, agreement)
    return seen


def _weigh(view: TexturedView, warped: WarpedMask, appearance: AppearanceModel | None) -> _Evidence:
    prior, box = warped.at_working_size(view.motion, _BAND + 2)
    x0, y0, x1, y1 = box
    inside = prior > 0.5
    least = 1 / (1 + np.exp(_PRIOR_REACH))
    share = np.clip(prior, least, 1 - least)
    odds = np.log(share / (1 - share)).astype(np.float32)
    if appearance is None or not inside.any():
        return _Evidence(box, prior, odds * 2, odds)
    depth, away = distance_to(~inside), distance_to(inside)
    odds += _DEPTH_WEIGHT * np.clip(depth - _DEEP, 0, _DEEPEST - _DEEP)
    # what is warped there from the border of the frame before is no evidence
    odds[view.motion.is_new[y0:y1, x0:x1]] = -_NEW
    (cx, cy), size = centre_and_size(inside)
    pixels = view.features.around(box, (cx + x0, cy + y0), size)
    by_appearance = np.clip(appearance.now.log_odds(pixels), -_APPEARANCE_REACH, _APPEARANCE_REACH)
    mask = to_working_size(warped.origin, view.before)
    colours = view.features.lab[y0:y1, x0:x1]
    by_colour = colour_ratio(view.before.lab, mask, ring_round(mask, 0, 15), colours)
    odds += _APPEARANCE_WEIGHT * by_appearance + _COLOUR_WEIGHT * by_colour
    by_motion = motion_ratio(view.motion.flow[y0:y1, x0:x1], prior > 0.9, ring_round(inside, 3, 20))
    if by_motion is not None:
        by_motion[~inside & (by_motion < 0)] *= _JOINING
        odds += _MOTION_WEIGHT * np.minimum((depth + away) / _AT_OUTLINE, 1) * by_motion
    odds[away > _BAND] = -_SURE
    odds[depth > _BAND] = _SURE
    return _Evidence(box, prior, odds, appearance.at_first.log_odds(pixels))


def _cut_out(odds: FloatImage, box: Box, features: FrameFeatures) -> BoolArray:
    """Turn log-odds into a mask whose outline runs along the picture's edges."""
    x0, y0, x1, y1 = box
    guide = cv2.GaussianBlur(features.lab[y0:y1, x0:x1, :2], (0, 0), 0.6)
    return cut_graph(odds, guide, _SMOOTHNESS)
