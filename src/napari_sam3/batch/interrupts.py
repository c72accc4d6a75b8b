"""Ctrl-C as a wish to stop: what is under way is finished first."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def noting_interrupts(on_first: Callable[[], object] = lambda: None) -> Iterator[threading.Event]:
    """Let a first Ctrl-C set an event; a second one raises `KeyboardInterrupt` as ever.

    Parameters
    ----------
    on_first : callable
        Called at the first one.

    Yields
    ------
    Event
        Never set outside the main thread, which alone gets signals.
    """
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return

    def ask(signal_number: int, frame: FrameType | None) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()
        on_first()

    earlier = signal.signal(signal.SIGINT, ask)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, earlier)
