"""Which axis is time and which channel is looked at; asked only where it is not clear."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from napari.layers import Image

from napari_sam3.plugin.layers.stack_axes import StackAxes, guess_axes
from napari_sam3.plugin.layers.transforms import layer_shape, world_to_indices
from napari_sam3.plugin.views.prompt_panel import VideoFields


class AxesChoice:
    """How the chosen video layer is read.

    Axes that are neither time nor picture stand still where the viewer is when the work on a
    video begins, and stay there (`pin`) until it begins anew.

    Parameters
    ----------
    viewer : napari viewer
        Whose sliders say where other axes stand still.
    fields : VideoFields
        `time_axis` and `channel` are filled and shown as needed.
    """

    def __init__(self, viewer: Any, fields: VideoFields) -> None:
        self._viewer = viewer
        self._fields = fields
        self._pinned: tuple[Image, StackAxes] | None = None
        fields.time_axis.changed.connect(self._on_time_axis_changed)
        fields.channel.changed.connect(self._on_channel_changed)

    def show(self, image_layer: Image | None) -> None:
        """Ask what is to be asked of this layer.

        Raises
        ------
        LayerError
            If the layer can't be used as a video.
        """
        self.unpin()
        time_axis, channel = self._fields.time_axis, self._fields.channel
        leading = 0 if image_layer is None else image_layer.ndim - 2
        if image_layer is None or leading < 2:
            self._fields.group.show_field(time_axis, False)
            self._fields.group.show_field(channel, False)
            return
        shape = layer_shape(image_layer)
        guess = self._guess(image_layer)
        with time_axis.changed.blocked(), channel.changed.blocked():
            time_axis.choices = [
                (f"{image_layer.axis_labels[axis]} ({shape[axis]})", axis)
                for axis in range(leading)
            ]
            time_axis.value = guess.time
            self._show_channel(image_layer, guess)
        self._fields.group.show_field(time_axis, True)

    def read(self, image_layer: Image) -> StackAxes:
        """How the layer is read: as it was pinned, else by the fields and sliders."""
        if self._pinned is not None and self._pinned[0] is image_layer:
            return self._pinned[1]
        guess = self._guess(image_layer)
        if image_layer.ndim - 2 < 2:
            return guess
        axes = self._with_time(image_layer, guess, int(self._fields.time_axis.value))
        if axes.channel is not None:
            fixed = {**axes.fixed, axes.channel: self._fields.channel.value}
            axes = replace(axes, fixed=fixed)
        return axes

    def pin(self, image_layer: Image) -> StackAxes:
        """Keep to how the layer is read now, wherever the sliders go."""
        axes = self.read(image_layer)
        self._pinned = (image_layer, axes)
        return axes

    def restore(self, image_layer: Image, axes: StackAxes) -> None:
        """Read the layer as it was read before, and keep to it."""
        time_axis, channel = self._fields.time_axis, self._fields.channel
        with time_axis.changed.blocked(), channel.changed.blocked():
            if axes.time in time_axis.choices:
                time_axis.value = axes.time
            self._show_channel(image_layer, axes)
        self._pinned = (image_layer, axes)

    def unpin(self) -> None:
        """Let the sliders decide again."""
        self._pinned = None

    def _guess(self, image_layer: Image) -> StackAxes:
        point = self._viewer.dims.point
        if len(point) < image_layer.ndim:
            return guess_axes(image_layer)
        return guess_axes(image_layer, world_to_indices(image_layer, point))

    def _with_time(self, image_layer: Image, guess: StackAxes, time: int) -> StackAxes:
        if time == guess.time:
            return guess
        indices = world_to_indices(image_layer, self._viewer.dims.point)
        fixed = {a: indices[a] for a in range(image_layer.ndim - 2) if a != time}
        return StackAxes(time, None if guess.channel == time else guess.channel, fixed)

    def _show_channel(self, image_layer: Image, axes: StackAxes) -> None:
        channel = self._fields.channel
        self._fields.group.show_field(channel, axes.channel is not None)
        if axes.channel is not None:
            channel.max = layer_shape(image_layer)[axes.channel] - 1
            channel.value = axes.fixed[axes.channel]

    def _on_channel_changed(self, _channel: int) -> None:
        self.unpin()

    def _on_time_axis_changed(self, time: int | None) -> None:
        self.unpin()
        image_layer = self._fields.video.value
        if image_layer is not None and time is not None:
            axes = self._with_time(image_layer, self._guess(image_layer), int(time))
            with self._fields.channel.changed.blocked():
                self._show_channel(image_layer, axes)
