"""What the dock and its layers say at one moment, to be kept; and the dock brought back to it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image, Layer
from qtpy.QtWidgets import QMainWindow

from napari_sam3.errors import LayerError
from napari_sam3.plugin.layers.layer_roles import BOXES, POINTS, RESULTS, VIDEO
from napari_sam3.plugin.layers.layer_state import describe_place, describe_prompt_layer
from napari_sam3.plugin.layers.stack_axes import StackAxes, check_axes, frame_count
from napari_sam3.plugin.layers.viewer_frame import frame_on_screen, show_frame
from napari_sam3.plugin.model.open_project import ProjectSnapshot
from napari_sam3.plugin.model.tracked_video import contrast_of
from napari_sam3.plugin.views.prompt_panel import ALL_FRAMES, FIRST_PROMPT, NEW_EACH
from napari_sam3.projects.state import ProjectState

if TYPE_CHECKING:
    from napari_sam3.plugin.views.dock import SegmentAndTrackWidget

_LAYERS_VERSION = 1


def gather(
    dock: SegmentAndTrackWidget,
    image_layer: Image,
    axes: StackAxes,
    masks: Mapping[str, Any] | None = None,
) -> ProjectSnapshot:
    """Read all that a project of a video keeps beside labels and prompts; in the GUI thread.

    Parameters
    ----------
    dock : SegmentAndTrackWidget
    image_layer, axes
        The video and how it is read.
    masks : mapping, optional
        What is painted as prompts in a layer of its own, as `describe_masks` tells it.
    """
    is_chosen = dock.video_fields.video.value is image_layer
    results = dock.bench.results_of(image_layer)
    table = None if results is None else results.layer.metadata.get("objects")
    return ProjectSnapshot(
        # the fields speak of the video that is chosen
        gather_state(dock, image_layer, axes) if is_chosen else None,
        gather_layers(dock, image_layer, masks) if is_chosen else None,
        None if table is None else table.copy(),
    )


def gather_state(dock: SegmentAndTrackWidget, image_layer: Image, axes: StackAxes) -> ProjectState:
    """What the fields say."""
    track, prompts = dock.track_fields, dock.prompt_fields
    number = prompts.object.value
    n_frames = frame_count(image_layer, axes)
    frame_index = frame_on_screen(image_layer, axes, dock.viewer)
    return ProjectState(
        model=dock.model_choice.resolved,
        device=dock.model_choice.device,
        resolution=int(dock.settings_fields.resolution.value or 0),
        direction=track.direction.value,
        start_frame=track.first_frame,
        max_frames=track.most_frames,
        text=prompts.text.value,
        time_axis=axes.time,
        channel_axis=axes.channel,
        fixed=dict(axes.fixed),
        contrast_limits=contrast_of(image_layer),
        frame=min(max(frame_index, 0), n_frames - 1),
        current_object=None if number == NEW_EACH else number,
    )


def gather_layers(
    dock: SegmentAndTrackWidget, image_layer: Image, masks: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """How video, results and prompts are shown, the lowest layer first."""
    results, fields = dock.bench.results_of(image_layer), dock.prompt_fields
    roles: list[tuple[str, Layer | None]] = [
        (VIDEO, image_layer),
        (RESULTS, None if results is None else results.layer),
        (BOXES, fields.boxes.value),
        (POINTS, fields.points.value),
    ]
    there = [(role, layer) for role, layer in roles if layer in dock.viewer.layers]
    entries = []
    for role, layer in sorted(there, key=lambda pair: dock.viewer.layers.index(pair[1])):
        entry: dict[str, Any] = {"role": role}
        if role in (BOXES, POINTS):
            is_made_here = dock.bench.is_made_here(layer)
            entry.update(describe_prompt_layer(layer, is_made_here=is_made_here))
        else:
            entry["place"] = describe_place(layer)
        if role == VIDEO:
            entry.update(_image_look(layer))
        entries.append(entry)
    if masks is not None and fields.masks.value is not None:
        entries.append(dict(masks))
    camera = _camera(dock.viewer)
    looked_at = {
        "center": [float(x) for x in camera.center],
        "zoom": float(camera.zoom),
        "room": _room(dock),
    }
    return {"version": _LAYERS_VERSION, "layers": entries, "camera": looked_at}


def restore_camera(dock: SegmentAndTrackWidget, layers: Mapping[str, Any]) -> None:
    """Look at what was looked at, if `layers` (see `gather_layers`) tells it."""
    told: Any = layers.get("camera")  # the file may say anything
    try:
        center, zoom = tuple(float(x) for x in told["center"]), float(told["zoom"])
        room = np.array(told["room"], float)
    except (TypeError, KeyError, ValueError):
        return
    if room.shape != (2,) or not (np.isfinite([*center, zoom, *room]).all() and room.min() > 0):
        return
    if len(center) in (2, 3) and zoom > 0:
        camera = _camera(dock.viewer)
        # as much of the picture as then, in a window of another size
        camera.center, camera.zoom = center, zoom * float((_room(dock) / room).min())


def hold_view(dock: SegmentAndTrackWidget) -> Callable[[], None]:
    """Give what turns the viewer to the frame and place again that it shows now."""
    step, camera = dock.viewer.dims.current_step, _camera(dock.viewer)
    center, zoom = camera.center, camera.zoom

    def turn_back() -> None:
        dock.viewer.dims.current_step = step
        camera.center, camera.zoom = center, zoom

    return turn_back


def _room(dock: SegmentAndTrackWidget) -> list[int]:
    """Width and height of what is in the middle of the dock's window, screen px."""
    window = dock.window()
    middle: Any = window.centralWidget() if isinstance(window, QMainWindow) else window
    return [middle.width(), middle.height()]


