"""Encoded frames on disk, one file each, in the user's cache folder; safe to delete at any time."""

from __future__ import annotations

import os
import shutil
import time
import zlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save

from napari_sam3.cache_folder import cache_folder
from napari_sam3.plain_files import read_plain
from napari_sam3.whole_files import written_whole

Encoded = Mapping[str, torch.Tensor]
"""What is kept of one frame: everything of the encoder that does not depend on prompts."""

LEAST_FREE = 2 * 2**30
"""Bytes of the disk that are left to others, whatever the budget says."""

_SUFFIX = ".features"
_CHECK = 4  # bytes of a file that hold the checksum of the others
_ABANDONED = 3600.0  # seconds; a part of a file that old was left by a process that ended


class FeatureKey(NamedTuple):
    """Which frame of which video, and what encoded it.

    Attributes
    ----------
    video : str
        What tells the video from every other.
    encoder : str
        Weights, resolution, precision, version.
    frame_index : int
    is_lasting : bool
        Whether `video` means the same on another day, so that the frame may go to disk.
    """

    video: str
    encoder: str
    frame_index: int
    is_lasting: bool


def features_folder() -> Path:
    """Where the files are."""
    return cache_folder("features")


class FeatureFiles:
    """A folder of encoded frames, up to a number of bytes. Processes may share it.

    A file is written beside its place and moved there, so others see all of it or nothing. One
    that is damaged is removed and counts as none. Where the folder can't be written, nothing is
    kept.
    """

    def __init__(self, budget: int, folder: Callable[[], Path] = features_folder) -> None:
        self.budget = budget
        self._folder = folder

    def holds(self, key: FeatureKey) -> bool:
        """Whether there is a file of that frame."""
        return key.is_lasting and self.budget > 0 and self._place(key).exists()

    def read(self, key: FeatureKey) -> Encoded | None:
        """The frame, tensors on the CPU; None if it is not here."""
        if not key.is_lasting or self.budget <= 0:
            return None
        place = self._place(key)
        try:
            payload = read_plain(place, self.budget)
        except OSError:
            return None
        check, body = payload[:_CHECK], memoryview(payload)[_CHECK:]
        try:
            if zlib.crc32(body) != int.from_bytes(check, "little"):
                raise ValueError("the checksum is another one")
            tensors: Encoded = load(bytes(body))
        except (SafetensorError, ValueError, KeyError):
            with suppress(OSError):
                place.unlink()
            return None
        with suppress(OSError):
            os.utime(place)  # it was of use
        return tensors

    def write(
        self, key: FeatureKey, encoded: Encoded, is_wanted: Callable[[str, int], bool]
    ) -> None:
        """Keep a frame, and delete what was not used for longest to make room.

        Parameters
        ----------
        is_wanted : callable
            Says of a file's group (see `group_name`) and frame whether it will be needed soon;
            such files go last.
        """
        if not key.is_lasting:
            return
        body = save(dict(encoded))
        if len(body) + _CHECK > self.budget:
            return
        place = self._place(key)
        with suppress(OSError):
            place.parent.mkdir(parents=True, exist_ok=True)
            self._make_room(len(body) + _CHECK, is_wanted)
            if shutil.disk_usage(place.parent).free < LEAST_FREE + len(body):
                return
            with written_whole(place) as part, part.open("wb") as file:
                file.write(zlib.crc32(body).to_bytes(_CHECK, "little"))
                file.write(body)

    @property
    def used(self) -> int:
        """Bytes of all files."""
        return sum(status.st_size for _, status in self._files())

    def clear(self) -> None:
        """Delete all files."""
        shutil.rmtree(self._folder(), ignore_errors=True)

    def shrink(self) -> None:
        """Delete down to the budget."""
        with suppress(OSError):
            self._make_room(0, lambda group, frame_index: False)

    def _place(self, key: FeatureKey) -> Path:
        return self._folder() / group_name(key.video, key.encoder) / f"{key.frame_index}{_SUFFIX}"

    def _files(self) -> list[tuple[Path, os.stat_result]]:
        found = []
        for path in self._folder().glob("*/*"):
            with suppress(OSError):  # another process may just have removed it
                found.append((path, path.stat()))
        return found

    def _make_room(self, needed: int, is_wanted: Callable[[str, int], bool]) -> None:
        # looked up each time: other processes write and delete here too
        kept, now = [], time.time()
        for path, status in self._files():
            if not path.name.startswith("."):
                kept.append((path, status))
            elif now - status.st_mtime > _ABANDONED:
                _delete(path)
        used = sum(status.st_size for _, status in kept)
        if used + needed <= self.budget:
            return

        def order(entry: tuple[Path, os.stat_result]) -> tuple[bool, int]:
            path, status = entry
            wanted = path.stem.isdecimal() and is_wanted(path.parent.name, int(path.stem))
            return wanted, status.st_mtime_ns

        for path, status in sorted(kept, key=order):
            if used + needed <= self.budget:
                break
            if _delete(path):
                used -= status.st_size
            with suppress(OSError):
                path.parent.rmdir()  # only if that was the last one


def _delete(path: Path) -> bool:
    """Delete a file; False if it can't be, as on Windows while somebody reads it."""
    try:
        path.unlink(missing_ok=True)
    except OSError:
        return False
    return True


@lru_cache(1024)
def group_name(video: str, encoder: str) -> str:
    """The folder of a video's frames made by one encoder."""
    return sha256(f"{video} {encoder}".encode()).hexdigest()[:32]
