"""Tracks of CVAT ("CVAT for video 1.1"): polygons and masks as labels, boxes as prompts."""

from __future__ import annotations

import math
import re
from bisect import bisect_right
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_sam3.errors import VideoError
from napari_sam3.imports.annotated import (
    AnnotatedLabels,
    Annotation,
    check_ids,
    fill_polygons,
    whole_number,
)
from napari_sam3.imports.found_prompts import MOST_FOUND, FoundPrompt, FoundPrompts
from napari_sam3.imports.frame_numbers import MOST_FRAMES
from napari_sam3.imports.label_file import check_pixels, explain_read_errors
from napari_sam3.imports.object_facts import read_objects
from napari_sam3.imports.plain_xml import read_xml
from napari_sam3.values import BoolArray

_AREAS = ("polygon", "mask")
_OTHERS = ("polyline", "points", "cuboid", "ellipse", "skeleton", "tag")
_OURS = ("name", "mother", "born_at")  # attributes of files that were written here
_PLACE = ("left", "top", "width", "height")  # of a mask


class CvatShape(NamedTuple):
    """A shape of a track on a frame.

    Attributes
    ----------
    frame_index : int
        0-based.
    kind : str
        "box", "polygon" or "mask".
    is_outside : bool
        Whether the object is away from here on.
    is_key : bool
        Whether a person drew it; else CVAT reckoned it from the keyframes round it.
    content : object
        Numbers of a box or polygon; the runs of a mask with its place.
    """

    frame_index: int
    kind: str
    is_outside: bool
    is_key: bool
    content: Any


class _Between(NamedTuple):
    """A shape on a frame that the file does not have: part of the way from one to another."""

    before: CvatShape
    behind: CvatShape | None
    part: float


class CvatTrack:
    """The shapes of an object, of one kind, by frame."""

    def __init__(self, track_id: int, label: str) -> None:
        self.track_id, self.label = track_id, label
        self._shapes: dict[int, CvatShape] = {}
        self._frames: list[int] = []

    def add(self, shape: CvatShape) -> None:
        """Add a shape; of two on one frame the later one counts."""
        self._shapes[shape.frame_index] = shape

    def finish(self) -> None:
        """Have the frames in their order."""
        self._frames = sorted(self._shapes)

    @property
    def shapes(self) -> list[CvatShape]:
        """By frame."""
        return [self._shapes[n] for n in self._frames]

    @property
    def has_gaps(self) -> bool:
        """Whether it goes on from a shape to another over frames that are not in the file."""
        return any(
            not a.is_outside and b.frame_index > a.frame_index + 1
            for a, b in zip(self.shapes, self.shapes[1:], strict=False)
        )

    def on(self, frame_index: int) -> _Between | None:
        """What is there on a frame: CVAT has a shape hold until the next one, or to the end."""
        place = bisect_right(self._frames, frame_index)
        if not place:
            return None
        before = self._shapes[self._frames[place - 1]]
        if before.is_outside:
            return None
        if place == len(self._frames) or before.frame_index == frame_index:
            return _Between(before, None, 0.0)
        behind = self._shapes[self._frames[place]]
        gap = behind.frame_index - before.frame_index
        return _Between(before, behind, (frame_index - before.frame_index) / gap)


