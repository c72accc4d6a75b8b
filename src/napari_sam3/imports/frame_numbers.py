"""Which frame each picture of labels is of: one rule for folders, COCO and YouTube-VIS."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from napari_sam3.errors import VideoError

MOST_FRAMES = 10**7
"""Frames of a video, at most: 92 hours at 30 a second. What a name says beyond is no frame."""

_DIGITS = re.compile(r"([0-9]+)")  # other scripts have digits too, but nobody counts in them
_CHALLENGE = re.compile(r"(?:mask|man_track|man_seg)_?[0-9]+", re.IGNORECASE)
_SLICES = re.compile(r"man_seg_?[0-9]+_[0-9]+", re.IGNORECASE)


class FrameNumbers(NamedTuple):
    """Frames that names tell.

    Attributes
    ----------
    frames : tuple of int
        Of each name, 0-based.
    first : int
        The number that frame 0 has in the names, and in tables beside them.
    doubt : str
        What is not sure about it, in words; empty where nothing is.
    """

    frames: tuple[int, ...]
    first: int = 0
    doubt: str = ""


def number_frames(
    names: Sequence[str],
    *,
    first: int | None = None,
    is_sure: bool = False,
    is_series: bool = True,
) -> FrameNumbers:
    """Say which frame each picture is of, by its name.

    The frames are told by the one number in which the names differ. It counts from 0 where one of
    them is 0 and in pictures of the Cell Tracking Challenge. Else numbers without a gap count from
    the lowest if the pictures are a series of their own, or the lowest is 1; all others from 0;
    this is in doubt. Names without such a number follow each other in natural order, which is in
    doubt too.

    Parameters
    ----------
    names : sequence of str
        Of pictures, with their endings; at least one.
    first : int, optional
        The number that frame 0 has, where somebody knows.
    is_sure : bool
        Whether numbers are known to count from 0.
    is_series : bool
        Whether the pictures are a series of their own, as in a folder; else they may be listed of
        a longer one.

    Raises
    ------
    VideoError
        If two pictures are of one frame, numbers lie below `first`, or there are none to count.
    """
    stems = [_stem(name) for name in names]
    _refuse_slices(stems)
    numbers = _numbers(names, stems)
    if numbers is None or max(numbers) >= MOST_FRAMES + (first or 0):
        return _in_order(names, first)
    low, high = min(numbers), max(numbers)
    is_dense = high - low + 1 == len(numbers)
    is_challenge = all(_CHALLENGE.fullmatch(stem.rpartition("/")[2]) for stem in stems)
    doubt = ""
    if first is None:
        counts_on = is_dense and (is_series or low == 1) and not is_sure and not is_challenge
        first = low if counts_on else 0
        is_sure |= is_challenge and not is_dense
        if not is_sure and (low > 0 or _goes_in_steps(numbers)):
            doubt = _say_doubt(low, high, first, is_dense)
    if low < first:
        raise VideoError(
            f"the pictures are numbered from {low}, which is below first_number {first}; give the "
            "number that frame 0 has"
        )
    return FrameNumbers(tuple(n - first for n in numbers), first, doubt)


def natural_name(name: str) -> tuple[object, ...]:
    """Sort key by which frame2 comes before frame10."""
    parts = _DIGITS.split(name.casefold())
    return tuple((n % 2, int(p) if n % 2 else p) for n, p in enumerate(parts)), name


def _stem(name: str) -> str:
    return re.sub(r"(?<=[^/])\.[^./]*$", "", name.replace("\\", "/")).casefold()


def _numbers(names: Sequence[str], stems: Sequence[str]) -> list[int] | None:
    """The number of each name that tells its frame; None where names do not tell."""
    parts = [_DIGITS.split(stem) for stem in stems]
    if any(len(part) == 1 for part in parts):
        return None
    last = [int(part[-2]) for part in parts]
    number, times = Counter(last).most_common(1)[0]
    changing: list[tuple[int, ...]] = []
    if len({tuple(part[::2]) for part in parts}) == 1:
        columns = zip(*(map(int, part[1::2]) for part in parts), strict=True)
        changing = [column for column in columns if len(set(column)) > 1]
    if len(changing) == 1 and len(set(changing[0])) == len(names):
        return list(changing[0])
    if times > 1:
        one, other = [name for name, n in zip(names, last, strict=True) if n == number][:2]
        raise VideoError(
            f"two pictures are numbered {number}: {one!r} and {other!r}; give the pictures of one "
            "series alone, one a frame"
        )
    return last if len(names) == 1 else None


def _say_doubt(low: int, high: int, first: int, is_dense: bool) -> str:
    numbers = f"{low}" if high == low else f"{low} to {high}"
    frames = f"{low - first}" if high == low else f"{low - first} to {high - first}"
    how = "" if is_dense else ", and some of these are not there"
    return (
        f"its pictures have the numbers {numbers}{how}; they are taken as frames {frames}. Where "
        "frame 0 has another number, give that as first_number"
    )


def _in_order(names: Sequence[str], first: int | None) -> FrameNumbers:
    if first is not None:
        raise VideoError(
            f"{names[0]!r} and the others do not differ by one number, from which frames could be "
            "counted; leave first_number out, or number them"
        )
    order = sorted(range(len(names)), key=lambda n: natural_name(names[n]))
    frames = [0] * len(names)
    for frame_index, place in enumerate(order):
        frames[place] = frame_index
    doubt = (
        "the names of its pictures do not differ by one number that tells their frames; they are "
        "taken as frames from 0 on, in order of name"
    )
    return FrameNumbers(tuple(frames), 0, doubt if len(names) > 1 else "")


def _goes_in_steps(numbers: Sequence[int]) -> bool:
    """Whether all steps are alike and larger than 1, as of a film, or of a series of its own."""
    steps = {b - a for a, b in pairwise(sorted(numbers))}
    return len(steps) == 1 and steps != {1} and len(numbers) > 2


def _refuse_slices(stems: Sequence[str]) -> None:
    for stem in stems:
        if _SLICES.fullmatch(stem.rpartition("/")[2]):
            raise VideoError(
                f"{stem.rpartition('/')[2]!r} is a slice of a volume; labels are of one plane, one "
                "picture a frame"
            )
