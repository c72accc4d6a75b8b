"""Changes that a person makes to prompts, objects and results of a video, with their inverses.

Each is given what it changes and is done by a `CommandHistory`. What has been done already, by
napari or by a propagation, is recorded there instead: the command is then made of what was there
before. Undoing a change of prompts or of the table leaves alone what others changed there since.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields, replace
from typing import Any

import numpy as np
from napari.layers import Labels, Points

from napari_sam3.errors import LayerError, StoreReadOnlyError
from napari_sam3.labels.frame_snapshot import FramesSnapshot
from napari_sam3.labels.label_stack import LabelStack
from napari_sam3.labels.object_info import ObjectInfo
from napari_sam3.labels.object_notes import ObjectNote
from napari_sam3.labels.objects import ObjectTable
from napari_sam3.plugin.controllers.relabeling import Relabeling
from napari_sam3.plugin.layers.features_table import table_of
from napari_sam3.plugin.layers.label_planes import is_read_only, planes_of
from napari_sam3.plugin.layers.prompt_items import (
    PromptItems,
    PromptLayer,
    change_items,
    delete_items,
    insert_items,
    read_items,
)
from napari_sam3.plugin.model.command_history import Command, CommandGroup, Exchange

# -------------------------------------------------------------------------- prompts


class AddPrompts(Command):
    """Draw items in a prompt layer.

    Parameters
    ----------
    layer : Points or Shapes
        Where to.
    data : sequence of array
        Points, (ndim,) each, or the corners of shapes, (N, ndim) each.
    features : mapping of column to value
        What is said of all of them; the rest is as the next item drawn by hand has it.
    shape_type : str
        Of shapes.
    """

    def __init__(
        self,
        layer: PromptLayer,
        data: Sequence[Any],
        features: Mapping[str, Any] | None = None,
        shape_type: str = "rectangle",
    ) -> None:
        self.label = f"add {_count(len(data), 'prompt')}"
        self._layer = layer
        self._data = [np.asarray(item, float) for item in data]
        self._features = dict(features or {})
        self._shape_type = shape_type
        self._indices: list[int] = []
        self._items: PromptItems | None = None  # once they were taken back

    @classmethod
    def drawn(cls, layer: PromptLayer, indices: Sequence[int]) -> AddPrompts:
        """To be recorded: items that are there already."""
        command = cls(layer, [layer.data[i] for i in indices])
        command._indices = sorted(indices)
        return command

    def do(self) -> bool:
        """Draw them, last; again, as they were and where they were."""
        if self._items is not None:
            insert_items(self._layer, self._indices, self._items)
        elif self._data:
            self._draw()
        return bool(self._indices)

    def undo(self) -> None:
        """Take them away."""
        self._items = read_items(self._layer, self._indices)
        delete_items(self._layer, self._indices)

    def _draw(self) -> None:
        layer, n_before = self._layer, len(self._layer.data)
        if any(item.shape[-1:] != (layer.ndim,) for item in self._data):
            shapes = [item.shape for item in self._data]
            raise LayerError(
                f"prompts in {layer.name!r} have {layer.ndim} coordinates each, got arrays of "
                f"{shapes}"
            )
        unknown = sorted(self._features.keys() - set(layer.features))
        if unknown:
            raise LayerError(f"the layer {layer.name!r} has no features {unknown}; add them first")
        defaults = layer.feature_defaults.copy()
        layer.feature_defaults = defaults.assign(**self._features)
        try:
            if isinstance(layer, Points):
                layer.add(np.array(self._data))
            else:
                layer.add(self._data, shape_type=self._shape_type)
            layer.selected_data = set()
        finally:
            layer.feature_defaults = defaults
        self._indices = list(range(n_before, len(layer.data)))


class RemovePrompts(Command):
    """Delete items of a prompt layer.

    Parameters
    ----------
    layer : Points or Shapes
        With the items.
    indices : sequence of int
        Which.
    items : PromptItems, optional
        Of a command to be recorded: what `read_items` said of them before they were deleted.
    """

    def __init__(
        self, layer: PromptLayer, indices: Iterable[int], items: PromptItems | None = None
    ) -> None:
        self._layer = layer
        self._indices = sorted(indices)
        self._items = items
        self.label = f"remove {_count(len(self._indices), 'prompt')}"

    def do(self) -> bool:
        """Delete them."""
        self._items = read_items(self._layer, self._indices)
        delete_items(self._layer, self._indices)
        return bool(self._indices)

    def undo(self) -> None:
        """Put them back at their places."""
        assert self._items is not None, "it was done before it is undone"
        insert_items(self._layer, self._indices, self._items)


class MovePrompt(Exchange):
    """Give items of a prompt layer other places, or other features.

    Parameters
    ----------
    layer : Points or Shapes
        With the items.
    data : mapping of index to array, optional
        Where they shall be; of a command to be recorded: where they were.
    features : mapping of column to mapping of index to value, optional
        What shall be said of them; of a command to be recorded: what was said.
    label : str
        What it does.
    """

    def __init__(
        self,
        layer: PromptLayer,
        data: Mapping[int, Any] | None = None,
        features: Mapping[str, Mapping[int, Any]] | None = None,
        label: str = "move a prompt",
    ) -> None:
        self.label = label
        self._layer = layer
        self._data = {i: np.array(item, float) for i, item in (data or {}).items()}
        self._features = {name: dict(values) for name, values in (features or {}).items()}

    def do(self) -> bool:
        """Let them change places with what is there."""
        data, features = change_items(self._layer, self._data, self._features)
        is_moved = any(not np.array_equal(item, self._data[i]) for i, item in data.items())
        is_changed = is_moved or features != self._features
        self._data, self._features = data, features
        return is_changed


# ---------------------------------------------------------------- what is known of objects


class EditTable(Command):
    """Change what is known of the objects of a layer.

    Parameters
    ----------
    layer : Labels
        Whose objects they are.
    label : str
        What it does.
    edit : callable
        Changes an `ObjectTable`.
    """

    def __init__(self, layer: Labels, label: str, edit: Callable[[ObjectTable], object]) -> None:
        self.label = label
        self._layer = layer
        self._edit = edit
        self._before = ObjectTable()
        self._after: ObjectTable | None = None  # until it is done

    def do(self) -> bool:
        """Change it; again, so that it comes to the same."""
        after = self._after
        if after is None:
            self._before = table_of(self._layer).copy()
            self._change(self._edit)
            self._after = after = table_of(self._layer).copy()
        else:
            self._change(lambda table: _carry_over(table, self._before, after))
        return self._before != after

    def undo(self) -> None:
        """Say of these objects what was said before."""
        after = self._after
        assert after is not None, "it was done before it is undone"
        self._change(lambda table: _carry_over(table, after, self._before))

    def _change(self, edit: Callable[[ObjectTable], object]) -> None:
        if is_read_only(self._layer):
            raise StoreReadOnlyError(
                f"the objects of {self._layer.name!r} can't be changed: the project is open "
                "elsewhere; close it there, or save a copy"
            )
        table = table_of(self._layer)
        before = table.copy()
        with table.as_one_change():
            try:
                edit(table)
            except BaseException:
                table.restore(before)
                raise


_SAID = [field.name for field in fields(ObjectInfo) if field.name not in ("obj_id", "mother")]


def _carry_over(table: ObjectTable, before: ObjectTable, after: ObjectTable) -> None:
    """Change a table where one copy differs from the other; what else it says stays."""
    for division in before.divisions:
        if after.division_of(division.mother) != division:
            table.unmark_division(division.mother)
    for obj_id in {*before.ids, *after.ids}:
        old, new = before[obj_id], after[obj_id]
        said = {f: getattr(new, f) for f in _SAID if getattr(old, f) != getattr(new, f)}
        if said:
            table.set(replace(table[obj_id], **said))
    for division in after.divisions:
        if before.division_of(division.mother) != division:
            table.mark_division(*division)


# -------------------------------------------------------------------------- results


class ChangeFrames(Command):
    """Change frames of results: their labels, and the notes on them.

    Undone, they are as they were before, also never processed.

    Parameters
    ----------
    layer : Labels
        Of results: its labels are a `LabelStack`.
    label : str
        What it does.
    edit : callable
        Changes the labels.
    changes_locked : bool
        Whether frames that were locked are changed too, and stay locked; else that is an error.
    """

    def __init__(
        self,
        layer: Labels,
        label: str,
        edit: Callable[[LabelStack], object] = lambda _planes: None,
        *,
        changes_locked: bool = False,
    ) -> None:
        self.label = label
        self._layer = layer
        self._edit = edit
        self._changes_locked = changes_locked
        self._other: FramesSnapshot | None = None  # until it is done

    @classmethod
    def done(
        cls, layer: Labels, label: str, before: FramesSnapshot, *, changes_locked: bool = False
    ) -> ChangeFrames:
        """To be recorded: frames that were changed already, as they were before."""
        command = cls(layer, label, changes_locked=changes_locked)
        command._keep(before)
        return command

    @property
    def frames(self) -> tuple[int, ...]:
        """The frames that are changed; empty until it is done."""
        return () if self._other is None else self._other.frames

    def do(self) -> bool:
        """Change them; again, so that it comes to the same."""
        if self._other is not None:
            self._change_places(self._other)
            return True
        planes = stack_of(self._layer)
        log = planes.log_changes()
        try:
            self._edit(planes)
        except BaseException:
            planes.restore(log.take())
            raise
        before = log.take()
        now = planes.snapshot(before.frames)
        self._keep(before.without(now))
        planes.restored.emit(self.frames)
        self._layer.refresh()
        return bool(self.frames)

    def undo(self) -> None:
        """Bring back what was there before."""
        assert self._other is not None, "it was done before it is undone"
        self._change_places(self._other)

    def _change_places(self, other: FramesSnapshot) -> None:
        planes = stack_of(self._layer)
        if not self._changes_locked:
            for frame_index in other.frames:
                check_unlocked(self._layer, planes, frame_index)
        now = planes.snapshot(other.frames)
        planes.restore(other)
        self._keep(now)
        self._layer.refresh()

    def _keep(self, other: FramesSnapshot) -> None:
        self._other, self.memory_bytes = other, other.memory_bytes


def check_unlocked(layer: Labels, planes: LabelStack, frame_index: int) -> None:
    """Refuse to change a frame that is locked.

    Raises
    ------
    LayerError
        If it is.
    """
    if planes.is_locked(frame_index):
        raise LayerError(f"frame {frame_index} of {layer.name!r} is locked; unlock it first")


def draw_over(
    layer: Labels,
    planes: LabelStack,
    frame_index: int,
    labels: Any,
    notes: Mapping[int, ObjectNote],
) -> None:
    """Draw a frame as a whole, a locked one too; it stays locked.

    Raises
    ------
    LayerError
        If it was painted in and nobody has heard of that.
    """
    if planes.is_edited(frame_index):
        raise LayerError(
            f"frame {frame_index} of {layer.name!r} was painted in and that was not "
            "taken over yet; press Segment frame first"
        )
    is_locked = planes.is_locked(frame_index)
    planes.lock(frame_index, False)
    try:
        planes.draw(frame_index, labels, notes)
    finally:
        planes.lock(frame_index, is_locked)


class LockFrame(Command):
    """Keep propagations off a frame, or let them in again."""

    def __init__(self, layer: Labels, frame_index: int, is_locked: bool = True) -> None:
        self.label = f"{'lock' if is_locked else 'unlock'} frame {frame_index}"
        self._layer = layer
        self._frame_index = frame_index
        self._is_locked = is_locked

    def do(self) -> bool:
        """Lock it, or unlock it."""
        planes = stack_of(self._layer)
        is_changed = planes.is_locked(self._frame_index) != self._is_locked
        planes.lock(self._frame_index, self._is_locked)
        return is_changed

    def undo(self) -> None:
        """The other way."""
        stack_of(self._layer).lock(self._frame_index, not self._is_locked)


def stack_of(layer: Labels) -> LabelStack:
    """The (T, H, W) labels of a layer of results.

    Raises
    ------
    LayerError
        If it has others.
    """
    planes = planes_of(layer)
    if planes is None:
        raise LayerError(
            f"the labels of {layer.name!r} are a plain array, whose frames can't be locked or "
            "drawn anew; choose a layer of results, or open the labels from a file"
        )
    return planes


# -------------------------------------------------------------------- whole objects


class Relabel(CommandGroup):
    """Give objects other ids, as planned: in labels, notes, prompts, and what is known of them.

    To be done at once: it is made of how things are now. On locked frames the objects have other
    ids, too; they stay locked.

    Parameters
    ----------
    layer : Labels
        Of results.
    plan : Relabeling
        What becomes of whom.
    renamed : iterable of (layer, mapping of index to id)
        Prompts that are another object's then.
    frames : Command, optional
        What has changed the frames already; they are changed by this if left out.
    """

    def __init__(
        self,
        layer: Labels,
        plan: Relabeling,
        renamed: Iterable[tuple[PromptLayer, Mapping[int, int]]] = (),
        frames: Command | None = None,
    ) -> None:
        def draw(planes: LabelStack) -> None:
            for frame_index in plan.frames:
                relabel_frame(layer, planes, plan, frame_index)

        changed = frames or ChangeFrames(layer, plan.label, draw, changes_locked=True)
        moved = [MovePrompt(one, features={"object": named}) for one, named in renamed if named]
        super().__init__(
            plan.label, [EditTable(layer, plan.label, plan.edit_table), *moved, changed]
        )


def relabel_frame(layer: Labels, planes: LabelStack, plan: Relabeling, frame_index: int) -> None:
    """Draw one frame as a plan says; from any thread."""
    drawn = plan.edit(frame_index, planes[frame_index], planes.notes(frame_index))
    draw_over(layer, planes, frame_index, *drawn)


def name_objects(obj_ids: Sequence[int]) -> str:
    """Objects in words: "object 2", "objects 2 and 3", "5 objects"."""
    if len(obj_ids) == 1:
        return f"object {obj_ids[0]}"
    if len(obj_ids) == 2:
        return f"objects {obj_ids[0]} and {obj_ids[1]}"
    return f"{len(obj_ids)} objects"


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
