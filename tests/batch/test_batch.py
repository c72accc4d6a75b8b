"""Many videos: what is tracked where, one bad video, stopping, being killed, going on."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import unicodedata
from threading import Event

import numpy as np
import pytest

from napari_sam3 import run_batch
from napari_sam3.batch.plan import plan_batch
from napari_sam3.batch.summary import BatchRow, format_summary
from napari_sam3.batch.task import Task, TaskSettings, do_task
from napari_sam3.batch.tracking import gather_prompts
from napari_sam3.cli import main
from napari_sam3.errors import ModelUnavailableError, PromptFileError, RequestError, VideoError
from napari_sam3.export.registry import FORMATS
from napari_sam3.imports import open_labels
from napari_sam3.models import registry
from napari_sam3.models.fake import FakeModel, FakeTracker
from napari_sam3.models.registry import LoadedModel
from napari_sam3.projects import Project
from tests.batch.conftest import N_FRAMES
from tests.sweeps import sweep

HEAD = {"format": "napari-sam3 prompts", "version": 1}
CLICK = {"frame": 0, "points": [[30, 20]]}


def read_summary(out):
    with (out / "summary.csv").open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def steps(monkeypatch):
    """Frames that the model has computed."""
    counted: list[int] = []
    step = FakeTracker.step

    def counting(self, source, target, *args):
        counted.append(target)
        return step(self, source, target, *args)

    monkeypatch.setattr(FakeTracker, "step", counting)
    return counted


@pytest.mark.parametrize("jobs", sweep([1, 2], [1]))
def test_a_bad_video_does_not_stop_the_rest(films, prompts, tmp_path, jobs):
    out = tmp_path / "out"
    heard = []
    report = run_batch(
        films, prompts, out, model="fake", formats=["tiff"], jobs=jobs, on_row=heard.append
    )
    assert [row.state for row in report.rows] == ["done", "failed", "done"]
    assert [row.frames for row in report.rows] == [N_FRAMES, 0, N_FRAMES]
    assert [row.objects for row in report.rows] == [1, 0, 1]
    assert "0.png" in report.rows[1].error
    assert report.failed == (report.rows[1],)
    assert sorted(row.video for row in heard) == sorted(row.video for row in report.rows)
    assert [row["state"] for row in read_summary(out)] == ["done", "failed", "done"]
    assert [row["video"] for row in read_summary(out)] == [str(film) for film in films]
    with open_labels(out / "c" / "labels.tif") as labels, Project.open(out / "c.sam3") as project:
        np.testing.assert_array_equal(labels[3], project.labels[3])
        assert labels[3].any()
    # again: nothing is computed, the bad one is tried again
    again = run_batch(films, prompts, out, model="fake", formats=["tiff"], jobs=jobs)
    assert [row.state for row in again.rows] == ["skipped", "failed", "skipped"]
    assert again.rows[0].frames == N_FRAMES


def test_formats_are_made_of_what_is_done(films, prompts, tmp_path, steps):
    run_batch(films[:1], prompts, tmp_path / "out", model="fake")
    steps.clear()
    report = run_batch(films[:1], prompts, tmp_path / "out", model="fake", formats=["csv"])
    assert not steps
    assert report.rows[0].state == "done"
    assert (tmp_path / "out" / "a" / "objects.csv").is_file()


def test_of_all_formats_those_are_left_out_that_do_not_hold_the_ids(films, tmp_path):
    said = [{"frame": 0, "points": [[30, 20]], "object": 300}]
    out = tmp_path / "out"
    report = run_batch(films[:1], said, out, model="fake", formats=["all"])
    assert report.rows[0].state == "done"
    made = {path.name for path in (out / "a").iterdir()}
    expected = {kind.target.rstrip("/") for name, kind in FORMATS.items() if name != "davis"}
    assert made >= expected
    assert "davis" not in made
    report = run_batch(films[:1], said, out, model="fake", formats=["davis"])
    assert "label 300" in report.rows[0].error


def test_stopped_by_ctrl_c_it_goes_on(films, prompts, tmp_path, steps):
    out = tmp_path / "out"

    def interrupt(video, n_frames):
        if n_frames == 3:
            os.kill(os.getpid(), signal.SIGINT)

    videos = [films[0], films[2]]
    report = run_batch(videos, prompts, out, model="fake", on_frame=interrupt)
    assert report.was_interrupted
    assert [(row.state, row.frames) for row in report.rows] == [("stopped", 3)]
    steps.clear()
    report = run_batch(videos, prompts, out, model="fake")
    assert not report.was_interrupted
    assert [row.state for row in report.rows] == ["done", "done"]
    assert steps == [3, 4, 5, 1, 2, 3, 4, 5]


KILLED = """
import sys
from pathlib import Path
from napari_sam3 import run_batch
from napari_sam3.models.fake import FakeTracker

