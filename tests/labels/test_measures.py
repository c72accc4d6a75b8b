"""Measures of objects, from masks and from labels."""

from __future__ import annotations

import numpy as np
import pytest

from napari_sam3.labels.measures import measure_labels, measure_result
from napari_sam3.labels.object_notes import ObjectNote
from napari_sam3.values import FrameResult, ObjectMask, label_image


@pytest.fixture
def result():
    bar, dot = np.zeros((20, 30), bool), np.zeros((20, 30), bool)
    bar[2:4, 5:15] = True
    dot[19, 29] = True
    objects = {7: ObjectMask.from_mask(bar, 0.75), 3: ObjectMask.from_mask(dot, 1.0)}
    return FrameResult(4, objects)


def test_measures_of_a_result(result):
    dot, bar = measure_result(result)
    assert (dot.frame_index, dot.obj_id, dot.score) == (4, 3, 1.0)
    assert (dot.bbox, dot.area, dot.centroid_xy) == ((29, 19, 30, 20), 1, (29.5, 19.5))
    assert (bar.obj_id, bar.score, bar.area) == (7, 0.75, 20)
    assert bar.bbox == (5, 2, 15, 4)
    assert bar.centroid_xy == (10.0, 3.0)


def test_labels_give_the_same_as_masks(result):
    labels = label_image(result.objects, (20, 30))
    notes = {3: ObjectNote(1.0, "prompt"), 7: ObjectNote(0.75, "propagated")}
    sources = {obj_id: note.source for obj_id, note in notes.items()}
    assert measure_labels(labels, 4, notes) == measure_result(result, sources)
    assert [m.score for m in measure_labels(labels, 4)] == [None, None]


def test_an_empty_frame_has_no_measures():
    assert measure_labels(np.zeros((5, 6), np.uint16), 0) == []
    assert measure_result(FrameResult(0)) == []
