"""Which pixels move as an object does, and which as what is round it."""

from __future__ import annotations

import cv2
import numpy as np

from napari_sam3.models.optical_flow.motion import FloatImage
from napari_sam3.values import BoolArray

_BINS = 24  # of the flow, along the axis of its wider range
_LEAST_STEP = 0.35  # working px a frame; flow is not measured finer
_RARE = 2e-3  # share of a bin below which a motion says nothing
_REACH = 3.0  # log-odds
_FEWEST = 30  # pixels of either kind below which nothing is told


def motion_ratio(flow: FloatImage, core: BoolArray, ground: BoolArray) -> FloatImage | None:
    """Log-ratio of an object's and its surroundings' motions, -3..3; None where either is small.

    Each frame is asked anew: a thing that turns, or a camera that follows it, moves otherwise than
    on the frames it was learnt on. Where both move alike, the ratio is about 0.

    Parameters
    ----------
    flow : (h, w, 2) float32
    core, ground : (h, w) bool
        What surely is the object, and what is about it.

    Returns
    -------
    (h, w) float32 ndarray or None
    """
    if min(np.count_nonzero(core), np.count_nonzero(ground)) < _FEWEST:
        return None
    low, high = np.percentile(flow[core | ground], (1, 99), axis=0)
    step = max(float((high - low).max()) / _BINS, _LEAST_STEP)
    low = low - 2 * step  # beside the range, so that smoothing loses nothing
    shape = np.ceil((high - low) / step).astype(int) + 3
    columns, rows = (
        np.clip((flow[..., k] - np.float32(low[k])) / np.float32(step), 0, shape[k] - 1).astype(int)
        for k in range(2)
    )
    bins = columns * int(shape[1]) + rows
    shares = []
    for region in (core, ground):
        count = np.bincount(bins[region], minlength=int(shape.prod())).astype(np.float32)
        smooth = cv2.GaussianBlur(count.reshape(shape), (0, 0), 1.0, borderType=cv2.BORDER_CONSTANT)
        shares.append(smooth / max(float(smooth.sum()), 1.0))
    table = np.log((shares[0] + _RARE) / (shares[1] + _RARE))
    return np.asarray(np.clip(table, -_REACH, _REACH).ravel()[bins], np.float32)
