"""From prompts as given on the command line to prompts of a session."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from itertools import count
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sam3.cli.arguments import GivenPrompt
from napari_sam3.errors import RequestError
from napari_sam3.imports import open_labels
from napari_sam3.session.session import VideoSession


def add_prompts(session: VideoSession, given: Sequence[GivenPrompt], frame_index: int) -> list[int]:
    """Say all prompts to a session.

    What belongs to one object on one frame is said at once, for a model sees it as a whole.

    Parameters
    ----------
    session : VideoSession
        To be prompted.
    given : sequence of GivenPrompt
        At least one.
    frame_index : int
        Frame of those that name none.

    Returns
    -------
    list of int
        The frames prompted, rising.

    Raises
    ------
    RequestError
        If one of them is wrong.
    VideoError
        If a mask can't be read.
    """
    length = len(session.video)
    masks = {p: read_labels(p, frame_index, length) for p in given if p.kind == "mask"}
    ids = _free_ids(given, masks)
    calls: dict[tuple[int, int], dict[str, Any]] = {}
    for prompt in given:
        place = frame_index if prompt.frame_index is None else prompt.frame_index
        if prompt.kind == "mask":
            for obj_id, mask in _objects(prompt, masks[prompt], ids):
                call = calls.setdefault((place, obj_id), {})
                call["mask"] = mask | call["mask"] if "mask" in call else mask
        elif prompt.kind != "text":
            call = calls.setdefault(
                (place, next(ids) if prompt.obj_id is None else prompt.obj_id), {}
            )
            if prompt.kind == "box":
                call.setdefault("boxes", []).append(prompt.numbers)
            else:
                call.setdefault("points", []).append(prompt.numbers)
                call.setdefault("point_labels", []).append(int(prompt.is_positive))
    for (place, obj_id), call in calls.items():
        session.add_prompt(place, obj_id=obj_id, **call)
    # after the objects that were pointed at, which win over what the words find
    words = [prompt.words for prompt in given if prompt.kind == "text"]
    for text in words:
        known = session.object_ids
        session.add_prompt(frame_index, text=text)
        if session.object_ids == known:
            print(
                f"{text!r} finds nothing new on frame {frame_index}; a shorter noun, or a frame "
                "that shows it (--frame), may help",
                file=sys.stderr,
            )
    return sorted({place for place, _ in calls} | ({frame_index} if words else set()))


def read_labels(prompt: GivenPrompt, frame_index: int, length: int) -> NDArray[np.integer[Any]]:
    """Read the labels of a prompt: a picture, or the prompt's frame of labels of the video.

    Parameters
    ----------
    prompt : GivenPrompt
        Of the kind "mask".
    frame_index : int
        Its frame, if it names none.
    length : int
        Frames of the video.

    Returns
    -------
    (H, W) integer array

    Raises
    ------
    VideoError
        If they can't be read.
    RequestError
        If they are of a video of another length, or there is none on that frame.
    """
    place = frame_index if prompt.frame_index is None else prompt.frame_index
    with open_labels(prompt.words) as labels:
        if len(labels) == 1:
            found = labels[0]
        elif len(labels) == length and place < length:
            found = labels[place]
        else:
            raise RequestError(
                f"{prompt.words!r} has {len(labels)} frames of labels, the video {length}; give "
                "labels of this video, or one picture"
            )
        if not found.any():
            where = f" on frame {place}" if len(labels) > 1 else "; every pixel of it is 0"
            raise RequestError(f"the mask {prompt.words!r} is empty{where}")
    return found


def _objects(
    prompt: GivenPrompt, labels: NDArray[np.integer[Any]], ids: Iterator[int]
) -> Iterator[tuple[int, NDArray[np.bool_]]]:
    """The objects of a mask: one, if an id was given; else each label one.

    Of a picture with one value only, which is most often 255, the value says nothing: its object
    gets the next free id.
    """
    values = np.unique(labels[labels != 0])
    if prompt.obj_id is not None:
        yield prompt.obj_id, labels != 0
    elif values.size == 1:
        yield next(ids), labels != 0
    else:
        for value in values:
            yield int(value), labels == value


def _free_ids(
    given: Sequence[GivenPrompt], masks: dict[GivenPrompt, NDArray[np.integer[Any]]]
) -> Iterator[int]:
    """Ids from 1 that nobody has named."""
    taken = {prompt.obj_id for prompt in given}
    for prompt in given:
        if prompt.kind == "mask" and prompt.obj_id is None:
            values = np.unique(masks[prompt]).tolist()
            if len(set(values) - {0}) > 1:
                taken.update(values)
    return (number for number in count(1) if number not in taken)
