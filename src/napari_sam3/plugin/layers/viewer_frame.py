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


def bring_into_view(
    image_layer: Image, viewer: Any, xy: tuple[float, float], room: tuple[int, int]
) -> None:
    """Move the picture so that a point of a video is seen, unless it is.

    Parameters
    ----------
    image_layer : Image
        The video.
    viewer : napari viewer
    xy : (float, float)
        In px of its frames; the centre of the top left pixel is (0.5, 0.5).
    room : (int, int)
        Width and height of what the picture is drawn in, screen px.
    """
    ahead = viewer.dims.ndim - image_layer.ndim
    place = np.asarray(image_layer.world_to_data(viewer.dims.point[ahead:]), float)
    place[-2:] = xy[1] - 0.5, xy[0] - 0.5  # napari has pixels' centres at whole numbers
    world = np.concatenate([viewer.dims.point[:ahead], image_layer.data_to_world(place)])
    camera = getattr(viewer, "scene", viewer).camera  # napari 0.9 moved it
    shown = list(viewer.dims.displayed)
    center = np.asarray(camera.center, float)
    away = np.abs(world[shown] - center[-len(shown) :])
    reach = 0.45 * np.array([room[1], room[0]]) / camera.zoom
    if (away[-2:] > reach).any():
        center[-len(shown) :] = world[shown]
        camera.center = tuple(center)
