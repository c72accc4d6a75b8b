"""Prompts as they are kept: what a person said, and what a model answered; their JSON.

docs/projects.md tells the form.
"""

from __future__ import annotations

import math
import os
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path, PureWindowsPath
from typing import Any, overload

import numpy as np

from napari_sam3.errors import PromptFileError
from napari_sam3.session.run_lengths import decode_runs, run_lengths
from napari_sam3.values import (
    MAX_OBJECT_ID,
    MOST_PIXELS,
    BoolArray,
    FloatArray,
    Keyframe,
    ObjectMask,
    ObjectPrompt,
    no_labels,
    no_points,
)
from napari_sam3.video.folder_contents import files_at, is_pattern

FORMAT, VERSION = "napari-sam3 prompts", 1
_KEYS = (
    "video, frame, object, points, point_labels, box, mask, text, boxes, box_labels, exemplar, "
    "answer, prior"
)
_MOST_MASKED = 2**31  # pixels of all masks of a file, each a byte of memory


def _no_boxes() -> FloatArray:
    return np.zeros((0, 4))


@dataclass(frozen=True, eq=False)
class SavedPrompt:
    """One prompt: all that was said of an object on a frame, or a concept to look for.

    Attributes
    ----------
    frame_index : int
        0-based.
    obj_id : int or None
        The object meant; None: a new one, or of a concept whatever is found.
    points_xy, point_labels, box_xyxy : arrays, None
        As in `ObjectPrompt`; all positive if there are no labels.
    mask : ObjectMask or None
        The object, painted.
    text : str or None
        A noun phrase.
    boxes_xyxy, box_labels : arrays
        Exemplars, as in `Concept`.
    is_answered : bool
        Whether `answer` tells what the model made of it.
    answer : ObjectMask or None
        That; None where the object is not there.
    prior : ObjectMask or None
        What was shown of the object when the person began to correct it.
    video : str or None
        Name of the video that it is for, in a file for many.
    origin : str
        Where it was read, for messages.
    """

    frame_index: int
    obj_id: int | None = None
    points_xy: FloatArray = field(default_factory=no_points)
    point_labels: BoolArray = field(default_factory=no_labels)
    box_xyxy: FloatArray | None = None
    mask: ObjectMask | None = None
    text: str | None = None
    boxes_xyxy: FloatArray = field(default_factory=_no_boxes)
    box_labels: BoolArray = field(default_factory=no_labels)
    is_answered: bool = False
    answer: ObjectMask | None = None
    prior: ObjectMask | None = None
    video: str | None = None
    origin: str = ""

    def __post_init__(self) -> None:
        # labels left out mean all positive, as everywhere
        for places, labels in (("points_xy", "point_labels"), ("boxes_xyxy", "box_labels")):
            count = len(getattr(self, places))
            if count and not len(getattr(self, labels)):
                object.__setattr__(self, labels, np.ones(count, bool))

    @property
    def is_concept(self) -> bool:
        """Whether it looks for things by words or exemplars."""
        return self.text is not None or len(self.boxes_xyxy) > 0

    @property
    def is_found(self) -> bool:
        """Whether nobody pointed at the object: a concept found it on this frame."""
        return not (
            self.is_concept
            or len(self.points_xy)
            or self.box_xyxy is not None
            or self.mask is not None
        )

    @property
    def is_mere_correction(self) -> bool:
        """Whether it says nothing but what does not belong to what was shown (`prior`)."""
        return not (
            self.is_concept
            or self.point_labels.any()
            or self.box_xyxy is not None
            or self.mask is not None
        )

    def to_json(self, *, with_answers: bool = True) -> dict[str, Any]:
        """As JSON can say it; what says nothing is left out."""
        data: dict[str, Any] = {} if self.video is None else {"video": self.video}
        data["frame"] = self.frame_index
        if self.obj_id is not None:
            data["object"] = self.obj_id
        if self.text is not None:
            data["text"] = self.text
        if len(self.boxes_xyxy):
            data["boxes"] = self.boxes_xyxy.tolist()
            data["box_labels"] = self.box_labels.astype(int).tolist()
            if self.text is None:
                data["exemplar"] = True
        if len(self.points_xy):
            data["points"] = self.points_xy.tolist()
            data["point_labels"] = self.point_labels.astype(int).tolist()
        if self.box_xyxy is not None:
            data["box"] = self.box_xyxy.tolist()
        if self.mask is not None:
            data["mask"] = _mask_to_json(self.mask)
        if with_answers and self.is_answered:
            data["answer"] = None if self.answer is None else _mask_to_json(self.answer)
        if self.prior is not None and (with_answers or self.is_mere_correction):
            data["prior"] = _mask_to_json(self.prior)
        return data

    @classmethod
    def of_keyframe(cls, frame_index: int, obj_id: int, keyframe: Keyframe) -> SavedPrompt:
        """What was said of an object on a frame, and answered."""
        prompt = keyframe.prompt
        return cls(
            frame_index,
            obj_id,
            prompt.points_xy,
            prompt.point_labels,
            prompt.box_xyxy,
            None if prompt.mask is None else ObjectMask.from_mask(prompt.mask),
            is_answered=True,
            answer=keyframe.mask,
            prior=prompt.prior if prompt.is_manual else None,
        )

    def to_keyframe(self) -> Keyframe:
        """The same the other way round."""
        data = ObjectPrompt(
            self.points_xy,
            self.point_labels,
            self.box_xyxy,
            None if self.mask is None else self.mask.mask,
            self.answer if self.is_found else self.prior,
        )
        return Keyframe(data, self.answer)

    @classmethod
    def from_json(cls, data: Any, origin: str) -> SavedPrompt:
        """Read what `to_json` wrote, or a person did.

        Raises
        ------
        PromptFileError
            Says which field is wrong and what it should be; begins with `origin`.
        """
        return _Entry(data, origin).read()


