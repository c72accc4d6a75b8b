"""What the packets of a stream tell, without decoding one."""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from napari_sam3.video.demuxer import PacketReader, open_container
from napari_sam3.video.h264 import SequenceParameters
from napari_sam3.video.truncation import count_gif_pictures, is_cut_short, is_sound

Int64Array = NDArray[np.int64]
StampKind = Literal["pts", "dts", "pos", "count"]

NO_STAMP = int(np.iinfo(np.int64).min)
"""Stands for a time stamp that a packet does not carry."""


@dataclass(frozen=True, eq=False)
class PacketTable:
    """What demuxing tells of a stream's packets, in file order, without decoding one.

    Attributes
    ----------
    pts, dts, pos : (N,) int64
        Time stamps in `time_base` and place in the file in bytes; `NO_STAMP` where there is none.
    is_key, is_discarded : (N,) bool
        Whether decoding can start there; whether the file says not to show the frame.
    time_base : Fraction
        Seconds a tick.
    cut_short : bool or None
        Whether the file breaks off before its end; None where it can't tell.
    header : int
        So many bytes before `pos` the packet's own header starts.
    has_fields : bool
        Whether some packets hold half a frame, each second line of it.
    is_damaged : bool
        Whether something between the packets is not as it should be, so that some may be lost.
    """

    pts: Int64Array
    dts: Int64Array
    pos: Int64Array
    is_key: NDArray[np.bool_]
    is_discarded: NDArray[np.bool_]
    time_base: Fraction
    cut_short: bool | None = False
    header: int = 0
    has_fields: bool = False
    is_damaged: bool = False

    def __len__(self) -> int:
        return len(self.pts)

    @property
    def reorders(self) -> bool:
        """Whether frames are shown in another order than they are decoded in."""
        return bool((np.diff(self.pts) < 0).any())

    def stamps(self, kind: StampKind) -> Int64Array:
        """The packets' stamps of one kind."""
        return {"pts": self.pts, "dts": self.dts, "pos": self.pos}[kind]

    def has_unique(self, kind: StampKind) -> bool:
        """Whether stamps of that kind tell all packets apart."""
        stamps = self.stamps(kind)
        return NO_STAMP not in stamps and len(np.unique(stamps)) == len(stamps)


def read_packets(path: Path, stream_number: int) -> PacketTable:
    """Demux all packets of a stream; none is decoded."""
    numbers = array("q")
    n_corrupt = 0  # at the end
    is_damaged = False
    places: list[tuple[bool, int] | None] = []
    has_fields = False
    with open_container(path) as container:
        stream, kind = container.streams[stream_number], container.format.name
        parameters = SequenceParameters.of(stream.codec_context)
        reader = PacketReader(container, stream)
        for packet in reader:
            if parameters is not None and parameters.may_have_fields and not has_fields:
                has_fields = parameters.has_field(bytes(packet))
            if kind == "h264" and parameters is not None and not parameters.may_have_fields:
                # nothing else counts the pictures of a raw stream
                places.append(parameters.place_of(bytes(packet)))
            for stamp in (packet.pts, packet.dts, packet.pos):
                numbers.append(NO_STAMP if stamp is None else stamp)
            numbers.append(packet.is_keyframe)
            numbers.append(packet.is_discard)
            n_corrupt = n_corrupt + 1 if packet.is_corrupt else 0
            is_damaged = is_damaged or packet.is_corrupt
        time_base = stream.time_base
    cut_short = is_cut_short(path, kind)
    is_damaged = is_damaged or reader.n_errors > 0 or not is_sound(path, kind)
    if places and parameters is not None:
        is_damaged = is_damaged or not parameters.has_all(places)
    if reader.errors or n_corrupt:
        cut_short = True
    if cut_short and kind in ("mpegts", "nut"):
        # of these nobody says that the end of the last one is missing
        n_corrupt = max(1, n_corrupt)
    rows = np.array(numbers, np.int64).reshape(-1, 5)
    rows = rows[: len(rows) - n_corrupt]
    if cut_short and kind == "gif":
        rows = rows[: count_gif_pictures(path)]
    pts, dts, pos, is_key, is_discarded = rows.T.copy()
    return PacketTable(
        pts,
        dts,
        pos,
        is_key.astype(bool),
        is_discarded.astype(bool),
        time_base,
        cut_short,
        has_fields=has_fields,
        is_damaged=is_damaged,
    )
