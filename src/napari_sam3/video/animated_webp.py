"""Animated WebP, through Pillow: FFmpeg does not read them.

Each frame is drawn over the one before it, and the library can only go on from where it is or begin
anew. So a step back costs all frames from the start where the cache does not hold it.
"""

from __future__ import annotations

import io
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from napari_sam3.video.base import Frame, Video
from napari_sam3.video.fair_lock import FairLock
from napari_sam3.video.frame_cache import SHARED_CACHE, FrameCache
from napari_sam3.video.image_file import PICTURE_ERRORS, reading_picture
from napari_sam3.video.limits import check_picture_size, open_picture
from napari_sam3.video.missing_frames import warn_of_loss


class AnimatedWebp(Video):
    """An animated WebP, decoded when frames are asked for; the packed file is kept in memory.

    Raises
    ------
    VideoError
        If not one frame of it can be read.
    """

    def __init__(self, path: Path, *, cache: FrameCache = SHARED_CACHE) -> None:
        self._lock = FairLock()
        self._cache = cache
        self._owner = object()
        self._warned = False
        with reading_picture(path):
            data, durations, self._breaks_off = _read_chunks(path.read_bytes())
            # the library takes memory for the canvas as soon as it is opened
            check_picture_size(
                path, *(int.from_bytes(data[n : n + 3], "little") + 1 for n in (27, 24))
            )
            self._image = open_picture(path, io.BytesIO(data))
            n_frames = min(getattr(self._image, "n_frames", 1), len(durations))
            first = self._decode_next(0)
        steps = np.array(durations[:n_frames]) / 1000
        seconds = float(steps.sum())
        super().__init__(
            (n_frames, *first.shape),
            first.dtype,
            path=path,
            fps=n_frames / seconds if seconds else None,
            timestamps=np.concatenate([[0.0], steps.cumsum()[:-1]]) if seconds else None,
            metadata={
                "container": "webp",
                "codec": "webp",
                "frames": n_frames,
                "duration": seconds or None,
                "constant_frame_rate": bool(np.ptp(steps) < 2e-3),
            },
        )

    @classmethod
    def open(cls, path: Path) -> AnimatedWebp:
        """Open a file, and tell the user if its end is missing."""
        video = cls(path)
        warn_of_loss(path, None if video._breaks_off else 0, len(video), has_holes=False)
        return video

    def reopen(self) -> AnimatedWebp:
        """Open the same file once more."""
        assert self.path is not None
        return AnimatedWebp(self.path, cache=self._cache)

    def _decode_next(self, frame_index: int) -> Frame:
        self._image.seek(frame_index)
        frame = np.array(self._image.convert("RGB"))
        self._cache.put(self._owner, frame_index, frame, frame.nbytes)
        return frame

    def _read(self, frame_index: int) -> Frame:
        with self._lock:
            self._check_open()
            frame: Frame | None = self._cache.get(self._owner, frame_index)
            if frame is None:
                frame = self._decode(frame_index)
        return frame.copy()

    def _decode(self, frame_index: int) -> Frame:
        """Decode up to a frame, and keep what is passed on the way."""
        here = self._image.tell()
        frame: Frame | None = None
        for number in range(here + 1 if here < frame_index else 0, frame_index + 1):
            try:
                frame = self._decode_next(number)
            except PICTURE_ERRORS as exc:
                self._warn_of_hole(number, exc)
                # where the decoder stands now nobody knows: next time from the start
                self._image.seek(0)
                self._image.load()
                break
        if frame is None:
            frame = self._cache.get(self._owner, here)
        return np.zeros(self.shape[1:], self.dtype) if frame is None else frame

    def _warn_of_hole(self, number: int, exc: BaseException) -> None:
        if not self._warned:
            self._warned = True
            warnings.warn(
                f"{self._name} is damaged: {len(self) - number} frames, from frame {number} on, "
                f"can't be decoded ({str(exc) or type(exc).__name__}); the last good one is shown "
                "in their place",
                stacklevel=5,
            )

    def _release(self) -> None:
        with self._lock:
            self._image.close()
        self._cache.drop(self._owner)

    def __reduce__(self) -> tuple[Any, ...]:
        return AnimatedWebp, (self.path,)


def is_animated_webp(path: Path) -> bool:
    """Whether a file says that it is an animated WebP."""
    with path.open("rb") as file:
        head = file.read(21)
    is_extended_webp = len(head) == 21 and head[:4] == b"RIFF" and head[8:16] == b"WEBPVP8X"
    return is_extended_webp and bool(head[20] & 2)


def _read_chunks(data: bytes) -> tuple[bytes, list[int], bool]:
    """Walk over the file's chunks (RFC 9649, 2.7): nothing is decoded.

    Returns
    -------
    bytes
        The file, without what is left of a chunk that it breaks off in.
    list of int
        How long each whole frame is shown, ms.
    bool
        Whether it breaks off.
    """
    place, durations = 12, []
    end = min(len(data), 8 + int.from_bytes(data[4:8], "little"))
    cut = end < 8 + int.from_bytes(data[4:8], "little")
    while place + 8 <= end:
        size = int.from_bytes(data[place + 4 : place + 8], "little")
        if place + 8 + size > end:
            cut = True
            break
        if data[place : place + 4] == b"ANMF":
            durations.append(int.from_bytes(data[place + 20 : place + 23], "little"))
        place += 8 + size + size % 2
    if cut:
        place = min(place, len(data))
        data = data[:4] + (place - 8).to_bytes(4, "little") + data[8:place]
    return data, durations, cut
