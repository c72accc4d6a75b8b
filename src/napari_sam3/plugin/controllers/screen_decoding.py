"""Frames for the screen: decoded apart from the window, which shows another one meanwhile.

napari reads a layer's frame when the slider moves, and waits for it. Of a video that was opened
here it gets what there is, where the slider was moved by a person and the frame takes long: the
picture shown last stands in, is marked (`StandInMark`), and is replaced when the frame was decoded.
Scripts, sessions, writers and screenshots of a script read frames as before, and never get a
stand-in: all that is not plainly napari's own slicing in answer to the person waits for the true
one.
"""

from __future__ import annotations

import sys
import threading
import time
import weakref
from collections.abc import Callable
from functools import partial
from typing import Any

import napari
import numpy as np
from superqt.utils import ensure_main_thread

from napari_sam3.plugin.controllers.proxy_controller import offer_proxy
from napari_sam3.plugin.controllers.stand_in_mark import StandInMark
from napari_sam3.video import Video
from napari_sam3.video.base import Frame

DIRECT = 0.04
"""Seconds; a frame that takes no longer is waited for, so that nothing flickers."""

REST = 0.2
"""Seconds; when the slider rests so long on another frame, the one being decoded is given up. While
it moves, each is decoded to its end, or nothing would be seen on the way."""

SLOW = 1.0
"""Seconds; a file that lets a person wait so long for a frame is better shown by a proxy."""

_FIRST_GUESS = 3e-9  # s a pixel of a frame that is decoded
_SMOOTHING = 0.3

_WINDOW = {"napari", "napari_sam3", "superqt", "psygnal", "vispy", "qtpy", "app_model", "in_n_out"}
_WINDOW |= sys.stdlib_module_names | {"pydantic", "numpy"}

LOOPS = (
    "napari._qt.qt_event_loop",
    "IPython.terminal.pt_inputhooks",
    "ipykernel.eventloops",
    "napari_sam3.plugin.scripting.event_loop",  # a script that waits for work
)
"""Modules that run Qt's event loop: what lies beyond them on the stack has asked for nothing."""


def let_screen_lead(video: Video) -> Video:
    """Have a video's layer never wait for a frame that takes long; gives the video back."""
    if len(video) > 1 and video.for_screen is None:
        video.for_screen = ScreenDecoding(video)
    return video


def frames_to_come(viewer: Any) -> tuple[int, ...]:
    """Frames that the slider is at and whose pictures are not shown yet, of a viewer's videos."""
    asked = (_decoding_of(layer) for layer in viewer.layers)
    return tuple(d.pending for d in asked if d is not None and d.pending is not None)


def wait_for_picture(viewer: Any) -> None:
    """Return when every video shows the frame that the slider is at, and no stand-in.

    Raises
    ------
    VideoError
        If one can't be read.
    """
    for layer in viewer.layers:
        decoding = _decoding_of(layer)
        if decoding is not None and decoding.pending is not None:
            with decoding.waiting:
                layer.refresh()


