"""The workers that have a model: where it is loaded first, and where a lost one is replaced."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Collection, Mapping

from napari_sam3.cluster.connection import SESSION, Connection
from napari_sam3.cluster.link import Link, LinkLost
from napari_sam3.cluster.models_there import read_settings_there
from napari_sam3.cluster.wire import Head, encode
from napari_sam3.errors import (
    ModelError,
    NoWorkerError,
    SchedulerLostError,
    UnknownModelError,
    WeightsMissingError,
    WorkerLostError,
)
from napari_sam3.models.mask_settings import MaskSettings, differing

logger = logging.getLogger(__name__)

LACKING = (WeightsMissingError, UnknownModelError)
"""What a worker says that has not got a model, while another one may have it."""

_AGAIN = 0.5


class Workers:
    """Places on workers, for trackers of one model; who says to lack it is avoided.

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

    Attributes
    ----------
    mask_settings : MaskSettings
        What the model's masks depend on, as the worker said that was asked last.
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
        self.mask_settings: MaskSettings = {}
        self._lock = threading.Lock()
        self._waiting: Link | None = None
        self._lacking: dict[str, ModelError] = {}
        """What workers said, by address, that have not got the model."""

    def load(self) -> Head:
        """Load the model on a worker, and keep the place for the first tracker.

        Returns
        -------
        dict
            What the worker says of the model.

        Raises
        ------
        ComputeError
            If there is no worker that is free, or two were lost.
        ModelError
            If the model can't be loaded, or no worker has it.
        """
        n_lost = 0
        while n_lost < 2:
            link = self._place()
            try:
                said, _ = link.call("load", encode(self.asked))
            except LinkLost as exc:
                link.drop()
                self.tell(str(exc))
                n_lost += 1
            except LACKING as exc:
                self.leave(link, exc)
            except BaseException:
                link.let_go()
                raise
            else:
                self._waiting = link
                self.mask_settings = read_settings_there(said.get("mask_settings"))
                return said
        raise WorkerLostError(
            f"two workers of {self.connection.address} were lost as they loaded the model "
            f"{self.asked['model']!r}; is there memory for it?"
        )

    def begin(self) -> Link:
        """A place for a tracker; the first one is where the model was loaded.

        Raises
        ------
        ComputeError
            If there is no worker that is free.
        ModelError
            If all of them have said that they lack the model (`leave`).
        """
        with self._lock:
            link, self._waiting = self._waiting, None
        return self._place() if link is None else link

    def begin_elsewhere(self, lost: Collection[str]) -> Link:
        """A place for a tracker whose worker was lost; a new worker may have to start first.

        It raises what `begin` does.
        """
        ends = time.monotonic() + self.connection.patience
        while True:
            may_wait = time.monotonic() < ends
            try:
                return self._place(lost, may_wait=may_wait)
            except NoWorkerError:
                if not may_wait:
                    raise
                time.sleep(_AGAIN)

    def leave(self, link: Link, lacks: ModelError) -> None:
        """Give back a place on a worker that lacks the model; the next one is another worker's.

        Parameters
        ----------
        link : Link
            The place.
        lacks : ModelError
            What the worker said, one of `LACKING`.
        """
        link.let_go()
        logger.info("the worker %s lacks the model: %s", link.worker, lacks)
        with self._lock:
            self._lacking[link.worker] = lacks

    def note_settings(self, worker: str, said: Head) -> None:
        """Note how a worker's model is set, and tell if that is otherwise than the last one's.

        Parameters
        ----------
        worker : str
            Its address.
        said : dict
            What it answered when a video was opened there.
        """
        now = read_settings_there(said.get("mask_settings"))
        with self._lock:
            then, self.mask_settings = self.mask_settings, now
        other = ", ".join(
            filter(None, (differing(then, now, of_machine=kind) for kind in (False, True)))
        )
        if other:
            self.tell(
                f"on the worker {worker} other settings hold than on the one before ({other}); "
                "masks from here on may differ from what that would have given"
            )

    def _place(self, lost: Collection[str] = (), *, may_wait: bool = False) -> Link:
        """A place on a worker that has not said that it lacks the model.

        Who may wait for one that is still to start is told `NoWorkerError` until then.
        """
        with self._lock:
            lacking = dict(self._lacking)
        if not lacking:
            return self.connection.place(lost, self._host)
        fit = set(self.connection.fit_workers())
        n_lacking = len(fit & set(lacking))
        if n_lacking == len(fit) and not may_wait:
            with self._lock:
                self._lacking.clear()  # until then it may have been brought there
            *_, said = lacking.values()
            asked = "1 worker" if len(lacking) == 1 else f"{len(lacking)} workers"
            raise type(said)(f"{said} (looked for on {asked})")
        try:
            return self.connection.place({*lost, *lacking}, self._host)
        except NoWorkerError as exc:
            raise NoWorkerError(
                f"{exc}; the model {self.asked['model']!r} is missing on {n_lacking} of them"
            ) from exc

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
