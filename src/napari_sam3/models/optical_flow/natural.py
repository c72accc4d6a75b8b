"""Following what has a look: colours, textures, parts. People, animals, things.

Works at the flow's working size. The mask pulled along the flow is the prior; the frozen
classifier of the prompted frame and the colours of the frame before say where it went wrong; a
graph cut decides.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from napari_sam3.models.optical_flow.appearance import Appearance, colour_ratio
from napari_sam3.models.optical_flow.cut import cut
from napari_sam3.models.optical_flow.flow import FloatImage, Motion
from napari_sam3.values import BoolArray

BAND = 25  # working px round the pulled mask in which the outline may lie
SURE = 8.0  # log-odds where the answer is not asked for
_PRIOR_REACH = 3.0
_LOOK_WEIGHT, _LOOK_REACH = 1.2, 4.0
_COLOUR_WEIGHT = 0.3
_SMOOTHNESS = 5.0
_PLACE_WEIGHT, _FLOW_WEIGHT = 0.1, 0.1
_SAMPLES = 9000
_FEWEST = 20  # pixels of either kind below which nothing is learnt
_FOUND_AGAIN = 1.5  # log-odds, before and after pooling, for an object that was lost


@dataclass(frozen=True, eq=False)
class Scene:
    """What is known of a frame before any object is looked at; all at working size.

    Attributes
    ----------
    features : (F, h, w) float32
        From `describe`.
    drift : (2, h, w) float32
        Flow without the camera's share, in working px a frame, towards the frame before.
    lab : (h, w, 3) uint8
    """

    features: FloatImage
    drift: FloatImage
    lab: np.ndarray

    def around(
        self, box: tuple[int, int, int, int], centre: tuple[float, float], size: float
    ) -> FloatImage:
        """All features of a box, with the place relative to an object's centre and size."""
        x0, y0, x1, y1 = box
        part = self.features[:, y0:y1, x0:x1]
        both = np.empty((part.shape[0] + 4, *part.shape[1:]), np.float32)
        both[:-4] = part
        both[-4] = (np.arange(x0, x1, dtype=np.float32) - centre[0]) * (_PLACE_WEIGHT / size)
        both[-3] = ((np.arange(y0, y1, dtype=np.float32) - centre[1]) * (_PLACE_WEIGHT / size))[
            :, None
        ]
        both[-2:] = np.clip(self.drift[:, y0:y1, x0:x1], -10, 10) * _FLOW_WEIGHT
        return both

    def anywhere(self) -> FloatImage:
        """All features of the whole frame, as if every place were the object's own."""
        return np.concatenate([self.features, np.zeros((4, *self.lab.shape[:2]), np.float32)])


def remove_camera(motion: Motion, objects: BoolArray) -> FloatImage:
    """Flow minus the affine motion of what is not an object, (2, h, w) float32."""
    height, width = motion.flow.shape[:2]
    rows, columns = np.mgrid[2:height:8, 2:width:8]
    free = ~objects[rows, columns]
    here = np.stack([columns[free], rows[free]], axis=1).astype(np.float32)
    camera = None
    if len(here) >= 12:
        there = here + motion.flow[rows[free], columns[free]]
        camera, _ = cv2.estimateAffine2D(here, there, method=cv2.RANSAC, ransacReprojThreshold=1.5)
    if camera is None:
        return np.ascontiguousarray(motion.flow.transpose(2, 0, 1))
    x = np.arange(width, dtype=np.float32)[None, :]
    y = np.arange(height, dtype=np.float32)[:, None]
    matrix = camera.astype(np.float32)
    return np.stack(
        [
            motion.flow[..., k] - (matrix[k, 0] * x + matrix[k, 1] * y + matrix[k, 2] - (x, y)[k])
            for k in range(2)
        ]
    )


