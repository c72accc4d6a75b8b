"""A folder of label frames that any reader of zarr 3 understands: one chunk a frame, deflated.

The chunks are made and read here, with the codec that the folder's description names
(`array_description`): in a third of the time that zarr's way through an event loop takes, each
write atomic (zarr's own are from 3.1.3 on only), and while the interpreter ends too. What is done
can be packed into few files (`shard_folder`).
"""

from __future__ import annotations

import errno
import os
import re
import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from napari_sam3.errors import StoreError, UnsafeFileError
from napari_sam3.labels.array_description import PARTS, Description
from napari_sam3.labels.frame_codec import FrameCodec
from napari_sam3.labels.frame_records import ChunkFacts
from napari_sam3.plain_files import check_entry, check_folder, open_plain, read_plain
from napari_sam3.whole_files import explain_refusal, written_whole

_CHUNK_NAME = re.compile(r"c\.(0|[1-9][0-9]{0,9})\.0\.0")
_PARTS = ".c.*.0"  # of chunks that a process was killed in writing
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def remove_files(folder: Path, pattern: str, name: re.Pattern[str] | None = None) -> None:
    """Remove files of a folder, those of such names; what can't be, a folder say, stays."""
    for place in folder.glob(pattern):
        if name is None or name.fullmatch(place.name):
            with suppress(OSError):
                place.unlink()


class ChunkFolder:
    """A zarr array of labels, (T, H, W), in the chunks of its frames.

    Parameters
    ----------
    path : Path
        The array's folder; it must be there.
    shape : (int, int, int)
        Frames, height, width.
    dtype : integer dtype
        Of the labels.
    """

    shard: int | None = None
    """Frames in a file that holds many: each has its own."""

    def __init__(self, path: Path, shape: tuple[int, int, int], dtype: np.dtype[Any]) -> None:
        self.path = path
        self.shape = shape
        self.dtype = dtype
        self.codec = FrameCodec((shape[1], shape[2]), dtype)
        self._most_bytes = most_chunk_bytes(shape, dtype)

    @classmethod
    def create(cls, path: Path, shape: tuple[int, int, int], dtype: np.dtype[Any]) -> ChunkFolder:
        """Make an empty one."""
        path.mkdir(exist_ok=True)
        Description(shape, dtype).write(path)
        return cls(path, shape, dtype)

    def write(self, frame_index: int, chunk: bytes) -> None:
        """Put a chunk into its place, the whole or not at all. One thread at a time."""
        with written_whole(self._place(frame_index)) as part:
            part.write_bytes(chunk)

    def sync(self, frame_index: int) -> None:
        """Wait until the chunk of a frame is on the disk."""
        with open_plain(self._place(frame_index), writable=True) as file:
            os.fsync(file.fileno())

    def remove(self, frame_index: int) -> None:
        """Take the chunk of a frame away, if there is one."""
        self._place(frame_index).unlink(missing_ok=True)

    def remove_parts(self) -> None:
        """Remove what a killed process has left of chunks."""
        remove_files(self.path, _PARTS)
        remove_files(self.path, PARTS)

    def remove_all(self) -> None:
        """Remove all chunks, and what is left of some; not the description."""
        self.remove_parts()
        remove_files(self.path, "c.*", _CHUNK_NAME)

    def read(self, frame_index: int) -> bytes:
        """The chunk of a frame; OSError where there is none, or none that can be."""
        return read_plain(self._place(frame_index), self._most_bytes)

    def sizes(self, told: Mapping[int, ChunkFacts]) -> dict[int, int]:
        """Bytes of every chunk that is there, by frame; what is told of them is not asked for.

        Raises
        ------
        UnsafeFileError
            If one is a link, or no plain file.
        """
        found: dict[int, int] = {}
        try:
            check_folder(self.path)
        except (FileNotFoundError, NotADirectoryError):
            return found
        with os.scandir(self.path) as entries:
            for entry in entries:
                match = _CHUNK_NAME.fullmatch(entry.name)
                if match and int(match[1]) < self.shape[0]:
                    found[int(match[1])] = check_entry(entry).st_size
        return found

    def _place(self, frame_index: int) -> Path:
        return self.path / f"c.{frame_index}.0.0"


def most_chunk_bytes(shape: tuple[int, int, int], dtype: np.dtype[Any]) -> int:
    """Bytes that the chunk of a frame takes at most."""
    n_bytes = shape[1] * shape[2] * dtype.itemsize
    return n_bytes + n_bytes // 128 + 2**16  # what zstd can't squeeze grows a little


def explain_failure(folder: Path, error: OSError, deed: str, *, waiting: int = 0) -> StoreError:
    """The same error, with what can be done about it."""
    if isinstance(error, UnsafeFileError):
        explained = StoreError(f"{str(folder)!r} can't be {deed}: {error}")
        explained.errno = error.errno
        return explained
    try:
        room = f"; {shutil.disk_usage(folder).free / 1e6:,.1f} MB are free there"
    except OSError:  # it can't be told
        room = ""
    if error.errno in _FULL:
        remedy = "Make room on that disk"
    else:
        remedy = "See whether that disk and folder are there and may be written to"
    if waiting:
        remedy += f"; {waiting} frames wait in memory, and are written then"
    explained = StoreError(
        f"{str(folder)!r} can't be {deed}: {explain_refusal(folder, error)}{room}. {remedy}"
    )
    explained.errno = error.errno
    return explained
