"""Indexing as NumPy has it, over labels that are read and changed one frame at a time."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from typing import Any, cast

import numpy as np
from numpy.typing import DTypeLike, NDArray

from napari_sam3.labels.indexing import fit_values, normalise_key

WHOLE = (slice(None), slice(None))


class FrameArray(ABC):
    """An array-like of labels, (T, H, W); what is read is a copy, what is assigned is written back.

    Attributes
    ----------
    shape : (int, int, int)
        Frames, height, width.
    dtype : integer dtype
        Of the labels.
    """

    ndim = 3
    shape: tuple[int, int, int]
    dtype: np.dtype[Any]
    _lock: threading.RLock
    _outline: NDArray[np.int8]  # an array of that shape

    @property
    def size(self) -> int:
        """Number of elements."""
        frames, height, width = self.shape
        return frames * height * width

    @property
    def nbytes(self) -> int:
        """Bytes that a plain array of this shape would take (see `memory_bytes`)."""
        return self.size * self.dtype.itemsize

    def __len__(self) -> int:
        return self.shape[0]

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        if copy is False:
            raise ValueError("a LabelStack is squeezed: an array of it is always a copy")
        whole: NDArray[Any] = self[:]
        return whole if dtype is None else whole.astype(dtype, copy=False)

    def __getitem__(self, key: Any) -> Any:
        first, *others = normalise_key(key, self._outline)
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
        first, *others = normalise_key(key, self._outline)
        rest = tuple(others)
        # also finds every index out of range, before anything is changed
        target = self._outline[(first, *rest)].shape
        values = fit_values(value, target, self.dtype)
        self._check_writable()
        if isinstance(first, int):
            self._paint(first, rest, values)
        elif isinstance(first, slice):
            for place, frame_index in enumerate(range(self.shape[0])[first]):
                self._paint(frame_index, rest, values[place])
        elif any(isinstance(axis, slice) for axis in rest):
            frames, places = np.unique(first, return_inverse=True)
            with self._lock:
                block = np.stack([self[int(t)] for t in frames]) if frames.size else self[:0]
                block[(places.reshape(first.shape), *rest)] = values
                for frame_index, frame in zip(frames, block, strict=True):
                    self._paint(int(frame_index), WHOLE, frame)
        else:
            t, y, x = np.broadcast_arrays(first, *cast(Any, rest))
            for frame_index in np.unique(t):
                here = t == frame_index
                self._paint(int(frame_index), (y[here], x[here]), values[here])

    @abstractmethod
    def _look(self, frame_index: int) -> NDArray[Any]:
        """The frame, not to be changed or handed out."""

    @abstractmethod
    def _holds_labels(self, frame_index: int) -> bool:
        """Whether there may be a label on the frame."""

    @abstractmethod
    def _check_writable(self) -> None:
        """Raise where nothing can be changed."""

    @abstractmethod
    def _paint(self, frame_index: int, rest: tuple[Any, ...], values: NDArray[Any]) -> None:
        """Change part of a frame by hand."""
