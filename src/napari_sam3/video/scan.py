"""Look through a video file once, on opening it: what is in it, and is that true."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.stream import Disposition

from napari_sam3.errors import VideoError
from napari_sam3.video.decoder import FFMPEG_ERRORS, READ_ON, Decoder, open_container
from napari_sam3.video.fields import FieldPictures
from napari_sam3.video.head import Head
from napari_sam3.video.index import (
    NO_STAMP,
    FrameIndex,
    PacketTable,
    StampKind,
    index_by_order,
    index_by_pts,
)
from napari_sam3.video.index_store import Findings, load_findings, save_findings
from napari_sam3.video.pixels import Layout, coded_format, frame_nbytes
from napari_sam3.video.sample_table import read_sample_table
from napari_sam3.video.tail import announce, count_left_out, count_lost, count_whole
from napari_sam3.video.whole import count_gif_pictures, is_cut_short

VERIFIED = 24
"""So many frames are decoded on opening, to see whether the index tells the truth."""

VERIFIED_INTRA = 6
"""So many where every frame stands by itself, and none can overtake another."""

VERIFIED_OF_TABLE = 1
"""So many where the file has a table of its frames (MP4): time stamps are not invented there."""

WORTH_KEEPING = 0.5
"""Seconds; an index that took longer to make is kept for the next opening."""

_CHUNK_HEADER = 8
"""Bytes before the contents of an AVI's chunk."""

_TEXT_ART = {"tty", "bin", "xbin", "adf", "idf", "rcwtenc", "txd"}
"""What FFmpeg makes moving pictures of though nobody would call it a video."""


@dataclass(kw_only=True, eq=False)
class Scan(Findings):
    """All that opening a file finds out: what is known of it, and the first frames.

    Attributes
    ----------
    identity : tuple of int
        What tells whether the file is still the one that was looked through.
    layout : Layout
        How all frames are given out.
    frame_nbytes : int
        Memory that one of them takes as decoded.
    first_frames : list of (frame number, av.VideoFrame)
        What was decoded on the way.
    decoder : Decoder or None
        Which gave them and goes on from there.
    stand_ins : dict of int to int or None
        Frames found out later not to be decodable, and what is shown for them (None: black).
    warned : bool
        Whether the user was told of them.
    """

    identity: tuple[int, int]
    layout: Layout
    frame_nbytes: int
    first_frames: list[tuple[int, av.VideoFrame]]
    decoder: Decoder | None = None
    stand_ins: dict[int, int | None] = field(default_factory=dict)
    warned: bool = False


def identify(path: Path) -> tuple[int, int]:
    """A file's size and the time it was last written."""
    try:
        status = path.stat()
    except OSError as exc:
        raise VideoError(f"{str(path)!r} is gone ({exc.strerror}); put it back") from exc
    return status.st_size, status.st_mtime_ns


def scan_file(path: Path) -> Scan:
    """Index a file, or take the index that is kept of it, and check it against decoded frames.

    Raises
    ------
    VideoError
        If the file can't be opened, holds no video, or not one frame that can be decoded.
    """
    identity = identify(path)
    found = load_findings(path)
    if found is not None:
        # it was compared with frames when it was made
        head = Head.decode(Decoder(path, found.stream_number, found.index.kind), 1)
        if head.number(found.index):
            return _scan(found, head, identity)
        head.close()
    start = time.perf_counter()
    found, head = _look_through(path)
    if time.perf_counter() - start >= WORTH_KEEPING and identify(path) == identity:
        save_findings(path, found)
    return _scan(found, head, identity)


def _scan(found: Findings, head: Head, identity: tuple[int, int]) -> Scan:
    sample = head.frames[0]
    return Scan(
        **vars(found),
        identity=identity,
        layout=Layout.of(sample, found.metadata["codec"], found.metadata["pixel_format"]),
        frame_nbytes=frame_nbytes(sample),
        first_frames=head.number(found.index),
        decoder=head.hand_over(found.index),
    )


