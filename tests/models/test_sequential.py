"""Which frames a sequential tracker computes: no more than a new prompt has changed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from napari_sam3.models.base import TrackedFrame
from napari_sam3.models.fake import FakeModel, FakeTracker
from napari_sam3.models.sequential import CERTAIN, REACH
from napari_sam3.session.session import VideoSession


class CountingTracker(FakeTracker):
    def __init__(self, model, frames):
        super().__init__(model, frames)
        self.steps = []

    def step(self, source, target, states, fixed):
        self.steps.append((target, set(states) - set(fixed)))
        moved = super().step(source, target, states, fixed)
        return {i: replace(s, mask=self.doubt(s.mask)) for i, s in moved.items()}

    def doubt(self, mask):
        return None if mask is None else replace(mask, score=min(mask.score, self.model.belief))


class CountingModel(FakeModel):
    belief = 0.7  # in what it follows; from CERTAIN on nothing is joined

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


def test_a_correction_recomputes_what_it_reaches(session):
    """What follows from it, and back to the prompt before it; each way once."""
    session.add_prompt(2, points=[[30, 30]])
    run(session)
    session.add_prompt(6, points=[[50, 50]], obj_id=1)
    assert run(session) == [5, 4, 3, 7, 8, 9]
    assert run(session, "backward", start_frame_index=6) == [1, 0]
    assert run(session) == []


def test_a_correction_further_on_leaves_what_lies_between_others(session):
    for frame_index in (0, 3):
        session.add_prompt(frame_index, points=[[30, 30]], obj_id=1)
    assert run(session) == [1, 2, 1, 2, 4, 5, 6, 7, 8, 9]
    session.add_prompt(6, points=[[50, 50]], obj_id=1)
    assert run(session) == [5, 4, 7, 8, 9]
    session.add_prompt(1, points=[[40, 40]], obj_id=1)
    assert run(session) == [2]


def test_a_correction_ahead_of_a_propagation_under_way_holds_from_the_next_frame(session):
    session.add_prompt(0, mask=square(20, 20))
    with session.propagate() as stream:
        for _ in range(4):
            alone = next(stream)
        session.add_prompt(5, mask=square(60, 20), obj_id=1)
        joined = next(stream)
    assert alone.objects[1].bbox[0] == 23
    assert joined.frame_index == 4
    assert joined.objects[1].bbox[0] == 59


def test_a_span_without_end_costs_no_more_than_its_reach():
    model = CountingModel(step_xy=(0, 0))
    session = VideoSession(np.zeros((2 * REACH + 20, 40, 40), np.uint8), model)
    session.add_prompt(0, mask=square(5, 5, (40, 40)))
    session.add_prompt(2 * REACH + 10, mask=square(8, 5, (40, 40)), obj_id=1)
    run(session)
    assert len(model.tracker.steps) == len(session.video) - 2 + REACH


def square(x, y, size=(100, 120)):
    mask = np.zeros(size, bool)
    mask[y : y + 10, x : x + 10] = True
    return mask


@pytest.mark.parametrize("direction", ["forward", "backward"])
def test_between_two_prompts_each_is_stronger_near_itself(session, direction):
    """Where both say nearly the same, the outline goes from the one's to the other's."""
    session.add_prompt(0, mask=square(20, 20))
    session.add_prompt(8, mask=square(32, 28), obj_id=1)  # the model itself would be at 28
    start = 0 if direction == "forward" else 9
    found = {r.frame_index: r.objects[1] for r in session.propagate(direction, start)}
    off = [found[i].bbox[0] - 20 - i for i in range(1, 8)]
    assert off == sorted(off)
    assert off[0] == 0
    assert off[-1] == 4


@pytest.mark.parametrize("direction", ["forward", "backward"])
def test_where_two_prompts_contradict_each_other_the_nearer_one_wins(session, direction):
    session.add_prompt(0, mask=square(20, 20))
    session.add_prompt(8, mask=square(70, 20), obj_id=1)
    start = 0 if direction == "forward" else 9
    found = {r.frame_index: r.objects[1] for r in session.propagate(direction, start)}
    assert [found[i].bbox[0] - i for i in (1, 3, 5, 7)] == [20, 20, 62, 62]


def test_what_is_sure_stays_as_it_was_before_the_correction(session):
    session.model.belief = CERTAIN
    session.add_prompt(0, mask=square(20, 20))
    alone = {r.frame_index: r.objects[1].bbox for r in session.propagate()}
    session.add_prompt(6, mask=square(30, 20), obj_id=1)
    assert run(session) == [7, 8, 9]
    assert all(session.result(i).objects[1].bbox == alone[i] for i in range(6))


def test_an_object_said_to_be_gone_is_no_other_side(session):
    session.add_prompt(0, points=[[30, 30]])
    run(session)
    session.add_prompt(6, points=off_points(36), point_labels=[0] * 25, obj_id=1)
    assert 1 not in session.result(6).objects
    assert run(session) == [7, 8, 9]
    assert [1 in session.result(i).objects for i in range(10)] == [True] * 6 + [False] * 4


def off_points(centre):
    return [[centre + x, centre + y] for x in range(-8, 9, 4) for y in range(-8, 9, 4)]


def test_an_object_named_late_does_not_lengthen_the_way_between_two_prompts(session):
    session.add_prompt(0, points=[[30, 30]])
    session.add_prompt(3, points=[[33, 33]], obj_id=1)
    session.add_prompt(9, points=[[90, 60]])
    stream = session.propagate()
    next(stream)
    next(stream)
    assert [target for target, _ in session.model.tracker.steps] == [1, 2, 1]
    stream.close()


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


class SlowTracker(FakeTracker):
    """Tells the model of each piece of a frame, of which there is one an object."""

    def step_in_pieces(self, source, target, states, fixed):
        for obj_id in states:
            self.model.on_piece(target, obj_id)
            yield TrackedFrame(target, None)
        return self.step(source, target, states, fixed)


class SlowModel(FakeModel):
    def start(self, frames):
        return SlowTracker(self, frames)


def test_a_propagation_ends_in_the_middle_of_a_frame():
    model, done = SlowModel(step_xy=(1, 1)), []

    def on_piece(frame_index, obj_id):
        done.append((frame_index, obj_id))
        if done == [(f, i) for f in (1, 2) for i in (1, 2, 3)] + [(3, 1), (3, 2)]:
            session.cancel()

    model.on_piece = on_piece
    session = VideoSession(np.zeros((10, 100, 120), np.uint8), model)
    for obj_id in (1, 2, 3):
        session.add_prompt(0, points=[[30 * obj_id, 30]], obj_id=obj_id)
    assert [r.frame_index for r in session.propagate()] == [0, 1, 2]
    assert done[-1] == (3, 2)
    done.clear()
    found = {r.frame_index: sorted(r.objects) for r in session.propagate()}
    assert found == {f: [1, 2, 3] for f in range(10)}
    assert done == [(f, i) for f in range(3, 10) for i in (1, 2, 3)]


def test_a_prompt_may_come_in_the_middle_of_a_frame():
    """It waits for the piece that is done, not for the frame; the frame is computed with it."""
    model = SlowModel(step_xy=(0, 0))
    model.on_piece = lambda frame_index, obj_id: None
    session = VideoSession(np.zeros((4, 100, 120), np.uint8), model)
    session.add_prompt(0, points=[[30, 30]], obj_id=1)
    said = []

    def on_piece(frame_index, obj_id):
        if frame_index == 2 and not said:
            said.append(session.add_prompt(0, points=[[80, 70]], obj_id=2))

    model.on_piece = on_piece
    found = {r.frame_index: sorted(r.objects) for r in session.propagate()}
    assert found == {0: [1], 1: [1], 2: [1, 2], 3: [1, 2]}
