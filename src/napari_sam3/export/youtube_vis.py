"""YouTube-VIS JSON: one video, every object one annotation with a mask a frame."""

from __future__ import annotations

import json
import os
from array import array
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from napari_sam3.export.base import label_shape, replacing, write_all
from napari_sam3.export.coco import (
    UNNAMED,
    describe_source,
    encode_mask,
    list_categories,
    number_categories,
    write_list,
)
from napari_sam3.export.objects import Found, ObjectWriter, describe_object
from napari_sam3.export.outlines import run_lengths
from napari_sam3.export.spool import Spool
from napari_sam3.labels.objects import ObjectTable
from napari_sam3.video.video_facts import VideoFacts


class YoutubeVisWriter(ObjectWriter):
    """Writes the format of YouTube-VIS, as YTVIS, OVIS and SA-V's tools read it.

    The video has id 1; an annotation's id is the object's. `segmentations`, `bboxes` and `areas`
    have an entry for every frame, null where the object is not seen; `score` is the mean.
    Beyond the format it has `name`, and of a daughter `mother` and `born_at` (frame), where known.

    Parameters
    ----------
    path : path-like
        Where to write.
    shape : (T, H, W)
        Of the video.
    facts : VideoFacts, optional
        Of the video.
    objects : ObjectTable, optional
        Names, classes and divisions, read at `close`; without a class it is "object".
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        shape: tuple[int, int, int],
        *,
        facts: VideoFacts | None = None,
        objects: ObjectTable | None = None,
    ) -> None:
        super().__init__(path, shape, facts=facts)
        self._objects = ObjectTable() if objects is None else objects
        self._spool = Spool(self.path.absolute().parent)
        # where each object's masks lie in the spool; by the million, so in plain numbers
        self._entries: dict[int, array[int]] = {}
        self._count = 0
        self._newest = np.full(shape[0], -1, np.int64)  # frames may come again

    def _add_objects(self, frame_index: int, found: list[Found]) -> None:
        self._newest[frame_index] = turn = self._count
        for measure, crop in found:
            x0, y0, x1, y1 = measure.bbox
            counts = run_lengths(crop, x0, y0, self.shape[1:])
            seen = {
                "mask": encode_mask(counts, self.shape[1:]),
                "bbox": [x0, y0, x1 - x0, y1 - y0],
                "area": measure.area,
                "score": measure.score,
            }
            place = self._spool.append(json.dumps(seen).encode())
            self._entries.setdefault(measure.obj_id, array("q")).extend((frame_index, turn, *place))
        self._count += 1

    def _finish(self) -> None:
        categories = number_categories(self._objects.classes)
        with replacing(self.path) as temporary, temporary.open("w", encoding="utf-8") as file:
            file.write('{"info": ')
            json.dump(describe_source(self.facts), file)
            write_list(file, "videos", [self._video()])
            write_list(file, "annotations", self._annotations(categories))
            write_list(file, "categories", list_categories(categories))
            file.write("}\n")

    def _video(self) -> dict[str, Any]:
        length, height, width = self.shape
        stem = "video" if self.facts is None or not self.facts.name else Path(self.facts.name).stem
        times = None if self.facts is None else self.facts.timestamps
        return {
            "id": 1,
            "height": height,
            "width": width,
            "length": length,
            "file_names": [f"{stem}/{n:05d}.png" for n in range(length)],
            **({} if times is None else {"timestamps_s": list(times)}),
        }

    def _annotations(self, categories: Mapping[str, int]) -> Iterator[dict[str, Any]]:
        length, height, width = self.shape
        for obj_id, entries in sorted(self._entries.items()):
            masks: list[Any] = [None] * length
            bboxes, areas, scores = list(masks), list(masks), []
            for frame_index, turn, offset, size in np.array(entries).reshape(-1, 4).tolist():
                if turn != self._newest[frame_index]:
                    continue
                found = json.loads(self._spool.read(offset, size))
                masks[frame_index], bboxes[frame_index] = found["mask"], found["bbox"]
                areas[frame_index] = found["area"]
                if found["score"] is not None:
                    scores.append(found["score"])
            if all(mask is None for mask in masks):
                continue
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

    def _release(self) -> None:
        self._spool.close()


def export_youtube_vis(
    path: str | os.PathLike[str],
    labels: Any,
    *,
    facts: VideoFacts | None = None,
    objects: ObjectTable | None = None,
) -> None:
    """Write a whole (T, H, W) label array as YouTube-VIS JSON (see `YoutubeVisWriter`).

    Raises
    ------
    VideoError
        If it can't be written.
    ValueError
        If `labels` has another shape or type.
    """
    write_all(YoutubeVisWriter(path, label_shape(labels), facts=facts, objects=objects), labels)
