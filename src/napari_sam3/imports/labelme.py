"""LabelMe's JSON, a file a picture: outlines and masks as labels, boxes and points as prompts."""

from __future__ import annotations

import base64
import io
import math
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from napari_sam3.errors import VideoError
from napari_sam3.export.sidecar import read_sidecar
from napari_sam3.imports.annotated import (
    AnnotatedLabels,
    number_objects,
    polygon_points,
    whole_number,
)
from napari_sam3.imports.beside_pictures import find_pictures, number_files
from napari_sam3.imports.found_prompts import FoundPrompt, FoundPrompts
from napari_sam3.imports.label_file import check_pixels, explain_read_errors
from napari_sam3.imports.object_facts import read_objects
from napari_sam3.plain_files import open_plain, read_json
from napari_sam3.values import BoolArray

_AREAS = frozenset({"polygon", "circle", "mask"})
_PROMPTS = frozenset({"rectangle", "point"})
_KEYS = ("shapes", "imageHeight", "imageWidth")
_BESIDE_SHAPES = (b'"shape_type"', b'"imagePath"', b'"imageHeight"')
_HEAD = 2**18
_MOST_SHAPES = 1_000_000


class _Shape(NamedTuple):
    frame_index: int
    obj_id: int
    kind: str
    points: Any
    mask: str | None


class _LabelMeFiles:
    """What the files of a series say, with one numbering of frames and objects."""

    def __init__(self, path: Path, files: Sequence[Path], first_number: int | None) -> None:
        self.path = path
        stems = [file.stem for file in files]
        facts = read_sidecar(path) if path.is_dir() else None
        self.numbers = number_files(path, stems, find_pictures(path), first_number, facts)
        read: list[tuple[int, dict[str, Any]]] = []
        sizes: dict[tuple[int, int], Path] = {}
        for frame_index, file in sorted(zip(self.numbers.frames, files, strict=True)):
            with explain_read_errors(file):
                content = _read(file)
                size = tuple(whole_number(content[key], key) for key in _KEYS[1:])
                if min(size) < 1:
                    raise ValueError(f"its picture has {size[0]} x {size[1]} px")
                check_pixels(file, size[0], size[1])
                sizes.setdefault((size[0], size[1]), file)
                read += [(frame_index, _check(shape)) for shape in content["shapes"]]
            if len(read) > _MOST_SHAPES:
                raise VideoError(f"{str(path)!r} has more than {_MOST_SHAPES:,} shapes; part it")
        if len(sizes) > 1:
            (one, a), (other, b) = list(sizes.items())[:2]
            raise VideoError(
                f"{a.name!r} is of a picture of {one} px, {b.name!r} of one of {other}; the frames "
                "of a video are of one size"
            )
        (self.size,) = sizes
        kinds = [shape.get("shape_type") or "polygon" for _, shape in read]
        with explain_read_errors(path):
            ids = number_objects([_group_of(s) for _, s in read], "shapes", "group_id")
            said = [shape for _, shape in read]
            entries = zip(ids.ids, map(_ours, said), map(_label, said), strict=True)
            self.objects, problems = read_objects(entries, ids.raised)
        self.shapes = [
            _Shape(frame_index, obj_id, kind, shape["points"], shape.get("mask"))
            for (frame_index, shape), obj_id, kind in zip(read, ids.ids, kinds, strict=True)
        ]
        doubts = ids.told if len(files) > 1 else ()
        self.told = [*self.numbers.told, *doubts, *problems]

    def tell_others(self, taken: frozenset[str], why: dict[str, str]) -> None:
        """Tell of shapes that are not of some kinds."""
        for kind in sorted({shape.kind for shape in self.shapes} - taken):
            n = sum(shape.kind == kind for shape in self.shapes)
            self.told.append(f"shapes of the kind {kind!r} are left out ({n}){why.get(kind, '')}")


class LabelMeLabels(AnnotatedLabels):
    """The outlines and masks of LabelMe's files; shapes of one `group_id` are one object.

    They are drawn as LabelMe draws them, by Pillow: what an outline touches belongs to it.

    Parameters
    ----------
    path : Path
        The file, or the folder of them.
    files : sequence of Path
        At least one; each of the frame of the picture that lies beside it, or whose number its
        name has.
    first_number : int, optional
        The number that frame 0 has.
    """

    def __init__(
        self, path: Path, files: Sequence[Path], *, first_number: int | None = None
    ) -> None:
        found = _LabelMeFiles(path, files, first_number)
        areas = [shape for shape in found.shapes if shape.kind in _AREAS]
        if found.shapes and not areas:
            kinds = " and ".join(sorted({shape.kind for shape in found.shapes}))
            raise VideoError(
                f"{str(path)!r} has shapes of the kind {kinds} alone, which are no labels; draw "
                "polygons, or give boxes and points as prompts"
            )
        found.tell_others(_AREAS, dict.fromkeys(_PROMPTS, "; they are prompts"))
        self._found = defaultdict(list)
        for shape in areas:
            self._found[shape.frame_index].append((shape.obj_id, None, shape))
        super().__init__(
            path,
            (found.numbers.reach, *found.size),
            greatest=max((shape.obj_id for shape in areas), default=0),
            known=found.numbers.known,
            may_go_on=not found.numbers.length,
            objects=found.objects,
            told=found.told,
        )

    def _decode(self, annotation: _Shape) -> BoolArray:
        size = self.shape[1:]
        if annotation.kind == "mask":
            return _paste_mask(annotation, size)
        from PIL import Image, ImageDraw

        image = Image.new("1", size[::-1])
        draw = ImageDraw.Draw(image)
        if annotation.kind == "circle":
            middle, edge = _pair(annotation.points, size)
            radius = math.dist(middle, edge)
            low, high = ([n + way * radius for n in middle] for way in (-1, 1))
            draw.ellipse([*low, *high], outline=1, fill=1)
        else:
            corners = [tuple(p) for p in polygon_points(annotation.points, size).tolist()]
            draw.polygon(corners, outline=1, fill=1)
        return np.asarray(image, bool)


