"""Closing projects: where that can't be done it is said, and tried again until it can."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari.utils.notifications import show_error, show_info
from qtpy.QtCore import QTimer

if TYPE_CHECKING:
    from napari_sam3.projects import Project

RETRY_MS = 5000


def close_project(project: Project) -> None:
    """Close a project that is open for writing; what can't be written yet is not lost."""
    try:
        project.close()
    except OSError as exc:
        show_error(
            f"the project {project.folder.name!r} can't be closed yet: {exc}. It is tried again "
            "every few seconds; nothing is lost while napari is open"
        )
        QTimer.singleShot(RETRY_MS, lambda: _try_again(project))


def _try_again(project: Project) -> None:
    if project.is_ending:  # by a thread that opens it again: the window does not wait for it
        QTimer.singleShot(RETRY_MS, lambda: _try_again(project))
        return
    try:
        project.close()
    except OSError:
        QTimer.singleShot(RETRY_MS, lambda: _try_again(project))
    else:
        show_info(f"the project {project.folder.name!r} is saved and closed now")
