"""YouTube-VIS JSON: one video, every object one annotation with a mask a frame."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from napari_sam3.export.annotations import (
    UNNAMED,
    describe_object,
    encode_mask,
    number_categories,
    write_annotations,
)
from napari_sam3.export.by_object import TrackWriter
from napari_sam3.export.pictures import PicturedWriter
from napari_sam3.export.sidecar import PROCESSED
from napari_sam3.export.writer import FoundObject, exporter
from napari_sam3.labels.frame_ranges import say_frames
from napari_sam3.session.run_lengths import run_lengths


class YoutubeVisWriter(PicturedWriter, TrackWriter):
    """Writes the format of YouTube-VIS, as YTVIS, OVIS and SA-V's tools read it.

    The video has id 1; an annotation's id is the object's. `segmentations`, `bboxes` and `areas`
    have an entry for every frame, null where the object is not seen; `score` is the mean.
    An object without a class is "object". Beyond the format it has `name`, and of a daughter
    `mother` and `born_at` (frame), where known; the video has `processed_frames`, as "0-99,120".
    Files are named as the pictures of a folder are, or by names that are made up.

    Parameters
    ----------
    path, shape, facts, objects
        As `ResultWriter` takes them.
    pictures : FramePictures, optional
        Writes pictures of all frames beside the file, by the names that the video's files have.
    """

    tells_frames = True

    def _encode(self, found: FoundObject) -> bytes:
        measure, crop = found
        x0, y0, x1, y1 = measure.bbox
        counts = run_lengths(crop, x0, y0, self.shape[1:])
        seen = {
            "mask": encode_mask(counts, self.shape[1:]),
            "bbox": [x0, y0, x1 - x0, y1 - y0],
            "area": measure.area,
            "score": measure.score,
        }
        return json.dumps(seen).encode()

    def _finish(self) -> None:
        self._pictures.write(self.path.parent, range(self.shape[0]))
        categories = number_categories(self._objects.classes)
        lists = {"videos": [self._video()], "annotations": self._annotations(categories)}
        write_annotations(self.path, self.known_facts, categories, lists)

    def _video(self) -> dict[str, Any]:
        length, height, width = self.shape
        times = self.known_facts.timestamps
        return {
            "id": 1,
            "height": height,
            "width": width,
            "length": length,
            "file_names": [self._pictures.name(n, self.path.parent) for n in range(length)],
            PROCESSED: say_frames(self.processed),
            **({} if times is None else {"timestamps_s": list(times)}),
        }

    def _annotations(self, categories: Mapping[str, int]) -> Iterator[dict[str, Any]]:
        length, height, width = self.shape
        for obj_id, frames in self._tracks():
            masks: list[Any] = [None] * length
            bboxes, areas, scores = list(masks), list(masks), []
            for frame_index, content in frames:
                found = json.loads(content)
                masks[frame_index], bboxes[frame_index] = found["mask"], found["bbox"]
                areas[frame_index] = found["area"]
                if found["score"] is not None:
                    scores.append(found["score"])
            yield {
                "id": obj_id,
                "video_id": 1,
                "category_id": categories[self._objects[obj_id].class_name or UNNAMED],
                "height": height,
                "width": width,
                "length": length,
                "iscrowd": 0,
                "segmentations": masks,
                "bboxes": bboxes,
                "areas": areas,
                **({"score": round(float(np.mean(scores)), 4)} if scores else {}),
                **describe_object(self._objects, obj_id),
            }


export_youtube_vis = exporter(YoutubeVisWriter)
