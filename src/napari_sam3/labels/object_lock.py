"""Objects that stay as they are while a frame is drawn or painted in."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sam3.labels.object_notes import ObjectNote


def spare_pixels(
    before: NDArray[Any], values: NDArray[Any], locked: Collection[int]
) -> NDArray[Any]:
    """What is painted, without what would change a locked object.

    Parameters
    ----------
    before, values : integer arrays of one shape
        What is there, and what shall be there.
    locked : collection of int
        The objects.

    Returns
    -------
    integer array
        `values`; where it, or what was there, is a locked object, what was there.
    """
    ids = list(locked)
    return np.where(np.isin(before, ids) | np.isin(values, ids), before, values)


def spare_objects(
    before: tuple[NDArray[Any], Mapping[int, ObjectNote]],
    drawn: tuple[NDArray[Any], Mapping[int, ObjectNote]],
    locked: Collection[int],
) -> tuple[NDArray[Any], dict[int, ObjectNote]]:
    """What is drawn, with the locked objects as they are: at their places, with their notes.

    Parameters
    ----------
    before, drawn : (labels, notes)
        The (H, W) frame that is there, and that shall be there.
    locked : collection of int
        The objects.
    """
    ids = list(locked)
    labels = np.where(np.isin(drawn[0], ids), 0, drawn[0])
    labels = np.where(np.isin(before[0], ids), before[0], labels)
    known = {i: note for i, note in before[1].items() if i in locked}
    others = {i: note for i, note in drawn[1].items() if i not in locked}
    return labels, {**others, **known}
