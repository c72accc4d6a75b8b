"""Whole tasks on workers that see the folder of results: who writes, who dies, who is stopped."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from napari_sam3 import run_batch
from napari_sam3.errors import WeightsMissingError
from napari_sam3.projects import Project
from napari_sam3.projects.lock import ProjectLock
from tests.batch.conftest import N_FRAMES
from tests.cluster import slow_models  # noqa: F401 - registers its models here too
from tests.cluster.conftest import (  # noqa: F401 - fixtures
    SOURCES,
    Cluster,
    cluster,
    module_cluster,
    pickled,
    wait_until,
    watcher,
)

pytestmark = pytest.mark.sweep


@pytest.fixture
def shared(films, module_cluster):  # noqa: F811
    """Films and results where the workers may read: a folder of the cluster's root."""
    number = len(list(module_cluster.root.iterdir()))
    folder = module_cluster.root / f"lab {number}"
    films[0].parent.rename(folder)
    return folder


@pytest.fixture
def steps(module_cluster):  # noqa: F811
    """A function: which process has computed which frame, in order."""
    file = module_cluster.home / "steps.txt"
    file.unlink(missing_ok=True)

    def read():
        lines = file.read_text().splitlines() if file.exists() else []
        return [tuple(map(int, line.split())) for line in lines]

    return read


def rows_of(report):
    return [(row.state, row.frames) for row in report.rows]


def planes(project):
    with Project.open(project) as opened:
        return np.stack([opened.labels[n] for n in range(N_FRAMES)])


def files_of(folder):
    return {
        str(file.relative_to(folder)): file.read_bytes()
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }


def test_a_worker_writes_what_the_command_would(
    prompts,
    tmp_path,
    shared,
    cluster,  # noqa: F811
    computed_here,
):
    films, out, here = [shared / name for name in "abc"], shared / "out", tmp_path / "here"
    counts = []
    options = {"model": "fake", "formats": ["csv", "tiff"]}
    report = run_batch(
        films,
        prompts,
        out,
        **options,
        scheduler=cluster.address,
        on_frame=lambda video, n_frames: counts.append((Path(video).name, n_frames)),
    )
    assert not computed_here
    own = run_batch(films, prompts, here, **options)
    assert rows_of(report) == rows_of(own)
    assert [row.video for row in report.rows] == [str(film) for film in films]
    assert [row.error for row in report.rows] == [row.error for row in own.rows]
    assert [row.objects for row in report.rows] == [row.objects for row in own.rows]
    for name in "ac":
        assert files_of(out / name) == files_of(here / name)
        np.testing.assert_array_equal(planes(out / f"{name}.sam3"), planes(here / f"{name}.sam3"))
        assert [n for video, n in counts if video == name] == list(range(1, N_FRAMES + 1))
    assert sorted(file.name for file in out.iterdir()) == [
        "a",
        "a.sam3",
        "c",
        "c.sam3",
        "summary.csv",
    ]
    again = run_batch(films, prompts, out, **options, scheduler=cluster.address)
    assert [row.state for row in again.rows] == ["skipped", "failed", "skipped"]
    # what a worker has begun the command goes on with, and the other way round
    moved = run_batch(films, prompts, out, **options)
    assert [row.state for row in moved.rows] == ["skipped", "failed", "skipped"]
    anew = run_batch(films, prompts, out, **options, scheduler=cluster.address, overwrite=True)
    assert [row.state for row in anew.rows] == ["done", "failed", "done"]
    assert not computed_here


