"""From a file a frame to few files of many frames, and back; killed at any moment, all is there.

Both kinds of files have names of their own, and the array's description (`zarr.json`) says which
of them hold. So what is made is made whole beside what is there, then the description is replaced,
then what was there goes. What a killed process leaves of the other kind holds no longer, or not
yet, and goes when the store is opened for writing (`tidy`).

The lines of the frames stay what they are, for chunks are packed as they are. Only the first line
tells that they are packed, from before the description does until after it does: so an older
napari-sam3 says that it does not know such a store.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from napari_sam3.errors import StoreError
from napari_sam3.labels.array_description import Description, read_description
from napari_sam3.labels.chunk_folder import ChunkFolder
from napari_sam3.labels.frame_records import Header, replace_header
from napari_sam3.labels.shard_folder import FRAMES_IN_SHARD, ShardFolder

LabelFolder = ChunkFolder | ShardFolder


def folder_of(path: Path, description: Description) -> LabelFolder:
    """A folder as its description says."""
    shape, dtype, shard = description
    if shard is None:
        return ChunkFolder(path, shape, dtype)
    return ShardFolder(path, shape, dtype, shard)


def open_folder(path: Path) -> LabelFolder:
    """Open a folder of label frames, packed or not; raises as `read_description`."""
    return folder_of(path, read_description(path))


def pack(
    chunks: ChunkFolder, records: Path, on_frames: Callable[[int], object] | None = None
) -> ShardFolder:
    """Pack a folder whose chunks nobody writes meanwhile.

    Parameters
    ----------
    chunks : ChunkFolder
        With nothing left over of another kind (`tidy`).
    records : Path
        The file of records; nobody has it open.
    on_frames : callable, optional
        Called with the number of frames that are packed, now and then.

    Raises
    ------
    OSError
        If it can't be: it is as it was then.
    """
    shape, dtype = chunks.shape, chunks.dtype
    shards = ShardFolder(chunks.path, shape, dtype, min(FRAMES_IN_SHARD, shape[0]))
    frames: dict[int, list[int]] = {}
    for frame_index in sorted(chunks.sizes({})):
        frames.setdefault(frame_index // shards.shard, []).append(frame_index)
    n_packed = 0
    try:
        for number, in_shard in frames.items():
            shards.fill(number, chunks, in_shard)
            n_packed += len(in_shard)
            if on_frames is not None:
                on_frames(n_packed)
        replace_header(records, Header(shape, dtype.name, shards.shard))
        Description(shape, dtype, shards.shard).write(chunks.path)
    except BaseException:
        if _is_still(chunks):
            shards.remove_all()
            with suppress(OSError):
                replace_header(records, Header(shape, dtype.name))
        raise
    _sync_folder(chunks.path)
    chunks.remove_all()
    return shards


def unpack(shards: ShardFolder, records: Path) -> ChunkFolder:
    """Give each frame its own file again; parameters and errors as of `pack`."""
    shape, dtype = shards.shape, shards.dtype
    chunks = ChunkFolder(shards.path, shape, dtype)
    try:
        for frame_index in shards.sizes({}):
            chunks.write(frame_index, shards.read(frame_index))
        _sync_chunks(chunks)
        Description(shape, dtype).write(shards.path)
    except BaseException:
        if _is_still(shards):
            chunks.remove_all()
        raise
    _sync_folder(shards.path)
    replace_header(records, Header(shape, dtype.name))
    shards.remove_all()
    return chunks


def tidy(folder: LabelFolder) -> None:
    """Remove what a killed process has left, of the other kind as well.

    Call it only when the first line of the records says of what kind the folder is, so that what
    is removed is what neither of both tells of.
    """
    folder.remove_parts()
    path, shape, dtype = folder.path, folder.shape, folder.dtype
    if folder.shard is None:
        ShardFolder(path, shape, dtype, 1).remove_all()
        return
    chunks = ChunkFolder(path, shape, dtype)
    left = chunks.sizes({}).keys()
    if left and left <= folder.sizes({}).keys():
        chunks.remove_all()


def _is_still(folder: LabelFolder) -> bool:
    """Whether its description is that of this kind: not yet replaced when something went wrong."""
    try:
        return read_description(folder.path).shard == folder.shard
    except (StoreError, OSError):
        return False  # nobody knows, and nothing is removed


def _sync_folder(path: Path) -> None:
    """Wait until a folder's names are on the disk, where the system can say so."""
    with suppress(OSError):  # Windows opens no folder, and not every file system can
        folder = os.open(path, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _sync_chunks(chunks: ChunkFolder) -> None:
    """Wait until all chunks are on the disk."""
    if hasattr(os, "sync"):  # all at once: one by one they take milliseconds each
        os.sync()
        return
    for frame_index in chunks.sizes({}):
        chunks.sync(frame_index)
