"""Look through a video file once, on opening it: what is in it, and is that true."""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import av
import numpy as np

from napari_sam3.errors import VideoError
from napari_sam3.video.decoder import READ_ON, Decoder
from napari_sam3.video.demuxer import choose_stream, declared_rate, identify, open_container
from napari_sam3.video.frame_format import FrameFormat, coded_format, frame_nbytes
from napari_sam3.video.frame_index import FrameIndex, index_by_order, index_by_pts
from napari_sam3.video.h264 import SequenceParameters
from napari_sam3.video.index_store import StreamInfo, load_stream_info, save_stream_info
from napari_sam3.video.missing_frames import (
    are_out_of_step,
    count_after,
    count_before,
    count_lost,
    count_whole,
    lasts_as_announced,
    measure_steps,
    read_announced,
)
from napari_sam3.video.packets import PacketTable, StampKind, read_packets
from napari_sam3.video.sample_table import read_sample_table

VERIFIED = 24
"""So many frames are decoded on opening, to see whether the index tells the truth."""

VERIFIED_INTRA = 6
"""So many where every frame stands by itself, and none can overtake another."""

VERIFIED_OF_TABLE = 1
"""So many where the file has a table of its frames (MP4): time stamps are not invented there."""

START_BYTES = 256 * 2**20
"""Of the first frames as many are kept as this holds; four times as many are decoded at most."""

WORTH_KEEPING = 0.5
"""Seconds; an index that took longer to make is kept for the next opening."""

_TIMED_BY_HAND = ("gif", "apng")
"""Formats in which each picture is shown as long as somebody wanted."""

_CHUNK_HEADER = 8
"""Bytes before the contents of an AVI's chunk."""


@dataclass(eq=False)
class DecodedStart:
    """What decoding a file from its start has given: its index is checked with that.

    Attributes
    ----------
    frames : list of av.VideoFrame
        In the order in which the decoder gave them; the first ones of those decoded.
    stamps : list of int or None
        Of all that were decoded.
    decoder : Decoder or None
        Which goes on from there.
    is_damaged : bool
        Whether packets among them could not be decoded.
    """

    frames: list[av.VideoFrame] = field(default_factory=list)
    stamps: list[int | None] = field(default_factory=list)
    decoder: Decoder | None = None
    is_damaged: bool = False

    @classmethod
    def decode(cls, decoder: Decoder, n_frames: int) -> DecodedStart:
        """Decode the first frames; the decoder has given none yet."""
        start = cls(decoder=decoder)
        for stamp, frame in decoder.decode():
            start.add(stamp, frame)
            nbytes = len(start.stamps) * frame_nbytes(frame)
            if len(start.stamps) == n_frames or nbytes > 4 * START_BYTES:
                break
        start.is_damaged = decoder.errors > 0
        return start

    def add(self, stamp: int | None, frame: av.VideoFrame) -> None:
        """Take note of the next frame, and keep it as long as there are few."""
        is_next = len(self.frames) == len(self.stamps)
        self.stamps.append(stamp)
        kept = (len(self.frames) + 1) * frame_nbytes(frame)
        if not self.frames or (is_next and kept <= START_BYTES):
            self.frames.append(frame)

    def close(self) -> None:
        """Close the decoder."""
        if self.decoder is not None:
            self.decoder.close()
            self.decoder = None

    def number(self, index: FrameIndex) -> list[tuple[int, av.VideoFrame]]:
        """The frames with their numbers, without those that are none of the video."""
        numbers = self._numbers(index)
        return [(n, f) for n, f in zip(numbers, self.frames, strict=False) if n is not None]

    def _numbers(self, index: FrameIndex) -> list[int | None]:
        """The numbers of all that were decoded; None for what is no frame of the video."""
        if index.kind == "count":
            return [n if n < len(index) else None for n in range(len(self.stamps))]
        return [None if stamp is None else index.frame_of(stamp) for stamp in self.stamps]

    def take_decoder(self, index: FrameIndex) -> Decoder | None:
        """The decoder, for whoever reads the frames that follow; None if it is not fit for that."""
        decoder = self.decoder
        n_decoded = len(self.stamps)
        if (
            decoder is None
            or self.is_damaged
            or decoder.kind != index.kind
            or self._numbers(index) != list(range(n_decoded))
        ):
            self.close()
            return None
        decoder.last = n_decoded - 1
        self.decoder = None
        return decoder

    def drop_after(self, stamp: int) -> None:
        """Forget frames shown after a stamp: of a file that breaks off they do not count."""
        numbers = range(len(self.stamps))
        kept = [n for n in numbers if (s := self.stamps[n]) is None or s <= stamp] or numbers[:1]
        self.frames = [self.frames[n] for n in kept if n < len(self.frames)]
        self.stamps = [self.stamps[n] for n in kept]

    def confirm(self, index: FrameIndex) -> FrameIndex | None:
        """The index, if the stamps of the decoded frames agree with it; else None."""
        decoded = self.stamps
        # a recording may start between keyframes: what comes before the first one can't be decoded
        first = index.frame_of(decoded[0]) if decoded and decoded[0] is not None else None
        if first is None:
            return None
        if first and not self.is_damaged:
            index = index.starting_at(first)
        if decoded == index.stamps[: len(decoded)].tolist():
            return index
        # where some can't be decoded, the others must be in their places
        places = [index.frame_of(stamp) for stamp in decoded if stamp is not None]
        known = [place for place in places if place is not None]
        is_in_order = len(known) == len(decoded) and known == sorted(known)
        return index if self.is_damaged and is_in_order else None


