"""Items of prompt layers taken out and put back as they were, at their old places."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from napari.layers import Layer, Points, Shapes
from napari.layers.base import ActionType
from numpy.typing import NDArray

from napari_sam3.errors import LayerError
from napari_sam3.plugin.layers.exemplars import read_examples
from napari_sam3.plugin.layers.layer_prompts import read_object_id

PromptLayer: TypeAlias = Points | Shapes

# attributes that have one value an item; colours follow the features unless they were chosen
_POINTS_LOOK = ("size", "symbol", "border_width", "shown")
_SHAPES_LOOK = ("shape_type", "edge_width", "z_index")
_POINTS_COLOURS = ("border_color", "face_color")
_SHAPES_COLOURS = ("edge_color", "face_color")


@dataclass(frozen=True, eq=False)
class PromptItems:
    """Points or shapes with all that a layer knows of them.

    Attributes
    ----------
    data : list of array
        A point, or the corners of a shape.
    features : DataFrame
        A row an item.
    look : mapping of attribute to list
        Sizes, shape types, colours and the like, a value an item.
    """

    data: list[NDArray[Any]]
    features: pd.DataFrame
    look: Mapping[str, list[Any]]

    def take(self, indices: Sequence[int]) -> PromptItems:
        """Some of them, in this order."""
        return PromptItems(
            [self.data[i] for i in indices],
            self.features.iloc[list(indices)],
            {name: [values[i] for i in indices] for name, values in self.look.items()},
        )

    def join(self, other: PromptItems) -> PromptItems:
        """These and others; of these are the columns of the features."""
        return PromptItems(
            [*self.data, *other.data],
            pd.concat([self.features, other.features[list(self.features)]], ignore_index=True),
            {name: [*values, *other.look[name]] for name, values in self.look.items()},
        )


def find_items(layer: PromptLayer, obj_id: int) -> list[int]:
    """Indices of the items that belong to an object."""
    return [i for i, named in enumerate(_names(layer)) if named == obj_id]


def count_items(layer: PromptLayer) -> Counter[int]:
    """How many items each object has; examples and those of no object are not counted."""
    return Counter(name for name in _names(layer) if name is not None and name > 0)


def find_names(layer: PromptLayer) -> set[int]:
    """Ids of objects that the items of a layer name; an example of what to look for names none."""
    named = zip(_names(layer), read_examples(layer), strict=False)  # it may name none at all
    return {name for name, shows in named if name is not None and shows is None}


def item_under(layer: PromptLayer, event: Any) -> int | None:
    """Index of the item under the mouse; None where there is none."""
    return value_under(layer, event, 0)  # of shapes: the shape, and its corner


def value_under(layer: Layer, event: Any, part: int) -> int | None:
    """The value of a layer under the mouse, None where there is none; of several this part."""
    value: Any = layer.get_value(
        event.position,
        view_direction=event.view_direction,
        dims_displayed=list(event.dims_displayed),
        world=True,
    )
    if isinstance(value, tuple):
        value = value[part]
    return None if value is None else int(value)


def object_of(layer: PromptLayer, index: int) -> int | None:
    """The object that an item says it belongs to; None where it says none."""
    names = _names(layer)
    return names[index] if names else None


def read_items(layer: PromptLayer, indices: Iterable[int] | None = None) -> PromptItems:
    """What a layer knows of some items, or of all.

    Raises
    ------
    LayerError
        If there are no such items.
    """
    is_points = isinstance(layer, Points)
    looks = _POINTS_LOOK if is_points else _SHAPES_LOOK
    colours = _POINTS_COLOURS if is_points else _SHAPES_COLOURS
    items = PromptItems(
        [np.array(item) for item in layer.data],
        layer.features,
        {name: list(getattr(layer, name)) for name in (*looks, *colours)},
    )
    if indices is None:
        return items
    chosen = list(indices)
    _check_indices(layer, chosen, len(items.data))
    return items.take(chosen)


def delete_items(layer: PromptLayer, indices: Iterable[int]) -> None:
    """Delete items; what the next one gets stays as it is chosen.

    Raises
    ------
    LayerError
        If there are no such items.
    """
    chosen = set(indices)
    if not chosen:
        return
    _check_indices(layer, chosen, len(layer.data))
    defaults = layer.feature_defaults.copy()
    layer.selected_data = chosen
    layer.remove_selected()
    layer.feature_defaults = defaults  # which follow the selection


def drop_spare_features(layer: PromptLayer) -> bool:
    """Forget what is said of items that are not there; gives whether there was anything."""
    n_items = len(layer.data)
    if len(layer.features) <= n_items:
        return False
    defaults = layer.feature_defaults.copy()
    layer.features = layer.features.iloc[:n_items]
    layer.feature_defaults = defaults  # which are guessed anew of the rows that are left
    return True


def insert_items(layer: PromptLayer, indices: Sequence[int], items: PromptItems) -> None:
    """Put items into a layer, so that they have these indices there; nothing is selected then.

    Parameters
    ----------
    layer : Points or Shapes
        May have got other features since; those that the items lack are as for a new item.
    indices : sequence of int
        Rising.
    items : PromptItems
        As read from this layer.

    Raises
    ------
    LayerError
        If too few other items are left for these places.
    """
    there = read_items(layer)
    order = list(range(len(there.data)))
    _check_indices(layer, indices, len(order) + len(indices))
    for place, index in enumerate(indices, len(order)):
        order.insert(index, place)
    new = [name for name in layer.features if name not in items.features]
    missing = {name: layer.feature_defaults[name].iloc[0] for name in new}
    completed = replace(items, features=items.features.assign(**missing))
    _write(layer, there.join(completed).take(order), ActionType.ADDED, indices)


def change_items(
    layer: PromptLayer,
    data: Mapping[int, NDArray[Any]],
    features: Mapping[str, Mapping[int, Any]],
) -> tuple[dict[int, NDArray[Any]], dict[str, dict[int, Any]]]:
    """Give items other places or other features; nothing is selected then, if they are moved.

    Parameters
    ----------
    layer : Points or Shapes
        With the items.
    data : mapping of index to array
        Where they are.
    features : mapping of column to mapping of index to value
        What is said of them.

    Returns
    -------
    (data, features)
        What was there before, likewise.

    Raises
    ------
    LayerError
        If there are no such items or features.
    """
    there = read_items(layer)
    indices = sorted({*data, *(index for values in features.values() for index in values)})
    _check_indices(layer, indices, len(there.data))
    columns = {}
    for name, values in features.items():
        if name not in there.features:
            raise LayerError(f"the layer {layer.name!r} has no feature {name!r}; add it first")
        columns[name] = [values.get(i, old) for i, old in enumerate(there.features[name])]
    places = [data.get(i, old) for i, old in enumerate(there.data)]
    changed = replace(there, data=places, features=there.features.assign(**columns))
    if data:
        _write(layer, changed, ActionType.CHANGED, indices)
    else:
        _write_features(layer, changed.features)
    said = {name: {i: there.features[name].iloc[i] for i in on} for name, on in features.items()}
    return {i: there.data[i] for i in data}, said


def _write(
    layer: PromptLayer, items: PromptItems, action: ActionType, indices: Sequence[int]
) -> None:
    """Have these items and no others in a layer, and say so once it is done."""
    with layer.events.data.blocker(), layer.events.features.blocker():
        defaults = layer.feature_defaults.copy()
        layer.selected_data = set()
        if isinstance(layer, Points):
            _write_points(layer, items)
        else:
            if layer.nshapes:
                layer.selected_data = set(range(layer.nshapes))
                layer.remove_selected()
            layer.add(items.data, **items.look)
        layer.feature_defaults = defaults  # which follow the selection
    _write_features(layer, items.features)
    layer.events.data(
        value=layer.data, action=action, data_indices=tuple(indices), vertex_indices=((),)
    )


def _write_features(layer: PromptLayer, features: pd.DataFrame) -> None:
    defaults = layer.feature_defaults.copy()
    layer.features = features.reset_index(drop=True)
    layer.feature_defaults = defaults
    layer.refresh_colors()


def _write_points(layer: Points, items: PromptItems) -> None:
    layer.data = np.array(items.data)
    for name in _POINTS_LOOK:
        setattr(layer, name, items.look[name])
    for name in _POINTS_COLOURS:
        if str(getattr(layer, f"{name}_mode")) == "direct":
            setattr(layer, name, np.array(items.look[name]))


def _check_indices(layer: PromptLayer, indices: Iterable[int], n_items: int) -> None:
    if not all(0 <= index < n_items for index in indices):
        raise LayerError(
            f"the prompts in {layer.name!r} are others than they were: there are no items "
            f"{sorted(indices)} among {n_items}; change them there"
        )


def _names(layer: PromptLayer) -> list[int | None]:
    """The object that each item says it belongs to; None where it says none."""
    features: Any = layer.features
    values = features["object"].tolist() if "object" in features else ()
    return [_read_name(value) for value in values]


def _read_name(value: Any) -> int | None:
    try:
        return read_object_id(value)
    except ValueError:
        return None
