"""Read frames one after another, the next ones in a thread while the last one is looked at."""

from __future__ import annotations

import weakref
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from threading import RLock
from typing import Any, Self

from numpy.typing import NDArray

PREFETCH_BYTES = 64 * 2**20
"""So much is read ahead at most: 10 frames of 1080p."""
_MOST_FRAMES = 16


class Prefetch(Iterator[NDArray[Any]]):
    """Frames of a video in a given order; made by `Video.frames`.

    A context manager too. Several threads may ask it: each frame goes to one of them. The thread
    that reads starts with the first frame asked for and ends after the last one, with `close`, or
    when nobody holds the iterator any more.

    Parameters
    ----------
    read : callable
        Gives the frame of a number; called in the thread.
    numbers : range
        The frames, 0-based.
    frame_nbytes : int
        Memory that one of them takes.
    on_close : callable, optional
        Called once, after the thread's end.
    """

    def __init__(
        self,
        read: Callable[[int], NDArray[Any]],
        numbers: range,
        frame_nbytes: int,
        on_close: Callable[[], None] | None = None,
    ) -> None:
        self._read = read
        self._numbers = numbers  # not given to the thread yet
        self._depth = min(_MOST_FRAMES, max(1, PREFETCH_BYTES // max(1, frame_nbytes)))
        self._pending: deque[Future[NDArray[Any]]] = deque()
        self._lock = RLock()
        self._pool = ThreadPoolExecutor(1, "prefetch")
        # the thread does not know the iterator, so that dropping the iterator ends it
        self._finalizer = weakref.finalize(self, _end, self._pool, on_close)

    def __len__(self) -> int:
        """Frames still to come."""
        return len(self._pending) + len(self._numbers)

    def __next__(self) -> NDArray[Any]:
        with self._lock:
            if not len(self):
                self.close()
                raise StopIteration
            self._fill()
            try:
                frame = self._pending.popleft().result()
            except BaseException:
                self.close()
                raise
            self._fill()
            return frame

    def _fill(self) -> None:
        while self._numbers and len(self._pending) < self._depth:
            self._pending.append(self._pool.submit(self._read, self._numbers[0]))
            self._numbers = self._numbers[1:]

    def close(self) -> None:
        """End the thread, and wait for that; closing twice does no harm."""
        with self._lock:
            self._finalizer()
            self._pending.clear()
            self._numbers = range(0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()


def _end(pool: ThreadPoolExecutor, on_close: Callable[[], None] | None) -> None:
    pool.shutdown(cancel_futures=True)
    if on_close is not None:
        on_close()
