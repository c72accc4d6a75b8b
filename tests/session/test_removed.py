"""What was removed stays away, and nothing else does: who is who is told by identity."""

from __future__ import annotations

import json

import numpy as np
import pytest

from napari_sam3.models.base import TrackedFrame
from napari_sam3.models.fake import FakeModel, FakeTracker
from napari_sam3.session.saved_prompts import prompts_from_json, prompts_to_json
from napari_sam3.session.session import VideoSession
from napari_sam3.session.session_prompts import restore_prompts
from napari_sam3.values import ObjectMask

FILM = np.zeros((8, 60, 80), np.uint8)


def square(x):
    mask = np.zeros(FILM.shape[1:], bool)
    mask[20:40, x : x + 20] = True
    return ObjectMask.from_mask(mask, 0.8)


class MeetingTracker(FakeTracker):
    """Of the discs found, one stands still; another thing is met on the way, `model.begins_at`."""

    def propagate(self, journal, frames, new_id):
        for frame_index in frames:
            objects = {i: square(10) for i in journal.objects}
            if frame_index >= 2:
                self.model.met = self.model.met or new_id()
                at = self.model.begins_at if frame_index == 2 else 14
                objects[self.model.met] = square(at)
            yield TrackedFrame(frame_index, objects)


class MeetingModel(FakeModel):
    def __init__(self, begins_at):
        super().__init__(places={"dog": [(0.5, 0.5)]})
        self.begins_at, self.met = begins_at, None

    def start(self, frames):
        return MeetingTracker(self, frames)


@pytest.mark.parametrize(("begins_at", "comes_back"), [(50, False), (12, True)])
def test_what_comes_to_the_place_of_a_removed_object_is_another(begins_at, comes_back):
    """Unless it was first met there: then it is the removed one, found again."""
    session = VideoSession(FILM, MeetingModel(begins_at))
    session.add_prompt(0, text="dog")
    session.remove_object(1)
    seen = {r.frame_index: set(r.objects) for r in session.propagate()}
    there = set() if comes_back else {2}
    assert seen == {f: there if f >= 2 else set() for f in range(8)}
    assert set(session.object_ids) == there
    assert {r.frame_index: set(r.objects) for r in session.propagate()} == seen


def test_a_removed_object_that_was_pointed_at_hides_nothing_that_passes_it():
    session = VideoSession(FILM, MeetingModel(50))
    session.add_prompt(0, text="dog")
    painted = np.zeros(FILM.shape[1:], bool)
    painted[20:40, 10:30] = True
    session.add_prompt(0, mask=painted, obj_id=7)
    assert [set(r.objects) for r in session.propagate()][4] == {7}
    session.remove_object(7)
    assert [set(r.objects) for r in session.propagate()][4] == {1, 8}


@pytest.mark.parametrize("is_restored", [False, True])
def test_with_an_object_that_was_pointed_at_goes_what_was_found_in_its_place(is_restored):
    session = VideoSession(FILM, FakeModel())
    found = session.add_prompt(0, text="dog").objects[1]
    session.add_prompt(0, mask=found.mask, obj_id=7)
    assert set(next(session.propagate()).objects) == {7}
    if is_restored:
        told = json.loads(json.dumps(prompts_to_json(session.list_prompts())))
        session = VideoSession(FILM, FakeModel())
        assert restore_prompts(session, prompts_from_json(told)) == []
    session.remove_object(7)
    assert session.object_ids == ()
    assert all(not r.objects for r in session.propagate())


class OtherModel(FakeModel):
    """Finds the same things in another order, under another name."""

    name = "other"

    def start(self, frames):
        class Tracker(FakeTracker):
            def detect(self, frame_index, concept):
                return list(super().detect(frame_index, concept))[::-1]

        return Tracker(self, frames)


def test_another_model_that_finds_it_under_another_id_does_not_bring_it_back():
    places = {"dog": [(0.2, 0.5), (0.8, 0.5)]}
    session = VideoSession(FILM, FakeModel(places=places))
    left, right = session.add_prompt(0, text="dog").objects.values()
    session.remove_object(1)
    other = VideoSession(FILM, OtherModel(places=places))
    assert restore_prompts(other, session.list_prompts()) == []
    (shown,) = other.result(0).objects.values()
    assert shown.overlap(right) == 1
    assert shown.overlap(left) == 0
