"""How the picture moves between two frames: dense flow, with the cases that break it caught.

Dense inverse search (Kroeger et al., ECCV 2016, in OpenCV) is fast, but sees only motions that its
coarsest scale can hold, and needs a picture of some size. So a shift of the whole picture is
found first by phase correlation, and small pictures are padded. The flow always goes from the
later frame of a step to the earlier one, so that a mask is warped along without holes.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

FloatImage = NDArray[np.float32]
ByteImage = NDArray[np.uint8]

_WORKING_PIXELS = 512 * 512
_LEAST_SIDE = 32  # DIS refuses pictures under 12 px, and is blind in narrow ones
_SHIFT_SIDE = 256  # phase correlation needs no more
_CUT_ERROR = 30.0  # grey levels left unexplained by the flow: another scene


@dataclass(frozen=True, eq=False)
class WorkingFrame:
    """A frame at the bounded size at which motion is measured.

    Attributes
    ----------
    rgb, lab : (h, w, 3) uint8
        sRGB, and CIE Lab.
    grey : (h, w) uint8
    scale : (float, float)
        Working px per frame px, along x and along y.
    """

    rgb: ByteImage
    lab: ByteImage
    grey: ByteImage
    scale: tuple[float, float]

    @classmethod
    def of(cls, frame: ByteImage) -> WorkingFrame:
        """Shrink an (H, W, 3) uint8 frame by a whole factor."""
        height, width = frame.shape[:2]
        factor = int(np.ceil(np.sqrt(height * width / _WORKING_PIXELS)))
        size = (max(1, round(width / factor)), max(1, round(height / factor)))
        rgb = frame
        if size != (width, height):
            rgb = cv2.resize(frame, size, interpolation=cv2.INTER_AREA)
        rgb = np.ascontiguousarray(rgb)
        grey = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
        lab = cv2.cvtColor(rgb, cv2.COLOR_RGB2LAB)
        return cls(rgb, lab, grey, (size[0] / width, size[1] / height))


@dataclass(frozen=True, eq=False)
class Motion:
    """Where every pixel of a frame came from.

    Attributes
    ----------
    flow : (h, w, 2) float32
        From the target frame to the source frame, x and y, in working px.
    error : (h, w) float32
        Difference in grey between the target and the source warped onto it, 0..255, but for a
        flash.
    scale : (float, float)
        Working px per frame px, along x and along y.
    """

    flow: FloatImage
    error: FloatImage
    scale: tuple[float, float]

    @property
    def is_cut(self) -> bool:
        """Whether the flow explains so little that the frames show two scenes."""
        return float(self.error.mean()) > _CUT_ERROR

    @cached_property
    def is_new(self) -> NDArray[np.bool_]:
        """What came from beyond the source's border, (h, w) bool."""
        height, width = self.flow.shape[:2]
        x, y = origins_of(self.flow)
        return np.asarray((x < -1) | (x > width) | (y < -1) | (y > height))

    def source_positions(
        self, x0: int, y0: int, shape: tuple[int, ...]
    ) -> tuple[FloatImage, FloatImage]:
        """Where the frame's pixels of a box came from.

        Parameters
        ----------
        x0, y0, shape : int, int, (int, int)
            Box on the target: its first pixel, height and width; may reach out of the frame.

        Returns
        -------
        x, y : (h, w) float32
            Positions in the source frame, in array coordinates (pixel centres on integers).
        """
        columns = np.arange(x0, x0 + shape[1], dtype=np.float32)
        rows = np.arange(y0, y0 + shape[0], dtype=np.float32)
        flow = sample_box(self.flow, columns, rows, self.scale)
        return (
            columns[None, :] + flow[..., 0] / np.float32(self.scale[0]),
            rows[:, None] + flow[..., 1] / np.float32(self.scale[1]),
        )


def origins_of(flow: FloatImage, x0: int = 0, y0: int = 0) -> tuple[FloatImage, FloatImage]:
    """Where pixels came from, x and y in working px, by a part of the flow from x0, y0 on."""
    height, width = flow.shape[:2]
    columns = np.arange(x0, x0 + width, dtype=np.float32)
    rows = np.arange(y0, y0 + height, dtype=np.float32)[:, None]
    return columns + flow[..., 0], rows + flow[..., 1]


