"""What a prompt means on one frame: clicks, a box, a painted mask, and corrections of a mask.

A click says where, not how large. So regions are proposed in windows of several sizes round the
clicks (`region_proposals.py`), each window shrunk to the same small picture, and the region wins
whose outline runs best along edges. A prior mask is corrected locally: a click moves the outline
near it, and what lies far away stays.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from napari_sam3.models.optical_flow.box_segmentation import segment_box
from napari_sam3.models.optical_flow.cell_proposals import propose_cells
from napari_sam3.models.optical_flow.clump_splitting import split_clump
from napari_sam3.models.optical_flow.grey import is_grey
from napari_sam3.models.optical_flow.mask_shapes import depth_of, distance_to, parts_with
from napari_sam3.models.optical_flow.motion_segmentation import MovingRegion, Speeds
from napari_sam3.models.optical_flow.region_proposals import propose_by_colour, propose_by_level
from napari_sam3.models.optical_flow.window import Clicks, Proposal, Window
from napari_sam3.values import BoolArray, Box, FloatArray, ObjectMask, ObjectPrompt

_SMALLEST_REACH = 8.0  # px from a click to the edge of the smallest window
_REACH_STEP = 1.8
_LEAST_SIDE, _MOST_SIDE = 1.2, 6.0  # of a window, over the size of what was found in it
_WORKERS = 4
_MOST_TAKEN = 0.5  # of an object, by a negative click elsewhere than in its middle
_MOST_ADDED = 2.0  # times an object, by a positive click
_LEAST_CELL = 0.8  # score; a clear cell has 1.5 to 2, what is less is sought in other ways
_LEAST_FIT = 0.78  # overlap of a cell's box with the one that was drawn
_BOX_SIDE = 200  # px; what a box with its surroundings is shrunk to


SpeedSource = Callable[[Box | None], Speeds | None]
"""Measures what moves on a frame, with or without a box in which it may; None if that can't be."""


def _no_speeds(_box: Box | None) -> None:
    return None


def segment_object(
    frame: np.ndarray, prompt: ObjectPrompt, speeds_of: SpeedSource = _no_speeds
) -> ObjectMask | None:
    """Find the one object that a prompt means on an (H, W, 3) uint8 frame; None if it is not there.

    `speeds_of` measures what moves on the frame; asked only where it can help.
    A box outweighs a prior mask (it says anew where the object is), a painted mask outweighs both.
    """
    height, width = frame.shape[:2]
    pixels = np.clip(np.floor(prompt.points_xy), 0, (width - 1, height - 1)).astype(int)
    pixels = pixels.reshape(-1, 2)
    clicks = Clicks(pixels[prompt.point_labels], pixels[~prompt.point_labels])
    if prompt.mask is not None:
        mask = _correct(frame, np.array(prompt.mask, bool), clicks)
    elif prompt.box_xyxy is not None:
        mask = _segment_box(frame, _clip_box(prompt.box_xyxy, frame), clicks, speeds_of)
    elif prompt.prior is not None:
        mask = _correct(frame, prompt.prior.mask, clicks)
    elif len(clicks.positive):
        moving = _segment_moving(frame, clicks, speeds_of)
        mask = _segment_clicks(frame, clicks) if moving is None else moving
    else:
        return None
    _hold_to_clicks(mask, pixels, prompt.point_labels)
    return ObjectMask.from_mask(mask)


def _segment_clicks(frame: np.ndarray, clicks: Clicks) -> BoolArray:
    windows = _windows_round(frame, clicks.positive)
    if is_grey(frame):
        cell = _find_cell(frame, windows, clicks)
        if cell is not None:
            return cell
    best = _best(propose_by_level, windows, clicks)
    if best is not None and best.window.is_grey:
        # colours, or greys, say most about things of a like size; and they take long
        windows = [w for w in windows if _LEAST_SIDE <= w.side / best.size <= _MOST_SIDE]
    other = _best(propose_by_colour, windows, clicks)
    if best is None or (other is not None and other.score > best.score):
        best = other
    if best is not None:
        return best.on_frame(frame.shape[:2])
    mask = np.zeros(frame.shape[:2], bool)
    for column, row in clicks.positive:
        _paint_disc(mask, column, row, max(1, round(0.01 * min(mask.shape))), value=True)
    return mask


