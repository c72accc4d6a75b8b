"""With `--recover quick` a run whose worker dies goes on at once from what it had given."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile

from napari_sam3 import run_batch
from napari_sam3.cli import main
from napari_sam3.cluster import RemoteSession
from napari_sam3.models.registry import load_model
from napari_sam3.projects import Project, ProjectRun
from napari_sam3.session.prompt_files import write_prompts
from napari_sam3.session.saved_prompts import SavedPrompt
from tests.cluster import slow_models  # noqa: F401 - registers its models here too
from tests.conftest import make_disc_film

pytestmark = pytest.mark.sweep

N_FRAMES = 50
DIES_AT = 12
CLICK = {"points": [[34, 40]]}


@pytest.fixture
def strike(cluster, watcher):
    """A function that is told of frames, and kills the worker on one of them, once."""
    cluster.steps = cluster.home / "steps.txt"
    cluster.steps.unlink(missing_ok=True)
    struck = []

    def see(frame):
        if frame == DIES_AT and not struck:
            struck.append(cluster.holder(watcher))
            cluster.kill(struck[0])

    see.struck = struck
    return see


def second_worker(cluster):
    """The frames that the worker has computed that came after the one that died."""
    computed = {}
    for line in cluster.steps.read_text().splitlines():
        process, frame = map(int, line.split())
        computed.setdefault(process, []).append(frame)
    first, second = computed.values()
    assert max(first) >= DIES_AT
    return second


@pytest.fixture
def film(tmp_path):
    path = tmp_path / "film.tif"
    tifffile.imwrite(path, make_disc_film(N_FRAMES), photometric="rgb")
    return path


def check_project(folder, cluster, tmp_path, film):
    """It noted where it went on, computed nothing before that again, and has all frames."""
    with Project.open(folder) as project:
        (begun,) = project.run.nearly
        assert project.frames_left == ()
        theirs = np.stack([project.labels[n] for n in range(N_FRAMES)])
    assert second_worker(cluster) == list(range(begun, N_FRAMES))
    # the fake model remembers nothing, so that here near is the same
    prompts = [SavedPrompt(0, 1, points_xy=np.array([[34.0, 40]]), point_labels=np.array([True]))]
    with (
        Project.create(tmp_path / "here.sam3", None, theirs.shape) as project,
        ProjectRun(project, load_model("fake"), prompts, video=make_disc_film(N_FRAMES)) as run,
    ):
        list(run)
        assert np.array_equal(theirs, [project.labels[n] for n in range(N_FRAMES)])


def test_a_session_goes_on_at_once(cluster, strike):
    news = []
    film = make_disc_film(N_FRAMES)
    with RemoteSession(
        film, "counted", compute=cluster.address, on_news=news.append, recover="quick"
    ) as session:
        session.add_prompt(0, **CLICK)
        frames = []
        for result in session.propagate():
            strike(result.frame_index)
            frames.append(result.frame_index)
    assert frames == list(range(N_FRAMES))
    (told,) = [text for text in news if "may not be the same" in text]
    begun = min(second_worker(cluster))
    assert begun > DIES_AT
    assert f"at frame {begun} " in told


def test_a_worker_that_dies_between_two_runs_costs_nothing_either(cluster, strike):
    film = make_disc_film(N_FRAMES)
    with RemoteSession(film, "counted", compute=cluster.address, recover="quick") as session:
        session.add_prompt(0, **CLICK)
        list(session.propagate("forward", 0, DIES_AT + 1))
        strike(DIES_AT)
        assert len(list(session.propagate("forward", DIES_AT + 1, 5))) == 5
    assert second_worker(cluster) == list(range(DIES_AT + 1, DIES_AT + 6))


def test_the_embedded_default_goes_on_nearly(cluster, strike):
    film = make_disc_film(N_FRAMES)
    with RemoteSession(film, "optical-flow", compute=cluster.address, recover="quick") as session:
        session.add_prompt(0, **CLICK)
        results = []
        for result in session.propagate():
            strike(result.frame_index)
            results.append(result)
        assert session.object_ids == (1,)
    assert strike.struck
    assert [r.frame_index for r in results] == list(range(N_FRAMES))


def test_track_notes_it_and_says_so(cluster, strike, film, tmp_path, monkeypatch, capsys):
    keep = ProjectRun.keep

    def keep_and_strike(run, result):
        keep(run, result)
        strike(result.frame_index)

    monkeypatch.setattr(ProjectRun, "keep", keep_and_strike)
    folder = tmp_path / "there.sam3"
    there = ("--scheduler", cluster.address, "--model", "counted", "--recover", "quick")
    assert main(["track", str(film), "--point", "34,40", "--project", str(folder), *there]) == 0
    assert "from there on it is near" in capsys.readouterr().err
    monkeypatch.undo()
    check_project(folder, cluster, tmp_path, film)


def test_so_does_batch(cluster, strike, film, tmp_path):
    prompts = tmp_path / "prompts.json"
    click = SavedPrompt(0, 1, points_xy=np.array([[34.0, 40]]), point_labels=np.array([True]))
    write_prompts(prompts, [click])
    report = run_batch(
        [film],
        prompts,
        tmp_path / "out",
        model="counted",
        scheduler=cluster.address,
        recover="quick",
        on_frame=lambda video, n_frames: strike(n_frames - 1),
    )
    (row,) = report.rows
    assert (row.state, row.frames) == ("done", N_FRAMES)
    check_project(tmp_path / "out" / "film.sam3", cluster, tmp_path, film)
