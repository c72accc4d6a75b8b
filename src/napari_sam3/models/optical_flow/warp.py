"""Masks between frames and between sizes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np

from napari_sam3.models.optical_flow.motion import (
    FloatImage,
    Motion,
    WorkingFrame,
    origins_of,
    sample_box,
)
from napari_sam3.values import BoolArray, Box, ObjectMask

_TINY = 12  # px; such masks are moved whole, bilinear reading would wear them off
_BLUR = 2.0  # working px


class RigidMove(NamedTuple):
    """A move as a whole: first turned round its centre, then shifted.

    Attributes
    ----------
    dx, dy : int
        Shift, px.
    turn : float
        Degrees, from x to y.
    centre : (float, float)
        x and y before the move, in array coordinates.
    """

    dx: int
    dy: int
    turn: float = 0.0
    centre: tuple[float, float] = (0.0, 0.0)

    def source_positions(
        self, x0: int, y0: int, shape: tuple[int, ...]
    ) -> tuple[FloatImage, FloatImage]:
        """Where the pixels of a box of the target came from, in array coordinates."""
        height, width = shape
        x, y = np.meshgrid(
            np.arange(x0 - self.dx, x0 - self.dx + width, dtype=np.float32),
            np.arange(y0 - self.dy, y0 - self.dy + height, dtype=np.float32),
        )
        if not self.turn:
            return x, y
        cos, sin = (np.float32(f(np.deg2rad(self.turn))) for f in (np.cos, np.sin))
        centre_x, centre_y = (np.float32(c) for c in self.centre)
        x, y = x - centre_x, y - centre_y
        return cos * x + sin * y + centre_x, cos * y - sin * x + centre_y


@dataclass(frozen=True, eq=False)
class WarpedMask:
    """A mask on its way along the flow.

    Attributes
    ----------
    mask : ObjectMask
        Where the flow takes it, on the target.
    origin : ObjectMask
        Where it was, on the source.
    move : RigidMove or None
        Its move as a whole, where that was found without the flow.
    """

    mask: ObjectMask
    origin: ObjectMask
    move: RigidMove | None = None

    def at_working_size(self, motion: Motion, margin: int) -> tuple[FloatImage, Box]:
        """The slightly blurred mask at the flow's size, and the box it covers there."""
        height, width = motion.flow.shape[:2]
        sx, sy = motion.scale
        x0, y0, x1, y1 = self.mask.bbox
        left, top = max(0, int(x0 * sx) - margin), max(0, int(y0 * sy) - margin)
        right = min(width, int(np.ceil(x1 * sx)) + margin)
        bottom = min(height, int(np.ceil(y1 * sy)) + margin)
        xs, ys = origins_of(motion.flow[top:bottom, left:right], left, top)
        blur = _BLUR / sx
        rim = int(3 * blur) + 1
        soft = cv2.GaussianBlur(np.pad(self.origin.crop, rim).astype(np.float32), (0, 0), blur)
        soft = _without_frame_border(soft, self.origin, rim, blur)
        x = (xs + np.float32(0.5)) / np.float32(sx) - np.float32(0.5 + self.origin.bbox[0] - rim)
        y = (ys + np.float32(0.5)) / np.float32(sy) - np.float32(0.5 + self.origin.bbox[1] - rim)
        return cv2.remap(soft, x, y, cv2.INTER_LINEAR), (left, top, right, bottom)


def _without_frame_border(soft: FloatImage, mask: ObjectMask, rim: int, blur: float) -> FloatImage:
    """Undo the fading towards the frame's border: the object goes on beyond it."""
    x0, y0, x1, y1 = mask.bbox
    height, width = mask.size
    inside = np.zeros(soft.shape, np.float32)
    top, left = max(0, rim - y0), max(0, rim - x0)
    bottom = soft.shape[0] - max(0, rim - (height - y1))
    right = soft.shape[1] - max(0, rim - (width - x1))
    if (top, left) == (0, 0) and (bottom, right) == soft.shape:
        return soft
    inside[top:bottom, left:right] = 1
    return np.asarray(soft / np.maximum(cv2.GaussianBlur(inside, (0, 0), blur), 0.2))


