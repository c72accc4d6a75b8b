"""Frames kept on disk until all have come, for formats that want them in order."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sam3.export.base import saying_where
from napari_sam3.labels.runs import PackedFrame, pack_frame, packed_ids, unpack_frame


class Spool:
    """Bytes by frame index in a nameless temporary file: memory does not grow, nothing stays.

    Parameters
    ----------
    folder : Path
        Where there is room: that of the file to be.
    """

    def __init__(self, folder: Path) -> None:
        with saying_where(folder):
            folder.mkdir(parents=True, exist_ok=True)
            self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - closed by `close`
        self._places: dict[int, tuple[int, int]] = {}

    def put(self, frame_index: int, content: bytes) -> None:
        """Keep the content of a frame; earlier content of the same frame is forgotten."""
        self._places[frame_index] = self.append(content)

    def append(self, content: bytes) -> tuple[int, int]:
        """Keep something that is no frame; returns where, for `read`: (offset, length)."""
        offset = self._file.seek(0, 2)
        self._file.write(content)
        return offset, len(content)

    def get(self, frame_index: int) -> bytes:
        """The content of a frame; empty if it never came."""
        return self.read(*self._places.get(frame_index, (0, 0)))

    def read(self, offset: int, length: int) -> bytes:
        """What `append` kept there."""
        self._file.seek(offset)
        return self._file.read(length)

    @property
    def frames(self) -> list[int]:
        """Frames that have come, rising."""
        return sorted(self._places)

    def close(self) -> None:
        """Forget everything."""
        self._file.close()


class LabelSpool:
    """Label frames, squeezed, in a `Spool`."""

    def __init__(self, folder: Path, size: tuple[int, int]) -> None:
        self._spool = Spool(folder)
        self._size = size
        self._packed: dict[int, PackedFrame] = {}

    def put(self, frame_index: int, labels: NDArray[Any]) -> None:
        """Keep a frame."""
        packed = pack_frame(labels)
        self._spool.put(frame_index, b"" if packed is None else packed.blob)
        if packed is None:
            self._packed.pop(frame_index, None)
        else:
            self._packed[frame_index] = packed._replace(blob=b"")

    def get(self, frame_index: int) -> NDArray[Any]:
        """A frame; background if it never came."""
        packed = self._packed.get(frame_index)
        if packed is None:
            return np.zeros(self._size, np.uint16)
        return unpack_frame(packed._replace(blob=self._spool.get(frame_index)), self._size)

    def ids(self, frame_index: int) -> list[int]:
        """The labels of a frame but 0, rising."""
        packed = self._packed.get(frame_index)
        if packed is None:
            return []
        found: list[int] = packed_ids(packed._replace(blob=self._spool.get(frame_index))).tolist()
        return found

    @property
    def frames(self) -> list[int]:
        """Frames that have come, rising."""
        return self._spool.frames

    @property
    def least(self) -> int:
        """Lowest label of all frames."""
        return min((packed.least for packed in self._packed.values()), default=0)

    @property
    def greatest(self) -> int:
        """Highest label of all frames."""
        return max((packed.greatest for packed in self._packed.values()), default=0)

    def close(self) -> None:
        """Forget everything."""
        self._spool.close()