def test_paths_are_those_of_the_worker(
    prompts,
    tmp_path,
    shared,
    cluster,  # noqa: F811
    computed_here,
    monkeypatch,
):
    mount = tmp_path / "mount"
    mount.symlink_to(shared)
    monkeypatch.setenv("NAPARI_SAM3_PATH_MAP", f"{mount}={shared}")
    films = [mount / "a", mount / "b"]
    report = run_batch(films, prompts, mount / "out", model="fake", scheduler=cluster.address)
    assert not computed_here
    own = run_batch(films, prompts, tmp_path / "here", model="fake")
    assert rows_of(report) == rows_of(own)
    # behind it is told in the library's words, which may name where a link leads
    (told, _), (own_told, _) = (run.rows[1].error.split(" (", maxsplit=1) for run in (report, own))
    assert told == own_told
    assert str(mount) in told
    with Project.open(mount / "out" / "a.sam3") as project:
        assert project.video.path == str(shared / "a")  # as the worker calls it
        assert project.find_video().samefile(mount / "a")


@pytest.mark.parametrize("hindrance", ["not under a root", "not to be written"])
def test_what_a_worker_may_not_write_the_command_writes(
    prompts,
    tmp_path,
    shared,
    cluster,  # noqa: F811
    computed_here,
    monkeypatch,
    capfd,
    hindrance,
):
    out = tmp_path / "out"
    if hindrance == "not to be written":
        # another folder of that path lies where the worker looks
        (shared / "other").mkdir()
        monkeypatch.setenv("NAPARI_SAM3_PATH_MAP", f"{out}={shared / 'other'}")
    films = [shared / "a", shared / "c"]
    report = run_batch(films, prompts, out, model="fake", scheduler=cluster.address, progress=True)
    assert rows_of(report) == [("done", N_FRAMES)] * 2
    assert sorted(computed_here) == films
    assert capfd.readouterr().err.count("is written by this command") == 1
    assert not list(shared.glob("other/*"))


def test_a_video_that_is_not_there_is_sent(
    films,
    prompts,
    tmp_path,
    shared,
    cluster,  # noqa: F811
    computed_here,
):
    elsewhere_film = tmp_path / "d"
    (shared / "c").rename(elsewhere_film)
    out = shared / "out"
    report = run_batch(
        [shared / "a", elsewhere_film], prompts, out, model="fake", scheduler=cluster.address
    )
    assert rows_of(report) == [("done", N_FRAMES)] * 2
    assert computed_here == [elsewhere_film]


@pytest.fixture
def long_film(shared):
    """A film of 20 frames."""
    film = shared / "long"
    film.mkdir()
    for n in range(20):
        source = shared / "a" / f"{n % N_FRAMES}.png"
        (film / f"{n:02}.png").write_bytes(source.read_bytes())
    return film


def run_aside(*arguments, **options):
    """A batch in a thread; gives the thread and where its report will be."""
    reports = []
    thread = threading.Thread(target=lambda: reports.append(run_batch(*arguments, **options)))
    thread.start()
    return thread, reports


def is_free(project):
    lock = ProjectLock(project)
    if lock.take() is not None:
        return False
    lock.give_back()
    return True


@pytest.mark.parametrize("recover", ["exact", "quick"])
def test_a_killed_worker_costs_no_frame_that_is_kept(
    prompts,
    tmp_path,
    shared,
    cluster,  # noqa: F811
    watcher,  # noqa: F811
    long_film,
    steps,
    computed_here,
    recover,
):
    out = shared / "out"
    thread, reports = run_aside(
        [long_film],
        prompts,
        out,
        model="counted-slowly",
        recover=recover,
        formats=["csv"],
        scheduler=cluster.address,
    )
    wait_until(lambda: len(steps()) >= 5)
    cluster.kill(cluster.holder(watcher))
    thread.join()
    (report,) = reports
    assert rows_of(report) == [("done", 20)]
    first, second = dict.fromkeys(process for process, _ in steps())
    assert os.getpid() not in (first, second)
    again = [frame for process, frame in steps() if process == second]
    assert again[-1] == 19
    with Project.open(out / "long.sam3") as project:
        # near is the same of a model that remembers nothing; it goes on where it was
        assert [again[0]] == list(project.run.nearly) if recover == "quick" else [1]
    assert not computed_here
    run_batch([long_film], prompts, tmp_path / "here", model="fake", formats=["csv"])
    assert files_of(out / "long") == files_of(tmp_path / "here" / "long")
    np.testing.assert_array_equal(
        planes(out / "long.sam3"), planes(tmp_path / "here" / "long.sam3")
    )


