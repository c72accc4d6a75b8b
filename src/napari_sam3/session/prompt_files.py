"""Prompts in a file: what to track, as JSON or CSV, for batches, scripts and projects."""

from __future__ import annotations

import codecs
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

from napari_sam3.errors import PromptFileError
from napari_sam3.plain_files import MOST_TEXT, check_text, read_plain
from napari_sam3.session.json_text import to_text
from napari_sam3.session.prompt_tables import TABLE_SUFFIXES, prompts_from_table
from napari_sam3.session.saved_prompts import (
    PromptList,
    SavedPrompt,
    prompts_from_json,
    prompts_to_json,
)
from napari_sam3.whole_files import written_whole

# UTF-32 before UTF-16, whose mark it begins with
_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}


def read_prompts(path: str | os.PathLike[str]) -> PromptList:
    """Read a file of prompts, JSON or a table, told by its ending; or those of a project's folder.

    Tables are .csv, .tsv or .txt, as spreadsheets and pandas write them: with commas, semicolons or
    tabs; text is UTF-8, or what its byte order mark says.

    Raises
    ------
    PromptFileError
        If it can't be read, or something in it can't be a prompt; says which entry and field.
    """
    place = file = Path(path).expanduser()
    if place.is_dir():
        place = file = place / "prompts.json"
    elif place.is_symlink():  # the person's own, for it was named
        file = place.resolve()
    suffix = place.suffix.lower()
    try:
        text = check_text(_decode(read_plain(file, MOST_TEXT), place))
    except (OSError, ValueError) as exc:
        reason = getattr(exc, "strerror", None) or exc
        raise PromptFileError(f"the prompts {str(place)!r} can't be read ({reason})") from exc
    if suffix not in (".json", *TABLE_SUFFIXES):
        raise PromptFileError(
            f"{str(place)!r} is no file of prompts; they are .json or .csv (or a table with tabs, "
            ".tsv or .txt)"
        )
    if suffix != ".json":
        return prompts_from_table(text, place.name)
    return _from_json_text(text, place)


def read_prompt_stream(stream: BinaryIO, name: str) -> PromptList:
    """Read prompts that are in no file: JSON if they begin with a brace or bracket, else a table.

    Parameters
    ----------
    stream : binary file
        Where they come from, as `sys.stdin.buffer`; read to its end.
    name : str
        Of it, for messages.

    Raises
    ------
    PromptFileError
        As `read_prompts` does.
    """
    data = stream.read(MOST_TEXT + 1)
    if len(data) > MOST_TEXT:
        raise PromptFileError(f"{name} has over {MOST_TEXT} bytes of prompts; give them in parts")
    try:
        text = check_text(_decode(data, Path(name)))
    except ValueError as exc:
        raise PromptFileError(f"the prompts of {name} can't be read ({exc})") from exc
    if text.lstrip().startswith(("{", "[")):
        return _from_json_text(text, Path(name))
    return prompts_from_table(text, name)


def write_prompts(path: str | os.PathLike[str], prompts: Iterable[SavedPrompt]) -> None:
    """Write prompts to a file of JSON, to be used on this video or others.

    What a model answered is left out: it is of one video.

    Raises
    ------
    PromptFileError
        If it can't be written.
    """
    place = Path(path).expanduser()
    if place.suffix.lower() != ".json":
        raise PromptFileError(f"prompts are written as .json, not as {place.name!r}")
    text = to_text(prompts_to_json(prompts, with_answers=False))
    try:
        with written_whole(place) as part:
            part.write_text(text, encoding="utf-8")
    except OSError as exc:
        raise PromptFileError(f"{str(place)!r} can't be written ({exc.strerror or exc})") from exc


def _from_json_text(text: str, place: Path) -> PromptList:
    try:
        parsed = json.loads(text)
    except (ValueError, RecursionError) as exc:
        raise PromptFileError(f"{str(place)!r} is no JSON ({exc})") from exc
    return prompts_from_json(parsed, place.name)


def _decode(data: bytes, place: Path) -> str:
    mark = next((mark for mark in _MARKS if data.startswith(mark)), b"")
    try:
        return data.decode(_MARKS.get(mark, "utf-8"))
    except UnicodeDecodeError as exc:
        line = data.count(b"\n", 0, exc.start) + 1
        raise PromptFileError(
            f"the prompts {str(place)!r} can't be read: line {line} is no {exc.encoding} text; "
            'save them as UTF-8 (in Excel: "CSV UTF-8")'
        ) from exc
