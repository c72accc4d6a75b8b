"""What is seen of the picture stays to be seen when a dock takes a part of its room."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from qtpy.QtCore import QEvent, QObject, QTimer
from qtpy.QtWidgets import QMainWindow, QWidget

SETTLED_MS = 1000
"""After a dock came: by then the window has given everything its place."""


class KeptView(QObject):
    """Shrinks the picture with its room, once, when a dock comes into a window.

    Later changes of the window are the person's own: napari leaves the picture as it is then.

    Parameters
    ----------
    dock : QWidget
        That is about to get a window.
    zoom, set_zoom : callable
        Give, and change, how large the picture is drawn.
    """

    def __init__(
        self, dock: QWidget, zoom: Callable[[], float], set_zoom: Callable[[float], object]
    ) -> None:
        super().__init__(dock)
        self._dock, self._zoom, self._set_zoom = dock, zoom, set_zoom
        self._middle: QWidget | None = None
        self._room = (0, 0)
        self._zooms = (0.0, 0.0)  # before, and what was made of it
        dock.installEventFilter(self)

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:  # noqa: N802
        """Let every event pass, having looked at it."""
        kind = None if event is None else event.type()
        if kind == QEvent.Type.ParentChange and self._middle is None:
            self._begin()
        elif watched is self._middle and kind == QEvent.Type.Resize:
            self._fit()
        return False

    def _begin(self) -> None:
        """It may have a window now, which has not made room for it yet."""
        window: QWidget = self._dock
        while (above := window.parentWidget()) is not None:
            window = above
        middle: Any = window.centralWidget() if isinstance(window, QMainWindow) else None
        if middle is None:
            window.installEventFilter(self)  # it is put into a window later
            return
        self._middle = middle
        self._room, self._zooms = (middle.width(), middle.height()), (self._zoom(),) * 2
        middle.installEventFilter(self)
        QTimer.singleShot(SETTLED_MS, self._end)

    def _fit(self) -> None:
        middle, (before, drawn) = self._middle, self._zooms
        if middle is None or self._zoom() != drawn:
            self._end()  # somebody looks at other things
            return
        share = min(middle.width() / self._room[0], middle.height() / self._room[1], 1)
        self._set_zoom(before * share)
        self._zooms = (before, self._zoom())

    def _end(self) -> None:
        if self._middle is not None:
            self._middle.removeEventFilter(self)
