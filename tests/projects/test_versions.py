"""Projects of other versions: newer ones refused, older ones brought here step by step."""

from __future__ import annotations

import json

import pytest

from napari_sam3.errors import ProjectError
from napari_sam3.projects import Project, migrate
from tests.projects.conftest import contents


def rewrite(folder, **changes):
    place = folder / "project.json"
    text = json.dumps({**json.loads(place.read_text()), **changes})
    place.write_text(text)
    return text


def test_a_newer_project_is_left_alone(folder):
    text = rewrite(folder, version=migrate.VERSION + 1)
    with pytest.raises(ProjectError, match="update napari-sam3"):
        Project.open(folder)
    assert (folder / "project.json").read_text() == text
    with pytest.raises(ProjectError):  # the lock was given back, so this is said again
        Project.open(folder)


def test_an_older_project_is_migrated_and_kept_as_it_was(folder, monkeypatch):
    def from_0(said):
        return {"video": said["film"], "state": said["settings"], "run": said["run"]}

    with Project.open(folder, read_only=True) as project:
        before = contents(project)
        find = project.find_video()
    monkeypatch.setitem(migrate.STEPS, 0, from_0)
    now = json.loads((folder / "project.json").read_text())
    old = {"film": now["video"], "settings": now["state"], "run": now["run"]}
    text = json.dumps({"format": migrate.FORMAT, "version": 0, **old})
    (folder / "project.json").write_text(text)

    with Project.open(folder) as project:
        assert project.problems == ()
        assert contents(project) == before
        assert project.find_video() == find
        assert (folder / "project.json").read_text() == text  # until something is saved
        project.save_state(before["state"])
        project.begin_run("forward", 3)
    assert json.loads((folder / "project.json").read_text())["version"] == migrate.VERSION
    assert (folder / "project.v0.json").read_text() == text
    with Project.open(folder) as project:
        assert project.problems == ()
        assert project.run.start == 3


@pytest.mark.parametrize("version", [-1, "1", None, True, 0])
def test_a_version_that_never_was_is_damage(folder, version):
    rewrite(folder, version=version)
    (folder / "project.json.bak").unlink()
    with Project.open(folder) as project:
        assert "version" in project.problems[0]
        assert len(project.prompts) == 3
