"""What a process of a batch does: `python -m napari_sam3.batch.worker`, told by `workers`."""

from __future__ import annotations

import json
import os
import queue
import sys
import threading
from dataclasses import asdict
from typing import IO, Any

from napari_sam3.batch.task import Task, do_task
from napari_sam3.batch.workers import THREADS
from napari_sam3.models.registry import LoadedModel


def main() -> None:
    """Do the tasks that come by stdin, until it is closed; ends quietly if the parent is gone."""
    tasks: queue.Queue[Task | None] = queue.Queue()
    stop = threading.Event()
    # what libraries print must not be taken for ours
    voice = _Voice(os.dup(1), stop)
    os.dup2(2, 1)
    _bound_threads()
    threading.Thread(target=_hear, args=(sys.stdin, tasks, stop), daemon=True).start()
    models = LoadedModel()
    while (task := tasks.get()) is not None:
        row = do_task(task, models, stop, lambda n_frames: voice.tell({"frames": n_frames}))
        voice.tell({"row": asdict(row)})
    models.close()


def _hear(told: IO[str], tasks: queue.Queue[Task | None], stop: threading.Event) -> None:
    try:
        for line in told:
            message = json.loads(line)
            if "task" in message:
                tasks.put(Task.from_json(message["task"]))
            else:
                stop.set()
    except ValueError:
        pass  # half a line: whoever wrote it was killed
    finally:
        # whoever began this has no more tasks, or is gone, or can't be understood
        stop.set()
        tasks.put(None)


class _Voice:
    """What the parent is told by; once nobody hears it any more, the work is to stop."""

    def __init__(self, pipe: int, stop: threading.Event) -> None:
        self._pipe, self._stop = pipe, stop

    def tell(self, message: dict[str, Any]) -> None:
        """Say a line, if there is somebody to hear it."""
        data = json.dumps(message).encode() + b"\n"
        try:
            while data:
                data = data[os.write(self._pipe, data) :]
        except OSError:
            self._stop.set()


def _bound_threads() -> None:
    """Keep to a share of the processor where a library does not look at the environment."""
    import cv2

    cv2.setNumThreads(int(os.environ.get(THREADS, "1")))


if __name__ == "__main__":
    main()