class PromptList(Sequence[SavedPrompt]):
    """Prompts of a session, with what else makes its ids what they are.

    Attributes
    ----------
    prompts : tuple of SavedPrompt
        In the order they were said.
    model : str or None
        Name of the model whose answers they hold.
    next_id : int
        No object has had this id or a higher one.
    removed : frozenset of int
        Objects that a person removed.
    found : frozenset of int
        Objects that a concept found before anybody pointed at them.
    twins : frozenset of (int, int)
        Objects that a person pointed at, each with one that a concept had found in its place.
    """

    def __init__(
        self,
        prompts: Iterable[SavedPrompt] = (),
        *,
        model: str | None = None,
        next_id: int = 1,
        removed: Iterable[int] = (),
        found: Iterable[int] = (),
        twins: Iterable[tuple[int, int]] = (),
    ) -> None:
        self.prompts = tuple(prompts)
        self.model = model
        self.removed, self.found = frozenset(removed), frozenset(found)
        self.twins = frozenset(twins)
        ids = {p.obj_id for p in self.prompts if p.obj_id is not None}
        self.next_id = max([next_id, *(i + 1 for i in ids | self.removed | self.found)])

    @overload
    def __getitem__(self, key: int) -> SavedPrompt: ...
    @overload
    def __getitem__(self, key: slice) -> Sequence[SavedPrompt]: ...
    def __getitem__(self, key: int | slice) -> SavedPrompt | Sequence[SavedPrompt]:
        return self.prompts[key]

    def __len__(self) -> int:
        return len(self.prompts)

    @property
    def candidates(self) -> frozenset[int]:
        """Objects that a concept has found, and nobody has pointed at or removed."""
        pointed_at = {p.obj_id for p in self if not p.is_found}
        return self.found - self.removed - pointed_at

    def __repr__(self) -> str:
        return f"<PromptList of {len(self)} prompts>"

    def with_only(self, prompts: Iterable[SavedPrompt]) -> PromptList:
        """The same of the session, with only some of its prompts."""
        return PromptList(**{**vars(self), "prompts": prompts})

    def with_found(self, obj_ids: Iterable[int]) -> PromptList:
        """The same, with further objects that a concept has found."""
        return PromptList(**{**vars(self), "found": self.found.union(obj_ids)})

    def with_removed(self, obj_ids: Iterable[int]) -> PromptList:
        """The same, with further objects that were removed."""
        return PromptList(**{**vars(self), "removed": self.removed.union(obj_ids)})

    def for_video(self, video: str | os.PathLike[str]) -> PromptList:
        """Those for a video, and those that name none; see `is_meant`."""
        return self.with_only(p for p in self if p.video is None or is_meant(p.video, video))


