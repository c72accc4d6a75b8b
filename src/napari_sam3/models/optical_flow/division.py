"""Cells that divide: where the neck of a mask has grown narrow, one daughter is followed."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from skimage.segmentation import watershed

from napari_sam3.models.optical_flow.mask_shapes import depth_of, fill_holes, solidity_of
from napari_sam3.models.optical_flow.motion import FloatImage
from napari_sam3.values import BoolArray

GROWN = 1.4
"""Times its prompted area: cells grow before they divide."""

_PINCHED = 0.6  # of the prompted neck's width: narrower, and a blob has divided
_WAIST = 0.8  # the same for its outline
_BENT = 0.82  # of the prompted solidity: less is a bay in the outline
_NECKS = np.linspace(0.2, 0.9, 8)
_BODY = 0.8  # of a blob's half width, that of either part
_LEAST_DAUGHTER = 0.2  # of the area
_LEAST_DEPTH = 3.0  # px; of what is thinner no neck can be told


@dataclass(frozen=True)
class Form:
    """How nearly one body a mask is.

    Attributes
    ----------
    neck : float
        Width of its neck between two bodies over that of the bodies; 1 where there is none.
    solidity : float
        Its area over that of its convex hull.
    area : int
        px.
    width : float
        Twice its greatest depth, px.
    """

    neck: float
    solidity: float
    area: int
    width: float

    @classmethod
    def of(cls, mask: BoolArray) -> Form:
        """Measure a mask."""
        depth = depth_of(mask)
        necks = (float(n) for n in _NECKS if _parts(depth, float(n)) is not None)
        area, width = int(np.count_nonzero(mask)), 2 * float(depth.max())
        return cls(next(necks, 1.0), solidity_of(mask), area, width)


def one_daughter(found: BoolArray, bright: BoolArray, warped: BoolArray, form: Form) -> BoolArray:
    """Of a blob that has divided the daughter that lies most where it was; else all of it.

    Parameters
    ----------
    found : (h, w) bool
        What was found of it.
    bright : (h, w) bool
        What is as bright as the inside of a blob.
    warped : (h, w) bool
        Its mask of the frame before, warped along the flow.
    form : Form
        Of the prompted mask: who names something pinched or bent means all of it.
    """
    # a neck tells of daughters in line; what has grown and has a bay now, of daughters at an angle
    whole = fill_holes(found)
    depth = depth_of(whole)
    parts = _parts(depth, _WAIST * form.neck)
    grown = np.count_nonzero(whole) > GROWN * form.area
    if parts is not None and not (grown and solidity_of(whole) < _BENT * form.solidity):
        depth = depth_of(fill_holes(found & bright))
        parts = _parts(depth, _PINCHED * form.neck)
    if parts is None:
        return found
    # every pixel goes with the part on whose side of the neck it is
    sides = watershed(-depth, parts, mask=found)
    shares = np.bincount(sides[warped], minlength=int(parts.max()) + 1)[1:]
    areas = np.bincount(sides[found], minlength=int(parts.max()) + 1)[1:]
    if np.partition(areas, -2)[-2] < _LEAST_DAUGHTER * areas.sum():
        return found
    return np.asarray(sides == 1 + int(shares.argmax()))


def _parts(depth: FloatImage, neck: float) -> np.ndarray | None:
    """The bodies on either side of a neck narrower than `neck`, labelled; None if there is one."""
    deepest = float(depth.max())
    if deepest < _LEAST_DEPTH:
        return None
    count, parts = cv2.connectedComponents(
        (depth > neck * deepest).astype(np.uint8), connectivity=8
    )
    if count < 3:
        return None
    peaks = [i for i in range(1, count) if float(depth[parts == i].max()) > _BODY * deepest]
    if len(peaks) < 2:
        return None
    kept = np.zeros(count, np.int32)
    kept[peaks] = np.arange(1, len(peaks) + 1)
    return np.asarray(kept[parts])
