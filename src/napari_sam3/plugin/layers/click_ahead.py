"""What the layers would say after one more click."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from napari.layers import Image, Points
from numpy.typing import ArrayLike

from napari_sam3.plugin.layers.layer_prompts import (
    LayerPrompt,
    TargetPrompts,
    read_include,
    read_object_id,
)
from napari_sam3.plugin.layers.stack_axes import StackAxes, frame_position
from napari_sam3.plugin.layers.transforms import api_points, layer_shape, map_points


def click_at(
    world_point: ArrayLike,
    points_layer: Points,
    image_layer: Image,
    axes: StackAxes,
    target: TargetPrompts,
) -> LayerPrompt | None:
    """What would be said of the object in hand on the frame on screen; nothing is changed.

    Parameters
    ----------
    world_point : (ndim,) array_like
        Where the click would be.
    points_layer : Points layer
        It would be added to; its defaults say of which object, and whether it shows it.
    image_layer, axes
        The video and how it is read.
    target : TargetPrompts
        What the layers say, with the frame on screen.

    Returns
    -------
    LayerPrompt or None
        None where it would not be a prompt, as beside the picture.
    """
    here = points_layer.world_to_data(np.asarray(world_point, float))
    # with the others, as they will be read: alone it might differ in the last bit
    data = np.append(points_layer.data, np.atleast_2d(here), axis=0)
    position = frame_position(image_layer, axes, target.text_frame)
    placed = map_points(points_layer, image_layer, data, position)[-1]
    point = api_points(placed[None, -2:])
    height, width = layer_shape(image_layer)[-2:]
    if not ((point >= 0) & (point < (width, height))).all():
        return None
    defaults = points_layer.feature_defaults
    said: Mapping[str, Any] = {name: defaults[name].iloc[0] for name in defaults.columns}
    try:
        obj_id = read_object_id(said.get("object"))
        shows = read_include(said.get("label", True))
    except ValueError:
        return None
    if obj_id is None:  # each click is of an object of its own
        obj_id = max((i for _, i in target.objects), default=0) + 1
    key = (target.text_frame, obj_id)
    before = target.objects.get(key) or LayerPrompt(*key)
    return replace(
        before,
        points_xy=np.concatenate([before.points_xy, point]),
        point_labels=np.append(before.point_labels, shows),
    )