@dataclass(kw_only=True, eq=False)
class Probe(StreamInfo):
    """What all readers of a file share: what is known of it, and what they find out later.

    Attributes
    ----------
    identity : tuple of int
        What tells whether the file is still the one that was looked through.
    frame_format : FrameFormat
        How all frames are given out.
    frame_nbytes : int
        Memory that one of them takes as decoded.
    stand_ins : dict of int to int or None
        Frames found out later not to be decodable, and what is shown for them (None: black).
    warned : bool
        Whether the user was told of them.
    false_alarms : int
        How often the decoder called a frame damaged that was not.
    """

    identity: tuple[int, int]
    frame_format: FrameFormat
    frame_nbytes: int
    stand_ins: dict[int, int | None] = field(default_factory=dict)
    warned: bool = False
    false_alarms: int = 0


def probe_file(path: Path) -> tuple[Probe, DecodedStart]:
    """Index a file, or take the index that is kept of it, and check it against decoded frames.

    Raises
    ------
    VideoError
        If the file can't be opened, holds no video, or not one frame that can be decoded.
    """
    identity = identify(path)
    info, start = _read_index(path) or _make_index(path, identity)
    sample, metadata = start.frames[0], info.metadata
    probe = Probe(
        **vars(info),
        identity=identity,
        frame_format=FrameFormat.of(sample, metadata["codec"], metadata["pixel_format"]),
        frame_nbytes=frame_nbytes(sample),
    )
    return probe, start


def _read_index(path: Path) -> tuple[StreamInfo, DecodedStart] | None:
    """Take the index that is kept of a file; None if there is none that fits."""
    info = load_stream_info(path)
    if info is None:
        return None
    # it was compared with frames when it was made
    start = DecodedStart.decode(Decoder(path, info.stream_number, info.index.kind), 1)
    if start.number(info.index):
        return info, start
    start.close()
    return None


def _make_index(path: Path, identity: tuple[int, int]) -> tuple[StreamInfo, DecodedStart]:
    """Index a file, and keep the index if that took long."""
    began = time.perf_counter()
    info, start = _index_file(path)
    if time.perf_counter() - began >= WORTH_KEEPING and identify(path) == identity:
        save_stream_info(path, info)
    return info, start


