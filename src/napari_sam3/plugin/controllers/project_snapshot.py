"""What state and layers say at one moment, to be kept; and both brought back to it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from napari.layers import Image, Layer

from napari_sam3.errors import LayerError
from napari_sam3.plugin.controllers.tracking_controller import TrackingController
from napari_sam3.plugin.layers.layer_roles import BOXES, POINTS, RESULTS, VIDEO
from napari_sam3.plugin.layers.layer_state import describe_place, describe_prompt_layer
from napari_sam3.plugin.layers.stack_axes import StackAxes, check_axes, frame_count
from napari_sam3.plugin.layers.viewer_frame import frame_on_screen, show_frame
from napari_sam3.plugin.model.app_state import NEW_EACH, split_text
from napari_sam3.plugin.model.open_project import OpenProject, Snapshot
from napari_sam3.projects.state import ProjectState

_LAYERS_VERSION = 1

Size = tuple[int, int]


def take_snapshot(tracking: TrackingController, opened: OpenProject, canvas_size: Size) -> Snapshot:
    """Read all that a project of a video keeps beside labels and prompts.

    Parameters
    ----------
    tracking : TrackingController
        With viewer and state.
    opened : OpenProject
        Attached to its video.
    canvas_size : (int, int)
        Width and height of what is in the middle of the window, screen px.
    """
    image_layer, axes = opened.image_layer, opened.axes
    assert image_layer is not None, "it is attached"
    assert axes is not None, "it is attached"
    # the state speaks of the video that is chosen
    is_chosen = tracking.state.video is image_layer
    results = tracking.state.tracked(image_layer).results_in(tracking.viewer.layers)
    table = None if results is None else results.layer.metadata.get("objects")
    snapshot: Snapshot = {}
    if is_chosen:
        snapshot["layers"] = _describe_layers(tracking, image_layer, opened.masks, canvas_size)
        snapshot["state"] = _describe_state(tracking, image_layer, axes)
    if table is not None:
        snapshot["objects"] = table.copy()
    return snapshot


def _describe_state(
    tracking: TrackingController, image_layer: Image, axes: StackAxes
) -> ProjectState:
    state = tracking.state
    frame_index = frame_on_screen(image_layer, axes, tracking.viewer)
    return ProjectState(
        model=state.resolved_model,
        device=state.usable_device,
        resolution=state.resolution,
        direction=state.direction,
        start_frame=state.start_frame,
        max_frames=state.max_frames,
        text=", ".join(state.texts),
        time_axis=axes.time,
        channel_axis=axes.channel,
        fixed=dict(axes.fixed),
        contrast_limits=state.tracked(image_layer).contrast_limits,
        frame=min(max(frame_index, 0), frame_count(image_layer, axes) - 1),
        current_object=None if state.object_in_hand == NEW_EACH else state.object_in_hand,
    )


def _describe_layers(
    tracking: TrackingController,
    image_layer: Image,
    masks: Mapping[str, Any] | None,
    canvas_size: Size,
) -> dict[str, Any]:
    """How video, results and prompts are shown, the lowest layer first."""
    state, viewer = tracking.state, tracking.viewer
    results = state.tracked(image_layer).results_in(viewer.layers)
    roles: list[tuple[str, Layer | None]] = [
        (VIDEO, image_layer),
        (RESULTS, None if results is None else results.layer),
        (BOXES, state.boxes),
        (POINTS, state.points),
    ]
    there = [(role, layer) for role, layer in roles if layer in viewer.layers]
    entries = []
    for role, layer in sorted(there, key=lambda pair: viewer.layers.index(pair[1])):
        entry: dict[str, Any] = {"role": role}
        if role in (BOXES, POINTS):
            is_made_here = state.is_prompt_layer(layer)
            entry.update(describe_prompt_layer(layer, is_made_here=is_made_here))
        else:
            entry["place"] = describe_place(layer)
        if role == VIDEO:
            entry.update(_image_look(layer))
        entries.append(entry)
    if masks is not None and state.masks is not None:
        entries.append(dict(masks))
    camera = _camera(viewer)
    looked_at = {
        "center": [float(x) for x in camera.center],
        "zoom": float(camera.zoom),
        "room": list(canvas_size),
    }
    return {"version": _LAYERS_VERSION, "layers": entries, "camera": looked_at}


def restore_camera(viewer: Any, layers: Mapping[str, Any], canvas_size: Size) -> None:
    """Look at what was looked at, if `layers` (of a snapshot) tells it."""
    said: Any = layers.get("camera")  # the file may say anything
    try:
        center, zoom = tuple(float(x) for x in said["center"]), float(said["zoom"])
        size = np.array(said["room"], float)
    except (TypeError, KeyError, ValueError):
        return
    if size.shape != (2,) or not (np.isfinite([*center, zoom, *size]).all() and size.min() > 0):
        return
    if len(center) in (2, 3) and zoom > 0:
        camera = _camera(viewer)
        # as much of the picture as then, in a window of another size
        camera.center, camera.zoom = center, zoom * float((np.array(canvas_size) / size).min())


def hold_view(viewer: Any) -> Callable[[], None]:
    """Give what turns the viewer to the frame and place again that it shows now."""
    step, camera = viewer.dims.current_step, _camera(viewer)
    center, zoom = camera.center, camera.zoom

    def turn_back() -> None:
        viewer.dims.current_step = step
        camera.center, camera.zoom = center, zoom

    return turn_back


def read_zoom(viewer: Any) -> float:
    """How large the picture is drawn."""
    return float(_camera(viewer).zoom)


def set_zoom(viewer: Any, zoom: float) -> None:
    """Draw the picture so large, its middle where it is."""
    _camera(viewer).zoom = zoom


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


def restore_state(
    tracking: TrackingController,
    saved: ProjectState,
    image_layer: Image,
    axes: StackAxes,
    *,
    is_of_window: bool = True,
) -> list[str]:
    """Bring the state to what was saved.

    Parameters
    ----------
    tracking : TrackingController
    saved : ProjectState
    image_layer, axes
        The video, which is chosen, and how it is read.
    is_of_window : bool
        Whether a window has saved it; else nobody chose an object.

    Returns
    -------
    list of str
        What could not be restored.
    """
    state, problems = tracking.state, []
    n_frames = frame_count(image_layer, axes)
    state.update(
        n_frames=n_frames,
        direction=saved.direction,
        start_frame=saved.start_frame,
        max_frames=None if saved.max_frames is None else min(saved.max_frames, n_frames),
        texts=split_text(saved.text),
        resolution=saved.resolution,
    )
    if is_of_window:
        state.object_in_hand = NEW_EACH if saved.current_object is None else saved.current_object
    if saved.model is not None:
        if saved.model == state.resolved_model or saved.model in state.catalog.entries:
            state.update(model=saved.model, device=saved.device)
        else:
            problems.append(
                f"the model {saved.model!r} of then is not known here; {state.resolved_model} is "
                "chosen"
            )
    show_frame(image_layer, axes, tracking.viewer, saved.frame)
    return problems


def _image_look(layer: Any) -> dict[str, Any]:
    look: dict[str, Any] = {"gamma": float(layer.gamma)}
    if not layer.rgb:
        look["contrast_limits"] = [float(limit) for limit in layer.contrast_limits]
        look["colormap"] = str(layer.colormap.name)
    return look
