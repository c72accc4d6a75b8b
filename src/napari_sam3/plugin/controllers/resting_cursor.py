"""Where the cursor rests with a click tool in hand: most likely there the next click is made."""

from __future__ import annotations

from typing import Any

from psygnal import Signal
from qtpy.QtCore import QObject

from napari_sam3.plugin.controllers.timers import single_shot
from napari_sam3.plugin.model.app_state import AppState

REST_MS = 80
"""The cursor must stand still so long."""


class RestingCursor(QObject):
    """Tells when the cursor comes to rest in the picture, while a press would add a click.

    Parameters
    ----------
    viewer : napari viewer
    state : AppState
        With the layer that clicks are drawn in.
    """

    rested = Signal()
    """It has come to rest, and not on a click that is there."""

    def __init__(self, viewer: Any, state: AppState) -> None:
        super().__init__()
        self._viewer, self._state = viewer, state
        self._rest = single_shot(self, self._on_rested, REST_MS)

    def watch(self) -> None:
        """Begin to tell."""
        self._viewer.cursor.events.position.connect(self._on_moved)

    def let_go(self) -> None:
        """Tell no more."""
        self._viewer.cursor.events.position.disconnect(self._on_moved)
        self._rest.stop()

    @property
    def place(self) -> tuple[float, ...] | None:
        """Where a press would add a click, in the world; None where it would not."""
        points, position = self._state.points, tuple(self._viewer.cursor.position)
        if (
            points is None
            or points is not self._viewer.layers.selection.active
            or str(points.mode) != "add"
            or points.get_value(position, world=True) is not None
        ):
            return None
        return position

    def _on_moved(self, _event: Any = None) -> None:
        if self._state.points is not None:
            self._rest.start()

    def _on_rested(self) -> None:
        if self.place is not None:
            self.rested.emit()
