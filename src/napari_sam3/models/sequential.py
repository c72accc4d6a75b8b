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
asked for is in doubt (a score under `CERTAIN`, or nothing seen), one mask is made of what was found
from both (`interpolate_masks`); what was sure stays as it was before the correction. From the
keyframe that lies ahead the object comes on a chain of its own, the interpolation chain, which
holds objects only where they are between two keyframes, and for no more than `REACH` frames. So
what one object's correction costs does not depend on where others were named. It is computed when a
frame of it is first needed. Interpolated masks are shown and never carried on: what follows from a
keyframe stays what it was. A keyframe on which the object is not there, and one that a concept
found, is no other side.

A frame of a chain stays valid as long as the keyframes that lie before it on the chain are the
same, so that a second propagation computes only what a new prompt has changed.

Where the journal holds the state of an earlier process after a frame on the way to the frames asked
for, the chain goes on from there, exactly; where it knows only what was shown there
(`SequentialTracker.resume`), nearly.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from napari_sam3.checkpoint import Checkpoint
from napari_sam3.errors import CheckpointError
from napari_sam3.models.base import TrackedFrame
from napari_sam3.models.chains import (
    Chain,
    FrameStepper,
    TrackState,
    spans_between_keyframes,
    spans_from_keyframes,
)
from napari_sam3.models.interpolation import interpolate_masks
from napari_sam3.models.saved_states import StateReader, StateWriter, reading_state
from napari_sam3.values import Concept, Frames, Journal, Keyframe, ObjectMask, ObjectPrompt

__all__ = ["CERTAIN", "REACH", "SequentialTracker", "TrackState"]

REACH = 255
"""Frames for which a keyframe counts for what lies between it and the one before it."""

CERTAIN = 0.9
"""Score from which on a mask is shown as it was found, whatever lies ahead."""


