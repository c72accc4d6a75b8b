"""A project or a video in a window of its own, and the dock in a window that is there."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtWidgets import QApplication

if TYPE_CHECKING:
    from napari_sam3.plugin.views.dock import SegmentAndTrackWidget

TITLE = "Segment and track"
WINDOW_SIZE = (1400, 900)


def show_dock(viewer: Any) -> SegmentAndTrackWidget | None:
    """The dock of a viewer; opened if there is none. None if its window was closed meanwhile."""
    from napari_sam3.plugin.views.dock import SegmentAndTrackWidget

    for widget in QApplication.allWidgets():
        if (
            isinstance(widget, SegmentAndTrackWidget)
            and not widget.is_shut_down
            and getattr(widget.viewer, "__wrapped__", widget.viewer) is viewer
        ):
            return widget
    try:
        window = viewer.window
        window._qt_window.isVisible()
    except (AttributeError, RuntimeError):  # a viewer without a window, or one that is gone
        return None
    _, dock = window.add_plugin_dock_widget("napari-sam3", TITLE)
    return dock


def run_window(path: Path) -> None:
    """Open a viewer as `open_window` does, and stay until it is closed."""
    import napari

    open_window(path)
    napari.run()


def open_window(path: Path) -> Any:
    """Open a viewer on a project or a video, with the dock.

    Parameters
    ----------
    path : Path
        A project's folder, or what the reader of videos takes.

    Returns
    -------
    napari.Viewer
    """
    import napari

    viewer = napari.Viewer()
    viewer.window.resize(*WINDOW_SIZE)
    try:
        viewer.open(str(path), plugin="napari-sam3")
        show_dock(viewer)
        QApplication.processEvents()  # dock and slider take their room first
        viewer.reset_view()
    except BaseException:
        viewer.close()
        raise
    return viewer
