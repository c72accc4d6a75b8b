"""Which frame of a video a viewer shows."""

from __future__ import annotations

from typing import Any

import numpy as np
from napari.layers import Image

from napari_sam3.plugin.layers.stack_axes import StackAxes
from napari_sam3.plugin.layers.transforms import world_to_indices


def frame_on_screen(image_layer: Image, axes: StackAxes, viewer: Any) -> int:
    """The frame of a video layer that a viewer shows."""
    if axes.time is None:
        return 0
    return world_to_indices(image_layer, viewer.dims.point)[axes.time]


def show_frame(image_layer: Image, axes: StackAxes, viewer: Any, frame_index: int) -> None:
    """Turn a viewer to a frame of a video layer."""
    if axes.time is None:
        return
    ahead = viewer.dims.ndim - image_layer.ndim  # layers are lined up at their last axes
    place = np.asarray(image_layer.world_to_data(viewer.dims.point[ahead:]), float)
    place[axes.time] = frame_index
    world = image_layer.data_to_world(place)
    viewer.dims.set_point(ahead + axes.time, float(world[axes.time]))