def _index_file(path: Path) -> tuple[StreamInfo, DecodedStart]:
    """Index a file by its packets, and check the index against what decoding its start gives."""
    container = open_container(path)
    try:
        stream = choose_stream(container, path)
        number = stream.index
        is_intra = stream.codec_context.codec.intra_only
        metadata = _describe(container, stream)
        rate = declared_rate(stream)
        seeks_by_pts = container.format.name != "mpegts"
        # a frame that a Matroska or MP4 file has not whole is none of it from the start
        may_end_in_part = not {"matroska", "mp4"} & set(container.format.name.split(","))
        parameters = SequenceParameters.of(stream.codec_context)
        may_have_fields = parameters is not None and parameters.may_have_fields
        table = None if may_have_fields else read_sample_table(path, container, stream)
        packets = read_packets(path, number) if table is None else table
        announced = read_announced(container, stream, table)
        lasts = announced[1] if lasts_as_announced(container, stream) else 0.0
        delay = stream.codec_context.has_b_frames
        is_damaged_avi, n_chunks = _check_avi(container, stream, packets)
        n_verified = VERIFIED_INTRA if is_intra else VERIFIED
        if table is not None and (table.reorders or not stream.codec_context.has_b_frames):
            n_verified = VERIFIED_OF_TABLE
        # MP4's container stands elsewhere by now
        is_at_start = table is not None or "mp4" not in container.format.name
    except BaseException:
        container.close()
        raise
    n_skipped, is_through_damaged = 0, False
    if is_damaged_avi or not is_at_start:
        container.close()
        container = None
    if is_damaged_avi:
        # times are counted from chunk to chunk there, and come out otherwise after every seek
        packets = replace(packets, header=_CHUNK_HEADER)
        index, start = _index_by_place(path, number, packets, rate or 25.0, is_intra=is_intra)
    else:
        index = index_by_pts(packets, seeks_by_pts=seeks_by_pts)
        decoder = Decoder(path, number, "pts", container=container)
        if table is not None:
            decoder.go_to_start(int(table.dts[0]), int(table.pos[0]))
        start = DecodedStart.decode(decoder, n_verified)
        if index is not None:
            if packets.cut_short is not False:
                start.drop_after(int(index.stamps[-1]))
            n_listed = len(index)
            index = None if packets.has_fields else start.confirm(index)
            # a broadcast is recorded from anywhere on, others begin with what can be decoded
            if index is not None and seeks_by_pts:
                n_skipped = n_listed - len(index)
        if index is None and len(packets):
            start.close()
            index, start = _decode_through(path, number, packets, rate or 25.0, ("dts", "pos"))
            n_listed = int((~packets.is_discarded).sum())
            is_through_damaged = start.is_damaged or (
                not packets.has_fields and len(index) < n_listed
            )
    breaks_off = packets.cut_short
    if index is not None and len(index) and packets.cut_short is not False:
        whole = count_whole(path, number, index) if may_end_in_part else len(index)
        breaks_off = breaks_off or whole < len(index)
        index = index.ending_at(whole) if whole else None
    if index is None or not start.frames or not len(index):
        start.close()
        raise VideoError(
            f"not one frame of {str(path)!r} can be decoded (codec {metadata['codec']!r}): the "
            "file is damaged, incomplete, or refers to another one, which is not opened; get a "
            "whole copy of it"
        )
    fps, constant = _measure_rate(index.times, rate)
    metadata |= {"constant_frame_rate": constant, "frames": len(index)}
    if fps:
        metadata["duration"] = float(index.times[-1] - index.times[0]) + 1 / fps
    lost = count_lost(index, replace(packets, cut_short=breaks_off), fps, announced)
    left_out, after = _find_gaps(
        index, metadata["container"], float(packets.time_base), n_skipped, delay, lasts
    )
    if left_out[0]:
        metadata["left_out"] = left_out
    has_holes = lost == 0 and is_damaged_avi
    if has_holes:
        lost = max(0, n_chunks - len(index))
    elif lost == 0 and after:
        lost = after
    elif (
        lost == 0
        and not left_out[0]
        and (
            packets.is_damaged
            or is_through_damaged
            or (metadata["container"] == "mpegts" and are_out_of_step(index.times))
        )
    ):
        lost, has_holes = None, True
    info = StreamInfo(
        stream_number=number,
        index=index,
        fps=fps,
        metadata=metadata,
        lost=lost,
        has_holes=has_holes,
    )
    return info, start


def _find_gaps(
    index: FrameIndex, container: str, tick: float, n_skipped: int, delay: int, lasts: float
) -> tuple[tuple[int, int], int]:
    """Tell by times which frames are missing.

    Returns
    -------
    tuple of (int, int)
        How many before and among others, and in how many places.
    int
        How many behind the last one, for the film should last `lasts` seconds.
    """
    is_timed = index.kind == "pts" and container not in _TIMED_BY_HAND
    steps = measure_steps(index.times, tick) if is_timed else None
    before, missing, places, after = n_skipped, 0, 0, 0
    if steps is not None:
        before = max(before, count_before(index.times, steps.usual, container, delay))
        missing, places = steps.missing, steps.places
        after = count_after(index.times, steps.usual, lasts) if lasts else 0
    return (before + missing, places + (before > 0)), after


