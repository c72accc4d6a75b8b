"""What files tell of objects beside their masks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from napari_sam3.export.annotations import UNNAMED
from napari_sam3.labels.objects import ObjectTable


class Hearsay:
    """Gathers what a file says of objects, in the words of `export.annotations.describe_object`.

    Attributes
    ----------
    problems : list of str
        What could not be used of it; known after `table`.
    """

    def __init__(self) -> None:
        self.problems: list[str] = []
        self._names: dict[int, str] = {}
        self._classes: dict[int, str] = {}
        self._parents: dict[int, int] = {}
        self._begins: dict[int, int] = {}

    def hear(self, obj_id: int, said: Mapping[str, Any], class_name: str | None = None) -> None:
        """Take note of what is said of an object.

        Raises
        ------
        ValueError, TypeError
            If a number is none.
        """
        if said.get("name"):
            self._names[obj_id] = str(said["name"])
        if class_name and class_name != UNNAMED:
            self._classes[obj_id] = class_name
        if said.get("mother") and said.get("born_at"):
            self._parents[obj_id] = int(said["mother"])
            self._begins[obj_id] = int(said["born_at"])

    def table(self) -> ObjectTable:
        """All that was heard and can be."""
        return ObjectTable.from_parents(
            self._parents,
            self._begins,
            names=self._names,
            classes=self._classes,
            problems=self.problems,
        )
