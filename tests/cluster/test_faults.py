"""Workers, schedulers and clients that die, freeze or are busy: what is seen of it."""

from __future__ import annotations

import gc
import signal
import subprocess
import sys
import time
from contextlib import suppress

import pytest

from napari_sam3 import VideoSession
from napari_sam3.cluster import Connection, RemoteSession
from napari_sam3.cluster.sending import SentVideo
from napari_sam3.errors import (
    ModelUnavailableError,
    NoWorkerError,
    OtherVersionError,
    SchedulerLostError,
    WeightsMissingError,
    WorkerLostError,
)
from tests.cluster import slow_models  # noqa: F401 - registers its models here too
from tests.cluster.conftest import Cluster, wait_until
from tests.cluster.test_remote_session import CLICK, assert_same_runs
from tests.conftest import make_disc_film
from tests.sweeps import sweep


@pytest.fixture(scope="module")
def film():
    return make_disc_film(50)


@pytest.fixture
def connect(cluster):
    connections = []

    def connect(**options):
        connections.append(Connection(cluster.address, **options))
        return connections[-1]

    yield connect
    for connection in connections:
        connection.close()


def run_with_a_death(session, cluster, watcher, after, how=signal.SIGKILL):
    """All frames of a run; its worker is struck when that many have come."""
    session.add_prompt(0, **CLICK)
    session.add_prompt(2, boxes=[[70, 62, 102, 96]])
    for number, result in enumerate(session.propagate(), 1):
        if number == after:
            struck = cluster.holder(watcher)
            cluster.kill(struck, how)
            yield struck
        yield result


def uninterrupted(film, model):
    with VideoSession(film, model) as session:
        session.add_prompt(0, **CLICK)
        session.add_prompt(2, boxes=[[70, 62, 102, 96]])
        return list(session.propagate()), session.object_ids


CASES = [(model, after) for model in ("slow", "newcomers", "optical-flow") for after in (3, 9, 40)]


@pytest.mark.sweep
@pytest.mark.parametrize("case", CASES)
def test_a_killed_worker_is_not_seen_in_the_results(cluster, watcher, film, case):
    model, after = case
    news, progress = [], []
    told = {"on_news": news.append, "on_progress": progress.append}
    with RemoteSession(film, model, compute=cluster.address, **told) as session:
        struck, *results = _with_struck(run_with_a_death(session, cluster, watcher, after))
        expected, ids = uninterrupted(film, model)
        assert_same_runs(results, expected)
        assert session.object_ids == ids
    if model == "slow":  # others may have been done before the worker was struck
        assert [text for text in news if "was lost; going on on another" in text]
        assert "catching up …" in progress
        assert progress[-1] == ""
    assert struck not in cluster.alive


def _with_struck(steps):
    found = list(steps)
    struck = next(one for one in found if isinstance(one, str))
    return [struck, *(one for one in found if one is not struck)]


def test_a_place_that_another_session_took_meanwhile_is_looked_for_again(
    cluster, film, monkeypatch
):
    asked, open_on = [], SentVideo.open_on

    def open_late(video, link, *more):
        asked.append(link)
        if len(asked) == 1:
            raise NoWorkerError("this worker has no room for a further session")
        return open_on(video, link, *more)

    monkeypatch.setattr(SentVideo, "open_on", open_late)
    with RemoteSession(film, "fake", compute=cluster.address) as session:
        assert session.add_prompt(0, **CLICK).objects
    assert len(asked) == 2


@pytest.mark.sweep
def test_prompts_and_later_runs_hold_after_a_death(cluster, watcher, film):
    def work(session, strike):
        yield session.add_prompt(0, **CLICK)
        yield session.add_prompt(0, text="dog")
        yield from session.propagate("forward", 0, 9)
        strike()
        yield session.add_prompt(4, points=[[120, 20]])
        yield from session.propagate("both", 6, 5)
        session.remove_object(1)
        yield from session.propagate("forward", 8, 8)

    with (
        VideoSession(film, "fake") as local,
        RemoteSession(film, "fake", compute=cluster.address) as session,
    ):
        theirs = work(session, lambda: cluster.kill(cluster.holder(watcher)))
        assert_same_runs(theirs, work(local, lambda: None))
        assert session.object_ids == local.object_ids


@pytest.mark.sweep
def test_a_frame_that_kills_workers_is_given_up(cluster, film):
    with RemoteSession(film, "deadly", compute=cluster.address) as session:
        session.add_prompt(0, **CLICK)
        shown = []
        with pytest.raises(WorkerLostError, match="two workers were lost") as told:
            shown.extend(session.propagate())
        assert [r.frame_index for r in shown] == list(range(len(shown)))
        assert len(shown) <= 5
        assert "What came before stays" in str(told.value)