def warp_mask(mask: ObjectMask, motion: Motion) -> WarpedMask | None:
    """Warp a mask along the flow; None if it left the picture."""
    height, width = mask.size
    x0, y0, x1, y1 = mask.bbox
    sx, sy = motion.scale
    part = motion.flow[
        int(y0 * sy) : max(int(y0 * sy) + 1, int(np.ceil(y1 * sy))),
        int(x0 * sx) : max(int(x0 * sx) + 1, int(np.ceil(x1 * sx))),
    ].reshape(-1, 2)
    middle = np.median(part, axis=0)
    shift = middle / (sx, sy)
    if mask.area < _TINY:
        moved = move_mask(mask, RigidMove(round(-float(shift[0])), round(-float(shift[1]))))
        return None if moved is None else WarpedMask(moved, mask)
    spread = np.abs(part - middle).max(axis=0) / (sx, sy) + 6
    left = max(0, int(np.floor(x0 - shift[0] - spread[0])))
    top = max(0, int(np.floor(y0 - shift[1] - spread[1])))
    right = min(width, int(np.ceil(x1 - shift[0] + spread[0])))
    bottom = min(height, int(np.ceil(y1 - shift[1] + spread[1])))
    if left >= right or top >= bottom:
        return None
    soft = _warp_crop(mask, motion, left, top, (bottom - top, right - left))
    moved = ObjectMask.from_crop(soft > 0.5, left, top, mask.size)
    return None if moved is None else WarpedMask(moved, mask)


def _warp_crop(
    mask: ObjectMask, motion: Motion | RigidMove, left: int, top: int, shape: tuple[int, int]
) -> FloatImage:
    """A mask in a box of the target, 0..1."""
    x0, y0, _, _ = mask.bbox
    xs, ys = motion.source_positions(left, top, shape)
    # outside the crop there is nothing of it, which is what remap takes for granted
    crop = mask.crop.astype(np.float32)
    return np.asarray(cv2.remap(crop, xs - x0, ys - y0, cv2.INTER_LINEAR))


def warp_frame(
    frame: np.ndarray, motion: Motion | RigidMove, x0: int, y0: int, shape: tuple[int, ...]
) -> np.ndarray:
    """The source frame warped onto a box of the target, (h, w, 3) uint8."""
    xs, ys = motion.source_positions(x0, y0, shape)
    left, top = max(0, int(xs.min())), max(0, int(ys.min()))
    right, bottom = max(left + 1, int(xs.max()) + 2), max(top + 1, int(ys.max()) + 2)
    part = frame[top:bottom, left:right]
    if part.size == 0:
        return np.zeros((*shape, 3), np.uint8)
    warped = cv2.remap(
        np.ascontiguousarray(part),
        xs - np.float32(left),
        ys - np.float32(top),
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return np.asarray(warped)


def move_mask(mask: ObjectMask, move: RigidMove) -> ObjectMask | None:
    """Move a mask as a whole; None if it leaves the picture."""
    height, width = mask.size
    x0, y0, x1, y1 = mask.bbox
    # turned, it is at most as long as its diagonal
    rim = int(np.hypot(x1 - x0, y1 - y0)) // 2 + 1 if move.turn else 0
    left, top = max(0, x0 + move.dx - rim), max(0, y0 + move.dy - rim)
    right, bottom = min(width, x1 + move.dx + rim), min(height, y1 + move.dy + rim)
    if left >= right or top >= bottom:
        return None
    soft = _warp_crop(mask, move, left, top, (bottom - top, right - left))
    return ObjectMask.from_crop(soft >= 0.5, left, top, mask.size)


def to_working_size(mask: ObjectMask, frame: WorkingFrame) -> BoolArray:
    """A mask at the flow's size, (h, w) bool."""
    height, width = frame.grey.shape
    if (height, width) == mask.size:
        return mask.mask
    small = cv2.resize(mask.mask.astype(np.float32), (width, height), interpolation=cv2.INTER_AREA)
    return np.asarray(small >= 0.5)


def to_frame_size(
    small: BoolArray, box: Box, scale: tuple[float, float], size: tuple[int, int]
) -> ObjectMask | None:
    """A mask known in a box at the flow's size, as the object of the whole frame."""
    x0, y0 = box[:2]
    rows, columns = np.nonzero(small)
    if not rows.size:
        return None
    height, width = size
    left = max(0, int((columns.min() + x0 - 1) / scale[0]))
    top = max(0, int((rows.min() + y0 - 1) / scale[1]))
    right = min(width, int(np.ceil((columns.max() + x0 + 2) / scale[0])))
    bottom = min(height, int(np.ceil((rows.max() + y0 + 2) / scale[1])))
    across = np.arange(left, right, dtype=np.float32)
    down = np.arange(top, bottom, dtype=np.float32)
    soft = sample_box(small.astype(np.float32), across, down, scale, (x0, y0))
    return ObjectMask.from_crop(soft >= 0.5, left, top, size)
