"""How much of an object is expected to be wrong on each frame, and why.

The measure is the overlap that is missing (1 - J). Where there is a score, it estimates that.
What scores can't tell is seen in the track itself: something that jumps, falls apart or comes back
somewhere else may be another thing from there on, however sure the model is of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_sam3.review.reasons import Kind, Reason
from napari_sam3.values import FloatArray

_LOST = 0.8  # expected to be wrong where an object is not seen
_LEFT = 0.1  # the same of one that went out of the picture, or is hidden as a person said
_UNSCORED = 0.1
_IDENTITY = 0.9  # chance that what is there after an impossible way is another thing
_SHAPE = 0.5  # that a jump of size, or parts, are a mistake
_CONTACT = 0.15  # that objects swap or merge where they begin to touch
_USUAL = 3.0  # times the usual step or change that are no jump
_NO_JUMP = 1.35  # times its area, as well


class Course(NamedTuple):
    """One object over the frames that were looked at in its life; all arrays (N,).

    Attributes
    ----------
    frames : int array
        Rising.
    seen : bool array
        Whether it is there.
    signs : array of `signs.SIGN`
        Of the frames where it is there.
    fixed : bool array
        Where a person said how it is: by a prompt, by painting, by "right".
    """

    frames: NDArray[np.int64]
    seen: NDArray[np.bool_]
    signs: NDArray[np.void]
    fixed: NDArray[np.bool_]


class Doubt(NamedTuple):
    """What is doubtful of an object.

    Attributes
    ----------
    loss : (N,) float array
        Share of overlap that is expected to be wrong, 0..1; 0 where a person said how it is.
    events : list of (weight, Reason)
        Chance that each is a mistake.
    """

    loss: FloatArray
    events: list[tuple[float, Reason]]


class _Event(NamedTuple):
    """Something at a place of the arrays; `holds` says where it makes results doubtful."""

    place: int
    chance: float
    reason: Reason
    holds: NDArray[np.bool_]


def doubt_of(course: Course) -> Doubt:
    """Tell where an object is to be doubted."""
    loss = _loss_by_score(course)
    loss[~course.seen] = 0
    events = [e for e in (*_absences(course), *_moves(course), *_shapes(course)) if e.chance > 0]
    for event in events:
        loss[event.holds] = 1 - (1 - loss[event.holds]) * (1 - event.chance)
    loss[course.fixed] = 0
    return Doubt(loss, [(e.chance, e.reason) for e in events])


def _loss_by_score(course: Course) -> FloatArray:
    scores = course.signs["score"].astype(float)
    known = np.isfinite(scores) & course.seen & ~course.fixed
    return np.where(known, 1 - scores, _UNSCORED)


def _until_fixed(course: Course, place: int) -> NDArray[np.bool_]:
    """From a place on, in the direction away from what is fixed, until something is fixed."""
    holds = np.zeros(len(course.frames), bool)
    anchors = np.flatnonzero(course.fixed)
    if anchors.size and place <= anchors[0]:  # followed backward from there
        holds[:place] = True
    else:
        end = anchors[anchors >= place]
        holds[place : end[0] if end.size else None] = True
    return holds


def _absences(course: Course) -> Iterator[_Event]:
    """Where it is not seen, once it was."""
    places = np.flatnonzero(course.seen)
    anchors = np.flatnonzero(course.fixed)
    if not places.size:
        return
    gone = ~course.seen & ~course.fixed
    for first, last in _runs(gone):
        if first == 0 and not (anchors.size and anchors[0] > places[0]):
            continue  # before it is there at all
        beside = last + 1 if first == 0 else first - 1
        is_said = not course.seen[beside]
        chance = _LEFT if is_said or course.signs["at_edge"][beside] else _LOST
        holds = np.zeros(len(gone), bool)
        holds[first : last + 1] = True
        frame_index = int(course.frames[first])
        reason = Reason("lost", frame_index, float(last - first + 1))
        yield _Event(first, chance, reason, holds)


def _moves(course: Course) -> Iterator[_Event]:
    """Where it gets to from one frame on which it is seen to the next."""
    places = np.flatnonzero(course.seen)
    if places.size < 2:
        return
    signs, frames = course.signs[places], course.frames[places]
    steps = np.hypot(np.diff(signs["x"]), np.diff(signs["y"])).astype(float)
    gaps = np.diff(frames)
    side = np.sqrt(np.maximum(signs["area"][:-1], 1)).astype(float)
    usual = float(np.median(steps / gaps))
    excess = (steps - _USUAL * usual * gaps - 0.5 * side * np.sqrt(gaps)) / side
    for n in np.flatnonzero(excess > 0):
        before, place = int(places[n]), int(places[n + 1])
        if course.fixed[place] and course.fixed[:place].any():
            continue  # the correction itself
        chance = _IDENTITY * min(float(excess[n]), 1.0)
        far = place - before > 1
        kind: Kind = "far" if far else "jump"
        amount = float(steps[n]) if far else float(steps[n] / side[n])
        reason = Reason(kind, int(frames[n + 1]), amount)
        yield _Event(place, chance, reason, _until_fixed(course, place))


def _shapes(course: Course) -> Iterator[_Event]:
    """Where its size jumps, it falls apart, or begins to touch another one."""
    yield from _size_jumps(course)
    signs, seen = course.signs, course.seen
    fixed = np.flatnonzero(course.fixed & seen)
    at_first = fixed if fixed.size else np.flatnonzero(seen)[:1]
    usual_share = float(signs["share"][at_first].min()) if at_first.size else 1.0
    fallen = (usual_share - signs["share"] - 0.1) / 0.4
    for first, last in _runs((fallen > 0) & seen & ~course.fixed):
        holds = np.zeros(len(seen), bool)
        holds[first : last + 1] = True
        worst = first + int(np.argmax(fallen[first : last + 1]))
        chance = _SHAPE * min(float(fallen[worst]), 1.0)
        share = float(signs["share"][worst])
        yield _Event(worst, chance, Reason("split", int(course.frames[worst]), share), holds)
    usual_ones = set(signs["touches"][at_first].tolist())
    for other in set(signs["touches"][seen].tolist()) - usual_ones - {0}:
        place = int(np.flatnonzero(seen & (signs["touches"] == other))[0])
        reason = Reason("touch", int(course.frames[place]), other=other)
        yield _Event(place, _CONTACT, reason, _until_fixed(course, place))


def _size_jumps(course: Course) -> Iterator[_Event]:
    """Where it becomes larger or smaller than it was, until it is as before."""
    seen = course.seen
    sizes = np.log(np.maximum(course.signs["area"], 1).astype(float))
    beside = np.flatnonzero(seen[1:] & seen[:-1]) + 1
    changes = sizes[beside] - sizes[beside - 1]
    usual = float(np.median(np.abs(changes))) if beside.size else 0.0
    excess = (np.abs(changes) - _USUAL * usual - np.log(_NO_JUMP)) / np.log(2)
    for place in beside[excess > 0].tolist():
        if course.fixed[place] and course.fixed[:place].any():
            continue  # the correction itself
        change = float(sizes[place] - sizes[place - 1])
        holds = _until_fixed(course, place)
        before = seen[:place] if holds[place] else np.append(np.zeros(place, bool), seen[place:])
        reference = float(np.median(sizes[: len(before)][before]))
        came, was = (place, place - 1) if holds[place] else (place - 1, place)
        if abs(sizes[came] - reference) < abs(sizes[was] - reference):
            continue  # it is as before again
        is_off = seen & (np.abs(sizes - sizes[was]) > abs(change) / 2)
        holds &= _joined(is_off, came)
        chance = _SHAPE * min((abs(change) - np.log(_NO_JUMP)) / np.log(2), 1.0)
        reason = Reason("size", int(course.frames[place]), float(np.exp(change)))
        yield _Event(place, chance, reason, holds)


def _joined(flags: NDArray[np.bool_], place: int) -> NDArray[np.bool_]:
    """The run of true values that a place is in."""
    run = np.zeros(len(flags), bool)
    for first, last in _runs(flags):
        if first <= place <= last:
            run[first : last + 1] = True
    return run


def _runs(flags: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """First and last place of each run of true values."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], flags.astype(np.int8), [0]])))
    return [(int(a), int(b) - 1) for a, b in edges.reshape(-1, 2)]
