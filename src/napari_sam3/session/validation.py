"""What a caller says, checked: every refusal is written here.

Nothing in this module changes anything; a session first checks all of a call, then acts.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_sam3.errors import (
    FrameIndexError,
    MissingPromptError,
    RequestError,
    UnsupportedPromptError,
)
from napari_sam3.models.base import VideoModel
from napari_sam3.models.registry import models_that_take
from napari_sam3.values import (
    MAX_OBJECT_ID,
    BoolArray,
    Concept,
    FloatArray,
    no_labels,
    no_points,
)

_TOLERANCE = 1e-6  # of a normalised coordinate: what float32 arithmetic leaves

_KINDS = {  # capability: what it is called, and why a model may lack it
    "text": ("text", "it knows no words"),
    "exemplars": ("exemplar boxes", "it does not look for things alike"),
    "points": ("points", "it was not made for them"),
    "boxes": ("boxes", "it was not made for them"),
    "masks": ("masks", "it was not made for them"),
}


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


def check_supported(model: VideoModel, call: PromptCall) -> None:
    """Refuse what a model can't take.

    Raises
    ------
    UnsupportedPromptError
        Says why, which models can, and what this one takes.
    """
    has_boxes = len(call.boxes_xyxy) > 0
    given = {
        "text": call.text is not None,
        "exemplars": call.is_concept and has_boxes,
        "points": len(call.points_xy) > 0,
        "boxes": has_boxes and not call.is_concept,
        "masks": call.mask is not None,
    }
    for kind, is_given in given.items():
        if is_given and not getattr(model.capabilities, kind):
            name, reason = _KINDS[kind]
            value = f" ({call.text!r})" if kind == "text" else ""
            takes = ", ".join(_KINDS[k][0] for k in _KINDS if getattr(model.capabilities, k))
            raise UnsupportedPromptError(
                f"model {model.name!r} can't take {name}{value}: {reason}. "
                f"Models that can: {models_that_take(kind)}. This one takes: {takes}."
            )


def check_room(model: VideoModel, obj_ids: Collection[int]) -> None:
    """Refuse a prompt after which there would be more objects than the model follows.

    Raises
    ------
    UnsupportedPromptError
        Says how many it follows and how many there would be.
    """
    most = model.capabilities.max_objects
    if most is not None and len(obj_ids) > most:
        raise UnsupportedPromptError(
            f"model {model.name!r} follows at most {most} objects, this prompt would make "
            f"{len(obj_ids)}; remove an object first, or use another model"
        )


def check_range(
    n_frames: int, direction: Any, start: Any, max_frames: Any
) -> tuple[int | None, int | None]:
    """Check what is said of a propagation's frames.

    Parameters
    ----------
    n_frames : int
        Length of the video.
    direction, start, max_frames : object
        As the caller gave them; the latter two may be None.

    Returns
    -------
    start, max_frames : int or None

    Raises
    ------
    RequestError
        If one is wrong; a frame outside the video is a `FrameIndexError`.
    """
    if not isinstance(direction, str) or direction not in ("forward", "backward", "both"):
        raise RequestError(
            f"propagation_direction must be 'forward', 'backward' or 'both', not {direction!r}"
        )
    if start is not None:
        start = check_frame_index(start, n_frames, "start_frame_index")
    if max_frames is not None:
        max_frames = check_int(max_frames, "max_frame_num_to_track")
        if max_frames < 1:
            raise RequestError(f"max_frame_num_to_track must be at least 1, not {max_frames}")
    return start, max_frames


def check_legs(n_frames: int, legs: Sequence[range]) -> tuple[range, ...]:
    """Check frames that are to be followed; empty legs are left out.

    Raises
    ------
    RequestError
        If a leg has another step than 1 or -1, or a frame that the video has not.
    """
    if not all(isinstance(leg, range) for leg in legs):
        raise RequestError(f"the frames to follow must be ranges, as [range(5, 20)], not {legs!r}")
    kept = tuple(leg for leg in legs if leg)
    for leg in kept:
        if leg.step not in (1, -1):
            raise RequestError(f"{leg} can't be followed; frames are followed one by one")
        for frame_index in (leg[0], leg[-1]):
            check_frame_index(frame_index, n_frames)
    return kept


def check_contrast_limits(limits: Any) -> tuple[float, float] | None:
    """Values to be seen as black and white, None where they are left out.

    Raises
    ------
    RequestError
        If they are not two rising finite numbers.
    """
    if limits is None:
        return None
    try:
        low, high = limits
        # a float may be too coarse for an integer of 64 bits
        numbers = tuple(
            int(n) if isinstance(n, Integral) and abs(int(n)) > 2**53 else float(n)
            for n in (low, high)
        )
        is_right = all(isinstance(n, Real) and not isinstance(n, bool) for n in (low, high))
        is_right = is_right and numbers[0] < numbers[1] and math.isfinite(numbers[1] - numbers[0])
    except (TypeError, ValueError, OverflowError):
        is_right = False
    if not is_right:
        raise RequestError(
            f"contrast_limits must be two rising finite numbers, as (0, 4095), not {limits!r}"
        )
    return numbers[0], numbers[1]


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


def _as_array(value: Any, form: str) -> NDArray[Any]:
    try:
        return np.asarray(value)
    except (ValueError, TypeError, RuntimeError) as exc:  # the last: a tensor with a gradient
        raise RequestError(f"{form}, not {value!r}") from exc


def _check_numbers(value: ArrayLike, columns: int, name: str, form: str) -> FloatArray:
    raw = _as_array(value, f"{name} must be numbers like {form}")
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
    array = _as_array(labels, f"{name} must be a list of 0 and 1")
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
    array = _as_array(mask, "mask must be a (H, W) array of bool")
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
