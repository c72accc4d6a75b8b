"""What a model answered last, so that it is not asked the same thing twice."""

from __future__ import annotations

from collections import deque

from napari_sam3.models.base import VideoTracker
from napari_sam3.values import Keyframe, ObjectPrompt

KEPT = 64
"""Answers; a model may remember something for each."""
KEPT_BYTES = 32 * 2**20
"""Of masks, those of the prompts and the answers; the newest answer is kept in any case."""


class Answers:
    """Asks a tracker what prompts mean.

    An answer depends on the frame and the prompt alone (`VideoTracker.segment`). So what was
    previewed is not computed again when it is meant, nor what is undone and done again.
    """

    def __init__(self) -> None:
        self._kept: deque[tuple[int, Keyframe]] = deque(maxlen=KEPT)  # the newest first

    def ask(self, tracker: VideoTracker, frame_index: int, prompt: ObjectPrompt) -> Keyframe:
        """The prompt and the mask that the model answers on a frame."""
        for asked_on, keyframe in self._kept:
            if asked_on == frame_index and keyframe.prompt.says_as(prompt):
                return keyframe
        keyframe = Keyframe(prompt, tracker.segment(frame_index, prompt))
        self._kept.appendleft((frame_index, keyframe))
        while len(self._kept) > 1 and sum(_size_of(k) for _, k in self._kept) > KEPT_BYTES:
            self._kept.pop()
        return keyframe


def _size_of(keyframe: Keyframe) -> int:
    """Bytes of its masks."""
    prompt = keyframe.prompt
    crops = (mask.crop for mask in (keyframe.mask, prompt.prior) if mask is not None)
    painted = 0 if prompt.mask is None else prompt.mask.nbytes
    return painted + sum(crop.nbytes for crop in crops)