def prompts_to_json(prompts: Iterable[SavedPrompt], *, with_answers: bool = True) -> dict[str, Any]:
    """Prompts as JSON can say them."""
    data: dict[str, Any] = {"format": FORMAT, "version": VERSION}
    if isinstance(prompts, PromptList) and with_answers:
        data["model"] = prompts.model
        data["next_id"] = min(prompts.next_id, MAX_OBJECT_ID)
        data["found"] = sorted(prompts.found)
        data["twins"] = sorted(map(list, prompts.twins))
    if isinstance(prompts, PromptList):
        data["removed"] = sorted(prompts.removed)
    data["prompts"] = [
        p.to_json(with_answers=with_answers) for p in prompts if with_answers or not p.is_found
    ]
    return data


def prompts_from_json(
    data: Any, name: str = "prompts", problems: list[str] | None = None
) -> PromptList:
    """Read what `prompts_to_json` made.

    Parameters
    ----------
    data : object
        As JSON was read.
    name : str
        Of the file, for messages.
    problems : list of str, optional
        Gets a sentence for each prompt that can't be used, and is left out; without it that is an
        error.

    Raises
    ------
    PromptFileError
        If it is something else.
    """
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise PromptFileError(
            f'{name} holds no prompts: it must begin with {{"format": "{FORMAT}", "version": 1'
        )
    if data.get("version") != VERSION:
        raise PromptFileError(
            f"{name} is of version {data.get('version')!r}, known here is {VERSION}; update "
            "napari-sam3"
        )
    prompts: list[SavedPrompt] = []
    masked = 0
    for origin, entry in _entries(data, name):
        try:
            prompt = SavedPrompt.from_json(entry, origin)
            masks = (prompt.mask, prompt.answer, prompt.prior)
            if masked + (more := sum(m.crop.size for m in masks if m is not None)) > _MOST_MASKED:
                raise PromptFileError(
                    f"{origin}: the masks of a file may have {_MOST_MASKED:,} pixels in all; give "
                    "fewer in one file"
                )
            masked += more
            prompts.append(prompt)
        except PromptFileError as exc:
            if problems is None:
                raise
            problems.append(f"a prompt is lost: {exc}")
    model = data.get("model")
    return PromptList(
        prompts,
        model=model if isinstance(model, str) else None,
        next_id=_ids([data.get("next_id")], name, "next_id", problems, 1)[0],
        removed=_ids(data.get("removed", []), name, "removed", problems),
        found=_ids(data.get("found", []), name, "found", problems),
        twins=_pairs(data.get("twins", []), name, "twins", problems),
    )


def _entries(data: dict[str, Any], name: str) -> list[tuple[str, Any]]:
    """Each prompt, and where it stands; those of "videos" are told whose they are."""
    videos = data.get("videos", {})
    if not isinstance(videos, dict):
        raise PromptFileError(f"{name}: 'videos' must be a table such as {{\"film.mp4\": [...]}}")
    lists = {"": data.get("prompts", [] if videos else None), **videos}
    found = []
    for video, entries in lists.items():
        where = f"{name}, video {video!r}" if video else name
        if not isinstance(entries, list):
            raise PromptFileError(f"{where}: prompts must be a list, not {entries!r:.80}")
        for number, entry in enumerate(entries, 1):
            is_of_video = video and isinstance(entry, dict)
            labelled = {**entry, "video": video} if is_of_video else entry
            found.append((f"{where}, prompt {number}", labelled))
    return found


def is_meant(name: str, video: str | os.PathLike[str]) -> bool:
    """Whether a name in a file of prompts means a video: the name, or the end of the path."""
    place = Path(video).absolute().parts
    return any(_end_alike(place, parts) or _is_same(place, parts) for parts in _parts_of(name))


