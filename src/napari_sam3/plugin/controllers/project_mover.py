"""A project moved to another folder."""

from __future__ import annotations

import errno
import shutil
from pathlib import Path

from napari_sam3.errors import ProjectError
from napari_sam3.projects import Project


def move_project(project: Project, target: Path) -> tuple[Project, str | None]:
    """Close a project, move its folder, and open it there; slow, for a thread.

    What can't be written where it is, as on a full disk, is written at the new place.

    Parameters
    ----------
    project : Project
        Open for writing; nobody writes it meanwhile.
    target : Path
        The new folder; nothing may be there.

    Returns
    -------
    project : Project
        Open: at its new place, or where it was if it can't be moved.
    problem : str or None
        Why it was not moved.
    """
    source = project.folder
    try:
        _check_target(source, target)
        try:
            project.find_video()  # by the old place, maybe
            project.save_state(project.state)
            project.close()
        except OSError:
            project.carry_to(target)
            shutil.rmtree(source, ignore_errors=True)
        else:
            _move(source, target)
    except OSError as exc:
        reason = str(exc) if isinstance(exc, ProjectError) else exc.strerror or str(exc)
        problem = f"the project stays where it is: {reason}"
        if project.is_read_only:
            return Project.open(source), problem
        project.stay_open()
        return project, problem
    left = f"a copy that could not be deleted stays at {str(source)!r}"
    moved = Project.open(target)
    moved.find_video()  # seen from there; kept with the next change
    return moved, left if source.exists() else None


def _check_target(source: Path, target: Path) -> None:
    if target == source:
        raise ProjectError("it is there already")
    if target.exists():
        raise ProjectError(f"{str(target)!r} is there already; choose another folder")
    if source in target.parents:
        raise ProjectError("a project can't be moved into itself; choose another folder")


def _move(source: Path, target: Path) -> None:
    """Move a folder, also to another disk: the original goes only when all of it is there."""
    from napari_sam3.projects.folders import copy_project, made_whole

    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        source.rename(target)
        return
    except OSError as exc:
        if exc.errno != errno.EXDEV:
            raise
    try:
        with made_whole(target) as draft:
            copy_project(source, draft)
    except (OSError, shutil.Error) as exc:
        number = getattr(exc, "errno", None) or errno.EIO
        raise OSError(number, f"it can't be copied ({exc})") from exc
    shutil.rmtree(source, ignore_errors=True)
