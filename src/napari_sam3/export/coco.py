"""COCO JSON: every frame an image, every object on it an annotation."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any, Literal

from napari_sam3.export.base import label_shape, replacing, write_all
from napari_sam3.export.objects import Found, ObjectWriter, describe_object
from napari_sam3.export.outlines import mask_polygons, run_lengths
from napari_sam3.export.spool import Spool
from napari_sam3.labels.objects import ObjectTable
from napari_sam3.video.video_facts import VideoFacts

Segmentation = Literal["rle", "polygon"]
UNNAMED = "object"
"""Category of objects without a class."""


class CocoWriter(ObjectWriter):
    """Writes COCO's format for instance segmentation.

    `images` are the frames that came, with id frame index + 1, `frame_index` and `time_s`; an
    annotation has the object's id as `track_id`, its `score` where there is one, and its mask as
    run lengths or polygons. Either gives back the exact mask. Beyond the format it has `name`, and
    of a daughter `mother` and `born_at` (frame), where known.

    Parameters
    ----------
    path : path-like
        Where to write.
    shape : (T, H, W)
        Of the video.
    facts : VideoFacts, optional
        Of the video.
    segmentation : "rle" or "polygon"
        How masks are written.
    objects : ObjectTable, optional
        Names, classes and divisions, read at `close`; without a class it is "object".
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        shape: tuple[int, int, int],
        *,
        facts: VideoFacts | None = None,
        segmentation: Segmentation = "rle",
        objects: ObjectTable | None = None,
    ) -> None:
        if segmentation not in ("rle", "polygon"):
            raise ValueError(f"segmentation is {segmentation!r}; choose 'rle' or 'polygon'")
        super().__init__(path, shape, facts=facts)
        self._segmentation = segmentation
        self._objects = ObjectTable() if objects is None else objects
        self._spool = Spool(self.path.absolute().parent)

    def _add_objects(self, frame_index: int, found: list[Found]) -> None:
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
                "segmentation": mask,
                "area": measure.area,
                "bbox": [x0, y0, x1 - x0, y1 - y0],
                "iscrowd": 0,
            }
            if measure.score is not None:
                annotation["score"] = round(measure.score, 4)
            annotations.append(annotation)
        self._spool.put(frame_index, json.dumps(annotations).encode())

    def _finish(self) -> None:
        categories = number_categories(self._objects.classes)
        with replacing(self.path) as temporary, temporary.open("w", encoding="utf-8") as file:
            file.write('{"info": ')
            json.dump(describe_source(self.facts), file)
            write_list(file, "images", (self._image(n) for n in self._spool.frames))
            write_list(file, "annotations", self._annotations(categories))
            write_list(file, "categories", list_categories(categories))
            file.write("}\n")

    def _image(self, frame_index: int) -> dict[str, Any]:
        _, height, width = self.shape
        stem = "frame" if self.facts is None or not self.facts.name else Path(self.facts.name).stem
        time = None if self.facts is None else self.facts.time_of(frame_index)
        return {
            "id": frame_index + 1,
            "file_name": f"{stem}/{frame_index:05d}.png",
            "height": height,
            "width": width,
            "frame_index": frame_index,
            **({} if time is None else {"time_s": time}),
        }

    def _annotations(self, categories: Mapping[str, int]) -> Iterator[dict[str, Any]]:
        number = 0
        for frame_index in self._spool.frames:
            for annotation in json.loads(self._spool.get(frame_index)):
                number += 1
                obj_id = annotation["track_id"]
                category = categories[self._objects[obj_id].class_name or UNNAMED]
                place = {"id": number, "image_id": frame_index + 1, "category_id": category}
                yield place | annotation | describe_object(self._objects, obj_id)

    def _release(self) -> None:
        self._spool.close()


def encode_mask(counts: list[int], size: tuple[int, int]) -> dict[str, Any]:
    """Run lengths as COCO's compressed RLE: {"size": [H, W], "counts": str}."""
    from pycocotools import mask

    squeezed = mask.frPyObjects({"size": list(size), "counts": counts}, *size)
    return {"size": list(size), "counts": squeezed["counts"].decode("ascii")}


def number_categories(classes: Mapping[int, str]) -> dict[str, int]:
    """Ids from 1 of the classes, by name; "object" is always there."""
    return {name: n for n, name in enumerate(sorted({UNNAMED, *classes.values()}), 1)}


def list_categories(categories: Mapping[str, int]) -> list[dict[str, Any]]:
    """COCO's list of categories."""
    return [{"id": n, "name": name, "supercategory": ""} for name, n in categories.items()]


def describe_source(facts: VideoFacts | None) -> dict[str, Any]:
    """COCO's `info`, with what is known of the video."""
    info: dict[str, Any] = {"description": "made with napari-sam3", "version": "1.0"}
    if facts is not None:
        info["video"] = {"name": facts.name, "sha256": facts.sha256, "frames": facts.frames}
    return info


def write_list(file: IO[str], name: str, items: Any) -> None:
    """Write `, "name": [...]` item by item."""
    file.write(f',\n"{name}": [')
    separator = "\n"
    for item in items:
        file.write(separator)
        json.dump(item, file)
        separator = ",\n"
    file.write("]")


def export_coco(
    path: str | os.PathLike[str],
    labels: Any,
    *,
    facts: VideoFacts | None = None,
    segmentation: Segmentation = "rle",
    objects: ObjectTable | None = None,
) -> None:
    """Write a whole (T, H, W) label array as COCO JSON (see `CocoWriter`).

    Raises
    ------
    VideoError
        If it can't be written.
    ValueError
        If `labels` has another shape or type.
    """
    options: dict[str, Any] = {"segmentation": segmentation, "objects": objects}
    write_all(CocoWriter(path, label_shape(labels), facts=facts, **options), labels)
