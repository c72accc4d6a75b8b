"""Boxes, points and tracks of other tools as layers, and where layers without a scale lie."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import napari
import numpy as np
from napari.layers import Image

from napari_sam3.plugin.layers.overlay import place_over
from napari_sam3.plugin.layers.prompt_layers import (
    INCLUDE,
    colours_now,
    points_style,
    shapes_style,
)
from napari_sam3.plugin.layers.video_layer import LayerData

if TYPE_CHECKING:
    from napari_sam3.imports.found_prompts import FoundPrompt, FoundPrompts
    from napari_sam3.imports.trackmate import TrackMateFile

_CENTRE = 0.5  # napari counts from the centre of the first pixel, prompts from its corner
_SIDE = 512  # px, of a picture whose size is not known
_SHOWN = ("scale", "translate", "units", "axis_labels", "affine")


def video_in_view(size: tuple[int, int] | None = None) -> Image | None:
    """The one video of the window, on which a file lies that tells no scale; None if not sure.

    Parameters
    ----------
    size : (height, width), optional
        Of what is to lie on it.
    """
    viewer = napari.current_viewer()
    if viewer is None:
        return None
    found = [
        layer
        for layer in viewer.layers
        if isinstance(layer, Image)
        and layer.ndim == 3
        and not layer.multiscale
        and (size is None or tuple(layer.data.shape[1:3]) == tuple(size))
    ]
    return found[0] if len(found) == 1 else None


def lie_on(layer: Image | None) -> dict[str, Any]:
    """Arguments that put a layer of frames onto a video; in pixels where there is none."""
    if layer is not None:
        return place_over(layer, 3)
    return {"axis_labels": ("t", "y", "x"), "scale": (1.0, 1.0, 1.0), "units": ("pixel",) * 3}


def lie_as(arguments: dict[str, Any]) -> dict[str, Any]:
    """The same, of a layer that is described by its arguments."""
    return {name: arguments[name] for name in _SHOWN if name in arguments}


def prompt_layers(found: FoundPrompts, place: dict[str, Any]) -> list[LayerData]:
    """A Shapes layer of the boxes and a Points layer of the points, as prompts are drawn here.

    What was reckoned between is shown too.

    Parameters
    ----------
    found : FoundPrompts
        Of a file.
    place : dict
        As `lie_on` gives it.
    """
    name, layers = found.path.name.split(".")[0], list[LayerData]()
    boxes = [(one, one.box_xyxy) for one in found.found if one.box_xyxy is not None]
    if boxes:
        corners = [_corners(one.frame_index, box) for one, box in boxes]
        arguments = {**shapes_style(_SIDE), **_said([one for one, _ in boxes], "shapes"), **place}
        arguments |= {"shape_type": "rectangle", "name": f"{name} boxes"}
        layers.append((corners, arguments, "shapes"))
    points = [(one, point) for one in found.found for point in one.points_xy]
    if points:
        places = [(o.frame_index, y - _CENTRE, x - _CENTRE) for o, (x, y) in points]
        arguments = {**points_style(_SIDE), **_said([one for one, _ in points], "points"), **place}
        layers.append((np.array(places), {**arguments, "name": f"{name} clicks"}, "points"))
    return layers


def spot_layers(file: TrackMateFile, found: FoundPrompts, place: dict[str, Any]) -> list[LayerData]:
    """The tracks of TrackMate's spots with their divisions, and points where none has an outline.

    Parameters
    ----------
    file, found : TrackMateFile, FoundPrompts
        Of one file.
    place : dict
        As `lie_on` gives it.
    """
    layers: list[LayerData] = []
    name = file.path.name.split(".")[0]
    if all(spot.outline is None for _, spot in file.spots):
        radii = [(spot.radius_x + spot.radius_y) / 2 for _, spot in file.spots]
        only_points = [one._replace(box_xyxy=None) for one in found.found]
        said = type(found)(found.path, only_points, found.objects)
        ((data, arguments, kind),) = prompt_layers(said, place)
        layers.append((data, {**arguments, "size": np.maximum(2 * np.array(radii), 1)}, kind))
    tracks = file.tracks()
    ids, lengths = np.unique(tracks[:, 0], return_counts=True)
    if len(ids) and lengths.max() > 1:
        shown = {float(i) for i in ids}
        parents = file.objects.parents.items()
        graph = {child: [mother] for child, mother in parents if shown >= {child, mother}}
        features = {"id": tracks[:, 0].astype(int)}
        arguments = {"graph": graph, "features": features, "color_by": "id", **place}
        layers.append((tracks, {**arguments, "name": f"{name} tracks"}, "tracks"))
    return layers


def _said(found: Sequence[FoundPrompt], kind: Any) -> dict[str, Any]:
    """Features of prompts, and the colours that show them."""
    objects, labels = [one.obj_id for one in found], [INCLUDE] * len(found)
    features = {"object": np.array(objects), "label": np.array(labels, object)}
    return {"features": features, **colours_now(kind, objects, labels)}


def _corners(frame_index: int, box: tuple[float, float, float, float]) -> np.ndarray[Any, Any]:
    x0, y0, x1, y1 = (side - _CENTRE for side in box)
    return np.array([[frame_index, y, x] for y, x in ((y0, x0), (y0, x1), (y1, x1), (y1, x0))])