def sample_box(
    image: NDArray[Any],
    columns: FloatImage,
    rows: FloatImage,
    scale: tuple[float, float],
    origin: tuple[int, int] = (0, 0),
) -> FloatImage:
    """Read a working-size image at the frame's columns and rows, bilinearly.

    The image may be a part whose first pixel lies at `origin`, x and y in working px.
    """
    x = (columns + 0.5) * np.float32(scale[0]) - 0.5 - origin[0]
    y = (rows + 0.5) * np.float32(scale[1]) - 0.5 - origin[1]
    grid_x, grid_y = np.meshgrid(x, y)
    read = cv2.remap(image, grid_x, grid_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(read)


def estimate_motion(source: WorkingFrame, target: WorkingFrame) -> Motion:
    """Measure the motion between two neighbouring frames of equal size.

    A flash (the whole picture brighter or darker) is evened out before; on a cut the flow is
    meaningless, which `error` shows.
    """
    grey_source, grey_target, gain = _even_out(source.grey, target.grey)
    height, width = grey_target.shape
    bottom, right = max(0, _LEAST_SIDE - height), max(0, _LEAST_SIDE - width)
    if bottom or right:
        grey_source, grey_target = (
            cv2.copyMakeBorder(g, 0, bottom, 0, right, cv2.BORDER_REPLICATE)
            for g in (grey_source, grey_target)
        )
    shift = _global_shift(grey_source, grey_target)
    moved = grey_source if shift == (0.0, 0.0) else _translate(grey_source, shift)
    dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    flow = dis.calc(grey_target, moved, None)
    flow = flow[:height, :width] + np.asarray(shift, np.float32)
    x, y = origins_of(flow)
    warped = cv2.remap(grey_source, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    error = cv2.absdiff(warped, grey_target[:height, :width]).astype(np.float32) / gain
    return Motion(np.ascontiguousarray(flow, np.float32), error, target.scale)


def _even_out(a: ByteImage, b: ByteImage) -> tuple[ByteImage, ByteImage, float]:
    """Bring two grey pictures to one range: low contrast stretched, a flash taken out of both.

    The third value tells how much the second was stretched.
    """
    low_a, high_a = np.percentile(a[::4, ::4], (1, 99))
    low_b, high_b = np.percentile(b[::4, ::4], (1, 99))
    # sensor noise of a constant picture must not be blown up to texture
    span_a, span_b = max(high_a - low_a, 24.0), max(high_b - low_b, 24.0)
    flash = abs(low_a - low_b) + abs(high_a - high_b) > 24.0
    if not flash:
        low_a = low_b = min(low_a, low_b)
        span_a = span_b = max(span_a, span_b)
        if span_a > 128:
            return a, b, 1.0
    return _stretch(a, low_a, span_a), _stretch(b, low_b, span_b), 230.0 / span_b


def _stretch(grey: ByteImage, low: float, span: float) -> ByteImage:
    table = np.clip((np.arange(256) - low) * (230.0 / span) + 12.0, 0, 255)
    return np.asarray(cv2.LUT(grey, table.astype(np.uint8)))


def _translate(grey: ByteImage, shift: tuple[float, float]) -> ByteImage:
    """Read `grey` at (x + shift x, y + shift y)."""
    matrix = np.array([[1, 0, -shift[0]], [0, 1, -shift[1]]], np.float64)
    height, width = grey.shape
    return np.asarray(
        cv2.warpAffine(grey, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE)
    )


def _global_shift(source: ByteImage, target: ByteImage) -> tuple[float, float]:
    """Shift of the whole picture from target to source; (0, 0) unless it explains clearly more."""
    height, width = target.shape
    factor = min(1.0, _SHIFT_SIDE / max(height, width))
    size = (max(2, round(width * factor)), max(2, round(height * factor)))
    a, b = (
        cv2.resize(g, size, interpolation=cv2.INTER_AREA).astype(np.float32)
        for g in (target, source)
    )
    still = float(np.abs(a - b).mean())
    if still < 4.0:
        return 0.0, 0.0
    window = cv2.createHanningWindow(size, cv2.CV_32F)
    (dx, dy), _ = cv2.phaseCorrelate(a, b, window)
    dx, dy = float(round(dx)), float(round(dy))
    if max(abs(dx), abs(dy)) < 4 or abs(dx) > size[0] * 0.6 or abs(dy) > size[1] * 0.6:
        return 0.0, 0.0
    left, top = int(max(0, -dx)), int(max(0, -dy))
    right, bottom = int(min(size[0], size[0] - dx)), int(min(size[1], size[1] - dy))
    over_a = a[top:bottom, left:right]
    over_b = b[top + int(dy) : bottom + int(dy), left + int(dx) : right + int(dx)]
    still = float(np.abs(a[top:bottom, left:right] - b[top:bottom, left:right]).mean())
    if float(np.abs(over_a - over_b).mean()) > 0.75 * still:
        return 0.0, 0.0
    return dx * width / size[0], dy * height / size[1]
