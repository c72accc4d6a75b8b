"""Getting to know an object: on the frame it was prompted on, and from what was shown since."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from napari_sam3.models.optical_flow import blobs
from napari_sam3.models.optical_flow.appearance_model import learn_appearance
from napari_sam3.models.optical_flow.confidence import confidence_of
from napari_sam3.models.optical_flow.frame_features import FrameFeatures
from napari_sam3.models.optical_flow.tracked_object import TrackedObject
from napari_sam3.values import BoolArray, ObjectMask


def initialize_object(
    mask: ObjectMask,
    frame: np.ndarray,
    describe: Callable[[], tuple[FrameFeatures, BoolArray]],
) -> TrackedObject:
    """Learn an object on its prompted frame.

    Parameters
    ----------
    mask : ObjectMask
    frame : (H, W, 3) uint8 ndarray
    describe : callable
        The frame's features and the mask at working size. Only asked for what is no blob.
    """
    levels = blobs.measure_levels(frame, mask)
    appearance = learn_appearance(*describe()) if levels is None else None
    return TrackedObject(levels, appearance, mask, area=float(mask.area), whole=float(mask.area))


def replay_shown(
    tracked: TrackedObject, begin: int, shown: Mapping[int, ObjectMask | None]
) -> TrackedObject:
    """Take in what an earlier process showed, as if it had been followed there.

    The same as there if `shown` begins right behind the prompted frame. Else what lies between is
    not known: its averages begin with what was shown first.

    Parameters
    ----------
    tracked : TrackedObject
        As it was initialized.
    begin : int
        The prompted frame.
    shown : mapping of frame index to ObjectMask or None
        Neighbouring frames, in the order gone.
    """
    blob = tracked.is_blob
    skipped = abs(next(iter(shown)) - begin) - 1
    seen = next((mask for mask in shown.values() if mask is not None), None)
    if skipped and seen is not None:
        whole = max(float(seen.area), tracked.whole * 0.98**skipped)
        confidence = confidence_of(seen.score, blob=blob)
        tracked = replace(
            tracked, last=seen, area=float(seen.area), confidence=confidence, whole=whole
        )
    elif skipped:
        tracked = replace(tracked, missing=skipped)
    for mask in shown.values():
        if mask is None:
            tracked = tracked.lose()
        else:
            confidence = confidence_of(mask.score, blob=blob)
            tracked = replace(tracked.see(mask, confidence), confidence=confidence)
    return tracked
