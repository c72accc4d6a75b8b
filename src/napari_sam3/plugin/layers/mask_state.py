"""Masks that a person painted as prompts, in a layer of their own: kept, and brought back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image, Labels

from napari_sam3.labels.label_stack import LabelStack
from napari_sam3.plugin.layers.layer_roles import MASKS
from napari_sam3.plugin.layers.overlay import labels_on_frame
from napari_sam3.plugin.layers.stack_axes import StackAxes
from napari_sam3.session.run_lengths import decode_runs, run_lengths
from napari_sam3.values import LABEL_DTYPE, ObjectMask

if TYPE_CHECKING:
    from napari_sam3.projects import Project


_MOST_DIGITS = 10  # of a frame's number


def describe_masks(
    layer: Labels, image_layer: Image, axes: StackAxes, frames: Iterable[int]
) -> dict[str, Any]:
    """What is painted on the frames where it was a prompt, in values that JSON knows."""
    told: dict[str, dict[str, Any]] = {}
    for frame_index in sorted(set(frames)):
        plane = labels_on_frame(image_layer, axes, layer, frame_index)
        found = {}
        for label in np.unique(plane[plane > 0]).tolist():
            mask = ObjectMask.from_mask(plane == label)
            assert mask is not None, "the label is there"
            x0, y0, _, _ = mask.bbox
            found[str(label)] = run_lengths(mask.crop, x0, y0, mask.size)
        told[str(frame_index)] = found
    return {"role": MASKS, "name": str(layer.name), "frames": told}


def masks_entry(project: Project) -> Mapping[str, Any] | None:
    """What was told of such a layer; None if there was none."""
    entries = project.layers.get("layers")
    for entry in entries if isinstance(entries, list) else ():
        if isinstance(entry, dict) and entry.get("role") == MASKS:
            return entry
    return None


def masked_frames(project: Project) -> frozenset[int]:
    """Frames on which its labels were prompts."""
    entry = masks_entry(project)
    frames = {} if entry is None else entry.get("frames")
    if not isinstance(frames, dict):
        return frozenset()
    return frozenset(int(n) for n in frames if n.isdecimal() and len(n) < _MOST_DIGITS)


def draw_masks(told: Mapping[str, Any], shape: tuple[int, int, int]) -> LabelStack:
    """Labels as `describe_masks` has told them.

    Raises
    ------
    KeyError, TypeError, ValueError
        If they can't be understood.
    """
    planes = LabelStack(shape, LABEL_DTYPE)
    for number, masks in told["frames"].items():
        plane = np.zeros(shape[1:], planes.dtype)
        for label, counts in masks.items():
            plane[decode_runs(counts, (shape[1], shape[2]))] = int(label)
        frame_index = int(number)
        if not 0 <= frame_index < shape[0]:
            raise ValueError(f"there is no frame {frame_index}")
        planes.draw(frame_index, plane)
    return planes
