"""Proposals for the region that clicks mean, in a small window of a frame."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.morphology import h_maxima
from skimage.segmentation import watershed

from napari_sam3.models.optical_flow.shapes import depth_of
from napari_sam3.values import BoolArray

_WINDOW_SIDE = 96  # px; what a window is shrunk to
_HALF = 0.42  # of the way from ground to object
_LEAST_AREA = 12  # px of a window; less says nothing, a smaller window sees it larger
_MOST = 0.6  # of a window; what fills more of it is ground, or fits a larger one
_LEVELS = 20  # thresholds tried between a click and its surroundings


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
        strength = np.sqrt((across**2 + down**2).sum(axis=2)) / 8
        clipped = (left == 0, top == 0, right == width, bottom == height)
        return cls(
            np.asarray(lab), strength.astype(np.float32), (left, top, right, bottom), clipped
        )

    @property
    def is_grey(self) -> bool:
        """Whether the picture has no colour."""
        return bool(np.ptp(self.lab[..., 1]) <= 2 and np.ptp(self.lab[..., 2]) <= 2)

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

    def cut_off(self, mask: BoolArray) -> float:
        """How much of a mask's outline the window cuts off inside the frame, window px."""
        left, top, right, bottom = self.clipped
        sides = ((mask[:, 0], left), (mask[:, -1], right), (mask[0], top), (mask[-1], bottom))
        return sum(float(line.sum()) for line, is_border in sides if not is_border)

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

    window: Window
    mask: BoolArray
    score: float

    @property
    def size(self) -> float:
        """Square root of its area, frame px."""
        sx, sy = self.window.scale
        return float(np.sqrt(self.mask.sum() / (sx * sy)))


def propose_by_level(
    window: Window, positive: np.ndarray, negative: np.ndarray
) -> Iterator[Proposal]:
    """Regions brighter or darker than a level that hold the positive clicks, no negative one."""
    seeds = window.locate(positive)
    yield from _judge(window, _threshold_regions(window, seeds), positive, negative)


def propose_by_colour(
    window: Window, positive: np.ndarray, negative: np.ndarray
) -> Iterator[Proposal]:
    """Regions of like colours that hold the positive clicks, no negative one."""
    seeds, against = window.locate(positive), window.locate(negative)
    found = []
    for mask in _cut_regions(window, seeds, against):
        # in a picture without colour a clump is more likely cells than a body with limbs
        lobe = find_lobe(mask, mask, seeds) if window.is_grey else None
        found.append((mask, mask if lobe is None else lobe))
    yield from _judge(window, found, positive, negative)


def _judge(
    window: Window,
    found: Iterable[tuple[BoolArray, BoolArray]],
    positive: np.ndarray,
    negative: np.ndarray,
) -> Iterator[Proposal]:
    """Proposals made of whole regions and the lobes of them that were clicked."""
    seeds, against = window.locate(positive), window.locate(negative)
    for clump, mask in found:
        joined = _parts_with(mask, seeds)
        if len(against):
            joined[against[:, 1], against[:, 0]] = False
            joined = _parts_with(joined, seeds)
        joined = ndimage.binary_fill_holes(joined)
        if len(against):
            joined[against[:, 1], against[:, 0]] = False
        if (
            not _LEAST_AREA <= joined.sum() <= _MOST * joined.size
            or not joined[seeds[:, 1], seeds[:, 0]].all()
        ):
            continue
        # where lobes touch there is no edge: the outline of their clump is what counts
        score = _likeness(window, clump if mask is not clump else joined)
        if window.is_grey:
            score -= _unlike_a_cell(window, joined, seeds)
        yield Proposal(window, joined, score)


