"""A part of a frame, shrunk to a small picture, in which regions are looked for."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from napari_sam3.models.optical_flow.mask_shapes import Pixels
from napari_sam3.values import BoolArray, Box

_WINDOW_SIDE = 96  # px; what a window is shrunk to


class Clicks(NamedTuple):
    """Clicks on a frame: columns and rows, (N, 2) int, of those on the object and those off it."""

    positive: np.ndarray
    negative: np.ndarray


@dataclass(frozen=True, eq=False)
class Window:
    """A part of a frame, shrunk to a bounded size.

    Attributes
    ----------
    lab : (h, w, 3) uint8
        The picture in CIE Lab.
    edges : (h, w) float32
        Strength of edges, Lab units a px.
    box : (x0, y0, x1, y1)
        Where it lies in the frame, px.
    clipped : (left, top, right, bottom)
        Which of its sides are the frame's.
    """

    lab: NDArray[np.uint8]
    edges: NDArray[np.float32]
    box: Box
    clipped: tuple[bool, bool, bool, bool]

    @classmethod
    def around(cls, frame: np.ndarray, centre: np.ndarray, reach: float) -> Window:
        """Cut out a square of half side `reach` round a point."""
        x, y = centre
        return cls.cut_out(frame, x - reach, y - reach, x + reach + 1, y + reach + 1)

    @classmethod
    def cut_out(
        cls, frame: np.ndarray, x0: float, y0: float, x1: float, y1: float, side: int = _WINDOW_SIDE
    ) -> Window:
        """Cut out a box, as far as it lies in the frame."""
        height, width = frame.shape[:2]
        left, top = max(0, int(np.floor(x0))), max(0, int(np.floor(y0)))
        right, bottom = min(width, int(np.ceil(x1))), min(height, int(np.ceil(y1)))
        part = np.ascontiguousarray(frame[top:bottom, left:right])
        factor = min(1.0, side / max(part.shape[:2]))
        if factor < 1:
            size = (max(1, round(part.shape[1] * factor)), max(1, round(part.shape[0] * factor)))
            part = cv2.resize(part, size, interpolation=cv2.INTER_AREA)
        lab = cv2.cvtColor(part, cv2.COLOR_RGB2LAB)
        smooth = cv2.GaussianBlur(lab, (0, 0), 1.0).astype(np.float32)
        across = cv2.Sobel(smooth, cv2.CV_32F, 1, 0, borderType=cv2.BORDER_REPLICATE)
        down = cv2.Sobel(smooth, cv2.CV_32F, 0, 1, borderType=cv2.BORDER_REPLICATE)
        edges = (np.sqrt((across**2 + down**2).sum(axis=2)) / 8).astype(np.float32)
        clipped = (left == 0, top == 0, right == width, bottom == height)
        return cls(np.asarray(lab), edges, (left, top, right, bottom), clipped)

    @property
    def is_grey(self) -> bool:
        """Whether the picture has no colour."""
        return bool(np.ptp(self.lab[..., 1]) <= 2 and np.ptp(self.lab[..., 2]) <= 2)

    @cached_property
    def lightness(self) -> NDArray[np.float32]:
        """Without single-pixel noise, 0..255, (h, w)."""
        return np.asarray(cv2.GaussianBlur(self.lab[..., 0], (0, 0), 1.2).astype(np.float32))

    @property
    def scale(self) -> tuple[float, float]:
        """Window px per frame px, along x and along y."""
        x0, y0, x1, y1 = self.box
        return self.lab.shape[1] / (x1 - x0), self.lab.shape[0] / (y1 - y0)

    @property
    def side(self) -> int:
        """Its longer side, frame px."""
        x0, y0, x1, y1 = self.box
        return max(x1 - x0, y1 - y0)

    def inner_sides(self, width: int = 1) -> list[tuple[slice, slice]]:
        """Strips of some px along those sides that are not the frame's, as (rows, columns)."""
        everything, first, last = slice(None), slice(width), slice(-width, None)
        strips = (everything, first), (first, everything), (everything, last), (last, everything)
        return [s for s, is_border in zip(strips, self.clipped, strict=True) if not is_border]

    def cut_off(self, mask: BoolArray) -> float:
        """How much of a mask's outline the window cuts off inside the frame, window px."""
        return float(sum(np.count_nonzero(mask[side]) for side in self.inner_sides()))

    def locate(self, pixels: np.ndarray) -> Pixels:
        """The window's pixels for those of the frame's, (N, 2) columns and rows, that lie in it."""
        x0, y0, x1, y1 = self.box
        inside = pixels[((pixels >= (x0, y0)) & (pixels < (x1, y1))).all(axis=1)]
        columns, rows = np.floor((inside - (x0, y0) + 0.5) * self.scale).astype(int).T
        return rows, columns

    def paste(self, mask: BoolArray, onto: BoolArray) -> None:
        """Set the window's mask, enlarged, in a mask of the frame."""
        x0, y0, x1, y1 = self.box
        if mask.shape != (y1 - y0, x1 - x0):
            size = (x1 - x0, y1 - y0)
            mask = cv2.resize(mask.astype(np.float32), size, interpolation=cv2.INTER_CUBIC) > 0.5
        onto[y0:y1, x0:x1] = mask


@dataclass(frozen=True, eq=False)
class Proposal:
    """A region of a window and how much it looks like an object."""

    window: Window
    mask: BoolArray
    score: float

    @property
    def size(self) -> float:
        """Square root of its area, frame px."""
        sx, sy = self.window.scale
        return float(np.sqrt(self.mask.sum() / (sx * sy)))

    def on_frame(self, size: tuple[int, int]) -> BoolArray:
        """The region in a mask of the whole frame, whose (height, width) is given."""
        mask = np.zeros(size, bool)
        self.window.paste(self.mask, mask)
        return mask
