"""What fills a box, told in ways that fail on different pictures."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage.graph import MCP_Geometric

from napari_sam3.models.optical_flow.graph_cut import cut_graph
from napari_sam3.models.optical_flow.mask_shapes import Pixels, outline_of, ring_round
from napari_sam3.models.optical_flow.motion import FloatImage
from napari_sam3.models.optical_flow.motion_segmentation import odds_of_moving
from napari_sam3.models.optical_flow.pixel_classifier import (
    PixelClassifier,
    colour_ratio,
    describe_pixels,
)
from napari_sam3.models.optical_flow.region_proposals import grab
from napari_sam3.models.optical_flow.window import Clicks, Window
from napari_sam3.values import BoolArray, Box

_SURE = 8.0  # log-odds
_SHARE, _SHARE_MOVING = 0.45, 0.6  # of the opinions; those led by motion overshoot together
_MORE = (0.0, -0.1, 0.1, 0.2)  # or less of them, if the outline is better then
_LEAST_REACH = 0.7  # of the bounding box of the usual answer
_WORKERS = 4


def segment_box(
    window: Window, box: Box, clicks: Clicks, speed: FloatImage | None = None
) -> BoolArray:
    """The region that fills a tight box.

    Parameters
    ----------
    box : (x0, y0, x1, y1)
        In frame px, as the clicks.
    speed : (h, w) float32, optional
        How fast the window's pixels move against the camera.
    """
    height, width = window.lab.shape[:2]
    x0, y0 = np.floor((np.array(box[:2]) - window.box[:2]) * window.scale).astype(int)
    x1, y1 = np.ceil((np.array(box[2:]) - window.box[:2]) * window.scale).astype(int)
    x1, y1 = max(x1, x0 + 1), max(y1, y0 + 1)
    seeds, against = window.locate(clicks.positive), window.locate(clicks.negative)
    inside = np.zeros((height, width), bool)
    inside[y0:y1, x0:x1] = True
    rows, columns = np.mgrid[:height, :width] + 0.5
    across, down = (2 * columns - x0 - x1) / (x1 - x0), (2 * rows - y0 - y1) / (y1 - y0)
    off_centre = across**2 + down**2
    middle = (0.6 - np.minimum(off_centre, 1.7)).astype(np.float32)
    moving = None if speed is None else odds_of_moving(speed, inside)
    with ThreadPoolExecutor(_WORKERS) as pool:
        textured = pool.submit(list, _opinions_on_box(window, inside, middle, seeds, against))
        opinions = []
        if moving is not None and speed is not None:
            # what moves is worth more than what merely looks different
            opinions += 2 * list(_opinions_on_motion(window, inside, middle, speed, moving))
        opinions += textured.result()
    share = np.mean(opinions, axis=0, dtype=np.float32)
    usual = _SHARE if moving is None else _SHARE_MOVING

    def decide(odds: FloatImage) -> BoolArray:
        odds[~inside] = -_SURE
        odds[seeds] = _SURE
        odds[against] = -_SURE
        return cut_graph(odds, window.lab[..., :2], 2.0)

    def agree(more: float) -> tuple[float, BoolArray]:
        odds = 6 * (share - np.float32(usual + more)) + 0.7 * middle
        found = decide(odds)
        if moving is not None and found.any():
            found = decide(odds + colour_ratio(window.lab, found, ~found, window.lab))
        return _stands_out(window, found, moving) - abs(more), found

    # how many must agree depends on the picture: the outline tells which of the answers is best
    with ThreadPoolExecutor(_WORKERS) as pool:
        answers = list(pool.map(agree, _MORE))
    # but a speck of strong edges, or one of the things in the box, does not fill it
    least = _LEAST_REACH * _reach_of(answers[0][1])
    _, found = max((a for a in answers if _reach_of(a[1]) >= least), key=lambda a: a[0])
    return found if found.any() else inside & (off_centre <= 1)


def _reach_of(mask: BoolArray) -> int:
    """Area of a mask's bounding box."""
    _, _, width, height = cv2.boundingRect(mask.view(np.uint8))
    return int(width * height)


def _stands_out(window: Window, mask: BoolArray, moving: FloatImage | None) -> float:
    """How strong the edges are that an outline runs along, and how much more moves within it."""
    outline = outline_of(mask)
    if not outline.any():
        return -1.0
    strength = float(np.log1p(window.edges[outline].mean()))
    if moving is None:
        return strength
    ring = ring_round(mask, 0, 4)
    beside = float(moving[ring].mean()) if ring.any() else 0.0
    return strength + 0.1 * (float(moving[mask].mean()) - beside)


