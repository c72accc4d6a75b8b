"""Labels in COCO and YouTube-VIS JSON."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from napari_sam3.errors import VideoError
from napari_sam3.export.sidecar import PROCESSED, read_sidecar
from napari_sam3.imports.annotated import (
    AnnotatedLabels,
    ObjectIds,
    check_ids,
    fill_polygons,
    number_objects,
    whole_number,
)
from napari_sam3.imports.frame_numbers import MOST_FRAMES, FrameNumbers, number_frames
from napari_sam3.imports.label_file import LabelFile, explain_read_errors
from napari_sam3.imports.labelme import LabelMeLabels, is_labelme
from napari_sam3.imports.object_facts import read_objects
from napari_sam3.labels.frame_ranges import read_frames
from napari_sam3.labels.objects import ObjectTable
from napari_sam3.session.run_lengths import decode_runs
from napari_sam3.values import BoolArray
from napari_sam3.video.video_facts import VideoFacts

MOST_JSON = 2**30
"""Bytes of a file, which is read whole; some ten times as much memory is taken for it."""


class _RunLabels(AnnotatedLabels):
    """Annotations whose masks are polygons or run lengths, as COCO writes them."""

    def _decode(self, annotation: Any) -> BoolArray:
        return decode_mask(annotation, self.shape[1:])


class CocoLabels(_RunLabels):
    """COCO annotations: every image a frame; frames without one were never processed.

    Frames are the images' `frame_index`, else the numbers of `frame_id` or in the files' names (see
    `number_frames`), else their order by id. An object's id is the annotation's `track_id` or
    `instance_id`, of its own or among its `attributes`; where no annotation has one, each is an
    object of its own. Ids that count from 0 are raised by one. Annotations without a mask are left
    out.
    """

    def __init__(
        self, path: Path, content: dict[str, Any], *, first_number: int | None = None
    ) -> None:
        with explain_read_errors(path):
            images = list(content["images"])
            if not images:
                raise ValueError("there are no images")
            sizes = {(int(i["height"]), int(i["width"])) for i in images}
            if len(sizes) > 1:
                raise ValueError(f"its images are of {len(sizes)} sizes, a video's are of one")
            numbers = _number_images(images, read_sidecar(path), first_number)
            frames = {i["id"]: n for i, n in zip(images, numbers.frames, strict=True)}
            if len(set(frames.values())) < len(images):
                raise ValueError("two of its images have one id, or are of one frame")
            kept = [a for a in content["annotations"] if a.get("segmentation")]
            ids = _objects_of(kept, many_frames=len(images) > 1)
            has_scores = any("score" in a for a in kept)
            self._found = defaultdict(list)
            for obj_id, a in zip(ids.ids, kept, strict=True):
                score = float(a.get("score", 1.0)) if has_scores else None
                self._found[frames[a["image_id"]]].append((obj_id, score, a["segmentation"]))
            objects, problems = _read_facts(content, kept, ids, numbers)
            said = _length_said(content)
        told = [*filter(None, [numbers.doubt]), *ids.told, *problems]
        if left_out := len(content["annotations"]) - len(kept):
            told.append(f"annotations without a mask are left out ({left_out})")
        (size,) = sizes
        super().__init__(
            path,
            (max(max(frames.values()) + 1, said), *size),
            greatest=max(ids.ids, default=0),
            known=sorted(frames.values()),
            may_go_on=not said,
            objects=objects,
            told=told,
        )


class YoutubeVisLabels(_RunLabels):
    """YouTube-VIS annotations of one video: every annotation an object, its id the label.

    Frames are the numbers in the files' names (see `number_frames`), or their places in the list
    where there are no names, where it was written here, or where the facts of the video lie beside
    it. Ids that count from 0 are raised by one.
    """

    def __init__(
        self, path: Path, content: dict[str, Any], *, first_number: int | None = None
    ) -> None:
        with explain_read_errors(path):
            videos = content["videos"]
            if len(videos) != 1:
                raise ValueError(f"it is of {len(videos)} videos; give a file of one")
            (video,) = videos
            length = whole_number(video["length"], "length")
            if not 0 < length <= MOST_FRAMES:
                raise ValueError(f"its length is {length}; that is no number of frames")
            numbers, known = _number_listed(video, length, read_sidecar(path), first_number)
            annotations = [a for a in content["annotations"] if a["video_id"] == video["id"]]
            ids = check_ids([whole_number(a["id"], "id") for a in annotations])
            self._found = defaultdict(list)
            for obj_id, a in zip(ids.ids, annotations, strict=True):
                if len(a["segmentations"]) != length:
                    raise ValueError(
                        f"object {a['id']} has {len(a['segmentations'])} masks, the video {length} "
                        "frames"
                    )
                score = float(a["score"]) if "score" in a else None
                for frame_index, segmentation in zip(
                    numbers.frames, a["segmentations"], strict=True
                ):
                    if segmentation:
                        self._found[frame_index].append((obj_id, score, segmentation))
            objects, problems = _read_facts(content, annotations, ids, numbers)
            size = int(video["height"]), int(video["width"])
        super().__init__(
            path,
            (max(numbers.frames) + 1, *size),
            greatest=max(ids.ids, default=0),
            known=known,
            may_go_on=PROCESSED not in video,
            objects=objects,
            told=[*filter(None, [numbers.doubt]), *ids.told, *problems],
        )


def open_json(path: Path, *, first_number: int | None = None) -> LabelFile:
    """Open a JSON file of COCO, YouTube-VIS or LabelMe; it is read whole.

    Raises
    ------
    VideoError
        If it is something else.
    """
    size = path.stat().st_size
    if size > MOST_JSON:
        raise VideoError(
            f"{str(path)!r} takes {size / 1e6:,.0f} MB, and no more than {MOST_JSON / 1e6:,.0f} MB "
            "of JSON are read; give a file of fewer frames"
        )
    with explain_read_errors(path), path.open(encoding="utf-8-sig") as file:
        content = json.load(file)
    if isinstance(content, dict) and "annotations" in content:
        if "images" in content:  # COCO of videos lists those as well
            return CocoLabels(path, content, first_number=first_number)
        if "videos" in content:
            return YoutubeVisLabels(path, content, first_number=first_number)
    if is_labelme(content):
        return LabelMeLabels(path, [path])
    raise VideoError(
        f"{str(path)!r} is neither COCO nor YouTube-VIS, for it has no annotations of images or "
        "videos; nor LabelMe, for it lacks shapes or imageHeight"
    )


def _number_images(
    images: Sequence[Mapping[str, Any]], facts: VideoFacts | None, first: int | None
) -> FrameNumbers:
    """Which frame each image is of."""
    if len({image.get("video_id") for image in images}) > 1:
        raise ValueError("its images are of several videos; give a file of one")
    for key, is_sure in (("frame_index", True), ("frame_id", False)):
        has = [key in image for image in images]
        if all(has):
            said = [whole_number(image[key], key) for image in images]
            if min(said) < 0:
                raise ValueError(f"a {key} is {min(said)}; frames count from 0")
            if max(said) >= MOST_FRAMES:
                raise ValueError(f"a {key} is {max(said)}; that is no number of a frame")
            return number_frames([str(n) for n in said], first=first, is_sure=is_sure)
        if any(has):
            raise ValueError(f"only some of its images have a {key}; give it to all or none")
    names = [image.get("file_name") for image in images]
    if all(isinstance(name, str) and name for name in names):
        return _number_names([str(name) for name in names], facts, first)
    order = {id_: n for n, id_ in enumerate(sorted(image["id"] for image in images))}
    doubt = (
        "its images do not tell their frames; they are taken as frames from 0 on, in order of id"
    )
    frames = tuple(order[image["id"]] for image in images)
    return FrameNumbers(frames, 0, doubt if len(images) > 1 else "")


def _number_names(
    names: Sequence[str], facts: VideoFacts | None, first: int | None
) -> FrameNumbers:
    """Which frame each picture is of by its name, or by those of the video's own pictures."""
    if facts is not None and facts.file_names is not None:
        places = {name: n for n, name in enumerate(facts.file_names)}
        if places.keys() >= set(names):
            return FrameNumbers(tuple(places[name] for name in names))
    is_sure = facts is not None and facts.file_names is None
    return number_frames(names, first=first, is_sure=is_sure, is_series=False)


