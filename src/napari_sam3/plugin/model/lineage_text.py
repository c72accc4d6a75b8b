"""Divisions of objects in the words of the window."""

from __future__ import annotations

from napari_sam3.errors import LineageError
from napari_sam3.labels.objects import ObjectTable


def parse_ids(text: str) -> list[int]:
    """Ids in a text such as "7, 8".

    Raises
    ------
    LineageError
        If it holds anything else, or nothing.
    """
    words = text.replace(",", " ").split()
    if not words or not all(word.isdecimal() for word in words):
        raise LineageError(
            f"{text!r} are no daughters; give their numbers, as in 7, 8, or click them"
        )
    return [int(word) for word in words]


def format_lineage(table: ObjectTable, obj_id: int) -> str:
    """Where an object comes from and what becomes of it, in words."""
    info, division = table[obj_id], table.division_of(obj_id)
    said = []
    if info.mother is not None:
        said.append(f"Daughter of {_format_object(table, info.mother)}.")
    if division is not None:
        born = " and ".join(_format_object(table, daughter) for daughter in division.daughters)
        said.append(f"Divides on frame {division.frame_index} into {born}.")
    return " ".join(said)


def _format_object(table: ObjectTable, obj_id: int) -> str:
    name = table[obj_id].name
    return f"{obj_id} ({name})" if name else str(obj_id)
