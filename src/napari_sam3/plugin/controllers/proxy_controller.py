"""The menu's "Make scrubbing fast": a proxy made in a thread, then shown in the layer."""

from __future__ import annotations

from typing import Any
from weakref import WeakSet

import napari.viewer
from napari.layers import Image
from napari.utils.notifications import (
    Notification,
    notification_manager,
    show_error,
    show_info,
)
from qtpy.QtCore import QObject

from napari_sam3.errors import LayerError, Sam3Error
from napari_sam3.plugin.controllers.activity_progress import ActivityProgress
from napari_sam3.plugin.controllers.worker import Run
from napari_sam3.video import Video
from napari_sam3.video.proxy import ProxyVideo, proxy_path, show_proxy, write_proxy


def make_scrubbing_fast(napari_viewer: "napari.viewer.Viewer") -> None:  # noqa: UP037 (napari reads it)
    """Make a proxy of the selected layer's video; returns at once.

    The layer shows the proxy when it is done; tracking reads the original. Progress, and a button
    to stop it, are in the activity dock. Whatever stands in the way is told in a notification.
    """
    # a command is handed a wrapped viewer, whose layers and data are wrapped, thus never identical
    viewer = getattr(napari_viewer, "__wrapped__", napari_viewer)
    _make_for(viewer, viewer.layers.selection.active)


def offer_proxy(viewer: Any, layer: Image) -> None:
    """Offer, in one line and once a video, to have a proxy made of a file that is slow to jump in.

    Says nothing where there can be none.
    """
    video = layer.data
    try:
        if video in _offered or proxy_path(_video_of(layer)).exists():
            return
    except Sam3Error:
        return
    _offered.add(video)
    notification_manager.dispatch(
        _Offer(
            f"{layer.name!r} is slow to jump in",
            "info",
            actions=(("Make scrubbing fast", lambda _note: _make_for(viewer, layer)),),
        )
    )


class _Offer(Notification):
    """One line and a button; napari would write beneath which object of its own has sent it."""

    @property
    def source(self) -> Any:
        """Nothing that a person could make use of."""
        return None


_offered: WeakSet[Video] = WeakSet()


def _make_for(viewer: Any, layer: Any) -> None:
    try:
        video = _video_of(layer)
        if proxy_path(video).exists() and _swap(layer, video):
            show_info(f"layer {layer.name!r} is shown by the proxy that was made before")
            return
    except Sam3Error as exc:
        show_error(str(exc))
        return
    ProxyMaking(viewer, layer, video).start()


class ProxyMaking(QObject):
    """A proxy while it is made; lives in the GUI thread."""

    def __init__(self, viewer: Any, layer: Image, video: Video) -> None:
        super().__init__()
        self._viewer, self._layer, self._video = viewer, layer, video
        self.run = Run(write_proxy(video))
        self.run.gave.connect(self._on_run_gave)
        self.run.failed.connect(self._on_run_failed)
        self.run.ended.connect(self._on_run_ended)
        self._has_failed = False
        self.progress: ActivityProgress | None = None

    def start(self) -> None:
        """Begin; returns at once."""
        self.run.start()
        self.progress = ActivityProgress(len(self._video), self.run.stop, "making a proxy")
        _under_way.add(self)

    def _on_run_gave(self, n_done: int) -> None:
        if self._layer not in self._viewer.layers:
            self.run.stop()
        elif self.progress is not None:
            self.progress.advance_to(n_done)

    def _on_run_failed(self, error: Sam3Error) -> None:
        self._has_failed = True
        show_error(str(error))

    def _on_run_ended(self) -> None:
        _under_way.discard(self)
        if self.progress is not None:
            self.progress.close()
        if self._layer not in self._viewer.layers or self._layer.data is not self._video:
            return
        if not self._has_failed and _swap(self._layer, self._video):
            show_info(f"layer {self._layer.name!r} is shown by its proxy; scrubbing is fast now")


_under_way: set[ProxyMaking] = set()


def _video_of(layer: Any) -> Video:
    """The video that a layer shows as it is in its file.

    Raises
    ------
    LayerError
        If it shows none, or a proxy of it already, or the proxy is being made.
    """
    if not isinstance(layer, Image) or not isinstance(layer.data, Video):
        told = "no layer" if layer is None else f"layer {layer.name!r}, which shows no video file,"
        raise LayerError(f"{told} is selected; select one layer that shows a video file")
    if isinstance(layer.data, ProxyVideo):
        raise LayerError(f"layer {layer.name!r} is shown by a proxy already")
    if any(making._layer is layer for making in _under_way):
        raise LayerError(f"the proxy of layer {layer.name!r} is being made; see the activity dock")
    return layer.data


def _swap(layer: Image, video: Video) -> bool:
    """Show the proxy in the layer; False if there is none."""
    shown = show_proxy(video)
    if shown is video:
        return False
    layer.data = shown
    return True
