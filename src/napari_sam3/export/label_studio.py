"""Label Studio's JSON: every frame a task, the outlines of its objects as an annotation."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import numpy as np

from napari_sam3.export.annotations import UNNAMED, describe_object
from napari_sam3.export.pictures import PicturedWriter
from napari_sam3.export.polygons import single_polygon
from napari_sam3.export.writer import FoundObject, ObjectWriter, exporter
from napari_sam3.whole_files import written_whole

SERVED = "/data/local-files/?d="
"""Label Studio serves pictures of its storage of local files under this."""


class LabelStudioWriter(PicturedWriter, ObjectWriter):
    """Writes a list of tasks, of the frames that came.

    A region is an object: a polygon whose id is the object's, and whose label is the class; an
    object without a class is "object". A mask of several pieces or with holes is one polygon, whose
    pieces are joined by lines. `name`, and of a daughter `mother` and `born_at` (frame), are in the
    region's `meta`. A task's `image` is the picture's name below the root of a storage of local
    files. The project's labels are `PolygonLabels` called "label" of an `Image` called "image".

    Parameters
    ----------
    path, shape, facts, objects
        As `ResultWriter` takes them.
    pictures : FramePictures, optional
        Writes pictures of the frames beside the file.
    """

    tells_frames = True  # frames without a task were not processed

    def _add_objects(self, frame_index: int, found: list[FoundObject]) -> None:
        percent = 100 / np.array([self.shape[2], self.shape[1]])
        regions = []
        for measure, crop in found:
            corners = single_polygon(crop, *measure.bbox[:2]) * percent
            points = [[round(x, 5), round(y, 5)] for x, y in corners.tolist()]
            regions.append((measure.obj_id, measure.score, points))
        self._frames.put(frame_index, json.dumps(regions).encode())

    def _finish(self) -> None:
        self._pictures.write(self.path.parent, self._frames.frames)
        with written_whole(self.path) as part, part.open("w", encoding="utf-8") as file:
            separator = "["
            for frame_index in self._frames.frames:
                file.write(f"{separator}\n{json.dumps(self._task(frame_index))}")
                separator = ","
            file.write("\n]\n" if self._frames.frames else "[]\n")

    def _task(self, frame_index: int) -> dict[str, Any]:
        name = self._pictures.name(frame_index, self.path.parent)
        time = self.known_facts.time_of(frame_index)
        known = json.loads(self._frames.get(frame_index))
        return {
            "id": frame_index + 1,
            "data": {
                "image": SERVED + quote(name),
                "frame_index": frame_index,
                **({} if time is None else {"time_s": time}),
            },
            "annotations": [{"result": [self._region(*each) for each in known]}],
        }

    def _region(self, obj_id: int, score: float | None, points: list[Any]) -> dict[str, Any]:
        _, height, width = self.shape
        label = self._objects[obj_id].class_name or UNNAMED
        said = describe_object(self._objects, obj_id)
        return {
            "id": str(obj_id),
            "type": "polygonlabels",
            "from_name": "label",
            "to_name": "image",
            "original_width": width,
            "original_height": height,
            "image_rotation": 0,
            "value": {"points": points, "closed": True, "polygonlabels": [label]},
            **({} if score is None else {"score": round(score, 4)}),
            **({"meta": said} if said else {}),
        }


export_label_studio = exporter(LabelStudioWriter)
