"""Following a correction: only the objects corrected, only as far as it changes what is shown."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import AbstractContextManager

import numpy as np

from napari_sam3.errors import MissingPromptError
from napari_sam3.models.base import TrackedFrame, VideoTracker
from napari_sam3.session.propagation import Propagation
from napari_sam3.session.session_state import SessionState
from napari_sam3.session.validation import check_object_id
from napari_sam3.values import BoolArray, Direction, FrameResult, ObjectMask

MOST_MOVED = 0.25
"""Pixels; an outline that is off by less, on average, is the same one (see `is_same`)."""

SETTLED_AFTER = 8
"""Frames in a row on which a mask must be the same, for what follows to be taken for the same.

A tracker makes a frame of the one before it, and of what it remembers: the trackers here look back
on seven frames at most. One more, and all that a further frame is made of is what it was.
"""

Reach = dict[int, range]
"""By object id, the frames that a correction of it can reach in one direction, in that order."""


class Correction(Propagation):
    """A propagation of some objects that ends where their masks are the ones shown before.

    Made by `VideoSession.propagate_from_here`. An object is followed until its mask was
    `SETTLED_AFTER` times in a row the one shown (`is_same`); frames on which it was not there
    before and is not there now tell nothing either way. Where nothing was shown it goes on.

    Parameters
    ----------
    lock, tracker, state
        As of `Propagation`.
    reaches : list of Reach
        One for each direction.

    Attributes
    ----------
    objects : frozenset of int
        Those that are followed; no other is touched.
    """

    def __init__(
        self,
        lock: AbstractContextManager[object],
        tracker: VideoTracker,
        state: SessionState,
        reaches: list[Reach],
    ) -> None:
        super().__init__(lock, tracker, state, tuple(map(_hull, reaches)))
        self.objects = frozenset(i for reach in reaches for i in reach)
        self._reaches = reaches
        self._n_same: dict[int, int] = {}
        self._step = 1

    @property
    def step(self) -> int:
        """1 while it goes forward, -1 while backward: of the frame given last."""
        return self._step

    def _track(self, leg: range) -> Iterator[TrackedFrame]:
        state = self._state
        return self._tracker.propagate(
            state.journal(leg, with_removed=bool(state.concepts), only=self.objects),
            leg,
            state.issue_id,
        )

    def _take(self, frame_index: int, objects: Mapping[int, ObjectMask]) -> FrameResult:
        state = self._state
        reach = self._reaches[-len(self._left)]
        self._step = self._left[0].step
        was_shown = state.is_shown(frame_index)
        followed = [i for i, frames in reach.items() if frame_index in frames]
        before = {i: state.shown_mask(frame_index, i) for i in followed}
        result = state.show_some(frame_index, {i: objects.get(i) for i in followed})
        for obj_id in followed:
            self._compare(obj_id, before[obj_id], objects.get(obj_id), was_shown=was_shown)
            if self._n_same.get(obj_id, 0) >= SETTLED_AFTER:
                self._settle(obj_id, reach)
        if not any((f[-1] - frame_index) * f.step > 0 for f in reach.values()):
            self._left[0] = range(0)
            self._n_same.clear()
        return result

    def _compare(
        self, obj_id: int, before: ObjectMask | None, now: ObjectMask | None, *, was_shown: bool
    ) -> None:
        if was_shown and before is None and now is None:
            return
        agrees = before is not None and now is not None and is_same(before, now)
        self._n_same[obj_id] = self._n_same.get(obj_id, 0) + 1 if agrees else 0

    def _settle(self, obj_id: int, reach: Reach) -> None:
        """What lies further on is what it would become."""
        frames = reach.pop(obj_id)
        low, high = sorted((frames[0], frames[-1]))
        self._state.stale.discard(obj_id, range(low, high + 1))


def is_same(one: ObjectMask, other: ObjectMask) -> bool:
    """Whether two masks of a frame differ by no more than a tracker's outline trembles.

    Nowhere by a block of two by two pixels, and on average the outline has moved by no more than
    `MOST_MOVED`. An overlap (IoU) would ask small objects for more than that and let large ones
    lose what the person had put right.
    """
    boxes = np.array([one.bbox, other.bbox])
    x0, y0 = boxes[:, :2].min(axis=0) - 1
    x1, y1 = boxes[:, 2:].max(axis=0) + 1
    a, b = (_in_box(mask, x0, y0, x1, y1) for mask in (one, other))
    differ = a ^ b
    rows = differ[1:] & differ[:-1]
    if (rows[:, 1:] & rows[:, :-1]).any():
        return False
    inner = a[1:-1, 1:-1] & a[:-2, 1:-1] & a[2:, 1:-1] & a[1:-1, :-2] & a[1:-1, 2:]
    length = one.area - np.count_nonzero(inner)
    return bool(np.count_nonzero(differ) <= MOST_MOVED * length)


def _in_box(mask: ObjectMask, x0: int, y0: int, x1: int, y1: int) -> BoolArray:
    box: BoolArray = np.zeros((y1 - y0, x1 - x0), bool)
    left, top, right, bottom = mask.bbox
    box[top - y0 : bottom - y0, left - x0 : right - x0] = mask.crop
    return box


def find_reaches(
    state: SessionState,
    n_frames: int,
    direction: Direction,
    start: int,
    objects: Collection[int] | None,
    stop_at: Collection[int],
) -> list[Reach]:
    """How far a correction may reach of objects that are named, or of those that have changed.

    Takes what `VideoSession.propagate_from_here` does, and raises what it says.
    """
    if objects is None:
        prompted = {i for i, frames in state.keyframes.items() if start in frames}
        changed = state.changed_near(start) or prompted
    else:
        changed = {check_object_id(i) for i in objects}
        for obj_id in changed:
            state.check_known(obj_id)
    keyframes = {i: state.keyframes.get(i, {}) for i in changed}
    reaches = plan_correction(n_frames, direction, start, keyframes, stop_at)
    if not reaches:
        raise MissingPromptError(
            f"nothing is to be followed from frame {start}: correct an object there first "
            "(add_prompt), or name the objects that are meant"
        )
    return reaches


def plan_correction(
    n_frames: int,
    direction: Direction,
    start: int,
    keyframes: Mapping[int, Collection[int]],
    stop_at: Collection[int] = (),
) -> list[Reach]:
    """Plan how far a correction may reach.

    Parameters
    ----------
    n_frames : int
        Length of the video.
    direction : "forward", "backward" or "both"
        Forward first; backward begins at the frame before `start`.
    start : int
        0-based frame.
    keyframes : mapping of object id to frames
        Where something is said of the objects: these frames stay, and end the way.
    stop_at : collection of int
        Frames that stay as they are, of all objects.

    Returns
    -------
    list of Reach
        One for each direction, none of them empty.
    """
    steps = {"forward": (1,), "backward": (-1,), "both": (1, -1)}[direction]
    reaches = []
    for step in steps:
        reach = {}
        for obj_id, own in keyframes.items():
            fixed = {*own, *stop_at}
            first = start if step > 0 and start not in fixed else start + step
            ends = [f for f in fixed if (f - first) * step >= 0]
            end = min(ends, key=lambda f: f * step, default=n_frames if step > 0 else -1)
            frames = range(first, end, step)
            if frames:
                reach[obj_id] = frames
        if reach:
            reaches.append(reach)
    return reaches


def _hull(reach: Reach) -> range:
    """All frames of a reach, in its order."""
    step = next(iter(reach.values())).step
    first = min((frames[0] for frames in reach.values()), key=lambda f: f * step)
    last = max((frames[-1] for frames in reach.values()), key=lambda f: f * step)
    return range(first, last + step, step)
