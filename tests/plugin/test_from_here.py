"""Corrections in the window, and how far "From here" follows them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from napari_sam3 import attach
from napari_sam3.models.fake import FakeTracker
from napari_sam3.plugin.model.app_state import Outcome
from napari_sam3.session.correction import SETTLED_AFTER
from napari_sam3.values import ObjectMask

from .conftest import SHAPE, click, disc, labels_of

pytestmark = pytest.mark.sweep

CLICKS = {1: (30, 40), 2: (60, 20)}
SQUARE = np.zeros(SHAPE[1:], bool)
SQUARE[4:14, 60:74] = True


@pytest.fixture
def tracked(ready, work):
    """Two objects, followed through all frames."""
    click(ready, 60, 20, obj_id=2)
    ready.tracking_panel.direction.value = "forward"
    work(ready, ready.propagate)
    return ready


def paint(dock, frame, mask, label):
    labels_of(dock).data_setitem((np.full(mask.sum(), frame), *np.nonzero(mask)), label)


def repaint(dock, frame, mask, obj_id):
    """Erase an object on a frame, and paint it anew, as a person does."""
    paint(dock, frame, labels_of(dock).data[frame] == obj_id, 0)
    paint(dock, frame, mask, obj_id)


def from_here(dock, work, frame):
    dock.viewer.dims.set_current_step(0, frame)
    work(dock, dock.tracking_panel.from_here.native.click)


def changed_frames(dock, before):
    after = np.asarray(labels_of(dock).data)
    return np.flatnonzero((after != before).any(axis=(1, 2))).tolist()


def corrections():
    def by_click(dock):
        click(dock, 8, 66, t=8)

    def by_paint(dock):
        paint(dock, 8, SQUARE, 1)

    def by_eraser(dock):
        half = labels_of(dock).data[8] == 1
        half[46:] = False
        paint(dock, 8, half, 0)

    return {f.__name__: f for f in (by_click, by_paint, by_eraser)}


@pytest.mark.parametrize("way", corrections())
def test_a_correction_is_followed_from_its_frame_on(tracked, work, way):
    before = np.asarray(labels_of(tracked).data)
    corrections()[way](tracked)
    from_here(tracked, work, 8)
    after = np.asarray(labels_of(tracked).data)
    assert tracked.state.outcome is Outcome.TRACKED
    assert changed_frames(tracked, before) == list(range(8, 20))
    moved = np.roll(after[8] == 1, (4, 6), (0, 1))
    np.testing.assert_array_equal(after[10] == 1, moved)
    for frame in range(20):
        np.testing.assert_array_equal(after[frame] == 2, before[frame] == 2)


def test_between_two_painted_frames_an_object_is_interpolated(tracked, work, monkeypatch):
    step = FakeTracker.step

    def unsure(self, *args):
        moved = step(self, *args).items()
        return {
            i: s if s.mask is None else replace(s, mask=replace(s.mask, score=0.6))
            for i, s in moved
        }

    monkeypatch.setattr(FakeTracker, "step", unsure)
    far = np.roll(SQUARE, (12 + 4, 18), (0, 1))  # six frames further, and four pixels lower
    repaint(tracked, 4, SQUARE, 1)
    repaint(tracked, 10, far, 1)
    from_here(tracked, work, 4)
    middle = np.nonzero(labels_of(tracked).data[7] == 1)[0]
    assert np.median(middle) == pytest.approx(8.5 + 6 + 2, abs=1)
    np.testing.assert_array_equal(labels_of(tracked).data[10] == 1, far)


def test_locked_frames_end_the_way_and_stay(tracked, work):
    tracked.tracking.results.planes.lock(12)
    before = np.asarray(labels_of(tracked).data)
    paint(tracked, 8, SQUARE, 1)
    from_here(tracked, work, 8)
    assert changed_frames(tracked, before) == [8, 9, 10, 11]


def test_frames_done_by_hand_end_the_way_and_stay(tracked, work):
    repaint(tracked, 12, SQUARE, 1)
    before = np.asarray(labels_of(tracked).data)
    paint(tracked, 8, SQUARE, 1)
    from_here(tracked, work, 8)
    assert changed_frames(tracked, before) == [8, 9, 10, 11]


def test_it_goes_backward(tracked, work):
    tracked.tracking_panel.direction.value = "backward"
    before = np.asarray(labels_of(tracked).data)
    paint(tracked, 8, SQUARE, 1)
    from_here(tracked, work, 8)
    assert changed_frames(tracked, before) == list(
        range(2, 9)
    )  # then what was painted is out of the picture


def test_it_ends_where_nothing_changes_any_more(tracked, work, monkeypatch):
    """Three frames after it was set, an object is where its first click has it."""
    step = FakeTracker.step

    def heal(self, source, target, states, fixed):
        moved = step(self, source, target, states, fixed)
        places = {i: ObjectMask.from_mask(disc(target, *CLICKS[i])) for i in moved}
        return {
            i: replace(s, mask=places[i]) if target - s.memory >= 3 else s for i, s in moved.items()
        }

    monkeypatch.setattr(FakeTracker, "step", heal)
    before = np.asarray(labels_of(tracked).data)
    paint(tracked, 4, SQUARE, 1)
    from_here(tracked, work, 4)
    assert tracked.state.frames_done == 2 + SETTLED_AFTER
    assert changed_frames(tracked, before) == [4, 5, 6]
    timeline = tracked.timeline.controller.timeline
    assert not timeline.freshness.stale(1, np.arange(5, 20)).any()
    assert timeline.freshness.stale(1, np.arange(1, 4)).all()


def test_what_the_session_does_not_know_stays(tracked, work):
    """Another model has begun anew: it knows the prompts, not what was tracked."""
    before = np.asarray(labels_of(tracked).data)
    paint(tracked, 3, np.ones((1, 1), bool), 77)
    tracked.tracking.sessions.close()
    paint(tracked, 8, SQUARE, 1)
    from_here(tracked, work, 8)
    after = np.asarray(labels_of(tracked).data)
    np.testing.assert_array_equal(after == 2, before == 2)
    assert after[3, 0, 0] == 77
    np.testing.assert_array_equal(after[10] == 1, np.roll(after[8] == 1, (4, 6), (0, 1)))


def test_nothing_was_corrected_here(tracked, work, notes):
    from_here(tracked, work, 15)
    assert tracked.state.outcome is Outcome.FAILED
    assert "correct an object there first" in tracked.guidance.text()


def test_a_script_follows_a_correction(tracked, work):
    before = np.asarray(labels_of(tracked).data)
    session = attach(tracked.viewer, tracked.state.video)
    session.add_prompt(8, points=[[66, 8]], obj_id=1)
    assert session.propagate_from_here(8, "forward") == 11
    assert changed_frames(tracked, before) == list(range(8, 20))
    session.close()
