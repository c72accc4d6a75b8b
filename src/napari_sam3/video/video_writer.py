"""Writing H.264 MP4 files: overlays and samples."""

from __future__ import annotations

import os
from contextlib import ExitStack
from fractions import Fraction
from types import TracebackType
from typing import Any, Self

import av
import av.error
import numpy as np
from numpy.typing import NDArray

from napari_sam3.errors import VideoError
from napari_sam3.video.audio_track import AudioTrack
from napari_sam3.video.demuxer import hush_ffmpeg
from napari_sam3.video.paths import as_path
from napari_sam3.whole_files import written_whole

_CLOCK = Fraction(1, 90_000)
"""Ticks of exact time stamps: every usual frame rate is a whole number of them."""


class VideoWriter:
    """Writes frames to an H.264 MP4 file that plays everywhere (yuv420p).

    A context manager. The file appears under its name when the block is left; if the block
    raises, nothing is left behind, and a file that was there before stays as it was.

    Parameters
    ----------
    path : path-like
        Where to write; an existing file is replaced.
    fps : float
        Frames a second.
    size : (height, width), optional
        Of the frames, px; by default that of the first one. Odd sizes are padded to even ones by
        repeating the last row or column, as the format needs.
    codec : str
        FFmpeg's name of the encoder.
    crf : int
        Quality: 0 is lossless, 18 looks it, 23 is usual, 51 is worst.
    preset : str
        How much time the encoder takes to make the file small, from "ultrafast" to "veryslow".
    gop : int, optional
        A keyframe at least every so many frames; by default what the encoder chooses.
    sound : AudioTrack, optional
        A sound track to go with the pictures; closed with the writer.

    Raises
    ------
    VideoError
        If the file can't be written, or a frame does not fit.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        fps: float,
        size: tuple[int, int] | None = None,
        *,
        codec: str = "libx264",
        crf: int = 18,
        preset: str = "medium",
        gop: int | None = None,
        sound: AudioTrack | None = None,
    ) -> None:
        if not (np.isfinite(fps) and 0 < fps <= 10_000):
            raise VideoError(
                f"a video of {fps} frames a second can't be written; give 0 < fps <= 10000"
            )
        self.path = as_path(path)
        self._rate = Fraction(fps).limit_denominator(1001)
        self._size = size
        self._codec = codec
        self._options = {"crf": str(crf), "preset": preset}
        self._gop = gop
        self._sound = sound
        self._container: Any = None
        self._stream: Any = None
        self._files = ExitStack()
        self._last_pts: int | None = None
        self._count = 0

    def __enter__(self) -> Self:
        try:
            hush_ffmpeg()
            with ExitStack() as files:
                if self._sound is not None:
                    files.callback(self._sound.close)
                part = files.enter_context(written_whole(self.path.absolute()))
                options = {"movflags": "+faststart"}
                self._container = files.enter_context(
                    av.open(str(part), "w", format="mp4", options=options)
                )
                self._files = files.pop_all()
        except (OSError, av.error.FFmpegError) as exc:
            raise VideoError(
                f"{str(self.path)!r} can't be written ({exc}); choose another folder"
            ) from exc
        return self

    def write(self, rgb: NDArray[np.uint8], time: float | None = None) -> None:
        """Add a frame.

        Parameters
        ----------
        rgb : (H, W, 3) uint8 ndarray
            Or (H, W) for grey.
        time : float, optional
            When it is shown, s, as in `Video.timestamps`; by default frames follow each other at
            `fps`. Times must rise.
        """
        if self._container is None:
            raise VideoError("the writer is not open: use it as 'with VideoWriter(...) as writer:'")
        array = np.asarray(rgb)
        if array.ndim == 2:
            array = np.repeat(array[..., None], 3, axis=2)
        size = self._size or (array.shape[0], array.shape[1])
        if array.shape != (*size, 3) or array.dtype != np.uint8:
            raise VideoError(
                f"a frame of shape {array.shape} and {array.dtype} does not fit into a video of "
                f"{(*size, 3)} uint8; convert it first"
            )
        self._size = size
        height, width = size
        if height % 2 or width % 2:
            array = np.pad(array, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
        if self._stream is None:
            self._add_stream(array.shape[1], array.shape[0])
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(array), format="rgb24")
        frame.time_base = _CLOCK
        frame.pts = self._pts(time)
        self._container.mux(self._stream.encode(frame))
        self._mux_sound(float(frame.pts * _CLOCK))
        self._count += 1

    def _add_stream(self, width: int, height: int) -> None:
        try:
            stream = self._container.add_stream(self._codec, rate=self._rate, options=self._options)
        except (av.error.FFmpegError, ValueError) as exc:
            raise VideoError(
                f"this FFmpeg has no encoder {self._codec!r}; leave out codec to use libx264"
            ) from exc
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.codec_context.time_base = _CLOCK
        if self._gop is not None:
            stream.codec_context.gop_size = self._gop
        self._stream = stream
        if self._sound is not None:
            self._sound.add_to(self._container)

    def _mux_sound(self, time: float) -> None:
        """Write the sound that belongs before a time, s: players want both side by side."""
        if self._sound is not None:
            for packet in self._sound.packets_until(time):
                self._container.mux(packet)

    def _pts(self, time: float | None) -> int:
        seconds = Fraction(self._count) / self._rate if time is None else Fraction(float(time))
        pts = round(seconds / _CLOCK)
        if self._last_pts is not None and pts <= self._last_pts:
            raise VideoError(
                f"frame {self._count} is to be shown at {float(seconds)} s, not after the frame "
                f"before it ({float(self._last_pts * _CLOCK)} s); times must rise"
            )
        self._last_pts = pts
        return pts

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            if exc_type is None:
                with self._files:
                    self._finish()
            else:
                self._files.__exit__(exc_type, exc, traceback)
        except VideoError:
            raise
        except (OSError, av.error.FFmpegError) as error:
            raise VideoError(
                f"{str(self.path)!r} can't be written ({error}); is the disk full?"
            ) from error
        finally:
            self._container = None

    def _finish(self) -> None:
        if self._stream is None:
            raise VideoError(
                f"no frame was written to {str(self.path)!r}: a video needs at least one"
            )
        self._container.mux(self._stream.encode(None))
        self._mux_sound(float("inf"))
