"""Cells that touch, told apart on any frame: by the valleys between them, and by their necks.

In a dense colony what lies between two cells is hardly less bright than they are, and far from
what the ground is. Held against what is round it, within a cell's width, it is a valley still.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage.segmentation import watershed

from napari_sam3.models.optical_flow.division import GROWN, Form
from napari_sam3.models.optical_flow.mask_shapes import depth_of
from napari_sam3.models.optical_flow.motion import FloatImage
from napari_sam3.values import BoolArray

_BRIGHTEST = 1.15  # steps over the ground; what is brighter casts no shadow on its neighbours
_NEAR, _LEAST_NEAR = 0.35, 1.5  # of a cell's width, and px: what it is held against
_STANDS_OUT = 0.02  # steps, what does so against that
_SPECK = 0.3  # of the square of a cell's width; smaller holes are its texture
_NECK, _BESIDE = 0.7, 0.5  # of the depth of the parts beside it, within so many widths of a cell
_OWN = 0.5  # of an instance, if it lies where the object is expected, it is the object's
_STRANGE, _STRANGE_IF_LARGE, _LARGE = 0.3, 0.5, 0.25  # less of it, and it is a neighbour's
_MOST = 1.4  # times the area expected; what is larger has no valley to a neighbour that shows
_SISTER = 0.3  # of the daughter's area
_WIDEST = 96.0  # px; wider cells show as well on smaller pictures, and wide blurs take seconds


@dataclass(frozen=True, eq=False)
class CellInstances:
    """What stands out of a picture, in parts.

    Attributes
    ----------
    labels : (h, w) int32
        The parts between valleys and necks, numbered from 1.
    pieces : (h, w) int32
        The parts between valleys alone.
    """

    labels: NDArray[np.int32]
    pieces: NDArray[np.int32]


def find_instances(share: FloatImage, bright: BoolArray, width: float) -> CellInstances:
    """Part what is bright.

    Parameters
    ----------
    share : (h, w) float32
        Brightness, 0 for the ground and 1 for the object.
    bright : (h, w) bool
        What is bright enough to belong to any cell.
    width : float
        Of a cell, px.

    Returns
    -------
    CellInstances
        Of the same shape.
    """
    if width > _WIDEST:
        return _find_on_smaller(share, bright, width)
    capped = np.clip(share, 0, _BRIGHTEST).astype(np.float32)
    around = cv2.GaussianBlur(capped, (0, 0), max(_LEAST_NEAR, _NEAR * width))
    cores = bright & (capped > around + _STANDS_OUT)
    cores |= bright & _small_holes(cores, _SPECK * width**2)
    depth = cv2.GaussianBlur(depth_of(cores), (0, 0), 1.0) * cores
    near = 2 * round(_BESIDE * width) + 1
    highest = cv2.dilate(depth, np.ones((near, near), np.uint8))
    peaks = cores & (depth > _NECK * highest)
    count, markers = cv2.connectedComponents(peaks.view(np.uint8), connectivity=8)
    n_pieces, pieces = cv2.connectedComponents(cores.view(np.uint8), connectivity=4)
    # one alone is quickly told
    labels = watershed(-depth, markers, mask=cores) if max(count, n_pieces) > 2 else pieces
    return CellInstances(np.asarray(labels, np.int32), np.asarray(pieces, np.int32))


def _small_holes(mask: BoolArray, most: float) -> BoolArray:
    """What a mask leaves out in parts of less than `most` px."""
    _, parts, stats, _ = cv2.connectedComponentsWithStats((~mask).view(np.uint8), connectivity=4)
    is_small = stats[:, cv2.CC_STAT_AREA] < most
    is_small[0] = False
    return np.asarray(is_small[parts])


def _find_on_smaller(share: FloatImage, bright: BoolArray, width: float) -> CellInstances:
    """Find instances on a picture shrunk so far that a cell is `_WIDEST` px wide."""
    rows, columns = share.shape
    size = max(1, round(columns * _WIDEST / width)), max(1, round(rows * _WIDEST / width))
    small = cv2.resize(share, size, interpolation=cv2.INTER_AREA)
    there = cv2.resize(bright.view(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0
    instances = find_instances(small, there, _WIDEST)
    labels, pieces = (
        cv2.resize(n, (columns, rows), interpolation=cv2.INTER_NEAREST_EXACT) * bright
        for n in (instances.labels, instances.pieces)
    )
    return CellInstances(labels, pieces)


def assign_instances(
    instances: CellInstances, expected: BoolArray, form: Form
) -> tuple[BoolArray, BoolArray]:
    """Which instances are an object's and which are not; neither, if they do not tell.

    Of an object that has grown and lies in two pieces now, one is followed: it has divided.

    Parameters
    ----------
    instances : CellInstances
    expected : (h, w) bool
        Where the object should be.
    form : Form
        Of its prompted mask.

    Returns
    -------
    own, others : (h, w) bool
        Instances that lie in part where the object is expected may be in neither.
    """
    labels = instances.labels
    areas = np.bincount(labels.ravel())
    inside = np.bincount(labels[expected], minlength=len(areas))
    areas[0] = inside[0] = 0
    area, best = int(np.count_nonzero(expected)), int(inside.argmax())
    own = inside > _OWN * areas
    own[best] = True
    if not inside[best] or areas[own].sum() > _MOST * area:
        nothing = np.zeros(labels.shape, bool)
        return nothing, nothing
    others = inside < np.where(areas > _LARGE * area, _STRANGE_IF_LARGE, _STRANGE) * areas
    if area > GROWN * form.area:
        # an instance lies in one piece
        piece = np.zeros(len(areas), np.int32)
        piece[labels.ravel()] = instances.pieces.ravel()
        sisters = own & (piece != piece[best]) & (areas > _SISTER * areas[best])
        own &= ~sisters
        others |= sisters
    others &= ~own
    return own[labels], others[labels]
