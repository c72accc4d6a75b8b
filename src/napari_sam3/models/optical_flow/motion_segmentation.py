"""What moves apart from its ground: a hint at what a box or a click on a film means."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from napari_sam3.models.optical_flow.frame_features import remove_camera_motion
from napari_sam3.models.optical_flow.mask_shapes import border_length, outline_of, ring_round
from napari_sam3.models.optical_flow.motion import FloatImage, Motion
from napari_sam3.values import BoolArray, Box

_LEAST_SPEED = 0.3  # working px a frame; slower is the flow's noise
_LEAST_GAP = 0.7  # in log speed, between what moves and what does not
# share of moving ground over share of moving inside, beyond which speed misleads
_MOST_GROUND = 0.8
_REACH = 3.0  # log-odds
_MOST_CLICKS = 0.6  # share of the clicks that must lie on what moves
_LEVELS = 16  # of speed, between the clicks and what lies still
_ALIKE = 0.3  # of the clicks' own speed: what differs by less moves with them
_LEAST_AREA = 20  # working px
_AXES = ((1, 0), (0, 1))
_COLOUR_BINS = 8  # a channel of Lab
_COLOUR_WEIGHT = 0.5  # of the colours that a region shares with its surroundings


class MovingRegion(NamedTuple):
    """What moves together.

    Attributes
    ----------
    box : (x0, y0, x1, y1)
        Round it, in frame px.
    mask : (h, w) bool
        At working size.
    """

    box: Box
    mask: BoolArray


@dataclass(frozen=True, eq=False)
class Speeds:
    """How fast every pixel moves against the camera.

    Attributes
    ----------
    drift : (2, h, w) float32
        Working px a frame, along x and along y.
    scale : (float, float)
        Working px per frame px, along x and along y.
    """

    drift: FloatImage
    scale: tuple[float, float]

    @cached_property
    def speed(self) -> FloatImage:
        """Working px a frame, (h, w)."""
        return np.asarray(np.hypot(self.drift[0], self.drift[1]))

    @cached_property
    def odds(self) -> FloatImage | None:
        """Log-odds that pixels move on their own, (h, w); None where that can't be told."""
        return odds_of_moving(self.speed, np.ones(self.speed.shape, bool))

    @cached_property
    def smooth_drift(self) -> FloatImage:
        """`drift` without its noise."""
        return np.stack([cv2.GaussianBlur(part, (0, 0), 1.0) for part in self.drift])

    @cached_property
    def jumps(self) -> FloatImage:
        """How much the motion differs from that of the pixels beside, working px a frame a px."""
        slopes = (cv2.Sobel(p, cv2.CV_32F, *to) for p in self.smooth_drift for to in _AXES)
        return np.asarray(np.sqrt(sum(slope**2 for slope in slopes)) / 8)

    def get_ready(self) -> None:
        """Compute ahead all that does not depend on what is pointed at."""
        if self.odds is not None:
            _ = self.smooth_drift, self.jumps

    @classmethod
    def measure(cls, motion: Motion, box_xyxy: Box | None = None) -> Speeds:
        """Take the camera's motion, measured outside a box, off."""
        objects = np.zeros(motion.flow.shape[:2], bool)
        if box_xyxy is not None:
            (sx, sy), (x0, y0, x1, y1) = motion.scale, box_xyxy
            objects[int(y0 * sy) : int(y1 * sy) + 1, int(x0 * sx) : int(x1 * sx) + 1] = True
        return cls(remove_camera_motion(motion, objects), motion.scale)

    def within(self, box_xyxy: Box, shape: tuple[int, ...]) -> FloatImage:
        """Speeds in a box of the frame, drawn at (h, w)."""
        return self._part(self.speed, box_xyxy, shape)

    def mask_within(self, mask: BoolArray, box_xyxy: Box, shape: tuple[int, ...]) -> BoolArray:
        """A mask of working size in a box of the frame, drawn at (h, w)."""
        return self._part(mask.astype(np.float32), box_xyxy, shape) > 0.5

    def _part(self, picture: FloatImage, box_xyxy: Box, shape: tuple[int, ...]) -> FloatImage:
        x0, y0, x1, y1 = box_xyxy
        sx, sy = self.scale
        left, top = int(x0 * sx), int(y0 * sy)
        right, bottom = max(int(x1 * sx), left + 1), max(int(y1 * sy), top + 1)
        return np.asarray(cv2.resize(picture[top:bottom, left:right], (shape[1], shape[0])))

    def moving_with(self, pixels: np.ndarray, frame: np.ndarray) -> MovingRegion | None:
        """What moves where some pixels (N, 2) of the (H, W, 3) uint8 frame are.

        None where they lie still, or where too much moves to tell.
        """
        if self.odds is None:
            return None
        moving = (self.odds > 0).astype(np.uint8)
        if moving.mean() > 0.5:
            return None
        columns, rows = np.floor((pixels + 0.5) * self.scale).astype(int).T
        if moving[rows, columns].mean() < _MOST_CLICKS:
            return None
        colours = _coarse_colours(frame, self.speed.shape)
        found = _regions_of_motion(self, colours, rows, columns)
        best = max(found, key=lambda r: r[0], default=None)
        if best is None:
            return None
        _, region = best
        rows, columns = np.nonzero(region)
        x0, x1 = np.percentile(columns, (0.5, 99.5)) / self.scale[0]
        y0, y1 = np.percentile(rows, (0.5, 99.5)) / self.scale[1]
        x, y = pixels.T
        left, top = int(min(x0, x.min() - 2)), int(min(y0, y.min() - 2))
        box = left, top, int(max(x1, x.max() + 3)), int(max(y1, y.max() + 3))
        return MovingRegion(box, region)


