"""A colour for every object: films, label images and the window have the same."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

_NONE: Mapping[int, str] = MappingProxyType({})

# RGB of labels 1 to 49; the next begin anew. The first seven are those that people with any colour
# vision tell apart (Okabe and Ito), the others as a plain Labels layer of napari has them.
# fmt: off
_PALETTE = np.array([
    (86, 180, 233), (230, 159, 0), (0, 158, 115), (240, 228, 66), (213, 94, 0), (204, 121, 167),
    (0, 114, 178), (134, 144, 154), (254, 247, 28), (247, 68, 59), (3, 78, 57), (113, 178, 96),
    (105, 149, 74), (60, 27, 135), (46, 71, 16), (92, 183, 222), (71, 157, 118), (71, 66, 88),
    (239, 86, 101), (184, 80, 123), (166, 42, 100), (241, 180, 236), (75, 30, 32), (180, 197, 62),
    (156, 96, 47), (138, 67, 27), (216, 190, 154), (180, 125, 189), (166, 94, 164), (96, 122, 52),
    (193, 227, 87), (215, 149, 85), (158, 135, 111), (0, 44, 235), (202, 230, 224), (225, 139, 30),
    (120, 240, 1), (123, 142, 15), (229, 221, 178), (171, 236, 138), (66, 216, 166), (70, 186, 142),
    (254, 247, 28), (247, 68, 59), (175, 75, 242), (176, 12, 63), (105, 149, 74), (246, 135, 167),
    (203, 50, 199),
], np.uint8)
# fmt: on


def label_colors(ids: NDArray[np.integer], chosen: Mapping[int, str] = _NONE) -> NDArray[np.uint8]:
    """Colour of each id (from 1).

    Parameters
    ----------
    ids : (N,) integer array
    chosen : mapping of id to "#rrggbb"
        Colours that a person has chosen (`ObjectTable.colors`).

    Returns
    -------
    (N, 3) uint8 ndarray
        Red, green, blue.
    """
    numbers = np.asarray(ids).astype(np.int64)
    colors = _PALETTE[(numbers - 1) % len(_PALETTE)]
    for obj_id, color in chosen.items():
        colors[numbers == obj_id] = [int(color[n : n + 2], 16) for n in (1, 3, 5)]
    return colors


def outline_colors(
    ids: NDArray[np.integer], chosen: Mapping[int, str] = _NONE
) -> NDArray[np.uint8]:
    """The same hues at full brightness, (N, 3) uint8: a thin line must show on dark ground."""
    colors = label_colors(ids, chosen).astype(np.float64)
    bright = colors * 255 / np.maximum(colors.max(axis=-1, keepdims=True), 1)
    return np.asarray(bright.round(), np.uint8)
