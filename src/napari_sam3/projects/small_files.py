"""The small files of a project: written whole or not at all, the one before kept."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from napari_sam3.errors import ProjectError, UnsafeFileError
from napari_sam3.plain_files import check_text, copy_plain, is_plain, read_text
from napari_sam3.whole_files import explain_refusal, written_whole

T = TypeVar("T")

BACKUP, DAMAGED = ".bak", ".damaged"

# what reading text or JSON that is damaged, or was made to do harm, raises
DAMAGE = (OSError, ValueError, LookupError, TypeError, RecursionError, ArithmeticError)


class SmallFiles:
    """The text files of one project.

    Parameters
    ----------
    folder : Path
        Of the project.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._written: dict[str, str] = {}
        self._damaged: set[str] = set()
        self._waiting: dict[str, str] = {}  # could not be written

    def read(self, name: str, parse: Callable[[str], T]) -> tuple[T | None, str | None]:
        """Read a file, or else the one before it.

        Parameters
        ----------
        name : str
            Of the file, in the folder.
        parse : callable
            From its text to what it says; raises one of `DAMAGE` if it can't be.

        Returns
        -------
        parsed : object or None
            None if neither is there, or neither can be understood.
        problem : str or None
            What is lost, in words; None if nothing is.

        Raises
        ------
        UnsafeFileError
            If it is a link or no plain file, or larger than what `write` writes.
        """
        place = self.folder / name
        try:
            text = check_text(read_text(place))
            parsed = parse(text)
        except FileNotFoundError:
            wrong = "is missing"
        except (ProjectError, UnsafeFileError):
            raise
        except DAMAGE as exc:
            wrong = f"is damaged ({_reason(exc)})"
            self._damaged.add(name)
        else:
            self._written[name] = text
            return parsed, None
        try:
            parsed = parse(check_text(read_text(place.with_name(name + BACKUP))))
        except UnsafeFileError:
            raise
        except DAMAGE:
            return None, f"{name} {wrong}"
        return parsed, f"{name} {wrong}; the one saved before it was taken, the last change is lost"

    def write(self, name: str, text: str) -> None:
        """Write a file; the one before stays as its backup, a damaged one under another name.

        Raises
        ------
        ProjectError
            If it can't be written; what was there stays, and `write_waiting` tries again.
        """
        place = self.folder / name
        if self._written.get(name) == text and is_plain(place):
            self._waiting.pop(name, None)
            return
        try:
            check_text(text)
        except ValueError as exc:
            raise ProjectError(
                f"{str(place)!r} can't be written, since it could not be read again ({exc}); "
                "divide the work among several projects. What was saved before is still there"
            ) from exc
        try:
            with written_whole(place) as part:
                with part.open("w", encoding="utf-8", newline="") as file:
                    file.write(text)
                    file.flush()
                    os.fsync(file.fileno())  # before anything that is there is touched
                if name in self._damaged:
                    set_aside(place)
                    self._damaged.discard(name)
                elif os.path.lexists(place):
                    copy_plain(place, place.with_name(name + BACKUP))
        except OSError as exc:
            self._waiting[name] = text
            raise ProjectError(
                f"{str(place)!r} can't be written ({explain_refusal(place, exc)}); check the "
                "folder's rights and the room on the disk. What was saved before is still there"
            ) from exc
        self._written[name] = text
        self._waiting.pop(name, None)

    def put_off(self, name: str, text: str) -> None:
        """Leave a file to `write_waiting`."""
        self._waiting[name] = text

    def write_waiting(self, other: SmallFiles | None = None) -> None:
        """Write what could not be written before: here, or in another folder.

        Raises
        ------
        ProjectError
            If it can't be.
        """
        for name, text in list(self._waiting.items()):
            (other or self).write(name, text)

    def keep_copy(self, name: str, copy: str) -> None:
        """Keep a file as it is under another name; one that is there already is not replaced.

        Raises
        ------
        ProjectError
            If it can't be written.
        """
        if os.path.lexists(self.folder / copy) or not is_plain(self.folder / name):
            return
        try:
            copy_plain(self.folder / name, self.folder / copy)
        except OSError as exc:
            raise ProjectError(
                f"{name!r} can't be copied to {copy!r} ({exc.strerror or exc}); check the room on "
                "the disk"
            ) from exc

    def mark_damaged(self, name: str) -> None:
        """Have the file as it is kept, under another name, when it is written next."""
        self._damaged.add(name)


def set_aside(place: Path) -> Path | None:
    """Keep a damaged file or folder under another name; None if there is none.

    Raises
    ------
    OSError
        If it can't be renamed.
    """
    if not os.path.lexists(place):
        return None
    number, kept = 1, place.with_name(place.name + DAMAGED)
    while os.path.lexists(kept):
        number += 1
        kept = place.with_name(f"{place.name}{DAMAGED}-{number}")
    place.rename(kept)
    return kept


def _reason(exc: Exception) -> str:
    return str(getattr(exc, "strerror", None) or exc or type(exc).__name__)[:200]
