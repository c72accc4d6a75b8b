"""All blobs of a frame, taken to the next one together: nobody gets another one's place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from napari_sam3.models.optical_flow import blobs
from napari_sam3.models.optical_flow.blobs import Levels
from napari_sam3.models.optical_flow.flow import FloatImage, Motion
from napari_sam3.models.optical_flow.lost import was_there
from napari_sam3.models.optical_flow.memory import Memory
from napari_sam3.models.optical_flow.pull import Move, Pulled, move_whole, pull_picture
from napari_sam3.models.optical_flow.registration import (
    Search,
    found_again,
    is_misfit,
    is_torn,
    misfit_of,
    register,
    shift_of,
)
from napari_sam3.models.optical_flow.trust import judge_blob
from napari_sam3.values import BoolArray, ObjectMask, label_image

LEAST_SHARE = 0.15
"""Of its usual area, below which an object counts as lost."""

_LEAST_CONTRAST = 0.25  # of the prompted frame's, the same


@dataclass(frozen=True, eq=False)
class Pictures:
    """What is seen on two neighbouring frames.

    Attributes
    ----------
    frame, before : (H, W, 3) uint8
        The target frame, and the source as bright and as rich in contrast as that.
    motion : Motion
        Between them.
    """

    frame: np.ndarray
    before: np.ndarray
    motion: Motion

    def before_at(self, x0: int, y0: int, shape: tuple[int, ...]) -> np.ndarray:
        """What is seen in a box of the target, as it was on the source frame."""
        return pull_picture(self.before, self.motion, x0, y0, shape)

    def look_at(self, pulled: Pulled, levels: Levels) -> View:
        """What is seen round a blob."""
        crop, own, x0, y0 = blobs.cut_out(self.frame, pulled.mask)
        before = pull_picture(self.before, self.motion, x0, y0, own.shape, pulled.move)
        value, value_before = (blobs.value_of(part, levels) for part in (crop, before))
        misfit = misfit_of(value, value_before, own, levels)
        return View(pulled, own, x0, y0, value, value_before, misfit)


class View(NamedTuple):
    """What is seen of a blob: a crop of the target, and of the source pulled onto it.

    Attributes
    ----------
    pulled : Pulled
        Where it is expected.
    own : (h, w) bool
        That, in the crop.
    x0, y0 : int
        Place of the crop.
    value, before : (h, w) float32
        From `blobs.value_of`.
    misfit : float
        How far these differ (`misfit_of`).
    """

    pulled: Pulled
    own: BoolArray
    x0: int
    y0: int
    value: FloatImage
    before: FloatImage
    misfit: float


def follow_blobs(
    pictures: Pictures,
    guesses: Mapping[int, Pulled],
    known: Mapping[int, Memory],
    fixed: Mapping[int, ObjectMask],
) -> dict[int, tuple[ObjectMask, float]]:
    """Find on the target frame what are blobs among known objects.

    Parameters
    ----------
    pictures : Pictures
    guesses : mapping of object id to Pulled
        Where the flow takes objects, blobs or not.
    known : mapping of object id to Memory
    fixed : mapping of object id to ObjectMask
        Objects that are known on the target frame.

    Returns
    -------
    mapping of object id to (ObjectMask, float)
        What was found, and how well it agrees with what is seen, 0..1.
    """
    levels = {i: m.levels for i, m in known.items() if m.levels is not None}
    views = {i: pictures.look_at(guesses[i], own) for i, own in levels.items()}
    claims = {**{i: g.mask for i, g in guesses.items()}, **fixed}
    _place_lost(pictures, views, levels, claims)
    everyone = label_image(claims, pictures.frame.shape[:2], np.int32)
    found = {i: _refine(i, v, levels[i], everyone, known[i].area) for i, v in views.items()}
    return {i: f for i, f in found.items() if f is not None}


def _place_lost(
    pictures: Pictures,
    views: dict[int, View],
    levels: Mapping[int, Levels],
    claims: dict[int, ObjectMask],
) -> None:
    """Where the flow does not explain what is seen of blobs, look for them by their picture.

    Changes `views` and `claims`. Those that fit best are placed first; the others go elsewhere.
    """
    lost = {i for i, v in views.items() if is_misfit(v.misfit) or is_torn(v.pulled)}
    if not lost:
        return
    size = pictures.frame.shape[:2]
    shifts = [shift_of(v.pulled) for i, v in views.items() if i not in lost]
    drift = [tuple(np.median(shifts, axis=0).tolist())] if shifts else []
    taken = label_image({i: m for i, m in claims.items() if i not in lost}, size) > 0
    # what the flow took there came from somewhere, but not from an unnamed neighbour
    left_out = label_image({i: claims[i] for i in lost}, size) > 0

    def place(obj_id: int) -> tuple[Move | None, float]:
        guess = views[obj_id].pulled
        expected = [shift_of(guess), *drift]
        own = levels[obj_id]
        found = register(
            Search(pictures.frame, pictures.before, guess.origin, expected, own, taken)
        )
        return (None, np.inf) if found is None else found

    at_first = {i: place(i) for i in lost}
    for turn, obj_id in enumerate(sorted(lost, key=lambda i: (at_first[i][1], i))):
        # the first one has all to itself still
        old, (move, _) = views[obj_id], place(obj_id) if turn else at_first[obj_id]
        new = None if move is None else _moved(pictures, old, move, levels[obj_id], left_out)
        torn = is_torn(old.pulled)
        if new is not None and found_again(new.misfit, old.misfit, torn=torn):
            views[obj_id], claims[obj_id] = new, new.pulled.mask
        taken |= claims[obj_id].mask


def _moved(
    pictures: Pictures, view: View, move: Move, levels: Levels, left_out: BoolArray
) -> View | None:
    """What is seen of a blob at another place; None where that is a neighbour's that was there."""
    mask = move_whole(view.pulled.origin, move)
    if mask is None:
        return None
    _, place, x0, y0 = blobs.cut_out(pictures.frame, mask)
    own = left_out[y0 : y0 + place.shape[0], x0 : x0 + place.shape[1]]
    if was_there(place, pictures.before_at(x0, y0, place.shape), own, levels):
        return None
    return pictures.look_at(Pulled(mask, view.pulled.origin, move), levels)


def _refine(
    obj_id: int, view: View, levels: Levels, everyone: np.ndarray, area: float
) -> tuple[ObjectMask, float] | None:
    height, width = view.own.shape
    others = everyone[view.y0 : view.y0 + height, view.x0 : view.x0 + width].copy()
    others[others == obj_id] = 0
    refined = blobs.refine(view.value, view.before, view.own, others, levels)
    if refined.contrast < _LEAST_CONTRAST:
        return None
    mask = ObjectMask.from_crop(refined.mask, view.x0, view.y0, view.pulled.mask.size)
    if mask is None or mask.area < LEAST_SHARE * area:
        return None
    overlap = mask.overlap(view.pulled.mask)
    return mask, judge_blob(refined.mask, others > 0, view.value, levels.step, overlap)
