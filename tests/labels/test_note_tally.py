"""On which frames each object is: counted as labels change."""

import numpy as np
import pytest

from napari_sam3.labels.label_stack import LabelStack
from napari_sam3.labels.note_tally import NoteTally
from napari_sam3.labels.object_notes import ObjectNote


@pytest.fixture
def labels():
    labels = LabelStack((9, 4, 4))
    for n, score in ((2, 0.5), (3, 0.7), (5, None)):
        draw(labels, n, {1: ObjectNote(score, "propagated")})
    return labels


def draw(labels, n, notes):
    labels.draw(n, np.full((4, 4), max(notes, default=0)), notes)


def count_all(tally):
    changed = tally.update()
    while not tally.is_up_to_date:
        changed |= tally.update()
    return changed


def test_an_object_is_counted_on_its_frames(labels):
    tally = NoteTally(labels)
    assert count_all(tally) == {1}
    one = tally[1]
    assert (one.n_frames, one.first_frame, one.last_frame) == (3, 2, 5)
    assert one.frames == 0b101100
    assert one.mean_score == pytest.approx(0.6)
    assert (one.n_followed, one.n_painted) == (3, 0)
    assert tally[7].first_frame is None


def test_only_what_changed_is_counted_again(labels):
    tally = NoteTally(labels)
    count_all(tally)
    draw(labels, 3, {2: ObjectNote(0.1, "prompt")})
    assert tally.update() == {1, 2}
    assert (tally[1].frames, tally[2].frames) == (0b100100, 0b1000)
    assert tally[1].mean_score == pytest.approx(0.5)
    draw(labels, 3, {})
    assert tally.update() == {2}
    assert set(tally.ids) == {1}
    assert tally.update() == set()


def test_what_was_wiped_off_by_hand_is_not_there(labels):
    labels[2] = 0
    labels[4, 0, 0] = 3
    tally = NoteTally(labels)
    count_all(tally)
    assert tally[1].frames == 0b101000
    assert (tally[3].frames, tally[3].n_painted) == (0b10000, 1)


def test_so_many_notes_are_counted_at_once(labels):
    tally = NoteTally(labels)
    tally.update(1)
    assert not tally.is_up_to_date
    for _ in range(2):
        tally.update(1)
    assert tally.is_up_to_date
    assert tally[1].n_frames == 3
