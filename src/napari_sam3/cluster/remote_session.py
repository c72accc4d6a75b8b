"""A session of a script whose model runs on a worker of a cluster."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from numpy.typing import ArrayLike

from napari_sam3.cluster.connection import Connection
from napari_sam3.cluster.remote_model import RemoteModel
from napari_sam3.session.recovery import Recover, check_recover
from napari_sam3.session.session import VideoSession
from napari_sam3.video import NO_CHOICE, PlaneChoice, Video


class RemoteSession(VideoSession):
    """A `VideoSession` that computes on another machine.

    Prompts, ids and results are here, as ever; the worker has the model, and reads the video. So a
    worker that dies takes nothing along: another one goes on, with the same results (`recover`).

    Parameters
    ----------
    video : str, path, Video or array
        As of `VideoSession`. The worker reads the same file, if it lies under a folder that it may
        read; else it is sent there once.
    model : str or path
        As `load_model` takes it, on the worker.
    compute : str or Connection
        The scheduler's address, as "tls://host:8786".
    device, resolution
        As of `load_model`, on the worker.
    contrast_limits, hold_back, choice
        As of `VideoSession`.
    insecure : bool
        Whether to take an address that is neither encrypted nor of this machine.
    path_map : mapping of str to str, optional
        Folders of this machine to the same ones as the workers see them.
    on_news, on_progress : callable, optional
        As of `RemoteModel`.
    recover : "exact" or "quick"
        How it goes on when a worker dies: with the same results, for which frames are computed
        again; or at once from what was shown, nearly the same. It is `recovery.mode`.

    Raises
    ------
    ComputeError
        If there is no scheduler, no worker that is free, or one of another release.
    ModelError, VideoError
        As of `VideoSession`.
    """

    def __init__(
        self,
        video: str | Path | Video | ArrayLike,
        model: str | Path = "auto",
        *,
        compute: str | Connection,
        device: str | None = None,
        resolution: int | None = None,
        contrast_limits: tuple[float, float] | None = None,
        hold_back: bool = False,
        insecure: bool = False,
        path_map: Mapping[str, str] | None = None,
        on_news: Callable[[str], object] | None = None,
        choice: PlaneChoice = NO_CHOICE,
        on_progress: Callable[[str], object] | None = None,
        recover: Recover = "exact",
    ) -> None:
        check_recover(recover)
        self._remote_model = RemoteModel(
            compute,
            model,
            device,
            resolution,
            insecure=insecure,
            path_map=path_map,
            on_news=on_news,
            on_progress=on_progress,
        )
        try:
            super().__init__(
                video,
                self._remote_model,
                contrast_limits=contrast_limits,
                hold_back=hold_back,
                choice=choice,
            )
        except BaseException:
            self._remote_model.close()
            raise
        self.recovery.mode = recover

    def close(self) -> None:
        """Give back memory, here and there; a running propagation ends."""
        super().close()
        self._remote_model.close()
