"""Layers to draw prompts in: their features, and the colours that show these.

The border of an item has the colour of its object, the same as its label in a Labels layer; the
face is blue where it shows the object and orange where it shows what is not the object; green where
it is an example of what to look for, and red where it is none (colours that colour-blind people
tell apart). Nothing is said by colour alone: the number of the object stands beside each item, a
click on what is not the object is a square, and a shape names what it is.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from napari.layers import Labels, Points, Shapes
from numpy.typing import NDArray

from napari_sam3.labels.label_stack import LabelStack
from napari_sam3.plugin.layers.exemplars import COUNTEREXAMPLE, EXAMPLE
from napari_sam3.plugin.layers.label_look import own_colors
from napari_sam3.plugin.layers.object_colours import object_colormap
from napari_sam3.plugin.layers.overlay import overlay_labels, overlay_place
from napari_sam3.plugin.layers.stack_axes import StackAxes, check_axes, frame_count
from napari_sam3.plugin.layers.transforms import layer_shape
from napari_sam3.values import label_dtype

INCLUDE, EXCLUDE = "include", "exclude"
NEW_OBJECT = 0

# red, green, blue, alpha
_LABEL_COLOURS = {
    INCLUDE: np.array([0.0, 0.45, 0.70, 1.0]),
    EXCLUDE: np.array([0.90, 0.62, 0.0, 1.0]),
    EXAMPLE: np.array([0.0, 0.62, 0.45, 1.0]),
    COUNTEREXAMPLE: np.array([0.84, 0.37, 0.0, 1.0]),
}
_CHOSEN = "object_colors"
"""In a layer's metadata: colours that were chosen, by object."""
_SYMBOLS = {INCLUDE: "disc", EXCLUDE: "square"}
_NEW_OBJECT_COLOUR = np.ones(4)
_SHAPE_ALPHA = 0.3
# not all people tell the colours of objects apart
_TEXT = {"string": "{object}", "size": 10, "color": "white", "anchor": "upper_left"}


def make_prompt_layers(image_layer: Any, axes: StackAxes) -> tuple[Points, Shapes]:
    """Make an empty Points and an empty Shapes layer to draw prompts in.

    Both have the features `object` (0: each item a new object) and `label` ("include" or
    "exclude"), and lie on the video layer in space, time and units.

    Parameters
    ----------
    image_layer : napari Image layer
        The video.
    axes : StackAxes
        How it is read.

    Returns
    -------
    (Points, Shapes)
        Not added to a viewer yet.
    """
    check_axes(image_layer, axes)
    place = overlay_place(image_layer, axes)
    place["ndim"] = len(place["scale"])
    short_side = min(layer_shape(image_layer)[-2:])
    features = {"object": np.zeros(0, int), "label": np.zeros(0, object)}
    style = {"features": features, "feature_defaults": {"object": NEW_OBJECT, "label": INCLUDE}}
    points = Points(name=f"{image_layer.name} clicks", **points_style(short_side), **style, **place)
    shapes = Shapes(name=f"{image_layer.name} boxes", **shapes_style(short_side), **style, **place)
    colour_prompts(points)
    colour_prompts(shapes)
    return points, shapes


def make_mask_layer(image_layer: Any, axes: StackAxes) -> Labels:
    """Make a Labels layer to paint masks of objects in, before there are results.

    Parameters
    ----------
    image_layer : napari Image layer
        The video.
    axes : StackAxes
        How it is read.

    Returns
    -------
    Labels
        Empty; not added to a viewer yet.
    """
    check_axes(image_layer, axes)
    height, width = layer_shape(image_layer)[-2:]
    planes = LabelStack((frame_count(image_layer, axes), height, width), label_dtype(0))
    return Labels(
        overlay_labels(planes, image_layer, axes),
        name=f"{image_layer.name} painted",
        opacity=0.6,
        colormap=object_colormap(),
        **overlay_place(image_layer, axes),
    )


def points_style(short_side: int) -> dict[str, Any]:
    """Arguments of a Points layer of prompts, but for its colours.

    Parameters
    ----------
    short_side : int
        Of the picture, px.
    """
    return {"size": _mark_size(short_side), "border_width": 0.25, "text": dict(_TEXT)}


def shapes_style(short_side: int) -> dict[str, Any]:
    """The same for a Shapes layer."""
    width = max(1.0, _mark_size(short_side) / 4)
    text = {**_TEXT, "string": "{object} {label}"}
    return {"edge_width": width, "opacity": 0.9, "text": text}


