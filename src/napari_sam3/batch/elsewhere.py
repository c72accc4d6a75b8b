"""Tasks on workers: several at once, each with a thread of this process that waits for it.

A worker that sees the folder of results as its own does the whole task, and writes the project and
the exports. For another one they are written here: it has a model, reads the video, and needs no
right to write anything.
"""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable
from functools import partial

from napari_sam3.batch.summary import BatchRow
from napari_sam3.batch.task import Task, do_task, on_one_line
from napari_sam3.batch.worker_tasks import TaskPlace, TaskWorkers
from napari_sam3.cluster import Connection, RemoteModel
from napari_sam3.errors import NoWorkerError
from napari_sam3.models.registry import LoadedModel
from napari_sam3.settings import read_settings

_LOOK_S = 0.2


def do_on_workers(
    tasks: dict[int, Task],
    connection: Connection,
    n_at_once: int,
    stop: threading.Event,
    show: Callable[[int, int], object],
    tell: Callable[[str], object],
    look: Callable[[], object] = lambda: None,
) -> Generator[tuple[int, BatchRow]]:
    """Do tasks on the workers of a scheduler.

    Parameters
    ----------
    tasks : mapping of number to Task
        To be done.
    connection : Connection
        The way to the workers.
    n_at_once : int
        How many tasks.
    stop : Event
        Once it is set no further task is begun, and those under way end after their frame.
    show : callable
        Called with a task's number and its frames done.
    tell : callable
        Called with a sentence about what happens to the workers, or as of `do_task`.
    look : callable
        Called now and then.

    Yields
    ------
    (int, BatchRow)
        Each task's number and row, as they end.

    Raises
    ------
    ComputeError
        If there is no worker that is free.
    ModelError
        If it can't load the model.
    """
    if not tasks:
        return
    n_places = min(n_at_once, len(tasks))
    waiting = _Waiting(tasks, n_places)
    heard: queue.Queue[tuple[int, int | BatchRow | str | BaseException | None]] = queue.Queue()
    (settings,) = {task.settings for task in tasks.values()}  # for all of a batch
    (home,) = {task.results.parent for task in tasks.values()}
    path_map = dict(read_settings().path_map)

    def hear(news: str) -> None:
        heard.put((-1, news))

    workers = TaskWorkers(connection, settings, home, path_map, hear)

    def load(_address: str, name: str, device: str | None, resolution: int | None) -> RemoteModel:
        return RemoteModel(connection, name, device, resolution, on_news=hear)

    def count(number: int, n_frames: int) -> None:
        heard.put((number, n_frames))

    def work(place: TaskPlace) -> None:
        models = LoadedModel()  # for tasks that are not for a worker alone
        models.elsewhere, models.compute = load, connection.address
        try:
            while not stop.is_set() and (number := waiting.take()) is not None:
                task, on_frames = tasks[number], partial(count, number)
                try:
                    row = place.do(task, on_frames)
                    if row is None:
                        row = do_task(task, models.get, stop, on_frames, hear)
                except NoWorkerError as exc:
                    if waiting.give_back(number):
                        return
                    row = BatchRow(str(task.video), state="failed", error=on_one_line(exc))
                heard.put((number, row))
        except BaseException as exc:  # none of a task's: those are in its row
            heard.put((-1, exc))
        finally:
            place.close()
            models.close()
            heard.put((-1, None))

    def begin(place: TaskPlace) -> threading.Thread:
        thread = threading.Thread(target=work, args=(place,), name="batch", daemon=True)
        thread.start()
        return thread

    # what would go wrong with every video is told before the first one
    workers.check()
    places = [TaskPlace(workers, stop) for _ in range(n_places)]
    threads = [begin(place) for place in places]
    n_working = len(threads)
    is_stopping = False
    try:
        while n_working:
            look()
            if stop.is_set() and not is_stopping:
                is_stopping = True
                for place in places:
                    place.ask_to_stop()
            try:
                number, said = heard.get(timeout=_LOOK_S)
            except queue.Empty:
                continue
            if said is None:
                n_working -= 1
            elif isinstance(said, BaseException):
                raise said
            elif isinstance(said, str):
                tell(said)
            elif isinstance(said, BatchRow):
                yield number, said
            else:
                show(number, said)
    finally:
        if n_working:  # at once: whoever waits for a worker hears that there is none
            stop.set()
            connection.end()
        workers.close()
        for thread in threads:
            thread.join()


class _Waiting:
    """Numbers of tasks that nobody has begun; who finds no place for one leaves it to the others.

    Parameters
    ----------
    numbers : iterable of int
    n_takers : int
        Threads that take them, each until there is none or it has given one back.
    """

    def __init__(self, numbers: Iterable[int], n_takers: int) -> None:
        self._numbers = deque(numbers)
        self._n_takers = n_takers
        self._lock = threading.Lock()

    def take(self) -> int | None:
        """The next one; None if there is none, and the taker is to end."""
        with self._lock:
            if self._numbers:
                return self._numbers.popleft()
            self._n_takers -= 1
            return None

    def give_back(self, number: int) -> bool:
        """Leave one to the others, and end; False if there is nobody else."""
        with self._lock:
            if self._n_takers == 1:
                return False
            self._n_takers -= 1
            self._numbers.appendleft(number)
            return True
