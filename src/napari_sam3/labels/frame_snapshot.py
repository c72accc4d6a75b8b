"""Label frames as they were at a moment, to be brought back: squeezed, and shared, not copied."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_sam3.labels.frame_codec import FrameCodec


class FrameState(NamedTuple):
    """All that a stack knows of a frame but its lock.

    Attributes
    ----------
    dtype : dtype
        Of the labels.
    packed : bytes or None
        The squeezed labels; None for nothing but background.
    least, greatest : int
        Labels on the frame, background included.
    notes : bytes
        Packed notes on its objects.
    is_processed : bool
        Whether it was ever written.
    run : int
        Number of the propagation that drew it last; 0 for none.
    before_edit : (bytes or None, bytes) or None
        Labels and notes before it was changed by hand, where that was not taken yet.
    """

    dtype: np.dtype[Any]
    packed: bytes | None
    least: int
    greatest: int
    notes: bytes
    is_processed: bool
    run: int
    before_edit: tuple[bytes | None, bytes] | None

    def labels(self, size: tuple[int, int]) -> NDArray[Any]:
        """The (H, W) labels, a new array."""
        return unpacked(self.packed, size, self.dtype)

    def as_dtype(self, dtype: np.dtype[Any], size: tuple[int, int]) -> FrameState:
        """The same for labels of another type, which must hold them."""
        if dtype == self.dtype:
            return self
        before = self.before_edit
        if before is not None:
            before = self._repacked(before[0], dtype, size), before[1]
        packed = self._repacked(self.packed, dtype, size)
        return self._replace(dtype=dtype, packed=packed, before_edit=before)

    def _repacked(
        self, packed: bytes | None, dtype: np.dtype[Any], size: tuple[int, int]
    ) -> bytes | None:
        if packed is None:
            return None
        labels = unpacked(packed, size, self.dtype)
        limits = np.iinfo(dtype)
        if not limits.min <= labels.min() <= labels.max() <= limits.max:
            raise ValueError(f"a label on the frame, {labels.max()}, does not fit into {dtype}")
        return FrameCodec(size, dtype).pack(labels.astype(dtype))


@dataclass(frozen=True)
class FramesSnapshot:
    """Frames of a `LabelStack` at a moment; see `LabelStack.snapshot`.

    Attributes
    ----------
    size : (int, int)
        Height, width.
    states : mapping of frame index to FrameState
        By rising index.
    """

    size: tuple[int, int]
    states: Mapping[int, FrameState]

    @property
    def frames(self) -> tuple[int, ...]:
        """Indices of the frames, rising."""
        return tuple(self.states)

    @property
    def memory_bytes(self) -> int:
        """About what it takes; less where the stack has the same labels still."""
        return sum(
            len(state.packed or b"")
            + len(state.notes)
            + (0 if state.before_edit is None else len(state.before_edit[0] or b""))
            for state in self.states.values()
        )

    def labels(self, frame_index: int) -> NDArray[Any]:
        """The (H, W) labels of a frame, a new array."""
        return self.states[frame_index].labels(self.size)

    def without(self, other: FramesSnapshot) -> FramesSnapshot:
        """The frames that are not the same in another one."""
        states = {n: state for n, state in self.states.items() if other.states.get(n) != state}
        return FramesSnapshot(self.size, states)

    def __len__(self) -> int:
        return len(self.states)


class ChangeLog:
    """How frames of a stack were before they first changed; see `LabelStack.log_changes`."""

    def __init__(self, size: tuple[int, int], only_by_hand: bool = False) -> None:
        self.only_by_hand = only_by_hand
        self._size = size
        self._states: dict[int, FrameState] = {}

    def __contains__(self, frame_index: int) -> bool:
        return frame_index in self._states

    def __len__(self) -> int:
        return len(self._states)

    def add(self, frame_index: int, state: FrameState) -> None:
        """Keep a frame that is about to change; called by the stack."""
        self._states[frame_index] = state

    def take(self) -> FramesSnapshot:
        """What changed since this was last called, as it was then."""
        states, self._states = self._states, {}
        return FramesSnapshot(self._size, dict(sorted(states.items())))


def unpacked(packed: bytes | None, size: tuple[int, int], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Squeezed (H, W) labels, a new array; None is background."""
    return np.zeros(size, dtype) if packed is None else FrameCodec(size, dtype).unpack(packed)
