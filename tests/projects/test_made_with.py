"""A run tells what was set for the model that made it, and is not gone on with otherwise."""

from __future__ import annotations

import json

import pytest

from napari_sam3.errors import RequestError
from napari_sam3.models.fake import FakeModel
from napari_sam3.models.mask_settings import differing, memory_settings
from napari_sam3.projects import Project, ProjectRun
from napari_sam3.projects.session import ProjectSession, open_session
from napari_sam3.projects.state import RunNote
from napari_sam3.settings import Settings

THEN = {"memory_selection": "off", "prompted_frames": 0, "motion_prior": False}
THEN |= {"precision": "bfloat16"}


class SetModel(FakeModel):
    """A model that says what is set for it."""

    def __init__(self, **told):
        super().__init__()
        self.mask_settings = told


def follow(place, model, n_frames=99, prompts=()):
    """Frames left after some of what is asked, and what was told."""
    with Project.open(place) as project:
        known = len(project.problems)
        with ProjectRun(project, model, prompts) as run:
            for _ in zip(range(n_frames), run, strict=False):
                pass
        return project.frames_left, project.problems[known:], project.run.made_with


@pytest.fixture
def stopped(folder, made):
    """A project whose run was stopped after four frames."""
    with Project.open(folder) as project:
        prompts = list(project.prompts)
    place = folder.with_name("new.sam3")
    Project.create(place, made / "frames", (12, 60, 90)).close()
    left, problems, made_with = follow(place, SetModel(**THEN), 4, prompts)
    assert (made_with, problems) == (THEN, ())
    assert left
    return place


def test_a_run_is_gone_on_with_as_it_was_set(stopped):
    assert follow(stopped, SetModel(**THEN)) == ((), (), THEN)


@pytest.mark.parametrize("name", ["memory_selection", "prompted_frames", "motion_prior"])
def test_what_was_set_otherwise_is_refused_by_name(stopped, name):
    other = {"memory_selection": "on", "prompted_frames": 4, "motion_prior": True}[name]
    with pytest.raises(RequestError, match=name):
        follow(stopped, SetModel(**{**THEN, name: other}))
    assert follow(stopped, SetModel(**THEN))[0] == ()


def test_what_the_machine_can_not_do_is_told(stopped):
    left, problems, made_with = follow(stopped, SetModel(**{**THEN, "precision": "float32"}))
    assert (left, made_with) == ((), THEN)
    (problem,) = problems
    assert "precision bfloat16, now float32" in problem


@pytest.mark.parametrize("model", [FakeModel(), SetModel(distractor_memory=True)])
def test_what_is_not_known_is_no_difference(stopped, model):
    assert follow(stopped, model)[:2] == ((), ())


def test_a_project_of_before_is_gone_on_with(stopped):
    head = stopped / "project.json"
    told = json.loads(head.read_text())
    del told["run"]["made_with"]
    head.write_text(json.dumps(told))
    assert follow(stopped, SetModel(**THEN)) == ((), (), {})


def test_in_a_session_other_settings_begin_a_new_run(stopped):
    for model, is_same in ((SetModel(**{**THEN, "memory_selection": "on"}), False), (None, True)):
        with (
            Project.open(stopped) as project,
            open_session(project, model or SetModel(**THEN)) as session,
        ):
            run = project.run
            asked = (run.direction, run.start, run.limit)
            assert ProjectSession(project, session).is_stopped(*asked) == is_same


@pytest.mark.parametrize(
    "told",
    [[], "on", {"a": None}, {"a": 1.5}, {"a": "b" * 101}, dict.fromkeys(map(str, range(101)), 1)],
)
def test_what_can_not_be_is_damage(told):
    note = RunNote(1, "forward", 0, made_with=THEN)
    assert RunNote.from_json(json.loads(json.dumps(note.to_json())), 12, []) == note
    problems = []
    assert RunNote.from_json({**note.to_json(), "made_with": told}, 12, problems) is None
    assert len(problems) == 1


def test_what_is_left_to_the_makers_is_as_they_have_it():
    sam2, sam3 = (memory_settings(Settings(), kind) for kind in ("sam2_video", "sam3_video"))
    assert differing(sam2, sam3) == "memory_selection off, now on"
    on = memory_settings(Settings(memory_selection="on"), "sam3_video")
    assert differing(sam3, on) == ""
    assert differing({"motion_prior": True}, sam3) == "motion_prior on, now off"
