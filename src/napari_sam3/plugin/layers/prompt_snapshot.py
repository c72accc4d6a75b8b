"""All that the layers and fields say at one moment, read in the GUI thread."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from napari.layers import Image, Labels, Points, Shapes

from napari_sam3.plugin.layers.exemplars import join_text, read_examples
from napari_sam3.plugin.layers.layer_prompts import (
    LayerPrompt,
    Painting,
    Skipped,
    TargetPrompts,
)
from napari_sam3.plugin.layers.prompt_items import find_names
from napari_sam3.plugin.layers.prompt_reader import prompts_from_labels, prompts_from_layers
from napari_sam3.plugin.layers.stack_axes import StackAxes
from napari_sam3.values import BoolArray


def read_prompts(
    image_layer: Image,
    axes: StackAxes,
    points_layer: Points | None = None,
    shapes_layer: Shapes | None = None,
    labels_layer: Labels | None = None,
    *,
    texts: Sequence[str] = (),
    current_frame: int = 0,
    mask_frames: Iterable[int] = (),
    painted: Mapping[tuple[int, int], BoolArray] | None = None,
    told: Callable[[tuple[int, int]], LayerPrompt | None] = lambda _key: None,
    current_object: int = 0,
    ids_in_use: Iterable[int] = (),
    takes_screen: bool = True,
) -> tuple[TargetPrompts, tuple[Skipped, ...]]:
    """Read layers and text as the prompts that shall hold.

    Items that name no object get an id of their own, written into their layer's feature
    `object`, so that they mean the same object when they are read again.

    Parameters
    ----------
    image_layer, axes
        The video layer and how it is read.
    points_layer, shapes_layer, labels_layer : layers, optional
        Where prompts are drawn.
    texts : sequence of str
        What to look for.
    current_frame : int
        The frame on screen: labels painted on it are prompts.
    mask_frames : iterable of int
        Further frames whose painted labels are prompts, having been so before.
    painted : mapping of (frame index, object id) to (H, W) bool, optional
        Masks of objects that were corrected by painting among the results.
    told : callable
        What results show: the prompt of a frame index and an object id as it was read last.
    current_object : int
        The object of points whose layer does not say one; 0: a new one each.
    ids_in_use : iterable of int
        Ids that new objects must not get.
    takes_screen : bool
        Whether labels painted on the frame on screen are prompts; else those of `mask_frames` are.

    Returns
    -------
    (TargetPrompts, tuple of Skipped)
        The prompts, and the items that are none.
    """
    taken = {int(i) for i in ids_in_use}
    if labels_layer is not None:
        taken.update(_labels_painted(labels_layer, image_layer, axes, current_frame))
    for layer in (points_layer, shapes_layer):
        if layer is not None:
            taken.update(find_names(layer))
    if points_layer is not None:
        name_objects(points_layer, taken, current_object)
    if shapes_layer is not None:
        name_objects(shapes_layer, taken)
    read = prompts_from_layers(
        image_layer, axes, points_layer, shapes_layer, current_frame=current_frame
    )
    skipped, found = list(read.skipped), read.examples
    objects = {(p.frame_index, p.obj_id): p for p in read}
    if labels_layer is not None:
        on_screen = {current_frame} if takes_screen else set()
        for frame_index in sorted({*on_screen, *mask_frames}):
            read = prompts_from_labels(image_layer, axes, labels_layer, frame_index)
            skipped.extend(read.skipped)
            for prompt in read:
                key = (frame_index, prompt.obj_id)
                objects[key] = _join(objects.get(key), prompt)
    for (frame_index, obj_id), mask in (painted or {}).items():
        key = (frame_index, obj_id)
        drawn = objects.get(key) or LayerPrompt(frame_index, obj_id)
        objects[key] = _paint_over(drawn, mask, told(key))
    exemplars, texts = join_text(found, tuple(texts))
    return TargetPrompts(objects, texts, current_frame, exemplars), tuple(skipped)


def name_objects(layer: Points | Shapes, taken: set[int], current_object: int = 0) -> None:
    """Give each item without an object one: `current_object` in a layer without the feature.

    Parameters
    ----------
    layer : Points or Shapes layer
        Its feature `object` is completed.
    taken : set of int
        Ids in use; those given out are added.
    current_object : int
        For the items of a layer that has no feature `object`; 0: a new one each.
    """
    n_items = len(layer.data)
    features = layer.features
    if "object" not in features:
        features = features.assign(object=np.full(n_items, current_object, int))
    objects = features["object"].tolist()
    named = list(objects)
    for index, (value, shows) in enumerate(zip(objects, read_examples(layer), strict=True)):
        if _is_unnamed(value) and shows is None:
            named[index] = max(taken, default=0) + 1
            taken.add(named[index])
    if named != objects or "object" not in layer.features:
        defaults = layer.feature_defaults.copy()
        if "object" not in defaults:
            defaults = defaults.assign(object=current_object)
        layer.features = features.assign(object=named)
        layer.feature_defaults = defaults


def describe_skipped(skipped: Iterable[Skipped]) -> str:
    """One message for items that are no prompts; empty if there are none."""
    lines = [f"{s.source.kind[:-1]} {s.source.index}: {s.reason}" for s in skipped]
    if not lines:
        return ""
    more = f"\n... and {len(lines) - 5} more" if len(lines) > 5 else ""
    return "Left out, for they are no prompts:\n" + "\n".join(lines[:5]) + more


def _join(drawn: LayerPrompt | None, painted: LayerPrompt) -> LayerPrompt:
    if drawn is None:
        return painted
    mask = painted.mask
    if drawn.mask is not None and mask is not None:
        mask = mask | drawn.mask
    return replace(drawn, mask=mask, sources=(*drawn.sources, *painted.sources))


def _paint_over(drawn: LayerPrompt, painted: BoolArray, told: LayerPrompt | None) -> LayerPrompt:
    """Let what was painted among results have its say about what was drawn before it."""
    before = None if told is None else told.drawn
    if told is not None and told.painting is not None:
        if not told.painting.is_known:
            before = drawn.mask  # all that is there now was there then
        elif told.painting.mask is not None and np.array_equal(told.painting.mask, painted):
            before = told.painting.drawn_before  # not painted in since
    mask = painted
    if drawn.mask is not None:
        mask = painted | (drawn.mask if before is None else drawn.mask & ~before)
    return replace(drawn, mask=mask, painting=Painting(painted, drawn.mask, before))


def _labels_painted(
    labels_layer: Labels, image_layer: Image, axes: StackAxes, frame_index: int
) -> set[int]:
    painted = prompts_from_labels(image_layer, axes, labels_layer, frame_index)
    return {p.obj_id for p in painted}


def _is_unnamed(value: Any) -> bool:
    return bool(pd.isna(value)) or str(value).strip() in ("", "0", "0.0")
