"""Which prompts are for which video, and where its results go."""

from __future__ import annotations

import hashlib
import os
import warnings
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from napari_sam3.batch.tracking import Prompts, gather_prompts, prompts_for
from napari_sam3.errors import PromptFileError, RequestError
from napari_sam3.session.saved_prompts import PromptList, SavedPrompt, find_meant, is_meant
from napari_sam3.video.folder_contents import look_into, name_of
from napari_sam3.whole_files import portable_name

BESIDE = ".prompts.json"
"""What the file of prompts beside a video is called: film.mp4.prompts.json."""


@dataclass(frozen=True, eq=False)
class PlannedVideo:
    """One video of a batch.

    Attributes
    ----------
    path : Path
        The video.
    name : str
        What its results are called; no other video of the batch has it.
    prompts : PromptList or None
        What to track; None if that is not known, see `problem`.
    problem : str
        Why not.
    """

    path: Path
    name: str
    prompts: PromptList | None
    problem: str = ""


def plan_batch(
    videos: Iterable[str | os.PathLike[str]],
    prompts: Prompts | None = None,
    *,
    text: str | None = None,
    beside: bool = False,
) -> list[PlannedVideo]:
    """Find the videos, and the prompts of each.

    Parameters
    ----------
    videos : iterable of path-like
        Video files, folders of frames, or folders that hold video files. Empty: those that the file
        of prompts names, looked for beside it.
    prompts, text, beside
        As `run_batch` takes them.

    Raises
    ------
    RequestError
        If there are no videos, or not one source of prompts.
    PromptFileError
        If the prompts can't be read.
    """
    if (prompts is not None) + (text is not None) + beside != 1:
        raise RequestError(
            "say in one way what to track: by prompts, by a text, or by files beside the videos"
        )
    places = find_videos(videos)
    prompt_list = PromptList()
    if text is not None:
        prompt_list = PromptList([SavedPrompt.from_json({"frame": 0, "text": text}, "the text")])
    elif prompts is not None:
        prompt_list = gather_prompts(prompts)
        if not places and isinstance(prompts, str | os.PathLike):
            home = Path(prompts).expanduser().parent
            named = dict.fromkeys(p.video for p in prompt_list if p.video is not None)
            places = [find_meant(home, name) for name in named]
    if not places:
        raise RequestError("there are no videos to track in; name files or folders")
    _check_names(prompt_list, places)
    names = _name_all(places)
    return [
        _plan(place, name, None if beside else prompt_list)
        for place, name in zip(places, names, strict=True)
    ]


def find_videos(paths: Iterable[str | os.PathLike[str]]) -> list[Path]:
    """The videos that paths stand for: a folder of films for the films in it."""
    found: list[Path] = []
    for path in paths:
        place = Path(path).expanduser()
        found += _films_in(place) or [place]
    return list(dict.fromkeys(found))


def _films_in(place: Path) -> list[Path]:
    """The video files of a folder, if it holds such and is no folder of frames."""
    try:
        contents = look_into(place) if place.is_dir() else None
    except OSError:
        return []  # a closed folder: opening it as a video says so
    if contents is None or not contents.is_of_films:
        return []
    if contents.pictures:
        names = ", ".join(repr(file.name) for file in contents.pictures[:4])
        more = ", ..." if len(contents.pictures) > 4 else ""
        warnings.warn(
            f"{str(place)!r} is taken for a folder of films; the pictures in it are not tracked "
            f"in: {names}{more}",
            stacklevel=4,
        )
    return list(contents.films)


def _plan(place: Path, name: str, prompt_list: PromptList | None) -> PlannedVideo:
    """Choose the prompts of a video: from a list for all, or else from the file beside it."""
    try:
        if prompt_list is None:
            prompt_list = gather_prompts(find_meant(place.parent, place.name + BESIDE))
        return PlannedVideo(place, name, prompts_for(prompt_list, place))
    except PromptFileError as exc:
        return PlannedVideo(place, name, None, str(exc))


def _check_names(prompt_list: PromptList, places: Sequence[Path]) -> None:
    for name in dict.fromkeys(p.video for p in prompt_list if p.video is not None):
        meant = [place for place in places if is_meant(name, place)]
        if len(meant) > 1:
            raise PromptFileError(
                f"prompts are for {name!r}, but that is the name of {len(meant)} videos "
                f"({', '.join(map(str, meant[:2]))}); write their paths"
            )


def _name_all(places: Sequence[Path]) -> list[str]:
    stems = [portable_name(name_of(place)) for place in places]
    taken = Counter(stem.casefold() for stem in stems)  # some disks take a.tif and A.tif for one
    return [
        stem if taken[stem.casefold()] == 1 else f"{stem}-{_tag(place)}"
        for stem, place in zip(stems, places, strict=True)
    ]


def _tag(place: Path) -> str:
    return hashlib.sha256(os.fsencode(place.absolute())).hexdigest()[:8]
