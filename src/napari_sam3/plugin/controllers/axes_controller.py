"""Which axis is time and which channel is looked at; asked only where it is not clear."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from napari.layers import Image

from napari_sam3.errors import LayerError
from napari_sam3.plugin.layers.stack_axes import StackAxes, check_axes, frame_count, guess_axes
from napari_sam3.plugin.layers.transforms import layer_shape, world_to_indices
from napari_sam3.plugin.model.app_state import AppState

NOTHING_TO_ASK: dict[str, Any] = {
    "time_axes": (),
    "time_axis": None,
    "n_channels": 0,
    "channel": 0,
    "channel_names": (),
    "n_frames": 0,
}
"""Fields of the state where it is clear how a video is read, or there is none."""


class AxesController:
    """How video layers are read.

    Axes that are neither time nor picture stand still where the viewer is when the work on a
    video begins, and stay there (`pin`) until it begins anew.

    Parameters
    ----------
    viewer : napari viewer
        Whose sliders say where other axes stand still.
    state : AppState
        With the axes that can be chosen, and those that are.
    """

    def __init__(self, viewer: Any, state: AppState) -> None:
        self._viewer, self._state = viewer, state

    def options(self, image_layer: Image | None) -> dict[str, Any]:
        """What is to be asked of this layer, as fields of the state, and how many frames it has.

        Raises
        ------
        LayerError
            If the layer can't be used as a video.
        """
        if image_layer is None:
            return dict(NOTHING_TO_ASK)
        axes = self._pinned(image_layer) or self._guess(image_layer)
        asked = {**NOTHING_TO_ASK, "n_frames": frame_count(image_layer, axes)}
        leading = image_layer.ndim - 2
        if leading >= 2:
            shape, labels = layer_shape(image_layer), image_layer.axis_labels
            asked["time_axes"] = tuple((f"{labels[i]} ({shape[i]})", i) for i in range(leading))
            asked |= {"time_axis": axes.time, **_channel_of(image_layer, axes)}
            source = self._state.tracked(image_layer).source
            asked["channel_names"] = () if source is None else source.channels
        return asked

    def choose_time_axis(self, axis: int) -> None:
        """Track the chosen video along another axis."""
        image_layer = self._state.video
        if image_layer is not None and axis != self._state.time_axis:
            self.unpin(image_layer)
            axes = self._along(image_layer, self._guess(image_layer), axis)
            self._state.update(time_axis=axis, **_channel_of(image_layer, axes))
            self._state.n_frames = frame_count(image_layer, axes)

    def choose_channel(self, channel: int) -> None:
        """Look at another channel of the chosen video."""
        if self._state.video is not None and channel != self._state.channel:
            self.unpin(self._state.video)
            self._state.channel = channel

    def read(self, image_layer: Image) -> StackAxes:
        """How the layer is read: as it was pinned, else as was chosen and by the sliders."""
        pinned = self._pinned(image_layer)
        if pinned is not None:
            return pinned
        guess, time_axis = self._guess(image_layer), self._state.time_axis
        is_chosen = image_layer is self._state.video
        if not is_chosen or image_layer.ndim < 4 or time_axis is None:
            return guess
        axes = self._along(image_layer, guess, time_axis)
        if axes.channel is not None:
            axes = replace(axes, fixed={**axes.fixed, axes.channel: self._state.channel})
        return axes

    def pin(self, image_layer: Image, axes: StackAxes | None = None) -> StackAxes:
        """Keep to how the layer is read now (or to these axes), wherever the sliders go."""
        tracked = self._state.tracked(image_layer)
        if axes is not None:
            tracked.axes = axes
            self._state.update(**self.options(image_layer))
        else:
            tracked.axes = self.read(image_layer)
        return tracked.axes

    def unpin(self, image_layer: Image) -> None:
        """Let the sliders decide again."""
        self._state.tracked(image_layer).axes = None

    def _pinned(self, image_layer: Image) -> StackAxes | None:
        tracked = self._state.tracked(image_layer)
        if tracked.axes is not None:
            try:
                check_axes(image_layer, tracked.axes)
            except LayerError:  # it has other data now
                tracked.axes = None
        return tracked.axes

    def _guess(self, image_layer: Image) -> StackAxes:
        point = self._viewer.dims.point
        if len(point) < image_layer.ndim:
            return guess_axes(image_layer)
        return guess_axes(image_layer, world_to_indices(image_layer, point))

    def _along(self, image_layer: Image, guess: StackAxes, time: int) -> StackAxes:
        if time == guess.time:
            return guess
        indices = world_to_indices(image_layer, self._viewer.dims.point)
        fixed = {a: indices[a] for a in range(image_layer.ndim - 2) if a != time}
        return StackAxes(time, None if guess.channel == time else guess.channel, fixed)


def _channel_of(image_layer: Image, axes: StackAxes) -> dict[str, int]:
    """How many channels there are to choose from, and the one that is looked at."""
    if axes.channel is None:
        return {"n_channels": 0, "channel": 0}
    return {
        "n_channels": layer_shape(image_layer)[axes.channel],
        "channel": axes.fixed[axes.channel],
    }
