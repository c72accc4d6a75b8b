"""Where the window's model runs: on this computer, or on a worker of a scheduler."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import suppress
from threading import Thread
from typing import NamedTuple

from napari.utils.notifications import show_warning
from qtpy.QtCore import QObject, Signal

from napari_sam3.cluster import Connection, LinkLost, ModelThere, RemoteModel, models_on
from napari_sam3.errors import ComputeError, NoWorkerError, Sam3Error
from napari_sam3.models.base import VideoModel
from napari_sam3.plugin.controllers.worker import Run
from napari_sam3.plugin.model.app_state import AppState
from napari_sam3.settings import save_settings

logger = logging.getLogger(__name__)

CONNECTING, LOST = "connecting …", "lost"


class _Told(NamedTuple):
    """What was told: how things stand, and the workers' models once all were asked."""

    state: str
    models: dict[str, tuple[ModelThere, ...]] | None = None


class ComputeController(QObject):
    """Chooses where to compute, and says in a word how things stand there.

    Parameters
    ----------
    state : AppState
        With the choice and the word.
    """

    models_told = Signal(object)
    """Workers have told which models they have: a mapping of their addresses to `ModelThere`s."""

    _told = Signal(str)
    """What happens to the workers; said in the thread that computes."""

    _progressed = Signal(str)
    """How much of a video has been sent; likewise."""

    def __init__(self, state: AppState) -> None:
        super().__init__()
        self._state = state
        self._run: Run | None = None
        self._connection: Connection | None = None
        self._models: dict[str, tuple[ModelThere, ...]] = {}  # by the worker that told of them
        self._told.connect(self._on_told)
        self._progressed.connect(self._on_progressed)

    def choose(self, address: str, *, insecure: bool = False) -> None:
        """Compute on a worker of the scheduler at an address; empty: on this computer.

        Parameters
        ----------
        address : str
        insecure : bool
            Whether a person insists on this very address, which is not encrypted.

        Raises
        ------
        ComputeError, InsecureAddressError
            If it is no address to speak to.
        """
        connection = Connection(address, insecure=insecure) if address else None
        chosen = "" if connection is None else connection.address
        if chosen == self._state.compute:
            return
        self._let_go()
        self._connection = connection
        self._state.update(compute=chosen, compute_state=CONNECTING if chosen else "")
        if chosen:
            with suppress(OSError):  # it is typed again, then
                save_settings(scheduler=chosen)
        self.look()

    def reconnect(self) -> None:
        """Ask the scheduler how things stand, and all workers which models they have by now."""
        self._models = {}
        self.look()

    def look(self) -> None:
        """Ask the scheduler how things stand; a way that was lost is made anew.

        Workers that have not told yet which models they have are asked for them.
        """
        connection = self._connection
        if connection is None:
            return
        self._drop_run()
        self._state.compute_state = CONNECTING
        run = self._run = Run(_ask(connection, dict(self._models)))
        run.gave.connect(self._take)
        run.failed.connect(self._on_failed)
        run.start()

    def load(self, address: str, name: str, device: str | None, side: int | None) -> VideoModel:
        """A model on a worker, as `LoadedModel` asks for it; in any thread.

        Raises
        ------
        ComputeError, ModelError
            As of `RemoteModel`.
        """
        connection = self._connection
        if connection is None or connection.address != address:
            raise ComputeError(f"the window does not compute at {address} any more; begin again")
        return RemoteModel(
            connection,
            name,
            device,
            side,
            on_news=self._told.emit,
            on_progress=self._progressed.emit,
        )

    def close(self) -> None:
        """Let the scheduler go."""
        self._let_go()

    def _drop_run(self) -> None:
        run, self._run = self._run, None
        if run is not None:
            run.drop()

    def _let_go(self) -> None:
        self._drop_run()
        self._models = {}
        connection, self._connection = self._connection, None
        if connection is not None:
            # a scheduler that does not answer would hold the window up
            Thread(target=connection.end, name="leave the scheduler", daemon=True).start()

    def _take(self, told: _Told) -> None:
        self._state.compute_state = told.state
        if told.models:
            self._models = told.models
            self.models_told.emit(told.models)

    def _on_failed(self, error: Sam3Error) -> None:
        self._state.compute_state = LOST
        show_warning(str(error))

    def _on_progressed(self, text: str) -> None:
        if self._connection is not None and text:
            self._state.compute_state = text
        else:
            self.look()

    def _on_told(self, news: str) -> None:
        if self._connection is not None:
            show_warning(news)
            self.look()


def _ask(connection: Connection, known: dict[str, tuple[ModelThere, ...]]) -> Iterator[_Told]:
    """Ask the scheduler, then those of its workers of which the models are not known; in a thread.

    Raises
    ------
    SchedulerLostError
        If the scheduler does not answer.
    """
    state = connection.describe()
    yield _Told(state)
    try:
        workers = connection.fit_workers()
    except NoWorkerError:  # which the state says
        return
    models = {}
    for worker in workers:
        if worker in known:
            models[worker] = known[worker]
            continue
        try:
            models[worker] = models_on(connection, worker)
        except (Sam3Error, LinkLost) as exc:  # said where it is to be used; asked the next time
            logger.info("the worker %s does not tell its models: %s", worker, exc)
        yield _Told(state)  # who wants to know no more is heard between two workers
    yield _Told(state, models)
