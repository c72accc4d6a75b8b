"""The tool in hand: which layer and mode it means, and what the mouse does with it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from napari.layers import Image, Labels, Layer, Points, Shapes
from napari.utils.notifications import show_warning
from qtpy.QtCore import QTimer

from napari_sam3.errors import LayerError, Sam3Error, UnsupportedPromptError
from napari_sam3.plugin.controllers.drawn_shapes import DrawnShapes
from napari_sam3.plugin.controllers.object_picker import is_picking, label_under
from napari_sam3.plugin.controllers.project_snapshot import hold_view
from napari_sam3.plugin.controllers.tracking_controller import TrackingController, controllers_in
from napari_sam3.plugin.layers.example_layer import make_example_layer
from napari_sam3.plugin.layers.label_planes import planes_of
from napari_sam3.plugin.layers.prompt_items import find_names, item_under, object_of
from napari_sam3.plugin.layers.prompt_layers import (
    EXCLUDE,
    INCLUDE,
    make_mask_layer,
    make_prompt_layers,
)
from napari_sam3.plugin.model.app_state import Outcome
from napari_sam3.plugin.model.connections import Connections
from napari_sam3.plugin.model.tools import EXCLUDE_MODIFIER, Tool
from napari_sam3.values import MAX_OBJECT_ID

_MODES = {
    Tool.INCLUDE: "add",
    Tool.EXCLUDE: "add",
    Tool.BOX: "add_rectangle",
    Tool.LASSO: "add_polygon_lasso",
    Tool.SCRIBBLE: "add_path",
    Tool.PAINT: "paint",
    Tool.ERASE: "erase",
    Tool.EXAMPLE: "add_rectangle",
}
_TOOLS = {m: tool for tool, m in _MODES.items() if tool not in (Tool.EXCLUDE, Tool.EXAMPLE)}
_LOOKING = "pan_zoom"


class ToolController:
    """Takes tools in hand: layer and mode follow, so that nobody goes to the list of layers.

    Where a person chooses layer and mode in napari's own controls, the tool follows those.

    Parameters
    ----------
    tracking : TrackingController
        With the layers; its state is told of tool, sign and object in hand.
    """

    def __init__(self, tracking: TrackingController) -> None:
        self._tracking, self._state, self._viewer = tracking, tracking.state, tracking.viewer
        self._is_acting = False
        self._of_layers = Connections()
        self._made: tuple[Points, Shapes] | None = None  # by themselves, and still unused
        self._shapes = DrawnShapes(self._viewer)
        self._examples = DrawnShapes(self._viewer)
        self._before_example = Tool.SELECT
        self._state.hear(self._watch, "points", "boxes", "masks", "example")
        self._state.events.sign.connect(self._on_sign_changed)
        tracking.ended.connect(self._on_job_ended)
        self._viewer.layers.selection.events.active.connect(self._follow)
        self._viewer.mouse_drag_callbacks.append(self._on_press)
        self._watch()

    # ----------------------------------------------------- what a person does

    def take(self, tool: Tool) -> None:
        """Take a tool in hand: its layer is made if need be, and chosen, in the right mode.

        Raises
        ------
        LayerError
            If there is no video, or the layer chosen for it can't say what the tool says.
        ProjectError
            If the work can't be changed.
        UnsupportedPromptError
            If the model can't use it.
        """
        self._tracking.video()
        if tool is not Tool.SELECT:
            self._tracking.chosen.check_writable()
            why_not = self._state.why_not_taken(tool.prompt_kind)
            if why_not:
                raise UnsupportedPromptError(why_not)
        sign = EXCLUDE if tool is Tool.EXCLUDE else INCLUDE
        before = self._state.tool
        if tool is not Tool.TEXT:
            layer = self._layer_for(tool)
            if tool is Tool.EXCLUDE and not _says_sign(layer):
                raise LayerError(
                    f"the layer {layer.name!r} has no feature 'label', so a click in it can't say "
                    "exclude; add that feature, or choose the layer of clicks that was made here"
                )
            if tool.is_brush:
                self._get_brush_ready(layer)
            self._is_acting = True
            try:
                layer.visible = True
                self._viewer.layers.selection.active = layer
            finally:
                self._is_acting = False
            self._set_mode(layer, _MODES.get(tool, _LOOKING))
        if tool is Tool.EXAMPLE and before is not tool:
            self._before_example = before
        self._state.update(tool=tool, sign=sign)

    def end_example(self) -> None:
        """Have the tool in hand again that was there before the one for examples.

        A box that is being drawn is given up.

        Raises
        ------
        LayerError, ProjectError, UnsupportedPromptError
            As of `take`.
        """
        if self._state.tool is Tool.EXAMPLE:
            self._examples.give_up()
            self._set_mode(self._state.example, _LOOKING)  # which ends what is being drawn
            self.take(self._before_example)

    def make_ready(self) -> Iterator[None]:
        """Have layers to draw in for the video that is chosen, and take the tool for clicks.

        In pieces (see `Pieces`): napari takes long to add a layer. Nothing moves on the screen, and
        how the video is read is not settled by it. Layers that were made so and never used are
        taken away again. Nothing happens where the person has to choose an axis first, or where
        another window works on the video; and a tool that was taken since this was called stays.
        """
        return self._make_ready(self._state.tool)

    def _make_ready(self, tool_before: Tool) -> Iterator[None]:
        state, image_layer = self._state, self._state.video
        if image_layer is None or not state.can_change or state.project.is_busy:
            return
        if state.points is None and state.boxes is None:
            others = (c.state.video for c in controllers_in(self._viewer) if c.state is not state)
            if state.time_axes or image_layer in others:
                return
            tracked = state.tracked(image_layer)
            made = tracked.prompt_layers_in(self._viewer.layers)
            if made is None:
                made = make_prompt_layers(image_layer, self._tracking.axes.read(image_layer))
                self._made = made
                self._add(made[1])
                yield
                if not self._are_wanted(made, image_layer):
                    return
                self._add(made[0])
                tracked.take_prompt_layers(*made)
            self._made = made
            state.update(points=made[0], boxes=made[1])
        if state.points is not None and state.tool in (Tool.SELECT, tool_before):
            self.take(Tool.INCLUDE)

    def switch_sign(self) -> None:
        """Change between what shows the object, and what shows that it ends."""
        sign = EXCLUDE if self._state.sign == INCLUDE else INCLUDE
        if self._state.tool.is_click:
            self.take(Tool.EXCLUDE if sign == EXCLUDE else Tool.INCLUDE)
        elif self._state.tool.is_shape:
            self._state.sign = sign
        else:
            self.take(Tool.EXCLUDE)

    def next_object(self) -> None:
        """Take in hand an object that has no prompt and no mask yet; what comes next includes."""
        in_use = self._ids_in_use()
        number = self._state.object_in_hand + 1
        while number in in_use:
            number += 1
        if number <= MAX_OBJECT_ID:
            self._state.object_in_hand = number
        if self._state.tool is Tool.EXCLUDE:
            self.take(Tool.INCLUDE)
        self._state.sign = INCLUDE

    def close(self) -> None:
        """Let go of viewer and layers; those that were never used are taken away."""
        self._viewer.layers.selection.events.active.disconnect(self._follow)
        self._viewer.mouse_drag_callbacks.remove(self._on_press)
        self._shapes.close()
        self._examples.close()
        self._of_layers.let_go()
        self._remove_unused()

    # ------------------------------------------------------------------ layers

    def _layer_for(self, tool: Tool) -> Any:
        state, results = self._state, self._tracking.results
        if tool is Tool.SELECT:
            if results is not None:
                return results.layer
            return state.video if state.points is None else state.points
        if tool.is_brush:
            if results is not None:
                return results.layer
            return self._make_mask_layer() if state.masks is None else state.masks
        if tool is Tool.EXAMPLE:
            return self._make_example_layer() if state.example is None else state.example
        name = "points" if tool.is_click else "boxes"
        if getattr(state, name) is None:
            self._make_prompt_layers(self._tracking.video())
        return getattr(state, name)

    def _make_prompt_layers(self, image_layer: Image) -> None:
        """Those made before, or new ones; who has chosen one of their own keeps it."""
        state, turn_back = self._state, hold_view(self._viewer)
        made = state.tracked(image_layer).prompt_layers_in(self._viewer.layers)
        points, boxes = made or self._tracking.chosen.make_prompt_layers(
            self._tracking.axes.read(image_layer)
        )
        state.update(points=state.points or points, boxes=state.boxes or boxes)
        turn_back()

    def _add(self, layer: Layer) -> None:
        turn_back = hold_view(self._viewer)
        self._viewer.add_layer(layer)
        turn_back()

    def _are_wanted(self, made: tuple[Points, Shapes], image_layer: Image) -> bool:
        """Whether the layers, of which one was added, are still to be drawn in; else they go."""
        state = self._state
        is_same = image_layer is state.video and state.points is None and state.boxes is None
        if self._made is made and is_same and made[1] in self._viewer.layers:
            return True
        if self._made is made:
            self._remove_unused()
        return False

    def _make_mask_layer(self) -> Labels:
        image_layer = self._tracking.video()
        layer = make_mask_layer(image_layer, self._tracking.axes.read(image_layer))
        self._state.tracked(image_layer).carried.add(layer)
        self._add(layer)
        self._state.masks = layer
        return layer

    def _make_example_layer(self) -> Shapes:
        image_layer = self._tracking.video()
        layer = make_example_layer(image_layer, self._tracking.axes.read(image_layer))
        layer.bind_key("Escape", lambda _layer: self._on_escape())
        tracked = self._state.tracked(image_layer)
        tracked.example = layer
        tracked.carried.add(layer)
        self._add(layer)
        self._state.example = layer
        return layer

    def _on_escape(self) -> None:
        try:
            self.end_example()
        except Sam3Error as exc:  # the model may have changed: the one before is none of its
            show_warning(str(exc))

    def _get_brush_ready(self, layer: Labels) -> None:
        """Paint what is in hand: an object that has a number, which the labels can hold."""
        if self._state.object_in_hand < 1:
            self.next_object()
        results = self._tracking.results
        if results is not None and layer is results.layer:
            results.own(self._state.object_in_hand)
        layer.selected_label = self._state.object_in_hand

    def _on_job_ended(self) -> None:
        self._hand_over_masks()
        self._watch()

    def _hand_over_masks(self) -> None:
        """Have what was painted to begin with in the results, once there are any.

        So there is one layer to paint in, and what is wiped off there does not come back.
        """
        state, results, masks = self._state, self._tracking.results, self._state.masks
        planes = None if masks is None else planes_of(masks)
        if results is None or planes is None or masks is None or not state.is_ours(masks):
            return
        if state.outcome in (Outcome.NONE, Outcome.FAILED) or results.planes.is_read_only:
            return
        for frame_index in planes.processed_frames().tolist():
            results.paint(frame_index, planes[frame_index])
        results.layer.brush_size = masks.brush_size
        is_in_hand = self._viewer.layers.selection.active is masks
        state.masks = None
        self._viewer.layers.remove(masks)
        results.layer.refresh()
        if is_in_hand:
            self.take(state.tool)

    def _remove_unused(self) -> None:
        """Take away layers that were made by themselves, and in which nothing was drawn."""
        made, self._made = self._made, None
        for layer in made or ():
            if len(layer.data) == 0 and layer in self._viewer.layers:
                self._viewer.layers.remove(layer)

    def _ids_in_use(self) -> set[int]:
        """Objects that have a prompt or a mask."""
        state, results = self._state, self._tracking.results
        session = self._tracking.session
        found = set() if session is None else set(session.ids_in_use)
        found |= set(self._tracking.detection.proposals)
        for layer in state.layers_of_prompts:
            found |= find_names(layer)
        return found if results is None else found | results.own_ids

    # ---------------------------------------------------- what is chosen elsewhere

    def _watch(self, _value: Any = None) -> None:
        """Follow the modes of the layers that are drawn in."""
        self._of_layers.let_go()
        self._of_layers.hear(self._follow, *(layer.events.mode for layer in self._drawn_in()))
        self._shapes.watch(self._state.boxes)
        self._examples.watch(self._state.example)
        chosen = self._state.layers_of_prompts
        if self._made is not None and not any(layer in chosen for layer in self._made):
            self._remove_unused()

    def _drawn_in(self) -> list[Any]:
        state, results = self._state, self._tracking.results
        others = (state.example, state.masks, None if results is None else results.layer)
        return [*state.layers_of_prompts, *(layer for layer in others if layer is not None)]

    def _follow(self, _event: Any = None) -> None:
        """Take for the tool in hand what layer and mode mean that a person has chosen."""
        if self._is_acting:
            return
        active = self._viewer.layers.selection.active
        is_ours = active in self._drawn_in()
        tool: Tool = _TOOLS.get(str(active.mode), Tool.SELECT) if is_ours else Tool.SELECT
        if tool is Tool.INCLUDE and self._state.sign == EXCLUDE:
            tool = Tool.EXCLUDE
        if active is self._state.example and tool is Tool.BOX:
            tool = Tool.EXAMPLE
        if not (tool is Tool.SELECT and self._state.tool is Tool.TEXT):
            self._state.tool = tool

    def _on_sign_changed(self, sign: str) -> None:
        if self._state.tool.is_click:
            self._state.tool = Tool.EXCLUDE if sign == EXCLUDE else Tool.INCLUDE

    # ---------------------------------------------------------------- the mouse

    def _on_press(self, _viewer: Any, event: Any) -> Iterator[None]:
        """What a press means with the tool in hand, before the layer hears of it."""
        tool, active = self._state.tool, self._viewer.layers.selection.active
        if active is None or event.type != "mouse_press":
            return
        is_ours, mode = active in self._drawn_in(), str(active.mode)
        is_other = event.button == 2 or EXCLUDE_MODIFIER in event.modifiers
        if tool is Tool.EXAMPLE:
            return  # which shows what is meant, never what is not
        if is_ours and is_other and mode == _MODES.get(tool):
            if tool is Tool.PAINT and event.button != 2:  # which napari has for filling outlines
                yield from self._hold_mode(active, event, _MODES[Tool.ERASE])
            elif not tool.is_brush:
                yield from self._exclude(active, event)
        elif mode == _LOOKING and (is_ours or active is self._state.video):
            yield from self._pick(event)

    def _exclude(self, layer: Points | Shapes, event: Any) -> Iterator[None]:
        """Let what is drawn until the button is released say what is not the object."""
        if not _says_sign(layer):
            show_warning(
                f"the layer {layer.name!r} has no feature 'label', so nothing in it can say exclude"
            )
            yield from self._hold_mode(layer, event, _LOOKING)
            return
        before, self._state.sign = self._state.sign, EXCLUDE
        yield
        while event.type == "mouse_move":
            event.handled = True  # else the second button zooms
            yield

        def end() -> None:
            if event.button == 2 and self._state.tool.is_shape:
                self._end_shape(layer)
            self._state.update(sign=before)

        QTimer.singleShot(0, end)  # when the layer has drawn it

    def _end_shape(self, layer: Any) -> None:
        """Let an outline end where the button was released; a click begins one that follows it."""
        mode = str(layer.mode)
        self._set_mode(layer, _LOOKING)
        self._set_mode(layer, mode)

    def _hold_mode(self, layer: Any, event: Any, mode: str) -> Iterator[None]:
        """Have a layer in another mode until the button is released."""
        before = str(layer.mode)
        self._set_mode(layer, mode)
        yield
        while event.type == "mouse_move":
            yield
        self._set_mode(layer, before)

    def _set_mode(self, layer: Any, mode: str) -> None:
        self._is_acting = True
        try:
            layer.mode = mode
        finally:
            self._is_acting = False

    def _pick(self, event: Any) -> Iterator[None]:
        """A click, pressed and released in one place, takes what is under it in hand."""
        found = None if is_picking(self._viewer) or event.button != 1 else self._object_under(event)
        yield
        while event.type == "mouse_move":
            found = None
            yield
        if found is not None:
            self._state.object_in_hand = found

    def _object_under(self, event: Any) -> int | None:
        """The object whose click, box or mask is under the mouse, the topmost first."""
        for layer in self._state.layers_of_prompts:
            if layer.visible:
                index = item_under(layer, event)
                if index is not None:
                    return object_of(layer, index)
        for labels in self._drawn_in()[::-1]:
            if isinstance(labels, Labels) and labels.visible:
                label = label_under(labels, event)
                if 0 < label <= MAX_OBJECT_ID:
                    return label
        return self._previewed_under(event)

    def _previewed_under(self, event: Any) -> int | None:
        """The object whose preview, or proposal, is under the mouse."""
        tracking = self._tracking
        on_screen = tracking.frame_on_screen()
        masks = {
            **tracking.detection.proposals.result(on_screen).objects,
            **tracking.preview.result(on_screen).objects,
        }
        ahead = len(event.position) - tracking.video().ndim  # layers share their last axes
        place = tracking.video().world_to_data(event.position[max(0, ahead) :])
        y, x = (round(float(part)) for part in place[-2:])
        for obj_id, mask in masks.items():
            x0, y0, x1, y1 = mask.bbox
            if y0 <= y < y1 and x0 <= x < x1 and mask.crop[y - y0, x - x0]:
                return obj_id
        return None


def _says_sign(layer: Any) -> bool:
    return "label" in layer.features