def _regions_of_motion(
    speeds: Speeds, colours: NDArray[np.intp], rows: np.ndarray, columns: np.ndarray
) -> Iterator[tuple[float, BoolArray]]:
    """Regions that are faster than a level, or move more alike than one, and how likely each is.

    Between what is clicked and its ground, other things may move too (water, a shadow, a limb of
    somebody else): so no one level tells what moves with the clicks. That region is likely whose
    outline is a jump of the motion, and changes little with the level; and whose colours are not
    those around it, for half an animal may turn, or lag behind its other half.
    """
    drift, jumps = speeds.smooth_drift, speeds.jumps
    speed = np.hypot(drift[0], drift[1])
    own = np.median(drift[:, rows, columns], axis=1)
    apart = np.hypot(drift[0] - own[0], drift[1] - own[1])
    own_speed = float(np.hypot(*own)) + _LEAST_SPEED
    still = float(np.log(np.median(speed) + _LEAST_SPEED))
    for value, high, low in (
        (np.log(speed + _LEAST_SPEED), np.log(own_speed), still),
        (-np.log(apart + _LEAST_SPEED), -np.log(_ALIKE * own_speed), -np.log(own_speed)),
    ):
        found = []
        for level in np.linspace(high, low, _LEVELS + 2)[1:-1] if high > low else ():
            _, parts = cv2.connectedComponents((value > level).view(np.uint8), connectivity=4)
            clicked = parts[rows, columns]
            if (clicked > 0).mean() < _MOST_CLICKS:
                continue
            chosen = np.zeros(int(parts.max()) + 1, bool)
            chosen[clicked[clicked > 0]] = True
            region = chosen[parts]
            found.append((region, int(np.count_nonzero(region))))
        for k, (region, area) in enumerate(found):
            if not _LEAST_AREA <= area <= 0.5 * region.size:
                continue
            before, after = found[max(k - 1, 0)][1], found[min(k + 1, len(found) - 1)][1]
            growth = min(float(np.log(after / before)) / 3, 1.0)
            outline = outline_of(region)
            jump = float(jumps[outline].mean()) / own_speed if outline.any() else 0.0
            framed = border_length(region) / np.sqrt(area)
            share = float(np.log(area / region.size))
            shared = _COLOUR_WEIGHT * _shared_colours(colours, region)
            yield jump - 0.1 * framed - 0.5 * growth + 0.07 * share - shared, region


def _coarse_colours(frame: np.ndarray, shape: tuple[int, ...]) -> NDArray[np.intp]:
    """The number of every pixel's colour among few, (h, w)."""
    small = cv2.resize(frame, (shape[1], shape[0]), interpolation=cv2.INTER_AREA)
    lab = cv2.cvtColor(small, cv2.COLOR_RGB2LAB).astype(np.intp)
    lightness = lab[..., 0] * _COLOUR_BINS // 256
    # natural colours lie near grey: the bins of both chromas are a quarter as wide
    a, b = (np.clip((lab[..., k] - 96) * _COLOUR_BINS // 64, 0, _COLOUR_BINS - 1) for k in (1, 2))
    return np.asarray((lightness * _COLOUR_BINS + a) * _COLOUR_BINS + b)


def _shared_colours(colours: NDArray[np.intp], region: BoolArray) -> float:
    """How alike the colours in a region and around it are, 0 to 1 (Bhattacharyya's coefficient)."""
    ring = ring_round(region, 2, 8)
    if not ring.any():
        return 1.0
    inside, around = (
        np.bincount(colours[part], minlength=_COLOUR_BINS**3) / np.count_nonzero(part)
        for part in (region, ring)
    )
    return float(np.sqrt(inside * around).sum())


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
