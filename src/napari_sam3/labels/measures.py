"""Figures of objects: where they are, how large, how sure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_sam3.labels.object_notes import ObjectNote, Source
from napari_sam3.values import Box, FrameResult


class Measure(NamedTuple):
    """One object on one frame.

    Attributes
    ----------
    frame_index : int
        0-based.
    obj_id : int
        Id, and label.
    score : float or None
        Confidence in 0..1; None where there is none, as for a painted object.
    bbox : (x0, y0, x1, y1)
        Tight box in px, x1 and y1 exclusive.
    area : int
        px.
    centroid_xy : (float, float)
        Mean of the pixels' centres, px; the centre of the top left pixel is (0.5, 0.5).
    source : Source or None
        Where the mask comes from; None where nobody knows.
    """

    frame_index: int
    obj_id: int
    score: float | None
    bbox: Box
    area: int
    centroid_xy: tuple[float, float]
    source: Source | None = None


def measure_result(
    result: FrameResult, sources: Mapping[int, Source] | None = None
) -> list[Measure]:
    """Measure every object of a frame, by rising id.

    Parameters
    ----------
    result : FrameResult
        With the scores.
    sources : mapping of id to Source, optional
        Where the masks come from; by default a propagation.
    """
    known = sources or {}
    measures = []
    for obj_id, mask in sorted(result.objects.items()):
        rows, columns = np.nonzero(mask.crop)
        centroid = (
            mask.bbox[0] + float(columns.mean()) + 0.5,
            mask.bbox[1] + float(rows.mean()) + 0.5,
        )
        place = (mask.bbox, len(rows), centroid)
        measures.append(
            Measure(result.frame_index, obj_id, mask.score, *place, known.get(obj_id, "propagated"))
        )
    return measures


def measure_labels(
    labels: NDArray[Any], frame_index: int, notes: Mapping[int, ObjectNote] | None = None
) -> list[Measure]:
    """Measure every object of a label frame, by rising id.

    Parameters
    ----------
    labels : (H, W) integer array
        0 is background.
    frame_index : int
        0-based; only handed on.
    notes : mapping of id to ObjectNote, optional
        Score and source of the objects, where known.
    """
    rows, columns = np.nonzero(labels)
    ids, place = _number_labels(labels[rows, columns])
    areas = np.bincount(place, minlength=len(ids))
    centre_x = np.bincount(place, columns, len(ids)) / areas + 0.5
    centre_y = np.bincount(place, rows, len(ids)) / areas + 0.5
    low = np.full((2, len(ids)), max(labels.shape))
    high = np.zeros((2, len(ids)), int)
    for axis, indices in enumerate((columns, rows)):
        np.minimum.at(low[axis], place, indices)
        np.maximum.at(high[axis], place, indices + 1)
    known = notes or {}
    nothing = (None, None)
    return [
        Measure(
            frame_index,
            int(obj_id),
            known.get(int(obj_id), nothing)[0],
            (int(low[0, n]), int(low[1, n]), int(high[0, n]), int(high[1, n])),
            int(areas[n]),
            (float(centre_x[n]), float(centre_y[n])),
            known.get(int(obj_id), nothing)[1],
        )
        for n, obj_id in enumerate(ids)
    ]


def _number_labels(values: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.intp]]:
    """The labels there are, rising, and which of them each value is; as `np.unique`, but faster."""
    greatest = int(values.max(initial=0))
    if values.dtype.kind != "u" or greatest > np.iinfo(np.uint16).max:
        return np.unique(values, return_inverse=True)
    ids = np.flatnonzero(np.bincount(values))
    places = np.zeros(greatest + 1, np.intp)
    places[ids] = np.arange(len(ids))
    return ids, places[values]
