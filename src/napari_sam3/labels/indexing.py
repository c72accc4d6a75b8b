"""Indices of a (T, H, W) array, and values to be put there, as NumPy would take them."""

from __future__ import annotations

import operator
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

Axis = int | slice | NDArray[np.intp]
Key = tuple[Axis, Axis, Axis]

_INDEX_KINDS = "labels take integers, slices, '...' and arrays of integers or bools as an index"


def normalise_key(key: Any, outline: NDArray[Any]) -> Key:
    """One int, slice or array of ints for each axis."""
    axes: list[Axis] = []
    items = list(key) if isinstance(key, tuple) else [key]
    if any(isinstance(item, np.ndarray) and item.dtype.kind == "b" for item in items):
        outline[key]  # NumPy refuses a mask of another shape
    ellipses = [place for place, item in enumerate(items) if item is Ellipsis]
    if len(ellipses) > 1:
        raise IndexError("an index can only have a single ellipsis ('...')")
    rest_at = ellipses[0] if ellipses else len(items)
    for item in items[:rest_at]:
        axes.extend(_as_axes(item))
    after = [axis for item in items[rest_at + 1 :] for axis in _as_axes(item)]
    missing = outline.ndim - len(axes) - len(after)
    if missing < 0:
        raise IndexError(f"too many indices: {key!r} for labels of shape {outline.shape}")
    axes += [slice(None)] * missing + after
    for place, (axis, length) in enumerate(zip(axes, outline.shape, strict=True)):
        if isinstance(axis, slice):
            continue
        if np.any(np.less(axis, -length) | np.greater_equal(axis, length)):
            raise IndexError(f"index {axis} is out of bounds for axis {place} with size {length}")
        if place == 0:  # frames are found by number; NumPy sees to the other axes
            axes[0] = axis % length
    if isinstance(axes[1], slice) and isinstance(axes[2], np.ndarray):
        # here NumPy takes an int for an array: what the arrays give comes first
        axes[0] = axes[0] if isinstance(axes[0], slice) else np.asarray(axes[0])
    return cast(Key, tuple(axes))


def fit_values(value: Any, shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    """The value in our dtype, broadcast to `shape`; refused where it would be wrapped round."""
    values = np.asarray(value)
    if values.dtype.kind not in "iub":
        raise TypeError(f"labels are integers, got {values.dtype}")
    if not np.can_cast(values.dtype, dtype) and values.size:
        limits = np.iinfo(dtype)
        least, greatest = int(values.min()), int(values.max())
        if least < limits.min or greatest > limits.max:
            wrong = least if least < limits.min else greatest
            raise ValueError(
                f"label {wrong} does not fit into {dtype} labels "
                f"({limits.min}..{limits.max}); make them with a wider dtype"
            )
    values = values.astype(dtype, copy=False)
    # like NumPy, take no offence at leading axes of length 1
    while values.ndim > len(shape) and values.shape[0] == 1:
        values = values[0]
    return np.broadcast_to(values, shape)


def _as_axes(item: Any) -> list[Axis]:
    """The axes that one item of a key stands for: a mask stands for as many as it has."""
    if isinstance(item, slice):
        return [item]
    if item is None or isinstance(item, bool | np.bool_):
        raise IndexError(f"{_INDEX_KINDS}, not {item!r}")
    try:
        return [operator.index(item)]
    except TypeError:
        pass
    array = np.asarray(item)
    if array.dtype.kind == "b":
        return list(np.nonzero(array))
    if array.size == 0:
        array = array.astype(np.intp)
    if array.dtype.kind not in "iu":
        raise IndexError(f"{_INDEX_KINDS}, not {item!r}")
    return [array.astype(np.intp, copy=False)]
