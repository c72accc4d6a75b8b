"""What moves apart from its ground: a hint at what a box or a click on a film means."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from napari_sam3.models.optical_flow.flow import FloatImage, Motion
from napari_sam3.models.optical_flow.natural import remove_camera
from napari_sam3.values import BoolArray, Box

_LEAST_SPEED = 0.3  # working px a frame; slower is the flow's noise
_LEAST_GAP = 0.7  # in log speed, between what moves and what does not
_MOST_GROUND = (
    0.8  # share of moving ground over share of moving inside, beyond which speed misleads
)
_REACH = 3.0  # log-odds


@dataclass(frozen=True, eq=False)
class Speeds:
    """How fast every pixel moves against the camera.

    Attributes
    ----------
    speed : (h, w) float32
        Working px a frame.
    scale : (float, float)
        Working px per frame px, along x and along y.
    """

    speed: FloatImage
    scale: tuple[float, float]

    @classmethod
    def measure(cls, motion: Motion, box_xyxy: Box | None = None) -> Speeds:
        """Take the camera's motion, measured outside a box, off."""
        objects = np.zeros(motion.flow.shape[:2], bool)
        if box_xyxy is not None:
            (sx, sy), (x0, y0, x1, y1) = motion.scale, box_xyxy
            objects[int(y0 * sy) : int(y1 * sy) + 1, int(x0 * sx) : int(x1 * sx) + 1] = True
        drift = remove_camera(motion, objects)
        return cls(cv2.magnitude(drift[0], drift[1]), motion.scale)

    def within(self, box_xyxy: Box, shape: tuple[int, ...]) -> FloatImage:
        """Speeds in a box of the frame, drawn at (h, w)."""
        x0, y0, x1, y1 = box_xyxy
        sx, sy = self.scale
        left, top = int(x0 * sx), int(y0 * sy)
        right, bottom = max(int(x1 * sx), left + 1), max(int(y1 * sy), top + 1)
        return np.asarray(cv2.resize(self.speed[top:bottom, left:right], (shape[1], shape[0])))

    def moving_with(self, pixels: np.ndarray) -> Box | None:
        """The box, in frame px, of what moves where the frame's pixels (N, 2) are.

        None where they lie still, or where too much moves to tell.
        """
        odds = odds_of_moving(self.speed, np.ones(self.speed.shape, bool))
        if odds is None:
            return None
        moving = (odds > 0).astype(np.uint8)
        if moving.mean() > 0.5:
            return None
        _, parts = cv2.connectedComponents(moving, connectivity=4)
        columns, rows = np.floor((pixels + 0.5) * self.scale).astype(int).T
        found = parts[rows, columns]
        if (found > 0).mean() < 0.6:
            return None
        rows, columns = np.nonzero(np.isin(parts, np.unique(found[found > 0])))
        x0, x1 = np.percentile(columns, (0.5, 99.5)) / self.scale[0]
        y0, y1 = np.percentile(rows, (0.5, 99.5)) / self.scale[1]
        x, y = pixels.T
        return (
            int(min(x0, x.min() - 2)),
            int(min(y0, y.min() - 2)),
            int(max(x1, x.max() + 3)),
            int(max(y1, y.max() + 3)),
        )


def odds_of_moving(speed: FloatImage, inside: BoolArray) -> FloatImage | None:
    """Log-odds that pixels move on their own, told by the two kinds of speed inside.

    None where there are no two kinds, or where the outside moves as well.
    """
    log_speed = np.log(cv2.GaussianBlur(speed, (0, 0), 1.0) + _LEAST_SPEED)
    values = log_speed[inside]
    low, high = float(log_speed.min()), float(log_speed.max())
    if high - low < _LEAST_GAP:
        return None
    grey = ((values - low) / (high - low) * 255).astype(np.uint8)
    threshold, _ = cv2.threshold(grey.reshape(-1, 1), 0, 255, cv2.THRESH_OTSU)
    level = threshold / 255 * (high - low) + low
    fast = values > level
    if not fast.any() or fast.all():
        return None
    gap = float(np.median(values[fast]) - np.median(values[~fast]))
    ground = log_speed[~inside]
    moving_ground = float((ground > level).mean()) if ground.size else 0.0
    if gap < _LEAST_GAP or moving_ground > _MOST_GROUND * float(fast.mean()):
        return None
    return np.asarray(np.clip(3 * (log_speed - level), -_REACH, _REACH), np.float32)
