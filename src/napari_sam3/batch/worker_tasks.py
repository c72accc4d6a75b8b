"""Tasks that workers do whole, as the command sees them: told to a worker, and asked after.

What is done there is in the task's project, so a worker that dies costs what lies behind the last
checkpoint: another one is told the same task.
"""

from __future__ import annotations

import hashlib
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from napari_sam3.batch.summary import BatchRow
from napari_sam3.batch.task import Task, TaskSettings, count_kept, next_frames, on_one_line
from napari_sam3.batch.task_host import PROBE_BYTES, answer_name
from napari_sam3.batch.task_wire import news_from_head, row_from_head, task_to_head
from napari_sam3.cluster import Connection
from napari_sam3.cluster.addresses import map_path
from napari_sam3.cluster.host_run import MOST_AHEAD
from napari_sam3.cluster.link import Link, LinkLost
from napari_sam3.cluster.wire import Head, encode, whole
from napari_sam3.cluster.workers import LACKING, Workers
from napari_sam3.errors import (
    ModelError,
    NoWorkerError,
    Sam3Error,
    WeightsMissingError,
    WorkerLostError,
)
from napari_sam3.session.saved_prompts import is_meant
from napari_sam3.video.content_hash import hash_samples

_HOST = "napari_sam3.batch.task_host:TaskHost"
_ROOM, _AGAIN = 5.0, 0.2
_NOTHING = encode({})


class TaskWorkers:
    """The workers that see a batch's folder of results.

    Parameters
    ----------
    connection : Connection
        The way to them.
    settings : TaskSettings
        Of all tasks.
    home : Path
        The folder of results.
    path_map : mapping of str to str
        As `map_path` takes it.
    tell : callable
        Told what happens to the workers, a sentence each; in any thread.
    """

    def __init__(
        self,
        connection: Connection,
        settings: TaskSettings,
        home: Path,
        path_map: Mapping[str, str],
        tell: Callable[[str], object],
    ) -> None:
        self.path_map = path_map
        self.asked: Head = {
            "model": settings.model,
            "device": settings.device,
            "resolution": None,
        }
        self._home = home
        self._workers = Workers(connection, self.asked, path_map, tell, host=_HOST)
        self._lost: set[str] = set()
        self._are_some_blind = False
        self._lock = threading.Lock()

    def check(self) -> None:
        """Load the model on a worker.

        Raises
        ------
        ComputeError, ModelError
            If that can't be.
        """
        said = self._workers.load()
        if self.asked["model"] == "auto":  # chosen there, once
            self.asked["model"] = str(said["name"])

    def begin(self) -> Link | None:
        """A place on a worker that sees the folder of results; None if it does not.

        Raises
        ------
        ComputeError, ModelError
            As of `Workers.begin`.
        """
        with self._lock:  # one after the other, so that places spread over the workers
            ends = time.monotonic() + _ROOM
            while True:
                link = self._place()
                try:
                    if self._is_seen_by(link):
                        return link
                    self._note_blind(link)
                    return None
                except LinkLost:
                    self.lose(link)
                except NoWorkerError:  # another session was quicker
                    link.let_go()
                    if time.monotonic() > ends:
                        raise
                    time.sleep(_AGAIN)
                except BaseException:
                    link.let_go()
                    raise

    @property
    def has_lost_some(self) -> bool:
        """Whether a worker was lost: who is on another one is perhaps not alone there."""
        return bool(self._lost)

    def _place(self) -> Link:
        return self._workers.begin_elsewhere(self._lost) if self._lost else self._workers.begin()

    def _is_seen_by(self, link: Link) -> bool:
        """Have a worker find a file of ours in the folder, and write one; look for that."""
        token = secrets.token_bytes(PROBE_BYTES)
        probe = self._home.absolute() / f".napari-sam3-{secrets.token_hex(16)}"
        name = secrets.token_hex(16)
        answer = probe.with_name(answer_name(probe.name, name))
        try:
            probe.write_bytes(token)
            said, _ = link.call(
                "open",
                encode(
                    {
                        "probe": map_path(str(probe), self.path_map),
                        "hash": hashlib.sha256(token).hexdigest(),
                        "answer": name,
                    }
                ),
            )
            # what another user writes there a person could not go on with
            return (
                said.get("sees") is True
                and answer.read_bytes() == token[::-1]
                and answer.stat().st_uid == probe.stat().st_uid
            )
        except OSError:
            return False
        finally:
            for file in (probe, answer):
                with suppress(OSError):
                    file.unlink(missing_ok=True)

    def _note_blind(self, link: Link) -> None:
        link.let_go()
        if not self._are_some_blind:
            self.tell(
                f"the worker {link.worker} does not see the folder {str(self._home)!r} under a "
                "root, or can't write there as you: what it computes is written by this command"
            )
        self._are_some_blind = True

    def lose(self, link: Link) -> None:
        """Take note that a worker is gone.

        Raises
        ------
        SchedulerLostError
            If it is not the worker's fault.
        """
        link.drop()
        self._workers.check_scheduler()
        if link.worker not in self._lost:
            self._lost.add(link.worker)
            self.tell(f"the worker {link.worker} was lost; going on on another")

    def tell(self, news: str) -> None:
        """Say what a worker tells of a task, or what happens to the workers."""
        self._workers.tell(news)

    def leave(self, link: Link, lacks: ModelError) -> None:
        """Give back a place where the model is lacking; see `Workers.leave`."""
        self._workers.leave(link, lacks)

    def close(self) -> None:
        """Give back a place that nobody has taken."""
        self._workers.close()


