"""What fills a box, told in ways that fail on different pictures."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

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
_LEAST = 0.1  # of the box: less does not fill it
_REGION_VOTES = 2  # of the opinions, by what moves together with the clicks
_WORKERS = 4


@dataclass(frozen=True, eq=False)
class _BoxInWindow:
    """A box in a window.

    Attributes
    ----------
    inside : (h, w) bool
        Where it is.
    middle : (h, w) float32
        Log-odds of the object by the place alone: most likely in the middle of the box.
    """

    window: Window
    inside: BoolArray
    middle: FloatImage

    def cut(self, odds: NDArray[np.floating[Any]], smoothness: float) -> BoolArray:
        """Cut the object out, not beyond the box; changes `odds`."""
        odds[~self.inside] = -_SURE
        guide = self.window.lab[..., :2]
        return cut_graph(odds.astype(np.float32, copy=False), guide, smoothness)

    def colour_odds(self, mask: BoolArray) -> FloatImage:
        """Log-odds by the colours in and out of a first mask."""
        return colour_ratio(self.window.lab, mask, ~mask, self.window.lab)

    def describe(self) -> FloatImage:
        """Features of the window's pixels."""
        return describe_pixels(cv2.cvtColor(self.window.lab, cv2.COLOR_LAB2RGB))


def segment_box(
    window: Window,
    box: Box,
    clicks: Clicks,
    speed: FloatImage | None = None,
    region: BoolArray | None = None,
) -> BoolArray:
    """The region that fills a tight box.

    Parameters
    ----------
    box : (x0, y0, x1, y1)
        In frame px, as the clicks.
    speed : (h, w) float32, optional
        How fast the window's pixels move against the camera.
    region : (h, w) bool, optional
        What moves together; the box is then no more than what was made round it.
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
    place = _BoxInWindow(window, inside, middle)
    moving = None if speed is None else odds_of_moving(speed, inside)
    with ThreadPoolExecutor(_WORKERS) as pool:
        # the longest by far, so in a thread of its own
        by_mixtures = pool.submit(_mixtures_in_box, place, seeds, against)
        on_box = pool.submit(list, _opinions_on_box(place))
        opinions = []
        if moving is not None and speed is not None:
            # what moves is worth more than what merely looks different
            opinions += 2 * list(_opinions_on_motion(place, speed, moving))
        opinions += on_box.result()
        mixtures = by_mixtures.result()
    if mixtures is not None:
        opinions.append(mixtures)
    if region is not None:
        opinions += _REGION_VOTES * [region & inside]
    if not opinions:
        opinions.append(inside)
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
            found = decide(odds + place.colour_odds(found))
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


def _mixtures_in_box(place: _BoxInWindow, seeds: Pixels, against: Pixels) -> BoolArray | None:
    """What fills a box, by mixtures of colours; None if hardly anything does."""
    sides = np.where(place.inside, cv2.GC_PR_FGD, cv2.GC_BGD).astype(np.uint8)
    found = grab(place.window.lab, sides, seeds, against)
    return None if found is None or found.sum() <= _LEAST * place.inside.sum() else found


def _opinions_on_box(place: _BoxInWindow) -> Iterator[BoolArray]:
    """What fills a box, told in further ways, which fail on different pictures."""
    inside, middle, edges = place.inside, place.middle, place.window.edges
    least = _LEAST * float(inside.sum())
    # colours of the surroundings are ground inside too
    mask = inside
    for turn in range(3):
        found = place.cut(place.colour_odds(mask) + middle - 0.5 * (turn == 0), 2.0)
        if found.sum() < least:
            break
        is_settled = turn > 0 and np.array_equal(found, mask)
        mask = found
        if is_settled:  # a further turn would find the same
            break
    if mask is not inside:
        yield mask
    if (~inside).any():
        # a net that tells the box's inside from its outside is sure only of what the outside lacks
        features = place.describe()
        yield place.cut(_learnt_odds(features, inside) + 1.5 * middle - 0.7, 3.0)
        # ground can be walked to from outside without crossing an edge
        steep = np.maximum(edges - 0.3 * float(np.median(edges[inside])), 0)
        steep += 0.02 * float(edges[inside].mean()) + 1e-3
        far = way_from_outside(steep, inside)
        reach = max(float(np.percentile(far[inside], 90)), 1e-6)
        odds = 8 * np.clip(far / reach - 0.5, -0.5, 0.5).astype(np.float32)
        odds += place.colour_odds(inside) + middle - 0.5
        yield place.cut(odds, 2.0)


def way_from_outside(steep: FloatImage, inside: BoolArray) -> NDArray[np.float64]:
    """What the easiest way from outside a box to each of its pixels costs; 0 outside.

    It begins right at the box: all that is outside costs nothing to get to.
    """
    x, y, width, height = cv2.boundingRect(inside.view(np.uint8))
    near = slice(max(0, y - 1), y + height + 1), slice(max(0, x - 1), x + width + 1)
    far = np.zeros(inside.shape)
    far[near], _ = MCP_Geometric(steep[near]).find_costs(np.argwhere(~inside[near]))
    return far


def _learnt_odds(features: FloatImage, mask: BoolArray) -> FloatImage:
    """Log-odds, -4..4, that pixels are of a mask, as a classifier taught by it says."""
    flat = features.reshape(features.shape[0], -1)
    classifier = PixelClassifier.learn(flat, mask.ravel(), slice(0, 0), 0.0, steps=150)
    return np.clip(classifier.log_odds(features), -4, 4)


def _opinions_on_motion(
    place: _BoxInWindow, speed: FloatImage, moving: FloatImage
) -> Iterator[BoolArray]:
    """What moves in a box, corrected by its colours, and by all that it looks like."""
    inside, middle = place.inside, place.middle
    first = place.cut(moving + 0.5 * middle, 2.0)
    if first.sum() < 0.03 * inside.sum():
        return
    mask = first
    for _ in range(3):
        found = place.cut(place.colour_odds(mask) + 0.5 * (moving + middle), 3.0)
        if found.sum() < 20 or np.array_equal(found, mask):
            break
        mask = found
    yield mask
    height, width = inside.shape
    rows, columns = np.nonzero(inside)
    x = (np.arange(width, dtype=np.float32) - columns.mean()) * (0.5 / (np.ptp(columns) + 1))
    y = (np.arange(height, dtype=np.float32) - rows.mean()) * (0.5 / (np.ptp(rows) + 1))
    top = max(float(np.percentile(speed[inside], 95)), 0.5)
    where = np.stack(np.broadcast_arrays(np.clip(speed / top, 0, 2), x[None, :], y[:, None]))
    features = np.concatenate([place.describe(), where]).astype(np.float32, copy=False)
    mask = first
    for _ in range(2):
        odds = _learnt_odds(features, mask) + middle + 0.5 * moving
        found = place.cut(odds, 3.0)
        if found.sum() < 0.05 * inside.sum() or np.array_equal(found, mask):
            break
        mask = found
    yield mask