def _look_through(path: Path) -> tuple[Findings, Head]:
    """Index a file by its packets, and check the index against what decoding its head gives."""
    container = open_container(path)
    try:
        stream = choose_stream(container, path)
        number = stream.index
        is_intra = stream.codec_context.codec.intra_only
        metadata = _describe(container, stream)
        rate = float(stream.average_rate or stream.guessed_rate or 0) or None
        seeks_by_pts = container.format.name != "mpegts"
        # a frame that a Matroska or MP4 file has not whole is none of it from the start
        may_end_in_part = not {"matroska", "mp4"} & set(container.format.name.split(","))
        may_have_fields = FieldPictures.of(stream) is not None
        table = None if may_have_fields else read_sample_table(path, container, stream)
        packets = read_packets(path, number) if table is None else table
        announced = announce(container, stream, table)
        chunks = _AviChunks.of(container, stream, packets)
        n_verified = VERIFIED_INTRA if is_intra else VERIFIED
        if table is not None and (table.reorders or not stream.codec_context.has_b_frames):
            n_verified = VERIFIED_OF_TABLE
        is_at_start = "mp4" not in container.format.name
    except BaseException:
        container.close()
        raise
    if chunks.lie or (table is None and not is_at_start):
        container.close()
        container = None
    if chunks.lie:
        # times are counted from chunk to chunk there, and come out otherwise after every seek
        packets = replace(packets, header=_CHUNK_HEADER)
        index, head = _index_by_place(path, number, packets, rate or 25.0, is_intra=is_intra)
    else:
        index = index_by_pts(packets, seeks_by_pts=seeks_by_pts)
        decoder = Decoder(path, number, "pts", container=container)
        if table is not None:
            decoder.go_to_start(int(table.dts[0]), int(table.pos[0]))
        head = Head.decode(decoder, n_verified)
        if index is not None:
            if packets.cut_short is not False:
                head.drop_after(int(index.stamps[-1]))
            index = None if packets.has_fields else head.bear_out(index)
        if index is None and len(packets):
            head.close()
            index, head = _decode_through(path, number, packets, rate or 25.0, ("dts", "pos"))
    breaks_off = packets.cut_short
    if index is not None and len(index) and packets.cut_short is not False:
        whole = count_whole(path, number, index) if may_end_in_part else len(index)
        breaks_off = breaks_off or whole < len(index)
        index = index.ending_at(whole) if whole else None
    if index is None or not head.frames or not len(index):
        head.close()
        raise VideoError(
            f"not one frame of {str(path)!r} can be decoded (codec {metadata['codec']!r}): the "
            "file is damaged or incomplete; get a whole copy of it"
        )
    fps, constant = _measure_rate(index.times, rate)
    metadata |= {"constant_frame_rate": constant, "frames": len(index)}
    if fps:
        metadata["duration"] = float(index.times[-1] - index.times[0]) + 1 / fps
    if index.kind == "pts" and (left_out := count_left_out(index.times))[0]:
        metadata["left_out"] = left_out
    lost = count_lost(index, replace(packets, cut_short=breaks_off), fps, announced)
    has_holes = lost == 0 and chunks.lie
    if has_holes:
        lost = max(0, chunks.count - len(index))
    found = Findings(
        stream_number=number,
        index=index,
        fps=fps,
        metadata=metadata,
        lost=lost,
        has_holes=has_holes,
    )
    return found, head


@dataclass(frozen=True)
class _AviChunks:
    """What an AVI's own index says of its chunks.

    Attributes
    ----------
    lie : bool
        Whether the packets are others: headers of chunks or the index are damaged, or it is not
        there.
    count : int
        How many packets the file says it has.
    """

    lie: bool
    count: int

    @classmethod
    def of(cls, container: Any, stream: Any, packets: PacketTable) -> _AviChunks:
        if container.format.name != "avi":
            return cls(False, 0)
        rows = [(e.timestamp, e.pos + _CHUNK_HEADER) for e in stream.index_entries if e.size]
        entries = np.array(rows, np.int64).reshape(-1, 2)
        agree = np.array_equal(entries, np.stack([packets.dts, packets.pos], axis=1))
        return cls(not agree, len(entries) or int(stream.frames or 0))


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
        held = sorted({stream.type for stream in container.streams}) or ["nothing"]
        raise VideoError(
            f"{path.name!r} holds no video, only {', '.join(held)} (a cover picture does not "
            "count); choose a file with moving pictures"
        )
    known = [stream for stream in streams if stream.codec_context is not None]
    if not known:
        raise VideoError(
            f"{path.name!r} is coded in a way that this FFmpeg can't decode; convert it to H.264"
        )
    default = [stream for stream in known if stream.disposition & Disposition.default]
    return (default or known)[0]


