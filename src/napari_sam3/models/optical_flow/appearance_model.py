"""What an object looks like: learnt on its prompted frame, and on every frame since.

What is taught by a tracker's own results drifts with them. So half of each later lesson is the
prompted frame again, and of the other half only what is beyond doubt: the object's inner part,
where the classifier agrees; and ground that is well away from it. A quarter of the prompted frame
is told as if it moved as object and ground do by now: what turns or stops looks as before.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from napari_sam3.models.optical_flow.frame_features import (
    PLACE_WEIGHT,
    FrameFeatures,
    centre_and_size,
)
from napari_sam3.models.optical_flow.mask_shapes import depth_of, distance_to
from napari_sam3.models.optical_flow.motion import FloatImage
from napari_sam3.models.optical_flow.pixel_classifier import BATCH, PixelClassifier
from napari_sam3.values import BoolArray

_SAMPLES = 9000  # of either kind, on the prompted frame
_FEWEST = 20  # pixels of either kind below which nothing is learnt
_LEAST_THICK = 0.3  # of a mask, without its thin parts
_NEAR = 20  # working px: ground at the object counts more than ground elsewhere
_STEPS, _RATE = 40, 0.006  # of a later lesson
_GAP, _BELT = 15, 40  # working px: ground begins so far off the object; and what of it is near
_INNER = 0.5  # of the greatest depth in the object
_AGREED = 1.0  # log-odds
_MOTION = slice(-2, None)  # of the features
_SHAKEN = slice(-4, None)  # of the features: the place and the motion
# how far a tracker misjudges the place; half a px a frame of the motion, too, for nothing keeps
# moving as it did on the frame it was learnt on
_JITTER = 0.5 * PLACE_WEIGHT


@dataclass(frozen=True, eq=False)
class AppearanceModel:
    """A classifier of pixels, and what it was first taught.

    Attributes
    ----------
    now, at_first : PixelClassifier
        As it is by now, and as it was on the prompted frame.
    first_lesson : (F, 2 N) float32
        Pixels of the prompted frame: N of the object, then N of the ground.
    """

    now: PixelClassifier
    at_first: PixelClassifier
    first_lesson: FloatImage


def learn_appearance(features: FrameFeatures, mask: BoolArray) -> AppearanceModel | None:
    """Train a classifier on a frame and a mask at working size; None without both kinds."""
    if mask.sum() < _FEWEST or (~mask).sum() < _FEWEST:
        return None
    away = distance_to(mask)
    rng = np.random.default_rng(0)
    pixels = np.concatenate(
        [
            rng.choice(np.flatnonzero(_without_thin_parts(mask)), _SAMPLES),
            rng.choice(np.flatnonzero((away > 0) & (away < _NEAR)), 2 * _SAMPLES // 3),
            rng.choice(np.flatnonzero(~mask), _SAMPLES // 3),
        ]
    )
    lesson = features.at(pixels, *centre_and_size(mask))
    net = PixelClassifier.learn(lesson, np.arange(len(pixels)) < _SAMPLES, _SHAKEN, _JITTER)
    return AppearanceModel(net, net, lesson)


def _without_thin_parts(mask: BoolArray) -> BoolArray:
    """A mask without what is under 3 px thin, as ropes are: half of what is seen there is ground.

    All of it where little else would be left.
    """
    thick = cv2.morphologyEx(mask.view(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8)) > 0
    return np.asarray(thick) if thick.sum() > _LEAST_THICK * mask.sum() else mask


def update_appearance(
    appearance: AppearanceModel, features: FrameFeatures, mask: BoolArray, seed: int
) -> AppearanceModel:
    """Go on learning on a later frame; the same model where nothing on it is beyond doubt.

    Parameters
    ----------
    mask : (h, w) bool
        The object there, at working size.
    seed : int
        Chooses the pixels.
    """
    if not mask.any():
        return appearance
    rng = np.random.default_rng(seed)
    count = _STEPS * BATCH // 4
    away = distance_to(mask)
    near = np.flatnonzero((away > _GAP) & (away < _GAP + _BELT))
    if len(near) < _FEWEST:
        return appearance
    depth = depth_of(mask)
    inner = rng.choice(np.flatnonzero(depth >= _INNER * depth.max()), 2 * count)
    place = centre_and_size(mask)
    of_object = features.at(inner, *place)
    motion_now = of_object[_MOTION, : count // 4].copy()
    of_object = of_object[:, appearance.now.log_odds(of_object) > _AGREED][:, :count]
    ground = np.concatenate(
        [
            rng.choice(near, count // 2),
            rng.choice(np.flatnonzero(away > _GAP), count - count // 2),
        ]
    )
    half = appearance.first_lesson.shape[1] // 2
    known = np.concatenate([rng.integers(0, half, count), rng.integers(half, 2 * half, count)])
    of_ground = features.at(ground, *place)
    told_again = appearance.first_lesson[:, known]
    told_again[_MOTION, : count // 4] = motion_now
    told_again[_MOTION, count : count + count // 4] = of_ground[_MOTION, : count // 4]
    lesson = np.concatenate([of_object, told_again, of_ground], axis=1)
    truth = np.arange(lesson.shape[1]) < of_object.shape[1] + count
    net = PixelClassifier.learn(lesson, truth, _SHAKEN, _JITTER, _STEPS, _RATE, appearance.now)
    return replace(appearance, now=net)