class TaskPlace:
    """A place on a worker, for one task after the other.

    Parameters
    ----------
    workers : TaskWorkers
        To be on.
    stop : Event
        Once it is set, a task ends after its frame; `ask_to_stop` must be called, too.
    """

    def __init__(self, workers: TaskWorkers, stop: threading.Event) -> None:
        self._workers = workers
        self._stop = stop
        self._link: Link | None = None

    def do(self, task: Task, on_frames: Callable[[int], object]) -> BatchRow | None:
        """Have a task done; parameters and what is given as of `do_task`.

        Returns
        -------
        BatchRow or None
            None if the worker sees the folder of results, or the video, not as its own.

        Raises
        ------
        NoWorkerError
            If there was no place to begin on; another place may be free for the task later.
        """
        began = time.perf_counter()
        told = _Told(on_frames)
        try:
            row = self._do(task, told)
        except Sam3Error as exc:
            if isinstance(exc, NoWorkerError) and not told.n_frames:
                raise
            frames, objects = count_kept(task) if told.n_frames else (0, 0)
            row = BatchRow(str(task.video), frames, objects, 0.0, "failed", on_one_line(exc))
        if row is None or self._workers.has_lost_some:
            self.close()
        if row is None:
            return None
        if row.state == "skipped" and told.n_frames:
            row = replace(row, state="done")  # in this run, by a worker that then was lost
        return replace(row, seconds=time.perf_counter() - began)

    def _do(self, task: Task, told: _Told) -> BatchRow | None:
        path_map = self._workers.path_map
        there = map_path(str(task.video.absolute()), path_map)
        if not all(p.video is None or is_meant(p.video, there) for p in task.prompts):
            return None  # they name it as it is called here
        order: Head = {**self._workers.asked, "samples": _samples(task.video)}
        died_at: _Death | None = None
        while True:
            link = self._link
            if link is None:
                link = self._link = self._workers.begin()
            if link is None:
                return None
            order["task"] = task_to_head(task, path_map)
            try:
                row = self._follow(link, task, order, told)
            except LinkLost:
                self._link = None
                self._workers.lose(link)
            except LACKING as exc:
                self._link = None
                self._workers.leave(link, exc)
                continue
            else:
                if row is None or row.state != "stopped" or self._stop.is_set():
                    return row
                self.close()  # a worker that is about to end, or could not be asked for long
            if self._stop.is_set():
                return BatchRow(str(task.video), *count_kept(task), state="stopped")
            death = _Death(count_kept(task)[0], next_frames(task, MOST_AHEAD))
            if died_at is not None and death.n_kept <= died_at.n_kept + MOST_AHEAD:
                raise died_at.as_error(death)
            died_at, order["again"] = death, True
            if told.n_frames:
                task = replace(task, settings=replace(task.settings, overwrite=False))

    def _follow(self, link: Link, task: Task, order: Head, told: _Told) -> BatchRow | None:
        """Begin a task, and ask after it until it is over; an error if the model is lacking."""
        if link.call("start", encode(order))[0].get("apart"):
            return None
        if self._stop.is_set():  # since before it began
            self.ask_to_stop()
        n_frames, n_before = 0, told.n_frames
        while True:
            said, _ = link.call("take", encode({"frames": n_frames}))
            n_frames = whole(said.get("frames"))
            told.tell(n_before + n_frames)
            if "row" in said:
                row = row_from_head(said["row"], task, self._workers.path_map)
                if said.get("lacks"):
                    raise WeightsMissingError(row.error)
                for news in news_from_head(said.get("news"), task, self._workers.path_map):
                    self._workers.tell(news)
                return row

    def ask_to_stop(self) -> None:
        """Have the task under way end after its frame; from any thread."""
        link = self._link
        if link is not None:
            link.send("stop", _NOTHING)

    def close(self) -> None:
        """Give the place back."""
        link, self._link = self._link, None
        if link is not None:
            link.let_go()


class _Told:
    """Frames done that were told of; each number is, though a worker tells only some."""

    def __init__(self, on_frames: Callable[[int], object]) -> None:
        self.n_frames = 0
        self._on_frames = on_frames

    def tell(self, n_frames: int) -> None:
        for number in range(self.n_frames + 1, n_frames + 1):
            self._on_frames(number)
        self.n_frames = max(self.n_frames, n_frames)


def _samples(video: Path) -> str | None:
    """What tells the video from others; None where it can't be read, which its row will say."""
    try:
        return hash_samples(video)
    except (Sam3Error, OSError):
        return None


class _Death(NamedTuple):
    """How far a task was when its worker was lost."""

    n_kept: int
    ahead: list[int]
    """The next frames."""

    def as_error(self, again: _Death) -> WorkerLostError:
        """What is said of two that are too near to each other."""
        where = "before its first frame was kept"
        if again.ahead:
            first = (self.ahead or again.ahead)[0]
            where = f"between frame {first} and frame {again.ahead[-1]}"
        return WorkerLostError(
            f"two workers were lost, one after the other, {where}; what is there may need more "
            "memory than they have. What came before stays"
        )
