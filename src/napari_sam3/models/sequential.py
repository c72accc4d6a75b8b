"""Trackers that go from frame to frame: each frame is made from the one next to it.

A subclass says what a prompt means on a frame and how objects get from one frame to the next.
This base decides which frames must be computed, in which order, and keeps what was computed.

There are two chains of frames (`chains`). The forward chain begins at the lowest keyframe and goes
up; the backward chain begins at the highest and goes down. On a chain, an object enters at its
first keyframe and is set anew at each further one. An object on a frame is taken from the chain of
the direction asked for; where that chain has not met the object yet, from the other one:

- going backward, always (the forward chain is computed up to there first, where it is not known);
- going forward, only if the backward chain has been computed already, or if no object at all
  would be known on the first frame: an object named late shall not hold up the live display.

Between two keyframes by a person's hand an object is followed from either side. Where the chain
asked for is in doubt (a score under `CERTAIN`, or nothing seen), what was found from both is joined
(`SequentialTracker.join`); what was sure stays as it was before the correction. From the keyframe
that lies ahead the object comes on a chain of its own, the bridge, which holds objects only where
they are between two keyframes, and for no more than `REACH` frames. So what one object's correction
costs does not depend on where others were named. The bridge is computed when a frame of it is first
needed. Joined masks are shown and never carried on: what follows from a keyframe stays what it was.
A keyframe on which the object is not there, and one that a concept found, is no other side.

A frame of a chain stays valid as long as the keyframes that lie before it on the chain are the
same, so that a second propagation computes only what a new prompt has changed.

Where the journal knows what an earlier process showed on the way to the frames asked for, the chain
goes on from there (`SequentialTracker.resume`) in place of its keyframes.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

from napari_sam3.models.base import TrackedFrame
from napari_sam3.models.chains import Chain, Met, TrackState, closed_spans, open_spans
from napari_sam3.models.joining import join_masks
from napari_sam3.values import Concept, Frames, Journal, Keyframe, ObjectMask, ObjectPrompt

__all__ = ["CERTAIN", "REACH", "SequentialTracker", "TrackState"]

REACH = 255
"""Frames for which a keyframe counts for what lies between it and the one before it."""

CERTAIN = 0.9
"""Score from which on a mask is shown as it was found, whatever lies ahead."""


class SequentialTracker(ABC):
    """Base of trackers that go from frame to frame; see the module's text."""

    def __init__(self, frames: Frames) -> None:
        self.frames = frames
        self._forget()

    def _forget(self) -> None:
        self._chains = {step: Chain(self, step) for step in (1, -1)}
        self._bridges = {step: Chain(self, step) for step in (1, -1)}
        for step, chain in self._chains.items():
            chain.twin, self._bridges[step].twin = self._bridges[step], chain

    @abstractmethod
    def segment(self, frame_index: int, prompt: ObjectPrompt) -> ObjectMask | None:
        """Find the one object that a prompt means (see `VideoTracker.segment`)."""

    @abstractmethod
    def begin(self, frame_index: int, keyframe: Keyframe) -> TrackState:
        """State of an object on one of its keyframes; its mask is the keyframe's."""

    def resume(
        self, met: Sequence[Met], known: Mapping[int, Mapping[int, ObjectMask]]
    ) -> dict[int, TrackState]:
        """States of objects on a frame that an earlier process computed.

        Parameters
        ----------
        met : sequence of Met
            The objects; the states are those of the last frame of `known`.
        known : mapping of frame index to mapping of object id to ObjectMask
            All that was shown on neighbouring frames, in the order of the chain.
        """
        states = {}
        for obj_id, begin, keyframe, shown in met:
            state = self.begin(begin, keyframe)
            states[obj_id] = replace(state, mask=[*shown.values()][-1]) if shown else state
        return states

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

    def join(
        self, near: ObjectMask | None, far: ObjectMask | None, share: float
    ) -> ObjectMask | None:
        """Make one mask of what was found from the keyframes on either side (`join_masks`)."""
        return join_masks(near, far, share)

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
        for chain in self._chains.values():
            chain.follow(open_spans(journal))
        for step, chain in self._bridges.items():
            chain.follow(closed_spans(journal, step, REACH))
        ahead, behind = self._chains[frames.step], self._chains[-frames.step]
        bridge = self._bridges[-frames.step]
        ahead.take_up(journal.known, frames[0] - ahead.step)
        against = frames.step < 0 or not ahead.reaches(frames[0])
        if against and behind.has_own_objects(frames[0], ahead):
            yield from self._lead_in(behind, frames[0])
        if ahead.reaches(frames[0]):
            yield from self._lead_in(ahead, frames[0] - ahead.step)
        for frame_index in frames:
            states = dict(behind.known(frame_index))
            states.update(ahead.advance_to(frame_index))
            masks = {i: s.mask for i, s in states.items()}
            doubtful = {i for i, m in masks.items() if m is None or m.score < CERTAIN}
            sides = _sides(journal, frame_index, bridge, doubtful)
            if sides:
                yield from self._lead_in(bridge, frame_index)
                far = bridge.known(frame_index)
                for obj_id, share in sides.items():
                    masks[obj_id] = self.join(masks[obj_id], far[obj_id].mask, share)
            yield TrackedFrame(frame_index, {i: m for i, m in masks.items() if m is not None})

    def _lead_in(self, chain: Chain, last: int) -> Iterator[TrackedFrame]:
        for frame_index in chain.missing_until(last):
            chain.advance_to(frame_index)
            yield TrackedFrame(frame_index, None)

    def prefetch(self, frame_index: int) -> None:  # noqa: B027  (most have nothing to prepare)
        """Nothing, unless a subclass can prepare for prompts."""

    @property
    def preparing(self) -> int | None:
        """Nothing is prepared, unless a subclass does."""
        return None

    def close(self) -> None:
        """Forget every frame."""
        self._forget()


def _sides(
    journal: Journal, frame_index: int, bridge: Chain, doubtful: set[int]
) -> dict[int, float]:
    """Doubtful objects that the bridge carries to a frame, and how much it counts for each, 0..1.

    Wholly at its own keyframe, less and less towards the other one or the end of its reach.
    """
    shares = {}
    for obj_id in bridge.carried(frame_index) & doubtful:
        indices = journal.objects[obj_id]
        below = max(f for f in indices if f < frame_index)
        above = min(f for f in indices if f > frame_index)
        away = (above if bridge.step < 0 else below) - frame_index
        shares[obj_id] = 1 - abs(away) / min(above - below, REACH + 1)
    return shares
