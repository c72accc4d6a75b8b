"""A frame got ready for prompts in a thread, while nobody waits for anything."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from napari_sam3.errors import Sam3Error

logger = logging.getLogger(__name__)


class PrepareAhead:
    """Prepares one frame after the other, as they are asked for; of several only the newest.

    Parameters
    ----------
    prepare : callable
        Prepares a frame; called in a thread.
    """

    def __init__(self, prepare: Callable[[int], None]) -> None:
        self._prepare = prepare
        self._lock = threading.Lock()
        self._next: int | None = None
        self._thread: threading.Thread | None = None
        self.doing: int | None = None

    def start(self, frame_index: int) -> None:
        """Prepare a frame next; returns at once."""
        with self._lock:
            self._next = frame_index
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._work, name="prepare ahead", daemon=True
                )
                self._thread.start()

    def close(self) -> None:
        """Prepare nothing more, and wait for what is under way."""
        with self._lock:
            self._next, thread = None, self._thread
        if thread is not None:
            thread.join()

    def _work(self) -> None:
        while True:
            with self._lock:
                self.doing, self._next = self._next, None
                if self.doing is None:
                    self._thread = None
                    return
            try:
                self._prepare(self.doing)
            except Sam3Error as exc:  # who really needs that frame will be told
                logger.debug("gave up preparing a frame: %s", exc)
