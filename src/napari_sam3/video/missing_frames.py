"""Which frames of a file are missing: how many, where, and what the user is told of it."""

from __future__ import annotations

import warnings
from contextlib import closing
from pathlib import Path
from typing import Any

import av
import numpy as np

from napari_sam3.video.decoder import Decoder
from napari_sam3.video.frame_index import MOST_REORDERED, FrameIndex
from napari_sam3.video.packets import PacketTable

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
    with closing(Decoder(path, stream_number, index.kind, "SLICE")) as decoder:
        for start in dict.fromkeys((key, max(0, key - 1))):
            frames = decoder.read_to_end(start, index)
            healthy = {number: not frame.is_corrupt for number, frame in frames}
            first = max(min(healthy, default=0), last - MOST_REORDERED)
            damaged = (n for n in range(first, last + 1) if not healthy.get(n, False))
            whole = next(damaged, last + 1)
            if whole > last:
                break
    return whole


def read_announced(container: Any, stream: Any, table: PacketTable | None) -> tuple[int, float]:
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


def count_gaps(times: Any) -> tuple[int, int]:
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


def warn_of_loss(path: Path, lost: int | None, n_frames: int, *, has_holes: bool) -> None:
    """Tell the user of frames that are missing.

    Parameters
    ----------
    path : Path
    lost : int or None
        How many, 0 for none; None if some, but the file does not say how many.
    n_frames : int
        How many can be read.
    has_holes : bool
        Whether they are missing from the middle rather than at the end.
    """
    if lost == 0:
        return
    many = f"{lost} frame{'s' * (lost != 1)}" if lost else "frames (how many it does not say)"
    what = f"is damaged: {many}" if has_holes else f"breaks off: {many} at its end"
    verb = "is" if lost == 1 else "are"
    warnings.warn(f"{path.name!r} {what} {verb} lost, {n_frames} can be read", stacklevel=4)


def warn_of_gaps(path: Path, n_frames: int, n_places: int) -> None:
    """Tell the user of frames that are missing among others by their times."""
    if n_frames:
        warnings.warn(
            f"by the times of the others {n_frames} frame{'s' * (n_frames != 1)} of {path.name!r} "
            f"{'is' if n_frames == 1 else 'are'} missing in {n_places} "
            f"place{'s' * (n_places != 1)}: lost, or left out when it was recorded; the frames "
            "that are there are counted on without a gap",
            stacklevel=4,
        )


def warn_of_missing_pages(path: Path, n_frames: int, n_places: int, why: str) -> None:
    """Tell the user of frames of a film that are announced but not there."""
    if n_frames:
        warnings.warn(
            f"{n_frames} frame{'s' * (n_frames != 1)} of {path.name!r} "
            f"{'is' if n_frames == 1 else 'are'} missing in {n_places} "
            f"place{'s' * (n_places != 1)}: {why}; the frames that are there are counted on "
            "without a gap",
            stacklevel=4,
        )
