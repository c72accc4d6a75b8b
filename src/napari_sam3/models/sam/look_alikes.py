"""When a frame tells an object from its look-alikes, and is kept to be looked at.

The idea of DAM4SAM's distractor-resolving memory (J. Videnovic, A. Lukezic, M. Kristan, "A
Distractor-Aware Memory for Visual Object Tracking with SAM2", arXiv:2411.17576), with its figures.
Where a thing that looks the same is near, the decoder is in doubt, and its other masks hold that
thing. If the mask that it takes is sure all the same, the frame shows which of both is meant, and
is worth more than one without the other thing: it becomes an anchor, looked at on all further
frames as a prompted one is.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import median

from napari_sam3.models.sam.alternatives import Alternatives, box_area, box_of, largest_piece

MOST_ANCHORS = 3
"""Anchors looked at, the newest: the places of the published memory."""

SURE_QUALITY = 0.8
"""Expected overlap that the chosen mask must exceed."""

AREA_TOLERANCE = 0.2
"""How far its area may be from the usual one, as a part of that."""

AREAS = 10
"""Frames whose areas are remembered: the usual one is their median."""

AGREEMENT = 0.7
"""Part of the box round both masks that the chosen one's box fills where they agree, at least."""

GAP = 5
"""Frames from a prompted frame or an anchor to the next anchor."""


def shows_a_look_alike(offered: Alternatives) -> bool:
    """Whether another mask holds something beside the chosen one."""
    box = box_of(offered.mask)
    if box is None:
        return False
    for other in offered.others:
        # a few pixels anywhere are no other thing
        piece = largest_piece(other)
        if piece is None:
            continue
        both = (
            *(min(box[0], piece[0]), min(box[1], piece[1])),
            *(max(box[2], piece[2]), max(box[3], piece[3])),
        )
        if box_area(box) < AGREEMENT * box_area(both):
            return True
    return False


def is_anchor(
    frame_index: int, offered: Alternatives, areas: Sequence[float], anchors: Iterable[int]
) -> bool:
    """Whether a tracked frame becomes an anchor.

    Parameters
    ----------
    frame_index : int
    offered : Alternatives
    areas : sequence of float
        Of the chosen masks before, since the object was prompted: the last `AREAS` of them.
    anchors : iterable of int
        The frames that are anchors already.
    """
    if len(areas) < GAP - 1 or any(abs(frame_index - i) < GAP for i in anchors):
        return False
    usual = median(areas)
    is_sure = (
        offered.quality[offered.chosen] > SURE_QUALITY
        and abs(offered.area - usual) <= AREA_TOLERANCE * usual
    )
    return is_sure and shows_a_look_alike(offered)
