"""Where the window changes what is known of objects, and keeps the layers in line with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from weakref import WeakSet

from napari.layers import Labels
from qtpy.QtCore import QObject, Signal

from napari_sam3.errors import LineageError, StoreReadOnlyError
from napari_sam3.labels.label_stack import LabelStack
from napari_sam3.labels.objects import ObjectTable
from napari_sam3.plugin.layers.features_table import make_features, table_of, take_edits


class ObjectController(QObject):
    """Changes the object tables of Labels layers, and shows them in their features.

    What a person changes in the features of a layer that was shown once is taken over.
    """

    objects_changed = Signal(object)
    """The Labels layer whose table is another one now."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._watched: WeakSet[Labels] = WeakSet()
        self._is_showing = False

    def table(self, layer: Labels) -> ObjectTable:
        """What is known of a layer's objects; to be changed by the methods here alone."""
        return table_of(layer)

    def show(self, layer: Labels) -> None:
        """Bring a layer's features in line with its objects; after results came in, too."""
        planes = planes_of(layer)
        scores = {} if planes is None else planes.mean_scores()
        features = make_features(scores, self.table(layer), known_scores(scores))
        if layer not in self._watched:
            self._watched.add(layer)
            layer.events.features.connect(self._on_features_changed)
        self._is_showing = True
        try:
            if not features.equals(layer.features):
                layer.features = features
        finally:
            self._is_showing = False

    def is_read_only(self, layer: Labels) -> bool:
        """Whether nothing can be changed: another window holds the project."""
        planes = planes_of(layer)
        return planes is not None and planes.is_read_only

    # --------------------------------------------------------------- changes

    def rename(self, layer: Labels, obj_id: int, name: str) -> None:
        """Give an object a name."""
        self._change(layer, lambda table: table.rename(obj_id, name))

    def classify(self, layer: Labels, obj_id: int, class_name: str) -> None:
        """Say what an object is."""
        self._change(layer, lambda table: table.classify(obj_id, class_name))

    def divide(
        self, layer: Labels, mother: int, daughters: Sequence[int], frame_index: int
    ) -> None:
        """Mark a division.

        Raises
        ------
        LineageError
            If it can't be.
        """
        self._change(layer, lambda table: table.mark_division(mother, daughters, frame_index))

    def undivide(self, layer: Labels, mother: int) -> None:
        """Take the mark of a division back."""
        self._change(layer, lambda table: table.unmark_division(mother))

    def remove(self, layer: Labels, obj_id: int) -> None:
        """Forget an object."""
        self._change(layer, lambda table: table.remove(obj_id))

    def renumber(self, layer: Labels, new_ids: Mapping[int, int], lost: Sequence[int] = ()) -> None:
        """Let names follow objects that have got other ids.

        Parameters
        ----------
        layer : Labels
            Where they are shown.
        new_ids : mapping of id to id
            Of those that are there still.
        lost : sequence of int
            Ids whose objects are there no more.
        """

        def change(table: ObjectTable) -> None:
            for obj_id in lost:
                table.remove(obj_id)
            table.renumber(new_ids)

        self._change(layer, change)

    def _change(self, layer: Labels, change: Any) -> None:
        if self.is_read_only(layer):
            raise StoreReadOnlyError(
                f"the objects of {layer.name!r} can't be changed: the project is open elsewhere; "
                "close it there, or save a copy"
            )
        table = self.table(layer)
        before = table.copy()
        change(table)
        if table != before:
            self.show(layer)
            self.objects_changed.emit(layer)

    def _on_features_changed(self, event: Any) -> None:
        layer = event.source
        if self._is_showing or self.is_read_only(layer):
            return
        if take_edits(self.table(layer), layer.features):
            self.objects_changed.emit(layer)


def planes_of(layer: Labels) -> LabelStack | None:
    """The (T, H, W) labels behind a layer, if they are kept as ours are."""
    planes = getattr(layer.data, "planes", layer.data)
    return planes if isinstance(planes, LabelStack) else None


def known_scores(scores: Mapping[int, float | None]) -> dict[int, float]:
    """Scores of those that have one."""
    return {obj_id: score for obj_id, score in scores.items() if score is not None}


def find_highest(layer: Labels) -> int:
    """The highest id that is shown or noted; slow where labels of a file were not read yet."""
    planes = planes_of(layer)
    noted = () if planes is None else planes.mean_scores()
    return max(int((layer.data if planes is None else planes).max()), *noted, 0)


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
        said.append(f"Daughter of {_say(table, info.mother)}.")
    if division is not None:
        born = " and ".join(_say(table, daughter) for daughter in division.daughters)
        said.append(f"Divides on frame {division.frame_index} into {born}.")
    return " ".join(said)


def _say(table: ObjectTable, obj_id: int) -> str:
    name = table[obj_id].name
    return f"{obj_id} ({name})" if name else str(obj_id)