def find_meant(folder: Path, name: str) -> Path:
    """Where the video or pattern of that name is, seen from a folder; as said if it is nowhere."""
    for parts in _parts_of(name):
        place = folder
        for part in parts:
            place = _member(place, part)
        if place.exists() or (is_pattern(place) and files_at(place)):
            return place
    return folder / name


def _parts_of(name: str) -> list[tuple[str, ...]]:
    """The parts of a path, as written here and, with backslashes, as written under Windows."""
    here = Path(name).parts
    return [here, PureWindowsPath(name).parts] if "\\" in name else [here]


def _end_alike(place: Sequence[str], parts: Sequence[str]) -> bool:
    """Whether a path ends in some parts, however accents are composed: disks differ in that."""
    ends = place[-len(parts) :] if parts else ()
    return bool(parts) and list(map(_composed, ends)) == list(map(_composed, parts))


def _is_same(place: Sequence[str], parts: Sequence[str]) -> bool:
    """Whether a path that ends in those parts, but for their case, is the same file here."""
    n_before = len(place) - len(parts)
    if n_before < 0 or [p.casefold() for p in place[n_before:]] != [p.casefold() for p in parts]:
        return False
    try:
        return Path(*place[:n_before], *parts).samefile(Path(*place))
    except OSError:  # one of them is not there
        return False


def _member(folder: Path, name: str) -> Path:
    place = folder / name
    if not place.exists():
        with suppress(OSError):
            alike = (f for f in folder.iterdir() if _composed(f.name) == _composed(name))
            return next(alike, place)
    return place


def _composed(text: str) -> str:
    return unicodedata.normalize("NFC", text)


def _mask_to_json(mask: ObjectMask) -> dict[str, Any]:
    x0, y0, _, _ = mask.bbox
    return {
        "size": list(mask.size),
        "counts": run_lengths(mask.crop, x0, y0, mask.size),
        "score": mask.score,
    }


def _ids(
    values: Any, name: str, key: str, problems: list[str] | None, instead: int | None = None
) -> list[int]:
    """Whole numbers from 1; None where there may be none is `instead`."""
    found: list[int] = []
    for value in values if isinstance(values, list) else [values]:
        if value is None and instead is not None:
            found.append(instead)
        elif (number := _as_whole(value)) is not None and 0 < number < 2**31:
            found.append(number)
        elif problems is None:
            raise PromptFileError(f"{name}: {key!r} must hold ids from 1, not {value!r:.80}")
        else:
            problems.append(f"{name}: {key!r} held {value!r:.80}, which is no id")
            found += [] if instead is None else [instead]
    return found


def _pairs(values: Any, name: str, key: str, problems: list[str] | None) -> list[tuple[int, int]]:
    pairs = []
    for value in values if isinstance(values, list) else [values]:
        is_pair = isinstance(value, list) and len(value) == 2
        pair = _ids(value if is_pair else [[value]], name, key, problems)
        if is_pair and len(pair) == 2:
            pairs.append((pair[0], pair[1]))
    return pairs


