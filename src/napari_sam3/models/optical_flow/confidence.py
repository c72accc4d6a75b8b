"""How far a result is to be believed: what was measured on each frame, and the score made of it.

Confidence is the slow average of how well results agreed with the frame. A score is made of it by
one fixed curve a kind of object: an estimate of the overlap with the truth, so that below 0.5 an
object most likely is lost (`benchmarks/embedded_tracker.py --reliability` checks that).
"""

from __future__ import annotations

import numpy as np

from napari_sam3.models.optical_flow.mask_shapes import grow, rank, ring_round
from napari_sam3.models.optical_flow.motion import FloatImage
from napari_sam3.values import BoolArray

FOUND_TEXTURED, FOUND_BLOB = 0.45, 0.45
"""Confidence in what was found again, before the frames after it confirm it."""

_CURVES = {False: (4.6, 2.2), True: (6.0, 2.9)}  # slope and offset in log-odds; True for blobs
_RING = 12  # working px round a thing that ought to look otherwise
_UNTAUGHT = 0.85  # agreement of what was too small to learn its appearance from, at best
_STEP_OUT = 0.6  # of a blob's step, below which the ground begins


def score_of(confidence: float, *, blob: bool) -> float:
    """Turn confidence into a score, 0.02..0.97."""
    slope, offset = _CURVES[blob]
    return float(1 / (1 + np.exp(offset - slope * confidence)))


def confidence_of(score: float, *, blob: bool) -> float:
    """Turn a score back into the confidence it was made of; at most 1."""
    slope, offset = _CURVES[blob]
    score = min(max(score, 1e-3), 1 - 1e-3)
    return float(np.clip((offset + np.log(score / (1 - score))) / slope, 0, 1))


def judge_appearance(
    found: BoolArray, expected: BoolArray, appearance_odds: FloatImage, *, taught: bool
) -> float:
    """Tell how much more a result looks like the object than what is round it does, 0..1.

    Parameters
    ----------
    found, expected : (h, w) bool
        The result, and the mask warped along the flow.
    appearance_odds : (h, w) float32
        What the classifier says of every pixel; meaningless unless `taught`.
    """
    if not found.any():
        return 0.0
    if not taught:
        common = np.count_nonzero(found & expected)
        return _UNTAUGHT * float(np.sqrt(common / np.count_nonzero(found | expected)))
    ring = ring_round(found, 0, _RING)
    likely = 1 / (1 + np.exp(-appearance_odds))
    outside = float(likely[ring].mean()) if ring.any() else 0.0
    return max(0.0, float(likely[found].mean()) - outside)


def judge_blob(
    found: BoolArray, others: BoolArray, value: FloatImage, step: float, overlap: float
) -> float:
    """Tell how well a blob stands out from its ground, all round and as much as it did, 0..1.

    Parameters
    ----------
    found, others : (h, w) bool
        The result, and where other objects are expected.
    value : (h, w) float32
        Lightness or colour along the axis in which it stands out.
    step : float
        By how much it did where it was prompted.
    overlap : float
        Of the result with the mask warped along the flow.
    """
    area = int(np.count_nonzero(found))
    close, near, far = (grow(found, by) for by in (1, 2, 2 + max(3, round(0.35 * area**0.5))))
    ring = far & ~near & ~others
    if not area or not ring.any():
        return 0.0
    share = (value - rank(value[ring], 0.5)) / step
    height = rank(share[found], 0.5)
    if height <= 0:
        return 0.0
    rim = close & ~found
    parted = float((share[rim] < _STEP_OUT * max(height, 1.0)).mean()) if rim.any() else 1.0
    return float(np.sqrt(overlap * parted * min(height, 1 / height)))
