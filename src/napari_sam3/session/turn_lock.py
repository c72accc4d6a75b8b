"""A lock that nobody is kept waiting for by who takes it again and again."""

from __future__ import annotations

import threading
from collections import deque
from types import TracebackType


class TurnLock:
    """Given to those who wait in the order in which they came; re-entrant.

    A propagation takes the session's lock a piece of work at a time. With Python's own lock it may
    have it again before anybody who waits has woken up.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition(threading.Lock())
        self._waiting: deque[object] = deque()
        self._owner: int | None = None  # a thread
        self._depth = 0

    def acquire(self, blocking: bool = True) -> bool:
        """Take it, when it is this thread's turn; gives whether it was taken."""
        me = threading.get_ident()
        with self._changed:
            if self._owner == me:
                self._depth += 1
                return True
            if not blocking and (self._owner is not None or self._waiting):
                return False
            turn = object()
            self._waiting.append(turn)
            try:
                self._changed.wait_for(lambda: self._owner is None and self._waiting[0] is turn)
                self._owner, self._depth = me, 1
            finally:  # interrupted or not
                self._waiting.remove(turn)
                self._changed.notify_all()
            return True

    def release(self) -> None:
        """Give it back, as often as it was taken."""
        with self._changed:
            if self._owner != threading.get_ident():
                raise RuntimeError("this lock is not held by this thread")
            self._depth -= 1
            if not self._depth:
                self._owner = None
                self._changed.notify_all()

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.release()
