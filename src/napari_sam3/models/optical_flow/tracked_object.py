"""What a tracker keeps of an object from frame to frame, besides its mask."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from napari_sam3.models.optical_flow.appearance_model import AppearanceModel, learn_appearance
from napari_sam3.models.optical_flow.blobs import Levels
from napari_sam3.models.optical_flow.confidence import confidence_of
from napari_sam3.models.optical_flow.frame_features import FrameFeatures
from napari_sam3.models.saved_states import StateReader, StateWriter
from napari_sam3.values import MOST_PIXELS, BoolArray, ObjectMask

SLOWNESS = 0.8  # of the running averages
_FASTEST = float(MOST_PIXELS)  # px a frame, that can be
_LEAST_SHARE = 0.15  # of its usual area, below which an object counts as lost

Found = tuple[ObjectMask, float]
"""An object on a frame, and how well it agrees with what is seen there, 0..1."""


@dataclass(frozen=True, eq=False)
class TrackedObject:
    """What an object was like; shared between frames where nothing changed.

    Attributes
    ----------
    levels : Levels or None
        For a blob: how it stands out.
    appearance : AppearanceModel or None
        For everything else: its classifier, where there was enough to learn from.
    last : ObjectMask
        Where it was seen last.
    velocity : (float, float)
        Of late, px a frame, x and y.
    area, confidence : float
        Running averages of its area, px, and of how well results agreed with what was expected.
    whole : float
        Area when nothing hid it, as far as is known, px.
    missing : int
        Frames since it was seen.
    """

    levels: Levels | None
    appearance: AppearanceModel | None
    last: ObjectMask
    velocity: tuple[float, float] = (0.0, 0.0)
    area: float = 0.0
    confidence: float = 1.0
    whole: float = 0.0
    missing: int = 0

    @classmethod
    def initialize(
        cls,
        mask: ObjectMask,
        frame: np.ndarray,
        describe: Callable[[], tuple[FrameFeatures, BoolArray]],
    ) -> TrackedObject:
        """Learn an object on its prompted frame.

        Parameters
        ----------
        mask : ObjectMask
        frame : (H, W, 3) uint8 ndarray
        describe : callable
            The frame's features and the mask at working size. Only asked for what is no blob.
        """
        levels = Levels.measure(frame, mask)
        appearance = learn_appearance(*describe()) if levels is None else None
        return cls(levels, appearance, mask, area=float(mask.area), whole=float(mask.area))

    @property
    def is_blob(self) -> bool:
        """Whether it is followed as a blob."""
        return self.levels is not None

    def is_enough(self, mask: ObjectMask) -> bool:
        """Whether a mask is not so small that the object counts as lost."""
        return mask.area >= _LEAST_SHARE * self.area

    def lose(self) -> TrackedObject:
        """One more frame without it."""
        return replace(self, missing=self.missing + 1)

    def see(self, mask: ObjectMask, agreement: float) -> TrackedObject:
        """Seen still; or again, and then what was thought of it before counts no more."""
        old, new = SLOWNESS, 1 - SLOWNESS
        (x0, y0), (x1, y1) = centre_of(self.last), centre_of(mask)
        frames = self.missing + 1
        velocity = self.velocity
        if mask.area > 0.85 * self.whole:  # the centre of what is half hidden moves otherwise
            velocity = (
                0.5 * velocity[0] + 0.5 * (x1 - x0) / frames,
                0.5 * velocity[1] + 0.5 * (y1 - y0) / frames,
            )
        return replace(
            self,
            last=mask,
            velocity=velocity,
            area=old * self.area + new * mask.area,
            confidence=agreement if self.missing else old * self.confidence + new * agreement,
            whole=max(float(mask.area), 0.98 * self.whole),
            missing=0,
        )

    def save(self, writer: StateWriter) -> dict[str, Any]:
        """What it became since it was initialized, as JSON."""
        appearance = self.appearance
        return {
            "last": writer.put_mask(self.last),
            "velocity": [float(v) for v in self.velocity],
            "area": float(self.area),
            "confidence": float(self.confidence),
            "whole": float(self.whole),
            "missing": self.missing,
            "weights": None if appearance is None else writer.put(appearance.now.weights),
        }

    def load(self, told: Any, reader: StateReader) -> TrackedObject:
        """What `save` told, of an object that was just initialized as then."""
        last, weights = reader.mask(told["last"]), told["weights"]
        x, y = (reader.number(v, -_FASTEST, _FASTEST) for v in told["velocity"])
        if last is None or (weights is None) != (self.appearance is None):
            raise ValueError("it is of another object")
        appearance = self.appearance
        if appearance is not None:
            now = appearance.now
            kept = reader.array(weights, "float16", now.weights.shape)
            appearance = replace(appearance, now=replace(now, weights=kept))
        return replace(
            self,
            appearance=appearance,
            last=last,
            velocity=(x, y),
            area=reader.number(told["area"], 0, MOST_PIXELS),
            confidence=reader.number(told["confidence"], -1, 2),
            whole=reader.number(told["whole"], 0, MOST_PIXELS),
            missing=reader.count(told["missing"]),
        )

    def replay(self, begin: int, shown: Mapping[int, ObjectMask | None]) -> TrackedObject:
        """Take in what an earlier process showed, as if it had been followed there.

        The same as there if `shown` begins right behind the prompted frame. Else what lies between
        is not known: its averages begin with what was shown first.

        Parameters
        ----------
        begin : int
            The prompted frame.
        shown : mapping of frame index to ObjectMask or None
            Neighbouring frames, in the order gone.
        """
        tracked = self
        skipped = abs(next(iter(shown)) - begin) - 1
        seen = next((mask for mask in shown.values() if mask is not None), None)
        if skipped and seen is not None:
            whole = max(float(seen.area), tracked.whole * 0.98**skipped)
            confidence = confidence_of(seen.score, blob=self.is_blob)
            tracked = replace(
                tracked, last=seen, area=float(seen.area), confidence=confidence, whole=whole
            )
        elif skipped:
            tracked = replace(tracked, missing=skipped)
        for mask in shown.values():
            if mask is None:
                tracked = tracked.lose()
            else:
                confidence = confidence_of(mask.score, blob=self.is_blob)
                tracked = replace(tracked.see(mask, confidence), confidence=confidence)
        return tracked


def centre_of(mask: ObjectMask) -> tuple[float, float]:
    """Centre of a mask, x and y, in array coordinates."""
    rows, columns = np.nonzero(mask.crop)
    return float(columns.mean()) + mask.bbox[0], float(rows.mean()) + mask.bbox[1]
