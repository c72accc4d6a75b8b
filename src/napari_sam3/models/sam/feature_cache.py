"""Encoded frames kept for the next time they are needed: in memory, and on disk behind it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from threading import Lock

from napari_sam3.models.sam.feature_files import (
    Encoded,
    FeatureFiles,
    FeatureKey,
    features_folder,
    group_name,
)
from napari_sam3.settings import read_settings

_MEGABYTE = 2**20
_WORTH_A_FILE = 500e6  # bytes a second: what is made faster than a disk reads is not written
_MOST_UNWRITTEN = 512 * _MEGABYTE


class FeatureCache:
    """The encoded frames of all videos, up to a number of bytes in memory and another on disk.

    A frame goes to memory at once and to disk in a thread of its own, which never holds anybody
    up: what comes faster than the disk takes it is not written. In memory the frame not used for
    longest makes room; but what a running propagation is about to need (`expect`) goes last, so
    that going through a long video again and again finds as many frames as there is room for.

    Parameters
    ----------
    memory_bytes, disk_bytes : int
        0 keeps nothing there.
    folder : callable
        Says where the files are.
    """

    def __init__(
        self,
        memory_bytes: int,
        disk_bytes: int,
        folder: Callable[[], Path] = features_folder,
    ) -> None:
        self._memory_bytes = memory_bytes
        self._frames: OrderedDict[FeatureKey, Encoded] = OrderedDict()
        self._used = 0
        self._files = FeatureFiles(disk_bytes, folder)
        self._unwritten: dict[FeatureKey, tuple[Encoded, Future[None]]] = {}
        self._writer: ThreadPoolExecutor | None = None
        self._wanted: dict[str, range] = {}
        self._lock = Lock()

    # --------------------------------------------------------------- frames

    def get(self, key: FeatureKey) -> Encoded | None:
        """A frame's features on the CPU, not to be written into; None if they are not kept."""
        with self._lock:
            if key in self._frames:
                self._frames.move_to_end(key)
                return self._frames[key]
            if key in self._unwritten:
                return self._unwritten[key][0]
        encoded = self._files.read(key)
        if encoded is not None:
            with self._lock:
                self._remember(key, encoded)
        return encoded

    def holds(self, key: FeatureKey) -> bool:
        """Whether a frame is kept."""
        return self.has_in_memory(key) or self._files.holds(key)

    def has_in_memory(self, key: FeatureKey) -> bool:
        """Whether a frame can be had without reading a file."""
        with self._lock:
            return key in self._frames or key in self._unwritten

    def put(self, key: FeatureKey, encoded: Encoded, seconds: float) -> None:
        """Keep a frame.

        Parameters
        ----------
        encoded : mapping of str to tensor
            Contiguous, on the CPU; not written into from now on.
        seconds : float
            What it took to make.
        """
        nbytes = _nbytes(encoded)
        with self._lock:
            self._remember(key, encoded)
            unwritten = sum(_nbytes(waiting) for waiting, _ in self._unwritten.values())
            if (
                key.is_lasting
                and nbytes <= self._files.budget
                and nbytes < seconds * _WORTH_A_FILE
                and unwritten + nbytes <= _MOST_UNWRITTEN
                and key not in self._unwritten
            ):
                if self._writer is None:
                    self._writer = ThreadPoolExecutor(1, "write features")
                task = self._writer.submit(self._write, key, encoded)
                self._unwritten[key] = (encoded, task)

    def expect(self, key: FeatureKey, frames: range) -> None:
        """Say which frames of `key`'s video and encoder will be asked for, in that order."""
        with self._lock:
            if frames:
                self._wanted[group_name(key.video, key.encoder)] = frames
            else:
                self._wanted.pop(group_name(key.video, key.encoder), None)

    def forget(self, video: str) -> None:
        """Drop the frames of a video from memory."""
        with self._lock:
            for key in [key for key in self._frames if key.video == video]:
                self._used -= _nbytes(self._frames.pop(key))

    # --------------------------------------------------------------- limits

    @property
    def memory_budget(self) -> int:
        """The most that is kept in memory, bytes."""
        return self._memory_bytes

    @property
    def disk_budget(self) -> int:
        """The most that is kept on disk, bytes."""
        return self._files.budget

    def set_budget(self, memory_bytes: int, disk_bytes: int) -> None:
        """Change the limits; smaller ones take effect at once."""
        with self._lock:
            self._memory_bytes = memory_bytes
            self._shrink(0)
            smaller = disk_bytes < self._files.budget
            self._files.budget = disk_bytes
        if smaller:
            self._files.shrink()

    @property
    def memory_used(self) -> int:
        """Bytes kept in memory now."""
        return self._used

    @property
    def disk_used(self) -> int:
        """Bytes kept on disk now, by all processes."""
        return self._files.used

    def wait_for_disk(self) -> None:
        """Return when all that is to be written is written."""
        with self._lock:
            tasks = [task for _, task in self._unwritten.values()]
        for task in tasks:
            task.result()

    def clear(self) -> None:
        """Drop all frames, from memory and from disk."""
        self.wait_for_disk()
        with self._lock:
            self._frames.clear()
            self._used = 0
        self._files.clear()

    # -------------------------------------------------------------- keeping

    def _remember(self, key: FeatureKey, encoded: Encoded) -> None:
        if key in self._frames:
            self._used -= _nbytes(self._frames.pop(key))
        nbytes = _nbytes(encoded)
        if nbytes > self._memory_bytes:
            return
        self._shrink(nbytes)
        self._frames[key] = encoded
        self._used += nbytes

    def _shrink(self, needed: int) -> None:
        while self._frames and self._used + needed > self._memory_bytes:
            self._used -= _nbytes(self._frames.pop(self._next_to_go()))

    def _next_to_go(self) -> FeatureKey:
        farthest, distance = next(iter(self._frames)), -1
        for key in self._frames:
            ahead = self._wanted.get(group_name(key.video, key.encoder), range(0))
            if key.frame_index not in ahead:
                return key
            if ahead.index(key.frame_index) > distance:
                farthest, distance = key, ahead.index(key.frame_index)
        return farthest

    def _is_wanted(self, group: str, frame_index: int) -> bool:
        with self._lock:
            return frame_index in self._wanted.get(group, range(0))

    def _write(self, key: FeatureKey, encoded: Encoded) -> None:
        try:
            self._files.write(key, encoded, self._is_wanted)
        finally:
            with self._lock:
                self._unwritten.pop(key, None)


def _nbytes(encoded: Encoded) -> int:
    return sum(tensor.nbytes for tensor in encoded.values())


def _as_set() -> FeatureCache:
    settings = read_settings()
    return FeatureCache(settings.features_mb * _MEGABYTE, settings.features_disk_mb * _MEGABYTE)


SHARED_FEATURES = _as_set()
"""The cache of the process; its limits are those of the settings when it is first needed."""


def set_features_budget(memory_mb: int, disk_mb: int) -> None:
    """Change the limits of the process's cache, in megabytes of 2**20 bytes; 0: keep nothing."""
    SHARED_FEATURES.set_budget(memory_mb * _MEGABYTE, disk_mb * _MEGABYTE)