class _Entry:
    """One entry of a file while it is read."""

    def __init__(self, data: Any, origin: str) -> None:
        self.origin = origin
        if not isinstance(data, dict):
            raise self._wrong("", data, 'a table such as {"frame": 0, "points": [[x, y]]}')
        self.data: dict[str, Any] = data
        known = _KEYS.split(", ")
        for key in data:
            if key not in known:
                raise PromptFileError(f"{origin}: there is no field {key!r}; the fields: {_KEYS}")

    def read(self) -> SavedPrompt:
        text = self._field("text", _is_text, "words")
        points = self._rows("points", 2, "[[x, y], ...]")
        boxes = self._rows("boxes", 4, "[[x0, y0, x1, y1], ...]")
        box = self._field("box", partial(_is_row, columns=4), "[x0, y0, x1, y1] in px")
        if box is not None and not (box[0] < box[2] and box[1] < box[3]):
            raise self._wrong("box", box, "[x0, y0, x1, y1] with x0 < x1 and y0 < y1")
        obj_id = self._integer("object", 1, MAX_OBJECT_ID)
        is_exemplar = self._field("exemplar", partial(_is_a, bool), "true or false")
        if len(boxes) and text is None and not is_exemplar:
            raise self._wrong(
                "boxes",
                self.data["boxes"],
                'exemplars of a concept, with "exemplar": true or a text; one object has a "box"',
            )
        video = self._field("video", partial(_is_a, str), "the name of a video file")
        frame = self._integer("frame", 0, 2**31 - 1)
        if frame is None:
            raise self._wrong("frame", None, "a frame's number, counted from 0")
        prompt = SavedPrompt(
            frame,
            obj_id,
            points,
            self._signs("point_labels", len(points)),
            None if box is None else np.array(box, np.float64),
            self._mask("mask"),
            None if text is None else text.strip(),
            boxes,
            self._signs("box_labels", len(boxes)),
            "answer" in self.data,
            self._mask("answer"),
            self._mask("prior"),
            video,
            self.origin,
        )
        if prompt.is_found and (obj_id is None or not prompt.is_answered):
            raise PromptFileError(
                f"{self.origin}: there is nothing to go by; give points, a box, a mask or a text"
            )
        return prompt

    def _field(self, key: str, is_right: Callable[[Any], bool], form: str) -> Any:
        """What stands there, if it is of that form; None if nothing does."""
        value = self.data.get(key)
        if value is not None and not is_right(value):
            raise self._wrong(key, value, form)
        return value

    def _integer(self, key: str, low: int, high: int) -> int | None:
        def is_right(value: Any) -> bool:
            number = _as_whole(value)
            return number is not None and low <= number <= high

        value = self._field(key, is_right, f"a whole number from {low} to {high}")
        return _as_whole(value)

    def _rows(self, key: str, columns: int, form: str) -> FloatArray:
        def is_right(value: Any) -> bool:
            return isinstance(value, list) and all(_is_row(row, columns) for row in value)

        rows = self._field(key, is_right, f"finite numbers like {form}")
        return np.array(rows or [], np.float64).reshape(-1, columns)

    def _signs(self, key: str, count: int) -> BoolArray:
        signs = self._field(key, _are_signs, "a list of 1 (positive) and 0 (negative)")
        if signs is None:
            return np.ones(count, bool)
        if len(signs) != count:
            raise self._wrong(key, signs, f"a list of {count}, one for each")
        return np.array(signs, bool)

    def _mask(self, key: str) -> ObjectMask | None:
        value = self.data.get(key)
        if value is None:
            return None
        try:
            height, width = map(_as_whole, value["size"])
            if (
                height is None
                or width is None
                or not 0 < height * width < MOST_PIXELS
                or min(height, width) < 1
            ):
                raise ValueError(f"its size is {value['size']}")
            score = float(value.get("score", 1.0))
            if not 0 <= score <= 1:
                raise ValueError(f"its score is {score}")
            mask = ObjectMask.from_mask(decode_runs(value["counts"], (height, width)), score)
        except (ValueError, TypeError, LookupError, AttributeError, OverflowError) as exc:
            raise PromptFileError(
                f'{self.origin}: {key!r} must be {{"size": [height, width], "counts": run lengths '
                f"as COCO has them}}; {exc}"
            ) from exc
        if mask is None:
            raise PromptFileError(f"{self.origin}: {key!r} has no pixel; leave it out")
        return mask

    def _wrong(self, key: str, value: Any, form: str) -> PromptFileError:
        what = f"{key!r} must be" if key else "a prompt must be"
        return PromptFileError(f"{self.origin}: {what} {form}, not {value!r:.80}")


def _is_a(kind: type, value: Any) -> bool:
    return isinstance(value, kind)


def _as_whole(value: Any) -> int | None:
    """A whole number, which other programs write as 1.0; None if it is something else."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _are_signs(value: Any) -> bool:
    return isinstance(value, list) and all(not _is_a(bool, v) and v in (0, 1) for v in value)


def _is_row(value: Any, columns: int) -> bool:
    return isinstance(value, list) and len(value) == columns and all(map(_is_finite, value))


def _is_finite(value: Any) -> bool:
    try:
        return (
            isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        )
    except OverflowError:  # a whole number larger than any float
        return False
