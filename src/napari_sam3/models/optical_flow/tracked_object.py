"""What a tracker keeps of an object from frame to frame, besides its mask."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from napari_sam3.models.optical_flow.appearance_model import AppearanceModel
from napari_sam3.models.optical_flow.blobs import Levels
from napari_sam3.values import ObjectMask

SLOWNESS = 0.8  # of the running averages


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

    @property
    def is_blob(self) -> bool:
        """Whether it is followed as a blob."""
        return self.levels is not None

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


def centre_of(mask: ObjectMask) -> tuple[float, float]:
    """Centre of a mask, x and y, in array coordinates."""
    rows, columns = np.nonzero(mask.crop)
    return float(columns.mean()) + mask.bbox[0], float(rows.mean()) + mask.bbox[1]
