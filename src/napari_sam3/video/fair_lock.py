"""A lock that is had in the order of asking."""

from __future__ import annotations

from collections import deque
from threading import Lock
from typing import Self


class FairLock:
    """A lock, as a context manager, that nobody gets who asked later than another.

    With `threading.Lock` a thread that asks anew as soon as it has let go may have it time and
    again, and on a busy machine others wait for ever.
    """

    def __init__(self) -> None:
        self._guard = Lock()
        # the first one has the lock, the others wait for theirs to be released
        self._turns: deque[Lock] = deque()

    def __enter__(self) -> Self:
        turn = Lock()
        with self._guard:
            if self._turns:
                turn.acquire()
            self._turns.append(turn)
        try:
            turn.acquire()
        except BaseException:
            self._leave(turn)  # Ctrl-C while waiting
            raise
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._leave(self._turns[0])

    def _leave(self, turn: Lock) -> None:
        with self._guard:
            had_it = self._turns[0] is turn
            self._turns.remove(turn)
            if had_it and self._turns:
                self._turns[0].release()
