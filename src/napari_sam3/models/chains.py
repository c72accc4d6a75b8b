"""Frames computed one from the other, in one direction, and kept: the rows of a sequential tracker.

A chain holds each object over spans that begin at a keyframe. What it computed stays as long as
the spans on the way to it are the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from napari_sam3.values import Journal, Keyframe, ObjectMask, PackedMask

if TYPE_CHECKING:
    from napari_sam3.models.sequential import SequentialTracker


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


class Met(NamedTuple):
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


def open_spans(journal: Journal) -> list[Span]:
    """Objects from each of their keyframes on, for ever."""
    return [
        Span(frame_index, obj_id, keyframe)
        for obj_id, keyframes in journal.objects.items()
        for frame_index, keyframe in keyframes.items()
    ]


def closed_spans(journal: Journal, step: int, reach: int) -> list[Span]:
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

    tracker: SequentialTracker
    step: int
    spans: tuple[Span, ...] = ()
    scenes: dict[int, dict[int, _PackedState]] = field(default_factory=dict)
    cursor: tuple[int, dict[int, TrackState]] | None = None
    twin: Chain | None = None
    _events: tuple[_Event, ...] = ()

    def follow(self, spans: Iterable[Span]) -> None:
        """Take over new spans; forget the frames that their changes reach."""
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
        self.scenes = {
            f: s
            for f, s in self.scenes.items()
            if self._is_ahead(first, f) or (anew is not None and not self._is_ahead(anew, f))
        }
        if self.cursor is not None and self.cursor[0] not in self.scenes:
            self.cursor = None

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
        met = [
            Met(
                s.obj_id,
                s.begin,
                s.keyframe,
                {f: known[f].get(s.obj_id) for f in shown if self._is_ahead(f, s.begin)},
            )
            for s in {
                s.obj_id: s for s in self.spans if not self._is_ahead(s.begin, newest)
            }.values()
        ]
        states = self.tracker.resume(met, {f: known[f] for f in shown})
        self.scenes[newest] = {i: _PackedState.pack(s) for i, s in states.items()}

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
        """Whether an object is met by that frame here, but not on the other chain."""
        return bool(self._met(frame_index) - other._met(frame_index))

    def _met(self, frame_index: int) -> set[int]:
        return {s.obj_id for s in self.spans if not self._is_ahead(s.begin, frame_index)}

    def missing_until(self, last: int) -> range:
        """Frames up to and with `last` that are yet to be computed; none if nothing gets there."""
        frame = last
        if any(s.end is not None for s in self.spans):
            while frame not in self.scenes and self.carried(frame):
                frame -= self.step
            if frame not in self.scenes and frame != last:
                frame -= self.step  # where the first of them is set
        elif self.spans:
            while frame not in self.scenes and self.reaches(frame):
                frame -= self.step
        return range(frame + self.step, last + self.step, self.step)

    def known(self, frame_index: int) -> Mapping[int, TrackState]:
        """The objects of a frame, if it has been computed."""
        return {i: s.unpack() for i, s in self.scenes.get(frame_index, {}).items()}

    def advance_to(self, frame_index: int) -> Mapping[int, TrackState]:
        """The objects of a frame, computed if need be; the frame before it is known."""
        if not self.reaches(frame_index):
            return {}
        if frame_index not in self.scenes and self.twin is not None and self._is_like(frame_index):
            self.scenes[frame_index] = self.twin.scenes[frame_index]
        if frame_index in self.scenes:
            states = dict(self.known(frame_index))
        else:
            states = self._compute(frame_index)
            self.scenes[frame_index] = {i: _PackedState.pack(s) for i, s in states.items()}
        self.cursor = (frame_index, states)
        return states

    def _is_like(self, frame_index: int) -> bool:
        """Whether the twin's frame is the same as the one here would be."""
        twin, source = self.twin, frame_index - self.step
        if twin is None or frame_index not in twin.scenes:
            return False
        carried = self.carried(frame_index)
        if carried != twin.carried(frame_index):
            return False
        return not carried or self.scenes[source] is twin.scenes.get(source)

    def _compute(self, frame_index: int) -> dict[int, TrackState]:
        source = frame_index - self.step
        fixed = {
            s.obj_id: self.tracker.begin(frame_index, s.keyframe)
            for s in self.spans
            if s.begin == frame_index
        }
        before: Mapping[int, TrackState] = {}
        carried = self.carried(frame_index)
        if carried:
            if self.cursor is not None and self.cursor[0] == source:
                before = self.cursor[1]
            else:
                before = self.known(source)
        before = {i: s for i, s in before.items() if i in carried}
        moved: Mapping[int, TrackState] = {}
        if before:
            moved = self.tracker.step(source, frame_index, before, fixed)
        return {**moved, **fixed}
