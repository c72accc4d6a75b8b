"""Projects as layers, for dropping their folders on napari."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from napari_sam3.plugin.layers.video_layer import LayerData, PathOrPaths


def get_project_reader(path: PathOrPaths) -> Callable[[PathOrPaths], list[LayerData]] | None:
    """Tell napari whether a path is a project; never raises.

    Parameters
    ----------
    path : path or list of paths
        Folders are offered to every reader that takes folders; all but projects are declined.

    Returns
    -------
    callable or None
        `read_project` if it is one project.
    """
    from napari_sam3.projects.folders import is_project

    try:
        paths = [path] if isinstance(path, str | Path) else list(path)
        return read_project if len(paths) == 1 and is_project(paths[0]) else None
    except (OSError, TypeError, ValueError):
        return None


def read_project(path: PathOrPaths) -> list[LayerData]:
    """Show a project: its video, results, prompts.

    The layers can be looked at; the dock *Segment and track* knows them by their metadata, takes
    them over for writing, and restores its fields. It is opened if it is not there.

    Parameters
    ----------
    path : path, or list of one path
        The project's folder.

    Returns
    -------
    list of layer data

    Raises
    ------
    ProjectError
        If it can't be opened at all.
    """
    from napari_sam3.plugin.controllers.screen_decoding import let_screen_lead
    from napari_sam3.plugin.layers.project_layers import open_project

    folder = Path(path if isinstance(path, str | Path) else path[0])
    opened = open_project(folder, read_only=True)
    if opened.video is not None:
        let_screen_lead(opened.video)
    _open_dock()
    return opened.layers


def _open_dock() -> None:
    """Have the dock opened as soon as the layers are in the window, if there is one."""
    import sys

    if "qtpy" not in sys.modules:
        return
    import napari
    from qtpy.QtCore import QCoreApplication, QThread, QTimer

    viewer, application = napari.current_viewer(), QCoreApplication.instance()
    if viewer is None or application is None or application.thread() is not QThread.currentThread():
        return
    viewer = getattr(viewer, "__wrapped__", viewer)

    def open_dock() -> None:
        from napari_sam3.plugin.controllers.dock_opener import show_dock

        show_dock(viewer)

    QTimer.singleShot(0, open_dock)
