"""What COCO's family of JSON has in common: masks, categories, and how the file is laid out."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from napari_sam3.labels.objects import ObjectTable
from napari_sam3.video.video_facts import VideoFacts
from napari_sam3.whole_files import written_whole

UNNAMED = "object"
"""Category of objects without a class."""


def write_annotations(
    path: Path,
    facts: VideoFacts,
    categories: Mapping[str, int],
    lists: Mapping[str, Iterable[Any]],
) -> None:
    """Write COCO's JSON, item by item: what is known of the video, `lists`, and the categories."""
    info: dict[str, Any] = {"description": "made with napari-sam3", "version": "1.0"}
    info["video"] = {"name": facts.name, "sha256": facts.sha256, "frames": facts.frames}
    named = [{"id": n, "name": name, "supercategory": ""} for name, n in categories.items()]
    with written_whole(path) as part, part.open("w", encoding="utf-8") as file:
        file.write('{"info": ')
        json.dump(info, file)
        for name, items in {"licenses": [], **lists, "categories": named}.items():
            file.write(f',\n"{name}": [')
            separator = "\n"
            for item in items:
                file.write(separator)
                json.dump(item, file)
                separator = ",\n"
            file.write("]")
        file.write("}\n")


def number_categories(classes: Mapping[int, str]) -> dict[str, int]:
    """Ids from 1 of the classes, by name; "object" is always there."""
    return {name: n for n, name in enumerate(sorted({UNNAMED, *classes.values()}), 1)}


def encode_mask(counts: list[int], size: tuple[int, int]) -> dict[str, Any]:
    """Run lengths as COCO's compressed RLE: {"size": [H, W], "counts": str}."""
    from pycocotools import mask

    squeezed = mask.frPyObjects({"size": list(size), "counts": counts}, *size)
    return {"size": list(size), "counts": squeezed["counts"].decode("ascii")}


def describe_object(objects: ObjectTable, obj_id: int) -> dict[str, Any]:
    """What formats that can be added to say of an object beside its class.

    Returns
    -------
    dict
        name; of a daughter, mother and born_at (0-based frame). What is not known is left out.
    """
    info = objects[obj_id]
    said: dict[str, Any] = {"name": info.name} if info.name else {}
    division = None if info.mother is None else objects.division_of(info.mother)
    if division is not None:
        said |= {"mother": division.mother, "born_at": division.frame_index}
    return said