def test_a_worker_that_was_only_held_up_writes_no_more(
    prompts,
    shared,
    cluster,  # noqa: F811
    watcher,  # noqa: F811
    long_film,
    steps,
    monkeypatch,
):
    """It is taken for dead, wakes with the project's lock, and gives that back."""
    monkeypatch.setattr("napari_sam3.batch.run.Connection", _impatient_connection)
    thread, reports = run_aside(
        [long_film], prompts, shared / "out", model="counted-slowly", scheduler=cluster.address
    )
    wait_until(lambda: len(steps()) >= 3)
    held = cluster.holder(watcher)
    cluster.kill(held, signal.SIGSTOP)

    def is_elsewhere():
        told = watcher.scheduler_info(n_workers=-1)["workers"]
        held_now = watcher.has_what()
        others = [address for address, facts in told.items() if facts["name"] != held]
        return any("napari-sam3-session" in str(held_now.get(other)) for other in others)

    try:
        wait_until(is_elsewhere)
    finally:
        cluster.kill(held, signal.SIGCONT)
    thread.join()
    (report,) = reports
    assert rows_of(report) == [("done", 20)]
    ours = [frame for process, frame in steps() if process == cluster.workers[held].pid]
    assert max(ours) < 19


def _impatient_connection(*arguments, **options):
    from napari_sam3.cluster import Connection

    return Connection(*arguments, patience=3, lease=6, **options)


COMMAND = """
import sys
from napari_sam3 import run_batch
from tests.cluster import slow_models

run_batch([sys.argv[1]], sys.argv[2], sys.argv[3], model="counted-slowly", scheduler=sys.argv[4])
"""


@pytest.mark.skipif(os.name == "nt", reason="there is no such signal")
def test_a_worker_ends_with_the_command_that_is_killed(
    prompts,
    shared,
    cluster,  # noqa: F811
    long_film,
    steps,
):
    out = shared / "out"
    arguments = [str(long_film), str(prompts), str(out), cluster.address]
    command = subprocess.Popen(
        [sys.executable, "-c", COMMAND, *arguments], cwd=SOURCES[1], env=cluster.environment
    )
    wait_until(lambda: len(steps()) >= 3)
    command.kill()
    command.wait()

    wait_until(lambda: is_free(out / "long.sam3"))
    n_computed = len(steps())
    assert n_computed < 19
    with Project.open(out / "long.sam3") as project:
        # all that was computed is kept: the prompted frame, and those behind it
        assert len(project.labels.processed_frames()) == n_computed + 1
    report = run_batch([long_film], prompts, out, model="counted-slowly", scheduler=cluster.address)
    assert rows_of(report) == [("done", 20)]


def test_a_lost_scheduler_costs_no_frame_that_is_kept(films, prompts, tmp_path, computed_here):
    own = Cluster(tmp_path)
    try:
        own.start_worker("one")
        own.wait_until_there()
        film, out = own.root / "a", own.root / "out"
        films[0].rename(film)
        options = {"model": "counted-slowly", "scheduler": own.address}
        steps = own.home / "steps.txt"
        thread, reports = run_aside([film], prompts, out, **options)
        wait_until(lambda: steps.exists() and steps.read_text().count("\n") >= 3)
        own.scheduler.kill()
        thread.join()
        ((row,),) = (report.rows for report in reports)
        assert row.state == "failed"
        assert own.address in row.error
        assert row.frames >= 3
        wait_until(lambda: is_free(out / "a.sam3"))  # the worker notices, and ends
        n_computed = steps.read_text().count("\n")
        own.start_scheduler(int(own.address.rpartition(":")[2]))
        own.start_worker("two")
        own.wait_until_there()
        again = run_batch([film], prompts, out, **options)
        assert rows_of(again) == [("done", N_FRAMES)]
        assert steps.read_text().count("\n") <= n_computed + N_FRAMES
        assert not computed_here
        run_batch([film], prompts, tmp_path / "here", model="fake")
        np.testing.assert_array_equal(planes(out / "a.sam3"), planes(tmp_path / "here" / "a.sam3"))
    finally:
        own.close()