class ScreenDecoding:
    """What napari's slicing gets of one video; used in the GUI thread.

    Parameters
    ----------
    video : Video
        Which holds it, and is not held.

    Attributes
    ----------
    pending : int or None
        The frame that the screen should show and does not.
    """

    def __init__(self, video: Video) -> None:
        self._video = weakref.ref(video)
        self.pending: int | None = None
        self.waiting = _Waiting()
        self._viewer: Callable[[], Any] = lambda: None
        self._picture: tuple[int, Frame] | None = None
        self._began = 0.0
        self._mark: StandInMark | None = None
        self._pace = _FIRST_GUESS * float(np.prod(video.shape[1:3]))  # s a decoded frame
        # what the thread is told
        self._guard = threading.Lock()
        self._wanted: int | None = None
        self._wanted_since = 0.0
        self._thread: threading.Thread | None = None

    def __call__(self, key: Any) -> Frame | None:
        """What to show for a key of napari's; None: it is to be read as it is."""
        if not _is_slicing(sys._getframe(2)):
            return None
        video, frame_index = self._video(), _frame_of(key)
        if video is None or frame_index is None:
            return None
        frame = self._choose(video, frame_index)
        return frame if isinstance(key[0], int) else frame[None]

    def _choose(self, video: Video, frame_index: int) -> Frame:
        """A frame, or what stands in for it."""
        if self._picture is not None and self._picture[0] == frame_index:
            frame = self._picture[1]
        elif self._picture is None or self._is_quick(video, frame_index) or not self._is_watched():
            frame = self._read(video, frame_index)
        else:
            self._ask_for(frame_index)
            return self._picture[1]
        self._picture = (frame_index, frame)
        self._set_pending(None)
        return frame

    def _read(self, video: Video, frame_index: int) -> Frame:
        cost, began = video.decoding_cost(frame_index), time.perf_counter()
        frame = video.frame(frame_index)
        self._note_pace(time.perf_counter() - began, cost)
        return frame

    def _is_quick(self, video: Video, frame_index: int) -> bool:
        cost = video.decoding_cost(frame_index)
        # a frame in memory is had without the decoder, which the thread may be using
        return cost == 0 or (self._thread is None and cost * self._pace <= DIRECT)

    def _is_watched(self) -> bool:
        """Whether a person has moved the slider of a viewer, which can be marked."""
        if self.waiting.is_on or not _is_by_hand(sys._getframe(4)):
            return False
        viewer = napari.current_viewer()
        viewer = getattr(viewer, "__wrapped__", viewer)
        if viewer is None or not self._layers_in(viewer):
            return False
        self._viewer = weakref.ref(viewer)
        return True

    def _note_pace(self, seconds: float, cost: int) -> None:
        if cost > 0:
            self._pace += _SMOOTHING * (seconds / cost - self._pace)

    # ----------------------------------------------------------------- pending

    def _ask_for(self, frame_index: int) -> None:
        with self._guard:
            if self._wanted != frame_index:
                self._wanted, self._wanted_since = frame_index, time.perf_counter()
            if self._thread is None:
                self._thread = threading.Thread(target=self._decode, name="screen", daemon=True)
                self._thread.start()
        self._set_pending(frame_index)

    def _set_pending(self, frame_index: int | None) -> None:
        if frame_index is None and self._mark is None:
            return
        if self.pending != frame_index:
            self._began = time.perf_counter()
        self.pending = frame_index
        if frame_index is None:
            assert self._mark is not None, "asked above"
            self._mark.close()
            self._mark = None
            return
        if self._mark is None:
            self._mark = StandInMark(self._viewer(), self._check)
        self._mark.show(frame_index)

    def _check(self) -> None:
        """Whether the picture that is waited for is still to be shown anywhere."""
        viewer = self._viewer()
        if viewer is None or not self._layers_in(viewer):
            with self._guard:
                self._wanted = None
            self._set_pending(None)

    def _layers_in(self, viewer: Any) -> list[Any]:
        video = self._video()
        return [layer for layer in viewer.layers if getattr(layer, "data", None) is video]

    # ------------------------------------------------------------- in the thread

    def _decode(self) -> None:
        while True:
            with self._guard:
                video, wanted = self._video(), self._wanted
                if video is None or wanted is None:
                    self._thread = None
                    return
            cost, began = video.decoding_cost(wanted), time.perf_counter()
            found: Frame | Exception | None
            try:
                found = video.frame_unless(wanted, partial(self._is_given_up, wanted))
            except Exception as exc:  # the thread's boundary: it is told where the frame is awaited
                found = exc
            del video  # whose layer may be gone meanwhile
            if found is None:
                continue
            with self._guard:
                self._note_pace(time.perf_counter() - began, cost)
                if self._wanted == wanted:
                    self._wanted = None
            try:
                _in_window(self._on_decoded, wanted, found)
            except RuntimeError:  # there is no window any more
                with self._guard:
                    self._wanted = None

    def _is_given_up(self, frame_index: int) -> bool:
        if self._wanted is None or self._video() is None:
            return True
        rests = time.perf_counter() - self._wanted_since > REST
        return self._wanted != frame_index and rests

    # ------------------------------------------------------------ back in the window

    def _on_decoded(self, frame_index: int, found: Frame | Exception) -> None:
        viewer = self._viewer()
        layers = [] if viewer is None else self._layers_in(viewer)
        if not layers:
            self._check()
            return
        is_it = self.pending == frame_index
        if isinstance(found, Exception):
            if is_it and self._mark is not None:
                self._mark.show_failure(frame_index, found)
            return
        if self.pending is None:
            return  # it was shown on another way
        self._picture = (frame_index, found)
        took = time.perf_counter() - self._began
        for layer in layers:
            layer.refresh(extent=False)
        if is_it and took > SLOW:
            offer_proxy(viewer, layers[0])


class _Waiting:
    """While it is on, nothing stands in; a context manager."""

    is_on = False

    def __enter__(self) -> None:
        self.is_on = True

    def __exit__(self, *exc_info: object) -> None:
        self.is_on = False


@ensure_main_thread
def _in_window(call: Callable[..., object], *arguments: Any) -> None:
    call(*arguments)


def _decoding_of(layer: Any) -> ScreenDecoding | None:
    data = getattr(layer, "data", None)
    found = data.for_screen if isinstance(data, Video) else None
    return found if isinstance(found, ScreenDecoding) else None


def _frame_of(key: Any) -> int | None:
    """The frame of a key that asks for all of one frame, as napari's slicing does in 2D."""
    if not isinstance(key, tuple) or any(part != slice(None) for part in key[1:]):
        return None
    first = key[0]
    if isinstance(first, slice) and first.step is None and first.stop == (first.start or 0) + 1:
        first = first.start
    return first if isinstance(first, int) else None


def _is_slicing(caller: Any) -> bool:
    """Whether a frame of the stack is napari reading what a layer shows, in the GUI thread."""
    name = caller.f_globals.get("__name__", "")
    is_napari = name.startswith("napari.layers.") and "_slice" in name
    return is_napari and threading.current_thread() is threading.main_thread()


def _is_by_hand(caller: Any) -> bool:
    """Whether nobody but the window itself is on the stack, up to Qt's event loop.

    Else a script, the console or another plugin has moved the slider, and may look at the picture
    next.
    """
    while caller is not None:
        name = caller.f_globals.get("__name__") or "?"
        if name.startswith(LOOPS):
            return True
        if name.partition(".")[0] not in _WINDOW:
            return False
        caller = caller.f_back
    return True
