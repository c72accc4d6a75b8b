"""Frames computed one from the other, in one direction, and kept: the rows of a sequential tracker.

A chain holds each object over spans that begin at a keyframe. What it computed stays as long as
the spans on the way to it are the same.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from napari_sam3.models.base import TrackedFrame
from napari_sam3.values import Journal, Keyframe, ObjectMask, PackedMask


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


Pieces = Generator[TrackedFrame, None, Mapping[int, TrackState]]
"""Work on a frame: pauses, in which it may be given up, then the objects."""


_PackedStates = dict[int, tuple[PackedMask | None, TrackState]]
"""States by object id, their masks beside them, squeezed."""


def _pack(states: Mapping[int, TrackState]) -> _PackedStates:
    return {
        i: (None if s.mask is None else PackedMask.pack(s.mask), replace(s, mask=None))
        for i, s in states.items()
    }


def _unpack(packed: _PackedStates) -> dict[int, TrackState]:
    return {
        i: replace(s, mask=None if mask is None else mask.unpack())
        for i, (mask, s) in packed.items()
    }


@dataclass(frozen=True, eq=False)
class Span:
    """Where a chain holds an object that was set on a keyframe.

    Attributes
    ----------
    begin : int
        The keyframe's index.
    obj_id : int
    keyframe : Keyframe
    end : int or None
        First frame, in the chain's direction, on which the object is not held any more for this
        keyframe; None: held for ever, or until the next one.
    """

    begin: int
    obj_id: int
    keyframe: Keyframe
    end: int | None = None


class ResumedObject(NamedTuple):
    """An object that an earlier process followed, to go on with.

    Attributes
    ----------
    obj_id : int
    begin : int
        Frame of `keyframe`, the last one met on the way.
    keyframe : Keyframe
    shown : mapping of frame index to ObjectMask or None
        Neighbouring frames between that one and where to go on, in the order of the chain; None
        where the object was not there. Empty: it goes on from the keyframe.
    """

    obj_id: int
    begin: int
    keyframe: Keyframe
    shown: Mapping[int, ObjectMask | None]


class FrameStepper(ABC):
    """What chains ask of a tracker: where objects begin, and how they get one frame further."""

    @abstractmethod
    def begin(self, frame_index: int, keyframe: Keyframe) -> TrackState:
        """State of an object on one of its keyframes; its mask is the keyframe's."""

    def resume(
        self, resumed: Sequence[ResumedObject], known: Mapping[int, Mapping[int, ObjectMask]]
    ) -> dict[int, TrackState]:
        """States of objects on a frame that an earlier process computed.

        Parameters
        ----------
        resumed : sequence of ResumedObject
            The objects; the states are those of the last frame of `known`.
        known : mapping of frame index to mapping of object id to ObjectMask
            All that was shown on neighbouring frames, in the order of the chain.
        """
        states = {}
        for obj_id, begin, keyframe, shown in resumed:
            state = self.begin(begin, keyframe)
            states[obj_id] = replace(state, mask=[*shown.values()][-1]) if shown else state
        return states

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
        raise NotImplementedError("a stepper has its own `step`, or `step_in_pieces`")

    def step_in_pieces(
        self,
        source: int,
        target: int,
        states: Mapping[int, TrackState],
        fixed: Mapping[int, TrackState],
    ) -> Pieces:
        """As `step`, for one that takes long: it may be given up between its pieces.

        Until it has come to its end, nothing has changed that can be told from outside.

        Yields
        ------
        TrackedFrame
            `target`, without objects, after each piece.
        """
        yield from ()
        return self.step(source, target, states, fixed)


def spans_from_keyframes(journal: Journal) -> list[Span]:
    """Objects from each of their keyframes on, for ever."""
    return [
        Span(frame_index, obj_id, keyframe)
        for obj_id, keyframes in journal.objects.items()
        for frame_index, keyframe in keyframes.items()
    ]


