"""Labels of a file as an array that can be painted in, read frame by frame as it is looked at."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sam3.imports.label_file import LabelFile
from napari_sam3.labels.frame_array import WHOLE
from napari_sam3.labels.frame_snapshot import FrameState
from napari_sam3.labels.label_stack import LabelStack
from napari_sam3.labels.object_notes import ObjectNote, pack_notes


class FileLabelStack(LabelStack):
    """The labels of a file, for a napari Labels layer; the file itself is never changed.

    A frame is read when it is first looked at, and kept squeezed from then on. What concerns all
    frames, as `max`, reads them all. Frames count as processed where the file says so.

    Parameters
    ----------
    file : LabelFile
        Stays open as long as this is used.
    """

    def __init__(self, file: LabelFile) -> None:
        super().__init__(file.shape, file.dtype)
        self.file = file
        self._unread = np.ones(file.shape[0], bool)
        self._facts["is_processed"][file.processed_frames()] = True

    @property
    def is_read(self) -> bool:
        """Whether it is known what is on every frame."""
        return not self._unread.any()

    def notes(self, frame_index: int) -> Mapping[int, ObjectNote]:
        """What is known of the objects on a frame; their source is "imported" until changed."""
        self._look(self._number(frame_index))
        return super().notes(frame_index)

    def _holds_labels(self, frame_index: int) -> bool:
        return bool(self._unread[frame_index]) or super()._holds_labels(frame_index)

    def _look(self, frame_index: int) -> NDArray[Any]:
        with self._lock:
            if self._unread[frame_index]:
                self._read(frame_index)
            return super()._look(frame_index)

    def _state(self, frame_index: int) -> FrameState:
        self._look(frame_index)
        return super()._state(frame_index)

    def _write(self, frame_index: int, rest: tuple[Any, ...], values: NDArray[Any]) -> None:
        with self._lock:
            self._unread[frame_index] = False  # it was looked at, or is replaced as a whole
            super()._write(frame_index, rest, values)

    def _read(self, frame_index: int) -> None:
        labels = self.file[frame_index]
        self._unread[frame_index] = False
        if labels.any():
            self._write(frame_index, WHOLE, labels)
            known = self.file.notes(frame_index)
            unknown = ObjectNote(None, "imported")
            ids = np.unique(labels[labels != 0]).tolist()
            self._notes[frame_index] = pack_notes({i: known.get(i, unknown) for i in ids})

    def _read_all(self) -> None:
        for frame_index in np.flatnonzero(self._unread).tolist():
            self._look(frame_index)

    def _extremes(self) -> list[tuple[int, int]]:
        self._read_all()
        return super()._extremes()

    def copy(self) -> LabelStack:
        """A copy in memory, squeezed."""
        self._read_all()
        return super().copy()

    def astype(self, dtype: Any, copy: bool = True) -> LabelStack:
        """The same labels in another integer type, in memory."""
        self._read_all()
        return super().astype(dtype, copy)
