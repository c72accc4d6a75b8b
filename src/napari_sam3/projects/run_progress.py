"""Which frames of a run are done, and which of those are still true, as the store tells."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sam3.projects.state import RunNote
from napari_sam3.session.saved_prompts import PromptList


def frames_left(run: RunNote, labels: Any) -> tuple[range, ...]:
    """The legs of a run from the first frame on that is not done; locked frames need not be."""
    return tuple(leg[n:] for leg, n in _progress(run, labels) if n < len(leg))


def frames_to_do(run: RunNote, labels: Any) -> tuple[range, ...]:
    """As `frames_left`, with what was done with other prompts than there are now before it."""
    legs: list[range] = []
    for leg, n in _progress(run, labels):
        stale = (p for p in run.stale if p[0] in leg[:n] and p[1] in leg[:n])
        legs += [leg[leg.index(first) : leg.index(last) + 1] for first, last in stale]
        legs.append(leg[n:])
    return tuple(leg for leg in legs if leg)


def without_redone(run: RunNote, frame_index: int) -> RunNote:
    """The note of a run after a stale frame was done again; they are done in their order."""
    stale = []
    for first, last in run.stale:
        if first != frame_index:
            stale.append((first, last))
        elif first != last:
            stale.append((first + (1 if last > first else -1), last))
    return replace(run, stale=tuple(stale)) if tuple(stale) != run.stale else run


def fresh_frames(run: RunNote, labels: Any) -> tuple[range, ...]:
    """What is done of each leg with the prompts of now, in the order it was done."""
    fresh: list[range] = []
    for leg, n in _progress(run, labels):
        done = leg[:n]
        for first, last in run.stale:
            if first in leg and last in leg and first in done:
                fresh += [done[: leg.index(first)], done[leg.index(last) + 1 :]]
                break
        else:
            fresh.append(done)
    return tuple(part for part in fresh if part)


def stale_after(run: RunNote, changed: Collection[int], labels: Any) -> RunNote:
    """The note of a run after prompts have changed on some frames.

    What was done behind such a frame, in the order of the run, was done with other prompts.
    """
    stale = []
    for leg, n in _progress(run, labels):
        if not n:
            continue
        step, last = leg.step, leg[n - 1]
        places = [p for p in run.stale if p[0] in leg and p[1] in leg]
        behind = [c for c in changed if (last - c) * step >= 0]
        if behind:
            first = min([*behind, *(p[0] for p in places)], key=lambda f: f * step)
            places = [(first if first in leg else leg[0], last)]
        stale += places
    return replace(run, stale=tuple(stale))


def still_stale(run: RunNote, ranges: Collection[range]) -> RunNote:
    """The note of a run of which no other frames than those of `ranges` are stale."""
    stale = []
    for first, last in run.stale:
        low, high = sorted((first, last))
        parts = [(max(low, r.start), min(high, r.stop - 1)) for r in ranges]
        parts = [part for part in parts if part[0] <= part[1]]
        if parts:
            ends = min(p[0] for p in parts), max(p[1] for p in parts)
            stale.append(ends if first <= last else ends[::-1])
    return replace(run, stale=tuple(stale))


def changed_frames(before: PromptList, now: PromptList) -> set[int]:
    """Frames on which not the same is said."""

    def texts_by_frame(prompts: PromptList) -> dict[int, list[str]]:
        frames: dict[int, list[str]] = {}
        for prompt in prompts:
            frames.setdefault(prompt.frame_index, []).append(json.dumps(prompt.to_json()))
        return frames

    old, new = texts_by_frame(before), texts_by_frame(now)
    return {f for f in {*old, *new} if sorted(old.get(f, [])) != sorted(new.get(f, []))}


def _progress(run: RunNote, labels: Any) -> Iterator[tuple[range, int]]:
    """Each leg, and how many of its frames are done without a gap."""
    n_frames = labels.shape[0]
    done: NDArray[np.bool_] = np.zeros(n_frames, bool)
    done[labels.frames_of_run(run.number)] = True
    done[labels.locked_frames()] = True
    for leg in run.legs(n_frames):
        open_frames = np.flatnonzero(~done[np.arange(leg.start, leg.stop, leg.step)])
        yield leg, int(open_frames[0]) if open_frames.size else len(leg)
