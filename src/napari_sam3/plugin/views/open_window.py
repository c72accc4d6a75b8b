"""A project or a video in a window of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qtpy.QtWidgets import QApplication

from napari_sam3.plugin.controllers.dock_opener import show_dock
from napari_sam3.plugin.io.video_reader import read_layers
from napari_sam3.video.folder_contents import TIFF_SUFFIXES, is_pattern
from napari_sam3.video.plane_choice import NO_CHOICE, PlaneChoice

WINDOW_SIZE = (1400, 900)
_OURS_HERE = TIFF_SUFFIXES | {".npy"}


def run_window(path: Path, choice: PlaneChoice = NO_CHOICE) -> None:
    """Open a viewer as `open_window` does, and stay until it is closed."""
    import napari

    open_window(path, choice)
    napari.run()


def open_window(path: Path, choice: PlaneChoice = NO_CHOICE) -> Any:
    """Open a viewer on a project or a video, with the dock.

    Parameters
    ----------
    path : Path
        A project's folder, or what the reader of videos takes; a pattern and a TIFF stack too.
    choice : PlaneChoice
        Which channel, depth and scene of a video to show.

    Returns
    -------
    napari.Viewer
    """
    import napari

    viewer = napari.Viewer()
    viewer.window.resize(*WINDOW_SIZE)
    try:
        # napari opens what is there by that very name, and has readers of its own for stacks
        if is_pattern(path) or choice or path.suffix.lower() in _OURS_HERE:
            for data, arguments, _ in read_layers(path, choice):
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
