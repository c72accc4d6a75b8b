"""Long files in the window: the first frame at once, the others when the file was looked through.

napari needs a layer's number of frames when the layer is made, and some files tell it only to who
has read them to the end: an hour of MPEG-TS takes seconds. The layer is made of the first frame
meanwhile, and gets the whole video in its place.
"""

from __future__ import annotations

import time
import weakref
from collections.abc import Iterator
from pathlib import Path
from threading import Event, Thread
from typing import Any

import napari
from napari.layers import Image
from napari.utils.notifications import show_error, show_warning
from qtpy.QtCore import QCoreApplication, QEventLoop, QThread, QTimer

from napari_sam3.errors import Sam3Error, VideoError
from napari_sam3.plugin.controllers.screen_decoding import let_screen_lead
from napari_sam3.plugin.controllers.worker import Run
from napari_sam3.plugin.layers.video_layer import video_layer
from napari_sam3.video import Video, open_video
from napari_sam3.video.first_frame import FirstFrame
from napari_sam3.video.proxy import show_proxy

PATIENCE = 0.3
"""Seconds; a file that is opened by then is waited for, while the window is painted."""

_POLL = 0.1
_LOOK_MS = 5


def open_for_viewer(path: Path) -> Video:
    """Open a file for a layer; where that takes long, give its first frame to begin with.

    Only when somebody at the window opens it: a script that opens a file wants all of it, and
    goes on when it is there.

    Parameters
    ----------
    path : Path
        A video file.

    Returns
    -------
    Video
        Whole; or a `FirstFrame`, which is replaced in its layer later on.

    Raises
    ------
    VideoError
        If it can't be opened.
    """
    viewer = napari.current_viewer() if _is_in_event_loop() else None
    if viewer is None:
        return let_screen_lead(show_proxy(open_video(path)))
    opening = _Opening(path)
    opening.wait(PATIENCE)
    if opening.done.is_set():
        return opening.result()
    try:
        first = FirstFrame(path)
    except VideoError:
        # looking through it may find more, or say what is wrong with it
        return opening.result()
    _Replacement(viewer, first, opening).start()
    return first


def _is_in_event_loop() -> bool:
    """Whether this is called in answer to something that a person did in the window."""
    application = QCoreApplication.instance()
    thread = QThread.currentThread()
    if application is None or thread is None or application.thread() is not thread:
        return False
    return thread.loopLevel() > 0


class _Opening:
    """A file that is being opened in a thread; which must not keep the program from ending."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.done = Event()
        self._video: Video | None = None
        self._error: Exception | None = None
        Thread(target=self._open, name=f"opening {path.name}", daemon=True).start()

    def wait(self, longest: float) -> None:
        """Let the window live, but hear nobody, until it is done or so many seconds are over."""
        loop, timer, ends = QEventLoop(), QTimer(), time.monotonic() + longest

        def look() -> None:
            if self.done.is_set() or time.monotonic() > ends:
                loop.quit()

        timer.timeout.connect(look)
        timer.start(_LOOK_MS)
        loop.exec(QEventLoop.ProcessEventsFlag.ExcludeUserInputEvents)

    def result(self) -> Video:
        """The video; waits for it, and raises what opening it has raised."""
        self.done.wait()
        if self._error is not None:
            raise self._error
        assert self._video is not None
        return self._video

    def _open(self) -> None:
        try:
            self._video = let_screen_lead(show_proxy(open_video(self.path)))
        except Exception as exc:  # the thread's boundary: it is raised where the result is wanted
            self._error = exc
        finally:
            self.done.set()


class _Replacement:
    """Waits for a video and puts it in the place of its first frame; lives in the GUI thread."""

    def __init__(self, viewer: Any, first: FirstFrame, opening: _Opening) -> None:
        # napari hands it out wrapped, with layers and data that are wrapped, thus never identical
        self._viewer = getattr(viewer, "__wrapped__", viewer)
        # held by its layer only: when that is gone, nobody waits for the video any more
        self._first = weakref.ref(first)
        self._opening = opening
        self._run = Run(self._wait())
        self._run.gave.connect(self._on_run_gave)
        self._run.failed.connect(self._on_run_failed)
        self._run.ended.connect(self._on_run_ended)

    def start(self) -> None:
        """Begin to wait; returns at once."""
        # Qt holds no receiver of its signals
        _under_way.add(self)
        self._run.start()

    def _wait(self) -> Iterator[Video]:
        while not self._opening.done.wait(_POLL):
            if self._first() is None:
                return
        yield self._opening.result()

    def _on_run_gave(self, video: Video) -> None:
        layer, first = self._find_layer(), self._first()
        if layer is not None and first is not None:
            if (video.shape[1:], video.dtype) == (first.shape[1:], first.dtype):
                put_video(layer, video)
            else:
                # the first frame to be decoded was not like the others
                data, arguments, _ = video_layer(video)
                self._viewer.layers.remove(layer)
                self._viewer.add_image(data, **arguments)
            return
        video.close()
        if first is not None:
            show_warning(
                f"{self._opening.path.name!r} was looked through, but the layer that shows its "
                "first frame is not in this window; open the file again to see all of it"
            )

    def _on_run_failed(self, error: Sam3Error) -> None:
        layer = self._find_layer()
        if layer is not None:
            self._viewer.layers.remove(layer)
        show_error(str(error))

    def _on_run_ended(self) -> None:
        _under_way.discard(self)

    def _find_layer(self) -> Image | None:
        first = self._first()
        layers = [] if first is None else list(self._viewer.layers)
        return next((layer for layer in layers if getattr(layer, "data", None) is first), None)


_under_way: set[_Replacement] = set()


def put_video(layer: Image, video: Video) -> None:
    """Show a video in a layer that has shown its first frame only."""
    _, arguments, _ = video_layer(video)
    layer.data = video
    for name in ("scale", "units", "metadata"):
        setattr(layer, name, arguments[name])
