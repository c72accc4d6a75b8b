"""Read frames one after another, the next ones in a thread while the last one is looked at."""

from __future__ import annotations

import weakref
from collections import deque
from collections.abc import Iterator
from threading import Condition, Thread
from types import TracebackType
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from napari_sam3.video.base import Frame, Video

AHEAD_BYTES = 64 * 2**20
"""So much is read ahead at most: 10 frames of 1080p."""
_MOST_AHEAD = 16


class FramesAhead(Iterator["Frame"]):
    """Frames of a video in a given order; made by `Video.frames`.

    A context manager too. The thread starts with the first frame asked for and ends after the
    last one, with `close`, or when nobody holds the iterator any more.

    Parameters
    ----------
    video : Video
        Read by the thread.
    numbers : range
        The frames, 0-based.
    owns_video : bool
        Whether to close the video at the end.
    """

    def __init__(self, video: Video, numbers: range, *, owns_video: bool) -> None:
        self._numbers = numbers
        self._given = 0
        self._shelf = _Shelf(video, numbers, owns_video=owns_video)
        # the thread knows the shelf only, so that dropping the iterator ends it
        self._finalizer = weakref.finalize(self, self._shelf.close)

    def __len__(self) -> int:
        """Frames still to come."""
        return len(self._numbers) - self._given

    def __next__(self) -> Frame:
        if not len(self):
            self.close()
            raise StopIteration
        try:
            frame = self._shelf.take()
        except BaseException:
            self._given = len(self._numbers)
            self.close()
            raise
        self._given += 1
        return frame

    def close(self) -> None:
        """End the thread, and wait for that; closing twice does no harm."""
        self._given = len(self._numbers)
        self._finalizer()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


class _Shelf:
    """Where the thread lays frames down and the reader takes them from."""

    def __init__(self, video: Video, numbers: range, *, owns_video: bool) -> None:
        self._video = video
        self._numbers = numbers
        self._owns_video = owns_video
        frame_nbytes = max(1, video.nbytes // len(video))
        self._room = min(_MOST_AHEAD, max(1, AHEAD_BYTES // frame_nbytes))
        self._frames: deque[Frame] = deque()
        self._failure: BaseException | None = None
        self._changed = Condition()
        self._closed = False
        self._thread: Thread | None = None

    def take(self) -> Frame:
        if self._thread is None:
            self._thread = Thread(target=self._fill, name="frames ahead", daemon=True)
            self._thread.start()
        with self._changed:
            while not self._frames and self._failure is None:
                self._changed.wait()
            if not self._frames and self._failure is not None:
                raise self._failure
            frame = self._frames.popleft()
            self._changed.notify_all()
            return frame

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._frames.clear()
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join()
        if self._owns_video:
            self._video.close()

    def _fill(self) -> None:
        try:
            for number in self._numbers:
                frame = self._video.frame(number)
                with self._changed:
                    while len(self._frames) >= self._room and not self._closed:
                        self._changed.wait()
                    if self._closed:
                        return
                    self._frames.append(frame)
                    self._changed.notify_all()
        except BaseException as exc:  # whatever it is, the reader gets it in his own thread
            with self._changed:
                self._failure = exc
                self._changed.notify_all()
