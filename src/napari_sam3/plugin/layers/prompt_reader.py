"""What the points, shapes and painted labels of napari layers say, as prompts for a session.

Nothing here changes a layer. Every item becomes a prompt at its own time coordinate, through the
world transforms of both layers, on the nearest frame. What can't become one is handed back
with the reason.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from napari_sam3.plugin.layers.exemplars import read_example
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
from napari_sam3.plugin.layers.transforms import api_points, layer_shape, map_points
from napari_sam3.plugin.layers.untimed_layers import position_meant
from napari_sam3.values import BoolArray, FloatArray, no_labels, no_points


def prompts_from_layers(
    image_layer: Any,
    axes: StackAxes,
    points_layer: Any | None = None,
    shapes_layer: Any | None = None,
    labels_layer: Any | None = None,
    *,
    current_frame: int = 0,
    default_object: int | None = None,
) -> LayerPrompts:
    """Read layers as prompts.

    The feature `object` (a whole number from 1) names the object that an item belongs to; 0 or
    nothing makes a new object of each item. In a layer without that feature, points belong to
    `default_object`, and each shape makes a new object. The feature `label` says whether an item
    shows the object (1, "include") or what is not the object (0, "exclude"); without it,
    everything shows the object.

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
    labels_layer : napari Labels layer, optional
        Its labels on `current_frame` become masks of the objects of the same ids.
    current_frame : int
        The frame that layers without a time axis speak of (as long as they hold something, the
        one at the first reading), and the one to read labels from.
    default_object : int, optional
        See above. None: the points of such a layer make one new object on each frame.

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
    if labels_layer is not None:
        reader.take(prompts_from_labels(image_layer, axes, labels_layer, current_frame))
    if shapes_layer is not None:
        reader.read_shapes(shapes_layer)
    if points_layer is not None:
        reader.read_points(points_layer, default_object)
    return reader.finish()


