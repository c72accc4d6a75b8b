"""On which frames the items of prompt layers speak of which objects; nothing else of them."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from napari.layers import Image, Points
from numpy.typing import NDArray

from napari_sam3.errors import LayerError
from napari_sam3.plugin.layers.exemplars import read_examples
from napari_sam3.plugin.layers.layer_prompts import read_include, read_object_id
from napari_sam3.plugin.layers.prompt_items import PromptLayer
from napari_sam3.plugin.layers.stack_axes import StackAxes, frame_count
from napari_sam3.plugin.layers.transforms import map_outlines, map_points

MarkKind = Literal["click", "box"]


@dataclass(frozen=True)
class PromptMark:
    """All that is drawn of one object on one frame.

    Attributes
    ----------
    obj_id, frame_index : int
    kind : "click" or "box"
        A box, or another shape, if there is one among the items.
    shows : bool
        Whether some item shows the object; else all show what it is not.
    items : tuple of (layer, index)
        The items.
    said : hashable
        Equal where the same is said.
    """

    obj_id: int
    frame_index: int
    kind: MarkKind
    shows: bool
    items: tuple[tuple[PromptLayer, int], ...]
    said: Hashable


def read_marks(
    image_layer: Image, axes: StackAxes, layers: Iterable[PromptLayer]
) -> list[PromptMark]:
    """The marks of prompt layers, by object, then by frame.

    Left out are items that name no object, examples of what to look for, and layers without an
    axis for time, which speak of the frame on screen.
    """
    if axes.time is None:
        return []
    n_frames = frame_count(image_layer, axes)
    found: dict[tuple[int, int], list[tuple[PromptLayer, int, bool, bytes]]] = {}
    for layer in layers:
        if has_time(layer, image_layer, axes):
            frames = _frames_of(layer, image_layer, axes)
            for index, (frame_index, (obj_id, shows)) in enumerate(
                zip(frames, _read_features(layer), strict=True)
            ):
                if obj_id is None or not 0 <= frame_index < n_frames:
                    continue
                data = np.asarray(layer.data[index], float).tobytes()
                found.setdefault((obj_id, frame_index), []).append((layer, index, shows, data))
    marks = []
    for (obj_id, frame_index), items in sorted(found.items(), key=lambda item: item[0]):
        is_box = any(not isinstance(layer, Points) for layer, *_ in items)
        said = sorted((isinstance(layer, Points), shows, data) for layer, _, shows, data in items)
        marks.append(
            PromptMark(
                obj_id,
                frame_index,
                "box" if is_box else "click",
                any(shows for *_, shows, _ in items),
                tuple((layer, index) for layer, index, *_ in items),
                hash(tuple(said)),
            )
        )
    return marks


def has_time(layer: PromptLayer, image_layer: Image, axes: StackAxes) -> bool:
    """Whether the items of a layer lie on frames of a video."""
    return axes.time is not None and layer.ndim >= image_layer.ndim - axes.time


def moved_in_time(
    layer: PromptLayer, index: int, image_layer: Image, axes: StackAxes, frame_index: int
) -> NDArray[np.float64]:
    """Where an item has to be, to lie at the same place on another frame.

    Raises
    ------
    LayerError
        If the layer has no axis for time, or the video no such frame.
    """
    last = frame_count(image_layer, axes) - 1
    if not 0 <= frame_index <= last:
        raise LayerError(
            f"frame {frame_index} is not in {image_layer.name!r}; choose one from 0 to {last}"
        )
    if axes.time is None or not has_time(layer, image_layer, axes):
        raise LayerError(
            f"the prompts in {layer.name!r} have no time of their own: that layer has no axis for "
            "it; draw them in a layer that New prompts makes"
        )
    data = np.asarray(layer.data[index], float)
    here = map_points(layer, image_layer, data)
    there = here.copy()
    there[:, axes.time] += frame_index - np.rint(here[0, axes.time])
    shift = map_points(image_layer, layer, there) - map_points(image_layer, layer, here)
    return data + shift.reshape(data.shape)


def _frames_of(layer: PromptLayer, image_layer: Image, axes: StackAxes) -> list[int]:
    """The frame that each item lies on; -1 where it lies on none, or on several."""
    assert axes.time is not None, "asked only then"
    if isinstance(layer, Points):
        if not len(layer.data):
            return []
        times = map_points(layer, image_layer, layer.data)[:, axes.time]
        times = np.where(np.isfinite(times) & np.asarray(layer.shown, bool), np.rint(times), -1)
        return [int(time) for time in times]
    frames = []
    for placed in map_outlines(layer, image_layer, layer.data):
        times = np.rint(placed[:, axes.time])
        is_level = np.isfinite(times).all() and (times == times[0]).all()
        frames.append(int(times[0]) if is_level else -1)
    return frames


def _read_features(layer: PromptLayer) -> Iterator[tuple[int | None, bool]]:
    """The object that each item names, None if none, and whether the item shows it."""
    features: Any = layer.features
    n_items = len(features)
    objects = features["object"].tolist() if "object" in features else [None] * n_items
    labels = features["label"].tolist() if "label" in features else [True] * n_items
    for obj_id, label, example in zip(objects, labels, read_examples(layer), strict=True):
        try:
            said = (read_object_id(obj_id), read_include(label)) if example is None else None
        except ValueError:
            said = None
        yield said or (None, True)
