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
from napari_sam3.labels.measures import Measure, mean_values, measure_labels, measure_result
from napari_sam3.labels.notes import ObjectNote, Source
from napari_sam3.labels.objects import ObjectTable
from napari_sam3.values import FrameResult
from napari_sam3.video.video_facts import VideoFacts

COLUMNS = (
    *("frame", "time_s", "id", "name", "class", "mother", "score", "source"),
    *("x0", "y0", "x1", "y1", "area", "centroid_x", "centroid_y"),
)


class TableWriter(ResultWriter):
    """Writes a CSV sorted by frame, then id.

    The columns: frame (0-based), time_s, id, name, class, mother (id), score (0..1), source
    (prompt, propagated, painted or imported), x0, y0, x1, y1 (tight box, px, x1 and y1 exclusive),
    area (px), centroid_x and centroid_y (px; the centre of the top left pixel is 0.5, 0.5). What
    is not known is empty. Where the size of a pixel is known, the last three again in that unit:
    area_um2, centroid_x_um, centroid_y_um. With the video: mean_intensity in the object, or
    mean_red, mean_green and mean_blue, in its own values.

    Parameters
    ----------
    path : path-like
        Where to write.
    shape : (T, H, W)
        Of the video.
    timestamps : (T,) array, optional
        When each frame is shown, s; by default as `facts` say.
    facts : VideoFacts, optional
        Of the video.
    video : Video or array, optional
        (T, H, W) or (T, H, W, 3), for the intensities; read frame by frame.
    objects : ObjectTable, optional
        Names, classes and mothers; read at `close`.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        shape: tuple[int, int, int],
        *,
        timestamps: ArrayLike | None = None,
        facts: VideoFacts | None = None,
        video: Any = None,
        objects: ObjectTable | None = None,
    ) -> None:
        super().__init__(path, shape, facts=facts)
        if timestamps is None and facts is not None:
            timestamps = facts.timestamps
        self._times = None if timestamps is None else np.asarray(timestamps, float)
        if self._times is not None and self._times.shape != shape[:1]:
            raise ValueError(
                f"timestamps have shape {self._times.shape}, but the video has {shape[0]} frames"
            )
        if video is not None and tuple(video.shape[:3]) != tuple(shape):
            raise ValueError(f"the video has shape {tuple(video.shape)}, but the labels {shape}")
        self._video = video
        self._objects = ObjectTable() if objects is None else objects
        self._pixel_size = None if facts is None else facts.pixel_size
        self._unit = None if facts is None else facts.unit
        self._told: dict[int, str] = {}
        self._spool = Spool(self.path.absolute().parent)

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns."""
        names: tuple[str, ...] = COLUMNS
        if self._pixel_size is not None:
            unit = self._unit
            names += (f"area_{unit}2", f"centroid_x_{unit}", f"centroid_y_{unit}")
        if self._video is not None:
            is_grey = len(self._video.shape) == 3
            names += ("mean_intensity",) if is_grey else ("mean_red", "mean_green", "mean_blue")
        return names

    def write(self, result: FrameResult, sources: Mapping[int, Source] | None = None) -> None:
        """Add a frame, with its scores."""
        if self._video is not None:
            super().write(result, sources)
            return
        self._check(result.frame_index)
        with saying_where(self.path):
            self._put(result.frame_index, measure_result(result, sources), {})

    def _add(self, frame_index: int, labels: NDArray[Any], notes: Mapping[int, ObjectNote]) -> None:
        means: dict[int, tuple[float, ...]] = {}
        if self._video is not None:
            means = mean_values(labels, np.asarray(self._video[frame_index]))
        self._put(frame_index, measure_labels(labels, frame_index, notes), means)

    def _put(
        self, frame_index: int, measures: list[Measure], means: Mapping[int, tuple[float, ...]]
    ) -> None:
        time = "" if self._times is None else f"{self._times[frame_index]:.6f}"
        lines = io.StringIO()
        csv.writer(lines).writerows(
            (
                *(frame_index, time, m.obj_id),
                *("" if m.score is None else f"{m.score:.4f}", m.source or ""),
                *(*m.bbox, m.area, f"{m.centroid_xy[0]:.2f}", f"{m.centroid_xy[1]:.2f}"),
                *self._calibrated(m),
                *(f"{value:.6g}" for value in means.get(m.obj_id, ())),
            )
            for m in measures
        )
        self._spool.put(frame_index, lines.getvalue().encode())

    def _calibrated(self, measure: Measure) -> tuple[str, ...]:
        if self._pixel_size is None:
            return ()
        y, x = self._pixel_size
        sizes = (measure.area * y * x, measure.centroid_xy[0] * x, measure.centroid_xy[1] * y)
        return tuple(f"{size:.6g}" for size in sizes)

    def _finish(self) -> None:
        with replacing(self.path) as temporary, temporary.open("wb") as file:
            file.write((",".join(self.columns) + "\r\n").encode())
            for frame_index in self._spool.frames:
                # names may have come later than the measures
                for line in self._spool.get(frame_index).decode().splitlines(keepends=True):
                    frame, time, obj_id, rest = line.split(",", 3)
                    known = self._tell_object(int(obj_id))
                    file.write(f"{frame},{time},{obj_id},{known},{rest}".encode())

    def _tell_object(self, obj_id: int) -> str:
        if obj_id not in self._told:
            info = self._objects[obj_id]
            text = io.StringIO()
            mother = "" if info.mother is None else info.mother
            csv.writer(text, lineterminator="").writerow((info.name, info.class_name, mother))
            self._told[obj_id] = text.getvalue()
        return self._told[obj_id]

    def _release(self) -> None:
        self._spool.close()


def export_table(
    path: str | os.PathLike[str],
    labels: Any,
    *,
    timestamps: ArrayLike | None = None,
    facts: VideoFacts | None = None,
    video: Any = None,
    objects: ObjectTable | None = None,
) -> None:
    """Write the measures of a whole (T, H, W) label array as CSV (see `TableWriter`).

    Raises
    ------
    VideoError
        If it can't be written.
    ValueError
        If `labels` has another shape or type.
    """
    options: dict[str, Any] = {
        "timestamps": timestamps,
        "facts": facts,
        "video": video,
        "objects": objects,
    }
    write_all(TableWriter(path, label_shape(labels), **options), labels)
