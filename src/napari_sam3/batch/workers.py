"""Tasks in processes of their own: a video that brings one down takes no other with it.

A process is told its tasks, and tells how they go, in lines of JSON. It needs nothing of the
program that began it, which may be a notebook or a script without a guard.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Generator
from contextlib import suppress
from typing import Any

from napari_sam3.batch.summary import BatchRow
from napari_sam3.batch.task import Task, count_kept

THREADS = "NAPARI_SAM3_BATCH_THREADS"
COMMAND = [sys.executable, "-m", "napari_sam3.batch.worker"]
_LIBRARIES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)
_LOOK_S = 0.2


def do_in_processes(
    tasks: dict[int, Task],
    jobs: int,
    stop: threading.Event,
    look: Callable[[int, int], object],
) -> Generator[tuple[int, BatchRow]]:
    """Do tasks in several processes.

    Parameters
    ----------
    tasks : mapping of number to Task
        To be done.
    jobs : int
        How many at once, from 1.
    stop : Event
        Once it is set no further task is begun, and those under way end after their frame.
    look : callable
        Called with a task's number and its frames done.

    Yields
    ------
    (int, BatchRow)
        Each task's number and row, as they end.
    """
    waiting = deque(tasks)
    heard: queue.Queue[tuple[_Process, dict[str, Any]]] = queue.Queue()
    n_threads = max(1, (os.cpu_count() or 1) // jobs)
    running: set[_Process] = set()
    try:
        for _ in range(min(jobs, len(tasks))):
            running.add(_Process(heard, n_threads))
        for process in running:
            process.begin(waiting.popleft(), tasks)
        while running:
            if stop.is_set():
                waiting.clear()
                for process in running:
                    process.stop()
            try:
                process, said = heard.get(timeout=_LOOK_S)
            except queue.Empty:
                continue
            if process not in running:
                continue
            number = process.number
            if "frames" in said:
                look(number, said["frames"])
                continue
            if "row" in said:
                yield number, BatchRow(**said["row"])
            else:  # it has ended amid a task
                yield number, process.row_at_end(tasks[number])
            if "row" not in said or not waiting:
                running.discard(process)
                process.close()
                if not waiting:
                    continue
                process = _Process(heard, n_threads)
                running.add(process)
            process.begin(waiting.popleft(), tasks)
    finally:
        for process in running:
            process.close(at_once=True)


class _Process:
    """A process, and a thread that listens to it."""

    def __init__(self, heard: queue.Queue[tuple[_Process, dict[str, Any]]], n_threads: int) -> None:
        self.number = -1
        self._began = 0.0
        self._heard = heard
        self._is_stopping = False
        threads = dict.fromkeys((*_LIBRARIES, THREADS), str(n_threads))
        self._process = subprocess.Popen(
            COMMAND,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            env={**os.environ, **threads},
            # Ctrl-C is for the program that began it, which tells it to stop
            start_new_session=True,
        )
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def begin(self, number: int, tasks: dict[int, Task]) -> None:
        self.number = number
        self._began = time.perf_counter()
        self._say({"task": tasks[number].to_json()})

    def stop(self) -> None:
        if not self._is_stopping:
            self._is_stopping = True
            self._say({"stop": True})

    def close(self, *, at_once: bool = False) -> None:
        if at_once:
            self._process.kill()
        if self._process.stdin is not None:
            with suppress(OSError):
                self._process.stdin.close()  # it ends then
        self._process.wait()
        self._listener.join()
        if self._process.stdout is not None:
            self._process.stdout.close()

    def row_at_end(self, task: Task) -> BatchRow:
        """How it went with the task that it ended amid: why, and what of it is kept."""
        code = self._process.wait()
        seconds = time.perf_counter() - self._began
        if code < 0:
            name = _name_signal(-code)
            why = f"was killed by {name}"
            if name == "SIGKILL":
                why += "; perhaps the machine's memory was used up (fewer --jobs need less)"
        else:
            why = f"ended with code {code}"
        frames, objects = count_kept(task)
        kept = f"{frames} frames are kept" if frames != 1 else "1 frame is kept"
        error = f"the process that worked on it {why}; {kept}, run the batch again to go on"
        return BatchRow(str(task.video), frames, objects, seconds, "failed", error)

    def _say(self, message: dict[str, Any]) -> None:
        assert self._process.stdin is not None, "a pipe"
        with suppress(OSError):  # it has ended: the listener says so
            self._process.stdin.write(json.dumps(message) + "\n")
            self._process.stdin.flush()

    def _listen(self) -> None:
        assert self._process.stdout is not None, "a pipe"
        try:
            for line in self._process.stdout:
                self._heard.put((self, json.loads(line)))
        except ValueError:
            pass  # half a line: it was killed
        finally:
            self._heard.put((self, {}))


def _name_signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
