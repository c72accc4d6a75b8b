"""A folder of label frames that any reader of zarr 3 understands: one chunk a frame, deflated.

zarr itself makes the folder's description; it is read here, since the folder may be a stranger's:
nothing but what is made here is understood. The chunks are made and read here, too, with the
codec that the description names: in a third of the time that zarr's way through an event loop
takes, each write atomic (zarr's own are from 3.1.3 on only), and while the interpreter ends too.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from napari_sam3.errors import StoreError, UnsafeFileError
from napari_sam3.labels.frame_codec import LEVEL, FrameCodec
from napari_sam3.labels.frame_records import check_shape
from napari_sam3.plain_files import check_entry, check_folder, read_json, read_plain
from napari_sam3.whole_files import explain_refusal, written_whole

DESCRIPTION = "zarr.json"
_MOST_DESCRIPTION = 2**20  # bytes; it takes one kilobyte
_CHUNK_NAME = re.compile(r"c\.(0|[1-9][0-9]{0,9})\.0\.0")
_PARTS = ".c.*.0"  # of chunks that a process was killed in writing
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


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

    def __init__(self, path: Path, shape: tuple[int, int, int], dtype: np.dtype[Any]) -> None:
        self.path = path
        self.shape = shape
        self.dtype = dtype
        self.codec = FrameCodec((shape[1], shape[2]), dtype)
        n_bytes = shape[1] * shape[2] * dtype.itemsize
        self._most_bytes = (
            n_bytes + n_bytes // 128 + 2**16
        )  # what zstd can't squeeze grows a little

    @classmethod
    def create(
        cls, path: Path, shape: tuple[int, int, int], dtype: np.dtype[Any], *, anew: bool = False
    ) -> ChunkFolder:
        """Make one; `anew` describes again a folder whose description is lost, chunks and all."""
        import zarr
        from zarr.codecs import ZstdCodec

        if anew:
            with suppress(FileNotFoundError):
                (path / DESCRIPTION).replace(path / f"{DESCRIPTION}.damaged")
        zarr.create_array(
            path,
            shape=shape,
            chunks=(1, *shape[1:]),
            dtype=dtype,
            fill_value=0,
            compressors=[ZstdCodec(level=LEVEL, checksum=True)],
            # all chunks in one folder: a folder for each would take a block of the disk each
            chunk_key_encoding={"name": "default", "separator": "."},
            dimension_names=("t", "y", "x"),
            zarr_format=3,
        )
        return cls(path, shape, dtype)

    @classmethod
    def open(cls, path: Path) -> ChunkFolder:
        """Open one.

        Raises
        ------
        StoreError
            If its description is missing or damaged, or is of another array than `create` makes.
        UnsafeFileError
            If it, or the folder, is a link or no plain file.
        """
        try:
            check_folder(path)
            said = read_json(path / DESCRIPTION, most_bytes=_MOST_DESCRIPTION)
            shape, chunks = check_shape(said["shape"]), said["chunk_grid"]["configuration"]
            codecs = [(codec["name"], codec.get("configuration", {})) for codec in said["codecs"]]
            kind, keys = str(said["data_type"]), said["chunk_key_encoding"]["configuration"]
            is_ours = (
                said["node_type"] == "array"
                and chunks["chunk_shape"] == [1, *shape[1:]]
                and re.fullmatch("u?int(8|16|32|64)", kind) is not None
                and [name for name, _ in codecs] == ["bytes", "zstd"]
                and codecs[0][1].get("endian", "little") == "little"
                and keys["separator"] == "."
            )
        except UnsafeFileError:
            raise
        except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
            raise StoreError(
                f"{str(path / DESCRIPTION)!r} can't be read ({type(error).__name__}: {error}); "
                "restore it from a copy"
            ) from error
        if not is_ours:
            raise StoreError(
                f"{str(path)!r} is not a label store of napari-sam3: its chunks are {chunks} of "
                f"{kind}, {[name for name, _ in codecs]}; open it as labels with napari instead"
            )
        return cls(path, shape, np.dtype(kind))

    def write(self, frame_index: int, chunk: bytes) -> None:
        """Put a chunk into its place, the whole or not at all. One thread at a time."""
        with written_whole(self._place(frame_index)) as part:
            part.write_bytes(chunk)

    def remove(self, frame_index: int) -> None:
        """Take the chunk of a frame away, if there is one."""
        self._place(frame_index).unlink(missing_ok=True)

    def remove_parts(self) -> None:
        """Remove what a killed process has left of chunks."""
        for part in self.path.glob(_PARTS):
            with suppress(OSError):  # no file at all, say
                part.unlink()

    def read(self, frame_index: int) -> bytes:
        """The chunk of a frame; OSError where there is none, or none that can be."""
        return read_plain(self._place(frame_index), self._most_bytes)

    def sizes(self) -> dict[int, int]:
        """Bytes of every chunk that is there, by frame.

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
