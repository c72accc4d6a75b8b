"""Open a file with FFmpeg, choose its video stream, and get at the stream's packets."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import av.error
from av.stream import Disposition

from napari_sam3.errors import VideoError

# some of FFmpeg's errors arrive as a plain OSError
FFMPEG_ERRORS = (av.error.FFmpegError, OSError)

# PyAV 19 never fails on tags that are no UTF-8; before it had to be told
_OPENING: dict[str, Any] = (
    {"metadata_errors": "surrogateescape"} if int(av.__version__.split(".")[0]) < 19 else {}
)

_TEXT_ART = {"tty", "bin", "xbin", "adf", "idf", "rcwtenc", "txd"}
"""What FFmpeg makes moving pictures of though nobody would call it a video."""

_MOST_ERRORS = 100
"""In a row; then there is nothing behind a damaged stretch."""


def identify(path: Path) -> tuple[int, int]:
    """A file's size and the time it was last written, ns: whether it is still the same."""
    try:
        status = path.stat()
    except OSError as exc:
        raise VideoError(f"{str(path)!r} is gone ({exc.strerror}); put it back") from exc
    return status.st_size, status.st_mtime_ns


def open_container(path: Path) -> Any:
    """Open a file with FFmpeg.

    Raises
    ------
    VideoError
        If it can't be opened, or is no video.
    """
    # an absolute path, so that a colon in a name is never taken for a protocol
    try:
        return av.open(str(path.absolute()), **_OPENING)
    except FFMPEG_ERRORS as exc:
        raise VideoError(
            f"{str(path)!r} can't be read as a video ({exc.strerror}): the file is damaged, or of "
            "a kind that FFmpeg does not know; get a whole copy, or convert it to MP4"
        ) from exc


def choose_stream(container: Any, path: Path) -> Any:
    """The video stream that is meant; a cover picture is none."""
    if container.format.name in _TEXT_ART:
        raise VideoError(f"{path.name!r} is a text, not a video; choose a video file")
    streams = [
        stream
        for stream in container.streams.video
        if not stream.disposition & (Disposition.attached_pic | Disposition.timed_thumbnails)
    ]
    if not streams:
        kinds = sorted({stream.type for stream in container.streams}) or ["nothing"]
        raise VideoError(
            f"{path.name!r} holds no video, only {', '.join(kinds)} (a cover picture does not "
            "count); choose a file with moving pictures"
        )
    known = [stream for stream in streams if stream.codec_context is not None]
    if not known:
        raise VideoError(
            f"{path.name!r} is coded in a way that this FFmpeg can't decode; convert it to H.264"
        )
    default = [stream for stream in known if stream.disposition & Disposition.default]
    return (default or known)[0]


def declared_rate(stream: Any) -> float | None:
    """Frames a second, as the file says it or FFmpeg guesses it."""
    return float(stream.average_rate or stream.guessed_rate or 0) or None


class PacketReader(Iterator[Any]):
    """The packets of a stream from where the container stands, past damaged stretches.

    Attributes
    ----------
    errors : int
        Failures since the last packet.
    """

    def __init__(self, container: Any, stream: Any) -> None:
        self._container = container
        self._stream = stream
        self._packets = container.demux(stream)
        self.errors = 0

    def __next__(self) -> Any:
        while self.errors < _MOST_ERRORS:
            try:
                packet = next(self._packets)
            except IndexError:
                # a packet of a stream that turned up late (FLV), which PyAV does not know: go on
                self._packets = self._container.demux(self._stream)
            except FFMPEG_ERRORS:
                # a damaged stretch: the demuxer finds its way, or says again that it can't
                self.errors += 1
                self._packets = self._container.demux(self._stream)
            else:
                if packet.size:
                    self.errors = 0
                    return packet
        raise StopIteration