class SequentialTracker(FrameStepper):
    """Base of trackers that go from frame to frame; see the module's text."""

    def __init__(self, frames: Frames) -> None:
        self.frames = frames
        self._forget()

    def _forget(self) -> None:
        self._chains = {step: Chain(self, step) for step in (1, -1)}
        self._interpolation_chains = {step: Chain(self, step) for step in (1, -1)}
        for step, chain in self._chains.items():
            chain.twin, self._interpolation_chains[step].twin = (
                self._interpolation_chains[step],
                chain,
            )

    @abstractmethod
    def segment(self, frame_index: int, prompt: ObjectPrompt) -> ObjectMask | None:
        """Find the one object that a prompt means (see `VideoTracker.segment`)."""

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
            chain.set_spans(spans_from_keyframes(journal))
        for step, chain in self._interpolation_chains.items():
            chain.set_spans(spans_between_keyframes(journal, step, REACH))
        ahead, behind = self._chains[frames.step], self._chains[-frames.step]
        interpolation = self._interpolation_chains[-frames.step]
        if journal.checkpoint is not None:
            self._take_up(ahead, journal.checkpoint, frames[0] - ahead.step)
        ahead.resume(journal.known, frames[0] - ahead.step)
        begun = frames[0] if journal.begun is None else journal.begun
        against = frames.step < 0 or journal.shows_ahead or not ahead.reaches(begun)
        if against and behind.has_own_objects(frames[0], ahead):
            yield from self._compute_until(behind, frames[0])
        if ahead.reaches(frames[0]):
            yield from self._compute_until(ahead, frames[0] - ahead.step)
        for frame_index in frames:
            known = behind.states_at(frame_index)
            states = {**known, **(yield from ahead.advance_to(frame_index))}
            masks = {i: s.mask for i, s in states.items()}
            doubtful = {i for i, m in masks.items() if m is None or m.score < CERTAIN}
            sides = _sides(journal, frame_index, interpolation, doubtful)
            if sides:
                yield from self._compute_until(interpolation, frame_index)
                far = interpolation.states_at(frame_index)
                for obj_id, share in sides.items():
                    masks[obj_id] = interpolate_masks(masks[obj_id], far[obj_id].mask, share)
            yield TrackedFrame(frame_index, {i: m for i, m in masks.items() if m is not None})

    def _compute_until(self, chain: Chain, last: int) -> Iterator[TrackedFrame]:
        for frame_index in chain.missing_until(last):
            yield from chain.advance_to(frame_index)
            yield TrackedFrame(frame_index, None)

    # ------------------------------------------------------------- checkpoints

    @property
    def state_kind(self) -> str | None:
        """What its checkpoints are told by; to be changed whenever they mean something else.

        None, unless a subclass says so: then there are no checkpoints.
        """
        return None

    def save_memory(self, state: TrackState, writer: StateWriter) -> Any:
        """`TrackState.memory` as JSON; nothing, where it is what `begin` says."""
        return None

    def load_memory(
        self, told: Any, begin: int, keyframe: Keyframe, step: int, reader: StateReader
    ) -> Any:
        """`TrackState.memory` of what `save_memory` made.

        Parameters
        ----------
        told : JSON
        begin : int
            Frame of `keyframe`, the last one met on the way.
        step : int
            1 or -1.
        """
        return self.begin(begin, keyframe).memory

    def checkpoint(self, frame_index: int, step: int) -> Checkpoint | None:
        """All objects of a chain on a frame (see `VideoTracker.checkpoint`)."""
        states = self._chains[step].states_at(frame_index)
        if self.state_kind is None or not states:
            return None
        writer = StateWriter()
        # in the order that they are computed in: sums of floats depend on it
        objects = [
            [obj_id, writer.put_mask(state.mask), self.save_memory(state, writer)]
            for obj_id, state in states.items()
        ]
        header = {"kind": self.state_kind, "step": step, "objects": objects}
        return Checkpoint(frame_index, header, writer.arrays)

    def _take_up(self, chain: Chain, checkpoint: Checkpoint, last: int) -> None:
        """Go on from a checkpoint, where that saves some frames up to `last`."""
        if checkpoint.frame not in chain.missing_until(last):
            return
        spans = chain.newest_spans(checkpoint.frame)
        states = {}
        with reading_state(checkpoint, self.state_kind, chain.step):
            reader = StateReader(checkpoint, self.frames.size)
            for obj_id, mask, memory in checkpoint.header["objects"]:
                span = spans[obj_id]
                states[obj_id] = TrackState(
                    reader.mask(mask),
                    span.keyframe,
                    self.load_memory(memory, span.begin, span.keyframe, chain.step, reader),
                )
            if states.keys() != spans.keys():
                raise CheckpointError(
                    f"the state at frame {checkpoint.frame} is of the objects {sorted(states)}, "
                    f"and {sorted(spans)} are followed there"
                )
        chain.take_up(checkpoint.frame, states)

    def prefetch(self, frame_index: int) -> None:
        """Nothing, unless a subclass can prepare for prompts."""

    @property
    def preparing(self) -> int | None:
        """Nothing is prepared, unless a subclass does."""
        return None

    def close(self) -> None:
        """Forget every frame."""
        self._forget()


def _sides(
    journal: Journal, frame_index: int, interpolation: Chain, doubtful: set[int]
) -> dict[int, float]:
    """Doubtful objects that an interpolation chain carries to a frame, and its share in each, 0..1.

    Wholly at its own keyframe, less and less towards the other one or the end of its reach.
    """
    shares = {}
    for obj_id in interpolation.carried(frame_index) & doubtful:
        indices = journal.objects[obj_id]
        below = max(f for f in indices if f < frame_index)
        above = min(f for f in indices if f > frame_index)
        away = (above if interpolation.step < 0 else below) - frame_index
        shares[obj_id] = 1 - abs(away) / min(above - below, REACH + 1)
    return shares
