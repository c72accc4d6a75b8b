"""Which instance of a stack's truth is which on the next frame, where ids change between frames.

An instance goes on as what overlaps it, once the shift of all of them together is taken out: in a
drifting colony each one lies on its neighbour else. What is taken for one instance's continuation
is nobody else's. An instance that divides goes on as each of its daughters.
"""

from __future__ import annotations

from itertools import pairwise

import cv2
import numpy as np

LEAST_OVERLAP = 0.1  # intersection over union; less is another instance
DAUGHTER = 0.35  # of a daughter's area that lies on its mother
CLEARLY = 1.3  # times more overlap with the shift than without, or it is no shift

Line = list[np.ndarray | None]


def lines_of(truth: np.ndarray, instances: list[int]) -> dict[int, list[Line]]:
    """Instances of the first frame, on every frame of a (T, H, W) stack of labels.

    Every line of descent is one list of masks, None where it has ended; that of the daughters that
    overlap their mothers most comes first.
    """
    paths = {i: [[i]] for i in instances}
    for before, here in pairwise(truth):
        after = _daughters(before, here)
        for i, known in paths.items():
            paths[i] = [[*p, child] for p in known for child in after.get(p[-1], [0])]
    return {
        i: [[labels == k if k else None for k, labels in zip(p, truth, strict=True)] for p in known]
        for i, known in paths.items()
    }


def _daughters(before: np.ndarray, here: np.ndarray) -> dict[int, list[int]]:
    """What each instance goes on as, the one that it overlaps most first."""
    moved = _shifted(before, *stage_jump(before, here))
    common = np.histogram2d(
        moved.ravel(), here.ravel(), (np.arange(moved.max() + 2), np.arange(here.max() + 2))
    )[0]
    area, area_here = common.sum(1)[:, None], common.sum(0)
    common[0] = common[:, 0] = 0
    is_mother = common >= np.maximum(common.max(0), 1)
    linked = is_mother & (common >= LEAST_OVERLAP * (area + area_here - common))
    inside = linked & (common >= DAUGHTER * area_here)
    found = {}
    for a in np.flatnonzero(linked.any(1)):
        sisters = np.flatnonzero(inside[a] if inside[a].sum() > 1 else linked[a])
        sisters = sisters[np.argsort(-common[a, sisters], kind="stable")]
        found[int(a)] = sisters.tolist() if inside[a].sum() > 1 else sisters[:1].tolist()
    return found


def stage_jump(before: np.ndarray, here: np.ndarray) -> tuple[int, int]:
    """Shift of all instances together, rows and columns; (0, 0) unless it clearly helps.

    Only their inner halves are laid on each other: whole ones that touch overlap at any shift.
    """
    height, width = here.shape
    size = 2 * height, 2 * width  # else what leaves on one side would meet what enters on the other
    first, second = (np.fft.rfft2(_inner(labels), size) for labels in (before, here))
    overlaps = np.fft.irfft2(second * np.conj(first), size)
    row, column = (int(k) for k in np.unravel_index(int(overlaps.argmax()), size))
    if overlaps[row, column] <= CLEARLY * overlaps[0, 0]:
        return 0, 0
    return row - 2 * height * (row > height), column - 2 * width * (column > width)


def _shifted(labels: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """Labels moved down and to the right; what leaves the frame is gone."""
    height, width = labels.shape
    padded = np.pad(labels, ((abs(rows),) * 2, (abs(columns),) * 2))
    top, left = abs(rows) - rows, abs(columns) - columns
    return padded[top : top + height, left : left + width]


def _inner(labels: np.ndarray) -> np.ndarray:
    inner = np.zeros(labels.shape, np.float32)
    for instance in np.unique(labels[labels > 0]):
        rows, columns = np.nonzero(labels == instance)
        box = slice(rows.min(), rows.max() + 1), slice(columns.min(), columns.max() + 1)
        mask = np.pad(labels[box] == instance, 1).astype(np.uint8)
        depth = cv2.distanceTransform(mask, cv2.DIST_L2, 5)[1:-1, 1:-1]
        inner[box][depth > 0.5 * depth.max()] = 1
    return inner
