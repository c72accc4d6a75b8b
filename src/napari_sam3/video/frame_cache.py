"""Decoded frames kept in memory, as the decoder gave them, up to a number of bytes."""

from __future__ import annotations

import math
import os
import warnings
from collections import OrderedDict, deque
from threading import Lock
from typing import Any

from napari_sam3.errors import VideoError

BUDGET_VARIABLE = "NAPARI_SAM3_CACHE_MB"
"""The environment variable that sets the budget, in megabytes."""

_MEGABYTE = 2**20
DEFAULT_BUDGET = 512 * _MEGABYTE
"""Bytes; 165 frames of 1080p as 4:2:0, and no burden for a machine of 8 GB."""


class FrameCache:
    """The frames used last, of all videos that share the cache. Safe from several threads.

    Frames stay in the decoder's own pixel format, which for most video is half the size of RGB:
    a seek into a long group of pictures leaves the frames behind the cursor here, so that
    stepping back costs a conversion and no decoding.

    Parameters
    ----------
    budget : int
        The most that is kept, bytes. One frame is kept even where it is larger.
    """

    def __init__(self, budget: int = DEFAULT_BUDGET) -> None:
        self._budget = budget
        self._used = 0
        self._frames: OrderedDict[tuple[object, int], tuple[Any, int]] = OrderedDict()
        self._abandoned: deque[object] = deque()
        self._lock = Lock()

    @property
    def budget(self) -> int:
        """The most that is kept, bytes; a smaller one takes effect at once."""
        return self._budget

    @budget.setter
    def budget(self, budget: int) -> None:
        with self._lock:
            self._budget = budget
            self._shrink()

    @property
    def used(self) -> int:
        """Bytes kept now."""
        self._drop_abandoned()
        return self._used

    def get(self, owner: object, frame_index: int) -> Any | None:
        """Find a frame; None if it is not here."""
        with self._lock:
            entry = self._frames.get((owner, frame_index))
            if entry is None:
                return None
            self._frames.move_to_end((owner, frame_index))
            return entry[0]

    def holds(self, owner: object, frame_index: int) -> bool:
        """Whether a frame is here; asking is no use of it."""
        return (owner, frame_index) in self._frames

    def put(self, owner: object, frame_index: int, frame: Any, nbytes: int) -> None:
        """Keep a frame; the ones not used for longest make room."""
        self._drop_abandoned()
        with self._lock:
            old = self._frames.pop((owner, frame_index), None)
            if old is not None:
                self._used -= old[1]
            self._frames[owner, frame_index] = (frame, nbytes)
            self._used += nbytes
            self._shrink()

    def discard(self, owner: object, frame_index: int) -> None:
        """Forget a frame, if it is here."""
        with self._lock:
            entry = self._frames.pop((owner, frame_index), None)
            if entry is not None:
                self._used -= entry[1]

    def drop(self, owner: object) -> None:
        """Forget all frames of one owner."""
        with self._lock:
            for key in [key for key in self._frames if key[0] is owner]:
                self._used -= self._frames.pop(key)[1]

    def abandon(self, owner: object) -> None:
        """Let an owner's frames go at the next chance; may be called by the garbage collector."""
        # which may interrupt this very class with the lock held, so that dropping must wait
        self._abandoned.append(owner)

    def _drop_abandoned(self) -> None:
        while self._abandoned:
            self.drop(self._abandoned.popleft())

    def _shrink(self) -> None:
        while self._used > self._budget and len(self._frames) > 1:
            _, (_, nbytes) = self._frames.popitem(last=False)
            self._used -= nbytes


def _initial_budget() -> int:
    """What the environment allows, bytes."""
    setting = os.environ.get(BUDGET_VARIABLE, "").strip()
    if not setting:
        return DEFAULT_BUDGET
    try:
        return _to_bytes(float(setting))
    except (ValueError, VideoError):
        warnings.warn(
            f"{BUDGET_VARIABLE} is {setting!r}, which is no number of megabytes; "
            f"{DEFAULT_BUDGET // _MEGABYTE} is taken",
            stacklevel=2,
        )
        return DEFAULT_BUDGET


def _to_bytes(megabytes: float) -> int:
    if not 0 <= megabytes < math.inf:
        raise VideoError(f"a cache of {megabytes} megabytes can't be had; give a number from 0 up")
    return int(megabytes * _MEGABYTE)


SHARED_CACHE = FrameCache(_initial_budget())
"""The cache of all open video files."""


def set_cache_budget(megabytes: float) -> None:
    """Set how much memory decoded frames may take, of all open videos together.

    The environment variable NAPARI_SAM3_CACHE_MB sets it from the start; else it is 512. Stepping
    backwards is quick as far as frames lie in the cache: a second of 1080p at 25 frames a second
    takes 78 MB. Too small a budget costs time and no frames.

    Parameters
    ----------
    megabytes : float
        Of 2**20 bytes; 0 keeps one frame. A smaller one than before takes effect at once.

    Raises
    ------
    VideoError
        If it is negative or no finite number.
    """
    SHARED_CACHE.budget = _to_bytes(megabytes)
