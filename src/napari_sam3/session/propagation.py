"""A propagation under way: an iterator that can be stopped, and that notices new prompts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from napari_sam3.models.base import TrackedFrame
from napari_sam3.session.answers import without_doubles
from napari_sam3.values import FrameResult

if TYPE_CHECKING:
    from napari_sam3.session.session import VideoSession


class Propagation(Iterator[FrameResult]):
    """Frames of a video, one by one, each computed when it is asked for.

    Made by `VideoSession.propagate`. It ends by itself, by `close` (also at the end of a `with`
    block), by `cancel` from any thread, or when nobody holds it any more. `len` is the number of
    frames planned.
    """

    def __init__(self, session: VideoSession, legs: tuple[range, ...]) -> None:
        self.legs = legs
        self.is_cancelled = False
        self._session = session
        self._left = list(legs)
        self._source: Iterator[TrackedFrame] | None = None
        self._version = -1

    @property
    def is_finished(self) -> bool:
        """Whether there is no further frame to come."""
        return self.is_cancelled or not self._left

    def __len__(self) -> int:
        return sum(len(leg) for leg in self.legs)

    def __next__(self) -> FrameResult:
        """Compute the next frame; frames on the way to the first can be stopped one by one."""
        while True:
            with self._session._lock:
                if self.is_finished:
                    self._end()
                    raise StopIteration
                try:
                    result = self._advance()
                except BaseException:
                    self._end()
                    raise
                if result is not None:
                    return result

    def _advance(self) -> FrameResult | None:
        session, leg = self._session, self._left[0]
        version = session._records.version
        if self._source is None or self._version != version:
            # prompts have changed: go on from here with the new ones
            self._source = self._track(leg)
            self._version = version
        tracked = next(self._source)
        if tracked.objects is None:
            return None  # on the way to the frame wanted
        self._left[0] = leg[1:]
        if not self._left[0]:
            del self._left[0]
            self._source = None
        # an object that the model did not find is not there
        records = session._records
        records.judge_newcomers(tracked.objects)
        rivals = records.pointed_at(tracked.frame_index) - records.removed
        return records.show(tracked.frame_index, without_doubles(tracked.objects, rivals))

    def _track(self, leg: range) -> Iterator[TrackedFrame]:
        """Let the model follow the prompts as they are now."""
        records = self._session._records
        # a concept could find a removed object again: the model follows it, unseen
        journal = records.journal(leg, with_removed=bool(records.concepts))
        return self._session._tracker.propagate(journal, leg, records.issue_id)

    def cancel(self) -> None:
        """End before the next frame; callable from any thread, returns at once."""
        self.is_cancelled = True

    def close(self) -> None:
        """End now; what was given stays."""
        self.cancel()

    def _end(self) -> None:
        self._left.clear()
        self._source = None

    def __enter__(self) -> Propagation:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
