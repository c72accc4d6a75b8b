"""Which axis of an image layer is time, and the video that this makes of the layer.

The picture is always in the last two axes, as on napari's canvas (colours of an rgb image come
behind them and are not counted). Of the axes before, one is time; the others, channels or
slices, stand still at one index.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sam3.errors import LayerError
from napari_sam3.plugin.layers.lazy_array import LazyArray
from napari_sam3.plugin.layers.transforms import layer_shape
from napari_sam3.values import FloatArray
from napari_sam3.video import Video, as_video

_TIME = {"t", "time", "frame", "frames"}
_CHANNEL = {"c", "ch", "channel", "channels"}
_MOST_CHANNELS = 4


@dataclass(frozen=True)
class StackAxes:
    """How the axes of an image layer are to be read.

    Attributes
    ----------
    time : int or None
        The axis along which to track; None: a single picture, a video of one frame.
    channel : int or None
        The axis that holds channels, if any; the one to look at is in `fixed`.
    fixed : dict of axis to index
        For each axis that is neither time nor picture: where it stands still.
    """

    time: int | None
    channel: int | None = None
    fixed: dict[int, int] = field(default_factory=dict)


def guess_axes(layer: Any, current_step: Sequence[int] | None = None) -> StackAxes:
    """Guess which axis is time: by the layer's axis labels, else by shape and custom.

    Without labels, the first axis is time and a short second one (up to 4) holds channels, as in
    TCYX; a short first axis before a longer one holds channels, as in CTYX. A stack without
    an axis called time (ZYX) is gone through along its first axis that holds no channels.

    Parameters
    ----------
    layer : napari Image layer
        2D or more, not counting the colours of an rgb image.
    current_step : sequence of int, optional
        An index for each axis, aligned at the last ones, such as
        `transforms.world_to_indices(layer, viewer.dims.point)`: where axes that are neither time
        nor picture stand still. Default: at 0.

    Raises
    ------
    LayerError
        If the layer can't be used as a video.
    """
    shape = layer_shape(_usable(layer))
    labels = [label.strip().lower() for label in layer.axis_labels]
    leading = range(layer.ndim - 2)
    channel = next((axis for axis in leading if labels[axis] in _CHANNEL), None)
    time = next((axis for axis in leading if labels[axis] in _TIME), None)
    if not _is_named(labels) and len(leading) > 1:
        if shape[0] <= _MOST_CHANNELS < shape[1]:
            channel = 0
        elif shape[1] <= _MOST_CHANNELS:
            channel = 1
    if time is None:
        time = next((axis for axis in leading if axis != channel), None)
    fixed = {}
    for axis in leading:
        if axis != time:
            place = axis - layer.ndim
            known = current_step is not None and len(current_step) >= -place
            index = int(current_step[place]) if known and current_step is not None else 0
            fixed[axis] = min(max(index, 0), shape[axis] - 1)
    return StackAxes(time, channel, fixed)


def check_axes(layer: Any, axes: StackAxes) -> None:
    """Make sure that the layer can be read that way.

    Raises
    ------
    LayerError
        If the layer can't be used as a video, or `axes` does not fit it.
    """
    shape = layer_shape(_usable(layer))
    _check_kind(axes)
    leading = set(range(layer.ndim - 2))
    if axes.time is not None and axes.time not in leading:
        raise LayerError(
            f"axis {axes.time} of layer {layer.name!r} can't be time: of its {layer.ndim} axes the "
            "last two are the picture; choose an axis before these (np.moveaxis moves one there)"
        )
    still = leading - {axes.time}
    if set(axes.fixed) != still:
        raise LayerError(
            f"layer {layer.name!r} stands still on axes {sorted(still)}, but an index is given for "
            f"{sorted(axes.fixed)}; give one for each"
        )
    for axis, index in axes.fixed.items():
        if not 0 <= index < shape[axis]:
            raise LayerError(
                f"index {index} on axis {axis} of layer {layer.name!r} does not exist; "
                f"choose 0 to {shape[axis] - 1}"
            )


def _check_kind(axes: Any) -> None:
    """Refuse what says nothing of axes: a script may have handed over anything."""
    is_right = isinstance(axes, StackAxes) and isinstance(axes.fixed, Mapping)
    if is_right:
        numbers = [axes.time, axes.channel, *axes.fixed, *axes.fixed.values()]
        is_right = all(isinstance(n, Integral | None) and not isinstance(n, bool) for n in numbers)
    if not is_right:
        raise LayerError(
            "axes must be a StackAxes of whole numbers, as StackAxes(time=0) or "
            f"StackAxes(time=0, fixed={{1: 2}}), not {axes!r:.100} ({type(axes).__name__})"
        )


def frame_count(layer: Any, axes: StackAxes) -> int:
    """Number of frames that the layer has as a video."""
    return 1 if axes.time is None else layer_shape(layer)[axes.time]


def frame_position(layer: Any, axes: StackAxes, frame_index: int) -> FloatArray:
    """Where the first pixel of a frame is in the layer's data, (layer.ndim,) float64."""
    position = np.zeros(layer.ndim)
    for axis, index in axes.fixed.items():
        position[axis] = index
    if axes.time is not None:
        position[axes.time] = frame_index
    return position


