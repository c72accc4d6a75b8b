"""What the points, shapes and painted labels of napari layers say, as prompts for a session.

Nothing here changes a layer. Every item becomes a prompt at its own time coordinate, through the
world transforms of both layers, on the nearest frame. What can't become one is handed back
with the reason.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from napari_sam3.plugin.layers.exemplars import read_examples
from napari_sam3.plugin.layers.layer_prompts import (
    LayerPrompt,
    LayerPrompts,
    Skipped,
    Source,
    read_include,
    read_object_id,
)
from napari_sam3.plugin.layers.overlay import labels_on_frame
from napari_sam3.plugin.layers.shape_geometry import (
    deepest_point,
    ellipse_outline,
    fill_outline,
    is_level,
    is_loop,
    points_along,
)
from napari_sam3.plugin.layers.stack_axes import StackAxes, check_axes, frame_count
from napari_sam3.plugin.layers.transforms import api_points, layer_shape, map_outlines, map_points
from napari_sam3.plugin.layers.untimed_layers import position_meant
from napari_sam3.values import BoolArray, FloatArray, no_points


def prompts_from_layers(
    image_layer: Any,
    axes: StackAxes,
    points_layer: Any | None = None,
    shapes_layer: Any | None = None,
    *,
    current_frame: int = 0,
) -> LayerPrompts:
    """Read layers as prompts.

    The feature `object` (a whole number from 1) names the object that an item belongs to; items
    that name none are left out (`prompt_snapshot.read_prompts` names them first). The feature
    `label` says whether an item shows the object (1, "include") or what is not the object (0,
    "exclude"); without it, everything shows the object.

    Rectangles are boxes. Ellipses, polygons, turned rectangles and lines drawn as a loop are
    filled to masks; several of one object on one frame are joined, excluded ones cut out, or
    turned into a negative click where there is nothing to cut from. Other lines
    become up to 16 clicks along them. A rectangle whose `label` is "example" or "counterexample" is
    no object, but shows what to look for, or what not.

    Parameters
    ----------
    image_layer : napari Image layer
        The video.
    axes : StackAxes
        How to read it.
    points_layer, shapes_layer : napari Points and Shapes layer, optional
        Of any ndim, scale and place.
    current_frame : int
        The frame that layers without a time axis speak of (as long as they hold something, the
        one at the first reading).

    Returns
    -------
    LayerPrompts
        A sequence of `LayerPrompt`, with `skipped`.

    Raises
    ------
    LayerError
        If the image layer can't be used as a video, or `axes` does not fit it.
    """
    check_axes(image_layer, axes)
    reader = _Reader(image_layer, axes, current_frame)
    if shapes_layer is not None:
        reader.read_shapes(shapes_layer)
    if points_layer is not None:
        reader.read_points(points_layer)
    return reader.finish()


def prompts_from_labels(
    image_layer: Any,
    axes: StackAxes,
    labels_layer: Any,
    frame_index: int,
) -> LayerPrompts:
    """Read the labels painted on one frame as masks of the objects of the same ids.

    Parameters
    ----------
    image_layer : napari Image layer
        The video.
    axes : StackAxes
        How to read it.
    labels_layer : napari Labels layer
        Of any ndim, scale and place; read at the centres of the video's pixels.
    frame_index : int
        Of the video, 0-based.

    Returns
    -------
    LayerPrompts
        One prompt for each label, rising.
    """
    check_axes(image_layer, axes)
    labels = labels_on_frame(image_layer, axes, labels_layer, frame_index)
    found = [int(i) for i in np.unique(labels) if i != 0]
    prompts, skipped = [], []
    for label in found:
        source = Source("labels", label)
        if label < 0:
            skipped.append(Skipped(source, f"label {label} is no object id (1 or more)"))
        else:
            prompts.append(LayerPrompt(frame_index, label, mask=labels == label, sources=(source,)))
    return LayerPrompts(tuple(prompts), tuple(skipped))


_FEATURES: dict[str, tuple[Callable[[Any], Any], str]] = {
    "label": (read_include, "write 'include' or 'exclude' (1, 0)"),
    "object": (read_object_id, "write a whole number from 0"),
}

_Columns: TypeAlias = Mapping[str, list[Any]]


def _read_columns(layer: Any) -> _Columns:
    """What the items of a layer say by the features that are read here, by feature."""
    features = layer.features
    return {name: features[name].tolist() for name in _FEATURES if name in features}


class _Item(NamedTuple):
    """A point or shape on a frame; `outline` is (N, 2) y, x of the picture."""

    source: Source
    frame_index: int
    outline: FloatArray
    obj_id: int
    include: bool


class _Reader:
    def __init__(self, image_layer: Any, axes: StackAxes, current_frame: int) -> None:
        self._image = image_layer
        self._axes = axes
        self._frames = frame_count(image_layer, axes)
        height, width = layer_shape(image_layer)[-2:]
        self._size = (height, width)
        self._current_frame = current_frame
        self._groups: dict[tuple[int, int], PromptGroup] = {}
        self._skipped: list[Skipped] = []
        self._examples: dict[int, tuple[list[FloatArray], list[bool]]] = {}

    def read_points(self, layer: Any) -> None:
        position = position_meant(layer, self._image, self._axes, self._current_frame)
        placed = map_points(layer, self._image, layer.data, position)
        is_shown = np.broadcast_to(layer.shown, len(placed))
        # of thousands of clicks mostly nothing is wrong: the rest is asked one by one
        is_fine = is_shown & self._are_on_frames(placed) & self._are_inside(placed[:, -2:])
        said = _read_columns(layer)
        for index, place in enumerate(placed):
            reason = None if is_fine[index] else self._reason_against_point(place, is_shown[index])
            item = self._read_item(said, Source("points", index), place[None], reason)
            if item is not None:
                self._group(item).add_points(item.outline, item.include)

    def read_shapes(self, layer: Any) -> None:
        position = position_meant(layer, self._image, self._axes, self._current_frame)
        kinds, said = layer.shape_type, _read_columns(layer)
        outlines = [
            ellipse_outline(vertices) if kind == "ellipse" else vertices
            for kind, vertices in zip(kinds, layer.data, strict=True)
        ]
        all_placed = map_outlines(layer, self._image, outlines, position)
        examples = read_examples(layer)  # may be more, for napari keeps what is said of those gone
        for index, (kind, placed) in enumerate(zip(kinds, all_placed, strict=True)):
            source, reason = Source("shapes", index), self._reason_against(placed)
            outline = placed[:, -2:]
            is_box = kind == "rectangle" and is_level(outline)
            shows = examples[index]
            if shows is not None:
                if reason is None and not is_box:
                    reason = "only a rectangle can be an example of what to look for"
                if reason is None:
                    self._add_example(outline, self._frame_of(placed[0]), source, shows)
                else:
                    self._skip(source, reason)
                continue
            item = self._read_item(said, source, placed, reason)
            if item is None:
                continue
            if kind == "line" or (kind == "path" and not is_loop(outline)):
                self._add_line(item)
            elif is_box and item.include:
                self._add_box(item)
            else:
                self._add_area(item)

    def finish(self) -> LayerPrompts:
        prompts = []
        for frame_index, obj_id in sorted(self._groups):
            group = self._groups[frame_index, obj_id]
            group.finish()
            if group.mask is not None and not group.mask.any():
                for source in group.sources:
                    self._skip(source, "the excluded areas leave nothing of the mask")
                continue
            points = api_points(np.concatenate([no_points(), *group.points]))
            labels = np.array(group.labels, bool)
            sources = tuple(group.sources)
            prompts.append(
                LayerPrompt(frame_index, obj_id, points, labels, group.box, group.mask, sources)
            )
        return LayerPrompts(tuple(prompts), tuple(self._skipped), self._examples)

    def _add_line(self, item: _Item) -> None:
        points = points_along(item.outline)
        inside = points[self._are_inside(points)]
        if len(inside) == 0:
            self._skip(item.source, self._outside(item.outline[0]))
            return
        self._group(item).add_points(inside, item.include)

    def _clip(self, corners: FloatArray, source: Source) -> FloatArray | None:
        """The part of a rectangle that lies in the picture, x0, y0, x1, y1 px."""
        points = api_points(corners)
        height, width = self._size
        x0, y0 = np.clip(points.min(axis=0), 0, (width, height))
        x1, y1 = np.clip(points.max(axis=0), 0, (width, height))
        if x1 <= x0 or y1 <= y0:
            self._skip(source, f"it holds nothing of the picture ({width} x {height} px)")
            return None
        return np.array([x0, y0, x1, y1])

    def _add_example(
        self, corners: FloatArray, frame_index: int, source: Source, shows: bool
    ) -> None:
        box = self._clip(corners, source)
        if box is not None:
            boxes, signs = self._examples.setdefault(frame_index, ([], []))
            boxes.append(box)
            signs.append(shows)

    def _add_box(self, item: _Item) -> None:
        box = self._clip(item.outline, item.source)
        if box is None:
            return
        group = self._group(item)
        if group.box_source is not None:
            group.sources.remove(group.box_source)
            self._skip(
                group.box_source,
                f"object {item.obj_id} has a later box on frame {item.frame_index}; an object has "
                "one box",
            )
        group.box, group.box_source = box, item.source

    def _add_area(self, item: _Item) -> None:
        mask = fill_outline(item.outline, self._size)
        if not mask.any():
            self._skip(item.source, "it holds no pixel of the picture")
        elif item.include:
            self._group(item).add_mask(mask)
        else:
            self._group(item).excluded.append(mask)

    # --------------------------------------------------------------- groups

    def _group(self, item: _Item) -> PromptGroup:
        """What is said of an item's object on its frame."""
        group = self._groups.setdefault((item.frame_index, item.obj_id), PromptGroup())
        group.sources.append(item.source)
        return group

    def _skip(self, source: Source, reason: str) -> None:
        self._skipped.append(Skipped(source, reason))

    # ------------------------------------------------------- place and meaning

    def _frame_of(self, place: FloatArray) -> int:
        return 0 if self._axes.time is None else int(np.rint(place[self._axes.time]))

    def _reason_against(self, placed: FloatArray) -> str | None:
        """Why an item with these places in the image layer's data is not on a frame, if so."""
        if not np.isfinite(placed).all():
            return "its coordinates are not finite"
        for axis, index in self._axes.fixed.items():
            # a channel is a way of looking, not a place: it may be drawn on any
            if axis != self._axes.channel and (np.rint(placed[:, axis]) != index).any():
                name = self._image.axis_labels[axis]
                return f"it is not on slice {index} of axis {name!r}, which is tracked"
        if self._axes.time is None:
            return None
        times = np.rint(placed[:, self._axes.time])
        if (times != times[0]).any():
            return f"it reaches over frames {times.min():.0f} to {times.max():.0f}"
        if not 0 <= times[0] < self._frames:
            return f"its frame {times[0]:.0f} is outside the video (0 to {self._frames - 1})"
        return None

    def _are_on_frames(self, placed: FloatArray) -> BoolArray:
        """Of which places `_reason_against` has nothing to say."""
        fine = np.isfinite(placed).all(axis=1)
        nearest = np.rint(placed)
        for axis, index in self._axes.fixed.items():
            if axis != self._axes.channel:
                fine &= nearest[:, axis] == index
        if self._axes.time is not None:
            times = nearest[:, self._axes.time]
            fine &= (times >= 0) & (times < self._frames)
        return np.asarray(fine, bool)

    def _reason_against_point(self, place: FloatArray, is_shown: bool) -> str | None:
        reason = self._reason_against(place[None]) if is_shown else "it is hidden"
        if reason is None and not self._are_inside(place[None, -2:]).all():
            reason = self._outside(place[-2:])
        return reason

    def _are_inside(self, points_yx: FloatArray) -> BoolArray:
        points = api_points(points_yx)
        height, width = self._size
        inside = (points >= 0) & (points < (width, height))
        return np.asarray(inside.all(axis=1), bool)

    def _outside(self, point_yx: FloatArray) -> str:
        x, y = api_points(point_yx)[0]
        height, width = self._size
        return f"({x:.1f}, {y:.1f}) is outside the picture ({width} x {height} px)"

    def _read_item(
        self, columns: _Columns, source: Source, placed: FloatArray, reason: str | None
    ) -> _Item | None:
        """What an item says; None if it names no object, or was skipped."""
        said: dict[str, Any] = {}
        for name, values in columns.items():
            if reason is None:
                read, remedy = _FEATURES[name]
                value = values[source.index]
                try:
                    said[name] = read(value)
                except ValueError:
                    reason = f"its feature {name!r} is {value!r}; {remedy}"
        if reason is not None:
            self._skip(source, reason)
            return None
        if said.get("object") is None:
            return None
        frame_index, outline = self._frame_of(placed[0]), placed[:, -2:]
        return _Item(source, frame_index, outline, said["object"], said.get("label", True))


class PromptGroup:
    """Collects what is said of one object on one frame."""

    def __init__(self) -> None:
        self.points: list[FloatArray] = []
        self.labels: list[bool] = []
        self.box: FloatArray | None = None
        self.box_source: Source | None = None
        self.mask: BoolArray | None = None
        self.excluded: list[BoolArray] = []
        self.sources: list[Source] = []

    def add_points(self, points_yx: FloatArray, include: bool) -> None:
        """Take clicks, (N, 2) y, x."""
        self.points.append(points_yx)
        self.labels += [include] * len(points_yx)

    def add_mask(self, mask: BoolArray) -> None:
        """Join an area."""
        self.mask = mask if self.mask is None else self.mask | mask

    def finish(self) -> None:
        """Cut excluded areas out of the mask, or click into them where there is no mask."""
        for area in self.excluded:
            if self.mask is not None:
                self.mask = self.mask & ~area
            else:
                self.add_points(deepest_point(area), include=False)
