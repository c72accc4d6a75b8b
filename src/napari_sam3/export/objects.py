"""What the formats have in common that write objects, not pictures."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, NamedTuple

from numpy.typing import NDArray

from napari_sam3.export.base import ResultWriter, saying_where
from napari_sam3.labels.measures import Measure, measure_labels, measure_result
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

    def write(self, result: FrameResult) -> None:
        """Add a frame, with its scores; without drawing it first."""
        self._check(result.frame_index)
        found = [Found(m, result.objects[m.obj_id].crop) for m in measure_result(result)]
        with saying_where(self.path):
            self._add_objects(result.frame_index, found)

    def _add(self, frame_index: int, labels: NDArray[Any], scores: Mapping[int, float]) -> None:
        found = []
        for measure in measure_labels(labels, frame_index, scores):
            x0, y0, x1, y1 = measure.bbox
            found.append(Found(measure, labels[y0:y1, x0:x1] == measure.obj_id))
        self._add_objects(frame_index, found)

    @abstractmethod
    def _add_objects(self, frame_index: int, found: list[Found]) -> None:
        """Keep the objects of a frame, instead of earlier ones."""
