"""The mark of a picture that stands in for another frame's: a line in it, and clicks refused."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

import napari
from napari.utils.notifications import show_error, show_info
from qtpy.QtCore import QCoreApplication, QEvent, QObject
from qtpy.QtOpenGLWidgets import QOpenGLWidget

_PRESSES = (QEvent.Type.MouseButtonPress, QEvent.Type.MouseButtonDblClick)
_HARMLESS_MODES = ("pan_zoom", "transform")


class StandInMark(QObject):
    """Marks the picture of a viewer, until it is closed; lives in the GUI thread.

    A line in the canvas says which frame is awaited. A click or stroke with a drawing tool is
    refused, for it would be meant for what is seen.

    Parameters
    ----------
    viewer : napari viewer
    on_layers_changed : callable
        Called when a layer was removed or its data replaced.
    """

    def __init__(self, viewer: Any, on_layers_changed: Callable[[], None]) -> None:
        super().__init__()
        self._viewer = weakref.ref(viewer)
        self._tell = on_layers_changed
        self._frame = 0
        self._line = ""
        self._hidden: str | None = None  # what a text that was not shown said
        viewer.layers.events.removed.connect(self._on_removed)
        application = QCoreApplication.instance()
        if application is not None:
            application.installEventFilter(self)

    def show(self, frame_index: int) -> None:
        """Say which frame is awaited."""
        self._frame = frame_index
        self._put(f"frame {frame_index} is being decoded …")

    def show_failure(self, frame_index: int, error: Exception) -> None:
        """Say that it will not come."""
        self._put(f"frame {frame_index} can't be shown")
        show_error(str(error))

    def close(self) -> None:
        """Leave nothing of it."""
        application = QCoreApplication.instance()
        if application is not None:
            application.removeEventFilter(self)
        viewer = self._viewer()
        if viewer is not None:
            viewer.layers.events.removed.disconnect(self._on_removed)
            self._put("")

    def eventFilter(self, receiver: Any, event: Any) -> bool:  # noqa: N802 (Qt's name)
        """Keep presses of the mouse from drawing."""
        if event.type() not in _PRESSES or not isinstance(receiver, QOpenGLWidget):
            return False
        viewer, current = self._viewer(), napari.current_viewer()
        if viewer is None or getattr(current, "__wrapped__", current) is not viewer:
            return False
        active = viewer.layers.selection.active
        if active is None or str(active.mode) in _HARMLESS_MODES:
            return False
        show_info(
            f"frame {self._frame} is not on screen yet, and what is seen is another one: click "
            "again when its picture is there"
        )
        return True

    def _on_removed(self, _event: Any) -> None:
        self._tell()

    def _put(self, line: str) -> None:
        """Put a line in place of the last one, below what somebody else has written there."""
        viewer = self._viewer()
        if viewer is None:
            return
        overlay = text_overlay(viewer)
        lines = overlay.text.split("\n") if overlay.visible and overlay.text else []
        if not overlay.visible:
            self._hidden = overlay.text
        if self._line in lines:
            lines.remove(self._line)
        self._line = line
        overlay.text = "\n".join([*lines, line] if line else lines)
        overlay.visible = bool(overlay.text)
        if not overlay.visible and self._hidden is not None:
            overlay.text = self._hidden


def text_overlay(viewer: Any) -> Any:
    """The text that a viewer shows in its canvas."""
    overlays = getattr(getattr(viewer, "canvas", None), "overlays", None)
    return viewer.text_overlay if overlays is None else overlays.text  # napari 0.9 moved it
