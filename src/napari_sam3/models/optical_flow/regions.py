"""Proposals for the region that clicks or a box mean, in a small window of a frame."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_sam3.values import BoolArray

_WINDOW_SIDE = 96  # px; what a window is shrunk to
_LEVELS = 20  # thresholds tried between a click and its surroundings


@dataclass(frozen=True, eq=False)
class Window:
    """A part of a frame, shrunk to a bounded size.

    Attributes
    ----------
    lab : (h, w, 3) uint8
        The picture in CIE Lab.
    edges : (h, w) float32
        Strength of edges, 0..1 of the strongest in the window.
    box : (x0, y0, x1, y1)
        Where it lies in the frame, px.
    """

    lab: NDArray[np.uint8]
    edges: NDArray[np.float32]
    box: tuple[int, int, int, int]
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
        strength = np.sqrt((across**2 + down**2).sum(axis=2))
        # in noise alone no edge counts
        edges = np.clip(strength / max(float(np.percentile(strength, 95)), 12.0), 0, 1)
        clipped = (left == 0, top == 0, right == width, bottom == height)
        return cls(np.asarray(lab), edges.astype(np.float32), (left, top, right, bottom), clipped)

    @property
    def scale(self) -> tuple[float, float]:
        """Window px per frame px, along x and along y."""
        x0, y0, x1, y1 = self.box
        return self.lab.shape[1] / (x1 - x0), self.lab.shape[0] / (y1 - y0)

    def locate(self, pixels: np.ndarray) -> np.ndarray:
        """Columns and rows, (M, 2) int, in the window of those frame pixels that lie in it."""
        x0, y0, x1, y1 = self.box
        inside = pixels[
            (pixels[:, 0] >= x0) & (pixels[:, 0] < x1) & (pixels[:, 1] >= y0) & (pixels[:, 1] < y1)
        ]
        return np.floor((inside - (x0, y0) + 0.5) * self.scale).astype(int)

    def paste(self, mask: BoolArray, onto: BoolArray) -> None:
        """Set the window's mask, enlarged, in a mask of the frame."""
        x0, y0, x1, y1 = self.box
        if mask.shape == (y1 - y0, x1 - x0):
            onto[y0:y1, x0:x1] = mask
            return
        soft = cv2.resize(
            mask.astype(np.float32), (x1 - x0, y1 - y0), interpolation=cv2.INTER_CUBIC
        )
        onto[y0:y1, x0:x1] = soft > 0.5


@dataclass(frozen=True, eq=False)
class Proposal:
    """A region of a window and how much it looks like an object."""

    mask: BoolArray
    score: float


def propose_regions(
    window: Window, positive: np.ndarray, negative: np.ndarray
) -> Iterator[Proposal]:
    """Regions that hold the positive clicks of a window and none of the negative ones."""
    seeds, against = window.locate(positive), window.locate(negative)
    for mask in (*_threshold_regions(window, seeds), *_cut_regions(window, seeds, against)):
        joined = _parts_with(mask, seeds)
        if len(against):
            joined[against[:, 1], against[:, 0]] = False
            joined = _parts_with(joined, seeds)
        joined = ndimage.binary_fill_holes(joined)
        if len(against):
            joined[against[:, 1], against[:, 0]] = False
        if joined.sum() < 3 or not joined[seeds[:, 1], seeds[:, 0]].all():
            continue
        yield Proposal(joined, _likeness(window, joined))


