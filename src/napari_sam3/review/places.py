"""Places worth a look, by what a correction there would bring."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_sam3.review.doubt import Course, Doubt
from napari_sam3.review.reasons import KINDS, Reason
from napari_sam3.values import FloatArray

LEAST_VALUE = 0.5
"""Of a place; less is not worth a look: half a frame of overlap."""

_CANDIDATES = 96  # frames of a stretch that are weighed; of a longer one evenly so many
_BEFORE = 0.75  # what the first correction of a track's end mends of what is before it there
_HALF = 0.5  # of the way to what was known: so much nearer a frame is that hangs on a place


class Place(NamedTuple):
    """An object on a frame that is worth a look.

    Attributes
    ----------
    obj_id : int
    frame_index : int
        Where to look, and to correct.
    first, last : int
        Frames that hang on it, both inclusive.
    value : float
        How many frames' worth of overlap a correction there is expected to bring, once what was
        named before it in the queue is put right.
    reasons : tuple of Reason
        The weightiest first.
    xy : (float, float)
        Centroid of the object there, or where it was seen nearest in time, px.
    """

    obj_id: int
    frame_index: int
    first: int
    last: int
    value: float
    reasons: tuple[Reason, ...]
    xy: tuple[float, float]

    @property
    def is_doubtful(self) -> bool:
        """Whether something is seen to be wrong, beside how long nobody looked."""
        return any(reason.kind != "long" for reason in self.reasons)

    def __str__(self) -> str:
        return "; ".join(map(str, self.reasons))


class _Stretch(NamedTuple):
    """Places of an object's arrays between two known ones; its best frame, and what that brings."""

    begin: int
    end: int
    best: int
    value: float


def places_of(obj_id: int, course: Course, doubt: Doubt) -> Iterator[Place]:
    """Find what of one object is worth a look, the most valuable first.

    What goes wrong does so more the farther it is from where it was right. So a correction is
    expected to leave of the doubt on each frame as much as its distance is nearer than that to
    what was known; wherever that takes off most is the next place, after which the same holds for
    the two halves.

    Parameters
    ----------
    obj_id : int
    course : Course
    doubt : Doubt
        Of it.
    """
    if not course.seen.any():
        return
    search = _Search(course, doubt)
    known = [-1, *np.flatnonzero(course.fixed).tolist(), len(course.frames)]
    heap: list[tuple[float, int, _Stretch]] = []

    def push(begin: int, end: int) -> None:
        stretch = search.best(begin, end)
        if stretch is not None and stretch.value >= LEAST_VALUE:
            heapq.heappush(heap, (-stretch.value, begin, stretch))

    for left, right in pairwise(known):
        push(left + 1, right)
    while heap:
        _, _, stretch = heapq.heappop(heap)
        yield search.take(obj_id, stretch)
        push(stretch.begin, stretch.best)
        push(stretch.best + 1, stretch.end)


class _Search:
    """The doubt that is left of an object, and how far each frame is from what is known."""

    def __init__(self, course: Course, doubt: Doubt) -> None:
        self._course, self._doubt = course, doubt
        self._loss = doubt.loss.copy()
        frames = course.frames
        known = np.flatnonzero(course.fixed)
        if not known.size:  # nobody said anything: it is right where it comes from, perhaps
            known = np.flatnonzero(course.seen)[:1]
        at = frames[known] if known.size else frames[:1]
        self._far = np.abs(frames[:, None] - at[None, :]).min(axis=1).astype(float)
        self._far = np.maximum(self._far, 1.0)

    def best(self, begin: int, end: int) -> _Stretch | None:
        """The frame of a stretch at which a correction would take off most doubt."""
        if begin >= end or not self._loss[begin:end].any():
            return None
        count = min(end - begin, _CANDIDATES)
        tried = np.unique(np.linspace(begin, end - 1, count).round().astype(int))
        gains = self._gains(tried, begin, end)
        best = int(tried[gains.argmax()])
        value = float(gains.max())
        for chance, reason in sorted(self._doubt.events, key=lambda e: -e[0]):
            place = int(np.searchsorted(self._course.frames, reason.frame_index))
            if reason.kind in ("far", "jump") and chance >= 0.5 and begin <= place < end:
                # where it became another one is seen best there, and from there on all follows
                there = float(self._gains(np.array([place]), begin, end)[0])
                if there >= 0.5 * value:
                    return _Stretch(begin, end, place, there)
        return _Stretch(begin, end, best, value)

    def _gains(self, tried: NDArray[np.int64], begin: int, end: int) -> FloatArray:
        frames = self._course.frames
        left = self._left(frames[tried][:, None], begin, end)
        return np.asarray(((1 - left) * self._loss[begin:end]).sum(axis=1))

    def _left(self, at: NDArray[np.int64] | int, begin: int, end: int) -> FloatArray:
        """Share of the doubt that a correction on a frame leaves on each of a stretch."""
        left = self._nearer(at, begin, end)
        if end < len(self._loss):
            return left
        is_before = self._course.frames[begin:end] < at
        return np.where(is_before, 1 - _BEFORE * (1 - left), left)

    def _nearer(self, at: NDArray[np.int64] | int, begin: int, end: int) -> FloatArray:
        """How far each frame of a stretch is from a frame, as a share of how far it was; <= 1."""
        away = np.abs(self._course.frames[begin:end] - at)
        return np.asarray(np.minimum(away / self._far[begin:end], 1.0))

    def take(self, obj_id: int, stretch: _Stretch) -> Place:
        """Count a stretch's best frame among those that are known, and tell of it."""
        begin, end, best, value = stretch
        frames = self._course.frames
        left, nearer = self._left(frames[best], begin, end), self._nearer(frames[best], begin, end)
        reached = nearer <= _HALF
        reached[best - begin] = True
        first, last = best, best
        while first > begin and reached[first - 1 - begin]:
            first -= 1
        while last + 1 < end and reached[last + 1 - begin]:
            last += 1
        reasons = self._reasons(first, last, best)
        self._loss[begin:end] *= left
        self._far[begin:end] = np.maximum(self._far[begin:end] * nearer, 1.0)
        seen = np.flatnonzero(self._course.seen)
        nearest = self._course.signs[seen[np.abs(seen - best).argmin()]]
        return Place(
            obj_id,
            int(frames[best]),
            int(frames[first]),
            int(frames[last]),
            value,
            reasons,
            (float(nearest["x"]), float(nearest["y"])),
        )

    def _reasons(self, first: int, last: int, best: int) -> tuple[Reason, ...]:
        course = self._course
        frames = course.frames
        weighed = []
        for chance, reason in self._doubt.events:
            length = reason.amount if reason.kind == "lost" else 1
            if frames[first] - length < reason.frame_index <= frames[last]:
                weighed.append((chance, reason))
        scores = np.where(course.seen & ~course.fixed, course.signs["score"], np.nan)
        within = scores[first : last + 1]
        if np.isfinite(within).any():
            lowest = float(np.nanmin(within))
            if lowest < 0.8:
                where = first + int(np.nanargmin(within))
                weighed.append((1 - lowest, Reason("score", int(frames[where]), lowest)))
        most = max((w for w, _ in weighed), default=0.0)
        kept = [(w, r) for w, r in weighed if w >= 0.4 * most]
        kept.sort(key=lambda pair: (-pair[0], KINDS.index(pair[1].kind)))
        named: dict[str, Reason] = {}
        for _, reason in kept:
            named.setdefault(reason.kind, reason)
        if not named:
            return (Reason("long", int(frames[best]), float(self._far[best])),)
        return tuple(named.values())
