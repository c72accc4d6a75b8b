"""`napari-sam3 open`: a project or a video in a napari window."""

from __future__ import annotations

import argparse

from napari_sam3.cli.display import why_no_window
from napari_sam3.cli.planes import chosen_planes
from napari_sam3.errors import ProjectError, RequestError, VideoError
from napari_sam3.projects import is_project
from napari_sam3.video.folder_contents import is_pattern


def run(arguments: argparse.Namespace) -> int:
    """Open it, and stay until the window is closed. Returns the exit code."""
    path = arguments.path.expanduser()
    if not (path.exists() or is_pattern(path)):
        raise VideoError(f"there is no file or folder {str(path)!r}; check the path")
    reason = why_no_window()
    if reason is not None:
        raise ProjectError(f"{str(path)!r} can't be shown in a window: {reason}")
    choice = chosen_planes(arguments)
    if choice and is_project(path):
        raise RequestError(
            f"the project {str(path)!r} knows its channel, depth and scene; leave out {choice}"
        )
    from napari_sam3.plugin.views.open_window import run_window

    run_window(path, choice)
    return 0
