"""How prompt layers are drawn, as plain values for a file, and back.

Layers that were made here look as their features say, so little has to be kept of them; of a layer
of the person's own, colours and sizes are kept too.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from napari.layers import Layer, Points, Shapes

from napari_sam3.plugin.layers.prompt_layers import colours_now, points_style, shapes_style
from napari_sam3.plugin.layers.video_layer import LayerData

_COLOUR_DIGITS = 4
_LOOK = ("face_color", "border_color", "edge_color", "edge_width", "size", "symbol")


def describe_place(layer: Layer) -> dict[str, Any]:
    """Name, place in the world and look of any layer, in values that JSON knows."""
    place: dict[str, Any] = {
        "name": str(layer.name),
        "scale": [float(v) for v in layer.scale],
        "translate": [float(v) for v in layer.translate],
        "units": [str(unit) for unit in layer.units],
        "axis_labels": [str(label) for label in layer.axis_labels],
        "opacity": float(layer.opacity),
        "visible": bool(layer.visible),
        "blending": str(layer.blending),
    }
    affine = np.asarray(layer.affine.affine_matrix, float)
    if not np.array_equal(affine, np.eye(len(affine))):
        place["affine"] = affine.tolist()
    if np.any(layer.rotate != np.eye(layer.ndim)):
        place["rotate"] = np.asarray(layer.rotate, float).tolist()
    if np.any(layer.shear):
        place["shear"] = [float(v) for v in layer.shear]
    return place


def describe_prompt_layer(layer: Points | Shapes, *, is_made_here: bool) -> dict[str, Any]:
    """All of a Points or Shapes layer that is needed to draw it again."""
    told: dict[str, Any] = {
        "type": "points" if isinstance(layer, Points) else "shapes",
        "made_here": is_made_here,
        "ndim": int(layer.ndim),
        "data": _items(layer),
        "features": {
            str(name): [_plain(value) for value in layer.features[name].tolist()]
            for name in layer.features.columns
        },
        "feature_defaults": {
            str(name): _plain(layer.feature_defaults[name].iloc[0])
            for name in layer.feature_defaults.columns
        },
        "place": describe_place(layer),
    }
    if isinstance(layer, Points):
        if not np.all(layer.shown):
            told["shown"] = [bool(value) for value in np.atleast_1d(layer.shown)]
    else:
        told["shape_type"] = [str(kind) for kind in layer.shape_type]
    if not is_made_here:
        told["look"] = _describe_look(layer)
    return told


def prompt_layer_data(told: Mapping[str, Any], short_side: int) -> LayerData:
    """A layer as `describe_prompt_layer` has told it, for napari to make.

    Parameters
    ----------
    told : mapping
        What was told.
    short_side : int
        Of the picture, px.

    Raises
    ------
    KeyError, TypeError, ValueError
        If it can't be understood.
    """
    kind = told["type"]
    if kind not in ("points", "shapes"):
        raise ValueError(f"{kind!r} is no kind of prompt layer")
    ndim = int(told["ndim"])
    data = [np.asarray(item, float) for item in told["data"]]
    if any(item.shape[-1:] != (ndim,) for item in data):
        raise ValueError(f"a prompt has not the {ndim} coordinates of its layer")
    arguments: dict[str, Any] = {
        **place_arguments(told["place"]),
        "ndim": ndim,
        "features": _features(told["features"], len(data)),
        "feature_defaults": dict(told["feature_defaults"]),
    }
    if told["made_here"]:
        style = points_style if kind == "points" else shapes_style
        arguments = {**style(short_side), **arguments}
        if data:
            told_features = told["features"]
            unknown = [None] * len(data)
            arguments |= colours_now(
                kind, told_features.get("object", unknown), told_features.get("label", unknown)
            )
    else:
        look = told.get("look", {})
        arguments.update({name: look[name] for name in _LOOK if name in look})
    if kind == "points":
        if "shown" in told:
            arguments["shown"] = np.asarray(told["shown"], bool)
        return np.asarray(data, float).reshape(-1, ndim), arguments, "points"
    if data:
        arguments["shape_type"] = list(told["shape_type"])
    return data or None, arguments, "shapes"


def place_arguments(place: Mapping[str, Any]) -> dict[str, Any]:
    """What `describe_place` told, as arguments of a layer; what is unknown is left out."""
    known = ("name", "scale", "translate", "units", "axis_labels", "opacity", "visible")
    arguments = {name: place[name] for name in (*known, "blending", "shear") if name in place}
    for name in ("affine", "rotate"):
        if name in place:
            arguments[name] = np.asarray(place[name], float)
    for name in ("scale", "translate", "shear", "affine", "rotate"):
        if name in arguments and not np.isfinite(np.asarray(arguments[name], float)).all():
            raise ValueError(f"{name} is {place[name]}")
    if "scale" in arguments and not np.all(arguments["scale"]):
        raise ValueError(f"scale is {place['scale']}")
    return arguments


def _features(told: Mapping[str, Any], n_items: int) -> pd.DataFrame:
    columns = {}
    for name, values in told.items():
        if len(values) != n_items:
            raise ValueError(f"the feature {name!r} has {len(values)} values for {n_items} items")
        whole = all(isinstance(v, int) and not isinstance(v, bool) for v in values)
        columns[name] = np.asarray(values, int if whole and name == "object" else object)
        if not whole or name != "object":
            columns[name] = pd.Series(values).to_numpy() if values else columns[name]
    return pd.DataFrame(columns, index=range(n_items))


def _describe_look(layer: Points | Shapes) -> dict[str, Any]:
    look: dict[str, Any] = {"face_color": _colours(layer.face_color)}
    if isinstance(layer, Points):
        look["size"] = [float(v) for v in np.atleast_1d(layer.size)]
        look["border_color"] = _colours(layer.border_color)
        look["symbol"] = [str(symbol) for symbol in layer.symbol]
    else:
        look["edge_color"] = _colours(layer.edge_color)
        look["edge_width"] = [float(v) for v in layer.edge_width]
    # of an empty layer there is nothing to tell
    return {name: values for name, values in look.items() if len(values)}


def _colours(colours: Any) -> list[list[float]]:
    return np.round(np.asarray(colours, float), _COLOUR_DIGITS).tolist()


def _items(layer: Points | Shapes) -> list[Any]:
    """Coordinates of each item; of many points in one go, for the window waits for it."""
    if isinstance(layer, Points):
        return np.asarray(layer.data, float).tolist()
    return [np.asarray(item, float).tolist() for item in layer.data]


def _plain(value: Any) -> Any:
    """A feature's value in a type that JSON knows; nothing where there is none."""
    value = value.item() if isinstance(value, np.generic) else value
    if value is None or (pd.api.types.is_scalar(value) and pd.isna(value)):
        return None
    return value if isinstance(value, bool | int | float | str) else str(value)
