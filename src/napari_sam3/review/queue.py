"""The queue of places worth a look, kept in line with labels as they come."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from napari_sam3.labels.lineage import Division
from napari_sam3.labels.object_notes import ObjectNote
from napari_sam3.review.checks import Check
from napari_sam3.review.doubt import Course, doubt_of
from napari_sam3.review.places import Place, places_of
from napari_sam3.review.signs import SIGN, read_signs


class LabelFrames(Protocol):
    """Labels that can be read frame by frame: a `LabelStack`, a `LabelFile`."""

    def __getitem__(self, frame_index: int) -> NDArray[Any]: ...

    def notes(self, frame_index: int) -> Mapping[int, ObjectNote]:
        """Score and source of the objects on a frame."""
        ...

    def processed_frames(self) -> NDArray[np.intp]:
        """Frames that were labelled, rising."""
        ...


class Review:
    """What was looked at of a video's labels, and what of it is worth a person's look.

    Holds 38 bytes for an object on a frame, never pixels; so frames can be fed one at a time, in
    any order and again, as a propagation brings them. Of a frame what was fed last counts.
    """

    def __init__(self) -> None:
        self._signs: dict[int, NDArray[np.void]] = {}
        self._checks: dict[tuple[int, int], Check] = {}

    # --------------------------------------------------------------- what is fed

    def look(
        self,
        frame_index: int,
        labels: NDArray[Any],
        notes: Mapping[int, ObjectNote] | None = None,
    ) -> None:
        """Take in a frame.

        Parameters
        ----------
        frame_index : int
            0-based.
        labels : (H, W) integer array
            0 is background.
        notes : mapping of id to ObjectNote, optional
            Score and source of the objects on it, where known.
        """
        self._signs[int(frame_index)] = read_signs(labels, int(frame_index), notes)

    def forget(self, frame_index: int) -> None:
        """Leave a frame out that was taken in: it is one that was never processed again."""
        self._signs.pop(int(frame_index), None)

    @property
    def frames(self) -> NDArray[np.int64]:
        """Frames that were taken in, rising."""
        return np.array(sorted(self._signs), np.int64)

    # ------------------------------------------------------------ what is checked

    def check(self, obj_id: int, frame_index: int) -> Check:
        """Take note that an object is right on a frame, or rightly not there."""
        check = self._state_of(obj_id, frame_index)
        self._checks[obj_id, frame_index] = check
        return check

    def uncheck(self, obj_id: int, frame_index: int) -> None:
        """Take that back."""
        self._checks.pop((obj_id, frame_index), None)

    @property
    def checks(self) -> tuple[Check, ...]:
        """What was found right and is as it was then, by object and frame."""
        return tuple(check for _, check in sorted(self._checks.items()) if self._holds(check))

    def restore(self, checks: Iterable[Check]) -> None:
        """Take over what was checked before, beside what is checked already."""
        self._checks.update({(c.obj_id, c.frame_index): c for c in checks})

    def _state_of(self, obj_id: int, frame_index: int) -> Check:
        signs = self._signs.get(frame_index)
        row = None if signs is None else signs[signs["id"] == obj_id]
        if row is None or not row.size or not row["area"][0]:
            return Check(obj_id, frame_index, 0, 0.0, 0.0)
        x, y = (round(float(row[axis][0]), 2) for axis in ("x", "y"))
        return Check(obj_id, frame_index, int(row["area"][0]), x, y)

    def _holds(self, check: Check) -> bool:
        return self._state_of(check.obj_id, check.frame_index) == check

    # ------------------------------------------------------------------ the queue

    @property
    def n_corrected(self) -> int:
        """How often a person said how an object is, beside the first time of each object."""
        made = [signs["id"][signs["by_hand"]] for signs in self._signs.values()]
        if not made:
            return 0
        ids = np.concatenate(made)
        return len(ids) - len(np.unique(ids))

    def places(self, divisions: Iterable[Division] = ()) -> list[Place]:
        """What is worth a look, the most valuable first.

        Those at the end may not be doubtful (`Place.is_doubtful`), only unseen for long.

        Parameters
        ----------
        divisions : iterable of Division
            A mother that ends there is not lost, a daughter was not there before.
        """
        frames = self.frames
        if not frames.size:
            return []
        signs = np.concatenate([self._signs[int(f)] for f in frames])
        if not signs.size:
            return []
        signs = signs[np.argsort(signs["id"], kind="stable")]
        ids, starts = np.unique(signs["id"], return_index=True)
        checked: dict[int, list[int]] = {}
        for check in self.checks:
            checked.setdefault(check.obj_id, []).append(check.frame_index)
        born: dict[int, int] = {}
        ended: dict[int, int] = {}
        for mother, daughters, frame_index in divisions:
            if mother not in daughters:
                ended[mother] = frame_index
            born.update(dict.fromkeys(daughters, frame_index))
        found: list[Place] = []
        for obj_id, own in zip(ids.tolist(), np.split(signs, starts[1:]), strict=True):
            begin, end = born.get(obj_id, frames[0]), ended.get(obj_id, frames[-1] + 1)
            life = frames[(frames >= begin) & (frames < end)]
            course = _course_of(own, life, checked.get(obj_id, []))
            found += places_of(obj_id, course, doubt_of(course))
        return sorted(found, key=lambda p: (-p.value, p.obj_id, p.frame_index))


def _course_of(
    signs: NDArray[np.void], frames: NDArray[np.int64], checked: Iterable[int]
) -> Course:
    signs = signs[np.isin(signs["frame"], frames)]
    at = np.searchsorted(frames, signs["frame"])
    laid_out = np.zeros(len(frames), SIGN)
    laid_out["score"] = np.nan
    laid_out[at] = signs
    fixed = laid_out["by_hand"] | np.isin(frames, np.array([*checked], np.int64))
    return Course(frames, laid_out["area"] > 0, laid_out, fixed)


def review_labels(
    labels: LabelFrames,
    *,
    on_frame: Callable[[int], object] = lambda _frame_index: None,
) -> Review:
    """Look at labels, one frame at a time.

    Parameters
    ----------
    labels : LabelStack, LabelFile or alike
        Frames that were never processed are left out.
    on_frame : callable, optional
        Told each frame that was looked at.
    """
    review = Review()
    for frame_index in labels.processed_frames().tolist():
        review.look(frame_index, labels[frame_index], labels.notes(frame_index))
        on_frame(frame_index)
    return review