@pytest.mark.sweep
def test_a_frozen_worker_is_left_and_not_heard_any_more(cluster, watcher, film, connect):
    connection = connect(patience=3)
    with RemoteSession(film, "slow", compute=connection) as session:
        frozen, *results = _with_struck(
            run_with_a_death(session, cluster, watcher, 5, signal.SIGSTOP)
        )
        cluster.kill(frozen, signal.SIGCONT)
        assert_same_runs(results, uninterrupted(film, "slow")[0])
        again = list(session.propagate("forward", 0, 12))
        assert [r.frame_index for r in again] == list(range(12))


@pytest.mark.sweep
def test_a_lost_scheduler_loses_nothing(tmp_path, film):
    cluster = Cluster(tmp_path)
    try:
        cluster.start_worker("one")
        with (
            Connection(cluster.address, patience=5) as connection,
            _patiently(lambda: RemoteSession(film, "slow", compute=connection)) as session,
        ):
            session.add_prompt(0, **CLICK)
            run = session.propagate()
            shown = [next(run) for _ in range(4)]
            cluster.scheduler.kill()
            with pytest.raises(SchedulerLostError, match="what came before stays"):
                shown.extend(run)
            assert session.result(3).objects
            assert session.object_ids == (1,)
            cluster.start_scheduler(int(cluster.address.rpartition(":")[2]))
            cluster.start_worker("two")
            again = _patiently(lambda: session.follow([range(len(shown), 12)]), first=next)
            frames = [r.frame_index for r in (*shown, *again)]
            assert frames == list(range(12))
    finally:
        cluster.close()


def _patiently(begin, first=None):
    """Try until there is a worker, as a person would."""
    ends = time.monotonic() + 90
    while True:
        try:
            begun = begin()
            return begun if first is None else [first(begun), *begun]
        except (NoWorkerError, SchedulerLostError):
            assert time.monotonic() < ends
            time.sleep(0.3)


CLIENT = """
import sys, time
import numpy as np
from napari_sam3.cluster import Connection, RemoteSession
connection = Connection(sys.argv[1], lease=int(sys.argv[2]))
film = np.zeros((5, 40, 50), np.uint8)
sessions = [RemoteSession(film, "fake", compute=connection) for _ in range(4)]
for session in sessions:
    session.add_prompt(0, points=[[10, 10]])
print("ready", flush=True)
time.sleep(600)
"""


