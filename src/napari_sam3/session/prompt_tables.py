"""Prompts in a table, as people, spreadsheets and pandas write it."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

from napari_sam3.errors import PromptFileError
from napari_sam3.session.saved_prompts import PromptList, SavedPrompt

COLUMNS = ("video", "frame", "object", "kind", "x", "y", "x1", "y1", "label", "text")
TABLE_SUFFIXES = frozenset({".csv", ".tsv", ".txt"})

_NEEDED = ("frame", "kind")
_DELIMITERS = ",;\t"
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)(e[+-]?[0-9]+)?", re.IGNORECASE)
_DECIMAL_COMMA = re.compile(r"[+-]?[0-9]*,([0-9]+)")

Row = dict[str, str]


def prompts_from_table(text: str, name: str) -> PromptList:
    """Read a table with the columns of `COLUMNS`; which of its signs parts them the head tells.

    Empty rows are passed over. Whole numbers may be written as 1.0, others with a decimal comma
    where it is sure that it is one.

    Parameters
    ----------
    text : str
        The table.
    name : str
        Of the file, for messages.

    Raises
    ------
    PromptFileError
        If it is something else; says which line and column is wrong.
    """
    table = _Table(text, name)
    entries: dict[Any, tuple[str, dict[str, Any]]] = {}
    for origin, cells in table.rows():
        _add_row(entries, _Cells(cells, origin, has_commas=table.has_decimal_commas))
    return PromptList(SavedPrompt.from_json(data, origin) for origin, data in entries.values())


class _Table:
    """The rows of a table, as text.

    Attributes
    ----------
    has_decimal_commas : bool
        Whether a comma in a number can be nothing but a decimal one.
    """

    def __init__(self, text: str, name: str) -> None:
        self._name = name
        text = io.StringIO(text, newline=None).read()  # one kind of line ends
        lines = text.split("\n")
        # a hint that Excel takes in a line of its own
        self._skipped = 1 if re.fullmatch(r"\s*\"?sep=.\"?\s*", lines[0].lower()) else 0
        head = next((line for line in lines[self._skipped :] if line.strip(_DELIMITERS + " ")), "")
        delimiter = max(_DELIMITERS, key=lambda sign: len(_known(_split(head, sign))))
        self.has_decimal_commas = delimiter == ";"
        body = text.split("\n", 1)[-1] if self._skipped else text
        self._reader = csv.reader(io.StringIO(body), delimiter=delimiter, skipinitialspace=True)
        self._columns: list[str] = []

    def rows(self) -> Iterator[tuple[str, Row]]:
        """Where each row stands, and its cells by column."""
        counted: list[str] = []
        try:
            for cells in self._reader:
                origin = f"{self._name}, line {self._reader.line_num + self._skipped}"
                cells = [cell.strip() for cell in cells]
                if not any(cells):
                    continue
                if not self._columns:
                    self._columns = self._check_head([cell.lower() for cell in cells])
                    continue
                beyond = cells[len(self._columns) :]
                if any(beyond):
                    raise PromptFileError(
                        f"{origin}: there are {len(cells)} cells for {len(self._columns)} columns, "
                        f"beginning with {beyond[0]!r}; a number with a decimal comma must be "
                        "quoted, or its columns parted by semicolons"
                    )
                row = dict(zip(self._columns, cells, strict=False))
                counted.append(row.pop("", ""))
                yield origin, row
        except csv.Error as exc:
            line = self._reader.line_num + self._skipped
            raise PromptFileError(f"{self._name}, line {line}: {exc}") from exc
        self._check_head(self._columns)
        self._check_unnamed(counted)

    def _check_head(self, columns: list[str]) -> list[str]:
        missing = [c for c in _NEEDED if c not in columns]
        # pandas writes the numbers of its rows in a first column without a name
        if columns[:1] == ["unnamed: 0"]:
            columns = ["", *columns[1:]]
        while columns and not columns[-1]:
            columns = columns[:-1]
        unknown = [c for n, c in enumerate(columns) if c not in COLUMNS and (c or n)]
        twice = [c for c in columns if columns.count(c) > 1]
        if missing or unknown or twice:
            wrong = (
                f"has no column {missing[0]!r}"
                if missing
                else f"has a column {unknown[0]!r}"
                if unknown
                else f"has the column {twice[0]!r} twice"
            )
            raise PromptFileError(
                f"{self._name} {wrong}; prompts are .json or .csv, with the columns "
                f"{', '.join(COLUMNS)}, parted by commas, semicolons or tabs"
            )
        return columns

    def _check_unnamed(self, cells: Sequence[str]) -> None:
        """Let a column without a name be only if it is empty, or counts the rows."""
        numbers = [int(cell) if re.fullmatch("[0-9]+", cell) else -1 for cell in cells]
        counts = all(a < b for a, b in pairwise([-1, *numbers]))
        if any(cells) and not counts:
            raise PromptFileError(
                f"{self._name} has a first column without a name ({cells[0]!r}, ...); give it one "
                f"of the names {', '.join(COLUMNS)}, or leave it out"
            )


class _Cells:
    """The cells of a row while they are read."""

    def __init__(self, cells: Row, origin: str, *, has_commas: bool) -> None:
        self._cells, self.origin, self._has_commas = cells, origin, has_commas

    def __getitem__(self, column: str) -> str:
        return self._cells.get(column, "")

    def number(self, column: str) -> float:
        """A number, with a decimal comma where that is sure."""
        text = self[column]
        comma = _DECIMAL_COMMA.fullmatch(text)
        if comma and not self._has_commas and len(comma[1]) == 3:
            raise self.wrong(
                column, "say whether the comma is a decimal one: write a point or none"
            )
        if comma:
            text = text.replace(",", ".")
        if not _NUMBER.fullmatch(text):
            raise self.wrong(column, "it must be a number (points and boxes are finite numbers)")
        return float(text)

    def whole(self, column: str) -> int:
        """A whole number, which may be written as 1.0."""
        text = self[column]
        if re.fullmatch("[+-]?[0-9]+", text):
            return int(text)
        number = self.number(column) if _NUMBER.match(text) else 0.5
        if not number.is_integer():
            raise self.wrong(column, "it must be a whole number")
        return int(number)

    def wrong(self, column: str, form: str) -> PromptFileError:
        """What is said of a cell that can't be."""
        return PromptFileError(f"{self.origin}: {column} is {self[column]!r}; {form}")


