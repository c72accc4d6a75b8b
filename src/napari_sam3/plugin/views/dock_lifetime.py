"""When a dock has come to its end: taken out, its window closed, or the program about to end."""

from __future__ import annotations

import atexit
import logging
import os
from collections.abc import Callable
from weakref import WeakSet

from qtpy.compat import isalive
from qtpy.QtCore import QEvent, QObject, QTimer
from qtpy.QtWidgets import QMainWindow, QWidget

from napari_sam3.plugin.controllers.worker import stop_all

# their ends come one after the other: this module's has to be before those of what a dock holds
from napari_sam3.projects import project as _project  # noqa: F401

logger = logging.getLogger(__name__)

LONGEST_WAIT_MS = 10_000
"""For a step of a model, when the program ends."""

_alive: WeakSet[Lifetime] = WeakSet()
if hasattr(os, "register_at_fork"):  # they stay the business of the process that has the window
    os.register_at_fork(after_in_child=_alive.clear)


class Lifetime(QObject):
    """Watches a widget that napari docks, and ends it when nobody will use it any more.

    napari tells a widget neither that its dock was closed nor that the window was: it is taken
    out of the one, and the other is hidden (and kept as long as somebody holds the viewer). A
    window that was never shown has nothing to hide.

    Parameters
    ----------
    widget : QWidget
        To be docked.
    end : callable
        Ends it; may be called more than once.
    """

    def __init__(self, widget: QWidget, end: Callable[[], object]) -> None:
        super().__init__(widget)
        self._widget = widget
        self._end = end
        self._window: QMainWindow | None = None
        self._was_docked = False
        self._is_closing = False
        widget.installEventFilter(self)
        _alive.add(self)

    def end(self) -> None:
        """End the widget; it is deleted where nobody else would do that."""
        self._end()
        if self._widget.parent() is None:
            self._widget.deleteLater()

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:  # noqa: N802
        """Let every event pass, having looked at it."""
        if event is not None:
            kind = event.type()
            if watched is self._widget:
                self._look_at_widget(kind)
            elif kind == QEvent.Type.Close:
                # the person may still say no
                self._is_closing = True
                QTimer.singleShot(0, self._look_after_closing)
            elif kind == QEvent.Type.Hide and self._is_closing:
                self._on_closed()
        return False

    def _look_at_widget(self, kind: QEvent.Type) -> None:
        if kind == QEvent.Type.ParentChange:
            if self._widget.parent() is not None:
                self._was_docked = True
                # when the dock is in the window, which may never be shown
                QTimer.singleShot(0, self._watch_window)
            elif self._was_docked:
                self.end()
        elif kind == QEvent.Type.Show:
            self._watch_window()

    def _watch_window(self) -> None:
        if self._window is None:
            self._window = _main_window_of(self._widget)
            if self._window is not None:
                self._window.installEventFilter(self)

    def _look_after_closing(self) -> None:
        window = self._window
        if window is not None and isalive(window) and window.isVisible():
            self._is_closing = False
        elif self._is_closing:
            self._on_closed()

    def _on_closed(self) -> None:
        """End it, and look at nothing while Qt takes the window down."""
        window, self._window = self._window, None
        for one in (window, self._widget):
            if one is not None and isalive(one):
                one.removeEventFilter(self)
        self._is_closing = False
        self.end()


def _main_window_of(widget: QWidget) -> QMainWindow | None:
    parent = widget.parent()
    while parent is not None and not isinstance(parent, QMainWindow):
        parent = parent.parent()
    return parent


@atexit.register
def end_all() -> None:
    """A script may end with its window open: save, and leave no thread to Qt's own end."""
    lifetimes = list(_alive)
    for lifetime in lifetimes:
        try:
            lifetime.end()  # no signal: Qt ends the process where a slot raises
        except Exception:  # whatever is wrong with one, the others and the labels are saved
            logger.exception("a window was not closed as it should be")
    if lifetimes:
        stop_all(LONGEST_WAIT_MS)
