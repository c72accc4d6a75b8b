"""Earlier work on a video: what there is of it, and where new work may go beside it."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from napari_sam3.errors import ProjectError
from napari_sam3.plugin.model.video_source import VideoSource
from napari_sam3.projects import Project
from napari_sam3.projects.folders import SUFFIX, list_projects, project_for
from napari_sam3.video import NO_CHOICE, PlaneChoice


@dataclass(frozen=True)
class EarlierProject:
    """A project of the video that is shown.

    Attributes
    ----------
    folder : Path
    when : str
        When it was worked on last, for people.
    """

    folder: Path
    when: str


def find_earlier(
    video: Path, but: Collection[Path] = (), choice: PlaneChoice = NO_CHOICE
) -> EarlierProject | None:
    """The project of a video that was worked on last, in the place where they are kept.

    Parameters
    ----------
    video : Path
        The video file or folder; part of it is read.
    but : collection of Path
        Projects that are none of these.
    choice : PlaneChoice
        Which channel, depth and scene of it.
    """
    home = project_for(video, choice=choice)
    for folder in list_projects(home.parent):
        if _is_of(folder, home) and folder not in but:
            changed = max((f.stat().st_mtime for f in folder.iterdir() if f.is_file()), default=0.0)
            return EarlierProject(folder, f"{datetime.fromtimestamp(changed):%Y-%m-%d, %H:%M}")
    return None


def free_folder(video: Path, choice: PlaneChoice = NO_CHOICE) -> Path:
    """Where a new project of a video goes: none of those there are is touched."""
    home = project_for(video, choice=choice)
    number, free = 1, home
    while free.exists():
        number += 1
        free = home.with_name(f"{home.stem}-{number}{SUFFIX}")
    return free


def _is_of(folder: Path, home: Path) -> bool:
    """Whether a folder is the video's first project, or one that was numbered."""
    rest = folder.stem.removeprefix(home.stem)
    is_numbered = rest.startswith("-") and rest[1:].isdecimal()
    return folder.stem.startswith(home.stem) and (not rest or is_numbered)


def make_project(
    look: Callable[[], VideoSource], shape: tuple[int, int, int]
) -> Callable[[int], Project]:
    """What makes a new project of a video for ids up to the one given, beside those there are.

    Slow, for a thread. `look` says where the video is; it is asked there.
    """

    def make(highest_id: int) -> Project:
        source = look()
        if source.path is None:
            raise ProjectError(source.problem)
        video = source.path if source.is_readable else None
        folder = free_folder(source.path, source.choice)
        return Project.create(folder, video, shape, highest_id=highest_id, choice=source.choice)

    return make
