"""Which frames of a file are missing: how many, where, and what the user is told of it."""

from __future__ import annotations

import warnings
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np

from napari_sam3.video.decoder import Decoder
from napari_sam3.video.frame_index import MOST_REORDERED, FrameIndex
from napari_sam3.video.packets import PacketTable

_FILLER = 2**30
"""No number of frames."""

_FEWEST_STEPS = 3

_FROM_ZERO = {"matroska", "mov", "flv", "avi", "nut"}
"""Formats whose films begin at time 0, unless they were cut out of others."""


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
    """How many frames the file's head tells of, and until which second; 0 where it does not.

    FFmpeg makes good what a head does not say from what it finds in the file.
    """
    name = container.format.name
    if name == "avi" or table is not None:
        # who can't go back to write the number when all is done leaves a filler
        return (int(stream.frames or 0) if stream.frames < _FILLER else 0), 0.0
    if "matroska" in name or name == "flv":
        return 0, _seconds_of(stream) or (container.duration or 0) / float(av.time_base)
    return 0, 0.0


def lasts_as_announced(container: Any, stream: Any) -> bool:
    """Whether the seconds that a file announces are those of its pictures, not of its sound."""
    return len(container.streams) == 1 or _seconds_of(stream) > 0


def _seconds_of(stream: Any) -> float:
    """How long a track of a Matroska file is by its tag; 0 where there is none."""
    hours, _, rest = str(stream.metadata.get("DURATION", "")).partition(":")
    minutes, _, seconds = rest.partition(":")
    try:
        return 3600 * float(hours) + 60 * float(minutes) + float(seconds)
    except ValueError:
        return 0.0


def count_lost(
    index: FrameIndex, packets: PacketTable, fps: float | None, announced: tuple[int, float]
) -> int | None:
    """How many frames are missing at the end, 0 if none; None if some, but who knows how many."""
    shown = np.sort(packets.pts[~packets.is_discarded])
    has_cut_tail = index.kind == "pts" and index.stamps[-1] < shown[-1]
    if packets.cut_short is False or (packets.cut_short is None and not has_cut_tail):
        return 0
    frames, seconds = announced
    # the time before the first frame is counted too
    start = max(0.0, float(shown[0] * packets.time_base)) if len(shown) else 0.0
    expected = frames or round(max(0.0, seconds - start) * (fps or 0))
    # those before the first keyframe of a recording are not lost at its end
    before = int(np.searchsorted(shown, index.stamps[0])) if index.kind == "pts" else 0
    # those behind a hole are there, but do not count
    behind = len(shown) - before - len(index) if index.kind == "pts" else 0
    return max(0, behind, expected - before - len(index)) if expected else None


@dataclass(frozen=True)
class Steps:
    """How far apart frames are, where nearly all follow each other at one rate.

    Attributes
    ----------
    usual : float
        From frame to frame, s.
    missing : int
        Frames that are missing among others.
    places : int
        In how many places.
    """

    usual: float
    missing: int
    places: int


def measure_steps(times: Any, tick: float) -> Steps | None:
    """Find frames missing among others by the times of those that are there.

    Only where nearly all follow each other at one rate and the longer steps are whole multiples of
    it: a rate that varies says nothing, nor does a pause longer than all the rest, as between two
    recordings in one file.

    Parameters
    ----------
    times : (T,) ndarray
        s; rising.
    tick : float
        What the container rounds times to, s.

    Returns
    -------
    Steps or None
        None where the rate is not constant.
    """
    steps = np.diff(times)
    if len(steps) < _FEWEST_STEPS:
        return None
    usual = float(np.median(steps))
    if usual <= 0:
        return None
    near = steps[np.abs(steps - usual) <= tick + 0.25 * usual]
    if not len(near):
        return None  # the middle of two halves
    # one step may be off by a tick, the mean of many is not: a long gap is measured by it
    usual = float(near.mean())
    multiples = np.rint(steps / usual)
    doubt = 2 * tick / len(near)
    is_whole = np.abs(steps - multiples * usual) <= 1.5 * tick + 0.02 * usual + multiples * doubt
    places = int((multiples > 1).sum())
    if not is_whole.all() or multiples.min() < 1 or places > max(1, len(steps) / 8):
        return None
    if multiples.max() > len(times):
        return Steps(usual, 0, 0)
    return Steps(usual, int((multiples - 1).sum()), places)


def are_out_of_step(times: Any) -> bool:
    """Whether of frames that follow each other at one rate a few are nearer to their neighbours.

    A damaged time stamp has put them where they are not due.
    """
    steps = np.diff(times)
    if len(steps) < _FEWEST_STEPS:
        return False
    near = steps < 0.75 * float(np.median(steps))
    usual = np.abs(steps - np.median(steps)) < 1e-3
    return bool(near.any() and usual.mean() > 0.8)


def count_before(times: Any, usual: float, container: str, delay: int) -> int:
    """How many frames are missing before the first one, where the container's time begins at 0.

    Parameters
    ----------
    times : (T,) ndarray
        s.
    usual : float
        From frame to frame, s.
    container : str
        FFmpeg's name of the format.
    delay : int
        So many frames the first one may be late, for the codec reorders them.
    """
    if not _FROM_ZERO & set(container.split(",")):
        return 0
    late = round(float(times[0]) / usual)
    # later than it is long: a part of something, cut out on purpose
    return late if max(2, delay) < late <= len(times) else 0


def count_after(times: Any, usual: float, seconds: float) -> int:
    """How many frames are missing behind the last one of a film that should last some seconds."""
    missing = round((seconds - float(times[-1])) / usual) - 1
    # some writers count the last frame's own time, and others not
    return missing if missing > 1 else 0


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
    if lost is None and has_holes:
        warnings.warn(
            f"{path.name!r} is damaged: frames may be lost, or not be what they were; {n_frames} "
            "can be read",
            stacklevel=4,
        )
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
