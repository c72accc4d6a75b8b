"""Several videos at once, with models in processes of their own or on a scheduler's workers."""

from __future__ import annotations

import os
import shutil
import signal
import stat
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from napari_sam3 import run_batch
from napari_sam3.cli import main
from napari_sam3.cluster import Connection, LocalWorkers, local_workers
from napari_sam3.errors import (
    ComputeError,
    InsecureAddressError,
    ModelUnavailableError,
    SchedulerLostError,
)
from napari_sam3.projects import Project
from tests.batch.conftest import N_FRAMES
from tests.cluster import slow_models  # noqa: F401 - registers its models here too
from tests.cluster.conftest import (  # noqa: F401 - fixtures
    SOURCES,
    cluster,
    module_cluster,
    wait_until,
    watcher,
)

MODELS = (*local_workers._PRELOADS, "tests.cluster.slow_models")


@pytest.fixture(autouse=True)
def workers_know_the_models(monkeypatch, tmp_path):
    monkeypatch.setattr(local_workers, "_PRELOADS", MODELS)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(SOURCES))
    monkeypatch.setenv("TESTS_STEPS", str(tmp_path / "steps.txt"))
    monkeypatch.setenv("TESTS_DIED", str(tmp_path / "died"))


@pytest.fixture
def steps(tmp_path):
    """A function: which process has computed which frame, in order."""

    def read():
        file = tmp_path / "steps.txt"
        if not file.exists():
            return []
        return [tuple(map(int, line.split())) for line in file.read_text().splitlines()]

    return read


def rows_of(report):
    return [(row.state, row.frames) for row in report.rows]


def planes(project):
    with Project.open(project) as opened:
        return np.stack([opened.labels[n] for n in range(N_FRAMES)])


@pytest.mark.sweep
def test_a_killed_process_costs_no_video(films, prompts, tmp_path, computed_here):
    videos, out = [films[0], films[2]], tmp_path / "out"
    report = run_batch(videos, prompts, out, model="mortal", jobs=2)
    assert not computed_here
    assert (tmp_path / "died").exists()
    assert rows_of(report) == [("done", N_FRAMES)] * 2
    run_batch(videos, prompts, tmp_path / "here", model="mortal")  # has died, and will not again
    for name in ("a.sam3", "c.sam3"):
        np.testing.assert_array_equal(planes(out / name), planes(tmp_path / "here" / name))
        assert planes(out / name)[-1].any()


@pytest.mark.sweep
def test_a_frame_that_kills_processes_is_given_up_and_said(films, prompts, tmp_path):
    report = run_batch([films[0], films[2]], prompts, tmp_path / "out", model="deadly", jobs=2)
    for row in report.rows:
        assert row.state == "failed"
        assert row.frames <= 5
        assert "two workers were lost, one after the other, between frame" in row.error


@pytest.mark.sweep
def test_a_first_interrupt_ends_after_the_frames_under_way(films, prompts, tmp_path):
    videos, out = [films[0], films[2]], tmp_path / "out"

    def interrupt(video, n_frames):
        if n_frames == 2 and not asked:
            asked.append(video)
            os.kill(os.getpid(), signal.SIGINT)

    asked = []
    report = run_batch(videos, prompts, out, model="counted", jobs=2, on_frame=interrupt)
    assert report.was_interrupted
    assert all(0 < row.frames <= N_FRAMES for row in report.rows)
    again = run_batch(videos, prompts, out, model="counted", jobs=2)
    assert [row.frames for row in again.rows] == [N_FRAMES] * 2


PARENT = """
import sys
from napari_sam3 import run_batch
from napari_sam3.cluster import local_workers
from tests.cluster import slow_models

local_workers._PRELOADS += ("tests.cluster.slow_models",)
run_batch([sys.argv[3]], sys.argv[1], sys.argv[2], model="counted-slowly", jobs=2)
"""


