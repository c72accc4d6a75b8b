"""Prompts in a file: what to track, as JSON or CSV, for batches, scripts and projects."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from napari_sam3.errors import PromptFileError
from napari_sam3.plain_files import check_text, read_text
from napari_sam3.session.json_text import to_text
from napari_sam3.session.saved_prompts import (
    PromptList,
    SavedPrompt,
    prompts_from_json,
    prompts_to_json,
)
from napari_sam3.whole_files import written_whole

COLUMNS = ("video", "frame", "object", "kind", "x", "y", "x1", "y1", "label", "text")


def read_prompts(path: str | os.PathLike[str]) -> PromptList:
    """Read a file of prompts: JSON or CSV, told by its ending; or those of a project, its folder.

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
    try:
        text = check_text(read_text(file, encoding="utf-8-sig"))
    except (OSError, ValueError) as exc:
        reason = getattr(exc, "strerror", None) or exc
        raise PromptFileError(f"the prompts {str(place)!r} can't be read ({reason})") from exc
    if place.suffix.lower() == ".csv":
        return _from_csv(text, place.name)
    if place.suffix.lower() != ".json":
        raise PromptFileError(f"{str(place)!r} is no file of prompts; they are .json or .csv")
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as exc:
        raise PromptFileError(f"{str(place)!r} is no JSON ({exc})") from exc
    return prompts_from_json(data, place.name)


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


def _from_csv(text: str, name: str) -> PromptList:
    reader = csv.DictReader(io.StringIO(text), skipinitialspace=True)
    columns = [c.strip().lower() for c in reader.fieldnames or ()]
    missing = [c for c in ("frame", "kind") if c not in columns]
    unknown = [c for c in columns if c not in COLUMNS]
    if missing or unknown:
        wrong = f"has no column {missing[0]!r}" if missing else f"has a column {unknown[0]!r}"
        raise PromptFileError(f"{name} {wrong}; the columns: {', '.join(COLUMNS)}")
    reader.fieldnames = columns
    entries: dict[Any, tuple[str, dict[str, Any]]] = {}
    try:
        for row in reader:
            _add_row(entries, row, f"{name}, line {reader.line_num}")
    except csv.Error as exc:
        raise PromptFileError(f"{name}, line {reader.line_num}: {exc}") from exc
    return PromptList(SavedPrompt.from_json(data, origin) for origin, data in entries.values())


def _add_row(
    entries: dict[Any, tuple[str, dict[str, Any]]], row: dict[str, str | None], origin: str
) -> None:
    """Add a row to its object's entry on its frame; without an object it is an entry of its own."""
    cells = {key: (row.get(key) or "").strip() for key in COLUMNS}
    kind = cells["kind"].lower()
    if kind not in ("point", "box", "text"):
        raise PromptFileError(f"{origin}: kind is {cells['kind']!r}; it must be point, box or text")
    place: dict[str, Any] = {"frame": _number(cells, "frame", origin, whole=True)}
    if cells["object"]:
        place["object"] = _number(cells, "object", origin, whole=True)
    if cells["video"]:
        place["video"] = cells["video"]
    key = (*place.items(), kind == "text") if cells["object"] and kind != "text" else origin
    _, data = entries.setdefault(key, (origin, dict(place)))
    if kind == "text":
        data["text"] = cells["text"]
    elif kind == "box":
        if "box" in data:
            raise PromptFileError(
                f"{origin}: a second box of object {cells['object']} on its frame"
            )
        data["box"] = [_number(cells, c, origin) for c in ("x", "y", "x1", "y1")]
    else:
        if cells["label"] not in ("", "0", "1"):
            raise PromptFileError(
                f"{origin}: label is {cells['label']!r}; it must be 1 (on the object) or 0 (off it)"
            )
        data.setdefault("points", []).append([_number(cells, c, origin) for c in ("x", "y")])
        data.setdefault("point_labels", []).append(int(cells["label"] or 1))


def _number(cells: dict[str, str], column: str, origin: str, *, whole: bool = False) -> float:
    try:
        return int(cells[column]) if whole else float(cells[column])
    except ValueError:
        kind = "a whole number" if whole else "a number"
        raise PromptFileError(
            f"{origin}: {column} is {cells[column]!r}; it must be {kind}"
        ) from None
