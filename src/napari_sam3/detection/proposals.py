"""What a detector finds as prompts: for a person to look at, edit, and give back."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from itertools import count

from napari_sam3.detection.base import Detector
from napari_sam3.detection.known_objects import new_objects
from napari_sam3.session.saved_prompts import PromptList, SavedPrompt
from napari_sam3.values import Frames, ObjectMask

_STILL = 0.5


def propose(
    found: Iterable[ObjectMask], frame_index: int, taken: Collection[int] = ()
) -> PromptList:
    """A mask prompt for each object found on a frame, with ids from 1 that are not `taken`.

    They can be written to a file (`session.prompt_files.write_prompts`), or be tracked by
    `track_video`.
    """
    free = (number for number in count(1) if number not in taken)
    return PromptList(SavedPrompt(frame_index, next(free), mask=mask) for mask in found)


class NewObjects:
    """What comes into a video that is tracked: looked for frame by frame, told, never taken.

    What was proposed on the frame looked at last, and still lies where it was by more than half
    (intersection over union), is proposed under the same id again: one object, said on both frames.

    Parameters
    ----------
    detector : Detector
    frames : Frames
        The video as models see it.
    taken : collection of int
        Ids that objects of the video have.

    Attributes
    ----------
    prompts : list of SavedPrompt
        What was proposed, by frame.
    """

    def __init__(self, detector: Detector, frames: Frames, taken: Collection[int]) -> None:
        self.prompts: list[SavedPrompt] = []
        self._detector, self._frames = detector, frames
        self._next_id: Callable[[], int] = count(max(taken, default=0) + 1).__next__
        self._last: list[SavedPrompt] = []

    @property
    def object_ids(self) -> list[int]:
        """Of the objects that were proposed, rising."""
        return sorted({p.obj_id for p in self.prompts if p.obj_id is not None})

    def look_at(self, frame_index: int, known: Mapping[int, ObjectMask]) -> list[SavedPrompt]:
        """Look for what is new on a frame on which the objects `known` are; gives what is."""
        found = self._detector.detect(self._frames[frame_index])
        here: list[SavedPrompt] = []
        for mask in new_objects(found, list(known.values())):
            before = [
                p.obj_id
                for p in self._last
                if p.mask is not None and mask.overlap(p.mask) > _STILL and not _has(here, p.obj_id)
            ]
            obj_id = before[0] if before else self._next_id()
            here.append(SavedPrompt(frame_index, obj_id, mask=mask))
        self._last = here
        self.prompts += here
        return here


def _has(prompts: Iterable[SavedPrompt], obj_id: int | None) -> bool:
    return any(prompt.obj_id == obj_id for prompt in prompts)
