"""Tasks whose models run on workers: several at once, each in a thread of this process.

Projects and exports are written here, as ever; a worker has a model and reads the video. So a
worker that is killed takes no video with it, and the workers need no right to write anything.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Generator
from functools import partial

from napari_sam3.batch.summary import BatchRow
from napari_sam3.batch.task import Task, do_task
from napari_sam3.cluster import Connection, RemoteModel
from napari_sam3.models.registry import LoadedModel

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
        Called with a sentence about what happens to the workers.
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
    waiting: queue.SimpleQueue[int] = queue.SimpleQueue()
    for number in tasks:
        waiting.put(number)
    heard: queue.Queue[tuple[int, int | BatchRow | str | BaseException | None]] = queue.Queue()
    (settings,) = {task.settings for task in tasks.values()}  # for all of a batch

    def load(_address: str, name: str, device: str | None, resolution: int | None) -> RemoteModel:
        return RemoteModel(
            connection, name, device, resolution, on_news=lambda news: heard.put((-1, news))
        )

    def count(number: int, n_frames: int) -> None:
        heard.put((number, n_frames))

    def work(models: LoadedModel) -> None:
        try:
            while not stop.is_set():
                number = waiting.get_nowait()
                row = do_task(tasks[number], models, stop, partial(count, number))
                heard.put((number, row))
        except queue.Empty:
            pass
        except BaseException as exc:  # none of a task's: those are in its row
            heard.put((-1, exc))
        finally:
            models.close()
            heard.put((-1, None))

    def begin(models: LoadedModel) -> threading.Thread:
        thread = threading.Thread(target=work, args=(models,), name="batch", daemon=True)
        thread.start()
        return thread

    all_models = [LoadedModel() for _ in range(min(n_at_once, len(tasks)))]
    for models in all_models:
        models.elsewhere, models.compute = load, connection.address
    # what would go wrong with every video is told before the first one
    all_models[0].get(settings.model, settings.device)
    threads = [begin(models) for models in all_models]
    n_working = len(threads)
    try:
        while n_working:
            look()
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
        for thread in threads:
            thread.join()
