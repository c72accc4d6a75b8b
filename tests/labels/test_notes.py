"""Notes, locks and edits by hand: in memory and on disk alike."""

from __future__ import annotations

import numpy as np
import pytest

from napari_sam3.labels.label_stack import LabelStack
from napari_sam3.labels.label_store import LabelStore
from napari_sam3.labels.object_notes import SOURCES, ObjectNote

SHAPE = (5, 20, 30)
PAINTED = ObjectNote(None, "painted")
FOUND = {1: ObjectNote(0.9, "propagated"), 2: ObjectNote(0.5, "prompt")}


@pytest.fixture(params=["in memory", "on disk"])
def stack(request, tmp_path):
    """Two objects on frame 1."""
    if request.param == "in memory":
        stack = LabelStack(SHAPE, cache_bytes=1)
    else:
        stack = LabelStore.create(tmp_path, SHAPE, cache_bytes=1)
    stack.draw(1, two_objects(), FOUND)
    yield stack
    stack.close()


def two_objects() -> np.ndarray:
    labels = np.zeros(SHAPE[1:], np.uint16)
    labels[2:8, 2:8] = 1
    labels[10:18, 10:18] = 2
    return labels


def test_what_is_drawn_keeps_its_notes(stack):
    assert stack.notes(1) == FOUND
    assert stack.notes(-4) == FOUND
    assert stack.notes(0) == {}
    stack.draw(1, two_objects())
    assert stack.notes(1) == {}
    assert not stack.is_edited(1)


def test_annotate_changes_the_notes_of_those_objects_alone(stack):
    stack.annotate(1, {2: ObjectNote(None, "imported"), 7: ObjectNote(1.0, "prompt")})
    assert stack.notes(1) == {
        1: FOUND[1],
        2: ObjectNote(None, "imported"),
        7: ObjectNote(1.0, "prompt"),
    }
    stack.annotate(3, {1: PAINTED})
    assert stack.notes(3) == {1: PAINTED}
    assert not stack.is_processed(3)


@pytest.mark.parametrize(
    "note", [ObjectNote(1.5, "prompt"), ObjectNote(float("nan"), "prompt"), ObjectNote(0, "guess")]
)
def test_refuses_a_note_that_can_not_be(stack, note):
    with pytest.raises(ValueError, match="object 1"):
        stack.annotate(1, {1: note})
    with pytest.raises(ValueError, match="object 1"):
        stack.draw(1, np.zeros(SHAPE[1:], int), {1: note})
    assert stack.notes(1) == FOUND
    np.testing.assert_array_equal(stack[1], two_objects())


def test_painting_marks_the_objects_it_touches(stack):
    stack[1, 3, 3] = 1  # as it is
    assert stack.notes(1) == FOUND
    assert not stack.is_edited(1)
    stack[1, 12:14, 12:14] = 5
    assert stack.notes(1) == {1: FOUND[1], 2: PAINTED, 5: PAINTED}
    stack[1, 2:8, 2:8] = 0
    assert stack.notes(1)[1] == PAINTED  # wiped off, by hand
    assert stack.is_edited(1)


def test_edits_are_told_once(stack):
    stack[1, 0, 0] = 1
    stack[1, 10:18, 10:18] = 0
    stack[2, 5, 5] = 1
    stack[3, 5, 5] = 9  # not asked for
    edits = stack.take_edits({1, 2})
    assert sorted(edits) == [(1, 1), (1, 2), (2, 1)]
    np.testing.assert_array_equal(edits[1, 1], stack[1] == 1)
    assert not edits[1, 2].any()
    assert edits[2, 1].sum() == 1
    assert stack.take_edits({1, 2}) == {}
    assert not stack.is_edited(1)
    stack[1, 0, 1] = 1
    assert list(stack.take_edits({1, 2})) == [(1, 1)]