def read_labelme_prompts(path: Path, files: Sequence[Path]) -> FoundPrompts:
    """The rectangles and points of LabelMe's files; of one `group_id` they are one object's.

    Raises
    ------
    VideoError
        If there are none, or they can't be read.
    """
    found = _LabelMeFiles(path, files, None)
    found.tell_others(_PROMPTS, dict.fromkeys(_AREAS, "; they are labels: give them as a mask"))
    boxes: dict[tuple[int, int], Any] = {}
    points: dict[tuple[int, int], list[Any]] = defaultdict(list)
    with explain_read_errors(path):
        for shape in found.shapes:
            place = shape.frame_index, shape.obj_id
            if shape.kind == "point":
                (one,) = shape.points
                points[place].append(_finite(one))
            elif shape.kind == "rectangle":
                (x0, y0), (x1, y1) = (_finite(one) for one in shape.points)
                if place in boxes:
                    raise ValueError(
                        f"object {place[1]} has two rectangles on frame {place[0]}; it takes one"
                    )
                boxes[place] = (min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1))
    if not boxes and not points:
        raise VideoError(
            f"{str(path)!r} has no rectangles and no points; its outlines are labels: give it as a "
            "mask"
        )
    prompts = [
        FoundPrompt(*place, boxes.get(place), tuple(points.get(place, ())))
        for place in sorted({*boxes, *points})
    ]
    return FoundPrompts(path, prompts, found.objects, found.told)


def is_labelme(content: Any) -> bool:
    """Whether what was read of JSON is LabelMe's."""
    return isinstance(content, dict) and all(key in content for key in _KEYS)


def find_labelme(files: Sequence[Path]) -> list[Path]:
    """Those of some files that are LabelMe's, by what they hold."""
    return [f for f in files if f.suffix.lower() == ".json" and _looks_alike(f)]


def _looks_alike(file: Path) -> bool:
    try:
        with open_plain(file.resolve()) as opened:
            head = opened.read(_HEAD)
    except OSError:
        return False
    return b'"shapes"' in head and any(key in head for key in _BESIDE_SHAPES)


def _read(file: Path) -> dict[str, Any]:
    content = read_json(file.resolve())
    if not is_labelme(content):
        raise ValueError(f"it is no file of LabelMe: it lacks one of {', '.join(_KEYS)}")
    content.pop("imageData", None)  # the picture once more, and most of the file
    return dict(content)


def _check(shape: Any) -> dict[str, Any]:
    if not isinstance(shape, dict) or not isinstance(shape.get("points"), list):
        raise ValueError("one of its shapes has no list of points")
    return shape


def _group_of(shape: dict[str, Any]) -> int | None:
    group = shape.get("group_id")
    return None if group is None else whole_number(group, "group_id")


def _ours(shape: dict[str, Any]) -> dict[str, Any]:
    """What files that were written here say beyond the format."""
    numbers = {name: shape.get(name) for name in ("mother", "born_at")}
    said = {name: n for name, n in numbers.items() if type(n) is int}
    return {**said, "name": shape["name"]} if isinstance(shape.get("name"), str) else said


def _label(shape: dict[str, Any]) -> str | None:
    label = shape.get("label")
    return str(label) if label else None


def _finite(point: Any) -> tuple[float, float]:
    x, y = (float(n) for n in point)
    if not (math.isfinite(x) and math.isfinite(y)):
        raise ValueError(f"a point is {point!r}; it must be two finite numbers")
    return x, y


def _pair(points: Any, size: tuple[int, int]) -> tuple[tuple[float, float], tuple[float, float]]:
    first, second = (_finite(point) for point in points)
    if max(map(abs, (*first, *second))) > 2 * max(size):
        raise ValueError("a circle lies far outside its image")
    return first, second


def _paste_mask(shape: _Shape, size: tuple[int, int]) -> BoolArray:
    """A picture of the box between two corners, both of which belong to it."""
    from PIL import Image

    (x0, y0), (x1, y1) = (tuple(int(n) for n in _finite(point)) for point in shape.points)
    whole = np.zeros(size, bool)
    place = whole[max(y0, 0) : y1 + 1, max(x0, 0) : x1 + 1]
    if min(x0, y0) < 0 or place.shape != (y1 - y0 + 1, x1 - x0 + 1):
        raise ValueError(f"a mask from ({x0}, {y0}) to ({x1}, {y1}) leaves its frame")
    packed = io.BytesIO(base64.b64decode(shape.mask or ""))
    try:
        with Image.open(packed, formats=("PNG",)) as image:
            if image.size != place.shape[::-1]:
                raise ValueError(f"a mask has {image.size} px (width, height), its place others")
            place[:] = np.asarray(image.convert("L")) > 0
    except Image.DecompressionBombError as exc:
        raise ValueError(f"a mask says that it has too many pixels ({exc})") from exc
    return whole
