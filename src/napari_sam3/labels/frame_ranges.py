"""Sets of frames as short text: "0-99,120" are the frames 0 to 99 and 120."""

from __future__ import annotations

import re
from collections.abc import Iterable

_RANGES = re.compile(r"(?:[0-9]{1,9}(?:-[0-9]{1,9})?(?:,(?!$)|$))*")


def stretches(numbers: Iterable[int]) -> list[tuple[int, int]]:
    """First and last of each run of rising whole numbers that follow each other."""
    found: list[tuple[int, int]] = []
    for number in numbers:
        if found and number == found[-1][1] + 1:
            found[-1] = found[-1][0], number
        else:
            found.append((number, number))
    return found


def say_frames(frames: Iterable[int]) -> str:
    """The text of some frames; empty for none."""
    ranges = stretches(sorted(set(map(int, frames))))
    return ",".join(f"{low}" if low == high else f"{low}-{high}" for low, high in ranges)


def read_frames(text: str, length: int) -> list[int]:
    """The frames that a text of `say_frames` tells of, rising.

    Parameters
    ----------
    text : str
        From a file that may be of others.
    length : int
        Frames of the video.

    Raises
    ------
    ValueError
        If it is another text, or tells of frames that are not there.
    """
    found: set[int] = set()
    if not isinstance(text, str) or not _RANGES.fullmatch(text):
        raise ValueError(f"{text!r} does not tell frames as '0-99,120' does")
    for part in filter(None, text.split(",")):
        low, _, high = part.partition("-")
        if int(high or low) >= length:
            raise ValueError(f"frame {high or low} is not among the {length} frames")
        found.update(range(int(low), int(high or low) + 1))
    return sorted(found)