def read_packets(path: Path, number: int) -> PacketTable:
    """Demux all packets of a stream; none is decoded."""
    with open_container(path) as container:
        return _demux_all(path, container, container.streams[number])


def _demux_all(path: Path, container: Any, stream: Any) -> PacketTable:
    rows: list[tuple[int, int, int, bool, bool]] = []
    errors = n_partial = 0
    fields, has_fields = FieldPictures.of(stream), False
    while True:
        try:
            for packet in container.demux(stream):
                if packet.size == 0:
                    continue
                has_fields = has_fields or (fields is not None and fields.are_in(bytes(packet)))
                pts, dts, pos = packet.pts, packet.dts, packet.pos
                rows.append(
                    (
                        NO_STAMP if pts is None else pts,
                        NO_STAMP if dts is None else dts,
                        NO_STAMP if pos is None else pos,
                        packet.is_keyframe,
                        packet.is_discard,
                    )
                )
                errors, n_partial = 0, n_partial + 1 if packet.is_corrupt else 0
            break
        except IndexError:
            # a packet of a stream that turned up late (FLV), which PyAV does not know: go on
            continue
        except FFMPEG_ERRORS:
            # a damaged stretch: go on behind it, if there is a behind
            errors += 1
            if errors >= 100:
                break
    cut_short = is_cut_short(path, container.format.name)
    if errors or n_partial:
        cut_short = True
    if cut_short and container.format.name in ("mpegts", "nut"):
        # of these nobody says that the end of the last one is missing
        n_partial = max(1, n_partial)
    rows = rows[: len(rows) - n_partial]
    if cut_short and container.format.name == "gif":
        rows = rows[: count_gif_pictures(path)]
    table = np.array(rows, np.int64).reshape(-1, 5)
    return PacketTable(
        table[:, 0].copy(),
        table[:, 1].copy(),
        table[:, 2].copy(),
        table[:, 3].astype(bool),
        table[:, 4].astype(bool),
        stream.time_base,
        cut_short,
        has_fields=has_fields,
    )


def _index_by_place(
    path: Path, number: int, packets: PacketTable, rate: float, *, is_intra: bool
) -> tuple[FrameIndex | None, Head]:
    """Tell frames apart by where in the file they lie, which damage can't change."""
    if not len(packets):
        return None, Head([])
    if is_intra and packets.has_unique("pos"):
        # frames are stored in the order they are shown, and each stands by itself
        head = Head.decode(Decoder(path, number, "pos"), VERIFIED_INTRA)
        return index_by_order(packets, "pos", packets.pos, rate, set(packets.pos.tolist())), head
    return _decode_through(path, number, packets, rate, ("pos",))


def _decode_through(
    path: Path, number: int, packets: PacketTable, rate: float, kinds: tuple[StampKind, ...]
) -> tuple[FrameIndex, Head]:
    """Learn the true order of frames by decoding all of them once."""
    kind: StampKind = next((kind for kind in kinds if packets.has_unique(kind)), "count")
    decoder = Decoder(path, number, kind)
    stamps: list[int] = []
    keys: set[int] | None = set() if packets.header else None
    head: list[av.VideoFrame] = []
    try:
        for stamp, frame in decoder.decode():
            if keys is not None and (stamp is None or stamp in stamps[-READ_ON:]):
                # made up by the decoder over a hole
                continue
            if stamp is None or kind == "count":
                stamp, kind = len(stamps), "count"
            stamps.append(stamp)
            if keys is not None and frame.key_frame:
                keys.add(stamp)
            if len(head) < VERIFIED:
                head.append(frame)
    finally:
        decoder.close()
    if len(set(stamps)) < len(stamps):
        kind = "count"
    if kind == "count":
        stamps = list(range(len(stamps)))
    return index_by_order(packets, kind, np.array(stamps, np.int64), rate, keys), Head(head)


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