class CvatFile:
    """What a file of CVAT tells.

    Parameters
    ----------
    path : Path
        The XML.

    Attributes
    ----------
    size : (height, width) or None
        Of the video, where it tells.
    frames : range
        Those that were annotated, 0-based.
    areas, boxes : list of CvatTrack
        Tracks of polygons and masks, and those of boxes.
    told : list of str
        What is left out.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._names: list[str] = []
        self._said: dict[str, str] = {}
        self._track: tuple[int, str] | None = None
        self._parts: dict[tuple[int, bool], CvatTrack] = {}
        self._left_out: Counter[str] = Counter()
        self._attributes: dict[int, dict[str, str]] = {}
        self._attribute = ""
        with explain_read_errors(path):
            read_xml(path, self._start, self._end)
            self._finish()

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._names.append(name)
        if len(self._names) == 1 and name != "annotations":
            raise ValueError(f"its first element is {name!r}, not CVAT's 'annotations'")
        if len(self._names) == 2 and name == "image":
            raise VideoError(
                f"{str(self.path)!r} is of pictures without tracks (CVAT for images); export the "
                'task as "CVAT for video 1.1"'
            )
        if len(self._names) == 2 and name == "track":
            self._track = (
                whole_number(attributes["id"], "track's id"),
                attributes.get("label", ""),
            )
        elif self._track is not None and len(self._names) == 3:
            self._add(name, attributes)
        elif self._track is not None and name == "attribute":
            self._attribute = attributes.get("name", "")

    def _end(self, name: str, words: str) -> None:
        if "meta" in self._names[:2]:
            self._said.setdefault("/".join(self._names[-2:]), words.strip())
        if self._track is not None and name == "attribute" and self._attribute in _OURS:
            said = self._attributes.setdefault(self._track[0], {})
            said.setdefault(self._attribute, words.strip())
        self._names.pop()
        if len(self._names) == 1:
            self._track = None

    def _add(self, kind: str, said: dict[str, str]) -> None:
        if kind not in ("box", *_AREAS):
            if kind in _OTHERS:
                self._left_out[kind] += 1
            return
        assert self._track is not None
        frame_index = whole_number(said["frame"], "frame")
        if not 0 <= frame_index < MOST_FRAMES:
            raise ValueError(f"a frame is {frame_index}; that is no number of a frame")
        content: Any = {"box": _read_box, "polygon": _read_polygon, "mask": _read_mask}[kind](said)
        shape = CvatShape(
            frame_index, kind, said.get("outside") == "1", said.get("keyframe", "1") == "1", content
        )
        key = (self._track[0], kind == "box")
        self._parts.setdefault(key, CvatTrack(*self._track)).add(shape)

    def _finish(self) -> None:
        for track in self._parts.values():
            track.finish()
        self.areas = [t for (_, is_box), t in self._parts.items() if not is_box]
        self.boxes = [t for (_, is_box), t in self._parts.items() if is_box]
        self.told = [
            f"shapes of the kind {k!r} are left out ({n})"
            for k, n in sorted(self._left_out.items())
        ]
        self.size = self._read_size()
        self.frames = self._read_frames()

    def _read_size(self) -> tuple[int, int] | None:
        said = [self._said.get(f"original_size/{one}") for one in ("height", "width")]
        if None in said:
            return None
        height, width = (whole_number(one, "size") for one in said)
        if height < 1 or width < 1:
            raise ValueError(f"it says that the video has {width} x {height} px")
        check_pixels(self.path, height, width)
        return height, width

    def _read_frames(self) -> range:
        last = max((t.shapes[-1].frame_index for t in self._parts.values()), default=0)
        first = min((t.shapes[0].frame_index for t in self._parts.values()), default=0)
        said = [
            next((v for k, v in self._said.items() if k.endswith(f"/{one}_frame")), "")
            for one in ("start", "stop")
        ]
        if not all(said):
            length = next((v for k, v in self._said.items() if k in ("task/size", "job/size")), "")
            return range(max(last + 1, min(int(length or 0), MOST_FRAMES)))
        begin, stop = (whole_number(one, "frame") for one in said)
        filters = next((v for k, v in self._said.items() if k.endswith("/frame_filter")), "")
        step = re.search(r"step=([0-9]+)", filters)
        known = range(begin, stop + 1, int(step[1]) if step else 1)
        if not 0 <= begin <= stop < MOST_FRAMES:
            raise ValueError(f"it says that its frames go from {begin} to {stop}")
        if first < begin or last > stop:
            self.told.append(
                f"it says that it is of frames {begin} to {stop}, but has shapes on {first} to "
                f"{last}; all frames count"
            )
            return range(max(last, stop) + 1)
        return known

    def _facts_of(self, track_id: int) -> dict[str, Any]:
        """What attributes tell of an object; others may have some of these names for all else."""
        said: dict[str, Any] = dict(self._attributes.get(track_id, {}))
        family = [said.pop(name, "") for name in _OURS[1:]]
        if all(one.isdecimal() and len(one) < 11 for one in family):
            said |= {"mother": int(family[0]), "born_at": int(family[1])}
        return said

    def ids_of(self, tracks: list[CvatTrack]) -> tuple[list[int], list[str], Any]:
        """Ids, what is told of them, and what is known of the objects."""
        every = check_ids([t.track_id for t in self._parts.values()])
        ids = [t.track_id + every.raised for t in tracks]
        said = [self._facts_of(t.track_id) for t in tracks]
        labels = (t.label or None for t in tracks)
        objects, problems = read_objects(zip(ids, said, labels, strict=True), every.raised)
        return ids, [*every.told, *problems], objects


class CvatLabels(AnnotatedLabels):
    """The polygons and masks of a file; a track is an object.

    What the file does not have between two shapes of a track is there all the same, as CVAT has
    it: polygons of as many points go over into the next one, all else stays as it was. Polygons
    are drawn by COCO's rule, as CVAT's own export of masks draws them.

    Parameters
    ----------
    path : Path
        The XML.
    size : (height, width), optional
        Of the video, where the file does not tell.
    """

    def __init__(self, path: Path, *, size: tuple[int, int] | None = None) -> None:
        file = CvatFile(path)
        if not file.areas:
            what = "boxes alone" if file.boxes else "no polygons and no masks"
            remedy = "give it as prompts" if file.boxes else "draw some, and export it again"
            raise VideoError(f"{str(path)!r} has {what}, which are no labels; {remedy}")
        shown = file.size or size
        if shown is None:
            raise VideoError(
                f"{str(path)!r} does not tell the size of the video (original_size); give it"
            )
        told = [*file.told]
        if file.boxes:
            told.append(f"boxes are prompts, and left out of the labels ({len(file.boxes)})")
        if any(track.has_gaps for track in file.areas):
            told.append(
                "it leaves frames out between keyframes; outlines there are reckoned, or stay as "
                "they were"
            )
        with explain_read_errors(path):
            ids, more, objects = file.ids_of(file.areas)
        self._tracks = list(zip(ids, file.areas, strict=True))
        self._frames = file.frames
        super().__init__(
            path,
            (file.frames[-1] + 1, *shown),
            greatest=max(ids),
            known=file.frames,
            may_go_on=True,
            objects=objects,
            told=[*told, *more],
        )

    def _on(self, frame_index: int) -> list[Annotation]:
        if frame_index not in self._frames:
            return []
        found = ((obj_id, track.on(frame_index)) for obj_id, track in self._tracks)
        return [(obj_id, None, shape) for obj_id, shape in found if shape is not None]

    def _decode(self, annotation: _Between) -> BoolArray:
        before, behind, part = annotation
        content = before.content
        if before.kind == "mask":
            return _draw_mask(content, self.shape[1:])
        if behind is not None and behind.kind == "polygon":
            other = behind.content
            if other.shape == content.shape:
                content = content + part * (other - content)
        return fill_polygons([content], self.shape[1:])


def read_cvat_boxes(path: Path) -> FoundPrompts:
    """The boxes of a file: those of keyframes are said, those between reckoned.

    Raises
    ------
    VideoError
        If there is none, or it can't be read.
    """
    file = CvatFile(path)
    if not file.boxes:
        raise VideoError(
            f"{str(path)!r} has no boxes; its polygons and masks are labels: give it as a mask"
        )
    told = [*file.told]
    if file.areas:
        told.append(f"polygons and masks are labels, and no prompts ({len(file.areas)})")
    with explain_read_errors(path):
        ids, more, objects = file.ids_of(file.boxes)
        if len(file.boxes) * len(file.frames) > MOST_FOUND:
            # only those that are there: what is reckoned would fill the memory
            found = [
                _said(i, s)
                for i, t in zip(ids, file.boxes, strict=True)
                for s in t.shapes
                if not s.is_outside
            ]
        else:
            found = [
                one
                for n in file.frames
                for i, t in zip(ids, file.boxes, strict=True)
                if (one := _box_on(i, t, n)) is not None
            ]
    return FoundPrompts(path, sorted(found, key=lambda f: f[:2]), objects, [*told, *more])


def _said(obj_id: int, shape: CvatShape) -> FoundPrompt:
    box = tuple(shape.content.tolist())
    return FoundPrompt(shape.frame_index, obj_id, box, is_said=shape.is_key)


def _box_on(obj_id: int, track: CvatTrack, frame_index: int) -> FoundPrompt | None:
    found = track.on(frame_index)
    if found is None:
        return None
    before, behind, part = found
    if before.frame_index == frame_index:
        return _said(obj_id, before)
    box = before.content
    if behind is not None:
        box = box + part * (behind.content - box)
    return FoundPrompt(frame_index, obj_id, tuple(box.tolist()), is_said=False)


def _read_box(said: dict[str, str]) -> NDArray[np.float64]:
    box = np.array([float(said[one]) for one in ("xtl", "ytl", "xbr", "ybr")])
    angle = math.radians(float(said.get("rotation", 0)))
    if not np.isfinite([*box, angle]).all():
        raise ValueError(f"a box is {box.tolist()}; its corners must be finite numbers")
    if angle:  # a prompt's box is upright: the one round the turned one
        middle, half = (box[:2] + box[2:]) / 2, (box[2:] - box[:2]) / 2
        cos, sin = abs(math.cos(angle)), abs(math.sin(angle))
        reach = np.array([half[0] * cos + half[1] * sin, half[0] * sin + half[1] * cos])
        box = np.concatenate([middle - reach, middle + reach])
    return box


def _read_polygon(said: dict[str, str]) -> NDArray[np.float64]:
    pairs = [pair.split(",") for pair in said["points"].split(";")]
    points = np.array(pairs, np.float64)
    if points.ndim != 2 or points.shape[1] != 2 or not np.isfinite(points).all():
        raise ValueError(f"the points of a polygon are {said['points']!r:.60}")
    return points


def _read_mask(said: dict[str, str]) -> tuple[NDArray[np.int64], tuple[int, int, int, int]]:
    place = tuple(whole_number(said[one], one) for one in _PLACE)
    runs = np.array([one for one in said["rle"].split(",") if one.strip()], np.int64)
    left, top, width, height = place
    if min(place) < 0 or not width * height or max(place) > MOST_FRAMES:
        raise ValueError(f"a mask has the place {place} (left, top, width, height)")
    if (runs < 0).any() or (runs > width * height).any() or runs.sum() != width * height:
        raise ValueError(f"the runs of a mask do not fill its {width} x {height} px")
    return runs, (left, top, width, height)


def _draw_mask(content: Any, size: tuple[int, int]) -> BoolArray:
    """Runs go along the rows of the mask's own box, background first."""
    runs, (left, top, width, height) = content
    if left + width > size[1] or top + height > size[0]:
        raise ValueError(f"a mask of {width} x {height} px at ({left}, {top}) leaves its frame")
    whole = np.zeros(size, bool)
    values = np.arange(len(runs)) % 2 == 1
    whole[top : top + height, left : left + width] = np.repeat(values, runs).reshape(height, width)
    return whole
