"""The sound of a video file, on its way into another file."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import av.error
from av.audio.frame import AudioFrame

from napari_sam3.errors import VideoError
from napari_sam3.video.demuxer import open_container

# codecs, and files whose packets hold them, that MP4 takes as they are
_KEPT_CODECS = frozenset({"aac", "mp3", "ac3", "eac3", "alac", "opus"})
_KEPT_FROM = frozenset({"mov", "mp4", "matroska", "webm"})
_RATES = frozenset({8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000})

GAP = 0.1
"""Seconds; stamps that are off by less are taken for inexact."""


class AudioTrack:
    """The first sound track of a file, cut to a span of time; copied, or else made AAC.

    Parameters
    ----------
    path : Path
        A video file.
    start, stop : float
        Span, s, as in `Video.timestamps`; the sound then begins at 0.
    """

    def __init__(self, path: Path, start: float, stop: float) -> None:
        self._start, self._stop = start, stop
        self._source: Any = None
        self._stream: Any = None
        self._target: Any = None
        self._packets: Iterator[tuple[float, Any]] = iter(())
        self._next: tuple[float, Any] | None = None
        # the pictures may come from what FFmpeg can't open, as a multi-page TIFF
        with suppress(VideoError):
            self._source = open_container(path)
            self._stream = next(iter(self._source.streams.audio), None)

    def __bool__(self) -> bool:
        return self._stream is not None

    def add_to(self, container: Any) -> None:
        """Make a track in a container, before anything is written to it."""
        if self._stream is None:
            return
        names = set(self._source.format.name.split(","))
        if self._stream.codec_context.name in _KEPT_CODECS and names & _KEPT_FROM:
            self._target = container.add_stream_from_template(self._stream)
            self._packets = self._copied()
        else:
            rate = self._stream.rate if self._stream.rate in _RATES else 48000
            self._target = container.add_stream("aac", rate=rate)
            self._target.layout = "mono" if self._stream.channels == 1 else "stereo"
            self._packets = self._encoded()
        self._advance()

    def packets_until(self, time: float) -> Iterator[Any]:
        """The packets that belong before a time of the new film, s."""
        while self._next is not None and self._next[0] <= time:
            yield self._next[1]
            self._advance()

    def _advance(self) -> None:
        try:
            self._next = next(self._packets, None)
        except av.error.FFmpegError as exc:
            self._next = None
            warnings.warn(f"the rest of the sound can't be read ({exc}); left out", stacklevel=2)

    def _demuxed(self) -> Iterator[Any]:
        if self._start > 1:
            self._source.seek(int((self._start - 1) * av.time_base))
        return iter(self._source.demux(self._stream))

    def _copied(self) -> Iterator[tuple[float, Any]]:
        base = self._stream.time_base
        shift = round(self._start / base)
        for packet in self._demuxed():
            if packet.pts is None or packet.dts is None:
                continue
            if packet.pts >= round(self._stop / base):
                return
            if packet.pts < shift:
                continue
            packet.pts -= shift
            packet.dts = packet.pts
            time = float(packet.pts * base)
            packet.stream = self._target
            yield time, packet

    def _encoded(self) -> Iterator[tuple[float, Any]]:
        rate = self._target.rate
        resampler = av.AudioResampler("fltp", self._target.layout, rate)
        time, clock = 0.0, 0
        for frame in self._decoded():
            began = round((float(frame.time or 0) - self._start) * rate)
            for piece in resampler.resample(frame):
                # samples are counted: stamps of some files go back and forth. A gap stays one
                clock = began if began > clock + rate * GAP else clock
                piece.pts, piece.time_base = clock, Fraction(1, rate)
                clock += piece.samples
                for packet in self._target.encode(piece):
                    time = _time_of(packet, time)
                    yield time, packet
        for packet in self._target.encode(None):
            time = _time_of(packet, time)
            yield time, packet

    def _decoded(self) -> Iterator[AudioFrame]:
        for packet in self._demuxed():
            for frame in packet.decode():
                if frame.time is None or frame.time < self._start:
                    continue
                if frame.time >= self._stop:
                    return
                yield frame

    def close(self) -> None:
        """Give back the file."""
        if self._source is not None:
            self._source.close()
            self._source = None


def _time_of(packet: Any, otherwise: float) -> float:
    return otherwise if packet.pts is None else float(packet.pts * packet.time_base)
