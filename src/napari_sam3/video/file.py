"""Video files: an exact index, one decoder behind a lock, the shared cache in front of it."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any

import av
import numpy as np

from napari_sam3.errors import VideoError
from napari_sam3.video.base import Frame, Video
from napari_sam3.video.cache import SHARED_CACHE, FrameCache
from napari_sam3.video.decoder import Decoder
from napari_sam3.video.index import FrameIndex
from napari_sam3.video.pixels import frame_nbytes, target_format, to_array
from napari_sam3.video.scan import Scan, scan_file


@dataclass(frozen=True, eq=False)
class Layout:
    """How frames of a file are given out: size before turning, pixel format, quarter turns."""

    size: tuple[int, int]
    format_name: str
    turns: int


class VideoFile(Video):
    """A video file, decoded with FFmpeg through PyAV.

    Frame i is the i-th frame in order of presentation, whatever was read before it. A frame that
    the file announces but that can't be decoded is shown as the frame before it, with a warning.
    """

    def __init__(self, path: Path, scan: Scan, *, cache: FrameCache = SHARED_CACHE) -> None:
        self._scan = scan
        self._index: FrameIndex = scan.index
        self._cache = cache
        self._owner = object()
        self._lock = Lock()
        self._decoder: Decoder | None = None
        self._layout = scan_layout(scan)
        self._warned = False
        height, width = self._layout.size
        if self._layout.turns % 2:
            height, width = width, height
        grey = self._layout.format_name != "rgb24"
        shape = (len(self._index), height, width) + (() if grey else (3,))
        super().__init__(
            shape,
            _dtype(self._layout.format_name),
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
        if scan.index.lost:
            warnings.warn(
                f"{path.name!r} breaks off: {scan.index.lost} frames at its end are lost, "
                f"{len(video)} can be read",
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
        frame = self._cache.get(self._owner, frame_index)
        if frame is None:
            frame = self._decode(frame_index)
        layout = self._layout
        return to_array(frame, layout.size, layout.format_name, layout.turns)

    def _decode(self, frame_index: int) -> av.VideoFrame:
        """Decode a frame, or what stands for it, and what lies on the way to it."""
        found: dict[int, av.VideoFrame] = {}
        best = -1

        def keep(number: int, frame: av.VideoFrame) -> None:
            nonlocal best
            self._keep(number, frame)
            if best < number <= frame_index:
                found.pop(best, None)
                found[number] = frame
                best = number

        with self._lock:
            if self._closed:
                raise VideoError(f"{self._name} is closed; open it again with reopen()")
            # another thread may have had the same wish
            frame = self._cache.get(self._owner, frame_index)
            if frame is not None:
                return frame
            if self._decoder is None:
                self._decoder = Decoder(self._path, self._scan.stream_number, self._index.kind)
            if self._decoder.read(frame_index, self._index, keep):
                return found[frame_index]
            # frame threads swallow what lies just before a damage
            slow = Decoder(self._path, self._scan.stream_number, self._index.kind, "SLICE")
            try:
                if slow.read(frame_index, self._index, keep):
                    return found[frame_index]
            finally:
                slow.close()
        return self._stand_in(frame_index, found.get(best))

    def _stand_in(self, frame_index: int, earlier: av.VideoFrame | None) -> av.VideoFrame:
        if earlier is None:
            raise VideoError(
                f"frame {frame_index} of {self._name[4:]} can't be decoded, nor any before it: the "
                "file is damaged there; try later frames, or get a whole copy of the file"
            )
        if not self._warned:
            self._warned = True
            warnings.warn(
                f"frame {frame_index} of {self._name[4:]} can't be decoded: the file is damaged "
                "there; the last good frame is shown in its place, as for others like it",
                stacklevel=4,
            )
        self._keep(frame_index, earlier)
        return earlier

    def _release(self) -> None:
        with self._lock:
            if self._decoder is not None:
                self._decoder.close()
                self._decoder = None
        self._cache.drop(self._owner)

    def __reduce__(self) -> tuple[Any, ...]:
        return VideoFile.open, (self._path,)


def scan_layout(scan: Scan) -> Layout:
    """Tell from the first frame how all frames are given out."""
    frame = scan.sample
    turns = round(frame.rotation / 90) % 4
    return Layout((frame.height, frame.width), target_format(frame.format.name), turns)


def _dtype(format_name: str) -> np.dtype[Any]:
    if format_name in ("rgb24", "gray"):
        return np.dtype(np.uint8)
    return np.dtype(np.float32 if format_name.startswith("grayf32") else np.uint16)