def _opinions_on_box(
    window: Window,
    inside: BoolArray,
    middle: NDArray[np.float32],
    seeds: Pixels,
    against: Pixels,
) -> Iterator[BoolArray]:
    """What fills a box, told in ways that fail on different pictures."""
    lab, guide = window.lab, window.lab[..., :2]
    least = 0.1 * float(inside.sum())
    sides = np.where(inside, cv2.GC_PR_FGD, cv2.GC_BGD).astype(np.uint8)
    mixtures = grab(lab, sides, seeds, against, 3)
    if mixtures is not None and mixtures.sum() > least:
        yield mixtures
    # colours of the surroundings are ground inside too
    mask = inside
    for turn in range(3):
        odds = colour_ratio(lab, mask, ~mask, lab) + middle - 0.5 * (turn == 0)
        odds[~inside] = -_SURE
        found = cut_graph(odds, guide, 2.0)
        if found.sum() < least:
            break
        mask = found
    if mask is not inside:
        yield mask
    # a net that tells the box's inside from its outside is sure only of what the outside lacks
    features = describe_pixels(cv2.cvtColor(lab, cv2.COLOR_LAB2RGB))
    flat = features.reshape(features.shape[0], -1)
    if (~inside).any():
        appearance = PixelClassifier.learn(flat, inside.ravel(), slice(0, 0), 0.0, steps=150)
        odds = np.clip(appearance.log_odds(features), -4, 4) + 1.5 * middle - 0.7
        odds[~inside] = -_SURE
        yield cut_graph(odds.astype(np.float32), guide, 3.0)
        # ground can be walked to from outside without crossing an edge
        steep = np.maximum(window.edges - 0.3 * float(np.median(window.edges[inside])), 0)
        steep += 0.02 * float(window.edges[inside].mean()) + 1e-3
        far, _ = MCP_Geometric(steep).find_costs(np.argwhere(~inside))
        reach = max(float(np.percentile(far[inside], 90)), 1e-6)
        odds = 8 * np.clip(far / reach - 0.5, -0.5, 0.5).astype(np.float32)
        odds += colour_ratio(lab, inside, ~inside, lab) + middle - 0.5
        odds[~inside] = -_SURE
        yield cut_graph(odds, guide, 2.0)
    if mixtures is None and mask is inside and not (~inside).any():
        yield inside


def _opinions_on_motion(
    window: Window,
    inside: BoolArray,
    middle: NDArray[np.float32],
    speed: FloatImage,
    moving: FloatImage,
) -> Iterator[BoolArray]:
    """What moves in a box, corrected by its colours, and by all that it looks like."""
    lab, guide = window.lab, window.lab[..., :2]
    odds = moving + 0.5 * middle
    odds[~inside] = -_SURE
    first = cut_graph(odds, guide, 2.0)
    if first.sum() < 0.03 * inside.sum():
        return
    mask = first
    for _ in range(3):
        odds = colour_ratio(lab, mask, ~mask, lab) + 0.5 * (moving + middle)
        odds[~inside] = -_SURE
        found = cut_graph(odds, guide, 3.0)
        if found.sum() < 20:
            break
        mask = found
    yield mask
    height, width = lab.shape[:2]
    rows, columns = np.nonzero(inside)
    x = (np.arange(width, dtype=np.float32) - columns.mean()) * (0.5 / (np.ptp(columns) + 1))
    y = (np.arange(height, dtype=np.float32) - rows.mean()) * (0.5 / (np.ptp(rows) + 1))
    top = max(float(np.percentile(speed[inside], 95)), 0.5)
    place = np.stack(np.broadcast_arrays(np.clip(speed / top, 0, 2), x[None, :], y[:, None]))
    features = np.concatenate([describe_pixels(cv2.cvtColor(lab, cv2.COLOR_LAB2RGB)), place])
    features = features.astype(np.float32, copy=False)
    flat = features.reshape(features.shape[0], -1)
    mask = first
    for _ in range(2):
        appearance = PixelClassifier.learn(flat, mask.ravel(), slice(0, 0), 0.0, steps=150)
        odds = np.clip(appearance.log_odds(features), -4, 4) + middle + 0.5 * moving
        odds[~inside] = -_SURE
        found = cut_graph(odds.astype(np.float32), guide, 3.0)
        if found.sum() < 0.05 * inside.sum():
            break
        mask = found
    yield mask
