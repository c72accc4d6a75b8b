"""What to follow in a video when nobody has said it: what moves by itself, else the middle."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from napari_sam3.values import Frames

WORK_WIDTH = 320  # px; motion is looked for in a small picture
LOOKAHEAD = 3  # frames; motion over one alone may be too small to see
LEAST_MOTION = 0.7  # px of the small picture
LEAST_AREA, MOST_AREA = 0.002, 0.5  # of the picture


class Salient(NamedTuple):
    """A box to begin with, and why."""

    box_xyxy: tuple[float, float, float, float]
    reason: str


def find_salient(frames: Frames) -> Salient:
    """Find something on the first frame that is worth following.

    Motion is measured against the median motion of the picture, so that a camera that turns does
    not count.

    Parameters
    ----------
    frames : Frames
        The video as 8-bit RGB.

    Returns
    -------
    Salient
        x0, y0, x1, y1 in px.
    """
    height, width = frames.size
    scale = min(1.0, WORK_WIDTH / width)
    if len(frames) > 1:
        first = _small_grey(frames[0], scale)
        later = _small_grey(frames[min(LOOKAHEAD, len(frames) - 1)], scale)
        box = _moving_box(first, later)
        if box is not None:
            x0, y0, x1, y1 = box
            return Salient(
                (x0 / scale, y0 / scale, min(x1 / scale, width), min(y1 / scale, height)),
                "what moves most against the rest of the picture",
            )
    return Salient(
        (0.3 * width, 0.3 * height, 0.7 * width, 0.7 * height),
        "what is in the middle, for nothing moves by itself",
    )


def _small_grey(rgb: NDArray[np.uint8], scale: float) -> NDArray[np.uint8]:
    height, width = rgb.shape[:2]
    size = (max(16, round(width * scale)), max(16, round(height * scale)))
    grey = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
    return np.asarray(cv2.resize(grey, size, interpolation=cv2.INTER_AREA), np.uint8)


def _moving_box(
    first: NDArray[np.uint8], later: NDArray[np.uint8]
) -> tuple[float, float, float, float] | None:
    finder = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    flow = finder.calc(first, later, None)
    own = np.hypot(*np.moveaxis(flow - np.median(flow, axis=(0, 1)), -1, 0))
    own = cv2.GaussianBlur(own.astype(np.float32), (0, 0), 2)
    strongest = float(np.percentile(own, 99.5))
    if strongest < LEAST_MOTION:
        return None
    moving = (own > max(LEAST_MOTION / 2, 0.5 * strongest)).astype(np.uint8)
    # ripples and shadows hang on by threads
    moving = cv2.morphologyEx(moving, cv2.MORPH_OPEN, np.ones((9, 9), np.uint8))
    count, _, stats, centres = cv2.connectedComponentsWithStats(moving)
    height, width = first.shape
    best, best_score = None, 0.0
    for number in range(1, count):
        x, y, wide, high, area = (int(n) for n in stats[number])
        if not LEAST_AREA < area / own.size < MOST_AREA:
            continue
        # people film things, not edges
        offside = np.hypot(*(centres[number] / (width, height) - 0.5))
        score = area * float(1 - offside)
        if x == 0 or y == 0 or x + wide == width or y + high == height:
            score *= 0.2  # most often near ground that seems to move when the camera does
        if score > best_score:
            best, best_score = (float(x), float(y), float(x + wide), float(y + high)), score
    return best
