"""Trackers that go from frame to frame: each frame is made from the one next to it.

A subclass says what a prompt means on a frame and how objects get from one frame to the next.
This base decides which frames must be computed, in which order, and keeps what was computed.

There are two chains of frames. The forward chain begins at the lowest keyframe and goes up; the
backward chain begins at the highest and goes down. On a chain, an object enters at its first
keyframe and is set anew at each further one. An object on a frame is taken from the chain of the
direction asked for; where that chain has not met the object yet, from the other one:

- going backward, always (the forward chain is computed up to there first, where it is not known);
- going forward, only if the backward chain has been computed already, or if no object at all
  would be known on the first frame: an object named late shall not hold up the live display.

A frame of a chain stays valid as long as the keyframes that lie before it on the chain are the
same, so that a second propagation computes only what a new prompt has changed.

Where the journal knows what an earlier process showed on the way to the frames asked for, the chain
goes on from there (`SequentialTracker.resume`) in place of its keyframes.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from napari_sam3.models.base import TrackedFrame
from napari_sam3.values import (
    Concept,
    Frames,
    Journal,
    Keyframe,
    ObjectMask,
    ObjectPrompt,
    PackedMask,
)


@dataclass(frozen=True, eq=False)
class TrackState:
    """One object on one frame of a chain.

    Attributes
    ----------
    mask : ObjectMask or None
        None where the object is hidden or has left.
    keyframe : Keyframe
        The last one met on the chain.
    memory : object
        Whatever else the next step needs; small (it is kept for every frame), never changed.
    """

    mask: ObjectMask | None
    keyframe: Keyframe
    memory: Any = None


class SequentialTracker(ABC):
    """Base of trackers that go from frame to frame; see the module's text."""

    def __init__(self, frames: Frames) -> None:
        self.frames = frames
        self._chains = {1: _Chain(self, 1), -1: _Chain(self, -1)}

    @abstractmethod
    def segment(self, frame_index: int, prompt: ObjectPrompt) -> ObjectMask | None:
        """Find the one object that a prompt means (see `VideoTracker.segment`)."""

    @abstractmethod
    def begin(self, frame_index: int, keyframe: Keyframe) -> TrackState:
        """State of an object on one of its keyframes; its mask is the keyframe's."""

    def resume(
        self, met_on: int, keyframe: Keyframe, shown: Mapping[int, ObjectMask | None]
    ) -> TrackState:
        """State of an object on a frame whose mask an earlier process computed.

        Parameters
        ----------
        met_on : int
            Frame of `keyframe`, the last one met on the way.
        keyframe : Keyframe
        shown : mapping of frame index to ObjectMask or None
            Neighbouring frames between that one and where to go on, in the order of the chain;
            None where the object was not there. The state is that of the last of them.
        """
        *_, mask = shown.values()
        return replace(self.begin(met_on, keyframe), mask=mask)

    @abstractmethod
    def step(
        self,
        source: int,
        target: int,
        states: Mapping[int, TrackState],
        fixed: Mapping[int, TrackState],
    ) -> Mapping[int, TrackState]:
        """Take objects from one frame to the next.

        Parameters
        ----------
        source, target : int
            Neighbouring frames; target may be the lower one.
        states : mapping of object id to TrackState
            Objects on `source`.
        fixed : mapping of object id to TrackState
            Objects that a keyframe sets on `target`: known there, in nobody else's place.

        Returns
        -------
        mapping of object id to TrackState
            The objects of `states` that are not in `fixed`, on `target`.
        """

    def detect(self, frame_index: int, concept: Concept) -> Sequence[ObjectMask]:
        """None, unless a subclass knows concepts."""
        return ()

    def propagate(
        self, journal: Journal, frames: range, new_id: Callable[[], int]
    ) -> Iterator[TrackedFrame]:
        """Follow the journal's objects over `frames` (see `VideoTracker.propagate`)."""
        if not frames or not journal.objects:
            for frame_index in frames:
                yield TrackedFrame(frame_index, {})
            return
        ahead, behind = self._chains[frames.step], self._chains[-frames.step]
        ahead.follow(journal)
        behind.follow(journal)
        ahead.take_up(journal.known, frames[0] - ahead.step)
        against = frames.step < 0 or not ahead.reaches(frames[0])
        if against and behind.has_own_objects(frames[0], ahead):
            yield from self._lead_in(behind, frames[0])
        if ahead.reaches(frames[0]):
            yield from self._lead_in(ahead, frames[0] - ahead.step)
        for frame_index in frames:
            states = dict(behind.known(frame_index))
            states.update(ahead.advance_to(frame_index))
            yield TrackedFrame(
                frame_index, {i: s.mask for i, s in states.items() if s.mask is not None}
            )

    def _lead_in(self, chain: _Chain, last: int) -> Iterator[TrackedFrame]:
        for frame_index in chain.missing_until(last):
            chain.advance_to(frame_index)
            yield TrackedFrame(frame_index, None)

    def look_at(self, frame_index: int) -> None:  # noqa: B027  (most have nothing to prepare)
        """Nothing, unless a subclass can prepare for prompts."""

    @property
    def preparing(self) -> int | None:
        """Nothing is prepared, unless a subclass does."""
        return None

    def close(self) -> None:
        """Forget every frame."""
        self._chains = {1: _Chain(self, 1), -1: _Chain(self, -1)}


