"""What of each object on a frame of labels tells whether it is to be believed: a few numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from napari_sam3.labels.measures import Measure, measure_labels
from napari_sam3.labels.object_notes import ObjectNote

SIGN = np.dtype(
    [
        ("frame", "<i4"),
        ("id", "<i4"),
        ("area", "<i4"),  # px; 0: a person said that it is not there
        ("x", "<f4"),  # of the centroid, px
        ("y", "<f4"),
        ("score", "<f4"),  # NaN for none
        ("by_hand", "?"),  # prompted or painted there
        ("share", "<f4"),  # of the area, its largest part
        ("touches", "<i4"),  # the object that it has most border with; 0 for none
        ("at_edge", "?"),  # of the picture
    ]
)
"""One object on one frame, 38 bytes."""

_BY_HAND = ("prompt", "painted")


def read_signs(
    labels: NDArray[Any], frame_index: int, notes: Mapping[int, ObjectNote] | None = None
) -> NDArray[Any]:
    """Read the signs of all objects of a frame.

    Parameters
    ----------
    labels, frame_index, notes
        As of `measure_labels`.

    Returns
    -------
    (N,) array of `SIGN`
        By rising id; those that were wiped off by hand are among them.
    """
    known = notes or {}
    contacts = _contacts(labels)
    rows = [
        (
            *(frame_index, m.obj_id, m.area, *m.centroid_xy),
            np.nan if m.score is None else m.score,
            m.source in _BY_HAND,
            _largest_share(labels, m),
            contacts.get(m.obj_id, 0),
            _is_at_edge(m, labels.shape),
        )
        for m in measure_labels(labels, frame_index, known)
    ]
    seen = {row[1] for row in rows}
    rows += [
        (frame_index, obj_id, 0, np.nan, np.nan, np.nan, True, 0, 0, False)
        for obj_id, note in known.items()
        if note.source in _BY_HAND and obj_id not in seen
    ]
    return np.sort(np.array(rows, SIGN), order="id")


def _is_at_edge(measure: Measure, shape: tuple[int, ...]) -> bool:
    x0, y0, x1, y1 = measure.bbox
    return x0 == 0 or y0 == 0 or x1 == shape[1] or y1 == shape[0]


def _largest_share(labels: NDArray[Any], measure: Measure) -> float:
    x0, y0, x1, y1 = measure.bbox
    own = np.asarray(labels[y0:y1, x0:x1] == measure.obj_id).view(np.uint8)
    _, _, stats, _ = cv2.connectedComponentsWithStats(own, connectivity=8)
    return float(stats[1:, cv2.CC_STAT_AREA].max()) / measure.area


def _contacts(labels: NDArray[Any]) -> dict[int, int]:
    """Of each object that touches others the one with which it has most border."""
    pairs = []
    for here, there in ((labels[:, 1:], labels[:, :-1]), (labels[1:], labels[:-1])):
        meets = (here != there) & (here > 0) & (there > 0)
        pairs.append(np.stack([here[meets], there[meets]], axis=1).astype(np.int64))
    both = np.concatenate([*pairs, *(p[:, ::-1] for p in pairs)])
    met, counts = np.unique(both, axis=0, return_counts=True)
    order = np.argsort(counts, kind="stable")  # the longest border last, which stays
    return {int(a): int(b) for a, b in met[order]}
