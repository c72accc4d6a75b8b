"""Projects packed into few files: who may be, what opens them, what unpacks them."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

from napari_sam3.cli import main
from napari_sam3.errors import ProjectError
from napari_sam3.labels import frame_records
from napari_sam3.models.registry import load_model
from napari_sam3.projects import Project, ProjectRun, pack_project, unpack_project
from napari_sam3.projects.label_file import ProjectLabels
from napari_sam3.session.saved_prompts import SavedPrompt
from napari_sam3.video import open_video
from tests.conftest import make_disc_film

N_FRAMES = 12
FILM = make_disc_film(N_FRAMES)
CLICK = SavedPrompt(0, 1, points_xy=np.array([[34.0, 40]]), point_labels=np.array([True]))


def run_of(project, prompts=(CLICK,)):
    return ProjectRun(project, load_model("fake"), prompts, video=FILM)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("made") / "film.sam3"
    with Project.create(folder, None, FILM.shape[:3]) as project, run_of(project) as run:
        list(run)
    return folder


@pytest.fixture
def folder(made, tmp_path):
    return shutil.copytree(made, tmp_path / "films" / "film.sam3")


def labels_of(folder):
    with Project.open(folder, read_only=True) as project:
        assert project.problems == ()
        assert project.run.is_over
        return np.stack([project.labels[i] for i in range(N_FRAMES)])


def n_files(folder):
    return len(list((folder / "labels.zarr").iterdir()))


def test_it_is_packed_and_unpacked(folder, made):
    seen = []
    assert pack_project(folder, on_frames=seen.append)
    assert seen == [N_FRAMES]
    assert n_files(folder) == 2
    assert not pack_project(folder)
    np.testing.assert_array_equal(labels_of(folder), labels_of(made))
    assert unpack_project(folder)
    assert not unpack_project(folder)
    assert n_files(folder) == n_files(made)
    np.testing.assert_array_equal(labels_of(folder), labels_of(made))


def test_what_is_not_done_is_not_packed(tmp_path):
    folder = tmp_path / "film.sam3"
    with Project.create(folder, None, FILM.shape[:3]) as project, run_of(project) as run:
        for _ in zip(range(4), run, strict=False):
            pass
    with pytest.raises(ProjectError, match=r"frames of its run left.*go on with it first"):
        pack_project(folder)
    with Project.open(folder) as project, run_of(project) as run:
        list(run)
    assert pack_project(folder)


def test_what_is_in_use_is_not_packed(folder):
    with Project.open(folder), pytest.raises(ProjectError, match="can't be written"):
        pack_project(folder)
    assert n_files(folder) > 2


def test_a_run_that_begins_in_it_unpacks_it(folder, made):
    pack_project(folder)
    with Project.open(folder) as project, run_of(project) as run:
        assert run.propagation is None  # all is done
    assert n_files(folder) == 2
    with Project.open(folder) as project:
        project.labels[3] = 7
        project.flush()
    assert n_files(folder) == n_files(made)
    labels = labels_of(folder)
    assert (labels[3] == 7).all()
    np.testing.assert_array_equal(labels[4:], labels_of(made)[4:])


def test_an_older_release_says_so_and_changes_nothing(folder, monkeypatch):
    pack_project(folder)
    before = {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    monkeypatch.setattr(frame_records, "VERSION", 1)
    with pytest.raises(ProjectError, match=r"newer napari-sam3.*Nothing was changed"):
        Project.open(folder)
    after = {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    # who held it last may be said anew
    assert {p: b for p, b in after.items() if "lock" not in p.name} == {
        p: b for p, b in before.items() if "lock" not in p.name
    }


# ---------------------------------------------------------- the command line


def test_the_command_packs_all_of_a_folder(folder, made, tmp_path, capsys):
    other = shutil.copytree(made, folder.parent / "other.sam3")
    assert main(["pack", str(folder.parent)]) == 0
    assert "2 packed" in capsys.readouterr().out
    assert (n_files(folder), n_files(other)) == (2, 2)
    assert main(["pack", str(folder), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["projects"] == [{"project": str(folder), "state": "skipped"}]
    assert main(["pack", str(folder), "--undo"]) == 0
    assert "1 unpacked" in capsys.readouterr().out
    assert n_files(folder) == n_files(made)


def test_one_that_can_not_be_packed_does_not_stop_the_rest(folder, made, capsys):
    shutil.copytree(made, folder.parent / "other.sam3")
    with Project.open(folder):
        assert main(["pack", str(folder.parent)]) == 1
    told = capsys.readouterr()
    assert "1 packed, 1 not done" in told.out
    assert "film.sam3" in told.err


def test_a_folder_without_projects_is_a_wrong_call(tmp_path, capsys):
    assert main(["pack", str(tmp_path)]) == 2
    assert "is no project" in capsys.readouterr().err


def test_export_review_and_scripts_take_it(folder, made, tmp_path, capsys):
    pack_project(folder)
    for name, place in (("packed", folder), ("plain", made)):
        to = ["-o", str(tmp_path / name), "--formats", "csv"]
        assert main(["export", str(place), *to]) == 0
    written = [(tmp_path / name / "objects.csv").read_text() for name in ("packed", "plain")]
    assert written[0] == written[1]
    assert main(["review", str(folder)]) == 0
    with ProjectLabels.open(folder) as labels:
        np.testing.assert_array_equal(labels[5], labels_of(made)[5])
    with open_video(folder / "labels.zarr") as video:  # as anybody's pictures
        assert video.shape[:3] == FILM.shape[:3]
        assert video[5].any()
    assert n_files(folder) == 2
