"""What a caller says, checked: every refusal of a prompt is written here.

Nothing in this module changes anything; a session first checks all of a call, then acts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from napari_sam3.errors import FrameIndexError, MissingPromptError, RequestError
from napari_sam3.values import (
    BoolArray,
    Concept,
    FloatArray,
    ObjectMask,
    ObjectPrompt,
    no_labels,
    no_points,
)

MAX_OBJECT_ID = 2**31 - 1
_TOLERANCE = 1e-6  # of a normalised coordinate: what float32 arithmetic leaves


@dataclass(frozen=True, eq=False)
class PromptCall:
    """One checked call of `add_prompt`. Boxes are px; see `VideoSession.add_prompt`."""

    frame_index: int
    text: str | None
    points_xy: FloatArray
    point_labels: BoolArray
    boxes_xyxy: FloatArray
    box_labels: BoolArray
    mask: BoolArray | None
    obj_id: int | None
    clear_old_points: bool
    is_concept: bool

    @property
    def concept(self) -> Concept:
        """The thing to look for, where `is_concept`."""
        return Concept(self.text, self.boxes_xyxy, self.box_labels)


def check_prompt(
    size: tuple[int, int],
    n_frames: int,
    *,
    frame_index: Any,
    text: Any = None,
    points: Any = None,
    point_labels: Any = None,
    boxes: Any = None,
    box_labels: Any = None,
    mask: Any = None,
    obj_id: Any = None,
    exemplar: Any = False,
    clear_old_points: Any = False,
) -> PromptCall:
    """Check all parts of a prompt against the video and against each other.

    Parameters are those of `VideoSession.add_prompt`; `size` is (height, width) in px.

    Raises
    ------
    RequestError
        With the first thing that is wrong, its value and the remedy.
    """
    frame = check_frame_index(frame_index, n_frames)
    if text is not None and (not isinstance(text, str) or not text.strip()):
        raise RequestError(f"text must be a string with a word in it, not {text!r}")
    points_xy = _check_points(points, size)
    point_signs = _check_labels(point_labels, len(points_xy), "point_labels", "points")
    boxes_xyxy = _check_boxes(boxes, size)
    box_signs = _check_labels(box_labels, len(boxes_xyxy), "box labels", "boxes")
    painted = None if mask is None else _check_mask(mask, size)
    named = None if obj_id is None else check_object_id(obj_id)
    exemplar = check_flag(exemplar, "exemplar")
    clear = check_flag(clear_old_points, "clear_old_points")

    is_concept = text is not None or exemplar
    if text is None and not len(points_xy) and not len(boxes_xyxy) and painted is None:
        raise MissingPromptError("a prompt needs text, points, boxes or a mask; none was given")
    if exemplar and not len(boxes_xyxy):
        raise MissingPromptError("exemplar=True needs boxes round the examples; none was given")
    if text is None and exemplar and not box_signs.any():
        raise MissingPromptError(
            "negative exemplars alone say nothing of what to look for; add a positive box or text"
        )
    if is_concept and painted is not None:
        raise RequestError(
            "a mask names one object, text or exemplars look for many; send them as two prompts"
        )
    if not is_concept:
        _check_object_boxes(box_signs, named)
        if painted is not None and len(boxes_xyxy) and named is None:
            raise RequestError(
                "a mask and boxes in one prompt: say with obj_id that they mean the same object, "
                "or send them as two prompts"
            )
    if len(points_xy) and not point_signs.any() and named is None:
        raise MissingPromptError(
            "negative points alone name no object; add a positive point, or say which object "
            "they correct with obj_id"
        )
    return PromptCall(
        frame_index=frame,
        text=None if text is None else text.strip(),
        points_xy=points_xy,
        point_labels=point_signs,
        boxes_xyxy=boxes_xyxy,
        box_labels=box_signs,
        mask=painted,
        obj_id=named,
        clear_old_points=clear,
        is_concept=is_concept,
    )


def check_int(value: Any, name: str) -> int:
    """An integer (numpy's too, bool not) as int."""
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise RequestError(f"{name} must be an integer, not {value!r} ({type(value).__name__})")
    return int(value)


def check_flag(value: Any, name: str) -> bool:
    """A bool (numpy's too) as bool."""
    if isinstance(value, bool | np.bool_):
        return bool(value)
    raise RequestError(f"{name} must be True or False, not {value!r} ({type(value).__name__})")


def check_frame_index(value: Any, n_frames: int, name: str = "frame_index") -> int:
    """A frame number inside the video."""
    frame_index = check_int(value, name)
    if 0 <= frame_index < n_frames:
        return frame_index
    raise FrameIndexError(
        f"{name} {frame_index} is out of range: the video has {n_frames} "
        f"frame{'s' if n_frames != 1 else ''}, 0 to {n_frames - 1}"
    )


def check_object_id(value: Any) -> int:
    """An object id: an integer that is a legal label."""
    obj_id = check_int(value, "obj_id")
    if 1 <= obj_id <= MAX_OBJECT_ID:
        return obj_id
    raise RequestError(f"obj_id must be from 1 to {MAX_OBJECT_ID}, not {obj_id}")


def check_normalised_boxes(boxes: Any, size: tuple[int, int]) -> FloatArray | None:
    """Turn the API's boxes, (N, 4) [cx, cy, w, h] in 0..1, into (N, 4) x0, y0, x1, y1 px."""
    if boxes is None:
        return None
    array = _check_numbers(boxes, 4, "bounding_boxes", "[[cx, cy, w, h], ...]")
    if not len(array):
        return array
    height, width = size
    for box in array:
        if ((box < 0) | (box > 1)).any():
            raise RequestError(
                f"bounding box {_show(box)} is outside 0..1; boxes are [cx, cy, w, h] as parts of "
                f"the picture's width {width} and height {height} (divide pixels by them)"
            )
    centres, spans = array[:, :2], array[:, 2:]
    corners = np.hstack([centres - spans / 2, centres + spans / 2])
    for box, corner in zip(array, corners, strict=True):
        if (corner < -_TOLERANCE).any() or (corner > 1 + _TOLERANCE).any():
            raise RequestError(
                f"bounding box {_show(box)} reaches outside 0..1 (its corners are "
                f"{_show(corner)}); clip it to the picture"
            )
    scale = np.array([width, height, width, height])
    pixels: FloatArray = corners.clip(0, 1) * scale
    return pixels


def merge_prompt(old: ObjectPrompt | None, new: ObjectPrompt, *, replace_old: bool) -> ObjectPrompt:
    """Add to what was said of an object on a frame.

    A mask or a box says anew what the object is, so it takes the place of what was known before;
    points add to the points. With `replace_old` only what was shown before (`prior`) stays.
    """
    prior = new.prior if old is None else old.prior
    if new.mask is not None:
        return replace(new, prior=None)
    if new.box_xyxy is not None:
        prior = None
    if old is None or replace_old:
        return replace(new, prior=prior)
    return ObjectPrompt(
        points_xy=np.vstack([old.points_xy, new.points_xy]),
        point_labels=np.concatenate([old.point_labels, new.point_labels]),
        box_xyxy=old.box_xyxy if new.box_xyxy is None else new.box_xyxy,
        mask=old.mask if new.box_xyxy is None else None,
        prior=prior,
    )


def object_prompts(call: PromptCall) -> list[ObjectPrompt]:
    """Split a call without a concept into the objects that it means (contract, "Objects").

    Each box is an object and so is a mask; points refine the one object of the call, or with
    several boxes the one that holds the first positive point; else they are an object of their own.
    """
    if call.mask is not None or call.obj_id is not None or not len(call.boxes_xyxy):
        box = call.boxes_xyxy[0] if len(call.boxes_xyxy) else None
        return [ObjectPrompt(call.points_xy, call.point_labels, box, call.mask)]
    prompts = [ObjectPrompt(box_xyxy=box) for box in call.boxes_xyxy]
    if len(call.points_xy):
        owner = 0 if len(prompts) == 1 else _only_holder(call, call.boxes_xyxy)
        if owner is None:
            prompts.append(ObjectPrompt(call.points_xy, call.point_labels))
        else:
            prompts[owner] = ObjectPrompt(call.points_xy, call.point_labels, call.boxes_xyxy[owner])
    return prompts


def object_under_points(call: PromptCall, masks: Sequence[tuple[int, ObjectMask]]) -> int | None:
    """Id of the one object that holds the first positive point; None if none or several do."""
    x, y = call.points_xy[call.point_labels][0]
    holders = [obj_id for obj_id, mask in masks if mask.holds(x, y)]
    return holders[0] if len(holders) == 1 else None


def _only_holder(call: PromptCall, boxes_xyxy: FloatArray) -> int | None:
    x, y = call.points_xy[call.point_labels][0]
    holders = [
        i for i, (x0, y0, x1, y1) in enumerate(boxes_xyxy) if x0 <= x <= x1 and y0 <= y <= y1
    ]
    return holders[0] if len(holders) == 1 else None


def _check_numbers(value: ArrayLike, columns: int, name: str, form: str) -> FloatArray:
    try:
        raw = np.asarray(value)
    except (ValueError, TypeError) as exc:
        raise RequestError(f"{name} must be numbers like {form}, not {value!r}") from exc
    if raw.size == 0 and raw.ndim <= 2:
        return np.zeros((0, columns))
    if raw.dtype.kind not in "iuf":
        raise RequestError(f"{name} must be numbers like {form}, not {value!r}")
    if raw.ndim != 2 or raw.shape[1] != columns:
        raise RequestError(f"{name} must be like {form}, not of shape {raw.shape}: {value!r}")
    array = raw.astype(np.float64)
    if not np.isfinite(array).all():
        raise RequestError(f"{name} must be finite numbers, not {value!r}")
    return array


def _check_points(points: Any, size: tuple[int, int]) -> FloatArray:
    if points is None:
        return no_points()
    array = _check_numbers(points, 2, "points", "[[x, y], ...]")
    height, width = size
    for point in array:
        if (point < 0).any() or point[0] > width or point[1] > height:
            raise RequestError(
                f"point {_show(point)} is outside the image; points are [x, y] in pixels, "
                f"x from 0 to {width}, y from 0 to {height}"
            )
    # the far edges belong to the picture: a point there means its last pixel
    last = np.array([width, height])
    inside: FloatArray = np.where(array >= last, last - 0.5, array)
    return inside


def _check_labels(labels: Any, count: int, name: str, of: str) -> BoolArray:
    if labels is None:
        return np.ones(count, bool)
    try:
        array = np.asarray(labels)
    except (ValueError, TypeError) as exc:
        raise RequestError(f"{name} must be a list of 0 and 1, not {labels!r}") from exc
    if array.size == 0 and array.ndim == 1:
        array = no_labels()
    if array.ndim != 1 or array.dtype.kind not in "iufb" or not np.isin(array, (0, 1)).all():
        raise RequestError(
            f"{name} must be a list of 1 (positive) and 0 (negative), not {labels!r}"
        )
    if len(array) != count:
        raise RequestError(f"{name}: {len(array)} labels for {count} {of}; give one for each")
    return array.astype(bool)


def _check_boxes(boxes: Any, size: tuple[int, int]) -> FloatArray:
    if boxes is None:
        return np.zeros((0, 4))
    array = _check_numbers(boxes, 4, "boxes", "[[x0, y0, x1, y1], ...]")
    height, width = size
    for box in array:
        x0, y0, x1, y1 = box
        if x1 <= x0 or y1 <= y0:
            raise RequestError(f"box {_show(box)} (x0, y0, x1, y1 in px) has no area")
        if x0 < 0 or y0 < 0 or x1 > width or y1 > height:
            raise RequestError(
                f"box {_show(box)} is outside the image of {width} x {height} pixels; clip it"
            )
    return array


def _check_object_boxes(signs: BoolArray, obj_id: int | None) -> None:
    if not signs.all():
        raise RequestError(
            "a negative box needs text, or exemplar=True: without a concept there is nothing "
            "for it to take away from; to cut a part off an object use negative points"
        )
    if obj_id is not None and len(signs) > 1:
        raise RequestError(
            f"{len(signs)} boxes for object {obj_id}; an object takes one box "
            "(leave out obj_id to make each box an object)"
        )


def _check_mask(mask: Any, size: tuple[int, int]) -> BoolArray:
    try:
        array = np.asarray(mask)
    except (ValueError, TypeError) as exc:
        raise RequestError(f"mask must be a (H, W) array of bool, not {mask!r}") from exc
    if array.shape != size:
        raise RequestError(
            f"mask has shape {array.shape}; it must be (height, width) of the video, {size}"
        )
    if array.dtype.kind not in "biu" or not np.isin(array, (0, 1)).all():
        raise RequestError("mask must hold only False and True (or 0 and 1): use mask > 0")
    if not array.any():
        raise MissingPromptError("mask is empty; paint at least one pixel")
    return array.astype(bool)


def _show(values: FloatArray) -> str:
    return "[" + ", ".join(f"{v:g}" for v in values) + "]"
