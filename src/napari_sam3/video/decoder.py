"""One open file and its decoder: packets in, the wanted frame out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import chain
from pathlib import Path
from typing import Any, Literal

import av
import av.error

from napari_sam3.errors import VideoError
from napari_sam3.video.index import FrameIndex, StampKind

Keep = Callable[[int, av.VideoFrame], None]

# some of FFmpeg's errors arrive as a plain OSError
FFMPEG_ERRORS = (av.error.FFmpegError, OSError)

# PyAV 19 never fails on tags that are no UTF-8; before it had to be told
_OPENING: dict[str, Any] = (
    {"metadata_errors": "surrogateescape"} if int(av.__version__.split(".")[0]) < 19 else {}
)

READ_ON = 16
"""So few frames ahead it is cheaper to decode on than to seek, even to a keyframe."""


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


class Decoder:
    """Decodes wanted frames of one stream. Not safe from several threads: the owner locks.

    Parameters
    ----------
    path : Path
    stream_number : int
        The stream's number in the file.
    kind : {'pts', 'dts', 'pos', 'count'}
        What tells frames apart; see `FrameIndex`.
    threads : {'AUTO', 'SLICE'}
        FFmpeg's way to use several cores. AUTO is the faster one by far, but swallows the last
        frames of a file that breaks off.
    container : PyAV's, optional
        The file where it is open already, with nothing decoded yet; the decoder's from here on.

    Attributes
    ----------
    errors : int
        Packets so far that could not be decoded.
    last : int
        The frame that came out last, -1 if none has since the last seek; they come in rising order.
    """

    def __init__(
        self,
        path: Path,
        stream_number: int,
        kind: StampKind,
        threads: Literal["AUTO", "SLICE"] = "AUTO",
        *,
        container: Any = None,
    ) -> None:
        self._path = path
        self._stream_number = stream_number
        self.kind = kind
        self._threads = threads
        self.errors = 0
        self._open(container)

    def _open(self, container: Any = None) -> None:
        self._container = open_container(self._path) if container is None else container
        self._stream = self._container.streams[self._stream_number]
        self._stream.thread_type = self._threads
        self._start()

    def _start(self) -> None:
        """Be at the place the container stands at, with a decoder that has seen nothing."""
        self._packets: Iterator[Any] = self._container.demux(self._stream)
        self._ready: list[av.VideoFrame] = []
        self.last = -1
        self._floor = 0  # frames before this one are not whole
        self._fresh = True  # no packet was fed since the last seek
        self._at_key = False  # the next packet is surely one to start at
        self._drained = False
        self._errors_in_a_row = 0

    def close(self) -> None:
        """Close the file."""
        self._container.close()

    def go_to_start(self, dts: int, pos: int) -> None:
        """Stand before the file's first packet, which is known; cheaper than opening it anew."""
        with suppress(*FFMPEG_ERRORS):
            self._container.seek(dts, stream=self._stream)
            self._start()
            packet = self._next_packet()
            if packet is not None and packet.pos == pos:
                self._packets = chain([packet], self._packets)
                return
        self._container.close()
        self._open()

    # ---------------------------------------------------------------------- one after another

    def decode(self) -> Iterator[tuple[int | None, av.VideoFrame]]:
        """Go on from here to the end of the file: every frame with its stamp, as decoded."""
        while True:
            while self._ready:
                frame = self._ready.pop(0)
                yield frame.pts, frame
            if self._drained or not self._feed(None):
                return

    def _next_packet(self) -> Any | None:
        """The next packet of the stream; None at the end."""
        while self._errors_in_a_row < 100:
            try:
                packet = next(self._packets, None)
            except IndexError:
                # a packet of a stream that turned up late (FLV), which PyAV does not know: go on
                self._packets = self._container.demux(self._stream)
                continue
            except FFMPEG_ERRORS:
                # a damaged stretch: the demuxer finds its way, or says again that it can't
                self._errors_in_a_row += 1
                self._packets = self._container.demux(self._stream)
                continue
            self._errors_in_a_row = 0
            return None if packet is None or packet.size == 0 else packet
        return None

    def _feed(self, index: FrameIndex | None) -> bool:
        """Decode one packet more into `_ready`; False when there is none left."""
        packet = self._next_packet()
        if packet is None:
            self._drained = True
            self._ready += self._decode_packet(None)
            return bool(self._ready)
        if self.kind == "dts":
            packet.pts = packet.dts
        elif self.kind == "pos":
            packet.pts = packet.pos
        if self._fresh:
            is_place = packet.is_keyframe or self._at_key
            # a file may mark no packet at all (APNG whose pictures are drawn over the first)
            if index is not None and not is_place and packet.pts != index.key_stamps[0]:
                return True
            self._fresh = False
            if index is not None and packet.pts is not None:
                self._floor = index.first_frame_from(packet.pts)
        self._ready += self._decode_packet(packet)
        return True

    def _decode_packet(self, packet: Any) -> list[av.VideoFrame]:
        try:
            return list(self._stream.codec_context.decode(packet))
        except av.error.EOFError:
            return []
        except FFMPEG_ERRORS:
            self.errors += 1
            return []

    # ------------------------------------------------------------------------ a wanted frame

    def read(self, frame_index: int, index: FrameIndex, keep: Keep, *, reach: int = 0) -> bool:
        """Decode until a frame is found.

        Parameters
        ----------
        frame_index : int
        index : FrameIndex
        keep : callable
            Gets every frame (number, frame) that comes by, the wanted one last.
        reach : int
            So many frames before it are to come by too.

        Returns
        -------
        bool
            False if the file does not give this frame.
        """
        key = index.key_before(frame_index)
        if self.last < frame_index and (self._ready or not self._drained):
            near = frame_index - self.last <= (1 if index.is_all_keys else READ_ON)
            if near or self.last >= index.key_frames[key]:
                found, _ = self._read_on(frame_index, index, keep)
                if found:
                    return True
        if reach:
            key = index.key_before(max(0, frame_index - reach))
        back = 1
        while True:
            self._seek(index, key)
            found, seen_before = self._read_on(frame_index, index, keep)
            # frames before and after it were had, but not this one: it is not there
            if found or seen_before or key == 0:
                return found
            key = max(0, key - back)
            back *= 2

    def read_to_end(self, key: int, index: FrameIndex, keep: Keep) -> None:
        """Decode from one of the index's places to start at up to its last frame."""
        self._seek(index, key)
        self._read_on(len(index) - 1, index, keep)

    def _read_on(self, frame_index: int, index: FrameIndex, keep: Keep) -> tuple[bool, bool]:
        """Decode up to a frame: whether it was found, and whether an earlier one came by."""
        seen_before = False
        while True:
            while self._ready:
                frame = self._ready.pop(0)
                if self.kind == "count":
                    number: int | None = self.last + 1
                else:
                    number = None if frame.pts is None else index.frame_of(frame.pts)
                if number is None or number < self._floor:
                    continue
                self.last = max(self.last, number)
                keep(number, frame)
                if number == frame_index:
                    return True, seen_before
                if number > frame_index:
                    return False, seen_before
                seen_before = True
            if self._drained or not self._feed(index):
                return False, seen_before

    def _seek(self, index: FrameIndex, key: int) -> None:
        """Stand at a place where decoding can start."""
        if self.kind == "count" or key == 0:
            # the start of the file is surest found by opening it, but seeking there is cheaper
            if not self._rewind(index):
                self._container.close()
                self._open()
            return
        if self.kind == "pos":
            self._seek_bytes(index, key)
            return
        try:
            self._container.seek(int(index.key_seeks[key]), stream=self._stream)
        except FFMPEG_ERRORS:
            self._container.close()
            self._open()
            return
        self._start()

    def _seek_bytes(self, index: FrameIndex, key: int) -> None:
        """Stand before the packet at a place in the file, and be sure that it is that one."""
        wanted = int(index.key_stamps[key])
        with suppress(*FFMPEG_ERRORS):
            self._container.seek(
                int(index.key_seeks[key]), stream=self._stream, unsupported_byte_offset=True
            )
            self._start()
            packet = self._next_packet()
            if packet is not None and packet.pos == wanted:
                self._put_back(packet)
                return
        # the demuxer has not found it: walk there, which is no decoding
        self._container.close()
        self._open()
        while (packet := self._next_packet()) is not None:
            if packet.pos == wanted:
                self._put_back(packet)
                return
        self._container.close()
        self._open()

    def _put_back(self, packet: Any) -> None:
        self._packets = chain([packet], self._packets)
        self._at_key = True

    def _rewind(self, index: FrameIndex) -> bool:
        if self.kind in ("count", "pos"):
            return False
        try:
            self._container.seek(int(index.key_seeks[0]), stream=self._stream)
        except FFMPEG_ERRORS:
            return False
        self._start()
        return True
