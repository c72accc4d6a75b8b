"""Where projects lie, and which folders are projects."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from napari_sam3.errors import ProjectError, VideoError
from napari_sam3.labels.label_store import RECORDS_NAME
from napari_sam3.plain_files import copy_folder
from napari_sam3.projects.lock import HOLDER, LOCK, ProjectLock
from napari_sam3.settings import projects_path
from napari_sam3.video.content_hash import hash_samples
from napari_sam3.video.folder_contents import is_pattern, name_of
from napari_sam3.video.plane_choice import NO_CHOICE, PlaneChoice
from napari_sam3.whole_files import portable_name

SUFFIX = ".sam3"
PROJECT, PROMPTS, LAYERS, OBJECTS = "project.json", "prompts.json", "layers.json", "objects.csv"


def is_project(path: str | os.PathLike[str]) -> bool:
    """Whether a folder is a project, be it a damaged one. Reads no file; never raises."""
    try:
        place = Path(path).expanduser()
        # a link counts, though none is followed: opening it says so
        if os.path.lexists(place / PROJECT) and not (place / PROJECT).is_dir():
            return True
        # what is left when that file is lost
        return place.suffix.lower() == SUFFIX and any(
            os.path.lexists(place / name) for name in (PROJECT + ".bak", RECORDS_NAME, PROMPTS)
        )
    except (OSError, ValueError, RuntimeError):  # the last: nobody's home is known
        return False


def check_free(place: Path) -> None:
    """Refuse a folder for a new project that has something in it."""
    if is_project(place):
        raise ProjectError(f"{str(place)!r} is a project already; open it, or name another folder")
    try:
        is_taken = place.exists() and (not place.is_dir() or any(place.iterdir()))
    except OSError as exc:
        raise ProjectError(f"{str(place)!r} can't be read ({exc.strerror or exc})") from exc
    if is_taken:
        raise ProjectError(
            f"{str(place)!r} is there and is no empty folder; name a new one for the project"
        )


def project_for(
    video_path: str | os.PathLike[str],
    folder: Path | None = None,
    *,
    choice: PlaneChoice = NO_CHOICE,
) -> Path:
    """Where the project of a video is, or would be.

    Parameters
    ----------
    video_path : path-like
        The video file, folder of frames, or pattern.
    folder : Path, optional
        That holds projects; `projects_path()` if left out.
    choice : PlaneChoice
        Which channel, depth and scene of it.

    Returns
    -------
    Path
        <name of the video>-<8 digits of a hash of its content and the choice>.sam3, there or not.

    Raises
    ------
    VideoError
        If the video can't be read.
    """
    place = Path(video_path).expanduser()
    if not (place.exists() or is_pattern(place)):
        raise VideoError(f"there is no file or folder {str(place)!r}; check the path")
    parent = projects_path() if folder is None else folder
    tag = hash_samples(place)
    if choice:
        tag = hashlib.sha256(f"{tag} {choice}".encode()).hexdigest()
    return parent / f"{portable_name(name_of(place))}-{tag[:8]}{SUFFIX}"


def list_projects(folder: Path | None = None) -> list[Path]:
    """The projects in a folder (`projects_path()` if left out), the one used last first."""
    parent = projects_path() if folder is None else folder
    try:
        found = [p for p in parent.iterdir() if not p.name.startswith(".") and is_project(p)]
    except OSError:
        return []
    return sorted(found, key=_last_change, reverse=True)


def _last_change(project: Path) -> float:
    times = []
    for name in (PROJECT, PROMPTS, LAYERS, OBJECTS, RECORDS_NAME):
        try:
            times.append((project / name).lstat().st_mtime)
        except OSError:
            continue
    return max(times, default=0.0)


@contextmanager
def made_whole(place: Path) -> Iterator[Path]:
    """Give the name of a folder to make; it becomes `place` when the block ends without an error.

    A process that is killed leaves its draft; who makes that folder next clears it away.

    Yields
    ------
    Path
        Beside `place`, with a random name that begins with a dot; nothing is there.

    Raises
    ------
    OSError
        If it can't be made; nothing is left then.
    """
    place.parent.mkdir(parents=True, exist_ok=True)
    _clear_drafts(place)
    draft = place.with_name(f".{place.name}-{secrets.token_hex(6)}")
    try:
        yield draft
        draft.rename(place)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def copy_project(source: Path, target: Path) -> None:
    """Copy the plain files of a project; who holds it, and what is half written, is not of it.

    Raises
    ------
    OSError
        If it can't be.
    """
    copy_folder(source, target, lambda name: name in (LOCK, HOLDER) or name.startswith("."))


def _clear_drafts(place: Path) -> None:
    """Delete what killed processes have left of a folder that they were making."""
    is_draft = re.compile(re.escape(f".{place.name}-") + "[0-9a-f]{12}").fullmatch
    with os.scandir(place.parent) as entries:
        left = [Path(e.path) for e in entries if is_draft(e.name) and not e.is_symlink()]
    for draft in left:
        lock = ProjectLock(draft)
        if lock.take() is None:  # nobody is making it
            lock.give_back()
            shutil.rmtree(draft, ignore_errors=True)