def test_what_was_undone_is_no_edit_and_keeps_its_note(stack):
    stack[1, 2:4, 2:4] = 7
    stack[1, 2:4, 2:4] = 1
    stack[1, 11, 11] = 0
    assert list(stack.take_edits({1, 2, 7})) == [(1, 2)]
    assert stack.notes(1) == {1: FOUND[1], 2: PAINTED}


def test_a_locked_frame_is_left_alone_by_the_program_only(stack):
    stack.lock(1)
    stack.lock(4)
    assert stack.locked_frames().tolist() == [1, 4]
    assert not stack.draw(1, np.full(SHAPE[1:], 3), {3: ObjectNote(0.1, "prompt")})
    assert not stack.draw(4, np.full(SHAPE[1:], 3))
    np.testing.assert_array_equal(stack[1], two_objects())
    assert stack.notes(1) == FOUND
    assert not stack.is_processed(4)
    stack[1, 0, 0] = 2
    assert stack[1, 0, 0] == 2
    stack.lock(1, False)
    assert stack.draw(1, np.full(SHAPE[1:], 3))
    assert stack[1].min() == 3


def test_frames_know_the_run_that_drew_them(stack):
    for i in (2, 3):
        stack.draw(i, two_objects(), run=4)
    stack.draw(3, two_objects())  # a prompt's answer: no run
    stack[2, 0, 0] = 1
    assert stack.frames_of_run(4).tolist() == [2, 3]
    stack.draw(2, two_objects(), run=5)
    assert stack.frames_of_run(4).tolist() == [3]


@pytest.mark.parametrize("frame_index", [5, -6])
def test_refuses_a_frame_that_is_not_there(stack, frame_index):
    for call in (stack.notes, stack.is_edited, stack.lock):
        with pytest.raises(IndexError):
            call(frame_index)
    with pytest.raises(IndexError):
        stack.draw(frame_index, two_objects())


def test_tells_which_frames_changed_since_it_was_asked(stack):
    frames, moment = stack.changed_since(-1)
    assert frames.tolist() == [1]
    assert stack.changed_since(moment) == (pytest.approx([]), moment)
    stack.draw(4, two_objects())
    stack[1, 0, 0] = 2
    stack.annotate(3, {1: PAINTED})
    stack.lock(2)
    frames, later = stack.changed_since(moment)
    assert frames.tolist() == [1, 2, 3, 4]
    stack.lock(2)  # as it is
    assert not stack.draw(2, two_objects())  # locked
    assert stack.changed_since(later)[0].size == 0
    assert stack.changed_since(-1)[0].tolist() == [1, 2, 3, 4]


def test_undoing_a_stroke_is_a_change_too(stack):
    before = int(stack[1, 3, 3])
    stack[1, 3, 3] = 2
    stack[1, 3, 3] = before
    _, moment = stack.changed_since(-1)
    stack.take_edits({1, 2})
    assert stack.notes(1) == FOUND
    assert stack.changed_since(moment)[0].tolist() == [1]


def test_notes_of_many_frames_come_in_one_table(stack):
    stack.draw(3, two_objects(), {2: ObjectNote(None, "imported")})
    rows = stack.noted([3, 0, 1])
    assert rows["place"].tolist() == [0, 2, 2]
    assert rows["id"].tolist() == [2, 1, 2]
    assert [SOURCES[i] for i in rows["source"]] == ["imported", "propagated", "prompt"]
    np.testing.assert_array_equal(rows["score"], [np.nan, 0.9, 0.5])
    assert len(stack.noted([])) == 0


def test_a_painted_mask_is_known_again_and_one_wiped_off_is_none(stack):
    assert stack.painted_masks(1) == {}
    stack[1, 3, 3] = 0
    painted = dict(stack.painted_masks(1))
    assert painted.keys() == {1}
    stack[1, 2:8, 2:8] = 0
    assert stack.painted_masks(1) == {1: 0}
    stack[1, 2:8, 2:8] = 1
    stack[1, 3, 3] = 0
    assert stack.painted_masks(1) == painted
