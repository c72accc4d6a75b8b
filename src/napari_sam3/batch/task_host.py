"""The worker's half of a batch: a video is done there whole, project and exports written too.

A worker writes only where a command has shown that it could write itself: into a folder under one
of the worker's roots in which it has put a file that the worker finds there.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import threading
import time
from pathlib import Path

from napari_sam3.batch.task import Task, do_task
from napari_sam3.batch.task_wire import row_to_head, task_from_head
from napari_sam3.cluster.host_base import BEAT, Host, model_asked, no_room
from napari_sam3.cluster.wire import Head, decode, encode, encode_error, whole
from napari_sam3.cluster.worker_models import SharedModel
from napari_sam3.cluster.worker_videos import find_under_roots
from napari_sam3.cluster.workers import LACKING
from napari_sam3.errors import SessionNotFoundError, UnsafeFileError, WireError
from napari_sam3.models.base import VideoModel
from napari_sam3.plain_files import read_plain
from napari_sam3.projects.folders import is_project
from napari_sam3.projects.lock import ProjectLock, can_lock
from napari_sam3.values import ObjectMask
from napari_sam3.video.content_hash import hash_samples

LEASE = 60.0
"""Seconds after which a task ends that nobody asks after; it is asked after all the time."""

REPORT = 0.5
"""Seconds between two counts of frames that a command is told."""

PATIENCE_WITH_STOPPED, PATIENCE_WITH_LOST = 10.0, 2 * LEASE
"""Seconds that a project's lock is waited for: another command's worker may be at its last frame;
a worker that was taken for dead, and is not, ends when its lease is over."""

PROBE_BYTES = 32
"""Of the file that a command puts into the folder of results."""

_AGAIN = 0.2
_NAME = re.compile(r"[0-9a-f]{32}")


class TaskHost(Host):
    """Does the tasks of a batch, one after the other; spoken to by messages.

    Parameters
    ----------
    order : bytes
        As of `Host`.
    """

    def __init__(self, order: bytes) -> None:
        super().__init__(order)
        self._lease = min(self._lease, LEASE)
        self._home: Path | None = None
        self._task: Task | None = None
        self._done: asyncio.Future[bytes] | None = None
        self._stop = threading.Event()
        self._n_frames = 0

    async def open(self, message: bytes) -> bytes:
        """Take a place, and say whether the command's folder of results is one here.

        There must be the file that the message names, with the content that it tells the hash of.
        Beside it another one is locked, as projects will be, and written for the command to see.
        """
        self._hear()
        if not self._has_place():
            return no_room()
        answer = await self._answer(message, self._look)
        if self._home is None:
            self._leave_place()
        return answer

    def _look(self, head: Head, masks: list[ObjectMask]) -> bytes:
        path, name = head.get("probe"), head.get("answer")
        if not (isinstance(path, str) and isinstance(name, str) and _NAME.fullmatch(name)):
            raise WireError(f"a folder of results that came is {path!r:.80}, with {name!r:.80}")
        probe = Path(path)
        try:
            if find_under_roots(path, self._limits.roots) is None:
                return encode({"sees": False})
            content = read_plain(probe, PROBE_BYTES)
            if hashlib.sha256(content).hexdigest() != head.get("hash"):
                return encode({"sees": False})
            answer = probe.with_name(answer_name(probe.name, name))
            if not can_lock(answer):
                return encode({"sees": False})
            answer.write_bytes(content[::-1])
        except (OSError, UnsafeFileError):  # to be read, but not to be written
            return encode({"sees": False})
        self._home = probe.parent
        return encode({"sees": True})

    async def start(self, message: bytes) -> bytes:
        """Begin a task; `apart` if its video is not to be had here."""
        self._forget_task()
        answer = await self._answer(message, self._check)
        if self._task is not None:
            self._stop.clear()
            self._n_frames = 0
            self._done = asyncio.wrap_future(self._submit(message, self._do))
        return answer

    def _forget_task(self) -> None:
        self._task = self._done = None

    def _check(self, head: Head, masks: list[ObjectMask]) -> bytes:
        task = task_from_head(head.get("task"))
        if task.results.parent != self._home:
            raise WireError(f"a task that came is to be kept at {str(task.results)!r:.120}")
        roots = self._limits.roots
        video = find_under_roots(str(task.video), roots)
        samples = head.get("samples")
        if video is None or (samples is not None and hash_samples(task.video) != samples):
            return encode({"apart": True})
        for place in (task.project, task.results):  # links may lead anywhere
            if place.exists() and find_under_roots(str(place), roots) is None:
                return encode({"apart": True})
        self._task = task
        return encode({})

    def _do(self, head: Head, masks: list[ObjectMask]) -> bytes:
        assert self._task is not None
        is_again = head.get("again") is True
        self._wait_for_lock(self._task, PATIENCE_WITH_LOST if is_again else PATIENCE_WITH_STOPPED)
        lacks = False

        def get_model(name: str, device: str | None) -> VideoModel:
            nonlocal lacks
            try:
                return SharedModel(model_asked(head))
            except LACKING:
                lacks = True
                raise

        news: list[str] = []
        row = do_task(self._task, get_model, self._stop, self._count, news.append)
        said = {"row": row_to_head(row), "lacks": lacks, "news": news}
        return encode({"frames": self._n_frames, **said})

    def _count(self, n_frames: int) -> None:
        self._n_frames = n_frames
        if not self._is_wanted():  # the loop, which looks as well, may be over
            self._stop.set()

    def _wait_for_lock(self, task: Task, patience: float) -> None:
        """Wait until nobody writes the project; who still does is told by the task itself."""
        if not is_project(task.project):
            return
        ends = time.monotonic() + patience
        lock = ProjectLock(task.project)
        while lock.take() is not None:
            if time.monotonic() > ends or not self._is_wanted() or self._stop.wait(_AGAIN):
                return
        lock.give_back()

    async def take(self, message: bytes) -> bytes:
        """The number of frames done, when it is another one than was told; at last the row.

        With the row is said whether the model is lacking here (`lacks`), and was all that was
        wrong; and what `do_task` told (`news`).
        """
        self._hear()
        head, _ = decode(message)
        done = self._done
        if done is None:
            return encode_error(SessionNotFoundError("no task has been begun"))
        known = whole(head.get("frames"))
        ends = time.monotonic() + BEAT
        while True:
            await asyncio.wait([done], timeout=REPORT)
            if done.done():
                return done.result()
            if self._n_frames != known or time.monotonic() > ends:
                return encode({"frames": self._n_frames})

    async def stop(self, message: bytes) -> bytes:
        """End the task after the frame under way."""
        self._hear()
        self._stop.set()
        return encode({})

    async def _give_back(self) -> None:
        self._stop.set()
        if self._done is not None:
            await asyncio.wait([self._done])


def answer_name(probe: str, name: str) -> str:
    """What the file is called that a worker writes beside a command's probe."""
    return f"{probe}.{name}"
