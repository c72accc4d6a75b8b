"""For formats that tell object by object what frames bring frame by frame."""

from __future__ import annotations

from abc import abstractmethod
from array import array
from collections.abc import Iterator
from typing import Any

import numpy as np

from napari_sam3.export.writer import FoundObject, ObjectWriter


class TrackWriter(ObjectWriter):
    """A writer that takes the objects of a frame, and gives back the frames of an object.

    What is said of an object on a frame is kept on the disk; where, in plain numbers in memory.
    """

    def _prepare(self) -> None:
        super()._prepare()
        self._entries: dict[int, array[int]] = {}
        self._count = 0
        self._newest = np.full(self.shape[0], -1, np.int64)  # frames may come again

    def _add_objects(self, frame_index: int, found: list[FoundObject]) -> None:
        self._newest[frame_index] = turn = self._count
        for each in found:
            place = self._frames.append(self._encode(each))
            entry = (frame_index, turn, *place)
            self._entries.setdefault(each.measure.obj_id, array("q")).extend(entry)
        self._count += 1

    @abstractmethod
    def _encode(self, found: FoundObject) -> bytes:
        """What is to be kept of an object on a frame."""

    def _tracks(self) -> Iterator[tuple[int, Iterator[tuple[int, bytes]]]]:
        """Objects that are on a frame, rising; of each the frames, rising, and what was kept."""
        for obj_id, entries in sorted(self._entries.items()):
            table = np.array(entries).reshape(-1, 4)
            table = table[table[:, 1] == self._newest[table[:, 0]]]
            if len(table):
                yield obj_id, self._read(table[np.argsort(table[:, 0])])

    def _read(self, table: np.ndarray[Any, np.dtype[np.int64]]) -> Iterator[tuple[int, bytes]]:
        for frame_index, _, offset, size in table.tolist():
            yield frame_index, self._frames.read(offset, size)
