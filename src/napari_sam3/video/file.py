"""Video files: an exact index, one decoder behind a lock, the shared cache in front of it."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from threading import Lock
from typing import Any, Literal

import av
import numpy as np

from napari_sam3.errors import VideoError
from napari_sam3.video.base import Frame, Video
from napari_sam3.video.cache import SHARED_CACHE, FrameCache
from napari_sam3.video.decoder import Decoder
from napari_sam3.video.index import FrameIndex
from napari_sam3.video.pixels import Layout, frame_nbytes
from napari_sam3.video.scan import Scan, scan_file


class VideoFile(Video):
    """A video file, decoded with FFmpeg through PyAV.

    Frame i is the i-th frame in order of presentation, whatever was read before it. In place of
    a frame that the file announces but that can't be decoded the last good one before it is given
    (black where there is none), with one warning a video.
    """

    def __init__(self, path: Path, scan: Scan, *, cache: FrameCache = SHARED_CACHE) -> None:
        self._scan = scan
        self._index: FrameIndex = scan.index
        self._cache = cache
        self._owner = object()
        self._lock = Lock()
        self._decoder: Decoder | None = None
        self._layout = Layout.of(scan.sample, scan.metadata["codec"])
        # frames that can't be decoded, and what is shown for them (None: black)
        self._stand_ins: dict[int, int | None] = {}
        self._warned = False
        super().__init__(
            (len(self._index), *self._layout.shape),
            self._layout.dtype,
            path=path,
            fps=scan.fps,
            timestamps=self._index.times,
            metadata=scan.metadata,
        )

    @classmethod
    def open(cls, path: Path) -> VideoFile:
        """Open a file; see `napari_sam3.video.open_video`."""
        scan = scan_file(path)
        video = cls(path, scan)
        for frame_index, frame in scan.first_frames:
            video._keep(frame_index, frame)
        scan.first_frames.clear()
        if scan.lost != 0:
            lost = f"{scan.lost} frames" if scan.lost else "frames (how many it does not say)"
            warnings.warn(
                f"{path.name!r} breaks off: {lost} at its end are lost, {len(video)} can be read",
                stacklevel=3,
            )
        return video

    def reopen(self) -> VideoFile:
        """Open the same file with a decoder of its own; the index is shared."""
        return VideoFile(self._path, self._scan, cache=self._cache)

    @property
    def _path(self) -> Path:
        assert self.path is not None
        return self.path

    def _keep(self, frame_index: int, frame: av.VideoFrame) -> None:
        self._cache.put(self._owner, frame_index, frame, frame_nbytes(frame))

    def _read(self, frame_index: int) -> Frame:
        shown = self._stand_ins.get(frame_index, frame_index)
        frame = self._cache.get(self._owner, shown) if shown is not None else None
        if frame is None and shown is not None:
            frame = self._decode(shown)
        if frame is None:
            return np.zeros(self.shape[1:], self.dtype)
        return self._layout.convert(frame)

    def _decode(self, frame_index: int) -> av.VideoFrame | None:
        """Decode a frame, and keep what lies on the way; None if nothing can stand for it."""
        with self._lock:
            if self._closed:
                raise VideoError(f"{self._name} is closed; open it again with reopen()")
            # another thread may have had the same wish
            frame: av.VideoFrame | None = self._cache.get(self._owner, frame_index)
            if frame is not None:
                return frame
            if self._decoder is None:
                self._decoder = self._start_decoder("AUTO")
            search = _Search(frame_index, self._keep)
            if self._decoder.read(frame_index, self._index, search.see):
                return search.frame
            # frame threads swallow what lies just before a damage
            search = _Search(frame_index, self._keep)
            slow = self._start_decoder("SLICE")
            try:
                if slow.read(frame_index, self._index, search.see):
                    return search.frame
            finally:
                slow.close()
            self._note_missing(frame_index, search)
        return search.frame

    def _start_decoder(self, threads: Literal["AUTO", "SLICE"]) -> Decoder:
        return Decoder(self._path, self._scan.stream_number, self._index.kind, threads)

    def _note_missing(self, frame_index: int, search: _Search) -> None:
        """Remember what to show in place of frames that are not there; warn once."""
        stop = len(self) if search.next is None else search.next
        # one search tells it of all frames in the hole, or a long hole would take for ever
        first = frame_index if search.number is None else search.number + 1
        for number in range(first, stop):
            self._stand_ins[number] = search.number
        if not self._warned:
            self._warned = True
            warnings.warn(
                f"frame {frame_index} of {self._path.name!r} can't be decoded: the file is damaged "
                "there; the last good frame (or black, where there is none) is shown in its place, "
                "as for others like it",
                stacklevel=5,
            )

    def _release(self) -> None:
        with self._lock:
            if self._decoder is not None:
                self._decoder.close()
                self._decoder = None
        self._cache.drop(self._owner)

    def __reduce__(self) -> tuple[Any, ...]:
        return VideoFile.open, (self._path,)


class _Search:
    """What comes by on the way to a frame: the last one up to it, the first one behind it."""

    def __init__(self, wanted: int, keep: Callable[[int, av.VideoFrame], None]) -> None:
        self._wanted = wanted
        self._keep = keep
        self.number: int | None = None
        self.frame: av.VideoFrame | None = None
        self.next: int | None = None

    def see(self, number: int, frame: av.VideoFrame) -> None:
        self._keep(number, frame)
        if number > self._wanted:
            self.next = number if self.next is None else min(number, self.next)
        elif self.number is None or number > self.number:
            self.number, self.frame = number, frame
