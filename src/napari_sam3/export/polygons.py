"""Masks as polygons along the edges of their pixels, as COCO has them."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

from napari_sam3.values import BoolArray


def mask_polygons(crop: BoolArray, x0: int = 0, y0: int = 0) -> list[list[float]]:
    """Polygons that hold exactly the pixels of a mask, as COCO writes them: [x, y, x, y, ...].

    They run along the pixels' edges, where pixel (x, y) spans x..x+1 and y..y+1. COCO's polygons
    know no holes: a mask with holes is cut through them into pieces without any.
    """
    corner = np.array([x0, y0])
    return [[float(n) for n in (corner + path).ravel()] for path in _outlines(np.asarray(crop))]


def _outlines(crop: BoolArray) -> Iterator[NDArray[np.int64]]:
    """Closed outlines of (N, 2) corners x, y."""
    if not crop.any():
        return
    # every pixel becomes 2 x 2: the pixel that an outline passes then tells the edge's side
    doubled = np.repeat(np.repeat(crop.astype(np.uint8), 2, axis=0), 2, axis=1)
    contours, hierarchy = cv2.findContours(doubled, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    holes = [n for n, (_, _, _, parent) in enumerate(hierarchy[0]) if parent >= 0]
    if holes:
        hole = (contours[holes[0]].reshape(-1, 2)[:, 0] + 1) // 2
        middle = int(hole.min() + hole.max()) // 2
        left, right = crop.copy(), crop.copy()
        left[:, middle:] = False
        right[:, :middle] = False
        yield from _outlines(left)
        yield from _outlines(right)
        return
    for contour in contours:
        corners = _corners((contour.reshape(-1, 2).astype(np.int64) + 1) // 2)
        if len(corners) >= 4:
            yield corners


def _corners(path: NDArray[np.int64]) -> NDArray[np.int64]:
    """Leave out points that repeat the one before or lie on a straight line."""
    path = path[np.any(path != np.roll(path, 1, axis=0), axis=1)]
    before, behind = path - np.roll(path, 1, axis=0), np.roll(path, -1, axis=0) - path
    turns = before[:, 0] * behind[:, 1] != before[:, 1] * behind[:, 0]
    # going back the way it came, round a single line of pixels, is a corner too
    back = np.sum(before * behind, axis=1) < 0
    corners: NDArray[np.int64] = path[turns | back]
    return corners
