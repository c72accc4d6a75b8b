"""A propagation on a worker: a few frames ahead of who takes them, and no more."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from itertools import count
from typing import Any

from napari_sam3.checkpoint import Checkpoint
from napari_sam3.cluster.said import frame_to_message
from napari_sam3.cluster.wire import Head, encode, encode_error, whole
from napari_sam3.cluster.worker_models import others_turn, turn
from napari_sam3.errors import Sam3Error
from napari_sam3.models.base import TrackedFrame
from napari_sam3.session.recovery import EVERY
from napari_sam3.values import MAX_OBJECT_ID, ObjectMask

MOST_AHEAD = 8
"""Frames that are computed before anybody takes them."""

MOST_BYTES = 2**24
"""Of those frames; one that alone is larger is let through."""

STEP_WAITS = 0.1
"""Seconds that a step on the way to a frame waits for the frame, which makes it needless."""

logger = logging.getLogger(__name__)


class RunStopped(Exception):  # noqa: N818 - it is no error
    """Ends a tracker that waits to be told something."""


class Run:
    """Frames of a tracker that wait to be taken.

    What a tracker asks its session in the midst (a new id, what an earlier session had shown) is
    asked of the client, who answers when it has taken all frames before: ids come out as if the
    session were here.

    Parameters
    ----------
    number : int
        Of the run; what is said of others is not heard.
    loop : event loop
        Of the worker; all but `new_id` and `recall` is called there.

    Attributes
    ----------
    source : iterator of TrackedFrame
        To be set before `pump`.
    take_checkpoint : callable
        Gives what the tracker remembers after a frame; likewise.
    checkpoints : dict of frame index to Checkpoint
        The last two, taken on the frames that sessions keep them of: when a session asks, the
        tracker is some frames further.
    question : dict or None
        What the tracker waits for; `asking` is set meanwhile.
    is_over : bool
        Whether no further frame is computed.
    """

    source: Iterator[TrackedFrame]
    take_checkpoint: Callable[[int], Checkpoint | None]

    def __init__(self, number: int, loop: asyncio.AbstractEventLoop) -> None:
        self.number = number
        self.question: Head | None = None
        self.asking = asyncio.Event()
        self.is_over = False
        self.take_checkpoint = lambda frame: None
        self.checkpoints: dict[int, Checkpoint] = {}
        self._loop = loop
        self._ready: deque[bytes] = deque()
        self._n_bytes = self._n_frames = 0
        self._is_step_last = self._is_frame_waited_for = False
        self._filled, self._taken = asyncio.Event(), asyncio.Event()
        self._is_stopped = False
        self._answer: Future[Any] = Future()
        self._questions = count()

    # ------------------------------------------------- of the tracker's thread

    def new_id(self) -> int:
        """An id that the session issues."""
        return whole(self._ask({"kind": "id"}), 1, MAX_OBJECT_ID)

    def recall(self, frame_index: int) -> Mapping[int, ObjectMask] | None:
        """What an earlier session had shown on a frame."""
        shown: Mapping[int, ObjectMask] | None = self._ask({"kind": "recall", "frame": frame_index})
        return shown

    def _ask(self, question: Head) -> Any:
        answer: Future[Any] = Future()

        def put() -> None:
            if self._is_stopped:
                answer.set_exception(RunStopped())
                return
            self.question = {"number": next(self._questions), **question}
            self._answer = answer
            self.asking.set()
            self._filled.set()

        self._loop.call_soon_threadsafe(put)
        with others_turn():
            return answer.result()

    def _step(self) -> tuple[bytes, bool] | None:
        """The next message, and whether it is a frame, not only a step on the way to one."""
        with turn():
            tracked = next(self.source, None)
            if tracked is None:
                return None
            if tracked.objects is not None and tracked.frame_index % EVERY == 0:
                taken = self.take_checkpoint(tracked.frame_index)
                if taken is not None:
                    last = list(self.checkpoints.items())[-1:]
                    self.checkpoints = dict([*last, (tracked.frame_index, taken)])
        return frame_to_message(tracked), tracked.objects is not None

    def _close_source(self) -> None:
        close = getattr(self.source, "close", None)
        if close is not None:
            with suppress(RunStopped):
                close()

    # ------------------------------------------------------------- of the loop

    async def pump(self, thread: ThreadPoolExecutor) -> None:
        """Compute frame after frame, as they are taken."""
        try:
            while not self._is_stopped:
                if self._n_frames >= MOST_AHEAD or self._n_bytes >= MOST_BYTES:
                    self._taken.clear()
                    await self._taken.wait()
                    continue
                done = await asyncio.wrap_future(thread.submit(self._step))
                if done is None:
                    break
                self._put(*done)
            self._put(encode({"over": True}))
        except RunStopped:
            pass
        except Exception as exc:  # the process's border: raised again by who takes frames
            if not isinstance(exc, Sam3Error):
                logger.exception("unforeseen error in a propagation")
            self._put(encode_error(exc))
        finally:
            self.is_over = True
            await asyncio.wrap_future(thread.submit(self._close_source))

    def _put(self, message: bytes, is_frame: bool = True) -> None:
        if self._is_step_last:
            self._ready.pop()  # of steps on the way one tells as much as many
        self._ready.append(message)
        self._is_step_last = not is_frame
        self._n_frames += is_frame
        self._n_bytes += len(message)
        if is_frame or not self._is_frame_waited_for:
            self._filled.set()

    async def take(self, longest: float) -> list[bytes]:
        """All that is ready; waits for something, so many seconds at most.

        Steps let the client do other things between; a message for each is dear beside quick ones.
        """
        if not self._n_frames:
            self._is_frame_waited_for = True
            await self._wait(STEP_WAITS)
            self._is_frame_waited_for = False
            if not (self._ready or self._is_stopped):
                await self._wait(longest)
        messages = list(self._ready)
        self._ready.clear()
        self._n_bytes = self._n_frames = 0
        self._is_step_last = False
        self._taken.set()
        if self.question is not None:
            messages.append(encode({"ask": self.question}))
        return messages

    async def _wait(self, longest: float) -> None:
        if self.question is None:
            self._filled.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._filled.wait(), longest)

    def give(self, number: int, answer: Any) -> None:
        """Tell the tracker what it asked."""
        if self.question is not None and self.question["number"] == number:
            self.question = None
            self.asking.clear()
            self._answer.set_result(answer)

    def stop(self) -> None:
        """End after the frame under way."""
        self._is_stopped = True
        self._taken.set()
        self._filled.set()
        if self.question is not None:
            self.question = None
            self.asking.clear()
            self._answer.set_exception(RunStopped())