@pytest.mark.sweep
@pytest.mark.skipif(os.name == "nt", reason="there is no such signal")
def test_processes_end_with_the_program_that_is_killed(films, prompts, tmp_path, steps):
    out = tmp_path / "out"
    arguments = [sys.executable, "-c", PARENT, str(prompts), str(out), str(films[0])]
    parent = subprocess.Popen(arguments, cwd=SOURCES[1])
    wait_until(steps)
    parent.kill()
    parent.wait()
    (process, _), *_ = steps()
    wait_until(lambda: not Path(f"/proc/{process}").exists())
    (row,) = run_batch(films[:1], prompts, out, model="counted-slowly").rows
    assert (row.state, row.frames) == ("done", N_FRAMES)


def test_what_is_wrong_everywhere_is_told_before_the_first_video(
    films, prompts, tmp_path, monkeypatch
):
    out = tmp_path / "out"
    with pytest.raises(InsecureAddressError, match="neither encrypted nor on this machine"):
        run_batch(films, prompts, out, model="fake", scheduler="tcp://gpu.example.org:8786")
    assert not out.exists()
    with pytest.raises(SchedulerLostError, match="does not answer"):
        run_batch(films, prompts, out, model="fake", scheduler="tcp://127.0.0.1:9")
    monkeypatch.setattr(local_workers, "_PRELOADS", MODELS[:1])  # the workers do not know it
    with pytest.raises(ModelUnavailableError, match="mortal"):
        run_batch(films[:1], prompts, out, model="mortal", jobs=2)
    assert not (out / "a.sam3").exists()


def test_nobody_else_is_let_in(tmp_path, monkeypatch):
    from distributed import Security  # noqa: TID251

    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with LocalWorkers(1, [tmp_path]) as workers:
        address = workers.connection.address
        assert address.startswith("tls://127.0.0.1:")
        for security in (None, Security.temporary()):
            with pytest.raises(ComputeError):
                Connection(address, security=security).workers()
        (home,) = tmp_path.glob("napari-sam3-*")
        assert stat.S_IMODE(home.stat().st_mode) == 0o700
        modes = {stat.S_IMODE(file.stat().st_mode) for file in home.glob("*.pem")}
        assert modes == {0o600}
    assert not home.exists()
    assert not [t for t in threading.enumerate() if t.name.startswith("batch")]


# ------------------------------------------------------------- a scheduler's workers


@pytest.mark.sweep
def test_workers_of_a_scheduler_give_what_is_computed_here(films, prompts, tmp_path, cluster):  # noqa: F811
    out, here = tmp_path / "out", tmp_path / "here"
    report = run_batch(
        films, prompts, out, model="fake", formats=["csv"], scheduler=cluster.address
    )
    assert rows_of(report) == [("done", N_FRAMES), ("failed", 0), ("done", N_FRAMES)]
    assert "0.png" in report.rows[1].error
    run_batch(films, prompts, here, model="fake", formats=["csv"])
    for name in "ac":
        table = Path(name) / "objects.csv"
        assert (out / table).read_text() == (here / table).read_text()
        np.testing.assert_array_equal(planes(out / f"{name}.sam3"), planes(here / f"{name}.sam3"))
    again = run_batch(films, prompts, out, model="fake", scheduler=cluster.address)
    assert [row.state for row in again.rows] == ["skipped", "failed", "skipped"]


@pytest.mark.sweep
def test_more_videos_at_once_than_there_are_places_are_done_all_the_same(
    films,
    prompts,
    tmp_path,
    cluster,  # noqa: F811
):
    """The workers do not see the results: what they compute is written here."""
    videos = [shutil.copytree(films[0], tmp_path / name) for name in "defghi"]
    report = run_batch(
        videos, prompts, tmp_path / "out", model="fake", scheduler=cluster.address, jobs=5
    )
    assert rows_of(report) == [("done", N_FRAMES)] * len(videos)


@pytest.mark.sweep
def test_the_command_line_says_where(films, prompts, tmp_path, cluster, capfd):  # noqa: F811
    arguments = ["batch", str(prompts), str(films[0]), "-o", str(tmp_path / "out")]
    where = ["--model", "counted", "--scheduler", cluster.address]
    assert main([*arguments, *where]) == 0
    assert "done" in capfd.readouterr().out
    assert len((cluster.home / "steps.txt").read_text().splitlines()) >= N_FRAMES - 1
    assert main([*arguments, "--scheduler", "tcp://gpu.example.org:8786"]) == 1
    assert "neither encrypted nor on this machine" in capfd.readouterr().err
