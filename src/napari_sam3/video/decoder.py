"""One open file and its decoder: packets in, the wanted frame out."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any, Literal

import av
import av.error

from napari_sam3.video.demuxer import (
    FFMPEG_ERRORS,
    PacketReader,
    hush_ffmpeg,
    limit_pictures,
    open_container,
)
from napari_sam3.video.frame_index import FrameIndex
from napari_sam3.video.packets import StampKind

_WITHOUT_FLAGS = ("mjpeg",)
"""Codecs whose decoder does not mark damaged frames, but can be told to refuse them."""

READ_ON = 16
"""So few frames ahead it is cheaper to decode on than to seek, even to a keyframe."""


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
    is_strict : bool, optional
        Whether frames of JPEG that are damaged are none, so that somebody learns of them: else
        the decoder fills them up with what was in memory. By default only with AUTO.
    container : PyAV's, optional
        The file where it is open already, with nothing decoded yet; the decoder's from here on.

    Attributes
    ----------
    is_strict : bool
        Whether damaged frames are none; of these codecs only.
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
        is_strict: bool | None = None,
        container: Any = None,
    ) -> None:
        self._path = path
        self._stream_number = stream_number
        self.kind = kind
        self._threads = threads
        self._is_strict = threads == "AUTO" if is_strict is None else is_strict
        self.errors = 0
        self._use(open_container(path) if container is None else container)

    def _use(self, container: Any) -> None:
        self._container = container
        self._stream = container.streams[self._stream_number]
        self._stream.thread_type = self._threads
        context = self._stream.codec_context
        limit_pictures(self._path, context)
        self.is_strict = self._is_strict and context.name in _WITHOUT_FLAGS
        if self.is_strict:
            context.options = context.options | {"err_detect": "explode"}
        self._start()

    def _reopen(self) -> None:
        """Stand at the start of the file, surely."""
        self._container.close()
        self._use(open_container(self._path))

    def _start(self) -> None:
        """Be at the place the container stands at, with a decoder that has seen nothing."""
        self._packets: Iterator[Any] = PacketReader(self._container, self._stream)
        self._ready: list[av.VideoFrame] = []
        self.last = -1
        self._floor = 0  # frames before this one are not whole
        self._fresh = True  # no packet was fed since the last seek
        self._at_key = False  # the next packet is surely one to start at
        self._drained = False

    def close(self) -> None:
        """Close the file."""
        hush_ffmpeg()
        self._container.close()

    def go_to_start(self, dts: int, pos: int) -> None:
        """Stand before the file's first packet, which is known; cheaper than opening it anew."""
        if not (self._seek_to(dts) and self._stands_before(pos)):
            self._reopen()

    def _seek_to(self, place: int, *, is_bytes: bool = False) -> bool:
        """Seek to a time stamp or a place in the file; whether FFmpeg could."""
        try:
            self._container.seek(place, stream=self._stream, unsupported_byte_offset=is_bytes)
        except FFMPEG_ERRORS:
            return False
        self._start()
        return True

    def _stands_before(self, pos: int) -> bool:
        """Whether the next packet is the one at a place in the file; it is still to come then."""
        packet = next(self._packets, None)
        if packet is None or packet.pos != pos:
            return False
        self._packets = chain([packet], self._packets)
        return True

    # ---------------------------------------------------------------------- one after another

    def decode(self) -> Iterator[tuple[int | None, av.VideoFrame]]:
        """Go on from here to the end of the file: every frame with its stamp, as decoded."""
        while True:
            while self._ready:
                frame = self._ready.pop(0)
                yield frame.pts, frame
            if self._drained or not self._feed(None):
                return

    def _feed(self, index: FrameIndex | None) -> bool:
        """Decode one packet more into `_ready`; False when there is none left."""
        packet = next(self._packets, None)
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
        # PyAV 19 has a ValueError of its own for a decoder that could not be opened before
        except (*FFMPEG_ERRORS, ValueError):
            self.errors += 1
            return []

    # ------------------------------------------------------------------------ a wanted frame

    def read(
        self, frame_index: int, index: FrameIndex, *, reach: int = 0
    ) -> Iterator[tuple[int, av.VideoFrame]]:
        """Decode until a frame is found.

        Parameters
        ----------
        frame_index : int
        index : FrameIndex
        reach : int
            So many frames before it are to come by too.

        Yields
        ------
        tuple of (frame number, av.VideoFrame)
            Every frame that comes by, the wanted one last, if the file gives it.
        """
        key = index.key_before(frame_index)
        if self.last < frame_index and (self._ready or not self._drained):
            near = frame_index - self.last <= (1 if index.is_all_keys else READ_ON)
            if near or self.last >= index.key_frames[key]:
                for number, frame in self._read_on(frame_index, index):
                    yield number, frame
                    if number == frame_index:
                        return
        if reach:
            key = index.key_before(max(0, frame_index - reach))
        back = 1
        while True:
            self._seek(index, key)
            seen_before = False
            for number, frame in self._read_on(frame_index, index):
                yield number, frame
                if number == frame_index:
                    return
                seen_before = seen_before or number < frame_index
            # frames before and after it were had, but not this one: it is not there
            if seen_before or key == 0:
                return
            key = max(0, key - back)
            back *= 2

    def read_to_end(self, key: int, index: FrameIndex) -> Iterator[tuple[int, av.VideoFrame]]:
        """Decode from one of the index's places to start at up to its last frame."""
        self._seek(index, key)
        yield from self._read_on(len(index) - 1, index)

    def _read_on(self, frame_index: int, index: FrameIndex) -> Iterator[tuple[int, av.VideoFrame]]:
        """Decode from here up to a frame, or to the first one behind it."""
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
                yield number, frame
                if number >= frame_index:
                    return
            if self._drained or not self._feed(index):
                return

    def _seek(self, index: FrameIndex, key: int) -> None:
        """Stand at a place where decoding can start."""
        place = int(index.key_seeks[key])
        if self.kind == "count" or (self.kind == "pos" and key == 0):
            # the start of the file is surest found by opening it
            self._reopen()
        elif self.kind == "pos":
            self._seek_bytes(place, int(index.key_stamps[key]))
        elif not self._seek_to(place):
            self._reopen()

    def _seek_bytes(self, place: int, pos: int) -> None:
        """Stand before the packet at a place in the file, and be sure that it is that one."""
        if not (self._seek_to(place, is_bytes=True) and self._stands_before(pos)):
            # the demuxer has not found it: walk there, which is no decoding
            self._reopen()
            packet = next((packet for packet in self._packets if packet.pos == pos), None)
            if packet is None:
                self._reopen()
                return
            self._packets = chain([packet], self._packets)
        self._at_key = True
