"""A session whose runs a project keeps: one that was stopped is gone on with, if it is the same."""

from __future__ import annotations

import numpy as np
import pytest

from napari_sam3.errors import MissingPromptError, RequestError
from napari_sam3.models.fake import FakeModel
from napari_sam3.projects import Project, ProjectSession, open_session
from napari_sam3.session.session import VideoSession

SHAPE = T, H, W = 10, 60, 90
FILM = np.zeros(SHAPE, np.uint8)


@pytest.fixture
def stopped(tmp_path):
    """A project whose run from frame 2, the one prompted, was stopped after frame 5."""
    place = tmp_path / "a.sam3"
    with Project.create(place, None, SHAPE) as project, VideoSession(FILM, FakeModel()) as session:
        kept = ProjectSession(project, session)
        session.add_prompt(2, points=[[20, 20]])
        kept.save_prompts()
        for result in kept.propagate("forward"):
            kept.keep(result)
            if result.frame_index == 5:
                break
    return place


@pytest.fixture
def kept(stopped):
    with (
        Project.open(stopped) as project,
        open_session(project, FakeModel(), video=FILM) as session,
    ):
        yield ProjectSession(project, session)


@pytest.mark.parametrize("start", [None, 2])
def test_the_same_run_goes_on(kept, start):
    assert kept.is_stopped("forward", start)
    for result in kept.propagate("forward", start):
        assert result.frame_index > 5
        kept.keep(result)
    kept.project.end_run()
    assert kept.project.run.number == 1
    assert kept.project.run.is_over
    assert kept.project.labels.frames_of_run(1).tolist() == list(range(2, T))
    assert not kept.is_stopped("forward", start)


@pytest.mark.parametrize("other", [("backward", 2, None), ("forward", 3, None), ("forward", 2, 4)])
def test_another_run_begins_anew(kept, other):
    assert not kept.is_stopped(*other)
    propagation = kept.propagate(*other)
    run = kept.project.run
    assert (run.number, run.direction, run.start, run.limit) == (2, *other)
    assert propagation.legs == run.legs(T)


def test_changed_prompts_begin_anew(kept):
    kept.session.add_prompt(3, points=[[60, 30]], obj_id=1)
    kept.save_prompts()
    assert kept.project.run.stale
    assert not kept.is_stopped("forward")
    assert len(kept.propagate("forward")) == T - 2
    assert kept.project.run.number == 2


def test_what_can_not_be_propagated_is_not_noted(kept):
    with pytest.raises(RequestError, match="start_frame_index"):
        kept.propagate("forward", 99)
    kept.session.remove_object(1)
    with pytest.raises(MissingPromptError):
        kept.propagate("backward")
    assert kept.project.run.number == 1


def test_a_correction_that_was_followed_leaves_nothing_stale(kept):
    kept.session.add_prompt(3, points=[[60, 30]], obj_id=1)
    kept.save_prompts()
    assert kept.project.run.stale == ((3, 5),)
    for result in kept.session.propagate_from_here(3, "forward"):
        kept.keep(result)
    kept.note_corrected()
    assert kept.project.run.stale == ()


def test_what_was_stale_is_so_in_the_next_session_too(stopped):
    with (
        Project.open(stopped) as project,
        open_session(project, FakeModel(), video=FILM) as session,
    ):
        session.add_prompt(3, points=[[60, 30]], obj_id=1)
        ProjectSession(project, session).save_prompts()
    with (
        Project.open(stopped) as project,
        open_session(project, FakeModel(), video=FILM) as session,
    ):
        assert session.stale_frames == {1: (range(4, 6),)}
        frames = [r.frame_index for r in session.propagate_from_here(4, "forward")]
        assert frames == list(range(4, T))
