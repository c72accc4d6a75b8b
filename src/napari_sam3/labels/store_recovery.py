"""Open a label store as it was left: whole, cut off in the middle of a write, or damaged."""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np

from napari_sam3.errors import StoreError, UnsafeFileError
from napari_sam3.labels.array_description import DESCRIPTION, Description
from napari_sam3.labels.frame_records import (
    ChunkFacts,
    FoundRecords,
    FrameRecord,
    Header,
    read_header,
    read_records,
    write_records,
)
from napari_sam3.labels.packing import LabelFolder, folder_of, open_folder, tidy
from napari_sam3.labels.shard_folder import ShardFolder
from napari_sam3.plain_files import copy_plain, open_plain


class FoundStore(NamedTuple):
    """A store as it can be used.

    Attributes
    ----------
    chunks : ChunkFolder or ShardFolder
        Where the labels are.
    records : dict of int to FrameRecord
        Of every frame that something is known of; those with a `chunk` can be read.
    problems : tuple of str
        What is lost.
    """

    chunks: LabelFolder
    records: dict[int, FrameRecord]
    problems: tuple[str, ...]


def find_store(chunks_path: Path, records_path: Path, *, mend: bool) -> FoundStore:
    """Read what is there.

    Parameters
    ----------
    chunks_path, records_path : Path
        The folder of chunks and the file of records.
    mend : bool
        Bring the files in order: what is missing is made again, outdated lines go. A damaged file
        is kept beside.

    Raises
    ------
    StoreError
        If nothing is there, or neither part tells what labels they are.
    OSError
        If what is there can't be read or changed.
    """
    problems: list[str] = []
    header = read_header(records_path)
    chunks = _open_chunks(chunks_path, records_path, header, mend, problems)
    # somebody may be writing what is only looked at: then the next look finds all in order
    for _ in range(1 if mend else 3):
        found = read_records(records_path, chunks.shape[0], chunks.dtype)
        records = dict(found.records)
        is_ahead = _take_back_last(found, records, chunks)
        facts = {i: record.chunk for i, record in records.items() if record.chunk is not None}
        sizes = chunks.sizes(facts)
        # where a line is lost, it may have told of the chunk that is there
        for frame_index in () if found.damaged else _find_cleared(records, sizes, chunks):
            del sizes[frame_index]
            if mend and not isinstance(chunks, ShardFolder):
                chunks.remove(frame_index)
        told = {i: chunk.size for i, chunk in facts.items()}
        doubtful = [i for i in sizes.keys() | told.keys() if sizes.get(i) != told.get(i)]
        if not doubtful:
            break
    unnoted, lost = _read_doubtful(doubtful, records, chunks)
    if unnoted:
        problems.append(
            f"the scores, sources and locks of frames {_spans(unnoted)} are lost; "
            "their labels are there"
        )
    if lost:
        problems.append(f"the labels of frames {_spans(lost)} are lost (damaged or gone)")
    if found.damaged > len(unnoted) + len(lost):
        problems.append(
            f"{found.damaged} lines of {str(records_path)!r} can't be read; what they said of "
            "scores, sources and locks is lost"
        )
    if isinstance(chunks, ShardFolder) and chunks.damaged:
        problems.append(
            f"the index of {', '.join(chunks.damaged)} in {str(chunks_path)!r} is damaged; their "
            f"frames are read as {str(records_path)!r} tells, by napari-sam3 alone. Unpack the "
            "project and pack it again (napari-sam3 pack)"
        )
    if mend:
        is_damaged = found.damaged > 0 or (header is None and records_path.exists())
        if is_damaged:
            with suppress(OSError):
                copy_plain(records_path, records_path.with_name(records_path.name + ".damaged"))
        end = found.last_begin if is_ahead else found.end
        with suppress(FileNotFoundError), open_plain(records_path, writable=True) as file:
            if file.seek(0, os.SEEK_END) > end:
                file.truncate(end)
        whole = Header(chunks.shape, chunks.dtype.name, chunks.shard)
        if is_damaged or header != whole or unnoted or found.n_lines > len(records):
            with suppress(OSError):  # on a full disk it can be read and added to as it is
                write_records(records_path, whole, (records[i] for i in sorted(records)))
        if read_header(records_path) == whole:
            tidy(chunks)
    return FoundStore(chunks, records, tuple(problems))


