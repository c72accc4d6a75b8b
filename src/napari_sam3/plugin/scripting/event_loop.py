"""A script waits for work in a thread, while the window lives."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from qtpy.QtCore import QEventLoop, QThread, QTimer
from qtpy.QtWidgets import QApplication

from napari_sam3.batch.interrupts import noting_interrupts
from napari_sam3.errors import LayerError, Sam3Error
from napari_sam3.plugin.controllers.worker import Errand
from napari_sam3.plugin.model.events import JobEvent, Tracked
from napari_sam3.values import FrameResult

_LOOK_MS = 10

T = TypeVar("T")

OnFrame = Callable[[FrameResult], object]
"""Called with each frame of a propagation; False stops it."""


def check_window() -> None:
    """Make sure that there is an application, and that this is its thread.

    Raises
    ------
    LayerError
        If not.
    """
    app = QApplication.instance()
    if app is None:
        raise LayerError(
            "there is no window: make the viewer by napari.Viewer(), or track without one by "
            "napari_sam3.track_video"
        )
    if QThread.currentThread() is not app.thread():
        raise LayerError(
            "layers can be used in the window's own thread only; call this from there, or track "
            "without a window by napari_sam3.track_video"
        )


class PacedSteps(Iterator[JobEvent]):
    """Steps that go on when the last frame has been looked at, so that a stop is exact.

    Parameters
    ----------
    steps : iterator of JobEvent
        Those of a controller.
    """

    def __init__(self, steps: Iterator[JobEvent]) -> None:
        self._steps = steps
        self._may_go_on = threading.Event()
        self._may_go_on.set()

    def __next__(self) -> JobEvent:
        """In the worker's thread."""
        self._may_go_on.wait()
        event = next(self._steps)
        if isinstance(event, Tracked):
            self._may_go_on.clear()
        return event

    def go_on(self) -> None:
        """The frame has been looked at."""
        self._may_go_on.set()

    def close(self) -> None:
        """The thread is done with them."""
        close = getattr(self._steps, "close", None)
        if close is not None:
            close()


def wait_for(call: Callable[[], T]) -> T:
    """Make a call in a thread while the window lives; gives or raises what it does.

    Raises
    ------
    LayerError
        If the application was closed meanwhile.
    """
    given: list[T] = []
    failed: list[Sam3Error] = []
    errand = Errand()
    errand.start(call, given.append, failed.append)
    wait_until(lambda: not errand.is_running)
    if failed:
        raise failed[0]
    if not given:
        errand.drop()
        raise LayerError("the window was closed while a script waited for what it does")
    return given[0]


def wait_until(is_over: Callable[[], bool], look: Callable[[], object] = lambda: None) -> bool:
    """Let the window live until something is over.

    Parameters
    ----------
    is_over : callable
        Asked about a hundred times a second.
    look : callable
        Called as often before.

    Returns
    -------
    bool
        Whether it is; not so where the application was closed meanwhile.
    """
    loop = QEventLoop()
    timer = QTimer()

    def on_timeout() -> None:
        look()
        if is_over():
            loop.quit()

    timer.timeout.connect(on_timeout)
    timer.start(_LOOK_MS)
    if not is_over():
        loop.exec()
    timer.stop()
    return is_over()


@contextmanager
def interrupt_as_stop(stop: Callable[[], object]) -> Iterator[None]:
    """Let Ctrl-C stop the work first; `KeyboardInterrupt` is raised at the end of the block.

    Raised amid Qt's events it would end the program.
    """
    with noting_interrupts(stop) as interrupted:
        yield
    if interrupted.is_set():
        raise KeyboardInterrupt
