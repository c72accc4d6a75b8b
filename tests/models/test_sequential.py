"""Which frames a sequential tracker computes: no more than a new prompt has changed."""

from __future__ import annotations

import numpy as np
import pytest

from napari_sam3.models.fake import FakeModel, FakeTracker
from napari_sam3.session.session import VideoSession


class CountingTracker(FakeTracker):
    def __init__(self, model, frames):
        super().__init__(model, frames)
        self.steps = []

    def step(self, source, target, states, fixed):
        self.steps.append((target, set(states) - set(fixed)))
        return super().step(source, target, states, fixed)


class CountingModel(FakeModel):
    def start(self, frames):
        self.tracker = CountingTracker(self, frames)
        return self.tracker


@pytest.fixture
def session():
    return VideoSession(np.zeros((10, 100, 120), np.uint8), CountingModel(step_xy=(1, 1)))


def run(session, direction="forward", **fields):
    """Frames computed by a propagation, in order."""
    steps = session.model.tracker.steps
    steps.clear()
    list(session.propagate(direction, **fields))
    return [target for target, _ in steps]


def test_forward_computes_each_frame_once(session):
    session.add_prompt(2, points=[[30, 30]])
    assert run(session) == [3, 4, 5, 6, 7, 8, 9]
    assert run(session) == []


def test_a_correction_recomputes_what_follows_from_it(session):
    session.add_prompt(2, points=[[30, 30]])
    run(session)
    session.add_prompt(6, points=[[50, 50]], obj_id=1)
    assert run(session) == [7, 8, 9]
    assert run(session, "backward", start_frame_index=6) == [5, 4, 3, 1, 0]


def test_removing_an_object_recomputes_from_its_first_prompt(session):
    session.add_prompt(0, points=[[30, 30]])
    session.add_prompt(5, points=[[60, 60]])
    run(session)
    session.remove_object(2)
    assert run(session) == [5, 6, 7, 8, 9]


def test_start_far_from_the_prompt_computes_the_way_there(session):
    session.add_prompt(2, points=[[30, 30]])
    assert run(session, start_frame_index=6, max_frame_num_to_track=1) == [3, 4, 5, 6]
    assert run(session, start_frame_index=6, max_frame_num_to_track=2) == [7]


def test_backward_from_far_knows_the_object_from_its_forward_track(session):
    session.add_prompt(0, points=[[30, 30]])
    masks = {r.frame_index: r.objects for r in session.propagate("backward", 9)}
    assert list(masks) == [8, 7, 6, 5, 4, 3, 2, 1, 0]
    assert all(set(objects) == {1} for objects in masks.values())


def test_forward_before_every_prompt_looks_back_from_the_first(session):
    session.add_prompt(7, points=[[30, 30]])
    first = next(session.propagate("forward", 4))
    assert first.objects[1].bbox == tuple(v - 3 for v in session.result(7).objects[1].bbox)


def test_an_object_named_late_does_not_hold_up_the_first_frame(session):
    session.add_prompt(0, points=[[30, 30]])
    session.add_prompt(8, points=[[60, 60]])
    stream = session.propagate()
    next(stream)
    assert session.model.tracker.steps == []
    stream.close()
    run(session, "backward", start_frame_index=8)
    assert set(next(session.propagate()).objects) == {1, 2}
