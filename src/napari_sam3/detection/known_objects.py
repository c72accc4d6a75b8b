"""Which of the objects that were found are new."""

from __future__ import annotations

from collections.abc import Collection, Iterable

import numpy as np

from napari_sam3.session.saved_prompts import SavedPrompt
from napari_sam3.values import ObjectMask

SHARED = 0.2
"""Of the smaller of two objects: what they have in common, if they are the same thing."""


def new_objects(found: Iterable[ObjectMask], known: Collection[ObjectMask]) -> list[ObjectMask]:
    """Those of the objects found on a frame that overlap none that is known there.

    Two overlap if at least a fifth (`SHARED`) of the smaller one lies in the other. Less than that
    neighbours have in common whose outlines were drawn a little wide. A piece of a known object is
    not new, nor is a clump with a known object in it: what it is cannot be told.

    Parameters
    ----------
    found : iterable of ObjectMask
        By a detector.
    known : collection of ObjectMask
        On the same frame.

    Returns
    -------
    list of ObjectMask
        In the order they were given.
    """
    return [mask for mask in found if not any(is_same(mask, other) for other in known)]


def is_same(one: ObjectMask, other: ObjectMask) -> bool:
    """Whether two objects of a frame overlap too much to be two (see `new_objects`)."""
    x0, y0 = (max(a, b) for a, b in zip(one.bbox[:2], other.bbox[:2], strict=True))
    x1, y1 = (min(a, b) for a, b in zip(one.bbox[2:], other.bbox[2:], strict=True))
    if x0 >= x1 or y0 >= y1:
        return False
    parts = (
        m.crop[y0 - m.bbox[1] : y1 - m.bbox[1], x0 - m.bbox[0] : x1 - m.bbox[0]]
        for m in (one, other)
    )
    common = np.count_nonzero(np.logical_and(*parts))
    return bool(common >= SHARED * min(one.area, other.area))


def known_of_prompts(
    prompts: Iterable[SavedPrompt], frame_index: int, size: tuple[int, int]
) -> list[ObjectMask]:
    """What prompts on a frame point at, as far as they tell: masks, boxes, pixels of clicks.

    Parameters
    ----------
    prompts : iterable of SavedPrompt
        On any frames.
    frame_index : int
        The one in question.
    size : (height, width)
        Of it, px.
    """
    height, width = size
    known = []
    for prompt in prompts:
        if prompt.frame_index != frame_index:
            continue
        if prompt.mask is not None:
            known.append(prompt.mask)
        places = np.floor(prompt.points_xy[prompt.point_labels]).astype(int)
        boxes = [(x, y, x + 1, y + 1) for x, y in places]
        if prompt.box_xyxy is not None:
            x0, y0, x1, y1 = prompt.box_xyxy
            boxes.append((int(x0), int(y0), int(np.ceil(x1)), int(np.ceil(y1))))
        for x0, y0, x1, y1 in boxes:
            left, top, right, bottom = max(0, x0), max(0, y0), min(width, x1), min(height, y1)
            if left < right and top < bottom:
                crop = np.ones((bottom - top, right - left), bool)
                known.append(ObjectMask(crop, (left, top, right, bottom), size, 1.0))
    return known
