"""An exact graph cut on a pixel grid, with log-odds of our own.

OpenCV carries the max-flow solver of Boykov and Kolmogorov inside `grabCut` and offers it nowhere
else. grabCut's pixel costs come from two colour mixtures, which it can be told to keep
(`GC_EVAL_FREEZE_MODEL`). Two single Gaussians of equal variance have log-odds that are linear in a
channel: so the log-odds are drawn into the first channel, and the two others, in which both
Gaussians are as good as flat, carry the picture whose edges attract the cut.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

_LEVELS = 63  # grey levels for the log-odds; few, so that the picture's edges outweigh them
_REACH = 8.0  # log-odds beyond it are as good as certain
_NEIGHBOUR_COST = 50.0  # grabCut's own gamma


def cut_graph(
    log_odds: NDArray[np.float32], guide: NDArray[np.uint8], smoothness: float
) -> NDArray[np.bool_]:
    """Cut object from ground: the global optimum of log-odds plus a contrast-weighted boundary.

    Parameters
    ----------
    log_odds : (h, w) float32
        Positive where the pixel rather is the object; clipped to -8..8.
    guide : (h, w, 2) uint8
        Picture whose edges the boundary prefers, e.g. lightness and a colour.
    smoothness : float
        Cost of a unit of boundary where the picture is flat, in log-odds; at least 0.25.

    Returns
    -------
    (h, w) bool ndarray
    """
    height, width = log_odds.shape
    if min(height, width) < 2:
        return log_odds > 0
    log_odds = np.ascontiguousarray(log_odds)
    image = np.empty((height, width, 3), np.uint8)
    unit = np.clip(log_odds, -_REACH, _REACH) / (2 * _REACH) + 0.5
    image[..., 0] = np.rint(unit * _LEVELS)
    image[..., 1:] = guide
    reach = _REACH * _NEIGHBOUR_COST / max(smoothness, 0.25)
    variance = _LEVELS**2 / (2 * reach)
    sides = np.where(log_odds > 0, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
    cv2.grabCut(
        image,
        sides,
        None,
        _single_gaussian(0.0, variance),
        _single_gaussian(float(_LEVELS), variance),
        1,
        cv2.GC_EVAL_FREEZE_MODEL,
    )
    return np.asarray(sides == cv2.GC_PR_FGD)


def _single_gaussian(mean: float, variance: float) -> NDArray[np.float64]:
    """A colour mixture of grabCut with one component: 5 weights, 5 means, 5 covariances."""
    model = np.zeros((1, 65))
    model[0, 0] = 1.0
    model[0, 5] = mean
    model[0, 20:] = np.tile(np.eye(3).ravel(), 5)
    model[0, 20:29] = np.diag([variance, 1e8, 1e8]).ravel()
    return model
