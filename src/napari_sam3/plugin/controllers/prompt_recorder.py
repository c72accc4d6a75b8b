"""What a person does in one layer of prompts, as commands that can be undone."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any

import numpy as np
from napari.layers import Points

from napari_sam3.plugin.controllers.commands import AddPrompts, MovePrompt, RemovePrompts
from napari_sam3.plugin.layers.exemplars import COUNTEREXAMPLE, EXAMPLE
from napari_sam3.plugin.layers.layer_prompts import read_object_id
from napari_sam3.plugin.layers.prompt_items import PromptItems, PromptLayer, read_items
from napari_sam3.plugin.layers.prompt_layers import EXCLUDE
from napari_sam3.plugin.model.command_history import Command, CommandGroup


class PromptRecorder:
    """Follows the items of a layer, and makes a command of each change.

    Parameters
    ----------
    layer : Points or Shapes
        With prompts.
    record : callable
        Called with the command of each change.
    """

    def __init__(self, layer: PromptLayer, record: Callable[[Command], object]) -> None:
        self.layer = layer
        self._record = record
        self._known = read_items(layer)
        layer.events.data.connect(self._on_data)
        layer.events.features.connect(self._on_features)

    def close(self) -> None:
        """Let go of the layer."""
        self.layer.events.data.disconnect(self._on_data)
        self.layer.events.features.disconnect(self._on_features)

    def _on_data(self, event: Any) -> None:
        # what comes before a change: "adding", "changing", "removing"
        if not str(getattr(event, "action", "")).endswith("ing"):
            self._take()

    def _on_features(self, _event: Any) -> None:
        # while items come and go, data and features differ for a moment
        if len(self.layer.data) == len(self.layer.features) == len(self._known.data):
            self._take()

    def _take(self) -> None:
        before, self._known = self._known, read_items(self.layer)
        command = find_change(self.layer, before, self._known)
        if command is not None:
            self._record(command)


def find_change(layer: PromptLayer, before: PromptItems, now: PromptItems) -> Command | None:
    """The command that has made of the items of a layer what they are now; None if none has."""
    old, new = _keys(before), _keys(now)
    if old == new:
        said = _find_said(before, now)
        indices = sorted({i for values in said.values() for i in values})
        return (
            _named(MovePrompt(layer, features=said), layer, indices, now, "change ")
            if said
            else None
        )
    n_old, n_new = len(old), len(new)
    kept = _find_kept(new, old) if n_new < n_old else _find_kept(old, new)
    if n_new != n_old and kept is not None:
        others = sorted(set(range(max(n_old, n_new))) - set(kept))
        if n_new > n_old:
            return _named(AddPrompts.drawn(layer, others), layer, others, now)
        gone = RemovePrompts(layer, others, before.take(others))
        return _named(gone, layer, others, before, "remove ")
    changed = [i for i in range(n_old) if old[i : i + 1] != new[i : i + 1]]
    if n_new == n_old and all(old[i][0] == new[i][0] for i in changed):
        command = MovePrompt(layer, {i: before.data[i] for i in changed}, _find_said(before, now))
        return _named(command, layer, changed, now, "move ")
    # another kind of shape, or all of them at once
    gone_ids = changed if n_new == n_old else range(n_old)
    come = changed if n_new == n_old else range(n_new)
    replaced = [
        RemovePrompts(layer, gone_ids, before.take(list(gone_ids))),
        AddPrompts.drawn(layer, list(come)),
    ]
    return _named(CommandGroup("", replaced), layer, list(come), now, "change ")


def _find_said(before: PromptItems, now: PromptItems) -> dict[str, dict[int, Any]]:
    """What was said of items of which something else is said now, by column."""
    said: dict[str, dict[int, Any]] = {}
    for name in set(before.features) & set(now.features):
        pairs = zip(before.features[name], now.features[name], strict=True)
        values = {i: old for i, (old, new) in enumerate(pairs) if not _is_same(old, new)}
        if values:
            said[name] = values
    return said


def _named(
    command: Command,
    layer: PromptLayer,
    indices: Sequence[int],
    items: PromptItems,
    verb: str = "",
) -> Command:
    """The command, called by what it does to which items."""
    if len(indices) == 1:
        command.label = verb + _describe(layer, indices[0], items)
    else:
        command.label = f"{verb or 'add '}{len(indices)} prompts"
    return command


def _describe(layer: PromptLayer, index: int, items: PromptItems) -> str:
    """An item in words: "click on object 2"."""
    row = items.features.iloc[index]
    try:
        obj_id = read_object_id(row.get("object"))
    except ValueError:
        obj_id = None
    whom = f"object {obj_id}" if obj_id else "a new object"
    if isinstance(layer, Points):
        return f"click {'off' if row.get('label') == EXCLUDE else 'on'} {whom}"
    kind = str(items.look["shape_type"][index])
    if row.get("label") in (EXAMPLE, COUNTEREXAMPLE):
        return "example box"
    words = {"rectangle": "box round", "line": "scribble on", "path": "scribble on"}
    return f"{words.get(kind, 'outline of')} {whom}"


def _keys(items: PromptItems) -> list[tuple[Hashable, bytes]]:
    """What tells each item: its kind, and where it is."""
    kinds = items.look.get("shape_type", [""] * len(items.data))
    places = (np.asarray(item, float).tobytes() for item in items.data)
    return list(zip(map(str, kinds), places, strict=True))


def _find_kept(few: Sequence[Hashable], many: Sequence[Hashable]) -> list[int] | None:
    """Where the few are among the many, in their order; None if they are not."""
    found: list[int] = []
    for one in few:
        try:
            found.append(many.index(one, found[-1] + 1 if found else 0))
        except ValueError:
            return None
    return found


def _is_same(one: Any, other: Any) -> bool:
    return bool(one is other or one == other or (one != one and other != other))