def _windows_round(frame: np.ndarray, pixels: np.ndarray) -> list[Window]:
    """Windows of growing size, up to the whole frame, round clicks."""
    centre = (pixels.min(axis=0) + pixels.max(axis=0)) / 2
    spread = float((pixels.max(axis=0) - pixels.min(axis=0)).max()) / 2
    reach = max(_SMALLEST_REACH, 1.3 * spread)
    windows = [Window.around(frame, centre, reach)]
    while reach < max(frame.shape[:2]):
        reach *= _REACH_STEP
        windows.append(Window.around(frame, centre, reach))
    return windows


def _find_cell(frame: np.ndarray, windows: Sequence[Window], clicks: Clicks) -> BoolArray | None:
    def propose(window: Window, clicks: Clicks) -> Iterator[Proposal]:
        return propose_cells(window, clicks, is_smallest=window is windows[0])

    best = _best(propose, windows, clicks)
    if best is None or best.score < _LEAST_CELL:
        return None
    return split_clump(frame, best.on_frame(frame.shape[:2]), clicks.positive)


def _best(
    propose: Callable[[Window, Clicks], Iterator[Proposal]],
    windows: Sequence[Window],
    clicks: Clicks,
) -> Proposal | None:
    """The proposal of highest score in any of the windows, the first of equals."""

    def within(window: Window) -> Proposal | None:
        return max(propose(window, clicks), key=lambda p: p.score, default=None)

    # most of the time goes to OpenCV, which lets go of Python's lock
    with ThreadPoolExecutor(_WORKERS) as pool:
        found = [p for p in pool.map(within, windows) if p is not None]
    return max(found, key=lambda p: p.score, default=None)


def _segment_moving(frame: np.ndarray, clicks: Clicks, speeds_of: SpeedSource) -> BoolArray | None:
    """What moves where the clicks are; None where they lie still.

    In a picture without colour most likely cells were clicked, whose outlines tell more.
    """
    speeds = None if is_grey(frame) else speeds_of(None)
    if speeds is None:
        return None
    region = speeds.moving_with(clicks.positive, frame)
    if region is None:
        return None
    return _fill_box(frame, _clip_box(np.array(region.box), frame), clicks, speeds, region)


def _segment_box(frame: np.ndarray, box: Box, clicks: Clicks, speeds_of: SpeedSource) -> BoolArray:
    has_cells = is_grey(frame)
    cell = _find_cell_in_box(frame, box, clicks) if has_cells else None
    if cell is not None:
        return cell
    speeds = None if has_cells else speeds_of(box)
    return _fill_box(frame, box, clicks, speeds)


