"""Labels that are told object by object: annotations of frames, their ids, their outlines."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from itertools import count
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_sam3.imports.label_file import LabelFile, draw_masks
from napari_sam3.labels.object_notes import ObjectNote
from napari_sam3.values import MAX_OBJECT_ID, BoolArray, ObjectMask

Annotation = tuple[int, float | None, Any]


class AnnotatedLabels(LabelFile):
    """Labels that are annotations of frames.

    Subclasses put them into `_found` by frame, or say by `_on` which are on one: id, score if there
    is one, and what `_decode` takes.
    """

    _found: dict[int, list[Annotation]]

    def _on(self, frame_index: int) -> list[Annotation]:
        return self._found.get(frame_index, [])

    @abstractmethod
    def _decode(self, annotation: Any) -> BoolArray:
        """Draw one as an (H, W) mask."""

    def _read(self, frame_index: int) -> NDArray[Any]:
        masks = []
        for obj_id, score, annotation in self._on(frame_index):
            mask = ObjectMask.from_mask(self._decode(annotation), 1.0 if score is None else score)
            if mask is not None:
                masks.append((obj_id, mask))
        return draw_masks(masks, self.shape[1:])

    def notes(self, frame_index: int) -> dict[int, ObjectNote]:
        """Scores of a frame's objects."""
        found = self._on(frame_index)
        return {obj_id: _note(score) for obj_id, score, _ in found if score is not None}


class ObjectIds(NamedTuple):
    """Ids of annotations; `raised` is what was added to each."""

    ids: list[int]
    raised: int = 0
    told: tuple[str, ...] = ()


def check_ids(ids: list[int]) -> ObjectIds:
    """Ids from 1: 0 is the background, so that ids that count from 0 are raised by one."""
    least, greatest = min(ids, default=1), max(ids, default=1)
    raised = 1 if least == 0 else 0
    if least < 0 or greatest + raised > MAX_OBJECT_ID:
        wrong = least if least < 0 else greatest
        raise ValueError(f"{wrong} can't be the id of an object; ids go from 1 to {MAX_OBJECT_ID}")
    told = ("its ids count from 0, the background; each is raised by one here",) if raised else ()
    return ObjectIds([obj_id + raised for obj_id in ids], raised, told)


def number_objects(tracks: Sequence[int | None], what: str, name: str) -> ObjectIds:
    """Ids of annotations of which some name their object; each of the others is one of its own.

    Parameters
    ----------
    tracks : sequence of int or None
        What each annotation says.
    what, name : str
        What they are, in the plural, and what they call an object's id; for what is told.

    Raises
    ------
    ValueError
        If an id can't be one.
    """
    fresh = count(max((track for track in tracks if track is not None), default=0) + 1)
    found = check_ids([next(fresh) if track is None else track for track in tracks])
    without = sum(track is None for track in tracks)
    if not without:
        return found
    if without == len(tracks):
        doubt = f"none of its {what} has a {name}; each is an object of its own"
    else:
        doubt = f"{what} without a {name} ({without}) are objects of their own, with new ids"
    return found._replace(told=(doubt, *found.told))


def whole_number(value: Any, name: str) -> int:
    """A whole number, however it is written."""
    if isinstance(value, str):
        value = float(value) if "." in value else int(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or value != int(value):
        raise ValueError(f"a {name} is {value!r}; give a whole number")
    return int(value)


def _note(score: float) -> ObjectNote:
    # what others call a score may be on a scale of their own
    return ObjectNote(score if 0 <= score <= 1 else None, "imported")


def polygon_points(numbers: Any, size: tuple[int, int]) -> NDArray[np.float64]:
    """The corners of a polygon, (N, 2) x, y, out of [x, y, x, y, ...] or such pairs.

    Raises
    ------
    ValueError
        If they are fewer than three, no finite numbers, or lie far outside the frame of that size.
    """
    found = np.asarray(numbers, np.float64)
    if found.ndim == 1 and found.size % 2 == 0:
        found = found.reshape(-1, 2)
    if found.ndim != 2 or found.shape[1] != 2 or len(found) < 3:
        raise ValueError("a polygon is no list of at least three points x, y")
    if not (np.abs(found) <= 2 * max(size)).all():
        raise ValueError("a polygon lies far outside its image")
    return found


def fill_polygons(polygons: Sequence[Any], size: tuple[int, int]) -> BoolArray:
    """Draw polygons by COCO's own rule, as pycocotools has it; raises as `polygon_points`."""
    from pycocotools import mask

    # the library neither checks them nor its memory
    checked = [polygon_points(polygon, size).ravel().tolist() for polygon in polygons]
    return np.asarray(mask.decode(mask.merge(mask.frPyObjects(checked, *size))), bool)
