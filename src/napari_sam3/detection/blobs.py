"""Things that are brighter or darker than their ground, found with nothing but arithmetic.

The ground is what is left beside the things, smoothed over a few of their widths: which is known
once things were found, so both are found in turns. What stands out from it further than a level is
a thing or a clump of some, which is parted where it has valleys and necks. Each outline lies half
way between the ground and the thing's own brightness.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.segmentation import watershed

from napari_sam3.models.optical_flow.cell_instances import find_instances
from napari_sam3.models.optical_flow.cell_proposals import ellipse_likeness
from napari_sam3.models.optical_flow.mask_shapes import (
    depth_of,
    disc,
    fill_holes,
    grow,
    largest_part,
    ring_round,
)
from napari_sam3.models.optical_flow.motion import FloatImage
from napari_sam3.values import BoolArray, ObjectMask

Sign = Literal["auto", "bright", "dark"]
"""Whether things are brighter than their ground; "auto": the picture tells."""

_TURNS = 3  # of finding ground and things
_FIRST_REACH = 1 / 8  # of the picture's longer side: what ground is smoothed over at first
_REACH, _LEAST_REACH = 1.5, 8.0  # the same later, of a thing's width, and px
_SMALL_REACH = 6.0  # px that a reach has in the small picture in which the ground is smoothed
_LEAST_STEP, _NOISES = 3.0, 2.0  # of lightness 0..255, and in spreads of the noise
_SPREADS, _FAINTEST = 4.0, 0.5  # of even ground, and of the level: how faint a thing may be
_MARGIN = 0.15  # of a width round a thing: no ground, and how far its outline may lie outside
_HALF, _LOWEST = 0.45, 0.25  # of the way from ground to a thing: its outline, and what may be in it
_LEAST_AREA, _LEAST_PIXELS = 0.1, 12  # of a square of the width, and px
_SURE = 0.5  # of a picture's range: what is so far over its ground is as clear as can be


@dataclass(frozen=True, eq=False)
class _Relief:
    """A picture seen as things over their ground.

    Attributes
    ----------
    lightness : (h, w) float32
        Its sign changed for dark things.
    value : (h, w) float32
        The same without noise.
    over : (h, w) float32
        The same less the ground.
    is_thing : (h, w) bool
        What stands out, clumps as one.
    width : float
        Of the usual thing, px.
    least_step : float
        What noise does not do.
    """

    lightness: FloatImage
    value: FloatImage
    over: FloatImage
    is_thing: BoolArray
    width: float
    least_step: float

    @property
    def border_share(self) -> float:
        """How much of the picture's border lies in things; most of it does if they are ground."""
        sides = (self.is_thing[0], self.is_thing[-1], self.is_thing[:, 0], self.is_thing[:, -1])
        return float(np.concatenate(sides).mean())

    @property
    def is_ground(self) -> bool:
        """Whether what was taken for things is the ground round others."""
        return self.border_share > 0.5


class BlobDetector:
    """Finds what is brighter or darker than its ground: nuclei, cells, beads, coins.

    Parameters
    ----------
    sign : "auto", "bright" or "dark"
        What is looked for. "auto" takes for ground what most of the picture's border lies in.
    """

    def __init__(self, sign: Sign = "auto") -> None:
        self._sign = sign

    def detect(self, frame: NDArray[np.uint8]) -> list[ObjectMask]:
        """Find blobs (see `Detector.detect`)."""
        lightness = cv2.cvtColor(frame, cv2.COLOR_RGB2LAB)[..., 0].astype(np.float32)
        reliefs = [
            relief
            for name, sign in (("bright", 1), ("dark", -1))
            if self._sign in ("auto", name) and (relief := _see(lightness * np.float32(sign)))
        ]
        if not reliefs:
            return []
        relief = min(reliefs, key=lambda r: r.border_share)
        if self._sign != "auto" and relief.is_ground:
            # what stands out most is of the other sign: it is levelled
            level = np.median(relief.lightness[relief.is_thing])
            levelled = _see(np.maximum(relief.lightness, level))
            if levelled is None or levelled.is_ground:
                return []
            relief = levelled
        return sorted(_part(relief), key=lambda mask: -mask.score)

    def close(self) -> None:
        """Nothing to give back."""


def _see(lightness: FloatImage) -> _Relief | None:
    """Tell things from their ground; None where nothing stands out."""
    value = np.asarray(cv2.GaussianBlur(lightness, (0, 0), 1.0), np.float32)
    noise = _spread(lightness - value)
    least_step = max(_LEAST_STEP, _NOISES * noise)
    is_thing = np.zeros(value.shape, bool)
    reach, width = _FIRST_REACH * max(value.shape), 0.0
    over = value
    for _ in range(_TURNS):
        near = grow(is_thing, _margin(width)) if width else is_thing
        over = value - _ground_of(value, near, reach)
        level = _level_of(over)
        if width and not near.all():
            # what is fainter than most is a thing too, where the ground is even
            level = min(level, max(_SPREADS * _spread(over[~near][::7]), _FAINTEST * level))
        above = over > max(level, least_step)
        is_thing = cv2.morphologyEx(above.view(np.uint8), cv2.MORPH_OPEN, disc(1)).view(bool)
        if not is_thing.any():
            return None
        width = _usual_width(is_thing)
        reach = max(_LEAST_REACH, _REACH * width)
    return _Relief(lightness, value, over, is_thing, width, least_step)


