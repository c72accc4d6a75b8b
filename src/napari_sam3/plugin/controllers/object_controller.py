"""Where the window changes what is known of objects, and keeps the layers in line with it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any
from weakref import ReferenceType, WeakKeyDictionary, ref

from napari.layers import Labels
from psygnal import Signal

from napari_sam3.labels.object_info import TableChange
from napari_sam3.labels.objects import ObjectTable
from napari_sam3.plugin.controllers.commands import EditTable, name_objects
from napari_sam3.plugin.layers.features_table import make_features, table_of, take_edits
from napari_sam3.plugin.layers.label_planes import is_read_only, planes_of
from napari_sam3.plugin.model.command_history import CommandHistory


class ObjectController:
    """Changes the object tables of Labels layers, and shows them in their features.

    A layer that was shown once is kept in line with its table, whoever changes that; what a person
    changes in its features is taken over.

    Parameters
    ----------
    history_of : callable, optional
        Gives the history that changes of a layer's objects are kept in; a layer that it gives none
        for has one of its own.

    Attributes
    ----------
    objects_changed : psygnal signal of Labels
        Emitted with the layer whose objects are known as others now.
    """

    objects_changed = Signal(object)

    def __init__(
        self, history_of: Callable[[Labels], CommandHistory | None] = lambda _layer: None
    ) -> None:
        self._histories: WeakKeyDictionary[Labels, CommandHistory] = WeakKeyDictionary()
        self._history_of = history_of
        self._watched: WeakKeyDictionary[Labels, ReferenceType[ObjectTable]] = WeakKeyDictionary()
        self._is_showing = False

    def history(self, layer: Labels) -> CommandHistory:
        """Where changes of a layer's objects are kept."""
        found = self._history_of(layer)
        return self._histories.setdefault(layer, CommandHistory()) if found is None else found

    def show(self, layer: Labels) -> None:
        """Bring a layer's features in line with its objects; after results came in, too."""
        self._watch(layer)
        planes = planes_of(layer)
        scores = {} if planes is None else planes.mean_scores()
        features = make_features(scores, table_of(layer), scores)
        if features.equals(layer.features):
            return
        self._is_showing = True
        try:
            layer.features = features
        finally:
            self._is_showing = False

    # --------------------------------------------------------------- changes

    def rename(self, layer: Labels, obj_id: int, name: str) -> None:
        """Give an object a name, or none by an empty one."""
        self._edit(layer, f"rename object {obj_id}", lambda t: t.rename(obj_id, name))

    def classify(self, layer: Labels, obj_id: int, class_name: str) -> None:
        """Say what an object is, or nothing by an empty string."""
        label = f"say the class of object {obj_id}"
        self._edit(layer, label, lambda t: t.classify(obj_id, class_name))

    def recolor(self, layer: Labels, obj_ids: Iterable[int], color: str) -> None:
        """Give objects a colour, as "#ff8800"; the one of their number by an empty string."""
        self._edit_each(layer, "recolour", obj_ids, lambda t, i: t.recolor(i, color))

    def lock(self, layer: Labels, obj_ids: Iterable[int], is_locked: bool = True) -> None:
        """Keep all that is propagated, painted or edited off objects, or let it in again."""
        verb = "lock" if is_locked else "unlock"
        self._edit_each(layer, verb, obj_ids, lambda t, i: t.lock(i, is_locked))

    def accept(self, layer: Labels, obj_ids: Iterable[int]) -> None:
        """Say that objects that a text has found are what was looked for."""
        self._edit_each(layer, "accept", obj_ids, lambda t, i: t.accept(i))

    def divide(
        self, layer: Labels, mother: int, daughters: Sequence[int], frame_index: int
    ) -> None:
        """Mark a division.

        Raises
        ------
        LineageError
            If it can't be.
        """
        label = f"divide object {mother}"
        self._edit(layer, label, lambda t: t.mark_division(mother, daughters, frame_index))

    def undivide(self, layer: Labels, mother: int) -> None:
        """Take the mark of a division back."""
        label = f"take back the division of object {mother}"
        self._edit(layer, label, lambda t: t.unmark_division(mother))

    def remove(self, layer: Labels, obj_id: int) -> None:
        """Forget what is known of an object; its labels and prompts stay."""
        self._edit(layer, f"forget object {obj_id}", lambda table: table.remove(obj_id))

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

        self._edit(layer, "give objects other numbers", change)

    def _edit_each(
        self,
        layer: Labels,
        verb: str,
        obj_ids: Iterable[int],
        edit: Callable[[ObjectTable, int], object],
    ) -> None:
        numbers = sorted(set(obj_ids))

        def change(table: ObjectTable) -> None:
            for obj_id in numbers:
                edit(table, obj_id)

        if numbers:
            self._edit(layer, f"{verb} {name_objects(numbers)}", change)

    def _edit(self, layer: Labels, label: str, edit: Callable[[ObjectTable], object]) -> None:
        self._watch(layer)
        self.history(layer).do(EditTable(layer, label, edit))

    # --------------------------------------------------------------- in line

    def _watch(self, layer: Labels) -> None:
        """Hear of changes of a layer's features, and of its table, which may be another by now."""
        table, known = table_of(layer), self._watched.get(layer)
        if known is None:
            layer.events.features.connect(self._on_features_changed)
        planes = planes_of(layer)
        if planes is not None:
            planes.lock_objects(table.locked_ids)
        if known is None or known() is not table:
            self._watched[layer] = ref(table)
            # both held weakly: a table of a project may outlive the layer
            table.changed.connect(partial(self._on_table_changed, ref(layer), ref(table)))

    def _on_table_changed(
        self,
        shown_in: ReferenceType[Labels],
        changed: ReferenceType[ObjectTable],
        _change: TableChange,
    ) -> None:
        layer = shown_in()
        if layer is not None and table_of(layer) is changed():
            self.show(layer)  # and have locks hold
            self.objects_changed.emit(layer)

    def _on_features_changed(self, event: Any) -> None:
        layer = event.source
        if self._is_showing or is_read_only(layer):
            return
        features, table = layer.features, table_of(layer)
        edited = table.copy()
        take_edits(edited, features)
        if edited != table:
            self._edit(layer, "edit the table of objects", lambda t: take_edits(t, features))
