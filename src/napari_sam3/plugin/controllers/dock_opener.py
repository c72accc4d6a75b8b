"""The dock of a viewer, opened by napari itself."""

from __future__ import annotations

from typing import Any

from napari_sam3.plugin.controllers.tracking_controller import controllers_in

TITLE = "Segment and track"


def show_dock(viewer: Any) -> None:
    """Open the dock of a viewer, if it has none; nothing happens if its window was closed."""
    try:
        window = viewer.window
        window._qt_window.isVisible()
    except (AttributeError, RuntimeError):  # a viewer without a window, or one that is gone
        return
    if not controllers_in(viewer):
        window.add_plugin_dock_widget("napari-sam3", TITLE)