def layer_video(layer: Any, axes: StackAxes) -> Video:
    """The layer as a video, read frame by frame as it is needed.

    Parameters
    ----------
    layer : napari Image layer
        Of any array: NumPy, dask, zarr, a `Video`; of a multiscale layer the finest level is used.
    axes : StackAxes
        How to read it.

    Returns
    -------
    Video
        (T, H, W), or (T, H, W, 3) for an rgb layer. It has a handle of its own on a video
        file, so closing it leaves the layer alone.

    Raises
    ------
    LayerError
        If the layer can't be used as a video, or `axes` does not fit it.
    """
    check_axes(layer, axes)
    data = layer.data[0] if layer.multiscale else layer.data
    if layer.ndim == 3 and axes.time == 0:
        if isinstance(data, Video):
            return data.reopen()
        if not layer.rgb or data.shape[-1] == 3:
            return as_video(data)
    return as_video(_FramesOfStack(data, layer, axes))


def video_contrast_limits(layer: Any) -> tuple[float, float] | None:
    """The range of values that the layer shows from black to white; None: 8 bits as they are.

    Colours are shown by napari over the range of their type, whatever the contrast limits.
    """
    dtype = np.dtype(layer.dtype)
    if not layer.rgb:
        low, high = (float(limit) for limit in layer.contrast_limits)
    else:
        low, high = 0.0, float(np.iinfo(dtype).max) if dtype.kind in "iu" else 1.0
    return None if dtype == np.uint8 and (low, high) == (0.0, 255.0) else (low, high)


class _FramesOfStack(LazyArray):
    """(T, H, W[, 3]) out of a stack of more axes; reads no more than is asked for."""

    def __init__(self, data: Any, layer: Any, axes: StackAxes) -> None:
        self._data = data
        self._axes = axes
        self._leading = layer.ndim - 2
        picture = layer_shape(layer)[-2:]
        # an alpha channel is left out: models see colours
        self._colours: tuple[Any, ...] = (slice(0, 3),) if layer.rgb else ()
        self.shape = (frame_count(layer, axes), *picture, *((3,) if layer.rgb else ()))
        self.dtype: np.dtype[Any] = np.dtype(data.dtype)

    def __getitem__(self, key: Any) -> NDArray[Any]:
        first, *rest = key if isinstance(key, tuple) else (key,)
        if first is Ellipsis:
            return np.asarray(self)[key]
        if isinstance(first, slice):
            frames = range(len(self))[first]
            whole = [self._frame(i) for i in frames]
            block = np.stack(whole) if whole else np.zeros((0, *self.shape[1:]), self.dtype)
            return block[(slice(None), *rest)]
        index = range(len(self))[first]
        return self._frame(index)[tuple(rest)]

    def _frame(self, frame_index: int) -> NDArray[Any]:
        leading = (
            frame_index if axis == self._axes.time else self._axes.fixed[axis]
            for axis in range(self._leading)
        )
        return np.asarray(self._data[(*leading, slice(None), slice(None), *self._colours)])


def _is_named(labels: Sequence[str]) -> bool:
    """Whether anybody named the axes: napari's own names are '-3', '-2', '-1'."""
    return any(label != str(place) for place, label in enumerate(labels, -len(labels)))


def _usable(layer: Any) -> Any:
    from napari.layers import Image

    if not isinstance(layer, Image):
        kind = "nothing" if layer is None else f"the {type(layer).__name__} layer {layer.name!r}"
        raise LayerError(f"the video is {kind}; choose an Image layer")
    if 0 in layer_shape(layer):
        raise LayerError(
            f"layer {layer.name!r} of shape {layer_shape(layer)} has no picture in it; "
            "choose another layer"
        )
    return layer
