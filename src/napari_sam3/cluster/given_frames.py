"""The last frames that a worker has given, for another one to go on from when it dies.

Near what would come otherwise, and not the same: a tracker's state is more than what it showed
(`session.recovery`). So they are kept only of journals that allow it (`Journal.note_nearly`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

from napari_sam3.models.base import TrackedFrame
from napari_sam3.session.session_state import MOST_KNOWN
from napari_sam3.values import Journal, ObjectMask


class GivenFrames:
    """The last frames that were given, for a worker that goes on from them."""

    def __init__(self) -> None:
        self._frames: deque[TrackedFrame] = deque(maxlen=MOST_KNOWN)
        self._step = 0
        self._journal: Journal | None = None

    def add(self, journal: Journal, tracked: TrackedFrame, step: int) -> None:
        """Know a frame that a run by `step` has given; those before it are of the same way."""
        if journal.note_nearly is None or journal.only is not None:
            self.clear()
            return
        if self._journal is not journal or self._step != step:
            # of other prompts are those that these do not concern
            self._keep_true(journal, step, tracked.frame_index)
            self._journal, self._step = journal, step
        self._frames.append(tracked)

    def before(self, journal: Journal, left: range) -> dict[int, Mapping[int, ObjectMask]]:
        """Those on the way to the frames left that are as the journal would have them."""
        self._keep_true(journal, left.step, left[0])
        return {f.frame_index: f.objects for f in self._frames if f.objects is not None}

    def clear(self) -> None:
        """Forget them."""
        self._frames.clear()
        self._journal = None

    def _keep_true(self, journal: Journal, step: int, begin: int) -> None:
        old = self._journal
        if old is None or self._step != step:
            self._frames.clear()
            return
        true = [
            f
            for f in self._frames
            if (begin - f.frame_index) * step > 0
            and _said_before(old, f.frame_index, step) == _said_before(journal, f.frame_index, step)
        ]
        self._frames = deque(true, MOST_KNOWN)


def _said_before(journal: Journal, frame_index: int, step: int) -> tuple[object, ...]:
    """What a frame depends on: the prompts that lie before it on the way, and all concepts."""
    said = {
        (obj_id, f, id(keyframe))
        for obj_id, keyframes in journal.objects.items()
        for f, keyframe in keyframes.items()
        if (frame_index - f) * step >= 0
    }
    return said, journal.concepts, journal.hold_back
