"""Work in a thread, one piece after the other; nothing of it touches a layer or a widget."""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from time import perf_counter
from typing import Any

from napari.qt.threading import GeneratorWorker, create_worker
from napari.utils.notifications import show_error
from qtpy.QtCore import QObject, QThreadPool, Signal

from napari_sam3.errors import PropagationError, Sam3Error
from napari_sam3.plugin.controllers.timers import single_shot

logger = logging.getLogger(__name__)

TURN = 0.015
"""Seconds; items are handed on for so long before the window has its turn. Where it takes long to
paint, one item a turn would let them pile up."""

_alive: set[Run] = set()  # a run outlives the widget that began it


class Run(QObject):
    """An iterator that is used up in a worker thread; its signals arrive in the GUI thread.

    Items that come faster than they are dealt with are handed on a few at a time (`TURN`), so that
    the window is painted and heard between them.

    Whatever the iterator raises ends as `failed`, never as an exception in the thread: superqt
    takes a RuntimeError for a deleted worker and waits for ever.

    Parameters
    ----------
    steps : iterator
        Does a piece of the work for every item that it gives.
    cancel : callable
        Called by `stop`, in the GUI thread; returns at once.

    Attributes
    ----------
    at_end : callable
        Called once in the GUI thread when the thread is done, however it ended.
    is_stopped : bool
        Whether it was asked to stop.
    """

    gave = Signal(object)
    """An item of the iterator."""

    failed = Signal(object)
    """The `Sam3Error` that ended it."""

    ended = Signal()
    """The thread is done, whether it came to the end, was stopped or failed."""

    def __init__(
        self,
        steps: Iterator[Any],
        cancel: Callable[[], object] = lambda: None,
    ) -> None:
        super().__init__()
        self._steps = steps
        self._cancel = cancel
        self.at_end: Callable[[], object] = lambda: None
        self._error: Sam3Error | None = None
        self._worker: GeneratorWorker | None = None
        self.is_stopped = False
        self._waiting: deque[Any] = deque()
        self._is_handing_on = False
        self._turn = single_shot(self, self._hand_on)

    @property
    def is_running(self) -> bool:
        """Whether the thread is at work, or about to be."""
        return self in _alive

    def start(self) -> None:
        """Begin; returns at once."""
        _alive.add(self)
        worker = create_worker(_use_up, self, _start_thread=False, _worker_class=_StoppableWorker)
        worker.quit_callback = self._on_worker_quit
        worker.yielded.connect(self._on_worker_yielded)
        worker.finished.connect(self._on_worker_finished)
        self._worker = worker
        worker.start()

    def stop(self) -> None:
        """End before the next piece; what was given stays."""
        if self._worker is not None:
            self._worker.quit()

    def drop(self) -> None:
        """End before the next piece, and say nothing more."""
        self.blockSignals(True)
        self.stop()

    def _on_worker_quit(self) -> None:
        # also called by napari, when its window closes
        self.is_stopped = True
        self._cancel()

    def _on_worker_yielded(self, item: Any) -> None:
        self._waiting.append(item)
        self._turn.start(0)

    def _on_worker_finished(self) -> None:
        self._worker = None
        self._turn.start(0)

    def _hand_on(self) -> None:
        # napari lets the window live amid what it does: the next item waits all the same
        if self._is_handing_on:
            return
        if not self._waiting:
            self._end()
            return
        self._is_handing_on, ends = True, perf_counter() + TURN
        try:
            while self._waiting:
                self.gave.emit(self._waiting.popleft())
                if perf_counter() >= ends:
                    break
        finally:
            self._is_handing_on = False
            if self._waiting or self._worker is None:
                self._turn.start(0)

    def _end(self) -> None:
        # superqt does not close the iterator of a worker that was stopped
        close = getattr(self._steps, "close", None)
        if close is not None:
            close()
        self.at_end()
        _alive.discard(self)
        if self._error is not None:
            self.failed.emit(self._error)
        self.ended.emit()


class Errand:
    """A call made in a thread; of several in a row only the newest is heard of."""

    def __init__(self) -> None:
        self._run: Run | None = None

    @property
    def is_running(self) -> bool:
        """Whether its end is waited for."""
        return self._run is not None

    def start(
        self,
        call: Callable[[], Any],
        on_done: Callable[[Any], object],
        on_failed: Callable[[Sam3Error], object] = lambda error: show_error(str(error)),
        cancel: Callable[[], object] = lambda: None,
    ) -> None:
        """Begin; one of the others is called with what the call gave or raised."""
        self.drop()
        self._run = run = Run(_called(call), cancel)
        run.gave.connect(partial(self._end, on_done))
        run.failed.connect(partial(self._end, on_failed))
        run.start()

    def drop(self) -> None:
        """Hear no more of it."""
        run, self._run = self._run, None
        if run is not None:
            run.drop()

    def _end(self, tell: Callable[[Any], object], what: Any) -> None:
        self._run = None
        tell(what)


def stop_all(longest_ms: int) -> None:
    """Stop all runs and wait for their threads, so long at most; the program is about to end."""
    for run in list(_alive):
        run.stop()
    pool = QThreadPool.globalInstance()
    if _alive and pool is not None:
        pool.waitForDone(longest_ms)


def _called(call: Callable[[], Any]) -> Iterator[Any]:
    yield call()


class _StoppableWorker(GeneratorWorker):
    """A worker that says so when it is asked to quit."""

    quit_callback: Callable[[], None] | None = None

    def quit(self) -> None:
        already = self.abort_requested
        super().quit()
        if not already and self.quit_callback is not None:
            self.quit_callback()


LEFT_TO_OTHERS = 3
"""By how much a worker is nicer than the window's thread (Linux), which is drawn first then."""


def _give_way() -> None:
    """Let the window's thread, and other programs, go before this one."""
    if sys.platform == "linux":  # elsewhere a thread has no priority of its own
        thread = threading.get_native_id()
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, thread, LEFT_TO_OTHERS)


def _use_up(run: Run) -> Iterator[Any]:
    # a generator function, as the worker wants one; holds the boundary that lets no error through
    _give_way()
    try:
        yield from run._steps
    except Exception as exc:  # the thread's boundary: everything is told to the user
        run._error = as_propagation_error(exc)


def as_propagation_error(error: Exception) -> PropagationError:
    """Say an error so that it can leave a thread and be shown; an unforeseen one is logged."""
    if isinstance(error, PropagationError):
        return error
    if isinstance(error, Sam3Error):
        told = PropagationError(str(error))
    else:
        logger.error("unforeseen error in a worker thread", exc_info=error)
        told = PropagationError(
            f"something went wrong that should not have: {type(error).__name__}: {error}. "
            "What was done is kept; the log has the details to report."
        )
    told.__cause__ = error
    return told
