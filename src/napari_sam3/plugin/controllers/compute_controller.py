"""Where the window's model runs: on this computer, or on a worker of a scheduler."""

from __future__ import annotations

from contextlib import suppress
from threading import Thread

from napari.utils.notifications import show_warning
from qtpy.QtCore import QObject, Signal

from napari_sam3.cluster import Connection, RemoteModel
from napari_sam3.errors import ComputeError, Sam3Error
from napari_sam3.models.base import VideoModel
from napari_sam3.plugin.controllers.worker import Errand
from napari_sam3.plugin.model.app_state import AppState
from napari_sam3.settings import save_settings

CONNECTING, LOST = "connecting …", "lost"


class ComputeController(QObject):
    """Chooses where to compute, and says in a word how things stand there.

    Parameters
    ----------
    state : AppState
        With the choice and the word.
    """

    _told = Signal(str)
    """What happens to the workers; said in the thread that computes."""

    _progressed = Signal(str)
    """How much of a video has been sent; likewise."""

    def __init__(self, state: AppState) -> None:
        super().__init__()
        self._state = state
        self._errand = Errand()
        self._connection: Connection | None = None
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

    def look(self) -> None:
        """Ask the scheduler how things stand; a way that was lost is made anew."""
        connection = self._connection
        if connection is None:
            return
        self._state.compute_state = CONNECTING
        self._errand.start(connection.describe, self._show, self._on_failed)

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
        self._errand.drop()
        self._let_go()

    def _let_go(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            # a scheduler that does not answer would hold the window up
            Thread(target=connection.close, name="leave the scheduler", daemon=True).start()

    def _show(self, state: str) -> None:
        self._state.compute_state = state

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