def spans_between_keyframes(journal: Journal, step: int, reach: int) -> list[Span]:
    """Objects from each keyframe until their next one, but for at most `reach` frames.

    Only where the object is there on both, and a person said so: what a concept found is followed
    as it was, whatever is corrected ahead. Other keyframes hold for their own frame.
    """
    spans = []
    for obj_id, keyframes in journal.objects.items():
        indices = sorted(keyframes, key=lambda f: f * step)
        for begin, following in zip(indices, [*indices[1:], None], strict=True):
            end = begin + step
            if following is not None and all(
                keyframes[f].prompt.is_manual and keyframes[f].mask is not None
                for f in (begin, following)
            ):
                end = min(following, begin + (reach + 1) * step, key=lambda f: f * step)
            spans.append(Span(begin, obj_id, keyframes[begin], end))
    return spans


_Event = tuple[int, int, Keyframe | None]  # frame, object, and what it is set to; None: let go


def _count_same(some: Sequence[_Event], others: Sequence[_Event]) -> int:
    """How many events agree, from the first on."""
    for count, (a, b) in enumerate(zip(some, others, strict=False)):
        if a[:2] != b[:2] or a[2] is not b[2]:
            return count
    return min(len(some), len(others))


@dataclass(eq=False)
class Chain:
    """Frames in one direction; `step` is 1 or -1.

    `twin` is another chain in the same direction: what it has computed is taken over where both
    hold the same objects all the way.
    """

    stepper: FrameStepper
    step: int
    spans: tuple[Span, ...] = ()
    computed: dict[int, _PackedStates] = field(default_factory=dict)
    newest: tuple[int, dict[int, TrackState]] | None = None
    twin: Chain | None = None
    _events: tuple[_Event, ...] = ()

    def set_spans(self, spans: Iterable[Span]) -> None:
        """Take new spans; forget the frames that their changes reach."""
        self.spans = tuple(sorted(spans, key=lambda s: (s.begin * self.step, s.obj_id)))
        events: list[_Event] = [(s.begin, s.obj_id, s.keyframe) for s in self.spans]
        events += [(s.end, s.obj_id, None) for s in self.spans if s.end is not None]
        events.sort(key=lambda e: (e[0] * self.step, e[2] is not None, e[1]))
        old, self._events = self._events, tuple(events)
        same = _count_same(old, self._events)
        rest, new_rest = old[same:], self._events[same:]
        tail = _count_same(rest[::-1], new_rest[::-1])
        changes = (*rest[: len(rest) - tail], *new_rest[: len(new_rest) - tail])
        if not changes:
            return
        first = min((e[0] for e in changes), key=lambda f: f * self.step)
        anew = self._begins_anew(changes)
        self.computed = {
            f: s
            for f, s in self.computed.items()
            if self._is_ahead(first, f) or (anew is not None and not self._is_ahead(anew, f))
        }
        if self.newest is not None and self.newest[0] not in self.computed:
            self.newest = None

    def _begins_anew(self, changes: Sequence[_Event]) -> int | None:
        """First frame behind all changes to which nothing comes from the one before it."""
        # what was held for ever, and is not any more, may have come there
        changed = {e[1] for e in changes} if any(s.end is None for s in self.spans) else set()
        last = max((e[0] for e in changes), key=lambda f: f * self.step)
        set_there = any(e[0] == last and e[2] is not None for e in changes)
        for span in self.spans:
            behind = self._is_ahead(span.begin, last) or (span.begin == last and not set_there)
            if not behind or self.carried(span.begin):
                continue
            if changed <= {s.obj_id for s in self.spans if s.begin == span.begin}:
                return span.begin
        return None

    def resume(self, known: Mapping[int, Mapping[int, ObjectMask]], last: int) -> None:
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
        resumed = [
            ResumedObject(
                obj_id,
                span.begin,
                span.keyframe,
                {f: known[f].get(obj_id) for f in shown if self._is_ahead(f, span.begin)},
            )
            for obj_id, span in self.newest_spans(newest).items()
        ]
        states = self.stepper.resume(resumed, {f: known[f] for f in shown})
        self.take_up(newest, states)

    def take_up(self, frame_index: int, states: Mapping[int, TrackState]) -> None:
        """Take the objects of a frame for those that it would compute there."""
        self.computed[frame_index] = _pack(states)

    def newest_spans(self, frame_index: int) -> dict[int, Span]:
        """Where each object that has begun by a frame was set last, by id."""
        return {s.obj_id: s for s in self.spans if not self._is_ahead(s.begin, frame_index)}

    def _is_ahead(self, frame_index: int, other: int) -> bool:
        return (frame_index - other) * self.step > 0

    def carried(self, frame_index: int) -> set[int]:
        """Objects that come to a frame from the one before it, and are not set anew there."""
        carried = {
            s.obj_id
            for s in self.spans
            if self._is_ahead(frame_index, s.begin)
            and (s.end is None or self._is_ahead(s.end, frame_index))
        }
        return carried - {s.obj_id for s in self.spans if s.begin == frame_index}

    def reaches(self, frame_index: int) -> bool:
        """Whether the chain has begun by that frame."""
        return bool(self.spans) and not self._is_ahead(self.spans[0].begin, frame_index)

    def has_own_objects(self, frame_index: int, other: Chain) -> bool:
        """Whether an object has begun by that frame here, but not on the other chain."""
        return bool(self._begun(frame_index) - other._begun(frame_index))

    def _begun(self, frame_index: int) -> set[int]:
        return {s.obj_id for s in self.spans if not self._is_ahead(s.begin, frame_index)}

    def missing_until(self, last: int) -> range:
        """Frames up to and with `last` that are yet to be computed; none if nothing gets there."""
        frame = last
        if any(s.end is not None for s in self.spans):
            while frame not in self.computed and self.carried(frame):
                frame -= self.step
            if frame not in self.computed and frame != last:
                frame -= self.step  # where the first of them is set
        elif self.spans:
            while frame not in self.computed and self.reaches(frame):
                frame -= self.step
        return range(frame + self.step, last + self.step, self.step)

    def states_at(self, frame_index: int) -> dict[int, TrackState]:
        """The objects of a frame, if it has been computed."""
        return _unpack(self.computed.get(frame_index, {}))

    def advance_to(self, frame_index: int) -> Pieces:
        """The objects of a frame, computed if need be, in pieces; the frame before it is known."""
        if not self.reaches(frame_index):
            return {}
        if (
            frame_index not in self.computed
            and self.twin is not None
            and self._twin_agrees(frame_index)
        ):
            self.computed[frame_index] = self.twin.computed[frame_index]
        if frame_index in self.computed:
            states = self.states_at(frame_index)
        else:
            states = yield from self._compute(frame_index)
            self.computed[frame_index] = _pack(states)
        self.newest = (frame_index, states)
        return states

    def _twin_agrees(self, frame_index: int) -> bool:
        """Whether the twin's frame is the same as the one here would be."""
        twin, source = self.twin, frame_index - self.step
        if twin is None or frame_index not in twin.computed:
            return False
        carried = self.carried(frame_index)
        if carried != twin.carried(frame_index):
            return False
        return not carried or self.computed[source] is twin.computed.get(source)

    def _compute(self, frame_index: int) -> Generator[TrackedFrame, None, dict[int, TrackState]]:
        source = frame_index - self.step
        fixed = {
            s.obj_id: self.stepper.begin(frame_index, s.keyframe)
            for s in self.spans
            if s.begin == frame_index
        }
        carried = self.carried(frame_index)
        if self.newest is not None and self.newest[0] == source:
            before = self.newest[1]
        else:
            before = self.states_at(source) if carried else {}
        before = {i: s for i, s in before.items() if i in carried}
        if not before:
            return fixed
        moved = yield from self.stepper.step_in_pieces(source, frame_index, before, fixed)
        return {**moved, **fixed}