def _check_avi(container: Any, stream: Any, packets: PacketTable) -> tuple[bool, int]:
    """Compare an AVI's packets with its own index.

    Returns
    -------
    bool
        Whether they differ: headers of chunks or the index are damaged, or it is not there.
    int
        How many packets the file says it has.
    """
    if container.format.name != "avi":
        return False, 0
    rows = [(e.timestamp, e.pos + _CHUNK_HEADER) for e in stream.index_entries if e.size]
    entries = np.array(rows, np.int64).reshape(-1, 2)
    agree = np.array_equal(entries, np.stack([packets.dts, packets.pos], axis=1))
    # those of an index that is damaged are fewer than the head says
    return not agree, max(len(entries), read_announced(container, stream, None)[0])


def _index_by_place(
    path: Path, number: int, packets: PacketTable, rate: float, *, is_intra: bool
) -> tuple[FrameIndex | None, DecodedStart]:
    """Tell frames apart by where in the file they lie, which damage can't change."""
    if not len(packets):
        return None, DecodedStart()
    if is_intra and packets.has_unique("pos"):
        # frames are stored in the order they are shown, and each stands by itself
        start = DecodedStart.decode(Decoder(path, number, "pos"), VERIFIED_INTRA)
        return index_by_order(packets, "pos", packets.pos, rate, set(packets.pos.tolist())), start
    return _decode_through(path, number, packets, rate, ("pos",))


def _decode_through(
    path: Path, number: int, packets: PacketTable, rate: float, kinds: tuple[StampKind, ...]
) -> tuple[FrameIndex, DecodedStart]:
    """Learn the true order of frames by decoding all of them once."""
    kind: StampKind = next((kind for kind in kinds if packets.has_unique(kind)), "count")
    stamps: list[int] = []
    keys: set[int] | None = set() if packets.header else None
    start = DecodedStart()
    with closing(Decoder(path, number, kind, is_strict=False)) as decoder:
        for stamp, frame in decoder.decode():
            if keys is not None and (stamp is None or stamp in stamps[-READ_ON:]):
                # made up by the decoder over a hole
                continue
            if stamp is None or kind == "count":
                stamp, kind = len(stamps), "count"
            stamps.append(stamp)
            if keys is not None and frame.key_frame:
                keys.add(stamp)
            if len(start.stamps) < VERIFIED:
                start.add(stamp, frame)
            start.is_damaged = start.is_damaged or frame.is_corrupt
        start.is_damaged = start.is_damaged or decoder.errors > 0
    if len(set(stamps)) < len(stamps):
        kind = "count"
    if kind == "count":
        stamps = list(range(len(stamps)))
    index = index_by_order(packets, kind, np.array(stamps, np.int64), rate, keys)
    return index, start


def _measure_rate(times: Any, declared: float | None) -> tuple[float | None, bool]:
    """Frames a second, and whether frames come at a constant rate."""
    if len(times) < 2:
        return declared, True
    steps = np.diff(times)
    mean = (times[-1] - times[0]) / len(steps)
    if mean <= 0:
        return declared, False
    # containers round times, Matroska to whole milliseconds
    off = np.abs(times - (times[0] + mean * np.arange(len(times)))).max()
    constant = bool(off < min(2e-3, mean / 2))
    fps = 1 / mean
    if constant and declared and abs(declared - fps) < 1e-2 * fps:
        fps = declared
    return float(fps), constant


def _describe(container: Any, stream: Any) -> dict[str, Any]:
    context = stream.codec_context
    described: dict[str, Any] = {
        "container": container.format.name,
        "codec": context.name,
        "pixel_format": coded_format(context),
        "coded_size": (context.height, context.width),
        "duration": float(container.duration / av.time_base) if container.duration else None,
        "bit_rate": container.bit_rate or None,
        "tags": {_clean(name): _clean(text) for name, text in container.metadata.items()},
    }
    aspect = stream.sample_aspect_ratio
    if aspect and aspect != 1:
        described["pixel_aspect_ratio"] = float(aspect)
    return described


def _clean(text: str) -> str:
    """A tag's text with what was no UTF-8 replaced, so that it can be printed and saved."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