def _spread(values: FloatImage) -> float:
    """Standard deviation, if a few outliers are left out."""
    return 1.48 * float(np.median(np.abs(values - np.median(values))))


def _margin(width: float) -> int:
    return max(2, round(_MARGIN * width))


def _ground_of(value: FloatImage, is_thing: BoolArray, reach: float) -> FloatImage:
    """What a picture would be without things: smoothed over `reach` px of what is none."""
    height, width = value.shape
    factor = min(1.0, _SMALL_REACH / reach)  # a wide blur is as good, and quick, when small
    size = max(1, round(width * factor)), max(1, round(height * factor))
    is_ground = (~is_thing).astype(np.float32)
    # where no ground is near it is that of the whole picture
    usual = float(np.median(value if is_thing.all() else value[~is_thing]))
    weight = cv2.resize(is_ground, size, interpolation=cv2.INTER_AREA)
    other = cv2.resize((value - usual) * is_ground, size, interpolation=cv2.INTER_AREA)
    weight = cv2.GaussianBlur(weight, (0, 0), reach * factor)
    other = cv2.GaussianBlur(other, (0, 0), reach * factor)
    smooth = cv2.resize(other / (weight + 0.02), (width, height), interpolation=cv2.INTER_LINEAR)
    return np.asarray(smooth + usual, np.float32)


def _level_of(over: FloatImage) -> float:
    """The level that best parts a picture in two (Otsu's)."""
    low, high = (float(v) for v in np.percentile(over[::3, ::3], (0.1, 99.9)))
    if high - low < 1e-6:
        return high
    steps = np.clip((over - low) * (255 / (high - low)), 0, 255).astype(np.uint8)
    level, _ = cv2.threshold(steps, 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    return low + (float(level) + 0.5) / 255 * (high - low)


def _usual_width(is_thing: BoolArray) -> float:
    """Of the things that half of all that stands out lies in, twice their depth, px."""
    depth = depth_of(fill_holes(is_thing))
    count, parts, stats, _ = cv2.connectedComponentsWithStats(
        is_thing.view(np.uint8), connectivity=4
    )
    deepest = np.asarray(ndimage.maximum(depth, parts, np.arange(1, count)))
    areas = stats[1:, cv2.CC_STAT_AREA]
    order = np.argsort(deepest)
    sums = np.cumsum(areas[order])
    return 2 * float(deepest[order[int(np.searchsorted(sums, sums[-1] / 2))]])


def _part(relief: _Relief) -> list[ObjectMask]:
    """The things of a relief one by one."""
    step = float(np.median(relief.over[relief.is_thing]))
    share = np.asarray(relief.over / step, np.float32)
    instances = find_instances(share, relief.is_thing, relief.width)
    inner = watershed(-share, instances.labels, mask=relief.is_thing)
    own = np.asarray(ndimage.median(share, inner, np.arange(int(inner.max()) + 1)))
    may_be = (share > _LOWEST) & grow(relief.is_thing, _margin(relief.width))
    wide = watershed(-share, inner, mask=may_be)
    labels = np.where((wide > 0) & (share > _HALF * own[wide]), wide, 0)
    low, high = np.percentile(relief.value[::3, ::3], (0.5, 99.5))
    least_area = max(_LEAST_PIXELS, _LEAST_AREA * relief.width**2)
    found = []
    for number, place in enumerate(ndimage.find_objects(labels), 1):
        if place is None:
            continue
        mask = _tidy(labels[place] == number)
        if np.count_nonzero(mask) < least_area:
            continue
        x0, y0 = place[1].start, place[0].start
        blob = ObjectMask.from_crop(mask, x0, y0, labels.shape)
        assert blob is not None, "it has an area"
        edge = _edge_of(relief.value, labels, blob)
        if edge is not None and edge < relief.least_step:
            continue  # a slope, no outline
        contrast = min(1.0, float(own[number]) * step / (_SURE * float(high - low)))
        score = contrast * ellipse_likeness(np.pad(mask, 1))
        scored = ObjectMask.from_crop(mask, x0, y0, labels.shape, score)
        assert scored is not None
        found.append(scored)
    return found


def _tidy(mask: BoolArray) -> BoolArray:
    """A mask in one piece, without holes and threads."""
    whole = fill_holes(np.pad(mask, 1))
    opened = cv2.morphologyEx(whole.view(np.uint8), cv2.MORPH_OPEN, disc(1)).view(bool)
    return largest_part(opened)[1:-1, 1:-1]


def _edge_of(value: FloatImage, labels: np.ndarray, blob: ObjectMask) -> float | None:
    """How far lightness steps across a blob's outline; None where nothing is outside."""
    x0, y0, x1, y1 = blob.bbox
    height, width = blob.size
    left, top, right, bottom = (
        max(0, x0 - 4),
        max(0, y0 - 4),
        min(width, x1 + 4),
        min(height, y1 + 4),
    )
    near = slice(top, bottom), slice(left, right)
    mask = np.zeros((bottom - top, right - left), bool)
    mask[y0 - top : y1 - top, x0 - left : x1 - left] = blob.crop
    ring = ring_round(mask, 1, 3) & (labels[near] == 0)
    if np.count_nonzero(ring) < 4:
        return None
    rim = mask & (depth_of(mask) <= 3)
    there = value[near]
    return float(np.median(there[rim]) - np.median(there[ring]))
