"""A propagation: its frames in order, an iterator that can be stopped and notices new prompts."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Self, TypeVar

from napari_sam3.errors import CheckpointError, PropagationRunningError
from napari_sam3.models.base import TrackedFrame, VideoTracker
from napari_sam3.session.answering import without_doubles
from napari_sam3.session.recovery import Recovery
from napari_sam3.session.session_state import SessionState
from napari_sam3.values import Direction, FrameResult, Journal, ObjectMask


class Propagation(Iterator[FrameResult]):
    """Frames of a video, one by one, each computed when it is asked for.

    Made by `VideoSession.propagate`. It ends by itself, by `close` (also at the end of a `with`
    block), by `cancel` from any thread, or when nobody holds it any more. `len` is the number of
    frames planned.

    Parameters
    ----------
    lock : context manager
        Held while a frame is computed.
    tracker : VideoTracker
        The model on the video.
    state : SessionState
        The prompts, as they are at any moment, and where masks are kept.
    legs : tuple of range
        The frames, one range after the other.
    recovery : Recovery, optional
        Takes checkpoints, and says where to begin.
    whole : sequence of range, optional
        The legs of a run that was stopped, of which `legs` are the rest.
    """

    def __init__(
        self,
        lock: AbstractContextManager[object],
        tracker: VideoTracker,
        state: SessionState,
        legs: tuple[range, ...],
        recovery: Recovery | None = None,
        whole: Sequence[range] | None = None,
    ) -> None:
        self.legs = legs
        self.is_cancelled = False
        self._lock = lock
        self._tracker = tracker
        self._state = state
        self._left = list(legs)
        self._recovery = recovery
        self._whole = whole
        self._journal: Journal | None = None
        self._newest: tuple[int, int] | None = None  # frame given last, and the step to it
        self._source: Iterator[TrackedFrame] | None = None
        self._version = -1

    @property
    def is_finished(self) -> bool:
        """Whether there is no further frame to come."""
        return self.is_cancelled or not self._left

    def __len__(self) -> int:
        return sum(len(leg) for leg in self.legs)

    def __next__(self) -> FrameResult:
        """Compute the next frame; between its pieces, and frames on the way there, it can end."""
        while True:
            with self._lock:
                if self.is_finished:
                    self._stop()
                    raise StopIteration
                try:
                    result = self._advance()
                except BaseException:
                    self._end()
                    raise
                if result is not None:
                    return result

    def _advance(self) -> FrameResult | None:
        state, leg = self._state, self._left[0]
        if self._source is None or self._version != state.version:
            # prompts have changed: go on from here with the new ones
            self._source = self._track(leg)
            self._version = state.version
        try:
            tracked = next(self._source)
        except CheckpointError as exc:
            if self._recovery is None or not self._recovery.refuse(exc):
                raise
            self._source = None
            return None
        if tracked.objects is None:
            return None  # on the way to the frame wanted
        self._left[0] = leg[1:]
        result = self._take(tracked.frame_index, tracked.objects)
        self._newest = tracked.frame_index, leg.step
        self._take_checkpoint()
        if not self._left[0]:
            del self._left[0]
            self._source = None
        return result

    def _take(self, frame_index: int, objects: Mapping[int, ObjectMask]) -> FrameResult:
        """Show a frame; an object that the model did not find is not there."""
        state = self._state
        state.judge_newcomers(objects)
        rivals = state.pointed_at(frame_index) - state.removed
        return state.show(frame_index, without_doubles(objects, rivals))

    def _track(self, leg: range) -> Iterator[TrackedFrame]:
        """Let the model follow the prompts as they are now."""
        state = self._state
        if self._recovery is None:
            # a concept could find a removed object again: the model follows it, unseen
            journal = state.journal(leg, with_removed=bool(state.concepts))
        else:
            begun = self._begin_of(leg)
            is_rest = self._whole is not None
            journal = self._recovery.journal(state, leg, begun, is_rest=is_rest)
        self._journal = journal
        return self._tracker.propagate(journal, leg, state.issue_id)

    def _begin_of(self, leg: range) -> int:
        """Where the run began of which a leg is the rest."""
        for whole in self._whole or self.legs:
            if whole.step == leg.step and leg[0] in whole:
                return whole[0]
        return leg[0]

    def _take_checkpoint(self, *, is_last: bool = False) -> None:
        is_current = self._version == self._state.version  # what was computed is of these prompts
        if self._recovery is None or self._journal is None or self._newest is None:
            return
        if is_current:
            frame, step = self._newest
            self._recovery.after(self._tracker, self._journal, frame, step, is_last=is_last)

    def cancel(self) -> None:
        """End before the next frame, or piece of one; callable from any thread, returns at once."""
        self.is_cancelled = True

    def close(self) -> None:
        """End now; what was given stays. Waits for a frame that another thread computes."""
        self.cancel()
        with self._lock:
            self._stop()

    def _stop(self) -> None:
        """End, and keep what the tracker remembers where frames are left."""
        if self._left:
            self._take_checkpoint(is_last=True)
        self._end()

    def _end(self) -> None:
        self._left.clear()
        self._source = self._journal = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


AnyPropagation = TypeVar("AnyPropagation", bound=Propagation)


class OnePropagation:
    """The propagation of a session that is under way, if one is; there is one at most."""

    def __init__(self) -> None:
        self._last: Callable[[], Propagation | None] = lambda: None

    def begin(self, make: Callable[[], AnyPropagation]) -> AnyPropagation:
        """Make the next one.

        Raises
        ------
        PropagationRunningError
            While another one is under way.
        """
        if self.is_running:
            raise PropagationRunningError(
                "a propagation is running on this session; let it end, close it or cancel it "
                "before starting another"
            )
        made = make()
        self._last = weakref.ref(made)  # it ends when nobody holds it any more
        return made

    @property
    def is_running(self) -> bool:
        """Whether one is under way."""
        last = self._last()
        return last is not None and not last.is_finished

    def cancel(self) -> bool:
        """Stop it before its next frame, from any thread; gives whether there was one."""
        last = self._last()
        if last is None or last.is_finished:
            return False
        last.cancel()
        return True


def plan_frames(
    n_frames: int, direction: Direction, start: int, max_frames: int | None = None
) -> tuple[range, ...]:
    """Plan the legs of a propagation.

    Parameters
    ----------
    n_frames : int
        Length of the video.
    direction : "forward", "backward" or "both"
        Forward begins at `start`, backward at the frame before it; both is one after the other.
    start : int
        0-based frame.
    max_frames : int, optional
        At most so many frames in each direction; None: to the end.

    Returns
    -------
    tuple of range
        Legs with step 1 or -1, none of them empty.
    """
    limit = n_frames if max_frames is None else max_frames
    forward = range(start, min(n_frames, start + limit))
    backward = range(start - 1, max(-1, start - 1 - limit), -1)
    legs = {"forward": (forward,), "backward": (backward,), "both": (forward, backward)}
    return tuple(leg for leg in legs[direction] if leg)