def grab(
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
    mask = grab(window.lab, sides, seeds, against, 3)
    if mask is not None:
        yield mask


def _threshold_regions(window: Window, seeds: np.ndarray) -> Iterator[tuple[BoolArray, BoolArray]]:
    """Connected parts brighter, or darker, than a level: whole, and the lobe that was clicked."""
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
            rim = outline_of(mask)
            score = float(window.edges[rim].mean()) if rim.any() else 0.0
            if score > best_score:
                best, best_score = mask, score
        if best is not None:
            best = ndimage.binary_fill_holes(best)
            wide = ndimage.binary_fill_holes(_down_to_half(best, lightness * sign, seeds))
            lobe = find_lobe(best, wide, seeds)
            yield wide, wide if lobe is None else lobe


def _down_to_half(mask: BoolArray, value: NDArray[np.float32], seeds: np.ndarray) -> BoolArray:
    """Widen a region found at its steepest level to about half way down to the ground."""
    near = cv2.dilate(mask.astype(np.uint8), np.ones((5, 5), np.uint8))
    ring = (cv2.dilate(near, np.ones((7, 7), np.uint8)) > 0) & (near == 0)
    if not ring.any():
        return mask
    ground = float(np.percentile(value[ring], 30))
    level = ground + _HALF * (float(np.median(value[mask])) - ground)
    wider = _parts_with(value > level, seeds)
    return wider if mask.sum() < wider.sum() < 2 * mask.sum() else mask


def find_lobe(mask: BoolArray, wide: BoolArray, seeds: np.ndarray) -> BoolArray | None:
    """The lobe of a widened mask that holds the clicks, or None where it is one lobe.

    Lobes are told apart on the narrower mask, whose necks are thinner.
    """
    depth = _depth(mask)
    # most regions have one peak: the search for high ones, which is slow, is spared them
    summits = (depth >= cv2.dilate(depth, np.ones((3, 3), np.uint8))) & mask
    if cv2.connectedComponents(summits.astype(np.uint8))[0] < 3:
        return None
    peaks, count = ndimage.label(h_maxima(depth, max(0.5, 0.12 * float(depth.max()))))
    if count < 2:
        return None
    lobes = watershed(-depth, peaks, mask=mask)
    lobes = watershed(-_depth(wide), lobes, mask=wide)
    own = np.unique(lobes[seeds[:, 1], seeds[:, 0]])
    if len(own) >= count:
        return None
    return np.asarray(np.isin(lobes, own[own > 0]))


def _depth(mask: BoolArray) -> NDArray[np.float32]:
    depth = depth_of(mask)
    return np.asarray(cv2.GaussianBlur(depth, (0, 0), 1.0))


def _parts_with(mask: BoolArray, seeds: np.ndarray) -> BoolArray:
    """The connected parts of a mask that hold a click."""
    _, parts = cv2.connectedComponents(mask.astype(np.uint8), connectivity=4)
    own = np.unique(parts[seeds[:, 1], seeds[:, 0]])
    return np.asarray(np.isin(parts, own[own > 0]))


def _likeness(window: Window, mask: BoolArray) -> float:
    """How well an outline runs along edges, against how quiet it is inside; about -1..1.5."""
    outline = outline_of(mask)
    if not outline.any():
        return -1.0
    strength = window.edges[outline]
    rim = float(strength.mean())
    whole = mask.astype(np.uint8)
    deep = cv2.erode(
        whole, np.ones((5, 5), np.uint8), borderType=cv2.BORDER_CONSTANT, borderValue=1
    ).astype(bool)
    texture = float(window.edges[deep].mean()) if deep.any() else 0.5 * rim
    closed = float((strength > 0.4 * rim).mean())
    left, top, right, bottom = window.clipped
    length = float(outline.sum()) / 2
    cut_off = framed = 0.0
    for line, is_border in (
        (mask[:, 0], left),
        (mask[:, -1], right),
        (mask[0], top),
        (mask[-1], bottom),
    ):
        framed += float(line.sum())
        cut_off += 0.0 if is_border else float(line.sum())
    parts = cv2.connectedComponents(whole)[0] - 1
    size = np.log(max(float(mask.sum()) / (window.scale[0] * window.scale[1]), 1.0))
    return (
        (rim - texture) / (rim + texture + 2.0)
        + 0.3 * closed
        + 0.03 * float(size)
        - 1.5 * cut_off / length
        - 0.3 * framed / length
        - 0.3 * (parts - 1)
    )


def _unlike_a_cell(window: Window, mask: BoolArray, seeds: np.ndarray) -> float:
    """Penalty, in a picture without colour, for what winds between cells or is not as clicked."""
    rims, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    hull = sum(float(cv2.contourArea(cv2.convexHull(rim))) for rim in rims)
    solid = min(1.0, float(mask.sum()) / max(hull, 1.0))
    value = cv2.GaussianBlur(window.lab[..., 0], (0, 0), 1.2).astype(np.float32)
    near = cv2.dilate(mask.astype(np.uint8), np.ones((5, 5), np.uint8))
    ring = (cv2.dilate(near, np.ones((5, 5), np.uint8)) > 0) & (near == 0)
    if not ring.any():
        return 1.0
    ground, level = float(np.median(value[ring])), float(np.median(value[mask]))
    clicked = float(np.median(value[seeds[:, 1], seeds[:, 0]]))
    step = level - ground
    share = (clicked - ground) / step if abs(step) > 1 else 0.0
    return 2.0 * max(0.0, 0.85 - solid) + min(1.0, 2.0 * max(0.0, 0.5 - share, share - 1.8))


def outline_of(mask: BoolArray) -> BoolArray:
    """Pixels along a mask's border, two wide; none where the picture cuts it off."""
    kernel = np.ones((3, 3), np.uint8)
    whole = mask.astype(np.uint8)
    inner = cv2.erode(whole, kernel, borderType=cv2.BORDER_CONSTANT, borderValue=1)
    return np.asarray(cv2.dilate(whole, kernel) != inner)
