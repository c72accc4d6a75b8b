"""From a path to prompts, whoever wrote them."""

from __future__ import annotations

import json
import os
from pathlib import Path

from napari_sam3.errors import PromptFileError, VideoError
from napari_sam3.imports.found_prompts import FoundPrompts
from napari_sam3.imports.open import check_path, xml_kind
from napari_sam3.session.prompt_files import read_prompts
from napari_sam3.session.saved_prompts import PromptList

_HEAD = 4096


def open_prompts(
    path: str | os.PathLike[str], *, size: tuple[int, int] | None = None
) -> PromptList:
    """Read prompts of any form that is known here.

    Parameters
    ----------
    path : path-like
        A file of prompts or a project, as `read_prompts` takes them; boxes of MOTChallenge (.txt,
        .csv); XML of CVAT (boxes of keyframes) or TrackMate (spots); a file of LabelMe (rectangles
        and points) or YOLO (boxes), or a folder of them.
    size : (height, width), optional
        Of the video: boxes of others are cut to it, and YOLO's need it where no pictures lie
        beside them.

    Raises
    ------
    PromptFileError
        If it can't be read, or holds none; says what is wrong.

    Warns
    -----
    UserWarning
        Of what is not sure, was changed, or can't be used.
    """
    try:
        found = find_prompts(path, size=size)
    except VideoError as exc:
        raise PromptFileError(str(exc)) from exc
    return read_prompts(path) if found is None else found.to_prompts(size)


def find_prompts(
    path: str | os.PathLike[str], *, size: tuple[int, int] | None = None
) -> FoundPrompts | None:
    """The boxes and points of another tool's file; None if it is a file of prompts, or nothing.

    Parameters are those of `open_prompts`.

    Raises
    ------
    VideoError
        If it is another tool's, but can't be read, or has no boxes and no points.
    """
    from napari_sam3.imports.labelme import find_labelme, read_labelme_prompts
    from napari_sam3.imports.mot import is_mot, read_mot
    from napari_sam3.imports.yolo import find_yolo, read_yolo_boxes

    place = Path(path).expanduser()
    if not place.exists() or _is_ours(place):
        return None
    place = check_path(place)
    suffix = place.suffix.lower()
    if suffix == ".xml":
        from napari_sam3.imports.cvat import read_cvat_boxes
        from napari_sam3.imports.trackmate import read_spots

        return read_cvat_boxes(place) if xml_kind(place) == "cvat" else read_spots(place)
    if suffix in (".txt", ".csv") and is_mot(place):
        return read_mot(place)
    if place.is_dir() or suffix == ".txt":
        if place.is_dir() and (drawn := find_labelme(sorted(place.glob("[!.]*.json")))):
            return read_labelme_prompts(place, drawn)
        yolo = find_yolo(place)
        return None if yolo is None else read_yolo_boxes(yolo, size=size)
    if suffix == ".json" and find_labelme([place]):
        return read_labelme_prompts(place, [place])
    return None


def _is_ours(place: Path) -> bool:
    """Whether it is a project, or begins as a file of prompts that was written here."""
    if place.is_dir():
        return (place / "prompts.json").exists()
    if place.suffix.lower() != ".json" or not place.is_file():
        return False
    with place.open("rb") as file:
        return json.dumps("napari-sam3 prompts").encode() in file.read(_HEAD)
