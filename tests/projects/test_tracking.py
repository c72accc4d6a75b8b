"""Tracking into a project: asked again it goes on, asked for something else it refuses."""

from __future__ import annotations

import pytest

from napari_sam3.errors import ProjectError, RequestError
from napari_sam3.models.fake import FakeModel
from napari_sam3.projects import Project, ProjectRun, continue_run, open_session


def test_asking_again_goes_on_and_asking_for_something_else_is_refused(folder, made, steps):
    with Project.open(folder) as project:
        prompts = list(project.prompts)
    place = folder.with_name("new.sam3")
    asked = {"direction": "both", "start": 3}

    def ask(prompts, n_frames=99, **other):
        with (
            Project.open(place) as project,
            ProjectRun(project, FakeModel(), prompts, **other) as run,
        ):
            was = (len(run), run.is_resumed)
            for _ in zip(range(n_frames), run, strict=False):
                pass
            return was, project.frames_left, project.labels.processed_frames().tolist()

    Project.create(place, made / "frames", (12, 60, 90)).close()
    assert ask(prompts, 4, **asked)[:2] == ((12, False), (range(7, 12), range(2, -1, -1)))
    assert ask(prompts, 6, **asked)[:2] == ((8, True), (range(1, -1, -1),))
    with pytest.raises(RequestError, match="other prompts"):
        ask(prompts[:1], **asked)
    with pytest.raises(RequestError, match="other prompts"):
        ask(prompts, direction="forward")
    assert ask((), **asked) == ((2, True), (), list(range(12)))
    steps.clear()
    assert ask(prompts, **asked) == ((0, True), (), list(range(12)))
    assert steps == []
    assert ask((), direction="forward", start=8)[0] == (4, False)


def test_a_project_in_use_is_not_tracked_into(folder, model):
    with (
        Project.open(folder),
        Project.open(folder) as second,
        pytest.raises(ProjectError, match="in this program"),
    ):
        ProjectRun(second, model)


def test_nothing_left_is_said(folder, model, made):
    with Project.open(folder) as project, open_session(project, model) as session:
        for result in continue_run(project, session):
            project.keep(result, of_run=True)
        project.end_run()
        assert project.run.is_over
        with pytest.raises(ProjectError, match="nothing is left"):
            continue_run(project, session)
