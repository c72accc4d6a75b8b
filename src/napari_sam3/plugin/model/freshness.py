"""With which prompts each frame of a video was followed, so that what is out of date is known."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from napari_sam3.session.stale_frames import stale_ranges
from napari_sam3.values import BoolArray

Prompts = Mapping[int, Mapping[int, Hashable]]
"""What is said of each object on each frame: by object id, then frame; equal values, equal prompts.
"""

MOST_JOBS = 100
"""As many can be undone."""


@dataclass
class _Job:
    """What a job has changed of what is known; it changes places with that by undo and redo."""

    frames: dict[int, int] = field(default_factory=dict)
    own: dict[int, NDArray[np.int32] | None] = field(default_factory=dict)


class Freshness:
    """Remembers, frame by frame, the prompts that a propagation knew when it came there.

    Prompts that change back are as they were: what was undone leaves nothing out of date.

    Parameters
    ----------
    n_frames : int
        Of the video.
    """

    def __init__(self, n_frames: int) -> None:
        self._n_frames = n_frames
        # which prompts a frame was followed with; 0: with none that are known
        self._batch = np.zeros(n_frames, np.int32)
        # the same for objects that were followed alone; -1: as the frame
        self._own: dict[int, NDArray[np.int32]] = {}
        self._batches: dict[int, Prompts] = {}
        self._newest = 0
        self._answered: Prompts = {}
        self._now: Prompts = {}
        self._ranges: dict[int, dict[int, tuple[range, ...]]] = {}
        self._jobs: list[_Job] = []
        self._jobs_undone: list[_Job] = []
        self._job: _Job | None = None

    # ------------------------------------------------------------ what happens

    def say(self, prompts: Prompts) -> set[int]:
        """Take what is said now; gives the objects of which other frames are out of date."""
        before, self._now = self._now, prompts
        changed = {i for i in {*before, *prompts} if before.get(i, {}) != prompts.get(i, {})}
        for obj_id in changed:
            self._ranges.pop(obj_id, None)
        return changed

    def begin(self) -> None:
        """A job begins: it knows what is said now."""
        self._job = _Job()
        if self._batches.get(self._newest) != self._now:
            self._add(self._now)

    def follow(self, frame_index: int, only: Collection[int] | None = None) -> None:
        """The propagation under way has come to a frame; with some objects only, if they are named.

        All prompts that it knew are answered by then.
        """
        job = self._job
        if job is None:
            return
        self.answer()
        job.frames.setdefault(frame_index, int(self._batch[frame_index]))
        for obj_id in self._own if only is None else only:
            self._remember(job, obj_id)
            self._own[obj_id][frame_index] = -1 if only is None else self._newest
        if only is None:
            self._batch[frame_index] = self._newest

    def confirm(self, obj_id: int, stale: Iterable[range]) -> None:
        """Say that an object is everywhere as the job's prompts have it, but on these frames.

        For a propagation that ended where its results no longer changed.
        """
        if self._job is not None:
            self._remember(self._job, obj_id)
            is_settled = np.ones(self._n_frames, bool)
            for frames in stale:
                is_settled[frames.start : frames.stop] = False
            self._own[obj_id][is_settled] = self._newest

    def answer(self) -> None:
        """The model has answered all prompts that the job under way knew."""
        if self._job is not None:
            self._answered = self._batches.get(self._newest, {})

    def end(self) -> None:
        """The job has ended."""
        job, self._job = self._job, None
        if job is not None and job.frames:
            self._jobs = [*self._jobs[1 - MOST_JOBS :], job]
            self._jobs_undone = []

    def restore(self, frames: Collection[int]) -> None:
        """Frames are as they were before: by undo, or redo, of the job that had followed them."""
        for jobs, others in (
            (self._jobs, self._jobs_undone),
            (self._jobs_undone, self._jobs),
        ):
            if jobs and jobs[-1].frames.keys() <= set(frames):
                job = jobs.pop()
                for frame_index, known in job.frames.items():
                    job.frames[frame_index] = int(self._batch[frame_index])
                    self._batch[frame_index] = known
                for obj_id, own in job.own.items():
                    job.own[obj_id] = self._own.pop(obj_id, None)
                    if own is not None:
                        self._own[obj_id] = own
                others.append(job)
                return

    def assume(self, prompts: Prompts, frames: NDArray[np.intp]) -> None:
        """Take frames that are there already, (N,) int, for followed with these prompts."""
        self._add(prompts)
        self._answered = prompts
        self._batch[frames] = self._newest

    def doubt(self, frames: NDArray[np.intp]) -> None:
        """Say that frames, (N,) int, were followed with other prompts than those of now."""
        self._add({})
        self._batch[frames] = self._newest

    def _add(self, prompts: Prompts) -> None:
        self._newest += 1
        self._batches[self._newest] = prompts
        self._ranges.clear()

    def _remember(self, job: _Job, obj_id: int) -> None:
        """Keep what is known of an object for itself, before the job changes it."""
        known = self._own.get(obj_id)
        if obj_id not in job.own:
            job.own[obj_id] = None if known is None else known.copy()
        if known is None:
            self._own[obj_id] = np.full(self._n_frames, -1, np.int32)

    # ------------------------------------------------------------- what is stale

    @property
    def is_blank(self) -> bool:
        """Whether nothing is known of any frame."""
        return not self._batches

    @property
    def now(self) -> Prompts:
        """What is said now."""
        return self._now

    @property
    def objects(self) -> set[int]:
        """Objects of which frames may be out of date."""
        said = {i for batch in self._batches.values() for i in batch}
        return {*said, *self._answered, *self._now}

    def stale(self, obj_id: int, frames: NDArray[np.intp]) -> BoolArray:
        """Whether an object would come out differently on frames, all of which were processed.

        Parameters
        ----------
        obj_id : int
            The object.
        frames : (N,) int
            Rising.

        Returns
        -------
        (N,) bool
        """
        found = np.zeros(len(frames), bool)
        batches, own = self._batch[frames], self._own.get(obj_id)
        if own is not None:
            batches = np.where(own[frames] < 0, batches, own[frames])
        for number, ranges in self._stale_ranges(obj_id).items():
            for part in ranges:
                found |= (batches == number) & (frames >= part.start) & (frames < part.stop)
        # a prompted frame is what its own prompt says
        now, answered = self._now.get(obj_id, {}), self._answered.get(obj_id, {})
        keys = np.array(sorted(now), np.intp)
        places = np.searchsorted(frames, keys)
        for key, place in zip(keys.tolist(), places.tolist(), strict=True):
            if place < len(frames) and frames[place] == key:
                found[place] = answered.get(key) != now[key]
        return found

    def _stale_ranges(self, obj_id: int) -> dict[int, tuple[range, ...]]:
        """By the batch of prompts that frames were followed with."""
        if obj_id not in self._ranges:
            now = self._now.get(obj_id, {})
            batches = {n: prompts.get(obj_id, {}) for n, prompts in self._batches.items()}
            self._ranges[obj_id] = {
                n: stale_ranges(then, now, self._n_frames)
                for n, then in batches.items()
                if then != now
            }
        return self._ranges[obj_id]
