"""The workers that have a model: where it is loaded first, and where a lost one is replaced."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Collection, Mapping

from napari_sam3.cluster.connection import SESSION, Connection
from napari_sam3.cluster.link import Link, LinkLost
from napari_sam3.cluster.wire import Head, encode
from napari_sam3.errors import NoWorkerError, SchedulerLostError, WorkerLostError

logger = logging.getLogger(__name__)

_AGAIN = 0.5


class Workers:
    """Places on workers, for trackers of one model.

    Parameters
    ----------
    connection : Connection
    asked : dict
        `model`, `device` and `resolution`, as the worker's `load_model` takes them.
    path_map : mapping of str to str
        As `map_path` takes it.
    on_news : callable or None
        Told what happens to the workers, a sentence each.
    on_progress : callable or None
        Told in a few words how far what takes long is.
    host : str
        What is begun there, as of `Connection.place`.
    """

    def __init__(
        self,
        connection: Connection,
        asked: Head,
        path_map: Mapping[str, str],
        on_news: Callable[[str], object] | None = None,
        on_progress: Callable[[str], object] | None = None,
        host: str = SESSION,
    ) -> None:
        self.connection = connection
        self.asked = asked
        self.path_map = path_map
        self._on_news, self._on_progress = on_news, on_progress
        self._host = host
        self._lock = threading.Lock()
        self._waiting: Link | None = None

    def load(self) -> Head:
        """Load the model on a worker, and keep the place for the first tracker.

        Returns
        -------
        dict
            What the worker says of the model.
        """
        for _ in range(2):
            link = self.connection.place(host=self._host)
            try:
                said, _ = link.call("load", encode(self.asked))
            except LinkLost as exc:
                link.drop()
                self.tell(str(exc))
            except BaseException:
                link.let_go()
                raise
            else:
                self._waiting = link
                return said
        raise WorkerLostError(
            f"two workers of {self.connection.address} were lost as they loaded the model "
            f"{self.asked['model']!r}; is there memory for it?"
        )

    def begin(self) -> Link:
        """A place for a tracker; the first one is where the model was loaded."""
        with self._lock:
            link, self._waiting = self._waiting, None
        return self.connection.place(host=self._host) if link is None else link

    def begin_elsewhere(self, lost: Collection[str]) -> Link:
        """A place for a tracker whose worker was lost; a new worker may have to start first."""
        ends = time.monotonic() + self.connection.patience
        while True:
            try:
                return self.connection.place(lost, self._host)
            except NoWorkerError:
                if time.monotonic() > ends:
                    raise
                time.sleep(_AGAIN)

    def check_scheduler(self) -> None:
        """Make sure that it is not the scheduler who is gone.

        Raises
        ------
        SchedulerLostError
            If it is.
        """
        try:
            self.connection.workers()
        except SchedulerLostError as exc:
            self.tell(str(exc))
            raise

    def tell(self, news: str) -> None:
        """Say what happens to the workers."""
        logger.warning("%s", news)
        if self._on_news is not None:
            self._on_news(news)

    def tell_progress(self, text: str) -> None:
        """Say how far what takes long is."""
        if self._on_progress is not None:
            self._on_progress(text)

    def close(self) -> None:
        """Give back a place that no tracker has taken."""
        with self._lock:
            link, self._waiting = self._waiting, None
        if link is not None:
            link.let_go()
