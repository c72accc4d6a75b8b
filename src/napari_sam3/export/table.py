"""CSV: one line for each object on each frame."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_sam3.export.base import (
    ResultWriter,
    label_shape,
    replacing,
    saying_where,
    write_all,
)
from napari_sam3.export.spool import Spool
from napari_sam3.labels.measures import Measure, measure_labels, measure_result
from napari_sam3.values import FrameResult

COLUMNS = (
    *("frame", "time_s", "id", "score", "x0", "y0", "x1", "y1"),
    *("area", "centroid_x", "centroid_y"),
)


class TableWriter(ResultWriter):
    """Writes a CSV sorted by frame, then id.

    The columns: frame (0-based), time_s (empty where unknown), id, score (0..1, empty where there
    is none), x0, y0, x1, y1 (tight box, px, x1 and y1 exclusive), area (px), centroid_x and
    centroid_y (px; the centre of the top left pixel is 0.5, 0.5).

    Parameters
    ----------
    path : path-like
        Where to write.
    shape : (T, H, W)
        Of the video.
    timestamps : (T,) array, optional
        When each frame is shown, s.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        shape: tuple[int, int, int],
        *,
        timestamps: ArrayLike | None = None,
    ) -> None:
        super().__init__(path, shape)
        self._times = None if timestamps is None else np.asarray(timestamps, float)
        if self._times is not None and self._times.shape != shape[:1]:
            raise ValueError(
                f"timestamps have shape {self._times.shape}, but the video has {shape[0]} frames"
            )
        self._spool = Spool(self.path.absolute().parent)

    def write(self, result: FrameResult) -> None:
        """Add a frame, with its scores."""
        self._check(result.frame_index)
        with saying_where(self.path):
            self._put(result.frame_index, measure_result(result))

    def _add(self, frame_index: int, labels: NDArray[Any], scores: Mapping[int, float]) -> None:
        self._put(frame_index, measure_labels(labels, frame_index, scores))

    def _put(self, frame_index: int, measures: list[Measure]) -> None:
        time = "" if self._times is None else f"{self._times[frame_index]:.6f}"
        lines = io.StringIO()
        csv.writer(lines).writerows(
            (
                *(frame_index, time, m.obj_id, "" if m.score is None else f"{m.score:.4f}"),
                *(*m.bbox, m.area, f"{m.centroid_xy[0]:.2f}", f"{m.centroid_xy[1]:.2f}"),
            )
            for m in measures
        )
        self._spool.put(frame_index, lines.getvalue().encode())

    def _finish(self) -> None:
        with replacing(self.path) as temporary, temporary.open("wb") as file:
            file.write((",".join(COLUMNS) + "\r\n").encode())
            for frame_index in self._spool.frames:
                file.write(self._spool.get(frame_index))

    def _release(self) -> None:
        self._spool.close()


def export_table(
    path: str | os.PathLike[str], labels: Any, *, timestamps: ArrayLike | None = None
) -> None:
    """Write the measures of a whole (T, H, W) label array as CSV (see `TableWriter`).

    Raises
    ------
    VideoError
        If it can't be written.
    ValueError
        If `labels` has another shape or type.
    """
    write_all(TableWriter(path, label_shape(labels), timestamps=timestamps), labels)
