"""Open a file with FFmpeg, choose its video stream, and get at the stream's packets."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import av
import av.error
import av.logging
from av.stream import Disposition

from napari_sam3.errors import VideoError
from napari_sam3.video.boxes import most_samples
from napari_sam3.video.limits import check_picture_size, most_pixels

# some of FFmpeg's errors arrive as a plain OSError
FFMPEG_ERRORS = (av.error.FFmpegError, OSError)

# PyAV 19 never fails on tags that are no UTF-8; before it had to be told
_OPENING: dict[str, Any] = (
    {"metadata_errors": "surrogateescape"} if int(av.__version__.split(".")[0]) < 19 else {}
)

DEMUXERS = (
    # containers
    *("mov", "matroska", "avi", "mpegts", "mpeg", "flv", "live_flv", "asf", "asf_o", "mxf", "nut"),
    *("ogg", "ivf", "dv", "gxf", "lxf", "wtv", "ty", "rm", "ivr", "swf", "nsv", "nuv", "pva"),
    *("amv", "kux", "dhav", "mpjpeg", "smjpeg", "lmlm4", "vividas", "vivo", "moflex", "mods"),
    # of cameras and instruments
    *("cine", "ser", "r3d", "mgsts", "mvi", "mtv", "ifv", "lvf", "xmv", "thp", "usm", "cdxl"),
    # raw streams
    *("h264", "hevc", "vvc", "evc", "obu", "av1", "apv", "mpegvideo", "m4v", "mjpeg", "ingenient"),
    *("mjpeg_2000", "h261", "h263", "vc1", "vc1test", "dirac", "dnxhd", "avs2", "avs3"),
    *("cavsvideo", "yuv4mpegpipe", "ipu", "iv8"),
    # animations
    *("gif", "apng", "flic", "anm", "smk", "bink", "filmstrip", "rpl", "film_cpk", "roq"),
)
"""FFmpeg's readers that read the file they are given and no other.

Left out are playlists, manifests and patterns of names (hls, concat, dash, sdp, image2, mlv, ...),
scripts and devices (lavfi, vapoursynth, x11grab, ...), text as pictures (tty, ...), pictures and
sound.
"""

# whatever is in a file, FFmpeg opens no other one, no pipe and no address for it
_ALONE = {
    "format_whitelist": ",".join((*DEMUXERS, "png_pipe")),
    "protocol_whitelist": "file",
    "enable_drefs": "0",
}

_LISTS = (b"#extm3u", b"ffconcat", b"<mpd", b"v=0", b"<smoothstreamingmedia", b"[playlist]")
"""How files begin that only name others."""

_PATTERN = frozenset("%*?[{")
"""What FFmpeg may take a name for a pattern by."""

_MOST_ERRORS = 100
"""In a row; then there is nothing behind a damaged stretch."""


def identify(path: Path) -> tuple[int, int]:
    """A file's size and the time it was last written, ns: whether it is still the same."""
    try:
        status = path.stat()
    except OSError as exc:
        raise VideoError(f"{str(path)!r} is gone ({exc.strerror}); put it back") from exc
    return status.st_size, status.st_mtime_ns


def hush_ffmpeg() -> None:
    """Have FFmpeg tell nothing to Python, whoever wanted it to, as older torchvisions do.

    What a decoder's own thread tells waits for Python's lock, which whoever closes the decoder
    holds while waiting for the thread: for ever (PyAV's issues 367 and 751).
    """
    av.logging.set_level(None)


def open_container(path: Path, demuxer: str | None = None) -> Any:
    """Open a file with FFmpeg, and no other file whatever it says; see `DEMUXERS`.

    Parameters
    ----------
    path : Path
    demuxer : str, optional
        FFmpeg's name of the format, where it is known; by default it is told by the content.

    Raises
    ------
    VideoError
        If it can't be opened, or is no video.
    """
    hush_ffmpeg()
    most = most_pixels()
    limits = {} if most is None else {"max_pixels": str(most)}
    n_bytes, changed_ns = identify(path)
    try:
        n_samples = most_samples(path.absolute(), n_bytes, changed_ns)
        if n_samples > n_bytes:
            # FFmpeg takes memory for each before it looks
            raise VideoError(
                f"{str(path)!r} announces {n_samples} samples, more than it has bytes: the file is "
                "damaged or incomplete; get a whole copy of it"
            )
        if demuxer is None and _PATTERN & set(path.name):
            # as a pattern of names it would stand for others, so its name may not be seen
            with path.open("rb") as file, av.open(file, container_options=_ALONE) as container:
                demuxer = container.format.name.split(",")[0]
        return _open(path, demuxer, **limits)
    except VideoError:
        raise
    except FFMPEG_ERRORS as exc:
        if _only_names_others(path):
            raise VideoError(
                f"{str(path)!r} is a list of other files, not a video; such lists are not "
                "followed: open the files that it names, or make one file of them"
            ) from exc
        if exc.errno == errno.EINVAL:
            raise VideoError(
                f"{str(path)!r} can't be read as a video: it is of a kind that is not read here, "
                "for it is no video or opens other files; convert it to MP4"
            ) from exc
        raise VideoError(
            f"{str(path)!r} can't be read as a video ({exc.strerror}): the file is damaged, or of "
            "a kind that FFmpeg does not know; get a whole copy, or convert it to MP4"
        ) from exc


def _open(path: Path, demuxer: str | None, **options: str) -> Any:
    # an absolute path, so that a colon in a name is never taken for a protocol
    return av.open(
        str(path.absolute()),
        format=demuxer,
        options=options,
        container_options=_ALONE,
        **_OPENING,
    )


def _only_names_others(path: Path) -> bool:
    """Whether a file begins as a playlist or a manifest does."""
    with suppress(OSError), path.open("rb") as file:
        head = file.read(1024).removeprefix(b"\xef\xbb\xbf").lstrip().lower()
        return head.startswith(_LISTS) or (head.startswith(b"<?xml") and b"<mpd" in head)
    return False


def choose_stream(container: Any, path: Path) -> Any:
    """The video stream that is meant; a cover picture is none."""
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
    stream = (default or known)[0]
    if not stream.codec_context.width:
        # forgotten by FFmpeg where they are too large
        with _open(path, container.format.name.split(",")[0], codec_whitelist="none") as told:
            size = told.streams[stream.index].codec_context
            if size is not None:
                check_picture_size(path, size.height, size.width)
    limit_pictures(path, stream.codec_context)
    return stream


def limit_pictures(path: Path, context: Any) -> None:
    """Refuse pictures too large; have the decoder, not open yet, refuse those to come.

    Raises
    ------
    VideoError
        If the stream says that its pictures have too many pixels; it may say so later on too.
    """
    check_picture_size(path, context.height, context.width)
    most = most_pixels()
    if most is not None:
        context.options = context.options | {"max_pixels": str(most)}


def declared_rate(stream: Any) -> float | None:
    """Frames a second, as the file says it or FFmpeg guesses it."""
    return float(stream.average_rate or stream.guessed_rate or 0) or None


class PacketReader(Iterator[Any]):
    """The packets of a stream from where the container stands, past damaged stretches.

    Attributes
    ----------
    errors : int
        Failures since the last packet.
    n_errors : int
        Failures so far.
    """

    def __init__(self, container: Any, stream: Any) -> None:
        self._container = container
        self._stream = stream
        self._packets = container.demux(stream)
        self.errors = self.n_errors = 0

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
                self.n_errors += 1
                self._packets = self._container.demux(self._stream)
            else:
                if packet.size:
                    self.errors = 0
                    return packet
        raise StopIteration
