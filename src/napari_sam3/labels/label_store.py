"""Labels of a whole video on disk, written behind and shown from there."""

from __future__ import annotations

import atexit
import logging
import os
import weakref
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import DTypeLike, NDArray

from napari_sam3.errors import StoreError, StoreReadOnlyError, UnsafeFileError
from napari_sam3.labels.background_writer import NO_CHUNK, BackgroundWriter, Job
from napari_sam3.labels.chunk_folder import ChunkFolder, explain_failure
from napari_sam3.labels.frame_records import (
    ChunkFacts,
    FrameRecord,
    Header,
    RecordFile,
    check_shape,
    write_records,
)
from napari_sam3.labels.label_stack import CACHE_BYTES, LabelStack
from napari_sam3.labels.packing import LabelFolder, open_folder, pack, unpack
from napari_sam3.labels.shard_folder import ShardFolder
from napari_sam3.labels.store_recovery import FoundStore, find_store

logger = logging.getLogger(__name__)

CHUNKS_NAME = "labels.zarr"
RECORDS_NAME = "frames.jsonl"
PAINT_DELAY_S = 0.5  # after a stroke, for writing takes longer than the brush may wait
LONGEST_DELAY_S = 3.0

CHECKED_BYTES = 16 * 2**20


class LabelStore(LabelStack):
    """Labels kept in a folder: as `LabelStack`, for videos of any length.

    Make one with `create` or `open`. What is drawn is handed to a thread that writes it at once;
    what is painted follows half a second later. `flush` waits until everything is there. After a
    sudden end of the process every frame on disk is whole, with the notes that belong to it.

    In memory are: the frames last used (`cache_bytes`), the squeezed frames that wait to be
    written (8 MiB, then drawing waits), the squeezed state before of frames changed by hand
    whose edits were not taken yet, and some 20 bytes a frame and 17 a note.

    Raises
    ------
    StoreError
        By `draw`, `flush` and `close`: the disk is full, or can't be written to. What was taken
        before stays in memory, and is written once there is room; what is on disk stays readable.
    StoreReadOnlyError
        By all that changes something, if opened read-only or closed.
    """

    def __init__(
        self, folder: Path, found: FoundStore, *, is_read_only: bool, cache_bytes: int
    ) -> None:
        super().__init__(found.chunks.shape, found.chunks.dtype, cache_bytes=cache_bytes)
        self.folder = folder
        self._chunks = found.chunks
        self._records: RecordFile | None = None
        self._is_read_only = is_read_only
        self._is_closed = False
        self._problems = list(found.problems)
        for record in found.records.values():
            self._learn(record)
        self._writer = BackgroundWriter(self._write_record, self._save_dirty)
        if not is_read_only:
            self._records = RecordFile(folder / RECORDS_NAME)
            _open_stores.add(self)

    @classmethod
    def create(
        cls,
        folder: Path | str,
        shape: tuple[int, int, int],
        dtype: DTypeLike = np.uint16,
        *,
        cache_bytes: int = CACHE_BYTES,
    ) -> LabelStore:
        """Begin a store.

        Parameters
        ----------
        folder : Path or str
            Made if it is not there; it may hold other things.
        shape : (int, int, int)
            Frames, height, width.
        dtype : integer dtype
            Of the labels; 0 is background.
        cache_bytes : int
            How much memory the unsqueezed frames may take; at least one frame is kept.

        Raises
        ------
        StoreError
            If there is a store, or the folder can't be written to.
        ValueError
            If `shape` is not three positive numbers, or more than `MOST_FRAMES` and
            `MOST_PIXELS` of `napari_sam3.values`; if `dtype` is not an integer type.
        """
        folder = Path(folder)
        # looks at shape and dtype
        plan = LabelStack(shape, np.dtype(dtype).newbyteorder("="))
        check_shape(plan.shape)
        if any(os.path.lexists(folder / name) for name in (CHUNKS_NAME, RECORDS_NAME)):
            raise StoreError(f"{str(folder)!r} holds labels already; open them, or choose another")
        try:
            folder.mkdir(parents=True, exist_ok=True)
            write_records(folder / RECORDS_NAME, Header(plan.shape, plan.dtype.name), ())
            chunks = ChunkFolder.create(folder / CHUNKS_NAME, plan.shape, plan.dtype)
        except OSError as error:
            raise explain_failure(folder, error, "made") from error
        return cls(folder, FoundStore(chunks, {}, ()), is_read_only=False, cache_bytes=cache_bytes)

    @classmethod
    def open(
        cls, folder: Path | str, *, read_only: bool = False, cache_bytes: int = CACHE_BYTES
    ) -> LabelStore:
        """Open a store, as far as it can be read; `problems` says what is lost.

        Parameters
        ----------
        folder : Path or str
            As given to `create`.
        read_only : bool
            Change nothing on disk, and refuse changes.
        cache_bytes : int
            How much memory the unsqueezed frames may take; at least one frame is kept.

        Raises
        ------
        StoreError
            If there is none, if neither of its parts tells what labels it holds, or if a newer
            version has written it. With an `errno` if the disk is to blame, or something in it
            is a link or no plain file: then nothing is lost, and nothing was changed.
        """
        folder = Path(folder)
        try:
            found = find_store(folder / CHUNKS_NAME, folder / RECORDS_NAME, mend=not read_only)
            store = cls(folder, found, is_read_only=read_only, cache_bytes=cache_bytes)
        except StoreError:
            raise
        except OSError as error:
            raise explain_failure(folder, error, "opened") from error
        if store._facts["size"].sum() <= CHECKED_BYTES:
            store.check()
        return store

    # ------------------------------------------------------------- what it is

    @property
    def problems(self) -> tuple[str, ...]:
        """What is lost, in words; a damaged frame that is met later is added (see `check`)."""
        return tuple(self._problems)

    def check(self) -> tuple[str, ...]:
        """Read all that is on disk, to find damage that nobody has met yet; gives `problems`.

        Opening does so with small stores. 10,000 frames take half a second on a quick disk, but
        minutes on a slow one.
        """
        for frame_index in self.processed_frames().tolist():
            with self._lock:
                chunk = self._fetch(frame_index)
                if chunk is not None and zlib.crc32(chunk) != self._facts["crc"][frame_index]:
                    self._load(frame_index)
        return self.problems

    @property
    def failure(self) -> StoreError | None:
        """Why writing does not go on; None as long as it does."""
        failure = self._writer.failure
        return None if failure is None else self._explain(failure)

    @property
    def is_read_only(self) -> bool:
        """Whether nothing can be changed: opened so, or closed."""
        return self._is_read_only or self._is_closed

    @property
    def memory_bytes(self) -> int:
        """Bytes that the frames take in memory now."""
        return super().memory_bytes + self._writer.waiting_bytes

    # ---------------------------------------------------------------- writing

    def _make_way(self) -> None:
        """Wait until what is drawn can be taken; raises if the disk is full."""
        self._check_writable()
        failure = self._writer.wait_for_room()
        if failure is not None:
            raise self._explain(failure) from failure

    def flush(self) -> None:
        """Wait until all is on disk.

        Raises
        ------
        StoreError
            If the disk is full. Nothing is lost: what is not written stays in memory.
        """
        if self._records is None:
            return
        self._save_dirty()
        failure = self._writer.drain()
        if failure is not None:
            raise self._explain(failure) from failure

    @property
    def is_packed(self) -> bool:
        """Whether frames are kept many in a file (`pack`), not each in its own."""
        return self._chunks.shard is not None

    def pack(self, on_frames: Callable[[int], object] | None = None) -> None:
        """Keep frames many in a file, where file systems have no room for a file a frame.

        It reads as before. What is drawn or painted afterwards unpacks all of it first, by itself.
        While it is packed it takes twice its room on disk; nothing is lost if that ends midway.

        Parameters
        ----------
        on_frames : callable, optional
            Called with the number of frames that are packed, now and then.

        Raises
        ------
        StoreError
            If the disk is full, or can't be written to: all is as it was then.
        """
        self._change_files(lambda chunks, place: _packed(chunks, place, on_frames))

    def unpack(self) -> None:
        """Keep each frame in a file of its own again; errors as of `pack`."""
        self._change_files(_unpacked)

    def _change_files(self, change: Callable[[LabelFolder, Path], object]) -> None:
        self._check_writable()
        while True:
            self.flush()
            with self._lock:
                if self._dirty or self._writer.waiting_frames:
                    continue  # drawn meanwhile
                try:
                    with self._records_let_go():
                        change(self._chunks, self.folder / RECORDS_NAME)
                except OSError as error:
                    raise explain_failure(self.folder, error, "packed or unpacked") from error
                finally:
                    self._chunks = open_folder(self._chunks.path)
                return

    def close(self) -> None:
        """Write what is left, and let go of the files. What is on disk can still be looked at.

        Raises
        ------
        StoreError
            If the disk is full: it is not closed then. Make room, and close it again.
        """
        if self._is_closed:
            return
        self._is_closed = True  # from here on nobody adds to it
        try:
            self.flush()
        except StoreError:
            self._is_closed = False
            raise
        self.abandon()

    def abandon(self) -> None:
        """Let go of the files; what is not on disk yet is forgotten."""
        self._is_closed = True
        self._writer.stop()
        if self._records is not None:
            with suppress(OSError):  # the lines are written; not every file system can sync
                self._records.sync()
            self._records.close()
            self._records = None
        _open_stores.discard(self)

    def unwritten(self) -> list[Job]:
        """What is not on disk yet, for `take` of a copy of this store elsewhere."""
        self._save_dirty()
        return self._writer.waiting()

    def take(self, jobs: Iterable[Job]) -> None:
        """Write what another store could not."""
        for record, chunk in jobs:
            self._learn(record)
            self._writer.put(record, chunk)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def copy(self) -> LabelStack:
        """A copy in memory, squeezed."""
        return self.astype(self.dtype)

    # ----------------------------------------------------------------- frames

    def _check_writable(self) -> None:
        if self._is_closed:
            raise StoreReadOnlyError(f"the labels in {str(self.folder)!r} are closed; open them")
        if self._is_read_only:
            raise StoreReadOnlyError(
                f"the labels in {str(self.folder)!r} were opened to be looked at only; open them "
                "for writing, or change a copy (LabelStore.copy)"
            )

    def _touched(self, frame_index: int) -> None:
        super()._touched(frame_index)
        if frame_index in self._dirty:
            self._writer.remind_in(PAINT_DELAY_S, LONGEST_DELAY_S)
        else:
            self._writer.put(self._record(frame_index), None)

    def _save_dirty(self) -> None:
        for frame_index in list(self._dirty):
            with self._lock:  # let go of between frames: somebody may be painting
                self._pack(frame_index)

    def _holds_labels(self, frame_index: int) -> bool:
        return frame_index in self._open or self.is_processed(frame_index)

    def _fetch(self, frame_index: int) -> bytes | None:
        if not self.is_processed(frame_index):
            return None
        chunk = self._writer.find(frame_index)
        if chunk is not None:
            return chunk
        chunks = self._chunks
        try:
            try:
                return chunks.read(frame_index)
            except FileNotFoundError:
                if not self._is_packed_otherwise(chunks):
                    raise
                return self._chunks.read(frame_index)
        except (FileNotFoundError, UnsafeFileError) as error:
            self._lose(frame_index, error)
            return None
        except OSError as error:  # which may pass: the frame must not be taken for lost
            raise explain_failure(self.folder, error, "read") from error

    def _is_packed_otherwise(self, chunks: LabelFolder) -> bool:
        """Whether frames have been packed, or unpacked, since they were looked for in a folder.

        By the writer's thread, or by another process where this one only looks.
        """
        if self._chunks is chunks and self._is_read_only:
            with suppress(StoreError, OSError):
                now = open_folder(chunks.path)
                if now.shard != chunks.shard:
                    self._chunks = now
        return self._chunks is not chunks

    def _load(self, frame_index: int) -> NDArray[Any] | None:
        try:
            return super()._load(frame_index)
        except ValueError as error:
            self._lose(frame_index, error)
            return None

    def _store(self, frame_index: int, packed: bytes) -> None:
        facts = self._facts
        facts["crc"][frame_index], facts["size"][frame_index] = zlib.crc32(packed), len(packed)
        self._writer.put(self._record(frame_index), packed)

    def _clear(self, frame_index: int) -> None:
        # the checksum stays: it tells the chunk that goes (`FrameRecord.cleared`)
        self._facts["size"][frame_index] = 0
        self._writer.put(self._record(frame_index), NO_CHUNK)

    def _lose(self, frame_index: int, error: Exception) -> None:
        """Take a frame for never processed: what is on disk of it can't be read."""
        self._problems.append(f"the labels of frame {frame_index} are lost ({error})")
        self._facts[frame_index] = 0
        self._notes.pop(frame_index, None)
        self._count_change(frame_index)

    # ----------------------------------------------------------------- records

    def _record(self, frame_index: int) -> FrameRecord:
        is_processed, is_locked, run, *facts = self._facts[frame_index].item()
        chunk, cleared = (ChunkFacts(*facts), None) if is_processed else (None, facts[0] or None)
        notes = self._notes.get(frame_index, b"")
        return FrameRecord(frame_index, chunk, notes, is_locked, run, cleared)

    def _learn(self, record: FrameRecord) -> None:
        is_processed, facts = (
            record.chunk is not None,
            record.chunk or (record.cleared or 0, 0, 0, 0),
        )
        self._facts[record.frame_index] = (is_processed, record.is_locked, record.run, *facts)
        if record.notes:
            self._notes[record.frame_index] = record.notes
        self._count_change(record.frame_index)

    def _write_record(self, record: FrameRecord, chunk: bytes | None) -> None:
        """The line first, then the chunk; in the writer's thread."""
        assert self._records is not None
        chunks = self._chunks
        if chunk is not None and isinstance(chunks, ShardFolder):
            chunks = self._unpack(chunks)
        self._records.append(record)
        if chunk is not None:
            assert isinstance(chunks, ChunkFolder)
            try:
                if chunk == NO_CHUNK:
                    chunks.remove(record.frame_index)
                else:
                    chunks.write(record.frame_index, chunk)
            except OSError:
                self._records.take_back(record)
                raise

    def _unpack(self, shards: ShardFolder) -> ChunkFolder:
        with self._records_let_go():
            chunks = unpack(shards, self.folder / RECORDS_NAME)
            self._chunks = chunks
        return chunks

    @contextmanager
    def _records_let_go(self) -> Iterator[None]:
        """The file of records closed, to be replaced; and what holds then opened again."""
        assert self._records is not None
        self._records.sync()
        self._records.close()
        try:
            yield
        finally:
            self._records = RecordFile(self.folder / RECORDS_NAME)

    def _explain(self, failure: OSError) -> StoreError:
        return explain_failure(self.folder, failure, "written", waiting=self._writer.waiting_frames)


def _packed(chunks: LabelFolder, records: Path, on_frames: Callable[[int], object] | None) -> None:
    if isinstance(chunks, ChunkFolder):
        pack(chunks, records, on_frames)


def _unpacked(chunks: LabelFolder, records: Path) -> None:
    if isinstance(chunks, ShardFolder):
        unpack(chunks, records)


# what was drawn is on its way when a script ends without closing
_open_stores: weakref.WeakSet[LabelStore] = weakref.WeakSet()
if hasattr(os, "register_at_fork"):  # they stay the business of the process that opened them
    os.register_at_fork(after_in_child=_open_stores.clear)


@atexit.register
def _close_all() -> None:
    for store in list(_open_stores):
        try:
            store.close()
        except StoreError as error:
            logger.error("the program ends, and what is not on disk is lost: %s", error)
