"""Masks as polygons along the edges of their pixels: several as COCO has them, or a single one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from napari_sam3.values import BoolArray

Along = Literal["edges", "inset", "pixels"]

_FINE = 20
"""Parts of a pixel that corners are counted in, so that they stay whole numbers."""

_MOST_COMPARED = 64
"""Pieces; of more, each is joined to the one before it, not to the nearest: that takes squares."""


def mask_polygons(crop: BoolArray, x0: int = 0, y0: int = 0) -> list[list[float]]:
    """Polygons that hold exactly the pixels of a mask, as COCO writes them: [x, y, x, y, ...].

    They run along the pixels' edges, where pixel (x, y) spans x..x+1 and y..y+1. COCO's polygons
    know no holes: a mask with holes is cut through them into pieces without any.
    """
    corner = np.array([x0, y0])
    paths = (_corners((contour + 1) // 2) for contour in _contours(np.asarray(crop)))
    return [[float(n) for n in (corner + path).ravel()] for path in paths if len(path) >= 4]


def single_polygon(
    crop: BoolArray, x0: int = 0, y0: int = 0, *, along: Along = "inset"
) -> NDArray[np.float64]:
    """One polygon that holds exactly the pixels of a mask, for formats that have one an object.

    Pieces of the mask are joined by lines that are gone along there and back, holes are cut open by
    such lines: those enclose nothing.

    Parameters
    ----------
    crop : (h, w) bool ndarray
        The mask, with a pixel at least.
    x0, y0 : int
        Where its top left pixel is.
    along : "edges", "inset" or "pixels"
        Where it runs: along the pixels' edges; 1/20 px inside of them; or through the pixels at the
        mask's edge, as OpenCV has outlines, which it fills together with them. Inset, it is both:
        no centre of a pixel changes sides, and who cuts off the fractions, as many readers do
        before OpenCV fills the polygon, is at the pixels of the edge.

    Returns
    -------
    (N, 2) float64 ndarray
        Corners x, y, three at least; the last one is joined to the first.
    """
    path = _join(list(_contours(np.asarray(crop))))
    if along == "pixels":
        corners = _corners(path // 2)
        if len(corners) < 3:  # of a single row of pixels
            corners = np.resize(corners if len(corners) else path[:1] // 2, (3, 2))
        return np.array([x0, y0], np.float64) + corners
    fine = (path + 1) // 2 * _FINE + (1 - 2 * (path % 2)) * (along == "inset")
    return np.array([x0, y0]) + _corners(fine) / _FINE


def _contours(crop: BoolArray) -> Iterator[NDArray[np.int64]]:
    """Closed outlines of pieces without holes: (N, 2) x, y, two to a pixel.

    An even number is at the left or upper edge of its pixel, an odd one at the right or lower.
    """
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
        yield from _contours(left)
        yield from _contours(right)
        return
    for contour in contours:
        yield contour.reshape(-1, 2).astype(np.int64)


def _join(contours: list[NDArray[np.int64]]) -> NDArray[np.int64]:
    """Go round all contours on one way, from each to the next where they are nearest."""
    if len(contours) == 1:
        return contours[0]
    from scipy.spatial import cKDTree

    trees = [cKDTree(contour) for contour in contours]
    # of each contour not reached yet: how far it is, from which other one, and the points there
    nearest = dict.fromkeys(range(1, len(contours)), (np.inf, 0, 0, 0))
    reached, order = 0, []
    while nearest:
        is_few = len(contours) <= _MOST_COMPARED
        compared = nearest if is_few else {reached + 1: nearest[reached + 1]}
        for n, (known, *_) in compared.items():
            distances, points = trees[n].query(contours[reached], distance_upper_bound=known)
            here = int(np.argmin(distances))
            if distances[here] < known:
                nearest[n] = float(distances[here]), reached, here, int(points[here])
        reached = min(nearest, key=lambda n: nearest[n][0])
        order.append((reached, *nearest.pop(reached)[1:]))
    detours: dict[int, list[tuple[int, NDArray[np.int64]]]] = {}
    for n, parent, leave, arrive in reversed(order):  # what begins at one is whole before it is
        whole = _with_detours(np.roll(contours[n], -arrive, axis=0), detours, n, arrive)
        detours.setdefault(parent, []).append((leave, whole))
    return _with_detours(contours[0], detours, 0, 0)


def _with_detours(
    contour: NDArray[np.int64],
    detours: dict[int, list[tuple[int, NDArray[np.int64]]]],
    n: int,
    first: int,
) -> NDArray[np.int64]:
    """A contour, rolled to begin at its point `first`, with the ways to others and back in it."""
    places = [((leave - first) % len(contour), way) for leave, way in detours.get(n, [])]
    parts, begin = [], 0
    for place, way in sorted(places, key=lambda each: each[0]):
        parts += [contour[begin : place + 1], way, way[:1]]
        begin = place
    return np.concatenate([*parts, contour[begin:]])


def _corners(path: NDArray[np.int64]) -> NDArray[np.int64]:
    """Leave out points that repeat the one before or lie on a straight line."""
    path = path[np.any(path != np.roll(path, 1, axis=0), axis=1)]
    before, behind = path - np.roll(path, 1, axis=0), np.roll(path, -1, axis=0) - path
    turns = before[:, 0] * behind[:, 1] != before[:, 1] * behind[:, 0]
    # going back the way it came, round a single line of pixels, is a corner too
    back = np.sum(before * behind, axis=1) < 0
    corners: NDArray[np.int64] = path[turns | back]
    return corners
