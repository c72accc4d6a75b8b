"""Projects packed: their frames many in a file, for file systems that have no room for so many."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from napari_sam3.errors import ProjectError, StoreError
from napari_sam3.labels.label_store import LabelStore
from napari_sam3.projects.project import Project


def pack_project(
    folder: str | os.PathLike[str], *, on_frames: Callable[[int], object] | None = None
) -> bool:
    """Keep the frames of a project that is done some 1000 in a file.

    Everything reads it as before. Whoever writes to its frames later, as a person who paints,
    unpacks it first by that.

    Parameters
    ----------
    folder : path-like
        The project.
    on_frames : callable, optional
        Called with the number of frames that are packed, now and then.

    Returns
    -------
    bool
        False if it was packed already.

    Raises
    ------
    ProjectError
        If it can't be opened for writing, frames of its run are left, or the disk has no room for
        its labels a second time; then it is as it was.
    """
    with _opened(folder) as project:
        labels = _labels_of(project)
        if labels.is_packed:
            return False
        if project.frames_to_do:
            n_left = sum(map(len, project.frames_to_do))
            raise ProjectError(
                f"the project {str(project.folder)!r} has {n_left} frames of its run left, which "
                "would unpack it; go on with it first"
            )
        _change(project, lambda: labels.pack(on_frames))
    return True


def unpack_project(folder: str | os.PathLike[str]) -> bool:
    """Give each frame of a project its own file again.

    Returns
    -------
    bool
        False if they have them.

    Raises
    ------
    ProjectError
        If it can't be opened for writing, or the disk has no room.
    """
    with _opened(folder) as project:
        labels = _labels_of(project)
        if not labels.is_packed:
            return False
        _change(project, labels.unpack)
    return True


def _opened(folder: str | os.PathLike[str]) -> Project:
    project = Project.open(Path(folder).expanduser())
    if project.why_read_only is not None:
        why = project.why_read_only
        project.close()
        raise ProjectError(f"the project {str(project.folder)!r} can't be written: {why}")
    return project


def _labels_of(project: Project) -> LabelStore:
    labels = project.labels
    assert isinstance(labels, LabelStore), "it is open for writing"
    return labels


def _change(project: Project, change: Callable[[], object]) -> None:
    try:
        change()
    except StoreError as exc:
        raise ProjectError(f"the project {str(project.folder)!r}: {exc}") from exc
