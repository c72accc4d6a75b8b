"""Notes, locks and edits by hand: in memory and on disk alike."""

from __future__ import annotations

import numpy as np
import pytest

from napari_sam3.labels.label_stack import LabelStack
from napari_sam3.labels.label_store import LabelStore
from napari_sam3.labels.object_notes import ObjectNote

SHAPE = (5, 20, 30)
PAINTED = ObjectNote(None, "painted")
FOUND = {1: ObjectNote(0.9, "propagated"), 2: ObjectNote(0.5, "prompt")}


@pytest.fixture(params=["in memory", "on disk"])
def planes(request, tmp_path):
    """Two objects on frame 1."""
    if request.param == "in memory":
        planes = LabelStack(SHAPE, cache_bytes=1)
    else:
        planes = LabelStore.create(tmp_path, SHAPE, cache_bytes=1)
    planes.draw(1, two_objects(), FOUND)
    yield planes
    planes.close()


def two_objects() -> np.ndarray:
    labels = np.zeros(SHAPE[1:], np.uint16)
    labels[2:8, 2:8] = 1
    labels[10:18, 10:18] = 2
    return labels


def test_what_is_drawn_keeps_its_notes(planes):
    assert planes.notes(1) == FOUND
    assert planes.notes(-4) == FOUND
    assert planes.notes(0) == {}
    planes.draw(1, two_objects())
    assert planes.notes(1) == {}
    assert not planes.is_edited(1)


def test_annotate_changes_the_notes_of_those_objects_alone(planes):
    planes.annotate(1, {2: ObjectNote(None, "imported"), 7: ObjectNote(1.0, "prompt")})
    assert planes.notes(1) == {
        1: FOUND[1],
        2: ObjectNote(None, "imported"),
        7: ObjectNote(1.0, "prompt"),
    }
    planes.annotate(3, {1: PAINTED})
    assert planes.notes(3) == {1: PAINTED}
    assert not planes.is_processed(3)


@pytest.mark.parametrize(
    "note", [ObjectNote(1.5, "prompt"), ObjectNote(float("nan"), "prompt"), ObjectNote(0, "guess")]
)
def test_refuses_a_note_that_can_not_be(planes, note):
    with pytest.raises(ValueError, match="object 1"):
        planes.annotate(1, {1: note})
    with pytest.raises(ValueError, match="object 1"):
        planes.draw(1, np.zeros(SHAPE[1:], int), {1: note})
    assert planes.notes(1) == FOUND
    np.testing.assert_array_equal(planes[1], two_objects())


def test_painting_marks_the_objects_it_touches(planes):
    planes[1, 3, 3] = 1  # as it is
    assert planes.notes(1) == FOUND
    assert not planes.is_edited(1)
    planes[1, 12:14, 12:14] = 5
    assert planes.notes(1) == {1: FOUND[1], 2: PAINTED, 5: PAINTED}
    planes[1, 2:8, 2:8] = 0
    assert planes.notes(1)[1] == PAINTED  # wiped off, by hand
    assert planes.is_edited(1)


def test_edits_are_told_once(planes):
    planes[1, 0, 0] = 1
    planes[1, 10:18, 10:18] = 0
    planes[2, 5, 5] = 1
    planes[3, 5, 5] = 9  # not asked for
    edits = planes.take_edits({1, 2})
    assert sorted(edits) == [(1, 1), (1, 2), (2, 1)]
    np.testing.assert_array_equal(edits[1, 1], planes[1] == 1)
    assert not edits[1, 2].any()
    assert edits[2, 1].sum() == 1
    assert planes.take_edits({1, 2}) == {}
    assert not planes.is_edited(1)
    planes[1, 0, 1] = 1
    assert list(planes.take_edits({1, 2})) == [(1, 1)]


def test_what_was_undone_is_no_edit_and_keeps_its_note(planes):
    planes[1, 2:4, 2:4] = 7
    planes[1, 2:4, 2:4] = 1
    planes[1, 11, 11] = 0
    assert list(planes.take_edits({1, 2, 7})) == [(1, 2)]
    assert planes.notes(1) == {1: FOUND[1], 2: PAINTED}


def test_a_locked_frame_is_left_alone_by_the_program_only(planes):
    planes.lock(1)
    planes.lock(4)
    assert planes.locked_frames().tolist() == [1, 4]
    assert not planes.draw(1, np.full(SHAPE[1:], 3), {3: ObjectNote(0.1, "prompt")})
    assert not planes.draw(4, np.full(SHAPE[1:], 3))
    np.testing.assert_array_equal(planes[1], two_objects())
    assert planes.notes(1) == FOUND
    assert not planes.is_processed(4)
    planes[1, 0, 0] = 2
    assert planes[1, 0, 0] == 2
    planes.lock(1, False)
    assert planes.draw(1, np.full(SHAPE[1:], 3))
    assert planes[1].min() == 3


def test_frames_know_the_run_that_drew_them(planes):
    for i in (2, 3):
        planes.draw(i, two_objects(), run=4)
    planes.draw(3, two_objects())  # a prompt's answer: no run
    planes[2, 0, 0] = 1
    assert planes.frames_of_run(4).tolist() == [2, 3]
    planes.draw(2, two_objects(), run=5)
    assert planes.frames_of_run(4).tolist() == [3]


@pytest.mark.parametrize("frame_index", [5, -6])
def test_refuses_a_frame_that_is_not_there(planes, frame_index):
    for call in (planes.notes, planes.is_edited, planes.lock):
        with pytest.raises(IndexError):
            call(frame_index)
    with pytest.raises(IndexError):
        planes.draw(frame_index, two_objects())
