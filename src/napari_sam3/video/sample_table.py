"""The sample table of an MP4 or QuickTime file: every packet's time without reading a packet.

Demuxing an hour of video means reading gigabytes; the table that says the same is two megabytes at
one end of the file. FFmpeg hands out its half (place, size and decoding time of every sample, edit
lists applied); the other half (how much later than decoded a sample is shown) is read here from
the boxes `stts` and `ctts`. Both are checked against real packets, and where they disagree the
file is demuxed like any other.

Source: ISO/IEC 14496-12, "ISO base media file format", clauses 4.2 and 8.6.1.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from napari_sam3.video.boxes import child, children, read_moov
from napari_sam3.video.demuxer import FFMPEG_ERRORS
from napari_sam3.video.packets import Int64Array, PacketTable

_PROBES = 5


def read_sample_table(path: Path, container: Any, stream: Any) -> PacketTable | None:
    """Read a stream's packets off the file's sample table.

    Parameters
    ----------
    path : Path
    container, stream : PyAV's
        The open file and its video stream; the container is left somewhere in the file.

    Returns
    -------
    PacketTable or None
        Of the packets that the file holds whole; None where there is no table, or where it is not
        in step with the packets themselves (fragments, edits that cut).
    """
    if "mp4" not in container.format.name:
        return None
    entries = stream.index_entries
    with path.open("rb") as file:
        moov = read_moov(file, file.seek(0, 2))
    delays = None if moov is None else _read_delays(moov, stream.id, len(entries))
    if delays is None:
        return None
    rows = [(e.timestamp, e.pos, e.size, e.is_keyframe, e.is_discard) for e in entries]
    dts, pos, size, is_key, is_discarded = np.array(rows, np.int64).T
    first = _packet_at(container, stream, None)
    if first is None or first.dts != dts[0] or first.pts is None:
        return None
    pts = dts + delays + (first.pts - dts[0] - delays[0])
    whole = pos + size <= path.stat().st_size
    table = PacketTable(
        pts[whole],
        dts[whole],
        pos[whole],
        is_key[whole].astype(bool),
        is_discarded[whole].astype(bool),
        stream.time_base,
        cut_short=not whole.all(),
    )
    return table if _is_in_step(table, container, stream) else None


def _packet_at(container: Any, stream: Any, dts: int | None) -> Any:
    """The first packet of the file, or the one that a seek finds."""
    try:
        if dts is not None:
            container.seek(dts, stream=stream)
        packet = next(container.demux(stream), None)
    except (*FFMPEG_ERRORS, IndexError):
        return None
    return packet if packet is not None and packet.size else None


def _is_in_step(table: PacketTable, container: Any, stream: Any) -> bool:
    """Whether packets here and there in the file are what the table says."""
    keys = np.flatnonzero(table.is_key)
    for key in keys[np.linspace(0, len(keys) - 1, min(_PROBES, len(keys))).astype(int)]:
        packet = _packet_at(container, stream, int(table.pts[key]))
        if packet is None:
            return False
        place = int(np.searchsorted(table.dts, packet.dts))
        if place == len(table) or table.dts[place] != packet.dts:
            return False
        if table.pts[place] != packet.pts or table.pos[place] != packet.pos:
            return False
    return len(keys) > 0


# ----------------------------------------------------------------------------------- boxes


def _read_delays(moov: memoryview, track: int, count: int) -> Int64Array | None:
    """How many ticks after decoding each of a track's `count` samples is shown; None: unknown."""
    for kind, trak in children(moov):
        head = child(trak, b"tkhd") if kind == b"trak" else None
        if head is None or len(head) < 24:
            continue
        place = 20 if head[0] == 1 else 12
        if int.from_bytes(head[place : place + 4], "big") != track:
            continue
        samples = child(trak, b"mdia", b"minf", b"stbl")
        durations = _runs(child(samples, b"stts"))
        if durations is None or count != durations[0].sum() or count == 0:
            return None
        shifts = _runs(child(samples, b"ctts"))
        if shifts is None:
            return np.zeros(count, np.int64)
        if count != shifts[0].sum():
            return None
        return np.repeat(shifts[1], shifts[0])
    return None


def _runs(table: memoryview | None) -> tuple[Int64Array, Int64Array] | None:
    """Read a run-length table: how often, and which value."""
    if table is None or len(table) < 8:
        return None
    count = int.from_bytes(table[4:8], "big")
    if 8 + 8 * count > len(table):
        return None
    words = np.frombuffer(table, ">u4", 2 * count, 8).reshape(-1, 2)
    # delays are signed in fact, whatever the version of the box says
    return words[:, 0].astype(np.int64), words[:, 1].astype(">u4").view(">i4").astype(np.int64)
