"""Going on with a run that was stopped, so that it gives what it would have given.

A tracker's state is more than what it showed. So the session takes a checkpoint of it every `EVERY`
frames, and has it kept by whoever keeps the results. A session that goes on gives the tracker the
newest one that is of the same model, video, direction and prompts, and what lies between it and the
first frame wanted is computed again, unseen. Without one all is computed from the first prompt,
unless that is farther than `FARTHEST` frames: then the tracker goes on from masks that were shown,
which is near and not the same, and is noted.

A tracker on a worker may lose its state in the midst of a run. It has the way computed again as
well; where the mode is "quick" its journal lets it go on from what it has given
(`Journal.note_nearly`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Literal, Protocol, get_args
from weakref import WeakKeyDictionary

import numpy as np

from napari_sam3.checkpoint import Checkpoint
from napari_sam3.errors import CheckpointError, RequestError
from napari_sam3.models.base import VideoTracker
from napari_sam3.session.session_state import SessionState
from napari_sam3.values import Frames, Journal, Keyframe, ObjectMask

EVERY = 64
"""Frames between two checkpoints: those on multiples of it."""

FARTHEST = 256
"""Frames that are computed again at most, so that a run goes on exactly."""

Recover = Literal["exact", "quick"]
"""Whether to compute frames again for an exact result, or to go on from what was shown."""


def check_recover(recover: Recover) -> Recover:
    """Make sure that it is one of the ways to go on.

    Raises
    ------
    RequestError
        If it is not.
    """
    if recover not in get_args(Recover):
        raise RequestError(f"recover is {recover!r}; say one of {', '.join(get_args(Recover))}")
    return recover


class CheckpointKeeper(Protocol):
    """Where a session's checkpoints are kept: a project, or a client that is told of them.

    Called by the thread that propagates, with the session's lock; nothing of it raises.
    """

    def load(self) -> Sequence[Checkpoint]:
        """What is kept, the newest first; what can't be read is told and left out."""
        ...

    def keep(self, checkpoint: Checkpoint) -> None:
        """Keep one more; returns soon, and older ones than the last two may go."""
        ...

    def tell(self, problem: str) -> None:
        """Hear of a checkpoint that can't be used, in a sentence."""
        ...

    def note_nearly(self, frame_index: int) -> None:
        """Hear that a run goes on at a frame from what was shown: nearly, not exactly."""
        ...