step = FakeTracker.step
def told(self, source, target, *args):
    if target == 4:
        while not (Path(sys.argv[2]) / "a.sam3" / "labels.zarr" / "c.3.0.0").exists():
            pass  # frames are written behind
        print("here", flush=True)
        sys.stdin.read()
    return step(self, source, target, *args)
FakeTracker.step = told
run_batch(sys.argv[3:], sys.argv[1], sys.argv[2], model="fake")
"""


@pytest.mark.parametrize("recover", ["exact", "quick"])
def test_killed_it_goes_on(films, prompts, tmp_path, steps, recover):
    out = tmp_path / "out"
    arguments = [str(prompts), str(out), str(films[0]), str(films[2])]
    child = subprocess.Popen(
        [sys.executable, "-c", KILLED, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert child.stdout.readline() == b"here\n"
    child.send_signal(signal.SIGKILL)
    child.communicate()
    report = run_batch([films[0], films[2]], prompts, out, model="fake", recover=recover)
    assert [row.state for row in report.rows] == ["done", "done"]
    assert [row.frames for row in report.rows] == [N_FRAMES, N_FRAMES]
    # of the first video only what was left; or from its only checkpoint on
    first = [4, 5] if recover == "quick" else [1, 2, 3, 4, 5]
    assert steps == [*first, 1, 2, 3, 4, 5]


def test_the_row_of_a_film_that_breaks_off_tells_what_is_kept(
    films, prompts, tmp_path, monkeypatch
):
    step = FakeTracker.step

    def fail(self, source, target, *args):
        if target == 4:
            raise VideoError("'4.png' can't be read")
        return step(self, source, target, *args)

    monkeypatch.setattr(FakeTracker, "step", fail)
    (row,) = run_batch(films[:1], prompts, tmp_path / "out", model="fake").rows
    assert (row.state, row.frames, row.objects) == ("failed", 4, 1)
    assert "4.png" in row.error


MAKING = """
import os, signal, sys
from napari_sam3 import run_batch
from napari_sam3.projects import project

def die(*args, **options):
    os.kill(os.getpid(), signal.SIGKILL)