def prompts_from_labels(
    image_layer: Any,
    axes: StackAxes,
    labels_layer: Any,
    frame_index: int,
    only: int | None = None,
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
    only : int, optional
        Read this label alone.

    Returns
    -------
    LayerPrompts
        One prompt for each label, rising.
    """
    check_axes(image_layer, axes)
    labels = labels_on_frame(image_layer, axes, labels_layer, frame_index)
    found = [int(i) for i in np.unique(labels) if i != 0 and only in (None, int(i))]
    prompts, skipped = [], []
    for label in found:
        source = Source("labels", label)
        if label < 0:
            skipped.append(Skipped(source, f"label {label} is no object id (1 or more)"))
        else:
            prompts.append(LayerPrompt(frame_index, label, mask=labels == label, sources=(source,)))
    return LayerPrompts(tuple(prompts), tuple(skipped))


class _Reader:
    def __init__(self, image_layer: Any, axes: StackAxes, current_frame: int) -> None:
        self._image = image_layer
        self._axes = axes
        self._frames = frame_count(image_layer, axes)
        height, width = layer_shape(image_layer)[-2:]
        self._size = (height, width)
        self._current_frame = current_frame
        self._groups: dict[tuple[int, int, int], PromptGroup] = {}
        self._new = 0
        self._skipped: list[Skipped] = []
        self._examples: dict[int, tuple[list[FloatArray], list[bool]]] = {}

    def read_points(self, layer: Any, default_object: int | None) -> None:
        position = position_meant(layer, self._image, self._axes, self._current_frame)
        placed = map_points(layer, self._image, layer.data, position)
        has_object = "object" in layer.features
        unnamed: dict[int, int] = {}  # frame -> key of the new object of a layer without ids
        for index, place in enumerate(placed):
            source = Source("points", index)
            with_reason = self._reason_against(place[None])
            if not bool(np.atleast_1d(layer.shown)[index]):
                with_reason = "it is hidden"
            if with_reason is None and not self._inside(place[None, -2:]).all():
                with_reason = self._outside(place[-2:])
            if with_reason is not None:
                self._skip(source, with_reason)
                continue
            frame_index = self._frame_of(place)
            read = self._read_features(layer, index, source, default_object)
            if read is None:
                continue
            obj_id, include = read
            if obj_id is None and not has_object:
                if frame_index not in unnamed:
                    self._new += 1
                    unnamed[frame_index] = self._new
                group = self._group_of(frame_index, None, unnamed[frame_index])
                group.sources.append(source)
            else:
                group = self.group(frame_index, obj_id, source)
            group.add_points(place[None, -2:], include)

    def read_shapes(self, layer: Any) -> None:
        position = position_meant(layer, self._image, self._axes, self._current_frame)
        for index, (kind, vertices) in enumerate(zip(layer.shape_type, layer.data, strict=True)):
            source = Source("shapes", index)
            corners = ellipse_outline(vertices) if kind == "ellipse" else np.asarray(vertices)
            placed = map_points(layer, self._image, corners, position)
            reason = self._reason_against(placed)
            if reason is not None:
                self._skip(source, reason)
                continue
            outline = placed[:, -2:]
            frame_index = self._frame_of(placed[0])
            shows = read_example(layer, index)
            if shows is not None:
                if kind == "rectangle" and is_level(outline):
                    self._add_example(outline, frame_index, source, shows)
                else:
                    self._skip(source, "only a rectangle can be an example of what to look for")
                continue
            read = self._read_features(layer, index, source, None)
            if read is None:
                continue
            if kind == "line" or (kind == "path" and not is_loop(outline)):
                self._add_line(outline, frame_index, source, *read)
            elif kind == "rectangle" and is_level(outline) and read[1]:
                self._add_box(outline, frame_index, source, read[0])
            else:
                self._add_area(outline, frame_index, source, *read)

    def take(self, painted: LayerPrompts) -> None:
        """Take masks that were read already."""
        self._skipped.extend(painted.skipped)
        for prompt in painted:
            group = self.group(prompt.frame_index, prompt.obj_id, prompt.sources[0])
            if prompt.mask is not None:
                group.add_mask(prompt.mask)

    def finish(self) -> LayerPrompts:
        prompts = []
        # new objects (id 0 in the key) come last on their frame, in the order drawn
        order = sorted(self._groups, key=lambda key: (key[0], key[1] == 0, key[1], key[2]))
        for frame_index, obj_id, new in order:
            group = self._groups[frame_index, obj_id, new]
            group.finish()
            if group.mask is not None and not group.mask.any():
                for source in group.sources:
                    self._skip(source, "the excluded areas leave nothing of the mask")
                continue
            points = np.concatenate(group.points) if group.points else no_points()
            labels = np.concatenate(group.labels) if group.labels else no_labels()
            if not obj_id and group.box is None and group.mask is None and not labels.any():
                for source in group.sources:
                    self._skip(source, "it excludes, but from no object; set its feature 'object'")
                continue
            prompts.append(
                LayerPrompt(
                    frame_index,
                    obj_id or None,
                    points,
                    labels,
                    group.box,
                    group.mask,
                    tuple(group.sources),
                )
            )
        return LayerPrompts(tuple(prompts), tuple(self._skipped), self._examples)

    def _add_line(
        self, line: FloatArray, frame_index: int, source: Source, obj_id: int | None, include: bool
    ) -> None:
        points = points_along(line)
        inside = points[self._inside(points)]
        if len(inside) == 0:
            self._skip(source, self._outside(line[0]))
            return
        self.group(frame_index, obj_id, source).add_points(inside, include)

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

    def _add_box(
        self, corners: FloatArray, frame_index: int, source: Source, obj_id: int | None
    ) -> None:
        box = self._clip(corners, source)
        if box is None:
            return
        group = self.group(frame_index, obj_id, source)
        if group.box_source is not None:
            group.sources.remove(group.box_source)
            self._skip(
                group.box_source,
                f"object {obj_id} has a later box on frame {frame_index}; an object has one box",
            )
        group.box, group.box_source = box, source

    def _add_area(
        self,
        outline: FloatArray,
        frame_index: int,
        source: Source,
        obj_id: int | None,
        include: bool,
    ) -> None:
        mask = fill_outline(outline, self._size)
        if not mask.any():
            self._skip(source, "it holds no pixel of the picture")
            return
        group = self.group(frame_index, obj_id, source)
        if include:
            group.add_mask(mask)
        else:
            group.excluded.append(mask)

    # --------------------------------------------------------------- groups

    def group(self, frame_index: int, obj_id: int | None, source: Source) -> PromptGroup:
        """The group that an item belongs to; a new one for an item of no object."""
        if obj_id is None:
            self._new += 1
        group = self._group_of(frame_index, obj_id, self._new if obj_id is None else 0)
        group.sources.append(source)
        return group

    def _group_of(self, frame_index: int, obj_id: int | None, new: int) -> PromptGroup:
        return self._groups.setdefault((frame_index, obj_id or 0, new), PromptGroup())

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

    def _inside(self, points_yx: FloatArray) -> BoolArray:
        points = api_points(points_yx)
        height, width = self._size
        inside = (points >= 0) & (points < (width, height))
        return np.asarray(inside.all(axis=1), bool)

    def _outside(self, point_yx: FloatArray) -> str:
        x, y = api_points(point_yx)[0]
        height, width = self._size
        return f"({x:.1f}, {y:.1f}) is outside the picture ({width} x {height} px)"

    def _read_features(
        self, layer: Any, index: int, source: Source, default_object: int | None
    ) -> tuple[int | None, bool] | None:
        """(object or None, include) of an item; None if it was skipped."""
        features = layer.features
        include = True
        if "label" in features:
            word = features["label"].iloc[index]
            try:
                include = read_include(word)
            except ValueError:
                self._skip(
                    source, f"its feature 'label' is {word!r}; write 'include' or 'exclude' (1, 0)"
                )
                return None
        obj_id = default_object
        if "object" in features:
            value = features["object"].iloc[index]
            try:
                obj_id = read_object_id(value)
            except ValueError:
                self._skip(
                    source, f"its feature 'object' is {value!r}; write a whole number from 0"
                )
                return None
        return obj_id, include


class PromptGroup:
    """Collects what is said of one object on one frame."""

    def __init__(self) -> None:
        self.points: list[FloatArray] = []
        self.labels: list[BoolArray] = []
        self.box: FloatArray | None = None
        self.box_source: Source | None = None
        self.mask: BoolArray | None = None
        self.excluded: list[BoolArray] = []
        self.sources: list[Source] = []

    def add_points(self, points_yx: FloatArray, include: bool) -> None:
        """Take clicks, (N, 2) y, x."""
        self.points.append(api_points(points_yx))
        self.labels.append(np.full(len(points_yx), include))

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
