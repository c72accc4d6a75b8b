"""Layers that lie on a video layer: where they go, what they hold, which labels lie on a frame."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sam3.plugin.layers.lazy_array import LazyArray
from napari_sam3.plugin.layers.stack_axes import StackAxes, frame_position
from napari_sam3.plugin.layers.transforms import data_to_world_matrix, layer_shape, map_points


def overlay_place(image_layer: Any, axes: StackAxes) -> dict[str, Any]:
    """Arguments that put a layer exactly onto a video layer.

    A layer over TYX, CTYX or ZTYX has the axes T, Y, X and so shows on every channel. Where other
    axes come after time (TCYX, TZYX), it has these too. A single picture gets an axis for time.

    Parameters
    ----------
    image_layer : napari Image layer
        The video.
    axes : StackAxes
        How it is read.

    Returns
    -------
    dict
        `scale`, `translate`, `units`, `axis_labels` for any layer type, and `affine` where the
        video layer has more to it (rotated, sheared).
    """
    return place_over(image_layer, _overlay_ndim(image_layer, axes))


def place_over(image_layer: Any, ndim: int) -> dict[str, Any]:
    """The same for a layer of so many axes, the last ones of the video layer."""
    missing = max(0, ndim - image_layer.ndim)
    kept = image_layer.ndim - (ndim - missing)
    labels = tuple(image_layer.axis_labels[kept:])
    if labels == tuple(str(i) for i in range(-len(labels), 0)):
        labels = tuple(str(i) for i in range(-ndim, 0))
    else:
        labels = ("t",) * missing + labels
    place: dict[str, Any] = {
        "scale": np.concatenate([np.ones(missing), image_layer.scale[kept:]]),
        "translate": np.concatenate([np.zeros(missing), image_layer.translate[kept:]]),
        "units": ("pixel",) * missing + tuple(image_layer.units[kept:]),
        "axis_labels": labels,
    }
    plain = np.diag([*image_layer.scale, 1.0])
    plain[:-1, -1] = image_layer.translate
    matrix = data_to_world_matrix(image_layer)
    if np.allclose(matrix, plain):
        return place
    # what is beyond scale and translate goes into the affine, which napari applies last:
    # affine * (scale, translate) = matrix
    beyond = matrix @ np.linalg.inv(plain)
    used = [*range(kept, image_layer.ndim), image_layer.ndim]
    affine = np.eye(ndim + 1)
    affine[missing:, missing:] = beyond[np.ix_(used, used)]
    place["affine"] = affine
    return place


def overlay_labels(planes: Any, image_layer: Any, axes: StackAxes) -> Any:
    """Labels (T, H, W) in the shape that `overlay_place` puts onto the video layer.

    Parameters
    ----------
    planes : array-like, (T, H, W)
        NumPy's, or `LabelStack`; painting on the result writes to it.
    image_layer : napari Image layer
        The video.
    axes : StackAxes
        How it is read.

    Returns
    -------
    array-like
        `planes` itself for TYX and CTYX; a view of it such as (T, Z, H, W) for TZYX, which has the
        labels on the one slice that the video was read from, or on every channel alike.
    """
    if _overlay_ndim(image_layer, axes) == 3:
        return planes
    return StackedPlanes(planes, image_layer, axes)


def labels_on_frame(
    image_layer: Any, axes: StackAxes, labels_layer: Any, frame_index: int
) -> NDArray[Any]:
    """The labels that lie on the pixels of a frame.

    Parameters
    ----------
    image_layer, axes
        The video layer and how it is read.
    labels_layer : napari Labels layer
        Of any ndim, scale and place.
    frame_index : int
        Of the video.

    Returns
    -------
    (H, W) ndarray
        At the centres of the video's pixels, the nearest label; 0 where there is none.
    """
    size = layer_shape(image_layer)[-2:]
    origin = frame_position(image_layer, axes, frame_index)
    steps = np.zeros((3, image_layer.ndim))
    steps[1, -2] = steps[2, -1] = 1
    places = map_points(image_layer, labels_layer, origin + steps)
    first, linear = places[0], (places[1:] - places[0])[:, -2:].T
    shape = layer_shape(labels_layer)
    leading = tuple(int(i) for i in np.rint(first[:-2]))
    data = labels_layer.data[0] if labels_layer.multiscale else labels_layer.data
    if any(not 0 <= i < n for i, n in zip(leading, shape, strict=False)):
        return np.zeros(size, data.dtype)
    plane = np.asarray(data[(*leading, slice(None), slice(None))])
    if shape[-2:] == size and np.allclose(linear, np.eye(2)) and np.allclose(first[-2:], 0):
        return plane
    from scipy.ndimage import affine_transform

    found: NDArray[Any] = affine_transform(
        plane, linear, first[-2:], output_shape=size, order=0, mode="grid-constant", cval=0
    )
    return found


def _overlay_ndim(image_layer: Any, axes: StackAxes) -> int:
    if axes.time is not None:
        return int(image_layer.ndim - axes.time)
    return 3


class StackedPlanes(LazyArray):
    """Labels (T, H, W) seen as (T, ..., H, W): on one slice of an axis between, or all channels.

    Takes the indices that napari uses: integers and slices, or an array of integers for each axis.

    Parameters
    ----------
    planes : array-like, (T, H, W)
        Where the labels are kept.
    image_layer : napari Image layer
        The video; its axes from time on give the shape.
    axes : StackAxes
        How it is read.
    """

    def __init__(self, planes: Any, image_layer: Any, axes: StackAxes) -> None:
        first = (axes.time or 0) + 1
        between = range(first, image_layer.ndim - 2)
        shape = layer_shape(image_layer)
        self.planes = planes
        self.shape = (planes.shape[0], *(shape[axis] for axis in between), *planes.shape[1:])
        self.dtype: np.dtype[Any] = np.dtype(planes.dtype)
        # axis -> the only index that has labels; a channel axis shows them on every index
        self._slices = {
            axis - first + 1: axes.fixed[axis] for axis in between if axis != axes.channel
        }

    def __getitem__(self, key: Any) -> Any:
        items = self._items(key)
        if isinstance(items[0], np.ndarray):
            inside = self._inside(items)
            found = np.zeros(inside.shape, self.dtype)
            found[inside] = self.planes[tuple(items[n][inside] for n in (0, -2, -1))]
            return found
        spans = self._spans(items)
        block = np.zeros([len(span) for span in spans], self.dtype)
        part = self.planes[tuple(_as_slice(spans[n]) for n in (0, -2, -1))]
        between = (1,) * (self.ndim - 3)
        block[self._lit(spans)] = part.reshape(len(part), *between, *part.shape[1:])
        return block[_drop_ints(items)]

    def __setitem__(self, key: Any, value: Any) -> None:
        items = self._items(key)
        if isinstance(items[0], np.ndarray):
            inside = self._inside(items)
            values = np.broadcast_to(np.asarray(value), inside.shape)[inside]
            self.planes[tuple(items[n][inside] for n in (0, -2, -1))] = values
            return
        spans = self._spans(items)
        shape = [len(span) for span in spans]
        kept = [n for n, item in zip(shape, items, strict=True) if isinstance(item, slice)]
        block = np.broadcast_to(np.asarray(value), kept).reshape(shape)[self._lit(spans)]
        if block.size:
            # every channel shows the same labels: the last one written holds
            last: tuple[Any, ...] = (slice(None), *(-1,) * (self.ndim - 3))
            self.planes[tuple(_as_slice(spans[n]) for n in (0, -2, -1))] = block[last]

    def _items(self, key: Any) -> tuple[Any, ...]:
        """An int or slice for each axis, or an array for each, all of one shape."""
        items = list(key) if isinstance(key, tuple) else [key]
        if not any(item is Ellipsis for item in items):
            items.append(Ellipsis)
        at = next(place for place, item in enumerate(items) if item is Ellipsis)
        missing = self.ndim - (len(items) - 1)
        if missing < 0:
            raise IndexError(f"too many indices: {key!r} for labels of shape {self.shape}")
        items[at : at + 1] = [slice(None)] * missing
        if not any(isinstance(item, slice) for item in items) and any(map(np.ndim, items)):
            return tuple(np.broadcast_arrays(*items))
        if any(np.ndim(item) for item in items if not isinstance(item, slice)):
            raise IndexError("labels of a stack take integers and slices, or arrays alone")
        return tuple(items)

    def _spans(self, items: tuple[Any, ...]) -> list[range]:
        """The indices asked for on each axis; of an integer, a range of that one."""
        spans = []
        for item, length in zip(items, self.shape, strict=True):
            if isinstance(item, slice):
                spans.append(range(length)[item])
            else:
                index = range(length)[item]  # raises where it is out of range
                spans.append(range(index, index + 1))
        return spans

    def _lit(self, spans: list[range]) -> tuple[slice, ...]:
        """Where in a block of these spans the labels are."""
        places = [slice(None)] * self.ndim
        for axis, index in self._slices.items():
            at = spans[axis].index(index) if index in spans[axis] else 0
            places[axis] = slice(at, at + 1 if index in spans[axis] else at)
        return tuple(places)

    def _inside(self, items: tuple[Any, ...]) -> NDArray[np.bool_]:
        """Which single elements may hold a label."""
        inside = np.ones(items[0].shape, bool)
        for axis, index in self._slices.items():
            inside &= items[axis] % self.shape[axis] == index
        return inside


def _as_slice(span: range) -> slice:
    stop = span.stop if span.stop >= 0 else None
    return slice(span.start, stop, span.step) if len(span) else slice(0, 0)


def _drop_ints(items: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(slice(None) if isinstance(item, slice) else 0 for item in items)
