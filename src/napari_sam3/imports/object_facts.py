"""What files tell of objects beside their masks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from napari_sam3.export.annotations import UNNAMED
from napari_sam3.labels.objects import ObjectTable


def read_objects(
    entries: Iterable[tuple[int, Mapping[str, Any], str | None]], raised: int = 0, first: int = 0
) -> tuple[ObjectTable, list[str]]:
    """Make a table of what a file says of objects, as `export.annotations.describe_object` says it.

    Parameters
    ----------
    entries : iterable of (id, mapping, class)
        What is said of each object, as often as it is said; the class is None where there is none.
    raised : int
        What was added to ids, and is to be added to those of mothers.
    first : int
        The number that frame 0 has in the file.

    Returns
    -------
    ObjectTable, list of str
        All that can be, and what is left out of it, in words.

    Raises
    ------
    ValueError, TypeError
        If a number is none.
    """
    names: dict[int, str] = {}
    classes: dict[int, str] = {}
    parents: dict[int, int] = {}
    begins: dict[int, int] = {}
    for obj_id, entry, class_name in entries:
        if entry.get("name"):
            names[obj_id] = str(entry["name"])
        if class_name and class_name != UNNAMED:
            classes[obj_id] = class_name
        mother = int(entry.get("mother") or 0) + raised
        if mother and entry.get("mother") is not None and entry.get("born_at"):
            parents[obj_id], begins[obj_id] = mother, int(entry["born_at"]) - first
    problems: list[str] = []
    table = ObjectTable.from_parents(
        parents, begins, names=names, classes=classes, problems=problems
    )
    return table, [f"{one}; this is left out" for one in problems]
