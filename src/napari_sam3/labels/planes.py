"""Labels of a whole video in memory: every frame squeezed, the few in use unsqueezed.

A (T, H, W) array of an hour of 1080p would take 450 GB. Label frames are large areas of equal
value, so each is kept as its runs along the rows, deflated: some 10 to 40 kB a frame, faster to
make and to read than deflating the pixels.
"""

from __future__ import annotations

import operator
import threading
from collections import OrderedDict
from typing import Any, cast

import numpy as np
from numpy.typing import DTypeLike, NDArray

from napari_sam3.labels.runs import PackedFrame, pack_frame, unpack_frame

_Axis = int | slice | NDArray[np.intp]
_Key = tuple[_Axis, _Axis, _Axis]

_INDEX_KINDS = "labels take integers, slices, '...' and arrays of integers or bools as an index"

CACHE_BYTES = 64 * 2**20


class LabelPlanes:
    """An array-like of labels, (T, H, W), whose frames are kept squeezed.

    Takes memory only for frames that hold a label, and for the frames last used. Indexing works
    as in NumPy and returns a copy that may be changed; assigning writes back. It serves as the
    data of a napari Labels layer: painting, filling, undo and redo work. Safe to use from
    several threads: each read and each assignment of one frame is whole.

    Parameters
    ----------
    shape : (int, int, int)
        Frames, height, width.
    dtype : integer dtype
        Of the labels; 0 is background.
    cache_bytes : int
        How much memory the unsqueezed frames may take; at least one frame is kept.

    Raises
    ------
    ValueError
        If `shape` is not three positive numbers or `dtype` is not an integer type.
    """

    ndim = 3

    def __init__(
        self,
        shape: tuple[int, int, int],
        dtype: DTypeLike = np.uint16,
        *,
        cache_bytes: int = CACHE_BYTES,
    ) -> None:
        sizes = tuple(operator.index(n) for n in shape)
        if len(sizes) != 3 or min(sizes) < 1:
            raise ValueError(f"shape is {shape}; give (frames, height, width), each at least 1")
        self.shape = sizes
        self.dtype: np.dtype[Any] = np.dtype(dtype)
        if self.dtype.kind not in "iu":
            raise ValueError(f"dtype is {self.dtype}; labels need an integer type such as uint16")
        plane_bytes = self.shape[1] * self.shape[2] * self.dtype.itemsize
        self._cache_bytes = cache_bytes
        self._cache_frames = max(1, cache_bytes // plane_bytes)
        self._lock = threading.RLock()
        self._packed: dict[int, PackedFrame] = {}
        self._open: OrderedDict[int, NDArray[Any]] = OrderedDict()
        self._dirty: set[int] = set()  # open frames that differ from what is packed
        self._processed = np.zeros(self.shape[0], bool)
        # views of one element: they have the shapes and cost nothing
        self._background = np.broadcast_to(self.dtype.type(0), self.shape[1:])
        self._outline = np.broadcast_to(np.int8(0), self.shape)

    # ------------------------------------------------------------ what it is

    @property
    def size(self) -> int:
        """Number of elements."""
        frames, height, width = self.shape
        return frames * height * width

    @property
    def nbytes(self) -> int:
        """Bytes that a plain array of this shape would take (see `memory_bytes`)."""
        return self.size * self.dtype.itemsize

    @property
    def memory_bytes(self) -> int:
        """Bytes that the frames take now, squeezed and unsqueezed."""
        with self._lock:
            packed = sum(len(p.blob) for p in self._packed.values())
            return packed + sum(plane.nbytes for plane in self._open.values())

    def __len__(self) -> int:
        return self.shape[0]

    def __repr__(self) -> str:
        done = int(np.count_nonzero(self._processed))
        return f"<LabelPlanes {self.shape} {self.dtype}, {done} frames written>"

    def is_processed(self, frame_index: int) -> bool:
        """Whether the frame was ever written, if only with background."""
        return bool(self._processed[frame_index])

    def processed_frames(self) -> NDArray[np.intp]:
        """Indices of the frames ever written, rising."""
        return np.flatnonzero(self._processed)

    # --------------------------------------------------------- reading, writing

    def __getitem__(self, key: Any) -> Any:
        first, *others = self._normalise(key)
        rest = tuple(others)
        if isinstance(first, int):
            with self._lock:
                part = self._look(first)[rest]
                return part.copy() if isinstance(part, np.ndarray) else part
        if isinstance(first, slice):
            found = np.zeros(self._outline[(first, *rest)].shape, self.dtype)
            for place, frame_index in enumerate(range(self.shape[0])[first]):
                with self._lock:
                    if self._holds_labels(frame_index):
                        found[place] = self._look(frame_index)[rest]
            return found
        if any(isinstance(axis, slice) for axis in rest):
            frames, places = np.unique(first, return_inverse=True)
            block = np.stack([self[int(t)] for t in frames]) if frames.size else self[:0]
            return block[(places.reshape(first.shape), *rest)]
        t, y, x = np.broadcast_arrays(first, *cast(Any, rest))
        found = np.zeros(t.shape, self.dtype)
        for frame_index in np.unique(t):
            here = t == frame_index
            with self._lock:
                found[here] = self._look(int(frame_index))[y[here], x[here]]
        return found

    def __setitem__(self, key: Any, value: Any) -> None:
        first, *others = self._normalise(key)
        rest = tuple(others)
        # also finds every index out of range, before anything is changed
        target = self._outline[(first, *rest)].shape
        values = self._fit(value, target)
        if isinstance(first, int):
            self._write(first, rest, values)
        elif isinstance(first, slice):
            for place, frame_index in enumerate(range(self.shape[0])[first]):
                self._write(frame_index, rest, values[place])
        elif any(isinstance(axis, slice) for axis in rest):
            frames, places = np.unique(first, return_inverse=True)
            with self._lock:
                block = np.stack([self[int(t)] for t in frames]) if frames.size else self[:0]
                block[(places.reshape(first.shape), *rest)] = values
                for frame_index, plane in zip(frames, block, strict=True):
                    self._write(int(frame_index), (slice(None), slice(None)), plane)
        else:
            t, y, x = np.broadcast_arrays(first, *cast(Any, rest))
            for frame_index in np.unique(t):
                here = t == frame_index
                self._write(int(frame_index), (y[here], x[here]), values[here])

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        if copy is False:
            raise ValueError("LabelPlanes are squeezed: an array of them is always a copy")
        whole: NDArray[Any] = self[:]
        return whole if dtype is None else whole.astype(dtype, copy=False)

    def clear(self) -> None:
        """Make every frame background that was never written."""
        with self._lock:
            self._packed.clear()
            self._open.clear()
            self._dirty.clear()
            self._processed[:] = False

    # ------------------------------------------------------------- array methods

    def copy(self) -> LabelPlanes:
        """A copy of its own, as frugal."""
        other = LabelPlanes(self.shape, self.dtype, cache_bytes=self._cache_bytes)
        with self._lock:
            for frame_index in list(self._dirty):
                self._pack(frame_index)
            other._packed = dict(self._packed)
            other._processed = self._processed.copy()
        return other

    def __deepcopy__(self, memo: dict[int, Any]) -> LabelPlanes:
        return self.copy()

    def astype(self, dtype: DTypeLike, copy: bool = True) -> LabelPlanes:
        """The same labels in another integer type, frame by frame.

        Raises
        ------
        ValueError
            If a label does not fit into `dtype`.
        """
        if not copy and np.dtype(dtype) == self.dtype:
            return self
        other = LabelPlanes(self.shape, dtype, cache_bytes=self._cache_bytes)
        for frame_index in self.processed_frames():
            other[int(frame_index)] = self[int(frame_index)]
        return other

    def max(self, axis: Any = None, out: Any = None, **options: Any) -> Any:
        """Greatest label; of the whole without unsqueezing it."""
        if axis is not None or out is not None or options:
            return self[:].max(axis=axis, out=out, **options)
        return self.dtype.type(max(greatest for _, greatest in self._extremes()))

    def min(self, axis: Any = None, out: Any = None, **options: Any) -> Any:
        """Least label; of the whole without unsqueezing it."""
        if axis is not None or out is not None or options:
            return self[:].min(axis=axis, out=out, **options)
        return self.dtype.type(min(least for least, _ in self._extremes()))

    def _extremes(self) -> list[tuple[int, int]]:
        with self._lock:
            for frame_index in list(self._dirty):
                self._pack(frame_index)
            found = [(p.least, p.greatest) for p in self._packed.values()]
            if len(found) < self.shape[0]:
                found.append((0, 0))
            return found

    # ------------------------------------------------------------------- frames

    def _holds_labels(self, frame_index: int) -> bool:
        return frame_index in self._open or frame_index in self._packed

    def _look(self, frame_index: int) -> NDArray[Any]:
        """The frame, not to be changed or handed out."""
        if not self._holds_labels(frame_index):
            return self._background
        return self._unsqueezed(frame_index)

    def _write(self, frame_index: int, rest: tuple[Any, ...], values: NDArray[Any]) -> None:
        with self._lock:
            if values.shape == self.shape[1:] and rest == (slice(None), slice(None)):
                self._keep(frame_index, values.copy())
            else:
                # changed in place: a stroke of the brush touches few pixels, many times
                self._unsqueezed(frame_index)[rest] = values
            self._dirty.add(frame_index)
            self._processed[frame_index] = True

    def _unsqueezed(self, frame_index: int) -> NDArray[Any]:
        plane = self._open.get(frame_index)
        if plane is not None:
            self._open.move_to_end(frame_index)
            return plane
        packed = self._packed.get(frame_index)
        if packed is None:
            plane = np.zeros(self.shape[1:], self.dtype)
        else:
            plane = unpack_frame(packed, self.shape[1:])
        self._keep(frame_index, plane)
        return plane

    def _keep(self, frame_index: int, plane: NDArray[Any]) -> None:
        self._open[frame_index] = plane
        self._open.move_to_end(frame_index)
        while len(self._open) > self._cache_frames:
            oldest = next(iter(self._open))
            self._pack(oldest)
            del self._open[oldest]

    def _pack(self, frame_index: int) -> None:
        if frame_index not in self._dirty:
            return
        packed = pack_frame(self._open[frame_index])
        if packed is None:
            self._packed.pop(frame_index, None)
        else:
            self._packed[frame_index] = packed
        self._dirty.remove(frame_index)

    # ------------------------------------------------------------------ indexing

    def _normalise(self, key: Any) -> _Key:
        """One int, slice or array of ints for each axis."""
        axes: list[_Axis] = []
        items = list(key) if isinstance(key, tuple) else [key]
        if any(isinstance(item, np.ndarray) and item.dtype.kind == "b" for item in items):
            self._outline[key]  # NumPy refuses a mask of another shape
        ellipses = [place for place, item in enumerate(items) if item is Ellipsis]
        if len(ellipses) > 1:
            raise IndexError("an index can only have a single ellipsis ('...')")
        rest_at = ellipses[0] if ellipses else len(items)
        for item in items[:rest_at]:
            axes.extend(_as_axes(item))
        after = [axis for item in items[rest_at + 1 :] for axis in _as_axes(item)]
        missing = self.ndim - len(axes) - len(after)
        if missing < 0:
            raise IndexError(f"too many indices: {key!r} for labels of shape {self.shape}")
        axes += [slice(None)] * missing + after
        for place, (axis, length) in enumerate(zip(axes, self.shape, strict=True)):
            if isinstance(axis, slice):
                continue
            if np.any(np.less(axis, -length) | np.greater_equal(axis, length)):
                raise IndexError(
                    f"index {axis} is out of bounds for axis {place} with size {length}"
                )
            if place == 0:  # frames are found by number; NumPy sees to the other axes
                axes[0] = axis % length
        if isinstance(axes[1], slice) and isinstance(axes[2], np.ndarray):
            # here NumPy takes an int for an array: what the arrays give comes first
            axes[0] = axes[0] if isinstance(axes[0], slice) else np.asarray(axes[0])
        return cast(_Key, tuple(axes))

    def _fit(self, value: Any, shape: tuple[int, ...]) -> NDArray[Any]:
        """The value in our dtype, broadcast to `shape`; refused where it would be wrapped round."""
        values = np.asarray(value)
        if values.dtype.kind not in "iub":
            raise TypeError(f"labels are integers, got {values.dtype}")
        if not np.can_cast(values.dtype, self.dtype) and values.size:
            limits = np.iinfo(self.dtype)
            least, greatest = int(values.min()), int(values.max())
            if least < limits.min or greatest > limits.max:
                wrong = least if least < limits.min else greatest
                raise ValueError(
                    f"label {wrong} does not fit into {self.dtype} labels "
                    f"({limits.min}..{limits.max}); make them with a wider dtype"
                )
        values = values.astype(self.dtype, copy=False)
        # like NumPy, take no offence at leading axes of length 1
        while values.ndim > len(shape) and values.shape[0] == 1:
            values = values[0]
        return np.broadcast_to(values, shape)


def _as_axes(item: Any) -> list[_Axis]:
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
