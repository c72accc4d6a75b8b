"""What a model is: the protocol that every family fulfils, and nothing else.

A model is loaded once and serves many videos. `start` gives a tracker, the model's state on one
video. The session (`napari_sam3.session`) owns prompts, ids, the order of frames and what is
shown; a tracker answers three questions: what does this prompt mean on this frame, where is this
concept on this frame, and where are the objects of this journal on these frames.

A tracker is called by one thread at a time (the session sees to it), not always the same one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from napari_sam3.checkpoint import Checkpoint
from napari_sam3.values import Concept, Frames, Journal, ObjectMask, ObjectPrompt


@dataclass(frozen=True)
class Capabilities:
    """The kinds of prompts that a model takes.

    Attributes
    ----------
    text, exemplars : bool
        Finds all objects of a concept, told by words or by boxes round examples.
    points, boxes, masks : bool
        Takes clicks, a box round one object, a painted mask.
    max_objects : int or None
        How many objects one session may hold; None: no limit.
    """

    text: bool = False
    exemplars: bool = False
    points: bool = True
    boxes: bool = True
    masks: bool = True
    max_objects: int | None = None


class TrackedFrame(NamedTuple):
    """The objects that a tracker sees on one frame; masks may still overlap.

    `objects` is None for a frame that was not asked for, but computed on the way to one, and for
    one that is not done yet.
    """

    frame_index: int
    objects: Mapping[int, ObjectMask] | None


class VideoTracker(Protocol):
    """A model's state on one video."""

    def segment(self, frame_index: int, prompt: ObjectPrompt) -> ObjectMask | None:
        """Find the one object that a prompt means; None if it is not there.

        `prompt` holds all that was said of the object on this frame, so that the answer depends
        on nothing else (but the pixels, of this frame and at most of its neighbours).
        """
        ...

    def detect(self, frame_index: int, concept: Concept) -> Sequence[ObjectMask]:
        """Find every object of a concept, the best first. Only called if the model says it can."""
        ...

    def propagate(
        self, journal: Journal, frames: range, new_id: Callable[[], int]
    ) -> Iterator[TrackedFrame]:
        """Follow the journal's objects over `frames`, one at a time, in that order.

        Parameters
        ----------
        journal : Journal
            All prompts. On a keyframe the object is what the keyframe says.
        frames : range
            Frames wanted, step 1 (forward) or -1 (backward).
        new_id : callable
            Issues an id for an object that a concept finds on the way.

        Yields
        ------
        TrackedFrame
            One for every frame of `frames`, in order, as soon as it is done. Frames computed on
            the way to the first one (from a keyframe before it) are yielded too, with None for
            objects, so that the caller can stop there; and so may a frame be between the pieces
            of the work on it, which then is given up without a trace.

        Notes
        -----
        The mask of an object on a frame is a function of the video, the journal and the direction
        alone: what is kept from earlier calls makes it faster, never different.
        """
        ...

    def checkpoint(self, frame_index: int, step: int) -> Checkpoint | None:
        """What it remembers after a frame that `propagate` has given, going by `step` (1 or -1).

        Another tracker of the same model on the same video that gets it in its journal
        (`Journal.checkpoint`) gives for the frames behind it what this one would give, to the
        pixel. If the journal's can't be read, or is of something else, `propagate` raises a
        `CheckpointError` before its first frame.

        Returns
        -------
        Checkpoint or None
            None where it has nothing that could be gone on with: then all is computed again from
            the prompts. Quick; the arrays are not changed afterwards.
        """
        ...

    def prefetch(self, frame_index: int) -> None:
        """Hear which frame a person looks at while nothing else is to be done; returns at once.

        What can be prepared for prompts there, in the background, is; it never holds up other
        calls. Not needed: doing nothing is right too.
        """
        ...

    @property
    def preparing(self) -> int | None:
        """The frame that is being prepared just now (`prefetch`); callable from any thread."""
        ...

    def close(self) -> None:
        """Give back all memory; the tracker is not used afterwards."""
        ...


class VideoModel(Protocol):
    """A loaded model."""

    @property
    def name(self) -> str:
        """The name it is asked for by."""
        ...

    @property
    def capabilities(self) -> Capabilities:
        """The prompts it takes."""
        ...

    @property
    def device(self) -> str:
        """Where it runs: 'cpu', 'cuda', 'cuda:1', 'mps'."""
        ...

    def start(self, frames: Frames) -> VideoTracker:
        """Begin on a video. Cheap: no frame is read before it is needed."""
        ...

    def close(self) -> None:
        """Give back all memory; the model is not used afterwards."""
        ...