def colours_now(
    kind: Literal["points", "shapes"], objects: Sequence[Any], labels: Sequence[Any]
) -> dict[str, NDArray[Any]]:
    """Arguments that colour items of these objects and labels, for a layer that is made of them.

    `colour_prompts` does it for those that are drawn later, too.
    """
    borders = _object_colours([_number(i) for i in objects], {})
    faces = np.array([_LABEL_COLOURS.get(str(label), np.ones(4)) for label in labels])
    if kind == "points":
        return {"border_color": borders, "face_color": faces}
    return {"edge_color": borders, "face_color": faces * (1.0, 1.0, 1.0, _SHAPE_ALPHA)}


def colour_prompts(layer: Points | Shapes) -> None:
    """Give items of a prompt layer the colours of their objects and labels, now and later on."""
    with warnings.catch_warnings():
        # ids are categories: napari guesses, and warns that it had to guess
        warnings.filterwarnings("ignore", "Feature 'object' looks like categorical")
        if isinstance(layer, Points):
            layer.border_color = "object"
            layer.face_color = "label"
            layer.face_color_cycle = dict(_LABEL_COLOURS)
            layer.face_color_mode = "cycle"
        else:
            layer.edge_color = "object"
            layer.edge_color_mode = "cycle"
            layer.face_color = "label"
            layer.face_color_mode = "cycle"
            clear = np.array([1.0, 1.0, 1.0, _SHAPE_ALPHA])
            layer.face_color_cycle_map = {label: c * clear for label, c in _LABEL_COLOURS.items()}
        _follow_objects(layer)
        layer.refresh_colors()


def set_object_colors(layer: Points | Shapes, chosen: Mapping[int, str]) -> None:
    """Give items of a prompt layer the colours that were chosen for their objects, "#rrggbb"."""
    if layer.metadata.get(_CHOSEN, {}) != chosen:
        layer.metadata[_CHOSEN] = dict(chosen)
        layer.events.features()  # heard by `_follow_objects`


def _follow_objects(layer: Points | Shapes) -> None:
    """Let a layer know the colours of the objects that items are of, or that the next will be of.

    napari takes the colours of categories as a mapping, and looks at each of them: with all that
    an object may be numbered, that would take seconds.
    """
    known: dict[int, NDArray[Any]] = {}
    chosen: dict[int, str] = {}

    def learn(layer: Points | Shapes) -> bool:
        said = [*layer.features["object"], *layer.feature_defaults["object"]]
        if chosen != layer.metadata.get(_CHOSEN, {}):
            known.clear()
            chosen.clear()
            chosen.update(layer.metadata[_CHOSEN])
        new = {_number(value) for value in said} - known.keys()
        if not new:
            return False
        known.update(zip(new, _object_colours(list(new), chosen), strict=True))
        if isinstance(layer, Points):
            layer.border_color_cycle = dict(known)
            layer.border_color_mode = "cycle"  # of many ids it guesses that they are a measure
        else:  # which takes no mapping as a cycle
            layer.edge_color_cycle_map = dict(known)
        return True

    def on_defaults_changed(event: Any) -> None:
        learn(event.source)

    def on_data_changed(event: Any) -> None:
        _mark_signs(event.source)
        if learn(event.source):  # of defaults that were edited in place, which nobody tells
            event.source.refresh_colors()

    def on_features_changed(event: Any) -> None:
        learn(event.source)
        _mark_signs(event.source)
        event.source.refresh_colors()  # napari does not when a feature is edited in the table

    learn(layer)
    layer.events.feature_defaults.connect(on_defaults_changed)
    layer.events.data.connect(on_data_changed)
    layer.events.features.connect(on_features_changed)


def _mark_signs(layer: Points | Shapes) -> None:
    """Let clicks on what is not the object be squares; symbols that a person chose stay."""
    if not isinstance(layer, Points) or len(layer.features) != len(layer.symbol):
        return
    wanted = [
        _SYMBOLS.get(str(label), symbol.value)
        if symbol.value in _SYMBOLS.values()
        else symbol.value
        for label, symbol in zip(layer.features["label"], layer.symbol, strict=True)
    ]
    if wanted != [symbol.value for symbol in layer.symbol]:
        layer.symbol = wanted


def _mark_size(short_side: int) -> float:
    return max(3.0, short_side / 40)


def _number(value: Any) -> int:
    try:
        return int(value)
    except (TypeError, ValueError):
        return NEW_OBJECT


def _object_colours(obj_ids: Sequence[int], chosen: Mapping[int, str]) -> NDArray[Any]:
    """(N, 4) colours, as the labels have them; white for none."""
    ids = np.array(obj_ids, int)
    colours = own_colors(ids, chosen)
    colours[ids == NEW_OBJECT] = _NEW_OBJECT_COLOUR
    return colours
