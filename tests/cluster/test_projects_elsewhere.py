"""Projects that are worked on by a worker: kept here, gone on with anywhere, exactly."""

from __future__ import annotations

import numpy as np
import pytest

from napari_sam3.cluster import RemoteModel
from napari_sam3.models.registry import load_model
from napari_sam3.projects import Project, ProjectRun
from napari_sam3.session.saved_prompts import SavedPrompt
from tests.conftest import make_disc_film

CLICKS = [
    SavedPrompt(0, 1, points_xy=np.array([[34.0, 40.0]]), point_labels=np.array([True])),
    SavedPrompt(2, 2, box_xyxy=np.array([70.0, 62, 102, 96])),
]


def run_of(project, film, model, **options):
    prompts = () if len(project.prompts) else CLICKS
    return ProjectRun(project, model, prompts, video=film, **options)


def labels_of(project):
    return np.stack([project.labels[i] for i in range(project.labels.shape[0])])


@pytest.fixture
def make_project(tmp_path):
    def make(name, film):
        return Project.create(tmp_path / f"{name}.sam3", None, film.shape[:3])

    return make


@pytest.mark.sweep
def test_a_worker_that_dies_costs_what_lies_behind_the_last_checkpoint(
    cluster, watcher, make_project
):
    film = make_disc_film(90)
    steps = cluster.home / "steps.txt"
    steps.unlink(missing_ok=True)
    with (
        RemoteModel(cluster.address, "counted") as model,
        make_project("there", film) as project,
        run_of(project, film, model) as run,
    ):
        for result in run:
            if result.frame_index == 72:
                cluster.kill(cluster.holder(watcher))
        theirs = labels_of(project)
    with make_project("here", film) as project, run_of(project, film, load_model("fake")) as run:
        list(run)
        assert np.array_equal(theirs, labels_of(project))
    computed = {}
    for line in steps.read_text().splitlines():
        process, frame = line.split()
        computed.setdefault(process, []).append(int(frame))
    first, second = computed.values()
    assert max(first) >= 72
    assert (min(second), max(second)) == (65, 89)


@pytest.mark.sweep
@pytest.mark.parametrize("begins_there", [True, False])
def test_a_stopped_run_goes_on_anywhere(cluster, make_project, begins_there):
    film = make_disc_film(40)

    def models(are_there):
        if are_there:
            return RemoteModel(cluster.address, "optical-flow")
        return load_model("optical-flow")

    with make_project("whole", film) as project:
        with run_of(project, film, load_model("optical-flow")) as run:
            list(run)
        expected = labels_of(project)
    with make_project("parted", film) as project:
        for are_there, n_frames in ((begins_there, 19), (not begins_there, 40)):
            model = models(are_there)
            with run_of(project, film, model) as run:
                for _ in zip(range(n_frames), run, strict=False):
                    pass
            model.close()
        assert np.array_equal(labels_of(project), expected)
