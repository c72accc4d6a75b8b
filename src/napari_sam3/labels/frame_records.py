"""What a label store knows of its frames besides pixels: a file of lines that only grows.

Each line says all that is known of a frame, and holds until a later line of that frame. A line is
written before the chunk that it tells of; so after a sudden end only the last line can be ahead of
its chunk, and its crc tells whether it is. A line that brings a frame back to never processed tells
the crc of the chunk that goes; if that is there still, the next opening removes it.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from napari_sam3.errors import StoreError, UnsafeFileError
from napari_sam3.labels.object_notes import pack_notes, unpack_notes
from napari_sam3.plain_files import open_plain
from napari_sam3.values import MOST_FRAMES, MOST_PIXELS
from napari_sam3.whole_files import written_whole

FORMAT = "napari-sam3 frames"
VERSION = 2
"""The newest that is known: of a store whose frames are packed. Others are of version 1, which
older releases of napari-sam3 read, too."""

MOST_IN_SHARD = 10_000  # frames; 1000 are packed in one, and its index is read whole
MOST_BYTES = 4 * 2**30  # of a file: 250 objects on each of 400,000 frames
MOST_LINE = 16 * 2**20  # bytes: some 300,000 objects on a frame


class ChunkFacts(NamedTuple):
    """What tells the chunk of a frame.

    Attributes
    ----------
    crc : int
        CRC-32 of its bytes, as `zlib.crc32`.
    size : int
        Bytes.
    least, greatest : int
        Labels on the frame, background included.
    """

    crc: int
    size: int
    least: int
    greatest: int


class FrameRecord(NamedTuple):
    """What is known of a frame.

    Attributes
    ----------
    frame_index : int
        0-based.
    chunk : ChunkFacts or None
        None for a frame that was never processed.
    notes : bytes
        Packed notes on its objects.
    is_locked : bool
        Whether the program leaves it alone.
    run : int
        Number of the propagation that drew it last; 0 for none.
    cleared : int or None
        Of a frame without a chunk that had one, CRC-32 of that: it was brought back to never
        processed.
    """

    frame_index: int
    chunk: ChunkFacts | None
    notes: bytes = b""
    is_locked: bool = False
    run: int = 0
    cleared: int | None = None

    def to_line(self) -> bytes:
        """One line of JSON, with its end."""
        said: dict[str, Any] = {"frame": self.frame_index}
        if self.chunk is not None:
            said["crc"], said["bytes"] = self.chunk.crc, self.chunk.size
            said["labels"] = [self.chunk.least, self.chunk.greatest]
        elif self.cleared is not None:
            said["cleared"] = self.cleared
        notes = unpack_notes(self.notes)
        if notes:
            said["notes"] = {str(obj_id): list(note) for obj_id, note in notes.items()}
        if self.is_locked:
            said["locked"] = True
        if self.run:
            said["run"] = self.run
        return _line(said)

    @classmethod
    def from_line(cls, line: bytes, frames: int, dtype: np.dtype[Any]) -> FrameRecord:
        """Read a line of so many frames of labels; ValueError where it is damaged."""
        said = _as_mapping(json.loads(line))
        frame_index = _as_integer(said["frame"], 0, frames - 1)
        chunk = None
        if "crc" in said:
            limits = np.iinfo(dtype)
            least, greatest = (_as_integer(n, limits.min, limits.max) for n in said["labels"])
            crc = _as_integer(said["crc"], 0, 2**32 - 1)
            chunk = ChunkFacts(crc, _as_integer(said["bytes"], 0), least, greatest)
        notes = {int(i): note for i, note in _as_mapping(said.get("notes", {})).items()}
        run = _as_integer(said.get("run", 0), 0, 2**31 - 1)
        cleared = None
        if chunk is None and "cleared" in said:
            cleared = _as_integer(said["cleared"], 0, 2**32 - 1)
        return cls(frame_index, chunk, pack_notes(notes), said.get("locked") is True, run, cleared)


class Header(NamedTuple):
    """The first line: of what labels the others are.

    Attributes
    ----------
    shape : (int, int, int)
        Frames, height, width.
    dtype : str
        Of the labels.
    shard : int or None
        Frames in a file that they are packed in; None where each has its own.
    """

    shape: tuple[int, int, int]
    dtype: str
    shard: int | None = None

    def to_line(self) -> bytes:
        """One line of JSON, with its end."""
        said: dict[str, Any] = {"format": FORMAT, "version": 1 if self.shard is None else VERSION}
        said |= {"shape": self.shape, "dtype": self.dtype}
        if self.shard is not None:
            said["shard"] = self.shard
        return _line(said)


class FoundRecords(NamedTuple):
    """The file as it was found.

    Attributes
    ----------
    records : dict of int to FrameRecord
        What the newest line of each frame says.
    n_lines : int
        How many lines could be read.
    last, before : FrameRecord or None
        The last one, and the one before it of the same frame.
    last_begin : int
        Where in the file the last one begins.
    damaged : int
        How many lines can't be read; a last one that was not written to its end does not count.
    end : int
        Where in the file the last line that has an end ends.
    """

    records: dict[int, FrameRecord]
    n_lines: int = 0
    last: FrameRecord | None = None
    before: FrameRecord | None = None
    last_begin: int = 0
    damaged: int = 0
    end: int = 0


def read_header(path: Path) -> Header | None:
    """The first line of a file; None where it is missing or damaged.

    Raises
    ------
    StoreError
        If a newer napari-sam3 has written the file.
    UnsafeFileError
        If it is no plain file, or larger than any of its kind.
    """
    try:
        with open_plain(path, most_bytes=MOST_BYTES) as file:
            said = _as_mapping(json.loads(file.readline(MOST_LINE)))
        if said.get("format") != FORMAT:
            return None
        version = _as_integer(said["version"], 1)
        shape = check_shape(said["shape"])
        dtype = np.dtype(str(said["dtype"]))
        if dtype.kind not in "iu":
            return None
        shard = (
            _as_integer(said["shard"], 1, min(shape[0], MOST_IN_SHARD)) if version == 2 else None
        )
    except UnsafeFileError:
        raise
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None
    if version > VERSION:
        raise StoreError(
            f"{str(path)!r} was written by a newer napari-sam3 (version {version} of the format, "
            f"this one knows {VERSION}); update napari-sam3"
        )
    return Header(shape, dtype.name, shard)


def check_shape(said: Any) -> tuple[int, int, int]:
    """The shape that a file tells of; ValueError where there is no memory for such labels."""
    frames, height, width = (_as_integer(n, 1) for n in said)
    if frames > MOST_FRAMES or height * width > MOST_PIXELS:
        raise ValueError(
            f"labels of shape {(frames, height, width)} are too large; at most {MOST_FRAMES:,} "
            f"frames of {MOST_PIXELS:,} pixels are kept"
        )
    return frames, height, width


def read_records(path: Path, frames: int, dtype: np.dtype[Any]) -> FoundRecords:
    """Read a file of so many frames of labels as far as it goes; a missing one is empty."""
    records: dict[int, FrameRecord] = {}
    last = before = None
    n_lines = last_begin = damaged = end = 0
    header = read_header(path)
    try:
        file = open_plain(path, most_bytes=MOST_BYTES)
    except FileNotFoundError:
        return FoundRecords(records)
    with file:
        for number, (line, length) in enumerate(_whole_lines(file)):
            begin, end = end, end + length
            if number == 0 and header is not None:
                continue
            try:
                record = FrameRecord.from_line(line, frames, dtype)
            except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
                damaged += 1
                continue
            n_lines += 1
            last, before, last_begin = record, records.get(record.frame_index), begin
            records[record.frame_index] = record
    return FoundRecords(records, n_lines, last, before, last_begin, damaged, end)


def _whole_lines(file: BinaryIO) -> Iterator[tuple[bytes, int]]:
    """Each line that has an end, and its length; of one that is too long nothing but that."""
    while line := file.readline(MOST_LINE):
        length = len(line)
        if length == MOST_LINE:
            line = b""
            while rest := file.readline(MOST_LINE):
                length += len(rest)
                if rest.endswith(b"\n"):
                    break
            else:
                return
        elif not line.endswith(b"\n"):
            return
        yield line, length


def write_records(path: Path, header: Header, records: Iterable[FrameRecord]) -> None:
    """Write a file anew, the whole or not at all."""
    with written_whole(path, is_durable=True) as part, part.open("wb") as file:
        file.write(header.to_line())
        file.writelines(record.to_line() for record in records)


def replace_header(path: Path, header: Header) -> None:
    """Give a file another first line, the whole or not at all; all others stay."""
    with (
        written_whole(path, is_durable=True) as part,
        # closed before it is replaced, which Windows asks for
        open_plain(path, most_bytes=MOST_BYTES) as file,
        part.open("wb") as new,
    ):
        new.write(header.to_line())
        file.readline(MOST_LINE)
        shutil.copyfileobj(file, new, 2**20)


class RecordFile:
    """A file of records that is written on, one line at a time."""

    def __init__(self, path: Path) -> None:
        self._file = open_plain(path, writable=True)
        self._end = self._file.seek(0, os.SEEK_END)

    def append(self, record: FrameRecord) -> None:
        """Add a line, the whole or not at all; OSError if there is no room for it."""
        line = record.to_line()
        self._tidy()
        try:
            written = self._file.write(line)
            if written != len(line):  # what a disk that fills up had room for
                self._file.write(line[written:])
        except OSError:
            self._cut()
            raise
        self._end += len(line)

    def take_back(self, record: FrameRecord) -> None:
        """Take the last line off again: its chunk could not be written."""
        self._end -= len(record.to_line())
        self._cut()

    def _tidy(self) -> None:
        if self._file.seek(0, os.SEEK_END) != self._end:
            self._file.truncate(self._end)
            self._file.seek(self._end)

    def _cut(self) -> None:
        with suppress(OSError):  # then the next line does it
            self._tidy()

    def sync(self) -> None:
        """Wait until the lines are on the disk itself."""
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _line(said: dict[str, Any]) -> bytes:
    return json.dumps(said, separators=(",", ":")).encode() + b"\n"


def _as_mapping(said: Any) -> dict[str, Any]:
    if not isinstance(said, dict):
        raise ValueError("no JSON object")
    return said


def _as_integer(said: Any, least: int, greatest: int = 2**62) -> int:
    if not isinstance(said, int) or isinstance(said, bool) or not least <= said <= greatest:
        raise ValueError(f"{said!r} is no integer from {least} to {greatest}")
    return said
