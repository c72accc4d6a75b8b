"""COCO JSON: every frame an image, every object on it an annotation."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Literal

from napari_sam3.export.annotations import (
    UNNAMED,
    describe_object,
    encode_mask,
    number_categories,
    write_annotations,
)
from napari_sam3.export.pictures import FramePictures, PicturedWriter
from napari_sam3.export.polygons import mask_polygons
from napari_sam3.export.writer import FoundObject, ObjectWriter, PathLike, Shape, exporter
from napari_sam3.labels.objects import ObjectTable
from napari_sam3.session.run_lengths import run_lengths
from napari_sam3.video.video_facts import VideoFacts

Segmentation = Literal["rle", "polygon"]


class CocoWriter(PicturedWriter, ObjectWriter):
    """Writes COCO's format for instance segmentation.

    `images` are the frames that came, with id frame index + 1, `frame_index` and `time_s`, named
    as the pictures of a folder are, or by a name that is made up. An annotation has the object's
    id as `track_id`, once more among its `attributes` (where CVAT and Datumaro look), its `score`
    where there is one, and its mask as run lengths or polygons. Either gives back the exact mask.
    An object without a class is "object". Beyond the format it
    has `name`, and of a daughter `mother` and `born_at` (frame), where known.

    Parameters
    ----------
    path, shape, facts, objects
        As `ResultWriter` takes them.
    segmentation : "rle" or "polygon"
        How masks are written.
    pictures : FramePictures, optional
        Writes pictures of the frames beside the file, by the names that `images` have.
    """

    tells_frames = True  # frames without an image were not processed

    def __init__(
        self,
        path: PathLike,
        shape: Shape,
        *,
        facts: VideoFacts | None = None,
        segmentation: Segmentation = "rle",
        objects: ObjectTable | None = None,
        pictures: FramePictures | None = None,
    ) -> None:
        if segmentation not in ("rle", "polygon"):
            raise ValueError(f"segmentation is {segmentation!r}; choose 'rle' or 'polygon'")
        super().__init__(path, shape, facts=facts, objects=objects, pictures=pictures)
        self._segmentation = segmentation

    def _add_objects(self, frame_index: int, found: list[FoundObject]) -> None:
        annotations = []
        for measure, crop in found:
            x0, y0, x1, y1 = measure.bbox
            mask: Any
            if self._segmentation == "rle":
                mask = encode_mask(run_lengths(crop, x0, y0, self.shape[1:]), self.shape[1:])
            else:
                mask = mask_polygons(crop, x0, y0)
            annotation = {
                "track_id": measure.obj_id,
                "attributes": {"track_id": measure.obj_id},
                "segmentation": mask,
                "area": measure.area,
                "bbox": [x0, y0, x1 - x0, y1 - y0],
                "iscrowd": 0,
            }
            if measure.score is not None:
                annotation["score"] = round(measure.score, 4)
            annotations.append(annotation)
        self._frames.put(frame_index, json.dumps(annotations).encode())

    def _finish(self) -> None:
        self._pictures.write(self.path.parent, self._frames.frames)
        categories = number_categories(self._objects.classes)
        images = (self._image(frame_index) for frame_index in self._frames.frames)
        lists = {"images": images, "annotations": self._annotations(categories)}
        write_annotations(self.path, self.known_facts, categories, lists)

    def _image(self, frame_index: int) -> dict[str, Any]:
        _, height, width = self.shape
        time = self.known_facts.time_of(frame_index)
        return {
            "id": frame_index + 1,
            "file_name": self._pictures.name(frame_index, self.path.parent),
            "height": height,
            "width": width,
            "frame_index": frame_index,
            **({} if time is None else {"time_s": time}),
        }

    def _annotations(self, categories: Mapping[str, int]) -> Iterator[dict[str, Any]]:
        number = 0
        for frame_index in self._frames.frames:
            for annotation in json.loads(self._frames.get(frame_index)):
                number += 1
                obj_id = annotation["track_id"]
                category = categories[self._objects[obj_id].class_name or UNNAMED]
                place = {"id": number, "image_id": frame_index + 1, "category_id": category}
                yield place | annotation | describe_object(self._objects, obj_id)


export_coco = exporter(CocoWriter)
