"""Working with a known truth: where to click, and how well the objects were followed."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from napari_sam3.values import FrameResult, ObjectMask


def inner_points(labels: NDArray[Any]) -> dict[int, tuple[float, float]]:
    """Where a person would click each object: at the pixel furthest from its outline.

    Parameters
    ----------
    labels : (H, W) integer array
        0 is background.

    Returns
    -------
    dict of id to (x, y)
        px, centres of pixels, by rising id.
    """
    points = {}
    for obj_id in np.unique(labels[labels != 0]):
        # a frame of background, so that the picture's edge counts as outline
        mask = np.pad(labels == obj_id, 1).astype(np.uint8)
        depth = cv2.distanceTransform(mask, cv2.DIST_L2, 5)
        row, column = np.unravel_index(int(depth.argmax()), depth.shape)
        points[int(obj_id)] = (float(column) - 0.5, float(row) - 0.5)
    return points


class OverlapScore:
    """How well results agree with the truth, gathered frame by frame.

    Parameters
    ----------
    truth : (T, H, W) integer array-like
        True labels.
    ids : iterable of int
        The objects that are followed, the same in truth and results; others don't count.
    """

    def __init__(self, truth: Any, ids: Any) -> None:
        self._truth = truth
        self._ids = frozenset(int(i) for i in ids)
        self._overlaps: dict[tuple[int, int], float] = {}

    def add(self, result: FrameResult) -> None:
        """Compare a frame; an object that is there in truth but not in the result counts as 0."""
        labels = np.asarray(self._truth[result.frame_index])
        for obj_id in self._ids.intersection(np.unique(labels).tolist()):
            true = ObjectMask.from_mask(labels == obj_id)
            found = result.objects.get(obj_id)
            overlap = true.overlap(found) if true is not None and found is not None else 0.0
            self._overlaps[result.frame_index, obj_id] = overlap

    @property
    def mean(self) -> float:
        """Mean intersection over union of all frames and objects, 0..1; NaN before any."""
        return float(np.mean(list(self._overlaps.values()))) if self._overlaps else float("nan")
