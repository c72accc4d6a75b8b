"""Label frames packed: many in one file, which any reader of zarr 3 with its sharding codec reads.

A file a frame is what can be written frame by frame, and what file systems have no room for where
videos are many. A shard holds the same chunks, byte for byte, one behind the other, and at its end
an index that says where each lies. It is written once and never changed.
"""

from __future__ import annotations

import errno
import os
import re
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from napari_sam3.errors import UnsafeFileError
from napari_sam3.labels.array_description import PARTS
from napari_sam3.labels.chunk_folder import ChunkFolder, most_chunk_bytes, remove_files
from napari_sam3.labels.frame_codec import FrameCodec
from napari_sam3.labels.frame_records import ChunkFacts
from napari_sam3.plain_files import check_entry, check_folder, open_plain
from napari_sam3.whole_files import written_whole

FRAMES_IN_SHARD = 1000

_SHARD_NAME = re.compile(r"(0|[1-9][0-9]{0,9})\.0\.0")
_PARTS = ".*.0-*.0"  # of shards that a process was killed in writing
_NOTHING = 2**64 - 1  # where a chunk would lie that there is none of
_ENTRY = np.dtype("<u8")

_Stamp = tuple[int, int, int]


class ShardFolder:
    """A zarr array of labels, (T, H, W), whose frames are packed; nothing in it is changed.

    Parameters
    ----------
    path : Path
        The array's folder; it must be there.
    shape : (int, int, int)
        Frames, height, width.
    dtype : integer dtype
        Of the labels.
    shard : int
        Frames in a shard.

    Attributes
    ----------
    damaged : list of str
        Names of shards whose index can't be read, as far as `sizes` has met them.
    """

    def __init__(
        self, path: Path, shape: tuple[int, int, int], dtype: np.dtype[Any], shard: int
    ) -> None:
        self.path = path
        self.shape = shape
        self.dtype = dtype
        self.shard: int = shard
        self.codec = FrameCodec((shape[1], shape[2]), dtype)
        self.damaged: list[str] = []
        self._most_bytes = most_chunk_bytes(shape, dtype)
        self._indices: dict[int, tuple[_Stamp, NDArray[Any]]] = {}

    def read(self, frame_index: int) -> bytes:
        """The chunk of a frame; OSError where there is none, or none that can be."""
        number, place = divmod(frame_index, self.shard)
        with open_plain(self._place(number)) as file:
            offset, size = self._index(number, file)[place].tolist()
            if offset == _NOTHING:
                raise FileNotFoundError(errno.ENOENT, f"frame {frame_index} is not in", file.name)
            if size > self._most_bytes:
                raise UnsafeFileError(
                    f"{file.name!r} has {size:,} bytes for frame {frame_index}, which takes at "
                    f"most {self._most_bytes:,}; napari-sam3 has not made it"
                )
            file.seek(offset)
            return file.read(size)

    def sizes(self, told: Mapping[int, ChunkFacts]) -> dict[int, int]:
        """Bytes of every chunk that is there, by frame.

        Chunks lie in the order of their frames. So where a shard's index can't be read, what is
        told of their sizes tells where they are; only those count that are what is told.

        Raises
        ------
        UnsafeFileError
            If a shard is a link, or no plain file.
        """
        found: dict[int, int] = {}
        try:
            check_folder(self.path)
        except (FileNotFoundError, NotADirectoryError):
            return found
        with os.scandir(self.path) as entries:
            numbers = [
                int(match[1])
                for entry in entries
                if (match := _SHARD_NAME.fullmatch(entry.name)) and check_entry(entry)
            ]
        for number in sorted(numbers):
            first = number * self.shard
            if first >= self.shape[0]:
                continue
            with open_plain(self._place(number)) as file:
                try:
                    index = self._index(number, file)
                except FileNotFoundError:
                    index = self._guess_index(number, file, told)
            sizes = index[: self.shape[0] - first, 1]
            there = np.flatnonzero(index[: len(sizes), 0] != _NOTHING)
            found.update(zip((there + first).tolist(), sizes[there].tolist(), strict=True))
        return found

    def remove_parts(self) -> None:
        """Remove what a killed process has left of shards."""
        remove_files(self.path, _PARTS)
        remove_files(self.path, PARTS)

    def remove_all(self) -> None:
        """Remove all shards, and what is left of some; not the description."""
        self.remove_parts()
        remove_files(self.path, "*.0.0", _SHARD_NAME)

    def fill(self, number: int, chunks: ChunkFolder, frames: list[int]) -> None:
        """Make a shard of chunks; it is on the disk when this returns, and is what they are.

        Raises
        ------
        OSError
            If it can't be written, or is not read as it was written.
        """
        index = np.full((self.shard, 2), _NOTHING, _ENTRY)
        checks = {}
        with (
            written_whole(self._place(number), is_durable=True) as part,
            part.open("wb") as file,
        ):
            for frame_index in frames:
                chunk = chunks.read(frame_index)
                index[frame_index - number * self.shard] = file.tell(), len(chunk)
                checks[frame_index] = zlib.crc32(chunk)
                file.write(chunk)
            said = index.tobytes()
            file.write(said + crc32c(said).to_bytes(4, "little"))
        for frame_index, check in checks.items():
            if zlib.crc32(self.read(frame_index)) != check:
                raise OSError(
                    errno.EIO,
                    f"frame {frame_index} is not read as it was written; see whether the disk is "
                    "damaged",
                    str(self._place(number)),
                )

    def _index(self, number: int, file: BinaryIO) -> NDArray[Any]:
        """Where the chunks of a shard lie, (frames, 2): offset and size.

        Raises
        ------
        FileNotFoundError
            If it is damaged, so that none of its chunks is found.
        """
        status = os.fstat(file.fileno())
        stamp = status.st_ino, status.st_size, status.st_mtime_ns
        known = self._indices.get(number)
        if known is not None and known[0] == stamp:
            return known[1]
        begin = status.st_size - self._index_bytes
        file.seek(max(begin, 0))
        said = file.read(self._index_bytes)
        checked, crc = said[:-4], said[-4:]
        if begin < 0 or crc32c(checked) != int.from_bytes(crc, "little"):
            raise FileNotFoundError(errno.ENOENT, "the index is damaged of", file.name)
        index = np.frombuffer(checked, _ENTRY).reshape(self.shard, 2)
        is_there = index[:, 0] != _NOTHING
        # sizes first: what is added to them may be beyond any number
        is_wrong = is_there & ((index[:, 1] > begin) | (index[:, 0] > begin - index[:, 1]))
        if is_wrong.any():
            raise FileNotFoundError(errno.ENOENT, "the index names what is not in", file.name)
        self._indices[number] = stamp, index
        return index

    def _guess_index(
        self, number: int, file: BinaryIO, told: Mapping[int, ChunkFacts]
    ) -> NDArray[Any]:
        """The index of a shard that has lost it, as far as its chunks are what is told of them."""
        self.damaged.append(self._place(number).name)
        index = np.full((self.shard, 2), _NOTHING, _ENTRY)
        offset, first = 0, number * self.shard
        for place in range(self.shard):
            facts = told.get(first + place)
            if facts is None or not 0 <= facts.size <= self._most_bytes:
                continue
            file.seek(offset)
            if zlib.crc32(file.read(facts.size)) == facts.crc:
                index[place] = offset, facts.size
            offset += facts.size
        status = os.fstat(file.fileno())
        self._indices[number] = (status.st_ino, status.st_size, status.st_mtime_ns), index
        return index

    @property
    def _index_bytes(self) -> int:
        return self.shard * 2 * _ENTRY.itemsize + 4

    def _place(self, number: int) -> Path:
        return self.path / f"{number}.0.0"


def _make_table() -> list[int]:
    table = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
        table.append(value)
    return table


_TABLE = _make_table()


def crc32c(data: bytes) -> int:
    """The check sum of zarr's indices, CRC-32C (RFC 3720); one of 16 kB takes a millisecond."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = _TABLE[(crc ^ byte) & 0xFF] ^ crc >> 8
    return crc ^ 0xFFFFFFFF
