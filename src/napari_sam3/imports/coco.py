"""Labels in COCO and YouTube-VIS JSON."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sam3.errors import VideoError
from napari_sam3.imports.label_file import LabelFile, draw_masks, explain_read_errors
from napari_sam3.imports.object_facts import read_objects
from napari_sam3.labels.object_notes import ObjectNote
from napari_sam3.session.run_lengths import decode_runs
from napari_sam3.values import BoolArray, ObjectMask


class AnnotatedLabels(LabelFile):
    """Labels that are annotations of frames, in `_found`: (id, score if any, segmentation)."""

    _found: dict[int, list[tuple[int, float | None, Any]]]

    def _read(self, frame_index: int) -> NDArray[Any]:
        masks = []
        for obj_id, score, segmentation in self._found.get(frame_index, []):
            decoded = decode_mask(segmentation, self.shape[1:])
            mask = ObjectMask.from_mask(decoded, 1.0 if score is None else score)
            if mask is not None:
                masks.append((obj_id, mask))
        return draw_masks(masks, self.shape[1:])

    def notes(self, frame_index: int) -> dict[int, ObjectNote]:
        """Scores of a frame's objects."""
        found = self._found.get(frame_index, [])
        return {obj_id: _note(score) for obj_id, score, _ in found if score is not None}


class CocoLabels(AnnotatedLabels):
    """COCO annotations: every image a frame.

    Frames are the images' `frame_index`, or their order by id where they have none. An object's id
    is the annotation's `track_id`; where no annotation has one, each is an object of its own.
    Annotations without a mask are left out.
    """

    def __init__(self, path: Path, content: dict[str, Any]) -> None:
        with explain_read_errors(path):
            images = sorted(content["images"], key=lambda image: image["id"])
            if not images:
                raise ValueError("there are no images")
            sizes = {(int(i["height"]), int(i["width"])) for i in images}
            if len(sizes) > 1:
                raise ValueError(f"its images are of {len(sizes)} sizes, a video's are of one")
            frames = {
                image["id"]: int(image.get("frame_index", n)) for n, image in enumerate(images)
            }
            kept = [a for a in content["annotations"] if a.get("segmentation")]
            is_tracked = any("track_id" in a for a in kept)
            key = "track_id" if is_tracked else "id"
            names = {c["id"]: str(c["name"]) for c in content.get("categories", [])}
            has_scores = any("score" in a for a in kept)
            self._found = defaultdict(list)
            entries = [(_check_id(a[key]), a, names.get(a.get("category_id"))) for a in kept]
            for obj_id, a, _ in entries:
                score = float(a.get("score", 1.0)) if has_scores else None
                self._found[frames[a["image_id"]]].append((obj_id, score, a["segmentation"]))
            objects, problems = read_objects(entries)
        (size,) = sizes
        greatest = max((obj_id for obj_id, *_ in entries), default=0)
        shape = (max(frames.values()) + 1, *size)
        super().__init__(path, shape, greatest=greatest, objects=objects, problems=problems)


class YoutubeVisLabels(AnnotatedLabels):
    """YouTube-VIS annotations of one video: every annotation an object, its id the label."""

    def __init__(self, path: Path, content: dict[str, Any]) -> None:
        with explain_read_errors(path):
            videos = content["videos"]
            if len(videos) != 1:
                raise ValueError(f"it is of {len(videos)} videos; give a file of one")
            (video,) = videos
            shape = int(video["length"]), int(video["height"]), int(video["width"])
            names = {c["id"]: str(c["name"]) for c in content.get("categories", [])}
            annotations = [a for a in content["annotations"] if a["video_id"] == video["id"]]
            entries = [
                (_check_id(a["id"]), a, names.get(a.get("category_id"))) for a in annotations
            ]
            self._found = defaultdict(list)
            for obj_id, a, _ in entries:
                score = float(a["score"]) if "score" in a else None
                for frame_index, segmentation in enumerate(a["segmentations"]):
                    if segmentation:
                        self._found[frame_index].append((obj_id, score, segmentation))
            objects, problems = read_objects(entries)
        greatest = max((obj_id for obj_id, *_ in entries), default=0)
        super().__init__(path, shape, greatest=greatest, objects=objects, problems=problems)


def open_json(path: Path) -> LabelFile:
    """Open a JSON file of COCO or YouTube-VIS; it is read whole.

    Raises
    ------
    VideoError
        If it is something else.
    """
    with explain_read_errors(path), path.open(encoding="utf-8") as file:
        content = json.load(file)
    if isinstance(content, dict) and "annotations" in content:
        if "videos" in content:
            return YoutubeVisLabels(path, content)
        if "images" in content:
            return CocoLabels(path, content)
    raise VideoError(f"{str(path)!r} is neither COCO nor YouTube-VIS: it has no images or videos")


def _note(score: float) -> ObjectNote:
    # what others call a score may be on a scale of their own
    return ObjectNote(score if 0 <= score <= 1 else None, "imported")


def _check_id(value: Any) -> int:
    obj_id = int(value)
    if not 0 < obj_id <= np.iinfo(np.uint32).max:
        raise ValueError(f"{value!r} can't be the id of an object; ids count from 1")
    return obj_id


def decode_mask(segmentation: Any, size: tuple[int, int]) -> BoolArray:
    """Polygons or run lengths, squeezed or not, as an (H, W) mask.

    Raises
    ------
    ValueError
        If it is none of these, or of another size.
    """
    if isinstance(segmentation, list):
        return _fill_polygons(segmentation, size)
    if tuple(segmentation["size"]) != size:
        raise ValueError(f"a mask is of size {segmentation['size']}, its image of {size}")
    return decode_runs(segmentation["counts"], size)


def _fill_polygons(polygons: list[list[float]], size: tuple[int, int]) -> BoolArray:
    from pycocotools import mask

    limit = 2 * max(size)
    for polygon in polygons:
        numbers = np.asarray(polygon, np.float64)
        # the library neither checks them nor its memory
        if numbers.ndim != 1 or numbers.size < 6 or numbers.size % 2:
            raise ValueError("a polygon is no list of at least three points x, y")
        if not (np.abs(numbers) <= limit).all():
            raise ValueError("a polygon lies far outside its image")
    return np.asarray(mask.decode(mask.merge(mask.frPyObjects(polygons, *size))), bool)