def _open_chunks(
    chunks_path: Path, records_path: Path, header: Header | None, mend: bool, problems: list[str]
) -> LabelFolder:
    """The folder of chunks; where its description is lost, as the records describe it."""
    try:
        return open_folder(chunks_path)
    except StoreError:
        if header is None:
            if not chunks_path.exists() and not records_path.exists():
                raise StoreError(f"{str(chunks_path.parent)!r} holds no labels") from None
            raise
        # while the first line tells of shards, these are whole
        description = Description(header.shape, np.dtype(header.dtype), header.shard)
        problems.append(
            f"{str(chunks_path / 'zarr.json')!r} was lost or is of other labels; what "
            f"{str(records_path)!r} says is taken"
        )
        if mend:
            with suppress(OSError):  # a full disk: another time
                with suppress(FileNotFoundError):
                    place = chunks_path / DESCRIPTION
                    place.replace(place.with_name(f"{DESCRIPTION}.damaged"))
                chunks_path.mkdir(exist_ok=True)
                description.write(chunks_path)
        return folder_of(chunks_path, description)


def _take_back_last(
    found: FoundRecords, records: dict[int, FrameRecord], chunks: LabelFolder
) -> bool:
    """Leave out the last line if its chunk did not come; give whether it is left out.

    Frames are packed when all of them have come.
    """
    last, before = found.last, found.before
    if last is None or last.chunk is None or isinstance(chunks, ShardFolder):
        return False
    crc = None
    with suppress(FileNotFoundError, UnsafeFileError):
        crc = zlib.crc32(chunks.read(last.frame_index))
    if crc == last.chunk.crc:
        return False
    possible: set[int | None] = {None}
    if before is not None:
        possible = {None, before.cleared} if before.chunk is None else {before.chunk.crc}
    if crc not in possible:
        # not what was there before either: damaged
        records[last.frame_index] = last._replace(chunk=last.chunk._replace(size=-1))
    elif before is None:
        del records[last.frame_index]
    else:
        records[last.frame_index] = before
    return True


def _find_cleared(
    records: dict[int, FrameRecord], sizes: Mapping[int, int], chunks: LabelFolder
) -> list[int]:
    """Frames that were cleared, and whose chunk is there still."""
    found = []
    for frame_index in sizes:
        record = records.get(frame_index)
        if record is None or record.cleared is None:
            continue
        with suppress(OSError):
            if zlib.crc32(chunks.read(frame_index)) == record.cleared:
                found.append(frame_index)
    return found


def _read_doubtful(
    frames: list[int], records: dict[int, FrameRecord], chunks: LabelFolder
) -> tuple[list[int], list[int]]:
    """Learn of chunks that no line tells of rightly: which can be read, and which can't."""
    unnoted, lost = [], []
    for frame_index in sorted(frames):
        known = records.pop(frame_index, None)
        try:
            chunk = chunks.read(frame_index)
            labels = chunks.codec.unpack(chunk)
        except (OSError, ValueError):
            lost.append(frame_index)
            continue
        facts = ChunkFacts(zlib.crc32(chunk), len(chunk), int(labels.min()), int(labels.max()))
        if known is None or known.chunk is not None:  # what it says belongs to other labels
            known = FrameRecord(frame_index, None)
        records[frame_index] = known._replace(chunk=facts)
        unnoted.append(frame_index)
    return unnoted, lost


def _spans(frames: Iterable[int]) -> str:
    """Numbers in few words: 3, 7-9."""
    spans: list[list[int]] = []
    for frame_index in sorted(frames):
        if spans and frame_index == spans[-1][1] + 1:
            spans[-1][1] = frame_index
        else:
            spans.append([frame_index, frame_index])
    return ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in spans)