def _add_row(entries: dict[Any, tuple[str, dict[str, Any]]], cells: _Cells) -> None:
    """Add a row to its object's entry on its frame; without an object it is an entry of its own."""
    origin = cells.origin
    kind = cells["kind"].lower()
    if kind not in ("point", "box", "text"):
        raise cells.wrong("kind", "it must be point, box or text")
    place: dict[str, Any] = {"frame": cells.whole("frame")}
    if cells["object"]:
        place["object"] = cells.whole("object")
    if cells["video"]:
        place["video"] = cells["video"]
    label = cells.whole("label") if cells["label"][:1].isdigit() else cells["label"] or 1
    if label not in (0, 1):
        raise cells.wrong("label", "it must be 1 (on the object) or 0 (off it)")
    if not label and kind != "point":
        raise cells.wrong("label", f"a {kind} can only say what is meant (1); 0 is for points")
    key = (*place.items(), kind == "text") if cells["object"] and kind != "text" else origin
    _, data = entries.setdefault(key, (origin, dict(place)))
    if kind == "text":
        data["text"] = cells["text"]
    elif kind == "box":
        if "box" in data:
            raise PromptFileError(
                f"{origin}: a second box of object {cells['object']} on its frame"
            )
        data["box"] = [cells.number(c) for c in ("x", "y", "x1", "y1")]
    else:
        data.setdefault("points", []).append([cells.number(c) for c in ("x", "y")])
        data.setdefault("point_labels", []).append(label)


def _split(line: str, delimiter: str) -> list[str]:
    row = next(csv.reader([line], delimiter=delimiter, skipinitialspace=True), [])
    return [cell.strip().lower() for cell in row]


def _known(columns: Sequence[str]) -> set[str]:
    return set(columns).intersection(COLUMNS)