@dataclass(frozen=True, eq=False)
class _PackedState:
    mask: PackedMask | None
    keyframe: Keyframe
    memory: Any

    @classmethod
    def pack(cls, state: TrackState) -> _PackedState:
        mask = None if state.mask is None else PackedMask.pack(state.mask)
        return cls(mask, state.keyframe, state.memory)

    def unpack(self) -> TrackState:
        mask = None if self.mask is None else self.mask.unpack()
        return TrackState(mask, self.keyframe, self.memory)


_Entries = tuple[tuple[int, int, Keyframe], ...]  # (frame, object, keyframe) in chain order


@dataclass(eq=False)
class _Chain:
    """The frames computed in one direction. `step` is 1 or -1."""

    tracker: SequentialTracker
    step: int
    entries: _Entries = ()
    scenes: dict[int, dict[int, _PackedState]] = field(default_factory=dict)
    cursor: tuple[int, dict[int, TrackState]] | None = None

    def follow(self, journal: Journal) -> None:
        """Take over a journal; forget the frames that its changes reach."""
        entries = tuple(
            sorted(
                (
                    (frame_index, obj_id, keyframe)
                    for obj_id, keyframes in journal.objects.items()
                    for frame_index, keyframe in keyframes.items()
                ),
                key=lambda entry: (entry[0] * self.step, entry[1]),
            )
        )
        same = 0
        for old, new in zip(self.entries, entries, strict=False):
            if old[:2] != new[:2] or old[2] is not new[2]:
                break
            same += 1
        changed = [e[0] for e in (*self.entries[same : same + 1], *entries[same : same + 1])]
        if changed:
            first = min(changed, key=lambda f: f * self.step)
            self.scenes = {f: s for f, s in self.scenes.items() if (f - first) * self.step < 0}
            if self.cursor is not None and self.cursor[0] not in self.scenes:
                self.cursor = None
        self.entries = entries

    def take_up(self, known: Mapping[int, Mapping[int, ObjectMask]], last: int) -> None:
        """Go on from frames that an earlier process computed, where that saves some up to `last`.

        Of known frames in a row the newest is taken over; the others tell where it comes from.
        """
        missing = self.missing_until(last)
        newest = max((f for f in known if f in missing), key=lambda f: f * self.step, default=None)
        if newest is None:
            return
        oldest = newest
        while oldest - self.step in known:
            oldest -= self.step
        shown = range(oldest, newest + self.step, self.step)
        met = {
            obj: (f, keyframe) for f, obj, keyframe in self.entries if not self._is_ahead(f, newest)
        }
        states = {}
        for obj_id, (met_on, keyframe) in met.items():
            since = {f: known[f].get(obj_id) for f in shown if self._is_ahead(f, met_on)}
            if since:
                states[obj_id] = self.tracker.resume(met_on, keyframe, since)
            else:
                states[obj_id] = self.tracker.begin(met_on, keyframe)
        self.scenes[newest] = {i: _PackedState.pack(s) for i, s in states.items()}

    def _is_ahead(self, frame_index: int, other: int) -> bool:
        return (frame_index - other) * self.step > 0

    def reaches(self, frame_index: int) -> bool:
        """Whether the chain has begun by that frame."""
        return (frame_index - self.entries[0][0]) * self.step >= 0

    def has_own_objects(self, frame_index: int, other: _Chain) -> bool:
        """Whether an object is met by that frame here, but not on the other chain."""
        return bool(self._met(frame_index) - other._met(frame_index))

    def _met(self, frame_index: int) -> set[int]:
        return {obj for f, obj, _ in self.entries if (frame_index - f) * self.step >= 0}

    def missing_until(self, last: int) -> range:
        """Frames up to and with `last` that are yet to be computed."""
        frame = last
        first = self.entries[0][0]
        while frame not in self.scenes and (frame - first) * self.step >= 0:
            frame -= self.step
        return range(frame + self.step, last + self.step, self.step)

    def known(self, frame_index: int) -> Mapping[int, TrackState]:
        """The objects of a frame, if it has been computed."""
        return {i: s.unpack() for i, s in self.scenes.get(frame_index, {}).items()}

    def advance_to(self, frame_index: int) -> Mapping[int, TrackState]:
        """The objects of a frame, computed if need be; the frame before it is known."""
        if not self.reaches(frame_index):
            return {}
        if frame_index in self.scenes:
            states = dict(self.known(frame_index))
        else:
            states = self._compute(frame_index)
            self.scenes[frame_index] = {i: _PackedState.pack(s) for i, s in states.items()}
        self.cursor = (frame_index, states)
        return states

    def _compute(self, frame_index: int) -> dict[int, TrackState]:
        source = frame_index - self.step
        fixed = {
            obj_id: self.tracker.begin(frame_index, keyframe)
            for f, obj_id, keyframe in self.entries
            if f == frame_index
        }
        if self.cursor is not None and self.cursor[0] == source:
            before = self.cursor[1]
        else:
            before = dict(self.known(source))
        moved: Mapping[int, TrackState] = {}
        if any(obj_id not in fixed for obj_id in before):
            moved = self.tracker.step(source, frame_index, before, fixed)
        return {**moved, **fixed}
