"""The end of a file that may break off: which of its last frames are whole, how many are lost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import av
import numpy as np

from napari_sam3.video.decoder import Decoder
from napari_sam3.video.index import MOST_REORDERED, FrameIndex, PacketTable

_FILLER = 2**30
"""No number of frames."""


def count_whole(path: Path, stream_number: int, index: FrameIndex) -> int:
    """How many frames there are up to the first of the last ones that is damaged or not there.

    Decodes the last group of pictures, a second time from further back if something seems wrong:
    after a start between keyframes (intra refresh) decoders call healthy frames damaged.
    """
    last = len(index) - 1
    key = index.key_before(last)
    whole = last + 1
    decoder = Decoder(path, stream_number, index.kind, "SLICE")
    try:
        for start in dict.fromkeys((key, max(0, key - 1))):
            healthy: dict[int, bool] = {}

            def note(number: int, frame: av.VideoFrame, seen: dict[int, bool] = healthy) -> None:
                seen[number] = not frame.is_corrupt

            decoder.read_to_end(start, index, note)
            first = max(min(healthy, default=0), last - MOST_REORDERED)
            damaged = (n for n in range(first, last + 1) if not healthy.get(n, False))
            whole = next(damaged, last + 1)
            if whole > last:
                break
    finally:
        decoder.close()
    return whole


def announce(container: Any, stream: Any, table: PacketTable | None) -> tuple[int, float]:
    """How many frames the file's head tells of, and how many seconds; 0 where it does not.

    FFmpeg makes good what a head does not say from what it finds in the file.
    """
    name = container.format.name
    if name == "avi" or table is not None:
        # who can't go back to write the number when all is done leaves a filler
        return (int(stream.frames or 0) if stream.frames < _FILLER else 0), 0.0
    if "matroska" in name or name == "flv":
        # the time before the first frame is counted too
        start = max(0, container.start_time or 0)
        return 0, max(0, (container.duration or 0) - start) / float(av.time_base)
    return 0, 0.0


def count_lost(
    index: FrameIndex, packets: PacketTable, fps: float | None, announced: tuple[int, float]
) -> int | None:
    """How many frames are missing at the end, 0 if none; None if some, but who knows how many."""
    shown = np.sort(packets.pts[~packets.is_discarded])
    has_cut_tail = index.kind == "pts" and index.stamps[-1] < shown[-1]
    if packets.cut_short is False or (packets.cut_short is None and not has_cut_tail):
        return 0
    frames, seconds = announced
    expected = frames or round(seconds * (fps or 0))
    # those before the first keyframe of a recording are not lost at its end
    before = int(np.searchsorted(shown, index.stamps[0])) if index.kind == "pts" else 0
    return max(0, expected - before - len(index)) if expected else None


def count_left_out(times: Any) -> tuple[int, int]:
    """How many frames are missing among others, told by their times, and in how many places.

    Only where nearly all frames follow each other at one rate and the longer steps are whole
    multiples of it: a rate that varies says nothing, nor does a pause longer than all the rest, as
    between two recordings in one file.
    """
    steps = np.diff(times)
    if len(steps) < 20:
        return 0, 0
    usual = float(np.median(steps))
    if usual <= 0:
        return 0, 0
    multiples = np.rint(steps / usual)
    # containers round times, Matroska to whole milliseconds
    is_whole = np.abs(steps - multiples * usual) <= 2.5e-3 + 0.02 * usual
    n_gaps = int((multiples > 1).sum())
    is_rate = is_whole.all() and multiples.min() >= 1 and n_gaps <= len(steps) / 20
    if not is_rate or multiples.max() > len(times):
        return 0, 0
    return int((multiples - 1).sum()), n_gaps
