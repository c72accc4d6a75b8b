"""Which instance of a stack's truth is which on the next frame, where ids change between frames."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

LEAST_OVERLAP = 0.1  # intersection over union


def follow_truth(truth: np.ndarray, instance: int) -> list[np.ndarray | None]:
    """An instance of the first frame, on every frame of a (T, H, W) stack of labels.

    The next one is the one it overlaps most; where even that is less than `LEAST_OVERLAP`, it is
    lost, and None from then on. Where the stage jumped, its shift is taken out before.
    """
    followed: list[np.ndarray | None] = [truth[0] == instance]
    for before, here in pairwise(truth):
        mask = followed[-1]
        if mask is not None:
            mask = _next(np.roll(mask, stage_jump(before, here), (0, 1)), here)
        followed.append(mask)
    return followed


def stage_jump(before: np.ndarray, here: np.ndarray) -> tuple[int, int]:
    """Shift of all objects together, rows and columns; (0, 0) unless it doubles their overlap."""
    spectrum = np.fft.rfft2(here > 0) * np.conj(np.fft.rfft2(before > 0))
    overlaps = np.fft.irfft2(spectrum, here.shape)
    row, column = np.unravel_index(int(overlaps.argmax()), here.shape)
    return (int(row), int(column)) if overlaps[row, column] > 2 * overlaps[0, 0] else (0, 0)


def _next(mask: np.ndarray, frame: np.ndarray) -> np.ndarray | None:
    values, counts = np.unique(frame[mask], return_counts=True)
    counts[values == 0] = 0
    if not counts.any():
        return None
    here = frame == values[counts.argmax()]
    return here if counts.max() >= LEAST_OVERLAP * np.count_nonzero(here | mask) else None
