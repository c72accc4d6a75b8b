"""A model that runs on a worker; to a session it is a model like any other."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Self

from napari_sam3.cluster.connection import Connection
from napari_sam3.cluster.models_there import read_capabilities, read_text
from napari_sam3.cluster.remote_tracker import RemoteTracker
from napari_sam3.cluster.wire import Head
from napari_sam3.cluster.workers import Workers
from napari_sam3.models.mask_settings import MaskSettings
from napari_sam3.settings import read_settings
from napari_sam3.values import Frames


class RemoteModel:
    """A model on a worker of a cluster, loaded there.

    Parameters
    ----------
    compute : str or Connection
        The scheduler's address, or the way to it.
    model : str or path
        As `load_model` takes it on the worker.
    device, resolution
        As of `load_model`, on the worker.
    insecure : bool
        Whether to take an address that is not encrypted; see `check_address`.
    path_map : mapping of str to str, optional
        Folders of this machine to the same ones as the workers see them; those of `Settings` if
        left out.
    on_news : callable, optional
        Told what happens to the workers, a sentence each; in any thread.
    on_progress : callable, optional
        Told in a few words how much of a video has been sent, or of what a lost worker had given
        is computed again; then an empty text; in any thread.

    Raises
    ------
    ComputeError
        If there is no scheduler, no worker that is free, or one of another release.
    ModelError
        If the worker can't load the model; nothing is downloaded there.
    """

    def __init__(
        self,
        compute: str | Connection,
        model: str | Path = "auto",
        device: str | None = None,
        resolution: int | None = None,
        *,
        insecure: bool = False,
        path_map: Mapping[str, str] | None = None,
        on_news: Callable[[str], object] | None = None,
        on_progress: Callable[[str], object] | None = None,
    ) -> None:
        self._owns_connection = isinstance(compute, str)
        self._connection = (
            Connection(compute, insecure=insecure) if isinstance(compute, str) else compute
        )
        asked: Head = {"model": str(model), "device": device, "resolution": resolution}
        known = dict(read_settings().path_map if path_map is None else path_map)
        self._workers = Workers(self._connection, asked, known, on_news, on_progress)
        # a model that nobody holds any more, and that nobody has closed
        weakref.finalize(self, self._workers.close).atexit = False
        try:
            said = self._workers.load()
            self.name, self.device = read_text(said, "name"), read_text(said, "device")
            self.capabilities = read_capabilities(said.get("capabilities"))
        except BaseException:
            self.close()
            raise
        if model == "auto":  # chosen there, once; another worker shall not choose anew
            asked["model"] = self.name

    @property
    def mask_settings(self) -> MaskSettings:
        """What its masks depend on besides its weights, as the last worker said that was asked."""
        return self._workers.mask_settings

    def start(self, frames: Frames) -> RemoteTracker:
        """Begin on a video; see `VideoModel.start`."""
        return RemoteTracker(self._workers, frames)

    def close(self) -> None:
        """Give back the place on the worker; the model stays loaded there."""
        self._workers.close()
        if self._owns_connection:
            self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<RemoteModel {self.name!r} at {self._connection.address}>"
