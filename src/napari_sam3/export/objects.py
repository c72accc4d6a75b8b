"""What the formats have in common that write objects, not pictures."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, NamedTuple

from numpy.typing import NDArray

from napari_sam3.export.base import ResultWriter, saying_where
from napari_sam3.labels.measures import Measure, measure_labels, measure_result
from napari_sam3.labels.notes import ObjectNote, Source
from napari_sam3.labels.objects import ObjectTable
from napari_sam3.values import BoolArray, FrameResult


class Found(NamedTuple):
    """An object on a frame.

    Attributes
    ----------
    measure : Measure
        Its box, area, centroid and score.
    crop : (h, w) bool ndarray
        Its mask inside the box.
    """

    measure: Measure
    crop: BoolArray


class ObjectWriter(ResultWriter):
    """A writer that takes the objects of a frame by rising id, come as masks or as labels."""

    def write(self, result: FrameResult, sources: Mapping[int, Source] | None = None) -> None:
        """Add a frame, with its scores; without drawing it first."""
        self._check(result.frame_index)
        measures = measure_result(result, sources)
        found = [Found(m, result.objects[m.obj_id].crop) for m in measures]
        with saying_where(self.path):
            self._add_objects(result.frame_index, found)

    def _add(self, frame_index: int, labels: NDArray[Any], notes: Mapping[int, ObjectNote]) -> None:
        found = []
        for measure in measure_labels(labels, frame_index, notes):
            x0, y0, x1, y1 = measure.bbox
            found.append(Found(measure, labels[y0:y1, x0:x1] == measure.obj_id))
        self._add_objects(frame_index, found)

    @abstractmethod
    def _add_objects(self, frame_index: int, found: list[Found]) -> None:
        """Keep the objects of a frame, instead of earlier ones."""


def describe_object(objects: ObjectTable, obj_id: int) -> dict[str, Any]:
    """What formats that can be added to say of an object beside its class.

    Returns
    -------
    dict
        name; of a daughter, mother and born_at (0-based frame). What is not known is left out.
    """
    info = objects[obj_id]
    said: dict[str, Any] = {"name": info.name} if info.name else {}
    division = None if info.mother is None else objects.division_of(info.mother)
    if division is not None:
        said |= {"mother": division.mother, "born_at": division.frame_index}
    return said
