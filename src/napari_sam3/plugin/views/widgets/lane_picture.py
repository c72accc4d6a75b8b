"""Lanes of a timeline as pixels: states told apart by shape and hatch as well as by colour."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sam3.plugin.model.timeline import (
    ABSENT,
    LOCKED,
    PAINTED,
    PRESENT,
    STALE,
    SURE,
    UNPROCESSED,
)

LANE = 14
"""Height of a lane, px."""

_TOP, _BOTTOM = 2, 11  # of the bar, both included
_MIDDLE = 7
_LOWEST, _TALLEST = 3, _BOTTOM - _TOP + 1  # heights of the bar for scores of 0 and 1
_HEIGHTS = np.rint(np.linspace(_LOWEST, _TALLEST, SURE + 1)).astype(np.uint8)
_BROKEN = 5  # at most, where the object is on some of a column's frames only
_HATCH, _STROKE = 6, 2  # px from stroke to stroke, and of a stroke
_DOTS = 6  # px from dot to dot

Colour = tuple[int, int, int]


@dataclass(frozen=True)
class Look:
    """The colours of a theme, (red, green, blue) 0..255 each."""

    background: Colour
    ground: Colour
    ink: Colour


def draw_lanes(
    flags: NDArray[np.uint8],
    shades: NDArray[np.uint8],
    colours: NDArray[np.uint8],
    look: Look,
    first_column: int = 0,
) -> NDArray[np.uint32]:
    """Draw lanes, one below the other.

    A bar in the object's colour, the higher and the stronger the surer: present. A thin line:
    absent. Dots: never processed. Rails above and below: locked. Slanted strokes: out of date. A
    line along the bottom: painted by hand.

    Parameters
    ----------
    flags, shades : (N, W) uint8
        Of each column, as `Timeline.columns` gives them.
    colours : (N, 3) uint8
        Of the objects.
    look : Look
    first_column : int
        Where on the whole timeline the first column is, so that patterns move with it.

    Returns
    -------
    (N * LANE, W) uint32
        What Qt calls RGB32.
    """
    n_lanes, width = flags.shape
    picture = np.empty((n_lanes, LANE, width), np.uint32)
    background, ground, ink = (_pack(c) for c in (look.background, look.ground, look.ink))
    faint = _pack(_mix(look.ground, look.ink, 0.45))
    bars, edges = _strengths(colours, look)
    strength = np.minimum(shades, SURE)  # where there is no shade, there is no bar
    lane = np.arange(n_lanes)[:, None]
    bar, edge = bars[lane, strength], edges[lane, strength]
    height = np.where(flags & PRESENT, _HEIGHTS[strength], 0)
    np.minimum(height, _BROKEN, out=height, where=(flags & ABSENT) > 0)
    plain = np.where(flags & UNPROCESSED, background, ground)
    column = np.arange(first_column, first_column + width)
    is_line = (flags & (ABSENT | PRESENT)) == ABSENT
    is_dot = ((flags & (UNPROCESSED | PRESENT | ABSENT)) == UNPROCESSED) & (column % _DOTS == 0)
    is_stale, is_painted = (flags & STALE) > 0, (flags & PAINTED) > 0
    for y in range(_TOP, _BOTTOM + 1):
        above_bottom = _BOTTOM - y
        is_bar = height > above_bottom
        is_edge = is_bar if above_bottom == 0 else height == above_bottom + 1
        row = np.where(is_edge, edge, np.where(is_bar, bar, plain))
        if y in (_MIDDLE - 1, _MIDDLE):
            row[is_line] = faint
        if y == _MIDDLE:
            row[is_dot] = faint
        stroke = is_stale & ((column + y) % _HATCH < _STROKE)
        np.copyto(row, np.where(is_bar, background, faint), where=stroke)
        if above_bottom < 2:
            row[is_painted] = ink
        picture[:, y] = row
    picture[:, 0] = picture[:, LANE - 1] = background
    for y in (_TOP - 1, _BOTTOM + 1):
        picture[:, y] = np.where(flags & LOCKED, ink, plain)
    return picture.reshape(n_lanes * LANE, width)


def _strengths(
    colours: NDArray[np.uint8], look: Look
) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
    """Of each lane: what a bar, and its edge, looks like at each score, (N, SURE + 1)."""
    weight = (0.45 + 0.55 * np.arange(SURE + 1) / SURE)[None, :, None]
    bars = colours[:, None] * weight + np.array(look.background) * (1 - weight)
    return _pack(bars), _pack(_mix(bars, look.ink, 0.35))


def _mix(one: Any, other: Any, share: float) -> NDArray[np.float64]:
    return (1 - share) * np.asarray(one, float) + share * np.asarray(other, float)


def _pack(colour: Any) -> Any:
    """Colours as Qt's RGB32 has them."""
    red, green, blue = np.moveaxis(np.asarray(colour).astype(np.uint32), -1, 0)
    return np.uint32(0xFF000000) | red << 16 | green << 8 | blue
