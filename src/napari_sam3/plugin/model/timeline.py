"""Where each object is over all frames of a video: what the timeline shows, without a window."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from psygnal import Signal

from napari_sam3.labels.label_stack import LabelStack
from napari_sam3.labels.object_notes import SOURCES
from napari_sam3.plugin.model.freshness import Freshness, Prompts

# what may be said of an object on a frame, a bit each; together, of several frames
PRESENT, ABSENT, UNPROCESSED, PAINTED, STALE, LOCKED = (1 << n for n in range(6))

NO_SHADE = 255
"""In place of a score where the object is not."""

SURE = 100
"""Shade of a score of 1; that of a mask without a score as well, as a person's own."""

MOST_FRAMES = 256
"""Read in one go: some 5 ms with 200 objects on each."""

_BLOCK = 64  # frames that are summed up in one

_PAINTED = SOURCES.index("painted")
_PROMPT, _PROPAGATED = SOURCES.index("prompt"), SOURCES.index("propagated")


class Timeline:
    """State and score of every object on every frame, two bytes each; summed up at any scale.

    It is read from the notes on label frames, those that changed, not from pixels. Rows of objects
    stay where they are; `ids` gives those to be shown.

    Parameters
    ----------
    n_frames : int
        Of the video.

    Attributes
    ----------
    freshness : Freshness
        With which prompts the frames were followed.
    n_paintings : int
        Rises whenever other frames count as painted by hand.
    """

    changed = Signal()
    """Something is to be shown differently."""

    def __init__(self, n_frames: int) -> None:
        self.n_frames = n_frames
        self.freshness = Freshness(n_frames)
        self.n_paintings = 0
        self._planes: LabelStack | None = None
        self._moment = -1
        self._is_pending = np.zeros(n_frames, bool)
        self._rows: dict[int, int] = {}
        self._sorted_rows = np.zeros(0, np.int64), np.zeros(0, np.intp)  # ids, and their rows
        self._locked = np.zeros(n_frames, bool)
        self._processed = np.zeros(n_frames, bool)
        n_blocks = -(-n_frames // _BLOCK)
        self._flags, self._shades = _no_rows(n_frames)
        self._coarse_flags, self._coarse_shades = _no_rows(n_blocks)
        self._n_present = np.zeros(0, np.int64)
        self._is_followed = np.zeros(0, bool)
        self._painted: dict[int, dict[int, int]] = {}
        self._prompts: Prompts = {}

    # -------------------------------------------------------------- what there is

    @property
    def ids(self) -> tuple[int, ...]:
        """Objects that are somewhere, or prompted, rising."""
        there = (i for i, row in self._rows.items() if self._n_present[row])
        painted = (i for i, frames in self._painted.items() if frames)
        return tuple(sorted({*there, *painted, *self._prompts}))

    @property
    def is_up_to_date(self) -> bool:
        """Whether all changes were read that are known of."""
        return not self._is_pending.any()

    def n_present(self, obj_id: int) -> int:
        """On how many frames an object is."""
        row = self._rows.get(obj_id)
        return 0 if row is None else int(self._n_present[row])

    def painted_frames(self, obj_id: int) -> tuple[int, ...]:
        """Frames on which an object was changed by hand, rising."""
        return tuple(sorted(self._painted.get(obj_id, {})))

    def flags_at(self, obj_id: int, frame_index: int) -> int:
        """What is said of an object on a frame: `PRESENT`, `STALE` and so on, together."""
        row = self._rows.get(obj_id)
        if row is None:
            flags = ABSENT if self._processed[frame_index] else UNPROCESSED
        else:
            flags = int(self._flags[row, frame_index])
        return flags | (LOCKED if self._locked[frame_index] else 0)

    def stale_frames(self, obj_id: int) -> NDArray[np.intp]:
        """Frames on which an object is out of date, rising."""
        row = self._rows.get(obj_id)
        stale = np.zeros(0, bool) if row is None else (self._flags[row] & STALE) > 0
        return np.flatnonzero(stale)

    def columns(
        self, obj_ids: Sequence[int], frames: NDArray[np.intp], stop: int
    ) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """What a column of the screen has to show of some objects.

        Parameters
        ----------
        obj_ids : sequence of int, N
        frames : (W,) int
            First frame of each column, in the video, never falling. A column goes to the next one;
            one whose frame is that of the next one shows that frame.
        stop : int
            Where the last column ends.

        Returns
        -------
        (flags, shades), (N, W) uint8 each
            All that is said of the column's frames, together; the lowest score, 0 to `SURE`, or
            `NO_SHADE` where the object is on none of them.
        """
        if not len(frames):
            nothing = np.zeros((len(obj_ids), 0), np.uint8)
            return nothing, nothing
        rows = [self._rows.get(i, -1) for i in obj_ids]
        is_coarse = len(frames) > 1 and bool((np.diff(frames) >= 2 * _BLOCK).all())
        flags, shades = self._flags, self._shades
        locked = self._locked
        if is_coarse:
            flags, shades = self._coarse_flags, self._coarse_shades
            frames, stop = frames // _BLOCK, -(-stop // _BLOCK)
            locked = _by_block(locked)
        is_apart = bool((np.diff(frames) > 0).all())
        found_flags = np.empty((len(rows), len(frames)), np.uint8)
        found_shades = np.empty_like(found_flags)
        for place, row in enumerate(rows):
            if row < 0:
                there = np.where(self._processed, ABSENT, UNPROCESSED).astype(np.uint8)
                there = _by_block(there) if is_coarse else there
                shade = np.full(len(there), NO_SHADE, np.uint8)
            else:
                there, shade = flags[row], shades[row]
            if is_apart:
                found_flags[place] = np.bitwise_or.reduceat(there[:stop], frames)
                found_shades[place] = np.minimum.reduceat(shade[:stop], frames)
            else:
                found_flags[place], found_shades[place] = there[frames], shade[frames]
        is_locked = np.bitwise_or.reduceat(locked[:stop], frames) if is_apart else locked[frames]
        found_flags |= np.where(is_locked, LOCKED, 0).astype(np.uint8)
        return found_flags, found_shades

    # ------------------------------------------------------------------ changes

    def update(self, planes: LabelStack | None, most_frames: int = MOST_FRAMES) -> None:
        """Read what was changed in the labels since the last time, so many frames of it.

        Parameters
        ----------
        planes : LabelStack or None
            The results; others than the last time begin anew.
        most_frames : int
            The rest is left to the next call (`is_up_to_date`).
        """
        if planes is not self._planes:
            self._begin_anew(planes)
        if planes is None:
            return
        frames, self._moment = planes.changed_since(self._moment)
        self._is_pending[frames] = True
        frames = np.flatnonzero(self._is_pending)[:most_frames]
        if len(frames):
            self._is_pending[frames] = False
            self._read(planes, frames)
            self.changed.emit()

    def set_prompts(self, prompts: Mapping[int, Mapping[int, Hashable]]) -> None:
        """Take what is drawn in the prompt layers (see `freshness.Prompts`)."""
        if prompts != self._prompts:
            self._prompts = prompts
            self._say()
            self.changed.emit()

    def begin_job(self) -> None:
        """A segmentation or a propagation begins, with what is drawn and painted now."""
        self._say()
        self.freshness.begin()

    def follow(self, frame_index: int, only: Collection[int] | None = None) -> None:
        """The propagation under way has come to a frame; with some objects only, if named."""
        if self._planes is None or not self._planes.is_locked(frame_index):
            self.freshness.follow(frame_index, only)
            self._is_pending[frame_index] = True

    def end_job(self, is_answered: bool) -> None:
        """It has ended; all its prompts were answered, or it was stopped before, or failed."""
        if is_answered:
            self.freshness.answer()
        self.freshness.end()
        self.judge_again()

    def assume(self, told: Collection[tuple[int, int]] | None, stale: NDArray[np.intp]) -> None:
        """Take the results that are there for those of an earlier time.

        Parameters
        ----------
        told : collection of (frame index, object id), or None
            Where prompts had been told to the model; None: all that are there now had been.
        stale : (N,) int
            Frames that are known to be out of date.
        """
        then = {i: dict(frames) for i, frames in self.freshness.now.items()}
        if told is not None:
            then = {i: {f: s for f, s in on.items() if (f, i) in told} for i, on in then.items()}
            for frame_index, obj_id in told:
                then.setdefault(obj_id, {}).setdefault(frame_index, "taken back since")
        self.freshness.assume(then, np.flatnonzero(self._processed))
        if len(stale):
            self.freshness.doubt(stale)
        self.judge_again()

    def judge_again(self) -> None:
        """Find out anew what is stale."""
        self._judge(self.freshness.objects & self._rows.keys())
        self.changed.emit()

    def _begin_anew(self, planes: LabelStack | None) -> None:
        is_wider = planes is not None and self._planes is not None
        is_wider = is_wider and bool(self._processed.any())
        if self._planes is not None:
            self._planes.restored.disconnect(self._on_restored)
        if planes is not None:
            planes.restored.connect(self._on_restored)
        self._planes, self._moment = planes, -1
        # of what was there and is no more, too
        self._is_pending[:] = self._processed if is_wider else False
        if not is_wider:
            self._flags[:], self._shades[:] = UNPROCESSED, NO_SHADE
            self._coarse_flags[:], self._coarse_shades[:] = UNPROCESSED, NO_SHADE
            self._n_present[:], self._is_followed[:] = 0, False
            self._locked[:] = self._processed[:] = False
            self._painted.clear()
            self.n_paintings += 1
            self._say()
        self.changed.emit()

    def _on_restored(self, frames: tuple[int, ...]) -> None:
        self.freshness.restore(frames)
        self._judge(self.freshness.objects & self._rows.keys())

    def _read(self, planes: LabelStack, frames: NDArray[np.intp]) -> None:
        for known, now in (
            (self._processed, planes.processed_frames()),
            (self._locked, planes.locked_frames()),
        ):
            is_now = np.zeros(self.n_frames, bool)
            is_now[now] = True
            known[frames] = is_now[frames]
        notes = planes.noted(frames)
        notes = notes[self._processed[frames][notes["place"]] & (notes["id"] > 0)]
        rows = self._rows_of(notes["id"])
        flags = np.empty((len(self._rows), len(frames)), np.uint8)
        flags[:] = np.where(self._processed[frames], ABSENT, UNPROCESSED)
        shades = np.full_like(flags, NO_SHADE)
        scores = np.where(np.isnan(notes["score"]), 1.0, notes["score"])
        flags[rows, notes["place"]] = PRESENT
        shades[rows, notes["place"]] = np.rint(scores * SURE)
        is_followed = (notes["source"] == _PROMPT) | (notes["source"] == _PROPAGATED)
        self._is_followed[rows[is_followed]] = True
        is_painted = notes["source"] == _PAINTED
        is_other = self._take_painted(planes, frames, flags, shades, notes[is_painted])
        n_rows = len(self._rows)
        before = self._flags[:n_rows, frames]
        self._n_present[:n_rows] += ((flags & PRESENT) > 0).sum(1) - ((before & PRESENT) > 0).sum(1)
        self._flags[:n_rows, frames] = flags
        self._shades[:n_rows, frames] = shades
        if is_other:
            self.n_paintings += 1
            self._say()
        self._judge(self.freshness.objects & self._rows.keys(), frames)
        self._sum_up(np.unique(frames // _BLOCK))

    def _take_painted(
        self,
        planes: LabelStack,
        frames: NDArray[np.intp],
        flags: NDArray[np.uint8],
        shades: NDArray[np.uint8],
        notes: NDArray[np.void],
    ) -> bool:
        """Take what is noted as painted on frames; whether it is other than it was."""
        is_other = False
        ids = {row: obj_id for obj_id, row in self._rows.items()}
        were = np.argwhere(self._flags[: len(self._rows), frames] & PAINTED)
        before = {(ids[row], int(frames[place])) for row, place in were.tolist()}
        for obj_id, place in zip(notes["id"].tolist(), notes["place"].tolist(), strict=True):
            frame_index = int(frames[place])
            mask = planes.painted_masks(frame_index).get(obj_id, 0)
            known = self._painted.setdefault(obj_id, {})
            is_other |= known.get(frame_index) != mask
            known[frame_index] = mask
            before.discard((obj_id, frame_index))
            row = self._rows[obj_id]
            flags[row, place] = PAINTED | (PRESENT if mask else ABSENT)
            if not mask:
                shades[row, place] = NO_SHADE
        for obj_id, frame_index in before:
            del self._painted[obj_id][frame_index]
        return is_other or bool(before)

    def _say(self) -> None:
        """Tell what is said of the objects now, by prompts and by painting in the results."""
        said = {i: dict(frames) for i, frames in self._prompts.items()}
        for obj_id, masks in self._painted.items():
            # labels of a person's own that nobody follows say nothing
            if masks and (obj_id in said or self._is_followed[self._rows[obj_id]]):
                frames = said.setdefault(obj_id, {})
                frames.update({f: (frames.get(f), mask) for f, mask in masks.items()})
        self._judge(self.freshness.say(said) & self._rows.keys())

    def _judge(self, obj_ids: set[int], frames: NDArray[np.intp] | None = None) -> None:
        """Find out which of some frames, or of all, are stale of some objects."""
        where: Any = slice(None) if frames is None else frames
        all_frames = np.arange(self.n_frames) if frames is None else frames
        for obj_id in obj_ids:
            row = self._rows[obj_id]
            flags = self._flags[row, where] & ~np.uint8(STALE)
            stale = self.freshness.stale(obj_id, all_frames) & ~self._locked[where]
            stale &= (flags & (PAINTED | UNPROCESSED)) == 0
            self._flags[row, where] = flags | np.where(stale, STALE, 0).astype(np.uint8)
            if frames is None:
                self._coarse_flags[row] = _by_block(self._flags[row])

    # -------------------------------------------------------------------- rows

    def _rows_of(self, obj_ids: NDArray[Any]) -> NDArray[np.intp]:
        """The row of each of many objects; new ones get one."""
        known, rows = self._sorted_rows
        places = np.searchsorted(known, obj_ids)
        is_known = places < len(known)
        is_known[is_known] = known[places[is_known]] == obj_ids[is_known]
        if is_known.all():
            return rows[places]
        new = np.unique(obj_ids[~is_known]).tolist()
        self._make_rows(len(new))
        for obj_id in new:
            row = self._rows[obj_id] = len(self._rows)
            self._flags[row] = np.where(self._processed, ABSENT, UNPROCESSED)
            self._coarse_flags[row] = _by_block(self._flags[row])
        known = np.array(sorted(self._rows), np.int64)
        self._sorted_rows = known, np.array([self._rows[i] for i in known.tolist()], np.intp)
        return self._rows_of(obj_ids)

    def _make_rows(self, number: int) -> None:
        n_rows = len(self._rows) + number
        if n_rows <= len(self._flags):
            return
        room = max(8, 2 * len(self._flags), n_rows)
        for name in ("_flags", "_shades", "_coarse_flags", "_coarse_shades"):
            old = getattr(self, name)
            new = np.full((room, old.shape[1]), NO_SHADE, np.uint8)
            new[: len(old)] = old
            setattr(self, name, new)
        self._n_present = np.pad(self._n_present, (0, room - len(self._n_present)))
        self._is_followed = np.pad(self._is_followed, (0, room - len(self._is_followed)))

    def _sum_up(self, blocks: NDArray[np.intp]) -> None:
        """Bring the sums of some blocks in line."""
        n_rows = len(self._rows)
        starts = blocks * _BLOCK
        for start, block in zip(starts.tolist(), blocks.tolist(), strict=True):
            part = slice(start, start + _BLOCK)
            self._coarse_flags[:n_rows, block] = np.bitwise_or.reduce(
                self._flags[:n_rows, part], axis=1
            )
            self._coarse_shades[:n_rows, block] = self._shades[:n_rows, part].min(axis=1)


def _no_rows(n_frames: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    return np.zeros((0, n_frames), np.uint8), np.zeros((0, n_frames), np.uint8)


def _by_block(row: NDArray[Any]) -> NDArray[Any]:
    """Sum up a row of flags, or of truth values."""
    return np.bitwise_or.reduceat(row, np.arange(0, len(row), _BLOCK))
