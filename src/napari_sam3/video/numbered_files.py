"""The numbers in the names of a folder's frames: their order, and which are left out."""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np


def natural_key(path: Path) -> tuple[Any, ...]:
    """Sort key by which frame2 comes before frame10."""
    parts = re.split(r"(\d+)", path.name.casefold())
    # every second part is digits; what else looks like a number (²,①) is text
    keys = ((0, int(p), "") if n % 2 else (1, 0, p) for n, p in enumerate(parts))
    return tuple(keys), path.name


def find_gaps(files: Sequence[Path]) -> tuple[tuple[int, int], ...]:
    """The numbers that are left out in the names of a series of frames.

    Parameters
    ----------
    files : sequence of Path
        In natural order.

    Returns
    -------
    tuple of (int, int)
        First and last number of each gap. Nothing is left out where the steps are alike (0, 10,
        20), or where names have not exactly one number that changes.
    """
    parts = [re.split(r"(\d+)", file.stem) for file in files]
    if len({(len(part), *part[::2]) for part in parts}) != 1:
        return ()
    columns = zip(*(part[1::2] for part in parts), strict=True)
    changing = [column for column in columns if len(set(column)) > 1]
    if len(changing) != 1:
        return ()
    numbers = np.array([int(number) for number in changing[0]], object)
    steps = np.diff(numbers)
    step = int(np.gcd.reduce(steps))
    if step == 0:
        return ()
    return tuple(
        (int(number) + step, int(number + jump) - step)
        for number, jump in zip(numbers[:-1], steps, strict=True)
        if jump > step
    )


def warn_of_number_gaps(path: Path, gaps: tuple[tuple[int, int], ...]) -> None:
    """Tell the user of numbers that are left out."""
    shown = [f"{first}" if first == last else f"{first} to {last}" for first, last in gaps[:5]]
    more = ", ..." if len(gaps) > len(shown) else ""
    warnings.warn(
        f"numbers are left out among the pictures of {path.name!r}: {', '.join(shown)}{more}; the "
        "frames that are there are counted on without a gap",
        stacklevel=4,
    )
