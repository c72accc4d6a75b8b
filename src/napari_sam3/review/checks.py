"""What a person found right, kept in a project's folder: a small file, written whole."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from napari_sam3.errors import ProjectError
from napari_sam3.projects.small_files import SmallFiles
from napari_sam3.session.json_text import to_text
from napari_sam3.values import MAX_OBJECT_ID, MOST_FRAMES

REVIEW = "review.json"
FORMAT, VERSION = "napari-sam3 review", 1


class Check(NamedTuple):
    """That a person found an object right on a frame; holds while it stays as it was there.

    Attributes
    ----------
    obj_id, frame_index : int
    area : int
        px, as it was then; 0 where it was not there.
    x, y : float
        Its centroid then, px.
    """

    obj_id: int
    frame_index: int
    area: int
    x: float
    y: float


class CheckFile:
    """The file of one project.

    Parameters
    ----------
    folder : Path
        Of the project.

    Attributes
    ----------
    problem : str or None
        What of it is lost, in words.
    """

    def __init__(self, folder: Path) -> None:
        self._files = SmallFiles(folder)
        self._is_there = (folder / REVIEW).exists()
        self.problem: str | None = None

    def load(self) -> tuple[Check, ...]:
        """What was checked; nothing where there is no such file.

        Raises
        ------
        UnsafeFileError
            If it is a link or no plain file, or too large.
        """
        if not self._is_there:
            return ()
        checks, self.problem = self._files.read(REVIEW, _parse)
        return checks or ()

    def save(self, checks: Iterable[Check]) -> None:
        """Keep what was checked.

        Raises
        ------
        ProjectError
            If it can't be written; what was there stays.
        """
        rows = [list(check) for check in checks]
        if not rows and not self._is_there:
            return
        said = {"format": FORMAT, "version": VERSION, "right": rows}
        self._files.write(REVIEW, to_text(said))
        self._is_there = True


def _parse(text: str) -> tuple[Check, ...]:
    said: Any = json.loads(text)
    if said["format"] != FORMAT:
        raise ValueError("it is no list of what was checked")
    if said["version"] > VERSION:
        raise ProjectError(f"{REVIEW} was written by a newer napari-sam3; update napari-sam3")
    return tuple(_read(*row) for row in said["right"])


def _read(obj_id: Any, frame_index: Any, area: Any, x: Any, y: Any) -> Check:
    for number, most in ((obj_id, MAX_OBJECT_ID), (frame_index, MOST_FRAMES), (area, 2**62)):
        if type(number) is not int or not 0 <= number <= most:
            raise ValueError(f"{number!r} is no number from 0 to {most}")
    place = float(x), float(y)
    if not all(map(math.isfinite, place)):
        raise ValueError(f"{place} is no place")
    return Check(obj_id, frame_index, area, *place)