def _find_cell_in_box(frame: np.ndarray, box: Box, clicks: Clicks) -> BoolArray | None:
    """The cell in the middle of a box, if it reaches from side to side; else None."""
    x0, y0, x1, y1 = box
    if not len(clicks.positive):
        clicks = clicks._replace(positive=np.array([[(x0 + x1) // 2, (y0 + y1) // 2]]))
    cell = _find_cell(frame, _windows_round(frame, clicks.positive), clicks)
    found = None if cell is None else ObjectMask.from_mask(cell)
    if cell is None or found is None:
        return None
    left, top, right, bottom = found.bbox
    wide = max(0, min(x1, right) - max(x0, left))
    high = max(0, min(y1, bottom) - max(y0, top))
    either = (x1 - x0) * (y1 - y0) + (right - left) * (bottom - top) - wide * high
    return None if wide * high < _LEAST_FIT * either else cell & _box_mask(box, cell.shape)


def _clip_box(box_xyxy: FloatArray, frame: np.ndarray) -> Box:
    """Whole pixels of the frame, at least one."""
    height, width = frame.shape[:2]
    x0, y0 = np.floor(box_xyxy[:2] + 1e-6).astype(int)
    x1, y1 = np.ceil(box_xyxy[2:] - 1e-6).astype(int)
    x0, y0 = max(0, min(x0, width - 1)), max(0, min(y0, height - 1))
    x1, y1 = min(width, max(x1, x0 + 1)), min(height, max(y1, y0 + 1))
    return int(x0), int(y0), int(x1), int(y1)


def _box_mask(box: Box, size: tuple[int, ...]) -> BoolArray:
    x0, y0, x1, y1 = box
    mask = np.zeros(size, bool)
    mask[y0:y1, x0:x1] = True
    return mask


def _fill_box(
    frame: np.ndarray,
    box: Box,
    clicks: Clicks,
    speeds: Speeds | None,
    moving: MovingRegion | None = None,
) -> BoolArray:
    """What fills a box, one that was drawn or that of what moves with the clicks."""
    x0, y0, x1, y1 = box
    margin = 2 + 0.5 * max(x1 - x0, y1 - y0)
    window = Window.cut_out(frame, x0 - margin, y0 - margin, x1 + margin, y1 + margin, _BOX_SIDE)
    shape = window.lab.shape
    speed = region = None
    if speeds is not None:
        speed = speeds.within(window.box, shape)
        if moving is not None:
            region = speeds.mask_within(moving.mask, window.box, shape)
    mask = np.zeros(frame.shape[:2], bool)
    window.paste(segment_box(window, box, clicks, speed, region), mask)
    inside = _box_mask(box, mask.shape)
    mask &= inside
    return mask if mask.any() else inside


def _correct(frame: np.ndarray, mask: BoolArray, clicks: Clicks) -> BoolArray:
    """Move a mask's outline near the clicks that it contradicts."""
    for column, row in clicks.negative:
        if mask[row, column]:
            region = _region_of_click(frame, mask, (column, row), clicks.positive)
            if region.sum() > _MOST_TAKEN * mask.sum() and not _is_middle(region, (column, row)):
                region = _side_of_click(region, (column, row))
            mask &= ~region
    for column, row in clicks.positive:
        if not mask[row, column]:
            region = _region_of_click(frame, ~mask, (column, row), clicks.negative)
            if 0 < _MOST_ADDED * mask.sum() < region.sum():
                region = _near_click(region, mask, (column, row))
            mask |= region
    return mask


def _is_middle(region: BoolArray, pixel: tuple[int, int]) -> bool:
    rows, columns = np.nonzero(region)
    off = np.hypot(columns.mean() - pixel[0], rows.mean() - pixel[1])
    return bool(off <= 0.3 * np.sqrt(len(rows) / np.pi) + 0.5)


def _side_of_click(region: BoolArray, pixel: tuple[int, int]) -> BoolArray:
    """What of a region is nearer to a click than to the depth of the region away from it."""
    depth = depth_of(region)
    rows, columns = np.ogrid[: region.shape[0], : region.shape[1]]
    away = np.hypot(columns - pixel[0], rows - pixel[1])
    row, column = np.unravel_index(int((depth * away).argmax()), depth.shape)
    return np.asarray(region & (away < np.hypot(columns - column, rows - row)))


def _near_click(region: BoolArray, mask: BoolArray, pixel: tuple[int, int]) -> BoolArray:
    """What of a region lies about a click, as far as a mask is away, or half the mask's size."""
    gap = distance_to(mask)[pixel[1], pixel[0]]
    near = np.zeros_like(region)
    radius = max(2, round(min(float(gap) + 2, 0.5 * float(np.sqrt(mask.sum())))))
    _paint_disc(near, *pixel, radius, value=True)
    return np.asarray(region & near)


def _region_of_click(
    frame: np.ndarray, within: BoolArray, pixel: tuple[int, int], against: np.ndarray
) -> BoolArray:
    """The region of a click, as far as it lies in the connected part of `within` round it."""
    region = _segment_clicks(frame, Clicks(np.array([pixel]), against)) & within
    column, row = pixel
    if region[row, column]:
        return parts_with(region, (np.array([row]), np.array([column])))
    region = np.zeros_like(within)
    _paint_disc(region, column, row, 2, value=True)
    return region & within


def _hold_to_clicks(mask: BoolArray, pixels: np.ndarray, labels: BoolArray) -> None:
    """Put every positive click inside and every negative one outside; the last one wins."""
    for (column, row), label in zip(pixels, labels, strict=True):
        if mask[row, column] != label:
            _paint_disc(mask, column, row, 2, value=bool(label))
    for (column, row), label in zip(pixels, labels, strict=True):
        mask[row, column] = label


def _paint_disc(mask: BoolArray, column: int, row: int, radius: int, *, value: bool) -> None:
    rows, columns = np.ogrid[: mask.shape[0], : mask.shape[1]]
    mask[(columns - column) ** 2 + (rows - row) ** 2 <= radius**2] = value