def _number_listed(
    video: Mapping[str, Any], length: int, facts: VideoFacts | None, first: int | None
) -> tuple[FrameNumbers, list[int]]:
    """Which frame each file of a video is of, and which frames were processed."""
    every = FrameNumbers(tuple(range(length)))
    if PROCESSED in video:
        return every, read_frames(video[PROCESSED], length)
    names = video.get("file_names")
    if not names or facts is not None:
        return every, list(every.frames)
    if len(names) != length:
        raise ValueError(f"it names {len(names)} files, but says that it has {length} frames")
    numbers = number_frames([str(name) for name in names], first=first, is_series=False)
    return numbers, sorted(numbers.frames)


def _read_facts(
    content: Mapping[str, Any],
    annotations: Sequence[Mapping[str, Any]],
    ids: ObjectIds,
    numbers: FrameNumbers,
) -> tuple[ObjectTable, list[str]]:
    """What is known of the objects of annotations, and what is wrong with that."""
    names = {c["id"]: str(c["name"]) for c in content.get("categories", [])}
    classes = (names.get(a.get("category_id")) for a in annotations)
    entries = zip(ids.ids, annotations, classes, strict=True)
    return read_objects(entries, ids.raised, numbers.first)


def _length_said(content: Mapping[str, Any]) -> int:
    """Frames of the video, where files of ours tell of it; 0 where they don't."""
    info = content.get("info")
    video = info.get("video") if isinstance(info, dict) else None
    length = video.get("frames") if isinstance(video, dict) else None
    return length if isinstance(length, int) and 0 < length <= MOST_FRAMES else 0


def _objects_of(annotations: Sequence[Mapping[str, Any]], *, many_frames: bool) -> ObjectIds:
    """Which object each annotation is of."""
    tracks = [_track_of(a) for a in annotations]
    known = [track for track in tracks if track is not None]
    if not known:
        ids = [whole_number(a["id"], "id") for a in annotations]
        if len(set(ids)) < len(ids):
            raise ValueError("two annotations have one id, and none has a track_id")
        found = check_ids(ids)
        if not many_frames or not ids:
            return found
        doubt = "no annotation has a track_id; each is an object of its own"
        return found._replace(told=(doubt, *found.told))
    return number_objects(tracks, "annotations", "track_id")


def _track_of(annotation: Mapping[str, Any]) -> int | None:
    more = annotation.get("attributes")
    for said in (annotation, more if isinstance(more, dict) else {}):
        for key in ("track_id", "instance_id"):
            if said.get(key) is not None:
                return whole_number(said[key], key)
    return None


def decode_mask(segmentation: Any, size: tuple[int, int]) -> BoolArray:
    """Polygons or run lengths, squeezed or not, as an (H, W) mask.

    Raises
    ------
    ValueError
        If it is none of these, or of another size.
    """
    if isinstance(segmentation, list):
        return fill_polygons(segmentation, size)
    if tuple(segmentation["size"]) != size:
        raise ValueError(f"a mask is of size {segmentation['size']}, its image of {size}")
    return decode_runs(segmentation["counts"], size)