def _camera(viewer: Any) -> Any:
    return getattr(viewer, "scene", viewer).camera  # napari 0.9 moved it


def axes_of(state: ProjectState, image_layer: Image, guess: StackAxes) -> StackAxes:
    """How a video layer was read, if it can be read like that; else the guess."""
    if state.time_axis is None and not state.fixed:
        return guess
    axes = StackAxes(state.time_axis, state.channel_axis, dict(state.fixed))
    try:
        check_axes(image_layer, axes)
    except LayerError:
        return guess
    return axes


def restore_fields(
    dock: SegmentAndTrackWidget,
    state: ProjectState,
    image_layer: Image,
    axes: StackAxes,
    *,
    is_of_window: bool = True,
) -> list[str]:
    """Bring the dock's fields to what they said.

    Parameters
    ----------
    dock : SegmentAndTrackWidget
    state : ProjectState
        What they said.
    image_layer, axes
        The video and how it is read.
    is_of_window : bool
        Whether a window has made it; else nobody chose an object.

    Returns
    -------
    list of str
        What could not be restored.
    """
    problems = []
    track, prompts = dock.track_fields, dock.prompt_fields
    track.limit_to(frame_count(image_layer, axes))
    track.direction.value = state.direction
    track.start.value = FIRST_PROMPT if state.start_frame is None else state.start_frame
    length = ALL_FRAMES if state.max_frames is None else state.max_frames
    track.length.value = min(length, track.length.max)
    prompts.text.value = state.text
    if is_of_window:
        prompts.object.value = NEW_EACH if state.current_object is None else state.current_object
    if state.model is not None:
        choice = dock.model_choice
        if state.model == choice.resolved or state.model in choice.survey.entries:
            choice.choose(state.model, state.device)
        else:
            problems.append(
                f"the model {state.model!r} of then is not known here; {choice.resolved} is chosen"
            )
    dock.settings.show_resolution(state.resolution)
    show_frame(image_layer, axes, dock.viewer, state.frame)
    return problems


def _image_look(layer: Any) -> dict[str, Any]:
    look: dict[str, Any] = {"gamma": float(layer.gamma)}
    if not layer.rgb:
        look["contrast_limits"] = [float(limit) for limit in layer.contrast_limits]
        look["colormap"] = str(layer.colormap.name)
    return look
