"""Geometry of drawn shapes: what an outline holds, and points along a line.

All coordinates are (row, column) of the picture, pixel centres on integers, as in napari.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_sam3.values import BoolArray, FloatArray

_ELLIPSE_CORNERS = 96
_POINTS_ALONG = 16
_SPACING_PX = 12.0
# how far from level, in px, the sides of a rectangle may be to count as a box
_LEVEL_PX = 0.25
# a line whose ends are this near to each other, as part of its length, is meant as a loop
_LOOP_GAP = 0.08


def is_level(corners: FloatArray) -> bool:
    """Whether four corners, in order round, make a rectangle along rows and columns."""
    sides = np.abs(np.roll(corners, -1, axis=0) - corners)
    return len(corners) == 4 and bool((sides.min(axis=1) <= _LEVEL_PX).all())


def is_loop(vertices: FloatArray) -> bool:
    """Whether a line comes back to where it began."""
    if len(vertices) < 4:
        return False
    length = _steps(vertices).sum()
    gap = float(np.hypot(*(vertices[-1] - vertices[0])))
    return length > 0 and gap <= _LOOP_GAP * length


def ellipse_outline(corners: FloatArray) -> FloatArray:
    """The ellipse that touches the four sides of a parallelogram, (96, 2).

    Parameters
    ----------
    corners : (4, N) float64
        In order round, as napari keeps an ellipse.
    """
    centre = corners.mean(axis=0)
    across, down = (corners[1] - corners[0]) / 2, (corners[3] - corners[0]) / 2
    angles = np.linspace(0, 2 * np.pi, _ELLIPSE_CORNERS, endpoint=False)[:, None]
    outline: FloatArray = centre + np.cos(angles) * across + np.sin(angles) * down
    return outline


def fill_outline(vertices: FloatArray, size: tuple[int, int]) -> BoolArray:
    """The pixels whose centres lie inside a polygon, (H, W); what lies outside is cut off."""
    from skimage.draw import polygon

    mask = np.zeros(size, bool)
    rows, columns = polygon(vertices[:, 0], vertices[:, 1], size)
    mask[rows, columns] = True
    return mask


def points_along(vertices: FloatArray) -> FloatArray:
    """Points evenly spaced along a line, its ends included: 2 to 16 of them, (N, 2)."""
    vertices = np.asarray(vertices, float)
    along = np.concatenate([[0.0], np.cumsum(_steps(vertices))])
    length = float(along[-1])
    if length == 0:
        return vertices[:1]
    count = int(np.clip(np.ceil(length / _SPACING_PX) + 1, 2, _POINTS_ALONG))
    places = np.linspace(0, length, count)
    return np.stack([np.interp(places, along, vertices[:, axis]) for axis in (0, 1)], axis=1)


def deepest_point(mask: BoolArray) -> NDArray[np.float64]:
    """The pixel farthest from the rim of a mask that is not empty, (1, 2)."""
    from scipy.ndimage import distance_transform_edt

    depth = distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1]
    return np.array([np.unravel_index(np.argmax(depth), mask.shape)], float)


def _steps(vertices: FloatArray) -> FloatArray:
    steps: FloatArray = np.hypot(*np.diff(vertices, axis=0).T)
    return steps
