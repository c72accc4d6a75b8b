"""Pictures without colour: most of microscopy, where cells stand among their like."""

from __future__ import annotations

import numpy as np

_SAME = 4  # between channels


def is_grey(frame: np.ndarray) -> bool:
    """Whether an (H, W, 3) uint8 picture has no colours, or but one: a microscope's channel."""
    few = frame[::7, ::7].astype(np.int16)
    used = np.ptp(few, axis=(0, 1)) >= _SAME
    return bool(np.ptp(few, axis=2).max() < _SAME or np.count_nonzero(used) == 1)