def learn_look(scene: Scene, mask: BoolArray) -> Appearance | None:
    """Train a classifier on a frame and a mask at working size; None without both kinds."""
    if mask.sum() < _FEWEST or (~mask).sum() < _FEWEST:
        return None
    height, width = mask.shape
    features = scene.around((0, 0, width, height), *place_of(mask))
    away = cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, 5)
    rng = np.random.default_rng(0)
    near = np.flatnonzero((away > 0) & (away < 20))
    chosen = np.concatenate(
        [
            rng.choice(np.flatnonzero(mask), _SAMPLES),
            rng.choice(near, 2 * _SAMPLES // 3),
            rng.choice(np.flatnonzero(~mask), _SAMPLES // 3),
        ]
    )
    flat = features.reshape(features.shape[0], -1)[:, chosen]
    truth = np.arange(len(chosen)) < _SAMPLES
    count = features.shape[0]
    return Appearance.learn(flat, truth, slice(count - 4, count - 2), _PLACE_WEIGHT * 0.5)


def place_of(mask: BoolArray) -> tuple[tuple[float, float], float]:
    """Centre (x, y) and size (square root of the area) of a mask."""
    rows, columns = np.nonzero(mask)
    return (float(columns.mean()), float(rows.mean())), float(np.sqrt(len(rows)))


def weigh_evidence(
    pulled: FloatImage,
    box: tuple[int, int, int, int],
    look: Appearance | None,
    scene: Scene,
    before: tuple[np.ndarray, BoolArray],
) -> tuple[FloatImage, FloatImage]:
    """Log-odds that the pixels of a box are the object.

    Parameters
    ----------
    pulled : (h, w) float32
        The soft mask pulled along the flow, within `box`.
    before : (h, w, 3) uint8, (h, w) bool
        Colours (Lab) and mask of a part of the frame before.

    Returns
    -------
    log_odds, look_odds : (h, w) float32
        All evidence together, and the classifier's alone.
    """
    x0, y0, x1, y1 = box
    inside = pulled > 0.5
    least = 1 / (1 + np.exp(_PRIOR_REACH))
    share = np.clip(pulled, least, 1 - least)
    odds = np.log(share / (1 - share)).astype(np.float32)
    if look is None or not inside.any():
        return odds * 2, odds
    (cx, cy), size = place_of(inside)
    look_odds = look.log_odds(scene.around(box, (cx + x0, cy + y0), size))
    lab, mask = before
    ground = cv2.dilate(mask.astype(np.uint8), np.ones((31, 31), np.uint8)).astype(bool) & ~mask
    colour = colour_ratio(lab, mask, ground, scene.lab[y0:y1, x0:x1])
    odds += _LOOK_WEIGHT * np.clip(look_odds, -_LOOK_REACH, _LOOK_REACH) + _COLOUR_WEIGHT * colour
    away = cv2.distanceTransform((~inside).astype(np.uint8), cv2.DIST_L2, 5)
    depth = cv2.distanceTransform(inside.astype(np.uint8), cv2.DIST_L2, 5)
    odds[away > BAND] = -SURE
    odds[depth > BAND] = SURE
    return odds, look_odds


def decide(
    odds: FloatImage, box: tuple[int, int, int, int], scene: Scene, *, smooth: bool
) -> BoolArray:
    """Turn log-odds into a mask whose outline runs along the picture's edges."""
    if not smooth:
        return np.asarray(odds > 0)
    x0, y0, x1, y1 = box
    guide = cv2.GaussianBlur(scene.lab[y0:y1, x0:x1, :2], (0, 0), 0.6)
    return cut(odds, guide, _SMOOTHNESS)


def find_again(
    look: Appearance, scene: Scene, area: float, taken: BoolArray
) -> tuple[BoolArray, float] | None:
    """Look for a lost object anywhere in a frame.

    Parameters
    ----------
    area : float
        Of the whole object, working px.
    taken : (h, w) bool
        Where other objects are.

    Returns
    -------
    mask, probability : (h, w) bool, float
        At working size; None if nothing looks enough like it, in about the size it had.
    """
    odds = look.log_odds(scene.anywhere())
    odds[taken] = -_LOOK_REACH
    area = max(area, 4.0)
    pooled = cv2.GaussianBlur(odds, (0, 0), max(1.0, 0.08 * float(np.sqrt(area))))
    sure = (pooled > _FOUND_AGAIN).astype(np.uint8)
    count, parts, stats, _ = cv2.connectedComponentsWithStats(sure, connectivity=4)
    if count < 2:
        return None
    largest = 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax())
    if not 0.15 < stats[largest, cv2.CC_STAT_AREA] / area < 2:
        return None
    mask = parts == largest
    probability = float((1 / (1 + np.exp(-odds[mask]))).mean())
    return (mask, probability) if probability > 0.85 else None
