"""With which prompts each frame of a video was followed, so that what is out of date is known."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Mapping

import numpy as np
from numpy.typing import NDArray

from napari_sam3.session.stale_frames import stale_ranges
from napari_sam3.values import BoolArray

Prompts = Mapping[int, Mapping[int, Hashable]]
"""What is said of each object on each frame: by object id, then frame; equal values, equal prompts.
"""


MOST_JOBS = 100
"""As many can be undone."""


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
        self._step = np.ones(n_frames, np.int8)
        self._batches: dict[int, Prompts] = {}
        self._begins_anew: dict[int, bool] = {}
        self._newest = 0
        self._answered: Prompts = {}
        self._now: Prompts = {}
        self._ranges: dict[int, dict[int, dict[int, tuple[range, ...]]]] = {}
        # frames that each job followed, and what had been known of them: changed places by undo
        self._jobs: list[dict[int, tuple[int, int]]] = []
        self._jobs_undone: list[dict[int, tuple[int, int]]] = []
        self._followed: dict[int, tuple[int, int]] = {}
        self._last: int | None = None
        self._is_leg_begun = False
        self._is_under_way = False

    # ------------------------------------------------------------ what happens

    def say(self, prompts: Prompts) -> set[int]:
        """Take what is said now; gives the objects of which other frames are out of date."""
        before, self._now = self._now, prompts
        changed = {i for i in {*before, *prompts} if before.get(i, {}) != prompts.get(i, {})}
        for obj_id in changed:
            self._ranges.pop(obj_id, None)
        return changed

    def begin(self, begins_anew: bool = False) -> None:
        """A job begins: it knows what is said now.

        Parameters
        ----------
        begins_anew : bool
            Whether its model sets objects anew on each keyframe (see `stale_ranges`).
        """
        self._last, self._is_under_way = None, True
        last = (self._batches.get(self._newest), self._begins_anew.get(self._newest))
        if last != (self._now, begins_anew):
            known = (job.values() for job in (*self._jobs, *self._jobs_undone))
            used = {*np.unique(self._batch).tolist(), *(n for job in known for n, _ in job)}
            self._batches = {n: p for n, p in self._batches.items() if n in used}
            self._add(self._now, begins_anew)
        self._ranges.clear()

    def _add(self, prompts: Prompts, begins_anew: bool) -> None:
        self._newest += 1
        self._batches[self._newest] = prompts
        self._begins_anew[self._newest] = begins_anew

    def follow(self, frame_index: int) -> None:
        """The propagation under way has come to a frame."""
        if not self._is_under_way:
            return
        self.answer()
        known = int(self._batch[frame_index]), int(self._step[frame_index])
        self._followed.setdefault(frame_index, known)
        step = 0 if self._last is None else frame_index - self._last
        if abs(step) != 1:
            self._is_leg_begun, step = True, int(self._step[self._last or 0])
        elif self._is_leg_begun:
            assert self._last is not None, "a step leads from one frame to the next"
            self._step[self._last], self._is_leg_begun = step, False
        self._batch[frame_index], self._step[frame_index] = self._newest, step
        self._last = frame_index

    def answer(self) -> None:
        """The model has answered all prompts that the job under way knew."""
        if self._is_under_way:
            self._answered = self._batches.get(self._newest, {})

    def end(self) -> None:
        """The job has ended."""
        self._is_under_way = False
        if self._followed:
            self._jobs = [*self._jobs[1 - MOST_JOBS :], self._followed]
            self._jobs_undone, self._followed = [], {}

    def restore(self, frames: Collection[int]) -> None:
        """Frames are as they were before: by undo, or redo, of the job that had followed them."""
        for jobs, others in (
            (self._jobs, self._jobs_undone),
            (self._jobs_undone, self._jobs),
        ):
            if jobs and jobs[-1].keys() <= set(frames):
                job = jobs.pop()
                for frame_index, known in job.items():
                    here = int(self._batch[frame_index]), int(self._step[frame_index])
                    job[frame_index] = here
                    self._batch[frame_index], self._step[frame_index] = known
                others.append(job)
                return

    def confirm(self, first: int, last: int) -> None:
        """Say that frames are as the prompts of now have them, the last one included.

        For a propagation that stopped where its results no longer changed.
        """
        if self._batches.get(self._newest) != self._now:
            self._add(self._now, self._begins_anew.get(self._newest, False))
        self._batch[first : last + 1] = self._newest
        self._ranges.clear()

    def assume(
        self,
        prompts: Prompts,
        frames: NDArray[np.intp],
        backward: NDArray[np.intp],
        begins_anew: bool = False,
    ) -> None:
        """Take frames that are there already for followed with these prompts.

        Parameters
        ----------
        prompts : Prompts
            What was said.
        frames, backward : (N,) and (M,) int
            The frames, and which of them were followed backward.
        begins_anew : bool
            As `begin` takes it.
        """
        self._add(prompts, begins_anew)
        self._answered = prompts
        self._batch[frames], self._step[frames] = self._newest, 1
        self._step[backward] = -1
        self._ranges.clear()

    def doubt(self, frames: NDArray[np.intp]) -> None:
        """Say that frames were followed with other prompts than those of now, whichever."""
        self._add({}, False)
        self._batch[frames] = self._newest
        self._ranges.clear()

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
        batches, steps = self._batch[frames], self._step[frames]
        for number, by_step in self._stale_ranges(obj_id).items():
            for step, ranges in by_step.items():
                is_meant = (batches == number) & (steps == step)
                for part in ranges:
                    found |= is_meant & (frames >= part.start) & (frames < part.stop)
        # a prompted frame is what its own prompt says
        now, answered = self._now.get(obj_id, {}), self._answered.get(obj_id, {})
        keys = np.array(sorted(now), np.intp)
        places = np.searchsorted(frames, keys)
        for key, place in zip(keys.tolist(), places.tolist(), strict=True):
            if place < len(frames) and frames[place] == key:
                found[place] = answered.get(key) != now[key]
        return found

    def _stale_ranges(self, obj_id: int) -> dict[int, dict[int, tuple[range, ...]]]:
        """By batch, then by the step that frames of it were followed with."""
        if obj_id not in self._ranges:
            now = self._now.get(obj_id, {})
            self._ranges[obj_id] = {
                number: {
                    step: stale_ranges(
                        prompts.get(obj_id, {}),
                        now,
                        step,
                        self._n_frames,
                        begins_anew=self._begins_anew[number],
                    )
                    for step in (1, -1)
                }
                for number, prompts in self._batches.items()
                if prompts.get(obj_id, {}) != now
            }
        return self._ranges[obj_id]
