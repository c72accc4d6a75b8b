"""Blobs that the flow lost, looked for by their picture as a whole."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from napari_sam3.models.optical_flow.blobs import Levels, value_of
from napari_sam3.models.optical_flow.mask_shapes import disc, largest_part, rank
from napari_sam3.models.optical_flow.motion import FloatImage
from napari_sam3.models.optical_flow.tracked_object import centre_of
from napari_sam3.models.optical_flow.warp import RigidMove, WarpedMask
from napari_sam3.values import BoolArray, ObjectMask

_FAR_COST = 0.1  # steps squared, of a match as far off as the object is large
_JUMP = 1.25  # of contrast between frames; less is left to the flow's own tolerance
_MISFIT = 0.2  # of the step: mean difference above which the flow is not believed
_TAKEN_COST = 0.3  # steps squared, of a place that is all taken
_MOST_TAKEN = 0.4  # of a place, beyond which it is somebody else's
_TURN_COST = 0.02  # the same of a right angle's ninth
_TURNS = (0, -10, 10, -20, 20, -30, 30)  # degrees
_LONG = 1.5  # times as long as wide, from which on a turn shows
_WHOLE = 0.85  # of a warped mask, its largest part, or the flow tore it
_SHRUNK, _GREW = 0.7, 1.45  # of its area, by which the flow crushed or smeared it
_RIM = 3  # px of what is round a blob that count as its picture
_LARGEST = 96.0  # px, square root of the area; larger blobs are shrunk to that
_MOST_BLUR = 8.0  # px


@dataclass(frozen=True, eq=False)
class Search:
    """A blob, and where to look for it.

    Attributes
    ----------
    frame, before : (H, W, 3) uint8
        The target frame and the one before.
    origin : ObjectMask
        Where it was on the frame before.
    expected : sequence of (float, float)
        Shifts that are likely, x and y in px, besides none.
    levels : Levels
    taken : (H, W) bool
        Where others are on the target frame.
    """

    frame: np.ndarray
    before: np.ndarray
    origin: ObjectMask
    expected: Sequence[tuple[float, float]]
    levels: Levels
    taken: BoolArray

    def shrunk(self, factor: float) -> tuple[Search, tuple[float, float]]:
        """The same on smaller pictures, and how many px one of theirs is, along x and along y."""
        height, width = self.origin.size
        size = (max(1, round(width / factor)), max(1, round(height / factor)))
        sx, sy = width / size[0], height / size[1]
        whole, taken = (
            cv2.resize(m.view(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0
            for m in (self.origin.mask, self.taken)
        )
        frame, before = (
            cv2.resize(f, size, interpolation=cv2.INTER_AREA) for f in (self.frame, self.before)
        )
        origin = ObjectMask.from_mask(whole)
        assert origin is not None, "what is shrunk is large"
        expected = [(x / sx, y / sy) for x, y in self.expected]
        return Search(frame, before, origin, expected, self.levels, taken), (sx, sy)


def register(search: Search) -> tuple[RigidMove, float] | None:
    """Find a blob by its picture, shifted and turned.

    Returns
    -------
    move, cost : RigidMove, float
        Its move, and how far from perfect that fits; None where nothing does.
    """
    size = float(np.sqrt(search.origin.area))
    if size <= _LARGEST:
        return _register(search)
    # large pictures take seconds; a large blob shows on small ones as well
    small, (sx, sy) = search.shrunk(size / _LARGEST)
    found = _register(small)
    if found is None:
        return None
    move, cost = found
    centre = _middle_of(search.origin)
    return RigidMove(round(move.dx * sx), round(move.dy * sy), move.turn, centre), cost


def _middle_of(mask: ObjectMask) -> tuple[int, int]:
    x0, y0, x1, y1 = mask.bbox
    return (x0 + x1 - 1) // 2, (y0 + y1 - 1) // 2


def _register(search: Search) -> tuple[RigidMove, float] | None:
    frame, before, origin = search.frame, search.before, search.origin
    levels, taken = search.levels, search.taken
    size = float(np.sqrt(origin.area))
    x0, y0, x1, y1 = origin.bbox
    height, width = origin.size
    turns = _TURNS if _is_long(origin) else (0,)
    half_x, half_y = (x1 - x0) // 2 + 1 + _RIM, (y1 - y0) // 2 + 1 + _RIM
    if len(turns) > 1:
        half_x = half_y = int(np.hypot(half_x, half_y)) + 1
    cx, cy = _middle_of(origin)
    blur = max(0.5, 0.08 * size)
    template = _window(before, cx - half_x, cy - half_y, 2 * half_x + 1, 2 * half_y + 1)
    template = cv2.GaussianBlur(value_of(template, levels), (0, 0), blur)
    own = np.zeros(template.shape, np.float32)
    left, top = x0 - (cx - half_x), y0 - (cy - half_y)
    own[top : top + y1 - y0, left : left + x1 - x0] = origin.crop

    reach = 8 + int(1.2 * size)
    shifts = [(0.0, 0.0), *search.expected]
    from_x = max(-cx, int(min(x for x, _ in shifts)) - reach)
    from_y = max(-cy, int(min(y for _, y in shifts)) - reach)
    to_x = min(width - 1 - cx, int(max(x for x, _ in shifts)) + reach)
    to_y = min(height - 1 - cy, int(max(y for _, y in shifts)) + reach)
    if from_x > to_x or from_y > to_y:
        return None
    box = (
        cx - half_x + from_x,
        cy - half_y + from_y,
        to_x - from_x + 2 * half_x + 1,
        to_y - from_y + 2 * half_y + 1,
    )
    area = cv2.GaussianBlur(value_of(_window(frame, *box), levels), (0, 0), blur)
    # how bright the ground is, or its halos, does not count
    middle = rank(template[own > 0], 0.5)
    low, high = middle - 1.5 * levels.step, middle + 0.5 * levels.step
    template, area = np.clip(template, low, high), np.clip(area, low, high)
    others = _window(taken.view(np.uint8), *box).astype(np.float32)
    rows, columns = np.ogrid[from_y : to_y + 1, from_x : to_x + 1]
    # look-alikes abound among cells: a near one is more likely the same
    away = np.min([(rows - y) ** 2 + (columns - x) ** 2 for x, y in shifts], axis=0)
    far = (_FAR_COST / size**2) * away
    best: tuple[float, RigidMove] | None = None
    for turn in turns:
        picture, mask = template, own
        if turn:
            matrix = cv2.getRotationMatrix2D((half_x, half_y), -turn, 1.0)
            picture, mask = (
                cv2.warpAffine(p, matrix, p.shape[::-1], borderMode=cv2.BORDER_REPLICATE)
                for p in (template, own)
            )
        rim = cv2.dilate(mask, disc(_RIM))
        misfits = cv2.matchTemplate(area, picture, cv2.TM_SQDIFF, mask=rim)
        misfits = np.maximum(misfits, 0) / (float(rim.sum()) * levels.step**2)
        overlaps = cv2.matchTemplate(others, mask, cv2.TM_CCORR) / max(1.0, float(mask.sum()))
        cost = misfits + far + _TAKEN_COST * overlaps + _TURN_COST * abs(turn) / 10
        cost[overlaps > _MOST_TAKEN] = np.inf
        row, column = np.unravel_index(int(cost.argmin()), cost.shape)
        lowest = float(cost[row, column])
        if misfits[row, column] <= (2 * _MISFIT) ** 2 and (best is None or lowest < best[0]):
            move = RigidMove(int(column) + from_x, int(row) + from_y, float(turn), (cx, cy))
            best = lowest, move
    return None if best is None else (best[1], best[0])


def _window(frame: np.ndarray, x0: int, y0: int, width: int, height: int) -> np.ndarray:
    """A box of a frame that may reach beyond it, the outside as its border."""
    bottom, right = frame.shape[:2]
    rows = np.clip(np.arange(y0, y0 + height), 0, bottom - 1)
    columns = np.clip(np.arange(x0, x0 + width), 0, right - 1)
    return np.asarray(frame[np.ix_(rows, columns)])


def _is_long(mask: ObjectMask) -> bool:
    points = np.stack(np.nonzero(mask.crop)).astype(np.float64)
    if points.shape[1] < 12:
        return False
    narrow, wide = np.sqrt(np.maximum(np.linalg.eigvalsh(np.cov(points)), 1e-3))
    return bool(wide > _LONG * narrow)


def is_torn(warped: WarpedMask) -> bool:
    """Whether the flow did to a mask what cells do not do in a frame: crush, smear or tear it."""
    grown = warped.mask.area / warped.origin.area
    x0, y0, x1, y1 = warped.mask.bbox
    height, width = warped.mask.size
    if x0 == 0 or y0 == 0 or x1 == width or y1 == height:
        return False  # part of it may be outside
    if not _SHRUNK < grown < _GREW:
        return True
    return int(np.count_nonzero(largest_part(warped.mask.crop))) < _WHOLE * warped.mask.area


def shift_of(warped: WarpedMask) -> tuple[float, float]:
    """How far the centre of a mask went, x and y in px."""
    (x0, y0), (x1, y1) = centre_of(warped.origin), centre_of(warped.mask)
    return x1 - x0, y1 - y0


def match_brightness(before: np.ndarray, frame: np.ndarray) -> np.ndarray:
    """Bring a frame to the range of greys of the next one, where light or gain jumped between."""
    (low, high), (low_before, high_before) = (
        np.percentile(f[::4, ::4], (1, 99)) for f in (frame, before)
    )
    gain = max(high - low, 1.0) / max(high_before - low_before, 1.0)
    if 1 / _JUMP < gain < _JUMP:
        return before
    table = np.clip((np.arange(256) - low_before) * gain + low, 0, 255).astype(np.uint8)
    return np.asarray(cv2.LUT(before, table))


def misfit_of(value: FloatImage, before: FloatImage, mask: BoolArray, levels: Levels) -> float:
    """Mean difference, in steps, between a crop and the frame before warped onto it."""
    # texture may shimmer; what counts is whether the blob as such is there
    blur = max(1.0, 0.12 * float(np.sqrt(mask.sum())))
    difference = value - before
    factor = int(blur / _MOST_BLUR)
    if factor > 1:  # a wide blur of a large picture takes seconds, and leaves no detail
        size = (max(1, mask.shape[1] // factor), max(1, mask.shape[0] // factor))
        difference = cv2.resize(difference, size, interpolation=cv2.INTER_AREA)
        mask = cv2.resize(mask.view(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0
        blur /= factor
    difference = cv2.GaussianBlur(difference, (0, 0), blur)
    return float(np.abs(difference[mask]).mean()) / levels.step if mask.any() else 0.0


def is_misfit(value: float) -> bool:
    """Whether a warp along the flow is not to be believed."""
    return value > _MISFIT


def found_again(value: float, along_flow: float, *, torn: bool) -> bool:
    """Whether what was registered is to be believed rather than a warp along the flow.

    Both are a `misfit_of`; `torn` tells that the warp cannot be right whatever it explains.
    """
    return value <= (_MISFIT if torn else min(0.5 * along_flow, 2 * _MISFIT))
