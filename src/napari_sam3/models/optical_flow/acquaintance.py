"""Getting to know an object: on the frame it was prompted on, and from what was shown since."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from napari_sam3.models.optical_flow import blobs
from napari_sam3.models.optical_flow.flow import FloatImage, Motion, WorkingFrame
from napari_sam3.models.optical_flow.look import learn_look
from napari_sam3.models.optical_flow.memory import Memory
from napari_sam3.models.optical_flow.pull import shrink
from napari_sam3.models.optical_flow.scene import Scene, remove_camera
from napari_sam3.models.optical_flow.trust import trust_of
from napari_sam3.values import ObjectMask


def meet(
    mask: ObjectMask,
    frame: np.ndarray,
    working: WorkingFrame,
    details: Callable[[], tuple[FloatImage, Motion]],
) -> Memory:
    """Learn an object on its prompted frame.

    Parameters
    ----------
    mask : ObjectMask
    frame : (H, W, 3) uint8 ndarray
    working : WorkingFrame
        The same at the flow's size.
    details : callable
        What `describe` says of it, and the motion from the next frame of the chain to it. Only
        asked for things that have a look.
    """
    levels = blobs.is_blob(frame, mask)
    look = None
    if levels is None:
        small = shrink(mask, working)
        features, motion = details()
        # the drift of the prompted frame is not known: the next one's, turned round
        drift = -remove_camera(motion, small)
        look = learn_look(Scene(features, drift, working.lab), small)
    return Memory(levels, look, mask, area=float(mask.area), whole=float(mask.area))


def catch_up(memory: Memory, met_on: int, shown: Mapping[int, ObjectMask | None]) -> Memory:
    """Take in what an earlier process showed, as if it had been followed there.

    The same as there if `shown` begins right behind the frame it was met on. Else what lies between
    is not known: its averages begin with what was shown first.

    Parameters
    ----------
    memory : Memory
        As it was met.
    met_on : int
        Where.
    shown : mapping of frame index to ObjectMask or None
        Neighbouring frames, in the order gone.
    """
    blob = memory.levels is not None
    skipped = abs(next(iter(shown)) - met_on) - 1
    seen = next((mask for mask in shown.values() if mask is not None), None)
    if skipped and seen is not None:
        whole = max(float(seen.area), memory.whole * 0.98**skipped)
        trust = trust_of(seen.score, blob=blob)
        memory = replace(memory, last=seen, area=float(seen.area), trust=trust, whole=whole)
    elif skipped:
        memory = replace(memory, missing=skipped)
    for mask in shown.values():
        if mask is None:
            memory = memory.lose()
        else:
            trust = trust_of(mask.score, blob=blob)
            memory = replace(memory.see(mask, trust), trust=trust)
    return memory
