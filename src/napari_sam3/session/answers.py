"""What a model answered last, so that it is not asked the same thing twice."""

from __future__ import annotations

from collections import deque

from napari_sam3.models.base import VideoTracker
from napari_sam3.values import Keyframe, ObjectPrompt

KEPT = 8
"""Answers; a prompt may hold a painted mask, and a model remember something for each."""


class Answers:
    """Asks a tracker what prompts mean.

    An answer depends on the frame and the prompt alone (`VideoTracker.segment`). So what was
    previewed is not computed again when it is meant, nor what is undone and done again.
    """

    def __init__(self) -> None:
        self._kept: deque[tuple[int, Keyframe]] = deque(maxlen=KEPT)

    def ask(self, tracker: VideoTracker, frame_index: int, prompt: ObjectPrompt) -> Keyframe:
        """The prompt and the mask that the model answers on a frame."""
        for asked_on, keyframe in self._kept:
            if asked_on == frame_index and keyframe.prompt.says_as(prompt):
                return keyframe
        keyframe = Keyframe(prompt, tracker.segment(frame_index, prompt))
        self._kept.appendleft((frame_index, keyframe))
        return keyframe
