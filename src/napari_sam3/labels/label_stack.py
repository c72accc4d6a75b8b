"""Labels of a whole video, and notes on them: every frame squeezed, the few in use unsqueezed.

A (T, H, W) array of an hour of 1080p would take 450 GB. Label frames are large areas of equal
value, so each is kept deflated: some 10 to 60 kB a frame.
"""

from __future__ import annotations

import operator
import threading
import zlib
from collections import OrderedDict
from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType
from typing import Any, cast

import numpy as np
from numpy.typing import DTypeLike, NDArray

from napari_sam3.labels.frame_array import WHOLE
from napari_sam3.labels.frame_codec import FrameCodec
from napari_sam3.labels.frame_snapshot import FrameState
from napari_sam3.labels.indexing import fit_values
from napari_sam3.labels.object_lock import spare_objects, spare_pixels
from napari_sam3.labels.object_notes import (
    PAINTED,
    ObjectNote,
    mean_scores,
    note_rows,
    pack_notes,
    unpack_notes,
)
from napari_sam3.labels.restorable_frames import RestorableFrames

_NO_NOTES: Mapping[int, ObjectNote] = MappingProxyType({})

CACHE_BYTES = 64 * 2**20


class LabelStack(RestorableFrames):
    """An array-like of labels, (T, H, W), whose frames are kept squeezed.

    Takes memory only for frames that hold a label, and for the frames last used. Indexing works
    as in NumPy and returns a copy that may be changed; assigning writes back. It serves as the
    data of a napari Labels layer: painting, filling, undo and redo work. Safe to use from
    several threads: each read and each assignment of one frame is whole.

    What is assigned counts as done by hand: the objects touched are noted as painted, and the
    frames are among the edits (`take_edits`). What a program finds is written with `draw`, which
    leaves locked frames alone. Frames can be brought back as they were (`snapshot`, `restore`).

    Parameters
    ----------
    shape : (int, int, int)
        Frames, height, width.
    dtype : integer dtype
        Of the labels; 0 is background.
    cache_bytes : int
        How much memory the unsqueezed frames may take; at least one frame is kept.

    Raises
    ------
    ValueError
        If `shape` is not three positive numbers or `dtype` is not an integer type.
    """

    def __init__(
        self,
        shape: tuple[int, int, int],
        dtype: DTypeLike = np.uint16,
        *,
        cache_bytes: int = CACHE_BYTES,
    ) -> None:
        sizes = tuple(operator.index(n) for n in shape)
        if len(sizes) != 3 or min(sizes) < 1:
            raise ValueError(f"shape is {shape}; give (frames, height, width), each at least 1")
        self.shape = sizes
        self.dtype: np.dtype[Any] = np.dtype(dtype)
        if self.dtype.kind not in "iu":
            raise ValueError(f"dtype is {self.dtype}; labels need an integer type such as uint16")
        super().__init__()
        self._lock = threading.RLock()
        # views of one element: they have the shapes and cost nothing
        self._background = np.broadcast_to(self.dtype.type(0), self.shape[1:])
        self._outline = np.broadcast_to(np.int8(0), self.shape)
        self._cache_bytes = cache_bytes
        self._cache_frames = max(1, cache_bytes // (self._background.size * self.dtype.itemsize))
        self._codec = FrameCodec(self.shape[1:], self.dtype)
        self._packed: dict[int, bytes] = {}
        self._open: OrderedDict[int, NDArray[Any]] = OrderedDict()
        self._dirty: set[int] = set()  # open frames that differ from what is packed
        self._notes: dict[int, bytes] = {}
        self._facts = np.zeros(
            self.shape[0],
            [
                ("is_processed", bool),
                ("is_locked", bool),
                ("run", np.int32),
                # of what is packed; a checksum and size are known of what goes to disk
                ("crc", np.uint32),
                ("size", np.int64),
                ("least", self.dtype),
                ("greatest", self.dtype),
            ],
        )
        self._locked_ids: frozenset[int] = frozenset()
        # changes are counted; which of them was the last of each frame, 0 for none
        self._n_changes = 0
        self._changed_at = np.zeros(self.shape[0], np.int64)
        self._painted: dict[int, dict[int, int]] = {}  # `painted_masks`, where they were asked for
        # frames changed by hand as they were before, packed, and what was noted on them
        self._edits: dict[int, tuple[bytes | None, bytes]] = {}

    # ------------------------------------------------------------ what it is

    @property
    def memory_bytes(self) -> int:
        """Bytes that the frames take now, squeezed and unsqueezed."""
        with self._lock:
            packed = sum(map(len, self._packed.values()))
            notes = sum(map(len, self._notes.values()))
            opened = sum(frame.nbytes for frame in self._open.values())
            edits = sum(len(before or b"") for before, _ in self._edits.values())
            return packed + notes + opened + edits

    @property
    def is_read_only(self) -> bool:
        """Whether nothing can be changed."""
        return False

    def __repr__(self) -> str:
        done = int(np.count_nonzero(self._facts["is_processed"]))
        return f"<{type(self).__name__} {self.shape} {self.dtype}, {done} frames written>"

    def is_processed(self, frame_index: int) -> bool:
        """Whether the frame was ever written, if only with background."""
        return bool(self._facts["is_processed"][frame_index])

    def processed_frames(self) -> NDArray[np.intp]:
        """Indices of the frames ever written, rising."""
        return np.flatnonzero(self._facts["is_processed"])

    # ------------------------------------------------------------ what is known

    def notes(self, frame_index: int) -> Mapping[int, ObjectNote]:
        """What is known of the objects on a frame, by rising id.

        An object noted as painted that has no pixel there was wiped off by hand.
        """
        return unpack_notes(self._notes.get(self._number(frame_index), b""))

    def noted(self, frame_indices: Sequence[int] | NDArray[np.integer[Any]]) -> NDArray[np.void]:
        """What is known of the objects on many frames, quickly.

        Returns
        -------
        (N,) structured array, a row for each object on each frame
            `place` of the frame in `frame_indices`; `id`; `score`, NaN for none; `source`, its
            place in `SOURCES`. By rising place, then id.
        """
        with self._lock:
            return note_rows([self._notes.get(int(i), b"") for i in frame_indices])

    def painted_masks(self, frame_index: int) -> Mapping[int, int]:
        """A checksum of each mask that is noted as painted on a frame, by id.

        0 is that of an object that was wiped off. Looks at the pixels, once after each change.
        """
        frame_index = self._number(frame_index)
        with self._lock:
            if frame_index not in self._painted:
                by_hand = [i for i, note in self.notes(frame_index).items() if note == PAINTED]
                frame = self._look(frame_index) if by_hand else self._background
                self._painted[frame_index] = {i: _checksum(frame == i) for i in by_hand}
            return MappingProxyType(self._painted[frame_index])

    def changed_since(self, moment: int) -> tuple[NDArray[np.intp], int]:
        """Which frames were drawn, painted in, annotated or locked since a moment.

        Who shows what is known of the frames asks for this now and then; nobody need tell it.

        Parameters
        ----------
        moment : int
            As it was given last; -1 asks for all frames of which anything is known.

        Returns
        -------
        (frame indices, moment)
            Rising, and the moment now.
        """
        with self._lock:
            if moment == self._n_changes:
                return np.zeros(0, np.intp), moment
            is_meant = self._changed_at > moment
            if moment < 0:
                is_meant = self._facts["is_processed"] | self._facts["is_locked"]
                is_meant[list(self._notes)] = True
            return np.flatnonzero(is_meant), self._n_changes

    def mean_scores(self) -> dict[int, float | None]:
        """The mean score of each object that is noted; None of one that has none anywhere."""
        with self._lock:
            return mean_scores(self._notes.values())

    def annotate(self, frame_index: int, notes: Mapping[int, ObjectNote]) -> None:
        """Note something of some objects on a frame; its pixels and the other notes stay."""
        frame_index = self._number(frame_index)
        with self._lock:
            self._check_writable()
            packed = pack_notes({**self.notes(frame_index), **notes})
            self._log(frame_index)
            self._notes[frame_index] = packed
            self._touched(frame_index)

    def lock(self, frame_index: int, is_locked: bool = True) -> None:
        """Keep `draw` off a frame, or let it in again. Painting by hand is always allowed."""
        frame_index = self._number(frame_index)
        with self._lock:
            self._check_writable()
            if self.is_locked(frame_index) != is_locked:
                self._facts["is_locked"][frame_index] = is_locked
                self._touched(frame_index)

    def is_locked(self, frame_index: int) -> bool:
        """Whether `draw` leaves the frame alone."""
        return bool(self._facts["is_locked"][frame_index])

    def locked_frames(self) -> NDArray[np.intp]:
        """Indices of the locked frames, rising."""
        return np.flatnonzero(self._facts["is_locked"])

    def lock_objects(self, obj_ids: Collection[int]) -> None:
        """Keep all that is drawn or painted off these objects, and off no others.

        Where they are on a frame they stay, with their notes; where they are not they do not come.
        """
        with self._lock:
            self._locked_ids = frozenset(obj_ids)

    @property
    def is_read(self) -> bool:
        """Whether it is known what is on every frame."""
        return True

    def frames_of_run(self, run: int) -> NDArray[np.intp]:
        """Indices of the frames that were last drawn by a run of this number, rising."""
        return np.flatnonzero(self._facts["run"] == run)

    # ----------------------------------------------------------- changed by hand

    def is_edited(self, frame_index: int) -> bool:
        """Whether the frame was changed by hand since edits were last taken."""
        return self._number(frame_index) in self._edits

    def edits(self, obj_ids: Collection[int]) -> dict[tuple[int, int], NDArray[np.bool_]]:
        """What `take_edits` would give; nothing is taken, so that an undo leaves no trace."""
        with self._lock:
            return {
                (frame_index, obj_id): self._look(frame_index) == obj_id
                for frame_index in self._edits
                for obj_id in sorted(self._edited(frame_index).intersection(obj_ids))
            }

    def _edited(self, frame_index: int) -> set[int]:
        """Labels that were changed by hand on a frame since edits were last taken."""
        packed = self._edits[frame_index][0]
        now = self._look(frame_index)
        before = self._background if packed is None else self._codec.unpack(packed)
        changed = now != before
        return set(np.union1d(now[changed], before[changed]).tolist())

    def take_edits(self, obj_ids: Collection[int]) -> dict[tuple[int, int], NDArray[np.bool_]]:
        """What was changed by hand since the last call.

        Objects that are as they were, as after an undo, get their old notes back.

        Parameters
        ----------
        obj_ids : collection of int
            The labels that are looked at.

        Returns
        -------
        dict of (frame index, object id) to (H, W) bool
            The masks as they are now; empty where an object was wiped out.
        """
        with self._lock:
            edits = self.edits(obj_ids)
            for frame_index, (_, notes_before) in self._edits.items():
                self._pack(frame_index)  # for the next stroke, which will ask for it
                self._unmark(frame_index, self._edited(frame_index), unpack_notes(notes_before))
            self._edits.clear()
        return edits

    def _unmark(
        self, frame_index: int, touched: set[int], before: Mapping[int, ObjectNote]
    ) -> None:
        notes = dict(self.notes(frame_index))
        restored = [i for i, note in notes.items() if note == PAINTED and i not in touched]
        for obj_id in restored:
            del notes[obj_id]
            if obj_id in before:
                notes[obj_id] = before[obj_id]
        packed = pack_notes(notes)
        if packed != self._notes.get(frame_index, b""):
            self._log(frame_index)
            self._notes[frame_index] = packed
            self._touched(frame_index)

    # ------------------------------------------------------------ as it was before

    def _state(self, frame_index: int) -> FrameState:
        self._pack(frame_index)
        packed = self._fetch(frame_index)  # first: what can't be read is not processed
        facts = self._facts[frame_index]
        return FrameState(
            self.dtype,
            packed,
            int(facts["least"]),
            int(facts["greatest"]),
            self._notes.get(frame_index, b""),
            bool(facts["is_processed"]),
            int(facts["run"]),
            self._edits.get(frame_index),
        )

    def _put_back(self, frame_index: int, state: FrameState) -> None:
        self._open.pop(frame_index, None)
        self._dirty.discard(frame_index)
        self._notes[frame_index] = state.notes
        self._edits.pop(frame_index, None)
        if state.before_edit is not None:
            self._edits[frame_index] = state.before_edit
        facts = self._facts
        facts["run"][frame_index] = state.run
        facts["least"][frame_index], facts["greatest"][frame_index] = state.least, state.greatest
        was_processed = self.is_processed(frame_index)
        facts["is_processed"][frame_index] = state.is_processed
        if state.is_processed:
            self._store(frame_index, state.packed or self._codec.pack(self._background))
        elif was_processed:
            self._clear(frame_index)
        else:
            self._touched(frame_index)
        self._count_change(frame_index)

    # ------------------------------------------------------------------- writing

    def draw(
        self,
        frame_index: int,
        labels: Any,
        notes: Mapping[int, ObjectNote] = _NO_NOTES,
        *,
        run: int = 0,
    ) -> bool:
        """Write a whole frame, not by hand.

        Parameters
        ----------
        frame_index : int
            0-based.
        labels : (H, W) integer array
            0 is background.
        notes : mapping of id to ObjectNote
            Of the objects on it; they replace what was noted on the frame.
        run : int
            Number of the propagation that found it, from 1; see `frames_of_run`. 0 leaves the
            frame with the number that it has.

        Returns
        -------
        bool
            False, and nothing is changed, on a locked frame.

        Raises
        ------
        StoreError
            Of a `LabelStore`, if the disk is full; the frame is not taken. Draw it again when there
            is room.
        """
        self._make_way()
        frame_index = self._number(frame_index)
        values = fit_values(labels, self.shape[1:], self.dtype)
        packed = pack_notes(notes)
        with self._lock:
            self._check_writable()
            if self.is_locked(frame_index):
                return False
            self._log(frame_index)
            if self._locked_ids:
                before = self._look(frame_index), self.notes(frame_index)
                values, notes = spare_objects(before, (values, notes), self._locked_ids)
                packed = pack_notes(notes)
            self._notes[frame_index] = packed
            if run:
                self._facts["run"][frame_index] = run
            self._write(frame_index, WHOLE, values)
            self._pack(frame_index)
            self._count_change(frame_index)
        return True

    def flush(self) -> None:
        """Bring everything to where it is kept; nothing to do in memory."""

    def close(self) -> None:
        """Let go of where it is kept; nothing to do in memory."""

    # ------------------------------------------------------------- array methods

    def max(self, axis: Any = None, out: Any = None, **options: Any) -> Any:
        """Greatest label; of the whole without unsqueezing it."""
        if axis is not None or out is not None or options:
            return self[:].max(axis=axis, out=out, **options)
        return self.dtype.type(max(greatest for _, greatest in self._extremes()))

    def min(self, axis: Any = None, out: Any = None, **options: Any) -> Any:
        """Least label; of the whole without unsqueezing it."""
        if axis is not None or out is not None or options:
            return self[:].min(axis=axis, out=out, **options)
        return self.dtype.type(min(least for least, _ in self._extremes()))

    def copy(self) -> LabelStack:
        """A copy of its own, as frugal."""
        other = LabelStack(self.shape, self.dtype, cache_bytes=self._cache_bytes)
        with self._lock:
            for frame_index in list(self._dirty):
                self._pack(frame_index)
            other._packed, other._notes = dict(self._packed), dict(self._notes)
            other._facts, other._locked_ids = self._facts.copy(), self._locked_ids
        return other

    def __deepcopy__(self, memo: dict[int, Any]) -> LabelStack:
        return self.copy()

    def astype(self, dtype: DTypeLike, copy: bool = True) -> LabelStack:
        """The same labels in another integer type, frame by frame.

        Raises
        ------
        ValueError
            If a label does not fit into `dtype`.
        """
        if not copy and np.dtype(dtype) == self.dtype:
            return self
        other = LabelStack(self.shape, dtype, cache_bytes=self._cache_bytes)
        for frame_index in self.processed_frames().tolist():
            other.draw(frame_index, self[frame_index])
        for name in ("is_processed", "is_locked", "run"):
            other._facts[name] = self._facts[name]
        other._notes, other._locked_ids = dict(self._notes), self._locked_ids
        return other

    def _extremes(self) -> list[tuple[int, int]]:
        """Least and greatest label of every frame that holds any, and of one that holds none."""
        with self._lock:
            for frame_index in list(self._dirty):
                self._pack(frame_index)
            processed = self._facts[self._facts["is_processed"]]
        found: list[tuple[int, int]] = processed[["least", "greatest"]].tolist()
        return found if len(found) == self.shape[0] else [*found, (0, 0)]

    # ------------------------------------------------------------------- frames

    def _number(self, frame_index: int) -> int:
        """The frame's index, counted from the start."""
        return range(self.shape[0])[operator.index(frame_index)]

    def _make_way(self) -> None:
        """Wait until a frame can be taken."""

    def _check_writable(self) -> None:
        """Raise where nothing can be changed."""

    def _touched(self, frame_index: int) -> None:
        """A frame was changed by hand, or what is known of it."""
        self._count_change(frame_index)

    def _count_change(self, frame_index: int) -> None:
        self._n_changes += 1
        self._changed_at[frame_index] = self._n_changes
        self._painted.pop(frame_index, None)

    def _holds_labels(self, frame_index: int) -> bool:
        """Whether there may be a label on the frame."""
        return frame_index in self._open or frame_index in self._packed

    def _look(self, frame_index: int) -> NDArray[Any]:
        """The frame, not to be changed or handed out."""
        if not self._holds_labels(frame_index):
            return self._background
        return self._unsqueezed(frame_index)

    def _paint(self, frame_index: int, rest: tuple[Any, ...], values: NDArray[Any]) -> None:
        """Change part of a frame by hand."""
        with self._lock:
            self._log(frame_index, is_by_hand=True)
            part = self._look(frame_index)[rest]
            if self._locked_ids:
                values = spare_pixels(part, values, self._locked_ids)
            changed = part != values
            if np.any(changed):
                self._remember(frame_index)
                touched = {*_labels_of(part[changed]), *_labels_of(values[changed])} - {0}
                notes = self.notes(frame_index)
                if any(notes.get(obj_id) != PAINTED for obj_id in touched):
                    self._notes[frame_index] = pack_notes(
                        {**notes, **dict.fromkeys(touched, PAINTED)}
                    )
            self._write(frame_index, rest, values)
            self._touched(frame_index)

    def _remember(self, frame_index: int) -> None:
        """Keep a frame that is about to be changed by hand; the first time counts."""
        if frame_index not in self._edits:
            self._pack(frame_index)
            packed = self._fetch(frame_index)
            self._edits[frame_index] = packed, self._notes.get(frame_index, b"")

    def _write(self, frame_index: int, rest: tuple[Any, ...], values: NDArray[Any]) -> None:
        with self._lock:
            if all(isinstance(axis, slice) and axis == slice(None) for axis in rest):
                self._keep(frame_index, values.copy())
            else:
                # changed in place: a stroke of the brush touches few pixels, many times
                self._unsqueezed(frame_index)[rest] = values
            self._dirty.add(frame_index)
            self._facts["is_processed"][frame_index] = True

    def _unsqueezed(self, frame_index: int) -> NDArray[Any]:
        frame = self._open.get(frame_index)
        if frame is not None:
            self._open.move_to_end(frame_index)
            return frame
        frame = self._load(frame_index)
        if frame is None:
            frame = np.zeros(self.shape[1:], self.dtype)
        self._keep(frame_index, frame)
        return frame

    def _keep(self, frame_index: int, frame: NDArray[Any]) -> None:
        self._open[frame_index] = frame
        self._open.move_to_end(frame_index)
        while len(self._open) > self._cache_frames:
            oldest = next(iter(self._open))
            self._pack(oldest)
            del self._open[oldest]

    def _pack(self, frame_index: int) -> None:
        if frame_index in self._dirty:
            frame, facts = self._open[frame_index], self._facts
            facts["least"][frame_index], facts["greatest"][frame_index] = frame.min(), frame.max()
            self._store(frame_index, self._codec.pack(frame))
            self._dirty.remove(frame_index)

    def _load(self, frame_index: int) -> NDArray[Any] | None:
        packed = self._fetch(frame_index)
        return None if packed is None else self._codec.unpack(packed)

    def _fetch(self, frame_index: int) -> bytes | None:
        """The frame as it was stored; None is background."""
        return self._packed.get(frame_index)

    def _store(self, frame_index: int, packed: bytes) -> None:
        """Keep a packed frame; its least and greatest label are known."""
        if self._facts["least"][frame_index] == self._facts["greatest"][frame_index] == 0:
            self._packed.pop(frame_index, None)
        else:
            self._packed[frame_index] = packed

    def _clear(self, frame_index: int) -> None:
        """Keep a frame as never processed; it was processed."""
        self._packed.pop(frame_index, None)


def _checksum(mask: NDArray[np.bool_]) -> int:
    """Of a mask; 0 of an empty one."""
    return zlib.crc32(np.packbits(mask).tobytes()) | 1 if mask.any() else 0


def _labels_of(values: NDArray[Any]) -> list[int]:
    """Which labels there are; a stroke of the brush mostly has one."""
    if values.size and (values == values[0]).all():
        return [int(values[0])]
    return cast(list[int], np.unique(values).tolist())