@pytest.mark.sweep
@pytest.mark.parametrize(
    ("how", "lease"),
    [(signal.SIGKILL, 600), (signal.SIGSTOP, 2)],
)
def test_a_client_that_is_gone_holds_nothing(cluster, film, how, lease):
    client = subprocess.Popen(
        [sys.executable, "-c", CLIENT, cluster.address, str(lease)],
        env=cluster.environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert client.stdout.readline() == "ready\n"
        with pytest.raises(NoWorkerError, match="2 workers, none free: 2 with all the sessions"):
            RemoteSession(film, "fake", compute=cluster.address)
        client.send_signal(how)

        def is_free():
            with suppress(NoWorkerError):
                RemoteSession(film, "fake", compute=cluster.address).close()
                return True
            return False

        wait_until(is_free)
    finally:
        client.send_signal(signal.SIGCONT)
        client.kill()
        client.wait()


@pytest.mark.sweep
def test_busy_workers_are_told_by_number(cluster, watcher, film):
    tasks = [
        watcher.submit(time.sleep, 600, pure=False, workers=[address])
        for address in watcher.scheduler_info(n_workers=-1)["workers"]
    ]
    try:
        wait_until(lambda: sum(map(len, watcher.processing().values())) == len(tasks))
        with pytest.raises(NoWorkerError, match="none free: 2 at work"):
            RemoteSession(film, "fake", compute=cluster.address)
    finally:
        for name in list(cluster.alive):
            cluster.kill(name)
        watcher.cancel(tasks, force=True)


@pytest.mark.sweep
def test_no_workers_are_told(tmp_path, film):
    cluster = Cluster(tmp_path, resources="OTHER=1")
    try:
        with pytest.raises(NoWorkerError, match="has no workers; start one by: dask worker"):
            RemoteSession(film, "fake", compute=cluster.address)
        cluster.start_worker("one")

        def told():
            with pytest.raises(NoWorkerError) as error:
                RemoteSession(film, "fake", compute=cluster.address)
            return "1 worker, none with the resource SAM3" in str(error.value)

        wait_until(told)
    finally:
        cluster.close()


def test_no_scheduler_is_told(film):
    with pytest.raises(SchedulerLostError, match="does not answer"):
        RemoteSession(film, "fake", compute="tcp://127.0.0.1:9")


def test_another_release_is_told_before_anything(cluster, film, monkeypatch):
    monkeypatch.setattr("napari_sam3.cluster.link.RELEASE", "7.3.0")
    with pytest.raises(OtherVersionError, match=r"here is 7\.3\.0"):
        RemoteSession(film, "fake", compute=cluster.address)


def test_another_way_of_speaking_is_told_before_anything(cluster, film, monkeypatch):
    monkeypatch.setattr("napari_sam3.cluster.link.VERSION", 99)
    with pytest.raises(OtherVersionError):
        RemoteSession(film, "fake", compute=cluster.address)


def test_a_model_that_is_not_there_is_told_before_anything(cluster, film):
    with pytest.raises(WeightsMissingError, match=r"sam2\.1-tiny"):
        RemoteSession(film, "sam2.1-tiny", compute=cluster.address)
    with pytest.raises(ModelUnavailableError):
        RemoteSession(film, "nonsense", compute=cluster.address)


@pytest.mark.sweep
def test_a_model_that_one_worker_has_is_found_there(cluster, watcher, film):
    for _ in range(3):  # wherever it is looked for first
        with (
            RemoteSession(film, "on-two", compute=cluster.address) as session,
            RemoteSession(film, "on-two", compute=cluster.address) as second,
        ):
            assert second.add_prompt(0, **CLICK).objects
            session.add_prompt(0, **CLICK)
            assert len(list(session.propagate())) == len(film)
            assert cluster.holder(watcher) == "two"
    with pytest.raises(WeightsMissingError, match=r"\(looked for on 2 workers\)"):
        RemoteSession(film, "on-none", compute=cluster.address)


@pytest.mark.sweep
def test_a_worker_that_lacks_the_model_does_not_replace_one_that_dies(cluster, watcher, film):
    with RemoteSession(film, "on-two", compute=cluster.address) as session:
        session.add_prompt(0, **CLICK)
        cluster.kill("two")
        session.model._connection.patience = 1
        with pytest.raises(WeightsMissingError, match="on-two is not on this machine"):
            list(session.propagate())


@pytest.mark.sweep
def test_the_settings_of_a_model_are_those_of_its_worker(cluster, watcher, film):
    news = []
    with RemoteSession(film, "set", compute=cluster.address, on_news=news.append) as session:
        session.add_prompt(0, **CLICK)
        first = cluster.holder(watcher)
        assert session.model.mask_settings == {"precision": f"float of {first}"}
        assert not news
        cluster.kill(first)
        list(session.propagate())
        (second,) = {"one", "two"} - {first}
        assert session.model.mask_settings == {"precision": f"float of {second}"}
    assert [one for one in news if "other settings" in one and f"now float of {second}" in one]


def test_a_model_outside_the_roots_is_not_loaded(cluster, film, tmp_path):
    (tmp_path / "model").mkdir()
    with pytest.raises(ModelUnavailableError, match="outside what the worker may read"):
        RemoteSession(film, str(tmp_path / "model"), compute=cluster.address)


def test_nothing_of_ours_is_pickled(cluster, film, pickled):
    with RemoteSession(film, "fake", compute=cluster.address) as session:
        session.add_prompt(0, **CLICK)
        assert len(list(session.propagate("forward", 0, 10))) == 10
    ours = [data for data in pickled if b"napari_sam3" in data]
    # the one thing is what begins a session, a function that is sent as its code
    assert len(ours) <= 2
    assert all(b"napari_sam3.cluster.host:TrackingHost" in data for data in ours)
    assert not any(b"ObjectMask" in data or b"FrameResult" in data for data in pickled)


@pytest.mark.parametrize("is_closed", sweep([True, False], [True]))
def test_a_session_that_is_over_leaves_nothing_on_its_worker(
    cluster, watcher, film, connect, is_closed
):
    session = RemoteSession(film, "fake", compute=connect())
    session.add_prompt(0, **CLICK)
    assert cluster.holder(watcher)
    if is_closed:
        session.close()
    del session
    gc.collect()

    def is_let_go():
        held = [str(key) for keys in watcher.has_what().values() for key in keys]
        return not any(key.startswith("napari-sam3-session") for key in held)

    wait_until(is_let_go)