def propose_in_box(
    window: Window,
    box: tuple[int, int, int, int],
    positive: np.ndarray,
    negative: np.ndarray,
) -> BoolArray:
    """The region that fills a tight box."""
    height, width = window.lab.shape[:2]
    x0, y0 = np.floor((np.array(box[:2]) - window.box[:2]) * window.scale).astype(int)
    x1, y1 = np.ceil((np.array(box[2:]) - window.box[:2]) * window.scale).astype(int)
    x1, y1 = max(x1, x0 + 1), max(y1, y0 + 1)
    seeds, against = window.locate(positive), window.locate(negative)
    inside = np.zeros((height, width), bool)
    inside[y0:y1, x0:x1] = True
    rows, columns = np.mgrid[:height, :width] + 0.5
    radius = ((columns - (x0 + x1) / 2) / (x1 - x0)) ** 2 + (
        (rows - (y0 + y1) / 2) / (y1 - y0)
    ) ** 2
    best, best_score = inside & (radius <= 0.25), -np.inf
    for core in (0.16, 0.25, 0.4, 0.5):
        sides = np.where(inside & (radius <= core), cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
        sides[~inside] = cv2.GC_BGD
        mask = _grab(window.lab, sides, seeds, against, 4)
        if mask is None:
            continue
        mask = ndimage.binary_fill_holes(mask)
        rows_hit = np.flatnonzero(mask.any(axis=1))
        columns_hit = np.flatnonzero(mask.any(axis=0))
        if not rows_hit.size:
            continue
        reach = (columns_hit[-1] + 1 - columns_hit[0]) * (rows_hit[-1] + 1 - rows_hit[0])
        fill = reach / ((x1 - x0) * (y1 - y0))
        area = mask.sum() / inside.sum()
        score = _likeness(window, mask) + 2 * min(fill, 0.9) + min(area, 0.3) * 2
        if score > best_score:
            best, best_score = mask, score
    return best


def _grab(
    lab: np.ndarray, sides: np.ndarray, seeds: np.ndarray, against: np.ndarray, rounds: int
) -> BoolArray | None:
    """Colour mixtures learnt in turns with a cut, from a first guess of the sides."""
    sides = sides.copy()
    sides[seeds[:, 1], seeds[:, 0]] = cv2.GC_FGD
    sides[against[:, 1], against[:, 0]] = cv2.GC_BGD
    object_side = (sides & 1).astype(bool)
    if object_side.sum() < 5 or (~object_side).sum() < 5:
        return None
    cv2.setRNGSeed(1)
    try:
        cv2.grabCut(
            lab, sides, None, np.zeros((1, 65)), np.zeros((1, 65)), rounds, cv2.GC_INIT_WITH_MASK
        )
    except cv2.error:  # a side ran empty in one of the turns
        return None
    return np.asarray((sides & 1).astype(bool))


def _cut_regions(window: Window, seeds: np.ndarray, against: np.ndarray) -> Iterator[BoolArray]:
    height, width = window.lab.shape[:2]
    if min(height, width) < 5:
        return
    away = np.ones((height, width), np.uint8)
    away[seeds[:, 1], seeds[:, 0]] = 0
    distance = cv2.distanceTransform(away, cv2.DIST_L2, 3)
    side = max(height, width)
    sides = np.where(distance < 0.2 * side, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
    left, top, right, bottom = window.clipped
    rim = max(1, side // 24)
    if not left:
        sides[:, :rim] = cv2.GC_BGD
    if not right:
        sides[:, -rim:] = cv2.GC_BGD
    if not top:
        sides[:rim] = cv2.GC_BGD
    if not bottom:
        sides[-rim:] = cv2.GC_BGD
    sides[distance < max(1.0, side / 40)] = cv2.GC_FGD
    mask = _grab(window.lab, sides, seeds, against, 3)
    if mask is not None:
        yield mask


def _threshold_regions(window: Window, seeds: np.ndarray) -> Iterator[BoolArray]:
    """Connected parts brighter, or darker, than a level; touching blobs are split."""
    lightness = cv2.GaussianBlur(window.lab[..., 0], (0, 0), 1.2).astype(np.float32)
    value = float(np.median(lightness[seeds[:, 1], seeds[:, 0]]))
    low, high = float(lightness.min()), float(lightness.max())
    for sign, end in ((1, low), (-1, high)):
        if abs(value - end) < 6:
            continue
        best, best_score = None, -np.inf
        for level in np.linspace(value, end, _LEVELS + 2)[1:-1]:
            mask = _parts_with((lightness - level) * sign > 0, seeds)
            if mask.sum() > 0.6 * mask.size or not mask.any():
                break
            score = _likeness(window, mask)
            if score > best_score:
                best, best_score = mask, score
        if best is not None:
            best = ndimage.binary_fill_holes(best)
            yield best
            split = _split_blob(best, seeds)
            if split is not None:
                yield split


def _split_blob(mask: BoolArray, seeds: np.ndarray) -> BoolArray | None:
    """The lobe of a mask that holds the clicks, or None where it is one lobe."""
    from skimage.segmentation import watershed

    depth = cv2.distanceTransform(np.pad(mask, 1).astype(np.uint8), cv2.DIST_L2, 5)[1:-1, 1:-1]
    depth = cv2.GaussianBlur(depth, (0, 0), 1.0)
    from skimage.morphology import h_maxima

    peaks, count = ndimage.label(h_maxima(depth, max(0.6, 0.12 * float(depth.max()))))
    if count < 2:
        return None
    lobes = watershed(-depth, peaks, mask=mask)
    own = np.unique(lobes[seeds[:, 1], seeds[:, 0]])
    if len(own) >= count:
        return None
    return np.asarray(np.isin(lobes, own[own > 0]))


def _parts_with(mask: BoolArray, seeds: np.ndarray) -> BoolArray:
    """The connected parts of a mask that hold a click."""
    _, parts = cv2.connectedComponents(mask.astype(np.uint8), connectivity=4)
    own = np.unique(parts[seeds[:, 1], seeds[:, 0]])
    return np.asarray(np.isin(parts, own[own > 0]))


def _likeness(window: Window, mask: BoolArray) -> float:
    """How well an outline runs along edges and how quiet it is inside, about -1..1."""
    whole = mask.astype(np.uint8)
    kernel = np.ones((3, 3), np.uint8)
    # beyond the picture's own border the object goes on: no outline there
    inner = cv2.erode(whole, kernel, borderType=cv2.BORDER_CONSTANT, borderValue=1)
    outer = cv2.dilate(whole, kernel)
    outline = outer != inner
    if not outline.any():
        return -1.0
    on_edges = float(window.edges[outline].mean())
    inside = inner.astype(bool)
    noise = float(window.edges[inside].mean()) if inside.any() else 0.3
    left, top, right, bottom = window.clipped
    touching = sum(
        float(line.sum())
        for line, is_clipped in (
            (mask[:, 0], left),
            (mask[:, -1], right),
            (mask[0], top),
            (mask[-1], bottom),
        )
        if not is_clipped
    )
    rim = sum(float(line.sum()) for line in (mask[:, 0], mask[:, -1], mask[0], mask[-1]))
    length = float(outline.sum()) / 2
    return on_edges - 0.5 * noise - 1.5 * touching / length - 0.3 * rim / length
