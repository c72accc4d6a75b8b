"""What a person paints into labels that a program draws: noticed, to be learned from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_sam3.labels.runs import PackedFrame, pack_frame, unpack_frame


class Before(NamedTuple):
    """A frame before it was changed by hand.

    Attributes
    ----------
    frame_index : int
        0-based.
    labels : (H, W) array
        Read-only.
    notes : bytes
        Packed.
    """

    frame_index: int
    labels: NDArray[Any]
    notes: bytes


class Edits:
    """The frames changed by hand, as they were before. Squeezed, but for the one in work.

    Parameters
    ----------
    size : (int, int)
        Height, width.
    dtype : dtype
        Of the labels.
    """

    def __init__(self, size: tuple[int, int], dtype: np.dtype[Any]) -> None:
        self._background = np.broadcast_to(dtype.type(0), size)
        self._packed: dict[int, tuple[PackedFrame | None, bytes]] = {}
        # squeezing takes longer than a brush may: it is put off until another frame is changed
        self._newest: Before | None = None

    def __contains__(self, frame_index: int) -> bool:
        return frame_index in self._packed or (
            self._newest is not None and self._newest.frame_index == frame_index
        )

    @property
    def memory_bytes(self) -> int:
        """Bytes that the frames take."""
        packed = sum(len(frame.blob) for frame, _ in self._packed.values() if frame is not None)
        return packed + (0 if self._newest is None else self._newest.labels.nbytes)

    def remember(self, frame_index: int, labels: NDArray[Any] | None, notes: bytes) -> None:
        """Keep a frame that is about to be changed; None is background. The first time counts."""
        if frame_index in self:
            return
        if labels is None:
            self._packed[frame_index] = None, notes
            return
        self._squeeze()
        self._newest = Before(frame_index, labels.copy(), notes)

    def take(self) -> Iterator[Before]:
        """All frames, in the order of their first change; forgotten as they are given."""
        self._squeeze()
        while self._packed:
            frame_index = next(iter(self._packed))
            packed, notes = self._packed.pop(frame_index)
            size = (self._background.shape[0], self._background.shape[1])
            labels = self._background if packed is None else unpack_frame(packed, size)
            yield Before(frame_index, labels, notes)

    def _squeeze(self) -> None:
        if self._newest is not None:
            frame_index, labels, notes = self._newest
            self._packed[frame_index] = pack_frame(labels), notes
            self._newest = None
