"""Work that only the window's thread can do, a piece at a time."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from qtpy.QtCore import QObject

from napari_sam3.plugin.controllers.timers import single_shot


class Pieces(QObject):
    """Iterators that are used up in the window's thread, which is painted and heard in between.

    What the work rests on may be another after each piece: the iterator has to look.
    """

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._works: deque[Iterator[object]] = deque()
        self._is_at_it = False
        # not `singleShot(0)`: that is dealt with before what waits to be painted
        self._timer = single_shot(self, self._go_on)

    @property
    def is_running(self) -> bool:
        """Whether there is something left to do."""
        return bool(self._works)

    def start(self, work: Iterator[object]) -> None:
        """Begin with the next turn of the window, or after the work that is under way."""
        self._works.append(work)
        self._timer.start(0)

    def finish(self) -> None:
        """Do all that is left, now; but not from within a piece of it."""
        while self._works and not self._is_at_it:
            self._do_next()

    def drop(self) -> None:
        """Do no more of it."""
        self._works.clear()

    def _go_on(self) -> None:
        # napari lets the window live amid what it does: the next piece waits all the same
        if self._works and not self._is_at_it:
            self._do_next()

    def _do_next(self) -> None:
        work, is_left = self._works[0], False
        self._is_at_it = True
        try:
            is_left = next(work, _END) is not _END
        finally:
            self._is_at_it = False
            if not is_left and work in self._works:  # else it was dropped
                self._works.remove(work)
            if self._works:
                self._timer.start(0)


_END = object()
