"""Lanes of a timeline as pixels: states told apart by shape and hatch as well as by colour."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_sam3.plugin.model.timeline import (
    ABSENT,
    LOCKED,
    NO_SHADE,
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
) -> NDArray[np.uint8]:
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
    (N * LANE, W, 4) uint8
        Blue, green, red, opaque: what Qt calls RGB32.
    """
    n_lanes, width = flags.shape
    picture = np.empty((n_lanes, LANE, width, 4), np.uint8)
    background, ground, ink = (
        np.array(colour, np.float32) for colour in (look.background, look.ground, look.ink)
    )
    shade = np.where(shades == NO_SHADE, 0, shades).astype(np.float32) / SURE
    is_present = (flags & PRESENT) > 0
    height = np.where(is_present, _LOWEST + np.rint(shade * (_TALLEST - _LOWEST)), 0)
    height = np.where((flags & ABSENT) > 0, np.minimum(height, _BROKEN), height)
    weight = (0.45 + 0.55 * shade)[..., None]
    bar = colours[:, None].astype(np.float32) * weight + background * (1 - weight)
    edge = 0.65 * bar + 0.35 * ink
    plain = np.where(((flags & UNPROCESSED) > 0)[..., None], background, ground)
    faint, strong = 0.55 * ground + 0.45 * ink, ink
    is_line = (flags & (ABSENT | PRESENT)) == ABSENT
    column = np.arange(first_column, first_column + width)
    is_dot = ((flags & (UNPROCESSED | PRESENT | ABSENT)) == UNPROCESSED) & (column % _DOTS == 0)
    is_locked, is_painted = (flags & LOCKED) > 0, (flags & PAINTED) > 0
    is_stale = (flags & STALE) > 0
    for y in range(LANE):
        row = plain.copy()
        if _TOP <= y <= _BOTTOM:
            above_bottom = _BOTTOM - y
            is_bar = above_bottom < height
            row[is_bar] = bar[is_bar]
            is_edge = is_bar & ((above_bottom == 0) | (above_bottom == height - 1))
            row[is_edge] = edge[is_edge]
            if y in (_MIDDLE - 1, _MIDDLE):
                row[is_line] = faint
            if y == _MIDDLE:
                row[is_dot] = faint
            stroke = is_stale & ((column + y) % _HATCH < _STROKE)
            row[stroke & is_bar] = background
            row[stroke & ~is_bar] = faint
            if y >= _BOTTOM - 1:
                row[is_painted] = strong
        elif y in (_TOP - 1, _BOTTOM + 1):
            row[is_locked] = strong
        picture[:, y, :, 2::-1] = row.astype(np.uint8)
    picture[:, 0, :, :3] = np.array(look.background[::-1], np.uint8)
    picture[..., 3] = 255
    return picture.reshape(n_lanes * LANE, width, 4)
