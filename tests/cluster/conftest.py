"""A scheduler and workers of Dask's, as processes of their own on the loopback."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import napari_sam3

START = 120
SOURCES = (str(Path(napari_sam3.__file__).parents[1]), str(Path(__file__).parents[2]))


def wait_until(is_so, longest=60.0):
    """Look again and again until something is so."""
    ends = time.monotonic() + longest
    while not is_so():
        assert time.monotonic() < ends, f"it was not so within {longest} s"
        time.sleep(0.02)


class Cluster:
    """Processes of a cluster, in a folder of their own."""

    def __init__(self, home, *, resources="SAM3=1", tls=()):
        self.home = home
        self.root = home / "root"
        self.root.mkdir()
        self.uploads = home / "uploads"
        self.resources = resources
        self.tls = tls
        self.environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(SOURCES),
            "TESTS_STEPS": str(home / "steps.txt"),
        }
        self.workers = {}
        self.scheduler = None
        self.start_scheduler()

    def start_scheduler(self, port=0):
        facts = self.home / "scheduler.json"
        facts.unlink(missing_ok=True)
        self.scheduler = self._run(
            "distributed.cli.dask_scheduler",
            *("--host", "127.0.0.1", "--port", str(port), "--no-dashboard"),
            *("--dashboard-address", "127.0.0.1:0", "--scheduler-file", str(facts)),
            *self.tls,
        )
        wait_until(lambda: facts.exists() and facts.read_text().strip().endswith("}"), START)
        self.address = json.loads(facts.read_text())["address"]

    def start_worker(self, name):
        self.workers[name] = self._run(
            "distributed.cli.dask_worker",
            *(self.address, "--name", name, "--host", "127.0.0.1", "--nthreads", "1"),
            *("--no-nanny", "--no-dashboard", "--memory-limit", "0"),
            *("--local-directory", str(self.home / name), "--resources", self.resources),
            *("--preload", "napari_sam3.cluster.worker", "--preload", "tests.cluster.slow_models"),
            *(*self.tls, "--root", str(self.root), "--uploads", str(self.uploads)),
        )

    def _run(self, module, *arguments):
        log = (self.home / "log.txt").open("ab")
        return subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            env=self.environment,
            cwd=self.home,
            stdout=log,
            stderr=log,
        )

    def wait_for_workers(self, client):
        wait_until(
            lambda: len(client.scheduler_info(n_workers=-1)["workers"]) >= len(self.alive), START
        )

    def wait_until_there(self):
        """Wait for its workers without a client of the test's own."""
        from distributed import Client

        with Client(self.address, set_as_default=False) as client:
            self.wait_for_workers(client)

    @property
    def alive(self):
        return [name for name, process in self.workers.items() if process.poll() is None]

    def holder(self, client):
        """The name of the worker that has a session."""
        told = client.scheduler_info(n_workers=-1)["workers"]
        held = [
            told[address]["name"]
            for address, keys in client.has_what().items()
            if address in told and any(str(key).startswith("napari-sam3-session") for key in keys)
        ]
        assert held, "no worker has a session"
        return held[-1]

    def kill(self, name, how=signal.SIGKILL):
        self.workers[name].send_signal(how)
        if how == signal.SIGKILL:
            self.workers[name].wait()

    def close(self):
        for process in [*self.workers.values(), self.scheduler]:
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.kill()
            process.wait()


@pytest.fixture(scope="module")
def module_cluster(tmp_path_factory):
    """Processes that a module's tests share; workers that a test has killed are started anew."""
    cluster = Cluster(tmp_path_factory.mktemp("cluster"))
    yield cluster
    cluster.close()


@pytest.fixture
def watcher(module_cluster):
    """A client of Dask's own, to look at the cluster with."""
    from distributed import Client

    with Client(module_cluster.address, set_as_default=False) as client:
        yield client


@pytest.fixture
def cluster(module_cluster, watcher):
    """A scheduler and two workers, with nothing to do."""
    for name in ("one", "two"):
        if name not in module_cluster.alive:
            module_cluster.start_worker(name)
    module_cluster.wait_for_workers(watcher)
    return module_cluster


@pytest.fixture
def pickled(monkeypatch):
    """All that is pickled in this process to be sent, and all that came and is unpickled."""
    from distributed.protocol import pickle as dasks

    passed = []

    def noting(function):
        def noted(*arguments, **options):
            result = function(*arguments, **options)
            passed.extend(x for x in (result, *arguments) if isinstance(x, bytes))
            return result

        return noted

    monkeypatch.setattr(dasks, "dumps", noting(dasks.dumps))
    monkeypatch.setattr(dasks, "loads", noting(dasks.loads))
    return passed
