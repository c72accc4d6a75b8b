"""All blobs of a frame, taken to the next one together: nobody gets another one's place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from napari_sam3.models.optical_flow import blobs
from napari_sam3.models.optical_flow.blobs import Levels
from napari_sam3.models.optical_flow.confidence import judge_blob
from napari_sam3.models.optical_flow.motion import FloatImage, Motion
from napari_sam3.models.optical_flow.reacquisition import was_there_before
from napari_sam3.models.optical_flow.registration import (
    Search,
    found_again,
    is_misfit,
    is_torn,
    misfit_of,
    register,
    shift_of,
)
from napari_sam3.models.optical_flow.tracked_object import Found, TrackedObject
from napari_sam3.models.optical_flow.warp import RigidMove, WarpedMask, move_mask, warp_frame
from napari_sam3.values import BoolArray, ObjectMask, label_image

_LEAST_CONTRAST = 0.25  # of the prompted frame's, the same


@dataclass(frozen=True, eq=False)
class FramePair:
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
        return warp_frame(self.before, self.motion, x0, y0, shape)

    def view_of(self, warped: WarpedMask, levels: Levels) -> BlobView:
        """What is seen round a blob."""
        crop, own, x0, y0 = blobs.cut_out(self.frame, warped.mask)
        motion = self.motion if warped.move is None else warped.move
        before = warp_frame(self.before, motion, x0, y0, own.shape)
        value, value_before = (blobs.value_of(part, levels) for part in (crop, before))
        misfit = misfit_of(value, value_before, own, levels)
        return BlobView(warped, own, x0, y0, value, value_before, misfit)


class BlobView(NamedTuple):
    """What is seen of a blob: a crop of the target, and of the source warped onto it.

    Attributes
    ----------
    warped : WarpedMask
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

    warped: WarpedMask
    own: BoolArray
    x0: int
    y0: int
    value: FloatImage
    before: FloatImage
    misfit: float


def follow_blobs(
    pictures: FramePair,
    guesses: Mapping[int, WarpedMask],
    known: Mapping[int, TrackedObject],
    fixed: Mapping[int, ObjectMask],
) -> dict[int, Found]:
    """Find on the target frame what are blobs among known objects.

    Parameters
    ----------
    pictures : FramePair
    guesses : mapping of object id to WarpedMask
        Where the flow takes objects, blobs or not.
    known : mapping of object id to TrackedObject
    fixed : mapping of object id to ObjectMask
        Objects that are known on the target frame.

    Returns
    -------
    mapping of object id to Found
    """
    levels = {i: m.levels for i, m in known.items() if m.levels is not None}
    views = {i: pictures.view_of(guesses[i], own) for i, own in levels.items()}
    claims = {**{i: g.mask for i, g in guesses.items()}, **fixed}
    _place_lost(pictures, views, levels, claims)
    everyone = label_image(claims, pictures.frame.shape[:2], np.int32)
    found = {i: _refine(i, v, levels[i], everyone, known[i]) for i, v in views.items()}
    return {i: f for i, f in found.items() if f is not None}


def _place_lost(
    pictures: FramePair,
    views: dict[int, BlobView],
    levels: Mapping[int, Levels],
    claims: dict[int, ObjectMask],
) -> None:
    """Where the flow does not explain what is seen of blobs, look for them by their picture.

    Changes `views` and `claims`. Those that fit best are placed first; the others go elsewhere.
    """
    lost = {i for i, v in views.items() if is_misfit(v.misfit) or is_torn(v.warped)}
    if not lost:
        return
    size = pictures.frame.shape[:2]
    shifts = [shift_of(v.warped) for i, v in views.items() if i not in lost]
    drift = [tuple(np.median(shifts, axis=0).tolist())] if shifts else []
    taken = label_image({i: m for i, m in claims.items() if i not in lost}, size) > 0
    # what the flow took there came from somewhere, but not from an unnamed neighbour
    left_out = label_image({i: claims[i] for i in lost}, size) > 0

    def place(obj_id: int) -> tuple[RigidMove | None, float]:
        guess = views[obj_id].warped
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
        torn = is_torn(old.warped)
        if new is not None and found_again(new.misfit, old.misfit, torn=torn):
            views[obj_id], claims[obj_id] = new, new.warped.mask
        taken |= claims[obj_id].mask


def _moved(
    pictures: FramePair, view: BlobView, move: RigidMove, levels: Levels, left_out: BoolArray
) -> BlobView | None:
    """What is seen of a blob at another place; None where that is a neighbour's that was there."""
    mask = move_mask(view.warped.origin, move)
    if mask is None:
        return None
    _, place, x0, y0 = blobs.cut_out(pictures.frame, mask)
    own = left_out[y0 : y0 + place.shape[0], x0 : x0 + place.shape[1]]
    if was_there_before(place, pictures.before_at(x0, y0, place.shape), own, levels):
        return None
    return pictures.view_of(WarpedMask(mask, view.warped.origin, move), levels)


def _refine(
    obj_id: int, view: BlobView, levels: Levels, everyone: np.ndarray, tracked: TrackedObject
) -> Found | None:
    height, width = view.own.shape
    others = everyone[view.y0 : view.y0 + height, view.x0 : view.x0 + width].copy()
    others[others == obj_id] = 0
    found, contrast = blobs.refine(view.value, view.before, view.own, others, levels)
    if contrast < _LEAST_CONTRAST:
        return None
    mask = ObjectMask.from_crop(found, view.x0, view.y0, view.warped.mask.size)
    if mask is None or not tracked.is_enough(mask):
        return None
    overlap = mask.overlap(view.warped.mask)
    return mask, judge_blob(found, others > 0, view.value, levels.step, overlap)
