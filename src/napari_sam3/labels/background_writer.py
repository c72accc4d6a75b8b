"""One thread that writes label frames behind those who draw them."""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable

from napari_sam3.labels.frame_records import FrameRecord

logger = logging.getLogger(__name__)

MOST_WAITING_BYTES = 8 * 2**20
RETRY_S = 5.0

Job = tuple[FrameRecord, bytes | None]  # what is known of a frame; its chunk where that is new
NO_CHUNK = b""  # in place of a chunk: the one that is there goes


class BackgroundWriter:
    """Writes what it is given, in order, in a thread of its own.

    A frame given again before it was written is written once. What can't be written is kept and
    tried again: when somebody waits for it, and every few seconds.

    Parameters
    ----------
    write : callable
        Writes a record, and a chunk if there is one. An OSError means that nothing was written.
    remind : callable
        Called in the thread, some time after `remind_in`.
    """

    def __init__(
        self, write: Callable[[FrameRecord, bytes | None], None], remind: Callable[[], None]
    ) -> None:
        self._write = write
        self._remind = remind
        self._changed = threading.Condition()
        self._waiting: OrderedDict[int, Job] = OrderedDict()
        self._failure: OSError | None = None
        self._tries = 0
        self._wanted_tries = 0
        self._alarm: float | None = None  # when to remind
        self._latest = 0.0
        self._is_stopping = False
        self._thread: threading.Thread | None = None

    @property
    def failure(self) -> OSError | None:
        """Why the last try failed; None once it went well."""
        return self._failure

    @property
    def waiting_frames(self) -> int:
        """How many frames are not written yet."""
        return len(self._waiting)

    @property
    def waiting_bytes(self) -> int:
        """Memory of the chunks not written yet."""
        with self._changed:
            return sum(len(chunk) for _, chunk in self._waiting.values() if chunk is not None)

    def put(self, record: FrameRecord, chunk: bytes | None) -> None:
        """Have a record written soon, and a chunk with it. Never waits."""
        with self._changed:
            frame_index = record.frame_index
            if chunk is None and frame_index in self._waiting:
                chunk = self._waiting[frame_index][1]
            self._waiting[frame_index] = record, chunk
            self._start()
            self._changed.notify_all()

    def waiting(self) -> list[Job]:
        """What is not written yet."""
        with self._changed:
            return list(self._waiting.values())

    def find(self, frame_index: int) -> bytes | None:
        """The chunk of a frame that is not written yet."""
        with self._changed:
            job = self._waiting.get(frame_index)
            return None if job is None else job[1]

    def remind_in(self, seconds: float, longest: float) -> None:
        """Have `remind` called, in so many seconds after the last of these calls.

        No call puts it off beyond `longest` after the first one.
        """
        with self._changed:
            now = time.monotonic()
            if self._alarm is None:
                self._latest = now + longest
                self._alarm = now + seconds
                self._start()
                self._changed.notify_all()
            self._alarm = min(now + seconds, self._latest)

    def wait_for_room(self) -> OSError | None:
        """Wait until not too much waits; give the failure if it can't be written."""
        if self._failure is None and self.waiting_bytes <= MOST_WAITING_BYTES:
            return None
        return self._wait(lambda: self.waiting_bytes <= MOST_WAITING_BYTES)

    def drain(self) -> OSError | None:
        """Wait until everything is written; give the failure if it can't be."""
        return self._wait(lambda: not self._waiting)

    def stop(self) -> None:
        """End the thread; what waits is forgotten."""
        with self._changed:
            self._is_stopping = True
            self._waiting.clear()
            self._changed.notify_all()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()

    def _start(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="label-writer", daemon=True)
            self._thread.start()

    def _wait(self, is_done: Callable[[], bool]) -> OSError | None:
        with self._changed:
            # what failed before this call may work now
            tries = self._tries + (1 if self._failure is not None else 0)
            self._wanted_tries = max(self._wanted_tries, tries)
            self._changed.notify_all()
            while not self._is_stopping:
                if self._failure is None:
                    if is_done():
                        return None
                elif self._tries >= tries:
                    return self._failure
                self._changed.wait()
            return None

    def _run(self) -> None:
        while True:
            with self._changed:
                job = self._next()
                is_due = self._alarm is not None and self._alarm <= time.monotonic()
                if is_due:
                    self._alarm = None
                if self._is_stopping:
                    return
            if is_due:
                try:
                    self._remind()
                # if the thread ended, those who wait for it would wait for ever
                except Exception:
                    logger.exception("painted labels could not be saved; tried again soon")
                    self.remind_in(RETRY_S, RETRY_S)
            if job is not None:
                self._try(*job)

    def _next(self) -> Job | None:
        """Wait for something to do."""
        retry_at = time.monotonic() + RETRY_S
        while not self._is_stopping:
            now = time.monotonic()
            may_try = self._failure is None or self._tries < self._wanted_tries or now >= retry_at
            if self._waiting and may_try:
                return next(iter(self._waiting.values()))
            if self._alarm is not None and self._alarm <= now:
                return None
            ends = [self._alarm] if self._alarm is not None else []
            if self._failure is not None:
                ends.append(retry_at)
            self._changed.wait(min(ends) - now if ends else None)
        return None

    def _try(self, record: FrameRecord, chunk: bytes | None) -> None:
        failure = None
        try:
            self._write(record, chunk)
        except OSError as error:
            failure = error
        # as above
        except Exception as error:
            failure = OSError(f"{type(error).__name__}: {error}")
        with self._changed:
            self._failure = failure
            self._tries += 1
            if failure is None:
                newest = self._waiting.pop(record.frame_index)
                if newest != (record, chunk):  # given again meanwhile
                    self._waiting[record.frame_index] = newest
            self._changed.notify_all()