def test_an_interrupt_ends_after_the_frame_under_way(
    prompts,
    shared,
    cluster,  # noqa: F811
    long_film,
    steps,
    computed_here,
):
    def interrupt(video, n_frames):
        if n_frames == 2:
            os.kill(os.getpid(), signal.SIGINT)

    out = shared / "out"
    options = {"model": "counted-slowly", "scheduler": cluster.address}
    report = run_batch([long_film], prompts, out, **options, on_frame=interrupt)
    assert report.was_interrupted
    (row,) = report.rows
    assert (row.state, row.frames) == ("stopped", len(steps()) + 1)
    assert row.frames < 20
    again = run_batch([long_film], prompts, out, **options)
    assert rows_of(again) == [("done", 20)]
    assert not computed_here


def test_frames_that_kill_workers_are_given_up(
    prompts,
    shared,
    cluster,  # noqa: F811
    long_film,
):
    films, out = [long_film, shared / "b"], shared / "out"
    report = run_batch(films, prompts, out, model="deadly", scheduler=cluster.address)
    row = report.rows[0]
    assert row.state == "failed"
    assert row.frames <= 5
    assert "two workers were lost, one after the other, between frame" in row.error
    assert set(cluster.alive) < {"one", "two"}


def test_videos_are_done_where_the_model_is(
    prompts,
    shared,
    cluster,  # noqa: F811
    computed_here,
    monkeypatch,
):
    """More places than the worker that has the model has room for: nothing fails for that."""
    monkeypatch.setattr("napari_sam3.batch.worker_tasks._ROOM", 0.5)
    for name in "defgh":
        shutil.copytree(shared / "a", shared / name)
    films, out = [shared / name for name in "acdefgh"], shared / "out"
    report = run_batch(films, prompts, out, model="on-two", scheduler=cluster.address, jobs=4)
    assert rows_of(report) == [("done", N_FRAMES)] * len(films)
    assert not computed_here
    with pytest.raises(WeightsMissingError, match=r"\(looked for on 2 workers\)"):
        run_batch(films, prompts, out, model="on-none", scheduler=cluster.address)


def test_what_a_worker_goes_on_with_all_the_same_is_told(
    prompts,
    shared,
    cluster,  # noqa: F811
    capfd,
    computed_here,
):
    def interrupt(video, n_frames):
        os.kill(os.getpid(), signal.SIGINT)

    films, out = [shared / "a"], shared / "out"
    report = run_batch(films, prompts, out, model="set", on_frame=interrupt)
    assert report.rows[0].state == "stopped"
    capfd.readouterr()
    report = run_batch(films, prompts, out, model="set", scheduler=cluster.address)
    assert rows_of(report) == [("done", N_FRAMES)]
    assert not computed_here
    assert capfd.readouterr().err.count("(precision float of here, now float of ") == 1


def test_nothing_of_ours_is_pickled(
    prompts,
    shared,
    cluster,  # noqa: F811
    pickled,  # noqa: F811
):
    films, out = [shared / "a", shared / "c"], shared / "out"
    report = run_batch(films, prompts, out, model="fake", scheduler=cluster.address)
    assert rows_of(report) == [("done", N_FRAMES)] * 2
    ours = [data for data in pickled if b"napari_sam3" in data]
    # a function that is sent as its code, and says by name what is begun there
    assert ours
    assert all(b"napari_sam3.batch.task_host:TaskHost" in data for data in ours)
