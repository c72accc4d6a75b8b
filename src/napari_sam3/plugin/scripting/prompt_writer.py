"""Prompts of a script, drawn into layers as a person draws them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import numpy as np
from napari.layers import Image, Labels, Shapes

from napari_sam3.errors import LayerError
from napari_sam3.labels.label_stack import LabelStack
from napari_sam3.plugin.controllers.commands import AddPrompts
from napari_sam3.plugin.controllers.session_controller import SessionController
from napari_sam3.plugin.controllers.tracking_controller import TrackingController
from napari_sam3.plugin.layers.exemplars import COUNTEREXAMPLE, EXAMPLE
from napari_sam3.plugin.layers.layer_prompts import Skipped, TargetPrompts
from napari_sam3.plugin.layers.overlay import overlay_labels, overlay_place
from napari_sam3.plugin.layers.prompt_items import delete_items, find_names
from napari_sam3.plugin.layers.prompt_layers import EXCLUDE, INCLUDE, NEW_OBJECT
from napari_sam3.plugin.layers.prompt_reader import prompts_from_layers
from napari_sam3.plugin.layers.prompt_snapshot import name_objects, read_prompts
from napari_sam3.plugin.layers.stack_axes import StackAxes, frame_count, frame_position
from napari_sam3.plugin.layers.transforms import layer_shape, map_points, napari_points
from napari_sam3.plugin.model.command_history import Command
from napari_sam3.session.saved_prompts import SavedPrompt
from napari_sam3.session.validation import PromptCall
from napari_sam3.values import LABEL_DTYPE, BoolArray, FloatArray

_EDGE = 1e-3  # px; a click on the far edge of the last pixel is one on that pixel

Undo = Callable[[], object]


class PromptWriter:
    """Draws a script's prompts for one video layer where the state says that prompts are.

    Where a dock shows the same video the state is the dock's, so that both go by the same.

    Parameters
    ----------
    tracking : TrackingController
        Makes the layers and reads them.
    image_layer, axes
        The video layer and how it is read.
    """

    def __init__(self, tracking: TrackingController, image_layer: Image, axes: StackAxes) -> None:
        self.axes = axes
        self.mask_frames: set[int] = set()
        self._tracking, self._state = tracking, tracking.state
        self._image = image_layer
        self._own_masks: Labels | None = None
        self._removed: set[int] = set()

    # --------------------------------------------------------------- layers

    def choose(self, **layers: Any) -> None:
        """Go by these layers from now on: `points`, `boxes`, `masks`; None keeps what is."""
        for name, layer in layers.items():
            if layer is None:
                continue
            if layer not in self._tracking.viewer.layers:
                self._tracking.viewer.add_layer(layer)
            setattr(self._state, name, layer)

    def _click_layers(self) -> tuple[Any, Any]:
        state = self._state
        if state.points is None or state.boxes is None:
            tracked = state.tracked(self._image)
            made = tracked.prompt_layers_in(self._tracking.viewer.layers)
            points, shapes = made or self._tracking.chosen.make_prompt_layers(self.axes)
            self.choose(points=state.points or points, boxes=state.boxes or shapes)
        return state.points, state.boxes

    def _mask_layer(self) -> Labels:
        masks = self._state.masks
        if masks is None:
            size = layer_shape(self._image)[-2:]
            shape = (frame_count(self._image, self.axes), size[0], size[1])
            masks = Labels(
                overlay_labels(LabelStack(shape, LABEL_DTYPE), self._image, self.axes),
                name=f"{self._image.name} masks",
                opacity=0.5,
                **overlay_place(self._image, self.axes),
            )
            self._own_masks = masks
            self._state.tracked(self._image).carried.add(masks)
            self.choose(masks=masks)
        if masks is not self._own_masks:
            raise LayerError(
                f"masks are read from the layer {masks.name!r}, which is yours; paint it there, or "
                "hand over all masks by add_prompt"
            )
        return masks

    # --------------------------------------------------------------- drawing

    def ids_named(self) -> set[int]:
        """Ids that the layers name."""
        named: set[int] = set()
        for layer in self._state.layers_of_prompts:
            named |= find_names(layer)
        if self._state.masks is not None and self.mask_frames:
            read = self._read_masks(self.mask_frames)
            named |= {key[1] for key in read.objects}
        return named

    def draw(self, call: PromptCall, obj_id: int) -> Undo:
        """Draw what was said of an object on a frame.

        Returns
        -------
        callable
            Takes it off the layers again.
        """
        undo: list[Undo] = []
        if len(call.points_xy) or len(call.boxes_xyxy):
            points, shapes = self._click_layers()
            height, width = layer_shape(self._image)[-2:]
            inside = np.minimum(call.points_xy, (width - _EDGE, height - _EDGE))
            for is_on, label in ((True, INCLUDE), (False, EXCLUDE)):
                some = inside[call.point_labels == is_on]
                if len(some):
                    undo.append(self._add(points, call.frame_index, some, obj_id, label))
            undo += [
                self._add(shapes, call.frame_index, _corners(box), obj_id)
                for box in call.boxes_xyxy
            ]
        if call.mask is not None:
            undo.append(self._paint(call.frame_index, call.mask, obj_id))

        def take_back() -> None:
            for step in reversed(undo):
                step()

        return take_back

    def draw_kept(self, prompts: Iterable[SavedPrompt]) -> None:
        """Draw prompts of an earlier session; what a concept found is not drawn."""
        for prompt in prompts:
            if prompt.is_concept:
                self._state.texts += () if prompt.text is None else (prompt.text,)
                for box, shows_it in zip(prompt.boxes_xyxy, prompt.box_labels, strict=True):
                    _, shapes = self._click_layers()
                    label = EXAMPLE if shows_it else COUNTEREXAMPLE
                    self._add(shapes, prompt.frame_index, _corners(box), NEW_OBJECT, label)
            elif prompt.obj_id is not None and not prompt.is_found:
                boxes = np.zeros((0, 4)) if prompt.box_xyxy is None else prompt.box_xyxy[None]
                mask = None if prompt.mask is None else prompt.mask.mask
                said = prompt.points_xy, prompt.point_labels, boxes, np.ones(len(boxes), bool), mask
                call = PromptCall(prompt.frame_index, None, *said, prompt.obj_id, False, False)
                self.draw(call, prompt.obj_id)

    def search(self, text: str) -> Undo:
        """Look for what a text names."""
        before, state = self._state.texts, self._state
        if text not in before:
            state.texts = (*before, text)
        return lambda: setattr(state, "texts", before)

    def take_back(self, frame_index: int, obj_id: int) -> bool:
        """Take all that was said of an object on a frame off the layers; whether it was there."""
        read = prompts_from_layers(
            self._image, self.axes, self._state.points, self._state.boxes, current_frame=frame_index
        )
        found = False
        for prompt in read:
            if (prompt.frame_index, prompt.obj_id) != (frame_index, obj_id):
                continue
            found = True
            for kind, layer in (("points", self._state.points), ("shapes", self._state.boxes)):
                items = {source.index for source in prompt.sources if source.kind == kind}
                if items and layer is not None:
                    delete_items(layer, items)
        return self._wipe(obj_id, [frame_index]) or found

    def remove(self, obj_id: int) -> Command:
        """Take an object off the masks; gives what is done, so that it can be undone."""
        self._wipe(obj_id, list(self.mask_frames))
        # a layer of the person's own stays as it is painted
        removed = _ForgetMasks(self._removed, obj_id)
        removed.do()
        return removed

    def _add(
        self,
        layer: Any,
        frame_index: int,
        points_xy: FloatArray,
        obj_id: int,
        label: str = INCLUDE,
    ) -> Undo:
        n_before = len(layer.data)
        if "object" not in layer.features:
            name_objects(layer, set(self.ids_named()))
        if "label" not in layer.features:
            layer.features = layer.features.assign(label=[INCLUDE] * n_before)
        position = frame_position(self._image, self.axes, frame_index)
        here = np.tile(position, (len(points_xy), 1))
        here[:, -2:] = napari_points(points_xy)
        places = map_points(self._image, layer, here)
        said = {"object": obj_id, "label": label}
        added = AddPrompts(layer, [places] if isinstance(layer, Shapes) else [*places], said)
        added.do()
        return added.undo

    def _paint(self, frame_index: int, mask: BoolArray, obj_id: int) -> Undo:
        layer = self._mask_layer()
        planes = layer.data
        key = self._frame_key(frame_index)
        before = np.array(planes[key])
        after = before.copy()
        after[mask] = obj_id
        was_prompt = frame_index in self.mask_frames

        def write(frame: Any, is_prompt: bool) -> None:
            planes[key] = frame
            (self.mask_frames.add if is_prompt else self.mask_frames.discard)(frame_index)
            layer.refresh()

        write(after, True)
        return lambda: write(before, was_prompt)

    def _frame_key(self, frame_index: int) -> tuple[Any, ...]:
        """A frame in a Labels layer that lies on the video as ours do."""
        first = self.axes.time if self.axes.time is not None else -1
        between = [self.axes.fixed.get(axis, 0) for axis in range(first + 1, self._image.ndim - 2)]
        return (frame_index, *between, slice(None), slice(None))

    def _wipe(self, obj_id: int, frames: Iterable[int]) -> bool:
        layer, found = self._own_masks, False
        for frame_index in () if layer is None else frames:
            assert layer is not None, "nothing to go through else"
            key = self._frame_key(frame_index)
            plane = np.array(layer.data[key])
            if frame_index in self.mask_frames and (plane == obj_id).any():
                plane[plane == obj_id] = 0
                layer.data[key] = plane
                layer.refresh()
                found = True
        return found

    # --------------------------------------------------------------- reading

    def read(
        self, frame_index: int
    ) -> tuple[SessionController, TargetPrompts, tuple[Skipped, ...]]:
        """The session, all prompts that shall hold, and the items drawn that are none."""
        session, target, skipped = self._tracking.prompts.read(
            frame_index,
            mask_frames=self.mask_frames,
            ids_in_use=self.ids_named(),
            takes_screen=False,
        )
        objects = {key: p for key, p in target.objects.items() if key[1] not in self._removed}
        return session, replace(target, objects=objects), skipped

    def _read_masks(self, frames: Iterable[int]) -> TargetPrompts:
        wanted, _ = read_prompts(
            self._image,
            self.axes,
            labels_layer=self._state.masks,
            mask_frames=frames,
            takes_screen=False,
        )
        return wanted


class _ForgetMasks(Command):
    """Take no mask of an object for a prompt."""

    label = "forget masks"

    def __init__(self, forgotten: set[int], obj_id: int) -> None:
        self._forgotten, self._obj_id = forgotten, obj_id

    def do(self) -> bool:
        self._forgotten.add(self._obj_id)
        return True

    def undo(self) -> None:
        self._forgotten.discard(self._obj_id)


def _corners(box_xyxy: FloatArray) -> FloatArray:
    x0, y0, x1, y1 = box_xyxy
    return np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)])
