"""Tasks and places on workers: where there are fewer places than were asked for."""

from __future__ import annotations

import threading
from types import SimpleNamespace

import numpy as np
import pytest

from napari_sam3.batch import elsewhere
from napari_sam3.batch.summary import BatchRow
from napari_sam3.batch.task import Task, do_task
from napari_sam3.errors import NoWorkerError
from napari_sam3.session.saved_prompts import PromptList, SavedPrompt


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

    def do_all(n_with_room, is_written_here):
        made, refused, here = [], threading.Event(), threading.local()

        def begin(task, has_room):
            if not has_room:
                refused.set()
                raise NoWorkerError("no worker is free")
            if n_with_room < 2:
                refused.wait()  # so that the other one comes to a task, too
            return BatchRow(str(task.video), 5, 1)

        class Place(NoWorkers):
            def __init__(self, workers, stop):
                made.append(self)
                self.has_room = len(made) <= n_with_room

            def do(self, task, on_frames):
                if is_written_here:  # by a model that takes the place
                    here.has_room = self.has_room
                    return None
                return begin(task, self.has_room)

            def ask_to_stop(self):
                pass

        monkeypatch.setattr(elsewhere, "TaskWorkers", NoWorkers)
        monkeypatch.setattr(elsewhere, "TaskPlace", Place)
        monkeypatch.setattr(elsewhere, "do_task", lambda task, *_: begin(task, here.has_room))
        tasks = {n: Task(tmp_path / f"{n}.mp4", PromptList(), tmp_path / str(n)) for n in range(3)}
        way = SimpleNamespace(address="tcp://127.0.0.1:8786")
        done = elsewhere.do_on_workers(
            tasks, way, 2, threading.Event(), lambda *_: None, lambda _: None
        )
        return dict(done)

    return do_all


@pytest.mark.parametrize("is_written_here", [False, True])
@pytest.mark.parametrize("n_with_room", [1, 2])
def test_who_finds_no_place_leaves_its_video_to_the_others(do_all, n_with_room, is_written_here):
    rows = do_all(n_with_room, is_written_here)
    assert sorted(rows) == [0, 1, 2]
    assert all(row.state == "done" for row in rows.values())


@pytest.mark.parametrize("is_written_here", [False, True])
def test_where_nobody_finds_one_each_video_says_so(do_all, is_written_here):
    rows = do_all(0, is_written_here)
    assert sorted(rows) == [0, 1, 2]
    assert {(row.state, row.error) for row in rows.values()} == {("failed", "no worker is free")}


def test_a_task_whose_model_finds_no_place_is_not_begun(films, tmp_path):
    def find_no_place(*_):
        raise NoWorkerError("no worker is free")

    click = SavedPrompt(0, 1, np.array([[30.0, 20.0]]), np.array([True]))
    task = Task(films[0], PromptList([click]), tmp_path / "out" / "a")
    with pytest.raises(NoWorkerError):
        do_task(task, find_no_place, threading.Event(), lambda _: None)
    assert not task.project.exists()
