"""Looking for objects that were lost; rather not found than a neighbour taken for it."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from napari_sam3.models.optical_flow import blobs, textured_tracking
from napari_sam3.models.optical_flow.appearance_model import AppearanceModel
from napari_sam3.models.optical_flow.confidence import FOUND_BLOB, FOUND_TEXTURED
from napari_sam3.models.optical_flow.frame_features import FrameFeatures
from napari_sam3.models.optical_flow.tracked_object import TrackedObject, centre_of
from napari_sam3.models.optical_flow.warp import to_frame_size
from napari_sam3.values import BoolArray, ObjectMask

_WAS_THERE = 0.8  # of a blob's area, beyond which it is one that was there before
_STANDS_OUT = 0.5  # of its step, what did so before


def reacquire_textured(
    memory: TrackedObject,
    appearance: AppearanceModel,
    features: FrameFeatures,
    scale: tuple[float, float],
    taken: BoolArray,
) -> tuple[ObjectMask, float] | None:
    """Look for a thing by its look, anywhere in a frame.

    Parameters
    ----------
    scale : (float, float)
        Working px per frame px, x and y.
    taken : (H, W) bool
        Where other objects are.

    Returns
    -------
    mask, confidence : ObjectMask, float
        Or None.
    """
    height, width = features.lab.shape[:2]
    small = cv2.resize(taken.astype(np.uint8), (width, height)) > 0
    found = textured_tracking.find_lost(
        appearance, features, memory.whole * scale[0] * scale[1], small
    )
    if found is None:
        return None
    mask = to_frame_size(found[0], (0, 0, width, height), scale, taken.shape)
    return None if mask is None else (mask, FOUND_TEXTURED * found[1])


def reacquire_blob(
    memory: TrackedObject,
    levels: blobs.Levels,
    frame: np.ndarray,
    before: Callable[[int, int, tuple[int, ...]], np.ndarray] | None,
    taken: BoolArray,
) -> tuple[ObjectMask, float] | None:
    """Look for a blob near where it should be by now.

    What was there on the frame before, while the object was not, is a neighbour.

    Parameters
    ----------
    frame : (H, W, 3) uint8
    before : callable or None
        Gives the (h, w, 3) uint8 part of the frame before for x0, y0 and a shape; None where that
        showed another scene.
    taken : (H, W) bool
        Where other objects are.

    Returns
    -------
    mask, confidence : ObjectMask, float
        Or None.
    """
    height, width = taken.shape
    side = float(np.sqrt(memory.whole))
    frames = min(memory.missing + 1, 20)
    x, y = centre_of(memory.last)
    x, y = x + memory.velocity[0] * frames, y + memory.velocity[1] * frames
    reach = 0.6 * side + 0.5 * float(np.hypot(*memory.velocity)) * frames
    margin = reach + 1.5 * side + 4
    x0, y0 = max(0, int(x - margin)), max(0, int(y - margin))
    x1, y1 = min(width, int(x + margin) + 1), min(height, int(y + margin) + 1)
    if x0 >= x1 or y0 >= y1:
        return None
    found = blobs.search(
        blobs.value_of(frame[y0:y1, x0:x1], levels),
        (x - x0, y - y0),
        reach,
        memory.whole,
        levels,
        taken[y0:y1, x0:x1],
    )
    if found is None:
        return None
    if before is not None:
        own = memory.last.mask[y0:y1, x0:x1] & (memory.missing == 0)  # a frame ago it was there
        if was_there_before(found, before(x0, y0, found.shape), own, levels):
            return None
    mask = ObjectMask.from_crop(found, x0, y0, (height, width))
    return None if mask is None else (mask, FOUND_BLOB)


def was_there_before(
    found: BoolArray, before: np.ndarray, own: BoolArray, levels: blobs.Levels
) -> bool:
    """Whether what was found for a lost blob was there before, beside it: a neighbour.

    Parameters
    ----------
    found, own : (h, w) bool
        What was found, and where the blob itself was on the frame before.
    before : (h, w, 3) uint8
        That frame, warped onto the one it was found on.
    """
    value = blobs.value_of(before, levels)
    stands_out = (value - float(np.median(value))) / levels.step > _STANDS_OUT
    return bool((stands_out & ~own)[found].mean() > _WAS_THERE)
