"""The layers of a project, as napari is to show them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image, Layer

from napari_sam3.errors import VideoError
from napari_sam3.plugin.layers.layer_roles import BOXES, FOLDER, MASKS, POINTS, RESULTS, ROLE, VIDEO
from napari_sam3.plugin.layers.prompt_layers import EXCLUDE, INCLUDE
from napari_sam3.plugin.layers.transforms import napari_points
from napari_sam3.plugin.layers.video_layer import LayerData, video_layer

if TYPE_CHECKING:
    from napari_sam3.projects import Project
    from napari_sam3.video import PlaneChoice, Video


_LOOK = ("name", "opacity", "visible", "blending")
_PLACE = ("scale", "translate", "units", "axis_labels", "affine", "rotate", "shear")
_IMAGE_LOOK = ("contrast_limits", "colormap", "gamma")


@dataclass
class LoadedProject:
    """A project that was opened, with the video that was found.

    Attributes
    ----------
    project : Project
    video : Video or None
        None where it was not found, or is shown already.
    video_path : Path or None
        Where the video is.
    problems : list of str
        What is lost, or can't be shown.
    layers : list of layer data
        All its layers, the lowest first.
    """

    project: Project
    video: Video | None = None
    video_path: Path | None = None
    problems: list[str] = field(default_factory=list)
    layers: list[LayerData] = field(default_factory=list)


def open_project(
    folder: Path, *, read_only: bool = False, shown: Sequence[tuple[Path, PlaneChoice]] = ()
) -> LoadedProject:
    """Open a project and its video, and make its layers; slow, so a window does it in a thread.

    Parameters
    ----------
    folder : Path
        The project.
    read_only : bool
        Leave the right to write to others.
    shown : sequence of (Path, PlaneChoice)
        Videos that need not be opened, for layers show them.

    Raises
    ------
    ProjectError
        If it can't be opened at all.
    """
    from napari_sam3.projects import Project
    from napari_sam3.video.open import open_chosen
    from napari_sam3.video.proxy import show_proxy

    project = Project.open(folder, read_only=read_only)
    opened = LoadedProject(project, problems=list(project.problems))
    try:
        place = project.find_video()
        problem = None if place is not None else project.video_problem
        choice = project.video.choice
        if place is not None and (place, choice) not in shown:
            opened.video = show_proxy(open_chosen(place, choice))
            frames, height, width = project.video.shape
            if opened.video.shape[:3] != (frames, height, width):
                problem = (
                    f"the video {str(place)!r} is {opened.video.shape[:3]} now, and was "
                    f"{project.video.shape}"
                )
                opened.video.close()
                opened.video, place = None, None
    except VideoError as exc:
        place, problem = None, str(exc)
    except BaseException:
        project.close()
        raise
    opened.video_path = place
    if problem is not None:
        opened.problems.append(problem)
    try:
        opened.layers = project_layers(opened)
    except BaseException:
        if opened.video is not None:
            opened.video.close()
        project.close()
        raise
    return opened


def project_layers(opened: LoadedProject) -> list[LayerData]:
    """All layers of a project, the lowest first; what can't be understood is told in `problems`.

    Slow: a video of more than 8 bits is asked for its first frame.
    """
    project = opened.project
    told: dict[str, Mapping[str, Any]] = {}
    for entry in _entries(project.layers):
        told.setdefault(str(entry.get("role")), entry)
    layers: list[LayerData] = []
    for role in (*dict.fromkeys(r for r in told if r in _MAKERS), *_MAKERS):
        if any(arguments["metadata"][ROLE] == role for _, arguments, _ in layers):
            continue
        made = _make(role, told.get(role), opened)
        if made is not None:
            data, arguments, kind = made
            metadata = {**arguments.get("metadata", {}), FOLDER: str(project.folder), ROLE: role}
            layers.append((data, {**arguments, "metadata": metadata}, kind))
    return layers


def _make(role: str, told: Mapping[str, Any] | None, opened: LoadedProject) -> LayerData | None:
    try:
        made = _MAKERS[role](told, opened)
        if made is not None and told is not None:
            Layer.create(*made)  # else napari would refuse it when all others are there
        return made
    # the file may say anything, and napari raises anything of it: what it says of one layer
    # must not cost the others
    except Exception as exc:
        reason = f"{type(exc).__name__}: {exc}"
        opened.problems.append(f"the layer of {role} can't be shown as it was ({reason})")
    return _MAKERS[role](None, opened)


def _entries(layers: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    entries = layers.get("layers", [])
    return [e for e in entries if isinstance(e, dict)] if isinstance(entries, list) else []


def _make_video(told: Mapping[str, Any] | None, opened: LoadedProject) -> LayerData | None:
    if opened.video is None:
        return None
    data, arguments, kind = video_layer(opened.video)
    if told is not None:
        arguments.update({name: told["place"][name] for name in _LOOK if name in told["place"]})
        arguments.update(_told_place(told))
        arguments.update({name: told[name] for name in _IMAGE_LOOK if name in told})
    return data, arguments, kind


def _make_results(told: Mapping[str, Any] | None, opened: LoadedProject) -> LayerData:
    from napari_sam3.plugin.layers.layer_state import place_arguments

    project = opened.project
    arguments = {"name": f"{_stem(project)} objects", "opacity": 0.6, **_place_of_video(opened)}
    if told is not None:
        arguments.update(place_arguments(told["place"]))
    ndim = len(arguments["scale"]) if "scale" in arguments else 3
    if ndim != 3:  # slices or channels between: the dock puts them there, knowing the video
        for name in _PLACE:
            arguments.pop(name, None)
    video = {"path": opened.video_path and str(opened.video_path), "fps": project.video.fps}
    arguments["metadata"] = {"video": video, "objects": project.objects}
    return project.labels, arguments, "labels"


def _make_masks(told: Mapping[str, Any] | None, opened: LoadedProject) -> LayerData | None:
    from napari_sam3.plugin.layers.mask_state import draw_masks

    if told is None or not told["frames"]:
        return None
    planes = draw_masks(told, opened.project.video.shape)
    return planes, {"name": str(told["name"]), "opacity": 0.5, **_place_of_video(opened)}, "labels"


def _make_prompts(
    kind: str, told: Mapping[str, Any] | None, opened: LoadedProject
) -> LayerData | None:
    from napari_sam3.plugin.layers.layer_state import prompt_layer_data

    if told is None:
        told = _drawn_anew(kind, opened)
    if told is None:
        return None
    if told.get("type") != kind:
        raise ValueError(f"it is told as {told.get('type')!r}")
    return prompt_layer_data(told, min(opened.project.video.shape[1:]))


_MAKERS: dict[str, Callable[..., LayerData | None]] = {
    VIDEO: _make_video,
    MASKS: _make_masks,
    RESULTS: _make_results,
    BOXES: partial(_make_prompts, "shapes"),
    POINTS: partial(_make_prompts, "points"),
}


def _drawn_anew(kind: str, opened: LoadedProject) -> dict[str, Any] | None:
    """Prompts as the model was told them, where it is not known how they were drawn."""
    items, objects, labels = [], [], []
    for prompt in opened.project.prompts:
        if prompt.is_concept or prompt.obj_id is None:
            continue
        if kind == "points":
            for point, is_on in zip(prompt.points_xy, prompt.point_labels, strict=True):
                items.append([float(prompt.frame_index), *napari_points(point[None])[0].tolist()])
                objects.append(prompt.obj_id)
                labels.append(INCLUDE if is_on else EXCLUDE)
        elif prompt.box_xyxy is not None:
            x0, y0, x1, y1 = prompt.box_xyxy
            corners = napari_points(np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)]))
            items.append([[float(prompt.frame_index), *corner] for corner in corners.tolist()])
            objects.append(prompt.obj_id)
            labels.append(INCLUDE)
    if not items:
        return None
    word = "clicks" if kind == "points" else "boxes"
    return {
        "type": kind,
        "made_here": True,
        "ndim": 3,
        "data": items,
        "features": {"object": objects, "label": labels},
        "feature_defaults": {"object": 0, "label": INCLUDE},
        "shape_type": ["rectangle"] * len(items),
        "place": {"name": f"{_stem(opened.project)} {word}", **_place_of_video(opened)},
    }


def _place_of_video(opened: LoadedProject) -> dict[str, Any]:
    """Where the video lies in the world, for layers upon it."""
    if opened.video is None:
        return {}
    _, arguments, _ = video_layer(opened.video)
    place = {name: arguments[name] for name in ("scale", "units", "axis_labels")}
    for entry in _entries(opened.project.layers):
        if entry.get("role") == VIDEO:
            with suppress(KeyError, TypeError, ValueError, AttributeError):  # told with its layer
                place.update(_told_place(entry))
    return place


def video_of_then(project: Project) -> Image | None:
    """A layer that lies where the video lay for which the layers of a project were told.

    None where it had other axes than a film has.
    """
    place: dict[str, Any] = {}
    for entry in _entries(project.layers):
        if entry.get("role") == VIDEO:
            with suppress(KeyError, TypeError, ValueError, AttributeError):
                place = _told_place(entry)
                if not place:
                    return None
    return Image(np.zeros((1, 1, 1), np.uint8), rgb=False, contrast_limits=(0, 1), **place)


def _told_place(told: Mapping[str, Any]) -> dict[str, Any]:
    """Where a person had put the video, if that is told of a layer with its axes."""
    from napari_sam3.plugin.layers.layer_state import place_arguments

    place = place_arguments(told["place"])
    is_place = len(place.get("scale", ())) == len(place.get("units", ())) == 3
    return {name: place[name] for name in _PLACE if name in place} if is_place else {}


def _stem(project: Project) -> str:
    name = project.video.name
    return project.folder.stem if name is None else Path(name).stem


def open_to_editing(layers: Mapping[str, Layer | None], is_open: bool) -> None:
    """Let a person change results and prompts, or keep them from it; layers by role."""
    for role in (RESULTS, POINTS, BOXES, MASKS):
        layer = layers.get(role)
        if layer is not None:
            layer.events.editable.disconnect(_keep_closed)
            layer.editable = is_open
            if not is_open:
                layer.events.editable.connect(_keep_closed)


def _keep_closed(event: Any) -> None:
    """Napari opens a layer to editing again when it is shown in 2D after 3D."""
    if event.source.editable:
        event.source.editable = False
