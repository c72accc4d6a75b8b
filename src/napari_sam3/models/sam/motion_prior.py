"""Where an object is expected by how it moved, and which mask that speaks for.

The idea of SAMURAI's motion modelling (C.-Y. Yang, H.-W. Huang, W. Chai, Z. Jiang, J.-N. Hwang,
"SAMURAI: Adapting Segment Anything Model for Zero-Shot Visual Tracking with Motion-Aware Memory",
arXiv:2411.11922): a Kalman filter of constant speed follows the box round the object's mask. Of the
masks that the decoder offers the one is taken whose expected overlap and whose box's overlap with
the box foretold are best together. Where two things that look the same cross, the decoder may think
better of the wrong one by a little; where they were going tells them apart.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from napari_sam3.models.sam.alternatives import Alternatives, Box, Choose, box_of, overlap
from napari_sam3.models.saved_states import StateReader

WEIGHT = 0.15
"""Of the box's overlap beside the mask's quality: the best of the paper's table 4."""

STEADY = 15
"""Frames in a row on which the object was followed before its motion counts, as SAMURAI's settings
have it (`stable_frames_threshold`)."""

LOST = 0.3
"""Expected overlap of the chosen mask up to which it tells of no motion and the filter begins anew,
likewise (`stable_ious_threshold`)."""

# deviations as parts of the object's size, as N. Wojke, A. Bewley and D. Paulus have them in
# "Simple Online and Realtime Tracking with a Deep Association Metric", arXiv:1703.07402
_PLACE, _SPEED = 1 / 20, 1 / 160

_Four = tuple[float, float, float, float]


@dataclass(frozen=True)
class Motion:
    """Where an object is and how fast it goes, on the decoder's masks; never changed.

    The four numbers of a box do not depend on each other, and are equally uncertain: each has a
    filter of its own, with the same variances.

    Attributes
    ----------
    place : tuple of 4 floats
        Centre x, centre y, width, height, px.
    speed : tuple of 4 floats
        Of these, px a frame.
    spread : (float, float, float)
        Variance of a place, covariance of place and speed, variance of a speed.
    n_frames : int
        In a row, on which the object was followed.
    """

    place: _Four
    speed: _Four
    spread: tuple[float, float, float]
    n_frames: int

    @classmethod
    def begun(cls, box: Box) -> Motion:
        """What a first box tells."""
        place = _measured(box)
        size = max(place[2:])
        # nothing is known of its speed yet: ten times as uncertain as it will be
        spread = ((2 * _PLACE * size) ** 2, 0.0, (10 * _SPEED * size) ** 2)
        return cls(place, (0.0, 0.0, 0.0, 0.0), spread, 1)

    @property
    def expected(self) -> Box:
        """The box foretold for the next frame."""
        x, y, width, height = (p + s for p, s in zip(self.place, self.speed, strict=True))
        width, height = max(width, 1.0), max(height, 1.0)
        return x - width / 2, y - height / 2, x + width / 2, y + height / 2

    def met(self, box: Box) -> Motion:
        """What is known once the next frame's box is."""
        size = max(self.place[2:])
        of_place, of_both, of_speed = self.spread
        # a frame on, both have become less certain
        of_place += 2 * of_both + of_speed + (_PLACE * size) ** 2
        of_both += of_speed
        of_speed += (_SPEED * size) ** 2
        # how much of what is new the place takes, and the speed
        total = of_place + (_PLACE * size) ** 2
        for_place, for_speed = of_place / total, of_both / total
        place, speed = [], []
        for old, rate, seen in zip(self.place, self.speed, _measured(box), strict=True):
            new = seen - (old + rate)
            place.append(old + rate + for_place * new)
            speed.append(rate + for_speed * new)
        spread = (
            (1 - for_place) * of_place,
            (1 - for_place) * of_both,
            of_speed - for_speed * of_both,
        )
        return Motion(_four(place), _four(speed), spread, self.n_frames + 1)

    def save(self) -> list[Any]:
        """As JSON."""
        return [*self.place, *self.speed, *self.spread, self.n_frames]

    @classmethod
    def load(cls, told: Any, reader: StateReader) -> Motion:
        """What `save` made."""
        *numbers, n_frames = told
        if len(numbers) != 11:
            raise ValueError(f"{len(numbers)} numbers of a motion")
        limits = [*[-math.inf] * 2, *[0.0] * 2, *[-math.inf] * 4, *[0.0, -math.inf, 0.0]]
        known = [reader.number(n, low) for n, low in zip(numbers, limits, strict=True)]
        place_var, both, speed_var = known[8:]
        spread = (place_var, both, speed_var)
        return cls(_four(known[:4]), _four(known[4:8]), spread, reader.count(n_frames))


def motion_after(motion: Motion | None, offered: Alternatives) -> Motion | None:
    """What is known of the motion after a frame; None where the object was not followed there."""
    box = box_of(offered.mask)
    if box is None or offered.quality[offered.chosen] <= LOST:
        return None
    return Motion.begun(box) if motion is None else motion.met(box)


def choice_by(motion: Motion | None) -> Choose | None:
    """Who chooses among the masks of the next frame; None: the decoder itself."""
    if motion is None or motion.n_frames < STEADY:
        return None
    expected = motion.expected

    def choose(offered: Alternatives) -> int:
        if not offered.mask.any():  # the object is not there, or the best mask is empty
            return offered.chosen
        boxes = [box_of(mask) for mask in offered.masks]
        scores = [
            WEIGHT * (0.0 if box is None else overlap(expected, box)) + (1 - WEIGHT) * quality
            for box, quality in zip(boxes, offered.quality, strict=True)
        ]
        return int(np.argmax(scores))

    return choose


def _measured(box: Box) -> _Four:
    x0, y0, x1, y1 = box
    return (x0 + x1) / 2, (y0 + y1) / 2, x1 - x0, y1 - y0


def _four(numbers: list[float]) -> _Four:
    one, two, three, four = numbers
    return one, two, three, four
