"""What `VideoSession` offers beyond the requests."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from napari_sam3.errors import (
    FrameIndexError,
    RequestError,
    Sam3Error,
    SessionNotFoundError,
    UnknownObjectError,
    UnsupportedPromptError,
    VideoError,
)
from napari_sam3.models.base import Capabilities
from napari_sam3.models.fake import FakeModel, FakeTracker
from napari_sam3.models.registry import load_model
from napari_sam3.session.saved_prompts import prompts_from_json, prompts_to_json
from napari_sam3.session.session import VideoSession
from napari_sam3.video import open_video

FILM = np.zeros((8, 60, 80), np.uint8)


@pytest.fixture
def session():
    with VideoSession(FILM, FakeModel(step_xy=(1, 1))) as session:
        yield session


def test_taking_back_a_correction_shows_what_was_there(session):
    session.add_prompt(0, points=[[30, 30]])
    before = [r.objects[1].bbox for r in session.propagate()]
    session.add_prompt(4, points=[[60, 30]], obj_id=1)
    assert session.result(4).objects[1].bbox != before[4]
    assert session.take_back_prompt(4, 1).objects[1].bbox == before[4]
    assert [r.objects[1].bbox for r in session.propagate()] == before


def test_taking_back_the_last_prompt_takes_the_object(session):
    session.add_prompt(0, points=[[30, 30]])
    list(session.propagate())
    assert session.take_back_prompt(0, 1).objects == {}
    assert session.object_ids == ()
    assert session.result(5).objects == {}
    assert list(session.add_prompt(2, points=[[20, 20]], obj_id=1).objects) == [1]
    assert session.result(5).objects == {}


def test_what_is_said_on_trial_is_answered_and_forgotten(session):
    session.add_prompt(0, points=[[30, 30]])
    list(session.propagate())
    before = session.result(4).objects[1].bbox
    with session.trial(4) as trial:
        tried = trial.add_prompt(4, points=[[60, 30]], obj_id=1).objects
        trial.add_prompt(4, points=[[10, 50]], obj_id=7)
        trial.take_back_prompt(4, 7)
    assert tried[1].bbox != before
    assert session.object_ids == (1,)
    assert session.result(4).objects[1].bbox == before
    assert session.prompted_objects(4) == frozenset()
    said = session.add_prompt(4, points=[[60, 30]], obj_id=1).objects
    assert np.array_equal(said[1].mask, tried[1].mask)
    with pytest.raises(SessionNotFoundError):
        trial.result(4)


def test_a_trial_that_fails_leaves_the_session_as_it_was(session):
    with session.trial(0) as trial:
        trial.add_prompt(0, points=[[30, 30]])
        with pytest.raises(RequestError):
            trial.add_prompt(0, points=[[300, 30]])
    assert session.object_ids == ()
    with pytest.raises(FrameIndexError), session.trial(8):
        pass


def test_the_same_prompt_is_asked_once(session, monkeypatch):
    asked, segment = [], FakeTracker.segment
    monkeypatch.setattr(
        FakeTracker, "segment", lambda self, i, p: asked.append(i) or segment(self, i, p)
    )
    with session.trial(2) as trial:
        trial.add_prompt(2, points=[[30, 30]], obj_id=1)
    session.add_prompt(2, points=[[30, 30]], obj_id=1)
    assert asked == [2]
    session.add_prompt(3, points=[[30, 30]], obj_id=2)
    session.add_prompt(3, points=[[31, 30]], obj_id=2, clear_old_points=True)
    session.add_prompt(2, points=[[31, 30]], point_labels=[0], obj_id=1)
    assert asked == [2, 3, 3, 2]


@pytest.mark.parametrize(("frame_index", "obj_id"), [(1, 1), (0, 2)])
def test_nothing_to_take_back(session, frame_index, obj_id):
    session.add_prompt(0, points=[[30, 30]])
    with pytest.raises(UnknownObjectError, match=r"to take back; the objects are: 1"):
        session.take_back_prompt(frame_index, obj_id)


def test_results_before_anything_was_looked_at_are_empty(session):
    assert session.result(3).objects == {}


def test_propagation_is_over_with_its_last_frame(session):
    session.add_prompt(0, points=[[30, 30]])
    first = session.propagate()
    for _ in range(len(first)):
        next(first)
    assert not session.is_propagating
    assert len(list(session.propagate())) == 8


def test_closed_session_answers_nothing(session):
    session.close()
    session.close()
    for call in (
        lambda: session.add_prompt(0, points=[[1, 1]]),
        lambda: session.result(0),
        session.propagate,
        session.reset,
    ):
        with pytest.raises(SessionNotFoundError, match="closed"):
            call()


def test_too_many_objects_are_refused():
    session = VideoSession(FILM, FakeModel(capabilities=Capabilities(max_objects=1)))
    session.add_prompt(0, points=[[30, 30]])
    with pytest.raises(UnsupportedPromptError, match="at most 1 objects"):
        session.add_prompt(0, points=[[60, 30]])
    assert session.object_ids == (1,)


@pytest.mark.parametrize(
    ("kind", "prompt"),
    [
        ("points", {"points": [[1, 1]]}),
        ("boxes", {"boxes": [[1, 1, 9, 9]]}),
        ("masks", {"mask": np.ones((60, 80), bool)}),
    ],
)
def test_model_that_cannot_take_a_prompt(kind, prompt):
    model = FakeModel(capabilities=Capabilities(text=True, **{kind: False}))
    session = VideoSession(FILM, model)
    with pytest.raises(UnsupportedPromptError, match=f"can't take {kind}.*Models that can"):
        session.add_prompt(0, **prompt)


def test_session_closes_the_video_it_opened_and_no_other(disc_folder):
    video = open_video(disc_folder)
    VideoSession(video, FakeModel()).close()
    assert video.frame(0).shape == (120, 160, 3)
    session = VideoSession(disc_folder, FakeModel())
    session.close()
    with pytest.raises(VideoError):
        session.video.frame(0)


def test_prompting_from_one_thread_while_another_propagates(session):
    """Whoever comes first, every frame is given once and both objects live at the end."""
    session.add_prompt(0, points=[[20, 20]])
    results = []
    worker = threading.Thread(target=lambda: results.extend(session.propagate()))
    worker.start()
    session.add_prompt(0, points=[[50, 20]])
    worker.join(timeout=60)
    assert [r.frame_index for r in results] == list(range(8))
    assert set(session.add_prompt(7, points=[[5, 50]]).objects) >= {3}
    assert session.object_ids == (1, 2, 3)


class FailingModel(FakeModel):
    """Breaks at one frame, as a model that runs out of memory would."""

    def start(self, frames):
        tracker = super().start(frames)
        step = tracker.step

        def fail(source, target, states, fixed):
            if target == 4 and self.fails:
                raise MemoryError("no memory for frame 4")
            return step(source, target, states, fixed)

        tracker.step = fail
        return tracker


def test_failure_on_the_way_keeps_what_is_done_and_the_session_usable():
    model = FailingModel()
    model.fails = True
    session = VideoSession(FILM, model)
    session.add_prompt(0, points=[[20, 20]])
    done = []
    with pytest.raises(MemoryError):
        done.extend(session.propagate())
    assert [r.frame_index for r in done] == [0, 1, 2, 3]
    assert session.result(3).objects
    model.fails = False
    assert [r.frame_index for r in session.propagate(start_frame_index=4)] == [4, 5, 6, 7]


class Looking:
    """A session whose tracker writes down where it was told to look."""

    def __init__(self, session):
        self.session, self.seen = session, []
        session._tracker.prefetch = self.seen.append


def test_the_model_hears_which_frame_is_looked_at(session):
    looking = Looking(session)
    session.prefetch(3)
    with pytest.raises(FrameIndexError):
        session.prefetch(99)
    assert looking.seen == [3]


def test_looking_never_waits_for_work_nor_disturbs_it(session):
    looking = Looking(session)
    session.add_prompt(0, points=[[30, 30]])
    propagation = session.propagate()
    next(propagation)
    session.prefetch(1)
    propagation.close()
    with session._lock:
        other = threading.Thread(target=session.prefetch, args=(2,))
        other.start()
        other.join(20)
        assert not other.is_alive()
    session.prefetch(4)
    session.close()
    session.prefetch(5)
    assert looking.seen == [4]


def test_objects_are_shown_where_they_live(session):
    session.add_prompt(0, points=[[20, 20]])
    session.add_prompt(4, points=[[44, 24]], obj_id=2)
    session.limit_lives(lambda obj_id, frame: (frame < 4) == (obj_id == 1))
    shown = [(r.frame_index, *r.objects) for r in session.propagate("both", 4)]
    assert shown == [(4, 2), (5, 2), (6, 2), (7, 2), (3, 1), (2, 1), (1, 1), (0, 1)]
    assert list(session.result(2).objects) == [1]
    session.limit_lives(None)
    assert list(session.result(2).objects) == [1, 2]


@pytest.mark.parametrize("model", ["fake", "optical-flow"])
def test_the_highest_id_is_followed_and_no_higher_one_is_issued(disc_folder, model):
    highest = 2**31 - 1
    with VideoSession(disc_folder, model) as session:
        with pytest.raises(RequestError, match=f"1 to {highest}"):
            session.add_prompt(0, points=[[20, 20]], obj_id=highest + 1)
        session.add_prompt(0, points=[[20, 20]], obj_id=highest)
        with pytest.raises(RequestError, match="name a lower one"):
            session.add_prompt(0, points=[[30, 20]])
        session.add_prompt(0, points=[[50, 40]], obj_id=7)
        results = list(session.propagate("forward"))
        assert highest in results[1].objects
        kept = prompts_from_json(prompts_to_json(session.list_prompts()))
        assert {prompt.obj_id for prompt in kept} == {7, highest}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"model": 5}, "a int is no model"),
        ({"model": np.arange(3)}, "a ndarray is no model"),
        ({"contrast_limits": 5}, "two rising finite numbers"),
        ({"contrast_limits": np.arange(3)}, "two rising finite numbers"),
        ({"hold_back": np.ones(2)}, "True or False"),
        ({"video": np.zeros((64, 96, 3))}, "colour picture"),
        ({"video": None}, "a NoneType is no video"),
    ],
)
def test_an_argument_of_a_wrong_kind_is_refused_at_the_start(arguments, message):
    with pytest.raises(Sam3Error, match=message):
        VideoSession(**{"video": np.zeros((2, 8, 8), np.uint8), "model": "fake", **arguments})


@pytest.mark.parametrize("legs", [[5], [range(0, 4, 2)], [range(9)], "ab"])
def test_frames_to_follow_of_a_wrong_kind_are_refused(legs):
    with VideoSession(np.zeros((3, 40, 50), np.uint8), "fake") as session:
        session.add_prompt(0, points=[[9, 9]])
        with pytest.raises(RequestError):
            session.follow(legs)
        with pytest.raises(RequestError, match="must be 'forward'"):
            session.propagate(np.array(["forward", "both"]))
        assert len(list(session.propagate())) == 3


def test_a_device_of_a_wrong_kind_is_refused():
    with pytest.raises(Sam3Error, match="device must be a name"):
        load_model("fake", np.arange(2))