class Recovery:
    """The checkpoints of one session.

    Parameters
    ----------
    frames : Frames
        Of the video, as the model sees them.
    model : str
        The model's name.

    Attributes
    ----------
    keeper : CheckpointKeeper or None
        Nothing is kept without one.
    mode : "exact" or "quick"
        How runs are gone on with that were stopped, or whose worker died.
    """

    def __init__(self, frames: Frames, model: str) -> None:
        self.keeper: CheckpointKeeper | None = None
        self.mode: Recover = "exact"
        self._frames, self._model = frames, model
        self._earlier: list[Checkpoint] | None = None  # of an earlier process
        self._own: list[Mapping[str, Any]] = []  # what the newest of this tracker are of
        self._given: Checkpoint | None = None  # to the tracker, as it was kept
        self._digests: WeakKeyDictionary[Keyframe, bytes] = WeakKeyDictionary()

    def forget(self) -> None:
        """Know that the tracker begins anew: of what was computed only what is kept is left."""
        self._earlier = None
        self._own.clear()

    def journal(self, state: SessionState, leg: range, begun: int, *, is_rest: bool) -> Journal:
        """The prompts, and where the tracker may begin, for the frames of a leg.

        Parameters
        ----------
        begun : int
            First frame of the leg when the run began.
        is_rest : bool
            Whether this is what is left of a run that was stopped.
        """
        self._given = None
        plain = state.journal(leg, with_removed=bool(state.concepts), knows=False)
        journal = replace(plain, begun=begun)
        if self.mode == "quick":
            journal = replace(journal, note_nearly=partial(self._note_nearly, state))
        if is_rest:
            journal = replace(journal, shows_ahead=_shows_ahead(journal, leg))
        frames = [f for keyframes in journal.objects.values() for f in keyframes]
        frames += [f for f, _ in journal.concepts]
        before = [f for f in frames if (leg[0] - f) * leg.step > 0]
        if not before or not (state.earlier or self._kept()):
            return journal  # nothing is to be computed before the first frame, or nothing is known
        checkpoint = self._nearest(journal, leg)
        own = [of["frame"] for of in self._own if self._fits(of, journal, leg)]
        begins = [*own, min(before, key=lambda f: f * leg.step)]
        if checkpoint is not None:
            begins.append(checkpoint.frame)
        n_again = min(abs(leg[0] - f) for f in begins) - 1
        if n_again > (FARTHEST if is_rest and self.mode == "exact" else 0):
            known = state.known_before(leg, with_removed=bool(state.concepts))
            if known:
                if is_rest:
                    self._note_nearly(state, leg[0])
                return replace(journal, known=known)
        self._given = checkpoint
        if checkpoint is None:
            return journal
        told = Checkpoint(checkpoint.frame, checkpoint.header["state"], checkpoint.arrays)
        return replace(journal, checkpoint=told)

    def refuse(self, error: CheckpointError) -> bool:
        """Let go of the checkpoint that a tracker could not read; whether there was one."""
        if self._given is None:
            return False
        self._earlier = [c for c in self._kept() if c is not self._given]
        self._given = None
        self._tell(str(error))
        return True

    def after(
        self,
        tracker: VideoTracker,
        journal: Journal,
        frame_index: int,
        step: int,
        *,
        is_last: bool = False,
    ) -> None:
        """Take a checkpoint after a frame, if it is time for one, or the run is stopped there."""
        if self.keeper is None or not (is_last or frame_index % EVERY == 0):
            return
        made = tracker.checkpoint(frame_index, step)
        if made is None:
            return
        of = self._facts(journal, frame_index, step)
        of["picture"] = self._picture(frame_index)
        if of in self._own:
            return
        self._own = [*self._own[-1:], of]
        if len(self._own) == 2:
            self._earlier = []  # these are nearer, and the tracker still has them: give memory back
        self.keeper.keep(Checkpoint(frame_index, {"of": of, "state": made.header}, made.arrays))

    def _note_nearly(self, state: SessionState, frame_index: int) -> None:
        """Know, and have noted, that a run goes on at a frame from what was shown."""
        state.begun_nearly.add(frame_index)
        if self.keeper is not None:
            self.keeper.note_nearly(frame_index)

    # -------------------------------------------------- which one is of what

    def _kept(self) -> list[Checkpoint]:
        if self._earlier is None:
            self._earlier = [] if self.keeper is None else list(self.keeper.load())
        return self._earlier

    def _nearest(self, journal: Journal, leg: range) -> Checkpoint | None:
        """The newest kept one on the way to a leg that is of the same as this session."""
        for checkpoint in sorted(self._kept(), key=lambda c: c.frame * -leg.step):
            of, state = (checkpoint.header.get(name) for name in ("of", "state"))
            why = None
            if not isinstance(of, dict) or not isinstance(state, dict):
                why = "it does not say what it is of"
            elif of.get("frame") == checkpoint.frame and self._fits(of, journal, leg):
                if of.get("picture") == self._picture(checkpoint.frame):
                    return checkpoint
                why = f"frame {checkpoint.frame} of the video is not what it was"
            if why is not None:
                self._kept().remove(checkpoint)
                self._tell(why)
        return None

    def _fits(self, of: Mapping[str, Any], journal: Journal, leg: range) -> bool:
        """Whether what is of this is on the way to a leg, and of what is said and used now."""
        frame = of.get("frame")
        return (
            type(frame) is int
            and 0 <= frame < len(self._frames)
            and (leg[0] - frame) * leg.step > 0
            and {**of, "picture": None} == self._facts(journal, frame, leg.step)
        )

    def _facts(self, journal: Journal, frame_index: int, step: int) -> dict[str, Any]:
        return {
            "frame": frame_index,
            "step": step,
            "model": self._model,
            "n_frames": len(self._frames),
            "size": list(self._frames.size),
            "prompts": self._said_before(journal, frame_index, step),
            "picture": None,
        }

    def _picture(self, frame_index: int) -> str:
        """Tells the video, how its values are scaled, and which part of it is looked at."""
        return hashlib.sha256(self._frames[frame_index].tobytes()).hexdigest()

    def _said_before(self, journal: Journal, frame_index: int, step: int) -> str:
        """Tells all prompts that a frame depends on: those that lie before it on the way."""
        digest = hashlib.sha256(repr(journal.hold_back).encode())
        for obj_id in sorted(journal.objects):
            keyframes = journal.objects[obj_id]
            for f in sorted(f for f in keyframes if (frame_index - f) * step >= 0):
                digest.update(repr((obj_id, f)).encode())
                digest.update(self._digest(keyframes[f]))
        for f, concept in journal.concepts:
            boxes = concept.boxes_xyxy.tolist(), concept.box_labels.tolist()
            digest.update(repr((f, concept.text, *boxes)).encode())
        return digest.hexdigest()

    def _digest(self, keyframe: Keyframe) -> bytes:
        if keyframe not in self._digests:
            digest = hashlib.sha256()
            for part in _parts_of(keyframe):
                digest.update(part)
            self._digests[keyframe] = digest.digest()
        return self._digests[keyframe]

    def _tell(self, why: str) -> None:
        if self.keeper is not None:
            self.keeper.tell(
                f"a checkpoint can't be used ({why}); what it would have saved is computed again"
            )


def _shows_ahead(journal: Journal, leg: range) -> bool:
    """Whether the frame before a leg shows an object that is only named further on."""
    before = leg[0] - leg.step
    shown = None if journal.recall is None or before < 0 else journal.recall(before)
    return any(
        obj_id in journal.objects
        and all((f - before) * leg.step > 0 for f in journal.objects[obj_id])
        for obj_id in shown or ()
    )


def _parts_of(keyframe: Keyframe) -> Iterator[bytes]:
    prompt = keyframe.prompt
    for array in (prompt.points_xy, prompt.point_labels, prompt.box_xyxy):
        yield repr(None if array is None else np.asarray(array, float).tolist()).encode()
    if prompt.mask is None:
        yield b"no mask"
    else:
        yield repr(prompt.mask.shape).encode()
        yield np.packbits(prompt.mask).tobytes()
    for mask in (prompt.prior, keyframe.mask):
        yield from _parts_of_mask(mask)


def _parts_of_mask(mask: ObjectMask | None) -> Iterator[bytes]:
    if mask is None:
        yield b"not there"
    else:
        yield repr((mask.bbox, mask.size, float(mask.score))).encode()
        yield np.packbits(mask.crop).tobytes()
