"""Tasks and places on workers: where there are fewer places than were asked for."""

from __future__ import annotations

import threading
from types import SimpleNamespace

import pytest

from napari_sam3.batch import elsewhere
from napari_sam3.batch.summary import BatchRow
from napari_sam3.batch.task import Task
from napari_sam3.errors import NoWorkerError
from napari_sam3.session.saved_prompts import PromptList


class NoWorkers:
    """Nobody to load a model, or to be closed."""

    def __init__(self, *arguments):
        pass

    def check(self):
        pass

    close = check


@pytest.fixture
def do_all(tmp_path, monkeypatch):
    """A function: the rows of three tasks on two places, so many of which are on a worker."""

    def do_all(n_with_room):
        made, refused = [], threading.Event()

        class Place(NoWorkers):
            def __init__(self, workers, stop):
                made.append(self)
                self.has_room = len(made) <= n_with_room

            def do(self, task, on_frames):
                if not self.has_room:
                    refused.set()
                    raise NoWorkerError("no worker is free")
                if n_with_room < 2:
                    refused.wait()  # so that the other one comes to a task, too
                return BatchRow(str(task.video), 5, 1)

            def ask_to_stop(self):
                pass

        monkeypatch.setattr(elsewhere, "TaskWorkers", NoWorkers)
        monkeypatch.setattr(elsewhere, "TaskPlace", Place)
        tasks = {n: Task(tmp_path / f"{n}.mp4", PromptList(), tmp_path / str(n)) for n in range(3)}
        way = SimpleNamespace(address="tcp://127.0.0.1:8786")
        done = elsewhere.do_on_workers(
            tasks, way, 2, threading.Event(), lambda *_: None, lambda _: None
        )
        return dict(done)

    return do_all


@pytest.mark.parametrize("n_with_room", [1, 2])
def test_who_finds_no_place_leaves_its_video_to_the_others(do_all, n_with_room):
    rows = do_all(n_with_room)
    assert sorted(rows) == [0, 1, 2]
    assert all(row.state == "done" for row in rows.values())


def test_where_nobody_finds_one_each_video_says_so(do_all):
    rows = do_all(0)
    assert sorted(rows) == [0, 1, 2]
    assert {(row.state, row.error) for row in rows.values()} == {("failed", "no worker is free")}
