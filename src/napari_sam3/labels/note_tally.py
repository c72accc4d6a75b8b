"""On which frames each object is, how sure and by whom: counted as labels change, never anew."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from napari_sam3.labels.label_stack import LabelStack
from napari_sam3.labels.object_notes import SOURCES

NOTES_AT_ONCE = 20_000
"""About so many are counted in one update."""
_PAINTED, _PROPAGATED = SOURCES.index("painted"), SOURCES.index("propagated")
_FEW = 4  # frames whose bits are set one by one


@dataclass
class ObjectTally:
    """What the notes of all frames say of an object.

    Attributes
    ----------
    frames : int
        A bit a frame, from the lowest: set where it is.
    n_followed, n_painted : int
        Frames on which a propagation found it, and on which a person painted it.
    n_scored : int
        Frames that it has a score on.
    total_score : float
        Of these.
    """

    frames: int = 0
    n_followed: int = 0
    n_painted: int = 0
    n_scored: int = 0
    total_score: float = 0.0

    @property
    def n_frames(self) -> int:
        """On how many frames it is."""
        return self.frames.bit_count()

    @property
    def first_frame(self) -> int | None:
        """The first frame that it is on."""
        return (self.frames & -self.frames).bit_length() - 1 if self.frames else None

    @property
    def last_frame(self) -> int | None:
        """The last frame that it is on."""
        return self.frames.bit_length() - 1 if self.frames else None

    @property
    def mean_score(self) -> float | None:
        """Mean of its scores; None where it never has one."""
        return self.total_score / self.n_scored if self.n_scored else None


class NoteTally:
    """What labels hold, object by object.

    `update` brings it in line; it looks only at frames that were changed since, and at so many at
    once that a window does not wait.

    Parameters
    ----------
    labels : LabelStack
        Whose notes are counted.
    """

    def __init__(self, labels: LabelStack) -> None:
        self.labels = labels
        self._objects: dict[int, ObjectTally] = {}
        self._rows: dict[int, NDArray[np.void]] = {}  # of each frame as they were counted
        self._moment = -1
        self._due: set[int] = set()

    def __getitem__(self, obj_id: int) -> ObjectTally:
        return self._objects.get(obj_id) or ObjectTally()

    @property
    def ids(self) -> tuple[int, ...]:
        """Objects that are on a frame."""
        return tuple(self._objects)

    @property
    def is_up_to_date(self) -> bool:
        """Whether all frames that were changed before the last update are counted."""
        return not self._due

    def update(self, most_notes: int = NOTES_AT_ONCE) -> set[int]:
        """Count what has changed, or a part of it; gives the objects whose tally is another."""
        changed, self._moment = self.labels.changed_since(self._moment)
        self._due.update(changed.tolist())
        n_frames = max(1, most_notes // (len(self._objects) or most_notes))
        frames = [self._due.pop() for _ in range(min(n_frames, len(self._due)))]
        gone, come = list[NDArray[np.void]](), list[NDArray[np.void]]()
        gone_from, come_to = list[int](), list[int]()
        for frame_index, now in zip(frames, self._read(frames), strict=True):
            before = self._rows.get(frame_index)
            if before is not None and before.tobytes() == now.tobytes():
                continue
            if before is not None:
                gone.append(before)
                gone_from += [frame_index] * len(before)
            if len(now):
                self._rows[frame_index] = now
                come.append(now)
                come_to += [frame_index] * len(now)
            else:
                self._rows.pop(frame_index, None)
        return self._count(gone, gone_from, -1) | self._count(come, come_to, 1)

    def frames_processed(self) -> int:
        """A bit a frame: set where one was ever written."""
        return _bits(self.labels.processed_frames())

    def _read(self, frames: list[int]) -> Iterator[NDArray[np.void]]:
        """The notes on each frame of objects that are there."""
        table = self.labels.noted(frames)
        bounds = np.searchsorted(table["place"], np.arange(len(frames) + 1))
        for frame_index, (begin, end) in zip(frames, pairwise(bounds), strict=True):
            rows = table[begin:end].copy()
            rows["place"] = 0  # two of one frame are compared
            is_painted = rows["source"] == _PAINTED
            if is_painted.any():  # one that was wiped off by hand is noted, too
                masks = self.labels.painted_masks(frame_index)
                rows = rows[[bool(masks.get(i, 1)) for i in rows["id"].tolist()]]
            yield rows

    def _count(self, parts: list[NDArray[np.void]], frames: list[int], sign: int) -> set[int]:
        if not parts:
            return set()
        rows, places = np.concatenate(parts), np.array(frames)
        order = np.argsort(rows["id"], kind="stable")
        rows, places = rows[order], places[order]
        ids, begins = np.unique(rows["id"], return_index=True)
        is_scored = ~np.isnan(rows["score"])
        sums = (
            np.add.reduceat(values, begins).tolist()
            for values in (
                is_scored.astype(int),
                np.where(is_scored, rows["score"], 0.0),
                (rows["source"] == _PROPAGATED).astype(int),
                (rows["source"] == _PAINTED).astype(int),
            )
        )
        ends = [*begins[1:].tolist(), len(rows)]
        for obj_id, begin, end, n_scored, score, n_followed, n_painted in zip(
            ids.tolist(), begins.tolist(), ends, *sums, strict=True
        ):
            tally = self._objects.setdefault(obj_id, ObjectTally())
            bits = _bits(places[begin:end])
            tally.frames = tally.frames | bits if sign > 0 else tally.frames & ~bits
            tally.n_scored += sign * n_scored
            tally.total_score += sign * score
            tally.n_followed += sign * n_followed
            tally.n_painted += sign * n_painted
            if not tally.frames:
                del self._objects[obj_id]
        return set(ids.tolist())


def _bits(frames: NDArray[np.intp]) -> int:
    """Frame numbers as the bits of a number."""
    if len(frames) <= _FEW:
        return sum(1 << n for n in frames.tolist())
    flags = np.zeros(int(frames.max()) + 1, bool)
    flags[frames] = True
    return int.from_bytes(np.packbits(flags, bitorder="little").tobytes(), "little")
