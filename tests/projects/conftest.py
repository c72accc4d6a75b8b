"""A tiny video in a folder, and a project of it with one object tracked over some frames."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from napari_sam3.labels.object_info import ObjectInfo
from napari_sam3.labels.objects import ObjectTable
from napari_sam3.models.fake import FakeModel, FakeTracker
from napari_sam3.projects import Project, ProjectState
from napari_sam3.session.session import VideoSession

SHAPE = T, H, W = 12, 60, 90
STATE = ProjectState(
    model="fake",
    direction="both",
    start_frame=2,
    text="person",
    fixed={0: 1},
    contrast_limits=(0.0, 90.5),
    frame=7,
    current_object=2,
)


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("NAPARI_SAM3_PROJECTS", str(tmp_path / "kept"))


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """A video and a closed project of it with everything in it; not to be touched."""
    home = tmp_path_factory.mktemp("made")
    video, place = home / "frames", home / "film.sam3"
    video.mkdir()
    for t in range(T):
        Image.fromarray(np.full((H, W), 10 * t, np.uint8)).save(video / f"{t:03}.png")
    objects = ObjectTable()
    objects.set(ObjectInfo(1, "Ann", "cell"))
    objects.mark_division(1, [2], 5)
    with (
        Project.create(place, video, SHAPE) as project,
        VideoSession(video, FakeModel()) as session,
    ):
        project.save_state(STATE)
        project.save_layers({"Points": {"data": [[0, 1.5, 2]]}})
        project.save_objects(objects)
        project.keep(session.add_prompt(2, points=[[20, 20]]), prompted=[1])
        project.keep(session.add_prompt(4, boxes=[[50, 10, 70, 30]]), prompted=[2])
        list(session.propagate("forward", 2, 2))
        session.add_prompt(3, points=[[24, 23]], point_labels=[0], obj_id=1)
        project.save_prompts(session.list_prompts())
        project.begin_run("forward", 2)
        for result in session.propagate("forward", 2, 5):
            project.keep(result, of_run=True)
    return home


@pytest.fixture
def video(tmp_path, made):
    return Path(shutil.copytree(made / "frames", tmp_path / "frames"))


@pytest.fixture
def folder(tmp_path, made):
    """The project, to be played with; its video is found where it was made."""
    return Path(shutil.copytree(made / "film.sam3", tmp_path / "film.sam3"))


@pytest.fixture
def model():
    return FakeModel()


def contents(project):
    """All that a project says, to be compared."""
    return {
        "state": project.state,
        "run": project.run,
        "prompts": [p.to_json() for p in project.prompts],
        "layers": dict(project.layers),
        "objects": project.objects,
        "labels": np.asarray(project.labels).tobytes(),
    }


@pytest.fixture
def steps(monkeypatch):
    """The steps that the fake model takes, (source, target)."""
    taken = []
    step = FakeTracker.step

    def note(self, source, target, *states):
        taken.append((source, target))
        return step(self, source, target, *states)

    monkeypatch.setattr(FakeTracker, "step", note)
    return taken


@pytest.fixture
def full_disk():
    """A function that leaves no room in a folder; what it gives makes room again."""

    def fill(folder):
        patched = pytest.MonkeyPatch()
        replace = Path.replace

        def replace_elsewhere(self, target):
            if folder in self.parents:
                raise OSError(28, "No space left on device")
            return replace(self, target)

        patched.setattr(Path, "replace", replace_elsewhere)
        undone.append(patched.undo)
        return patched.undo

    undone = []
    yield fill
    for undo in undone:
        undo()
