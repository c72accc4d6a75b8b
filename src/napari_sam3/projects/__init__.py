"""Work that lasts: a folder that holds a session with all that was said, made and seen.

The names are loaded when they are first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_sam3.projects.folders import is_project, list_projects, project_for
    from napari_sam3.projects.project import Project
    from napari_sam3.projects.session import ProjectSession, continue_run, open_session
    from napari_sam3.projects.state import ProjectState, RunNote
    from napari_sam3.projects.tracking import ProjectRun
    from napari_sam3.projects.video_reference import VideoReference

_HOMES = {
    "Project": "project",
    "ProjectRun": "tracking",
    "ProjectSession": "session",
    "ProjectState": "state",
    "RunNote": "state",
    "VideoReference": "video_reference",
    "continue_run": "session",
    "is_project": "folders",
    "list_projects": "folders",
    "open_session": "session",
    "project_for": "folders",
}

__all__ = [
    "Project",
    "ProjectRun",
    "ProjectSession",
    "ProjectState",
    "RunNote",
    "VideoReference",
    "continue_run",
    "is_project",
    "list_projects",
    "open_session",
    "project_for",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
