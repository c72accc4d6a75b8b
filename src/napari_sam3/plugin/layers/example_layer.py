"""The layer for the box round an example of what a detector shall find.

It is apart from the layers of prompts: what is drawn in it is no object and no prompt, whatever
model follows objects. It is not kept in a project.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from napari.layers import Shapes

from napari_sam3.plugin.layers.exemplars import EXAMPLE
from napari_sam3.plugin.layers.overlay import overlay_place
from napari_sam3.plugin.layers.prompt_layers import NEW_OBJECT, colour_prompts, shapes_style
from napari_sam3.plugin.layers.prompt_reader import prompts_from_layers
from napari_sam3.plugin.layers.stack_axes import StackAxes, check_axes
from napari_sam3.plugin.layers.transforms import layer_shape
from napari_sam3.values import FloatArray

_EXAMPLE_LAYER = "sam3_example"
"""In the layer's metadata."""


def make_example_layer(image_layer: Any, axes: StackAxes) -> Shapes:
    """Make an empty Shapes layer to draw an example in; not added to a viewer yet.

    Parameters
    ----------
    image_layer : napari Image layer
        The video.
    axes : StackAxes
        How it is read.
    """
    check_axes(image_layer, axes)
    place = overlay_place(image_layer, axes)
    style = shapes_style(min(layer_shape(image_layer)[-2:]))
    style["text"] = {**style["text"], "string": "{label}"}
    layer = Shapes(
        name=f"{image_layer.name} example",
        ndim=len(place["scale"]),
        features={"object": np.zeros(0, int), "label": np.zeros(0, object)},
        feature_defaults={"object": NEW_OBJECT, "label": EXAMPLE},
        metadata={_EXAMPLE_LAYER: True},
        **style,
        **place,
    )
    colour_prompts(layer)
    return layer


def is_example_layer(layer: Any) -> bool:
    """Whether a layer was made to draw an example in."""
    return bool(layer.metadata.get(_EXAMPLE_LAYER))


def read_example(
    layer: Shapes, image_layer: Any, axes: StackAxes, frame_index: int
) -> FloatArray | None:
    """The example on a frame, x0, y0, x1, y1 px; the one drawn last, or None if there is none.

    Raises
    ------
    LayerError
        If the image layer can't be used as a video.
    """
    read = prompts_from_layers(image_layer, axes, None, layer, current_frame=frame_index)
    boxes, _ = read.examples.get(frame_index, ([], []))
    return boxes[-1] if boxes else None


def find_replaced(layer: Shapes) -> list[int]:
    """Indices of examples in whose place another one was drawn later, on the same frame."""
    frames = [tuple(np.rint(corners[0, :-2])) for corners in layer.data]
    return [index for index, frame in enumerate(frames) if frame in frames[index + 1 :]]
