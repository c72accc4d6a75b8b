"""CSV: one line for each object on each frame."""

from __future__ import annotations

import csv
import json
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_sam3.export.writer import FoundObject, ObjectWriter, PathLike, Shape, exporter
from napari_sam3.labels.measures import Measure
from napari_sam3.labels.objects import ObjectTable
from napari_sam3.values import BoolArray
from napari_sam3.video.video_facts import VideoFacts
from napari_sam3.whole_files import written_whole

COLUMNS = (
    *("frame", "time_s", "id", "name", "class", "mother", "score", "source"),
    *("x0", "y0", "x1", "y1", "area", "centroid_x", "centroid_y"),
)


class TableWriter(ObjectWriter):
    """Writes a CSV sorted by frame, then id.

    The columns: frame (0-based), time_s, id, name, class, mother (id), score (0..1), source
    (prompt, propagated, painted or imported), x0, y0, x1, y1 (tight box, px, x1 and y1 exclusive),
    area (px), centroid_x and centroid_y (px; the centre of the top left pixel is 0.5, 0.5). What
    is not known is empty. Where the size of a pixel is known, the last three again in that unit:
    area_um2, centroid_x_um, centroid_y_um. With the video: mean_intensity in the object, or
    mean_red, mean_green and mean_blue, in its own values.

    Parameters
    ----------
    path, shape, facts, objects
        As `ResultWriter` takes them.
    timestamps : (T,) array, optional
        When each frame is shown, s; by default as `facts` say.
    video : Video or array, optional
        (T, H, W) or (T, H, W, 3), for the intensities; read frame by frame.
    """

    def __init__(
        self,
        path: PathLike,
        shape: Shape,
        *,
        timestamps: ArrayLike | None = None,
        facts: VideoFacts | None = None,
        video: Any = None,
        objects: ObjectTable | None = None,
    ) -> None:
        if timestamps is None and facts is not None:
            timestamps = facts.timestamps
        times = None if timestamps is None else np.asarray(timestamps, float)
        if times is not None and times.shape != shape[:1]:
            raise ValueError(
                f"timestamps have shape {times.shape}, but the video has {shape[0]} frames"
            )
        if video is not None and tuple(video.shape[:3]) != tuple(shape):
            raise ValueError(f"the video has shape {tuple(video.shape)}, but the labels {shape}")
        super().__init__(path, shape, facts=facts, objects=objects)
        self._times = times
        self._video = video
        self._pixel_size = None if facts is None else facts.pixel_size
        self._unit = None if facts is None else facts.unit

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

    def _add_objects(self, frame_index: int, found: list[FoundObject]) -> None:
        time = None if self._times is None else f"{self._times[frame_index]:.6f}"
        frame = None if self._video is None else np.asarray(self._video[frame_index])
        rows = [
            (
                *(time, m.obj_id, None if m.score is None else f"{m.score:.4f}", m.source),
                *(*m.bbox, m.area, f"{m.centroid_xy[0]:.2f}", f"{m.centroid_xy[1]:.2f}"),
                *self._calibrated(m),
                *(() if frame is None else (f"{mean:.6g}" for mean in _means(frame, m, crop))),
            )
            for m, crop in found
        ]
        self._frames.put(frame_index, json.dumps(rows).encode())

    def _calibrated(self, measure: Measure) -> tuple[str, ...]:
        if self._pixel_size is None:
            return ()
        y, x = self._pixel_size
        sizes = (measure.area * y * x, measure.centroid_xy[0] * x, measure.centroid_xy[1] * y)
        return tuple(f"{size:.6g}" for size in sizes)

    def _finish(self) -> None:
        with (
            written_whole(self.path) as part,
            part.open("w", encoding="utf-8", newline="") as file,
        ):
            table = csv.writer(file)
            table.writerow(self.columns)
            for frame_index in self._frames.frames:
                for time, obj_id, *rest in json.loads(self._frames.get(frame_index)):
                    info = self._objects[obj_id]  # names may have come later than the measures
                    known = (info.name, info.class_name, info.mother)
                    table.writerow((frame_index, time, obj_id, *known, *rest))


def _means(frame: NDArray[Any], measure: Measure, crop: BoolArray) -> NDArray[np.float64]:
    """The mean of a frame's pixels in an object, of each channel, in the video's own values."""
    x0, y0, x1, y1 = measure.bbox
    inside = frame[y0:y1, x0:x1][crop].reshape(measure.area, -1)
    return np.asarray(inside.mean(axis=0, dtype=np.float64))


export_table = exporter(TableWriter)
