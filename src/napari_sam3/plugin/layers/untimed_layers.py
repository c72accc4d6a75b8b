"""Layers without a time axis: the frame that they speak of is the one shown when first read.

Such a layer is seen on every frame. What is drawn on it must not wander to another frame when the
slider has moved by the next time it is read.
"""

from __future__ import annotations

from typing import Any
from weakref import WeakKeyDictionary, ref

from napari_sam3.plugin.layers.stack_axes import StackAxes, frame_position
from napari_sam3.values import FloatArray

_frames: WeakKeyDictionary[Any, tuple[ref[Any], int]] = WeakKeyDictionary()


def position_meant(layer: Any, image_layer: Any, axes: StackAxes, current_frame: int) -> FloatArray:
    """Where the frame that a layer speaks of lies, as `frame_position` gives it.

    A layer with a time axis has its own say, item by item. An empty one is forgotten, so that
    what is drawn next means the frame shown then; so is one that is read against another video.
    """
    is_flat = axes.time is not None and layer.ndim < image_layer.ndim - axes.time
    if not is_flat or not len(layer.data):
        _frames.pop(layer, None)
        return frame_position(image_layer, axes, current_frame)
    video, frame_index = _frames.get(layer, (None, current_frame))
    if video is None or video() is not image_layer:
        frame_index = current_frame
    _frames[layer] = ref(image_layer), frame_index
    return frame_position(image_layer, axes, frame_index)
