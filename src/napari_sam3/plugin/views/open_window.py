"""A project or a video in a window of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qtpy.QtWidgets import QApplication

from napari_sam3.plugin.controllers.dock_opener import show_dock
from napari_sam3.plugin.io.video_reader import read_layers
from napari_sam3.video.folder_contents import is_pattern

WINDOW_SIZE = (1400, 900)


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
        A project's folder, or what the reader of videos takes, a pattern too.

    Returns
    -------
    napari.Viewer
    """
    import napari

    viewer = napari.Viewer()
    viewer.window.resize(*WINDOW_SIZE)
    try:
        if is_pattern(path):  # napari opens what is there by that very name
            for data, arguments, _ in read_layers(path):
                viewer.add_image(data, **arguments)
        else:
            viewer.open(str(path), plugin="napari-sam3")
        show_dock(viewer)
        QApplication.processEvents()  # dock and slider take their room first
        viewer.reset_view()
    except BaseException:
        viewer.close()
        raise
    return viewer