project.Project.save_objects = die
run_batch([sys.argv[3]], sys.argv[1], sys.argv[2], model="fake")
"""


@pytest.mark.sweep
@pytest.mark.skipif(os.name == "nt", reason="there is no such signal")
def test_a_kill_while_a_project_is_made_leaves_nothing_for_good(films, prompts, tmp_path):
    out = tmp_path / "out"
    arguments = [sys.executable, "-c", MAKING, str(prompts), str(out), str(films[0])]
    assert subprocess.run(arguments, check=False).returncode == -signal.SIGKILL
    assert [path.name[:8] for path in out.iterdir()] == [".a.sam3-"]
    (row,) = run_batch(films[:1], prompts, out, model="fake").rows
    assert row.state == "done"
    assert sorted(path.name for path in out.iterdir()) == ["a.sam3", "summary.csv"]


def test_other_prompts_or_models_are_not_mixed(films, prompts, tmp_path):
    out = tmp_path / "out"
    run_batch(films[:1], prompts, out, model="fake")
    report = run_batch(films[:1], [{"frame": 0, "points": [[9, 9]]}], out, model="fake")
    assert "other prompts" in report.rows[0].error
    report = run_batch(films[:1], prompts, out, model="optical-flow")
    assert "made with the model 'fake'" in report.rows[0].error
    report = run_batch(
        films[:1], [{"frame": 0, "box": [5, 5, 9, 9]}], out, model="fake", overwrite=True
    )
    assert report.rows[0].state == "done"
    with Project.open(out / "a.sam3") as project:
        assert project.labels[0][7, 7] == 1


@pytest.mark.parametrize(
    ("made_with", "state"),
    [
        ({"memory_selection": "off", "precision": "bfloat16"}, "skipped"),
        ({"memory_selection": "on"}, "failed"),
        (None, "skipped"),  # a project of before
    ],
)
@pytest.mark.parametrize("model", ["sam2.1-tiny", "auto"])
def test_done_with_other_settings_is_not_mixed(films, prompts, tmp_path, made_with, state, model):
    out = tmp_path / "out"
    run_batch(films[:1], prompts, out, model="fake")
    head = out / "a.sam3" / "project.json"
    told = json.loads(head.read_text())
    told["state"]["model"] = "sam2.1-tiny"
    del told["run"]["made_with"]
    if made_with is not None:
        told["run"]["made_with"] = made_with
    head.write_text(json.dumps(told))
    task = Task(films[0], gather_prompts(prompts), out / "a", TaskSettings(model))
    row = do_task(task, LoadedModel(), Event(), lambda n: None)
    assert row.state == state
    assert ("memory_selection on, now off" in row.error) == (state == "failed")


def test_other_settings_of_the_machine_are_told_and_gone_on_with(
    films, prompts, tmp_path, monkeypatch, capfd
):
    def run(precision, **options):
        settings = {"precision": precision}
        monkeypatch.setattr(FakeModel, "mask_settings", settings, raising=False)
        return run_batch(films[:1], prompts, tmp_path / "out", model="fake", **options)

    def interrupt(video, n_frames):
        os.kill(os.getpid(), signal.SIGINT)

    assert run("float32", on_frame=interrupt).rows[0].state == "stopped"
    capfd.readouterr()
    assert run("bfloat16").rows[0].state == "done"
    said = capfd.readouterr().err.strip().splitlines()
    assert len(said) == 1
    assert said[0].startswith("warning: a: the run was begun with other settings (precision")
    assert run("bfloat16").rows[0].state == "skipped"
    assert not capfd.readouterr().err


def test_done_with_other_contrast_is_not_done(films, prompts, tmp_path):
    out = tmp_path / "out"
    run_batch(films[:1], prompts, out, model="fake", contrast_limits=(0, 100))
    again = run_batch(films[:1], prompts, out, model="fake", contrast_limits=(0, 50))
    assert again.rows[0].state == "failed"
    assert "other prompts or settings" in again.rows[0].error


def test_overwriting_leaves_nothing_old_and_spares_what_is_in_use(films, prompts, tmp_path):
    out = tmp_path / "out"
    run_batch(films[:1], prompts, out, model="fake", formats=["csv", "png"])
    with Project.open(out / "a.sam3"):
        report = run_batch(films[:1], prompts, out, model="fake", overwrite=True)
    assert "can't be deleted" in report.rows[0].error
    assert (out / "a" / "objects.csv").exists()
    report = run_batch(films[:1], prompts, out, model="fake", overwrite=True)
    assert report.rows[0].state == "done"
    # what tells of the video alone may stay
    assert all(path.name.endswith("video.json") for path in (out / "a").iterdir())


def test_what_can_be_for_no_video_is_said_before_the_first(films, prompts, tmp_path):
    for wrong in (
        *[{"jobs": 0}, {"formats": ["avi"]}, {"text": "cell"}, {"jobs": 1.5}, {"jobs": "2"}],
        *[{"direction": "sideways"}, {"direction": np.array(["forward", "both"])}],
        *[{"start_frame_index": -1}, {"max_frame_num_to_track": 0}, {"contrast_limits": (5, 5)}],
        *[{"formats": "tiff"}, {"overwrite": "no"}, {"beside": np.ones(2)}],
    ):
        with pytest.raises(RequestError):
            run_batch(films, prompts, tmp_path / "out", **{"model": "fake", **wrong})
    with pytest.raises(ModelUnavailableError):
        run_batch(films, prompts, tmp_path / "out", model="no-such-model")
    for videos in (None, 5):
        with pytest.raises(RequestError, match="list of paths"):
            run_batch(videos, prompts, tmp_path / "out", model="fake")
    for strange in (5, {"frame": 0, "points": [[1, 1]]}):
        with pytest.raises(PromptFileError, match="prompts must be a list"):
            run_batch(films, strange, tmp_path / "out", model="fake")
    with pytest.raises(RequestError, match="no videos"):
        run_batch([], prompts, tmp_path / "out", model="fake")
    assert not (tmp_path / "out").exists()


# ------------------------------------------------------------------ whose prompts


def points_of(planned):
    return {
        one.path.name: None if one.prompts is None else [p.points_xy.tolist() for p in one.prompts]
        for one in planned
    }


def test_prompts_name_their_video(films, tmp_path):
    path = tmp_path / "films" / "many.json"
    mine = {"frame": 0, "points": [[1, 1]]}
    path.write_text(json.dumps({**HEAD, "videos": {"a": [mine], "c": [CLICK]}}))
    wanted = {"a": [[[1, 1]]], "c": [[[30, 20]]]}
    assert points_of(plan_batch([], path)) == wanted
    assert points_of(plan_batch(films, path)) == {**wanted, "b": None}
    path.write_text(json.dumps({**HEAD, "prompts": [CLICK], "videos": {"films/a": [mine]}}))
    assert points_of(plan_batch(films[:2], path)) == {
        "a": [[[30, 20]], [[1, 1]]],
        "b": [[[30, 20]]],
    }
    table = path.with_suffix(".csv")
    table.write_text("video,frame,object,kind,x,y\na,0,1,point,1,1\nc,0,1,point,30,20\n")
    assert points_of(plan_batch([], table)) == wanted
    for wrong in ({"videos": [mine]}, {"videos": {"a": mine}}, {"videos": {"a": [{"frame": 0}]}}):
        path.write_text(json.dumps({**HEAD, **wrong}))
        with pytest.raises(PromptFileError, match="many"):
            plan_batch(films, path)


def test_prompts_beside_the_video(films, tmp_path):
    (tmp_path / "films" / "a.prompts.json").write_text(json.dumps({**HEAD, "prompts": [CLICK]}))
    planned = plan_batch(films[:2], beside=True)
    assert points_of(planned) == {"a": [[[30, 20]]], "b": None}
    assert "b.prompts.json" in planned[1].problem


def test_no_model_is_loaded_and_a_project_read_once_for_what_is_done(films, tmp_path, monkeypatch):
    other = {"frame": 0, "video": "c", "points": [[9, 9]]}
    said = json.dumps({**HEAD, "prompts": [{**CLICK, "video": "a"}, other]})
    (tmp_path / "films" / "a.prompts.json").write_text(said)
    run_batch(films[:1], out=tmp_path / "out", beside=True, model="fake")
    loaded, opened = [], []
    open_project = Project.open
    monkeypatch.setattr(registry, "load_model", lambda *args, **options: loaded.append(args))

    def open_counted(*args, **options):
        opened.append(args)
        return open_project(*args, **options)

    monkeypatch.setattr(Project, "open", open_counted)
    report = run_batch(films[:1], out=tmp_path / "out", beside=True, model="fake")
    assert [row.state for row in report.rows] == ["skipped"]
    assert not loaded
    assert len(opened) == 1


def test_prompts_of_a_project(films, prompts, tmp_path):
    run_batch(films[:1], prompts, tmp_path / "out", model="fake")
    planned = plan_batch(films, tmp_path / "out" / "a.sam3")
    assert points_of(planned) == {name: [[[30, 20]]] for name in "abc"}


def test_videos_of_one_name(films, tmp_path, prompts):
    other = tmp_path / "other" / "A"
    other.parent.mkdir()
    other.symlink_to(films[0])
    names = [one.name for one in plan_batch([films[0], other, films[2]], prompts)]
    assert len({name.casefold() for name in names}) == 3
    assert names[2] == "c"
    same = tmp_path / "other" / "a"
    same.symlink_to(films[0])
    with pytest.raises(PromptFileError, match="2 videos"):
        plan_batch([films[0], same], [{**CLICK, "video": "a"}])


def test_a_folder_of_videos(tmp_path, prompts):
    for name in ("x.mp4", "y.MOV", "notes.txt", "._x.mp4"):
        (tmp_path / name).write_bytes(b"?")
    assert [one.path.name for one in plan_batch([tmp_path], prompts)] == ["x.mp4", "y.MOV"]


@pytest.mark.parametrize("pictures", [["poster.jpg"], ["x.jpg", "y.jpg"], ["still.png"]])
def test_pictures_among_films_are_told_and_not_tracked_in(tmp_path, prompts, pictures):
    for name in ("x.mp4", "y.mp4", *pictures):
        (tmp_path / name).write_bytes(b"?")
    with pytest.warns(UserWarning, match=f"not tracked in: '{pictures[0]}'") as caught:
        planned = plan_batch([tmp_path], prompts)
    assert len(caught) == 1
    assert [one.path.name for one in planned] == ["x.mp4", "y.mp4"]


def test_films_and_frames_in_one_folder_are_a_row_that_says_so(films, prompts, tmp_path):
    for name in ("x.mp4", "y.mp4"):
        (films[0] / name).write_bytes(b"?")
    (row,) = run_batch(films[:1], prompts, tmp_path / "out", model="fake").rows
    assert row.state == "failed"
    assert "2 films ('x.mp4', 'y.mp4')" in row.error
    pattern = films[0] / "*.png"
    report = run_batch(str(pattern), prompts, tmp_path / "out", model="fake", formats=["csv"])
    assert [(row.state, row.frames) for row in report.rows] == [("done", N_FRAMES)]
    assert (tmp_path / "out" / "a" / "objects.csv").is_file()
    report = run_batch([pattern], prompts, tmp_path / "out", model="fake", formats=["csv"])
    assert [row.state for row in report.rows] == ["skipped"]


def test_prompts_name_films_as_another_system_does(tmp_path):
    home = tmp_path / "films"
    home.mkdir()
    there = home / unicodedata.normalize("NFD", "vidéo.tif")
    for place in (there, home / "b.tif"):
        place.touch()
    click = {"frame": 0, "points": [[1, 1]]}
    said = {unicodedata.normalize("NFC", "films\\vidéo.tif"): [click], "films\\b.tif": [click]}
    (tmp_path / "p.json").write_text(json.dumps({**HEAD, "videos": said}))
    planned = plan_batch([], tmp_path / "p.json")
    assert [one.path for one in planned] == [there, home / "b.tif"]
    assert all(len(one.prompts) == 1 for one in planned)
    beside = there.with_name(unicodedata.normalize("NFC", there.name) + ".prompts.json")
    beside.write_text(json.dumps({**HEAD, "prompts": [click]}))
    assert len(plan_batch([there], beside=True)[0].prompts) == 1
    (tmp_path / "p.json").write_text(json.dumps({**HEAD, "videos": {"C:\\b.tif": [click]}}))
    (planned,) = plan_batch([home / "b.tif"], tmp_path / "p.json")
    assert "name other videos ('C:" in planned.problem


# ---------------------------------------------------------------- command line


def test_the_command(films, prompts, tmp_path, capsys):
    out = tmp_path / "out"
    common = ["--out", str(out), "--model", "fake", "--formats", "csv,mot"]
    code = main(["batch", str(prompts), *map(str, films), *common])
    said = capsys.readouterr().out.splitlines()
    assert code == 1
    assert said[0].split() == ["video", "frames", "objects", "seconds", "state", "error"]
    assert said[1].split()[-1] == "done"
    assert said[-1] == f"wrote {out / 'summary.csv'}"
    assert (out / "c" / "mot.txt").is_file()
    assert (
        main(
            [
                "batch",
                "--text",
                "person",
                str(films[0]),
                "--out",
                str(tmp_path / "t"),
                "--model",
                "fake",
            ]
        )
        == 0
    )
    assert capsys.readouterr().out.splitlines()[1].split()[1:3] == ["6", "2"]
    # options may stand anywhere
    assert main(["batch", str(prompts), *common, str(films[0]), "--jobs", "1", str(films[2])]) == 0
    assert "skipped" in capsys.readouterr().out
    assert main(["batch", str(prompts), *common, "--job-count", "1"]) == 2
    assert "--job-count" in capsys.readouterr().err
    assert main(["batch", "--out", str(out)]) == 2
    assert "name a file of prompts" in capsys.readouterr().err


def test_the_table():
    rows = [BatchRow("a", 10, 2, 3.25), BatchRow("long", state="failed", error="it is no video")]
    assert format_summary(rows).splitlines() == [
        "video  frames  objects  seconds  state   error",
        "a          10        2      3.2  done",
        "long        0        0      0.0  failed  it is no video",
    ]


def test_what_is_done_is_packed_if_that_is_asked_for(films, prompts, tmp_path):
    out = tmp_path / "out"
    run_batch(films[:1], prompts, out, model="fake")
    for _ in range(2):
        (row,) = run_batch(films[:1], prompts, out, model="fake", pack=True).rows
        assert (row.state, row.frames) == ("skipped", N_FRAMES)
        assert len(list((out / "a.sam3" / "labels.zarr").iterdir())) == 2
    (row,) = run_batch(films[2:], prompts, out, model="fake", formats=["tiff"], pack=True).rows
    assert row.state == "done"
    with Project.open(out / "c.sam3", read_only=True) as project:
        assert project.labels.is_packed
        ours = np.stack([project.labels[n] for n in range(N_FRAMES)])
    with open_labels(out / "c" / "labels.tif") as written:
        np.testing.assert_array_equal(ours, np.stack([written[n] for n in range(N_FRAMES)]))
