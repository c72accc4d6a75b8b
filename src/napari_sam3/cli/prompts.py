"""From prompts as given on the command line to prompts of a session."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterator, Sequence
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sam3.cli.parse import GivenPrompt
from napari_sam3.errors import RequestError
from napari_sam3.imports import open_labels, open_prompts
from napari_sam3.session.prompt_files import read_prompt_stream
from napari_sam3.session.saved_prompts import PromptList, SavedPrompt
from napari_sam3.session.session import VideoSession
from napari_sam3.session.session_prompts import apply_prompts
from napari_sam3.values import ObjectMask
from napari_sam3.video import Video

STANDARD_INPUT = Path("-")


def gather_prompts(
    given: Sequence[GivenPrompt], files: Sequence[Path], frame_index: int, video: Video
) -> list[SavedPrompt]:
    """All prompts of a command, as a session can be told them.

    What belongs to one object on one frame is said at once, for a model sees it as a whole.

    Parameters
    ----------
    given : sequence of GivenPrompt
        In the command itself.
    files : sequence of Path
        Of prompts, of any tool that `open_prompts` knows; those in them that are for other videos
        are left out. `-`: standard input.
    frame_index : int
        Frame of those in the command that name none.
    video : Video
        That they are for.

    Raises
    ------
    RequestError
        If a mask or a file is wrong.
    VideoError
        If a mask can't be read.
    """
    size = video.shape[1], video.shape[2]
    read = [read_prompt_file(path, size) for path in files]
    prompts = [p for found in read for p in found.for_video(video.path or "")]
    taken = {p.obj_id for p in prompts if p.obj_id is not None}
    masks = {p: read_labels(p, frame_index, len(video), size) for p in given if p.kind == "mask"}
    ids = _free_ids(given, masks, taken)
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
                call.setdefault("labels", []).append(prompt.is_positive)
    for (place, obj_id), call in calls.items():
        boxes = call.get("boxes", [])
        if len(boxes) > 1:
            raise RequestError(
                f"{len(boxes)} boxes for object {obj_id} on frame {place}; an object takes one box"
            )
        prompts.append(
            SavedPrompt(
                place,
                obj_id,
                np.array(call.get("points", []), np.float64).reshape(-1, 2),
                np.array(call.get("labels", []), bool),
                np.array(boxes[0], np.float64) if boxes else None,
                ObjectMask.from_mask(call["mask"]) if "mask" in call else None,
            )
        )
    return prompts + [SavedPrompt(frame_index, text=p.words) for p in given if p.kind == "text"]


def read_prompt_file(path: Path, size: tuple[int, int] | None = None) -> PromptList:
    """Read a file of prompts, or standard input if it is called `-`.

    Parameters
    ----------
    path : Path
        The file, or folder.
    size : (height, width), optional
        Of the video, as `open_prompts` takes it.

    Raises
    ------
    PromptFileError
        If it can't be read, or something in it can't be a prompt.
    """
    if path == STANDARD_INPUT:
        return read_prompt_stream(sys.stdin.buffer, "standard input")
    return open_prompts(path, size=size)


def say_prompts(session: VideoSession, prompts: Sequence[SavedPrompt]) -> list[int]:
    """Say prompts to a session, and to the person where words found nothing.

    Objects that were pointed at come first: they win over what the words find.

    Returns
    -------
    list of int
        The frames prompted, rising.

    Raises
    ------
    RequestError
        If one of them is wrong.
    """
    frames = set()
    for prompt in sorted(prompts, key=lambda p: p.is_concept):
        known = session.object_ids
        frames.update(apply_prompts(session, [prompt]))
        if prompt.text is not None and session.object_ids == known:
            print(
                f"{prompt.text!r} finds nothing new on frame {prompt.frame_index}; a shorter noun, "
                "or a frame that shows it (--frame), may help",
                file=sys.stderr,
            )
    return sorted(frames)


def read_labels(
    prompt: GivenPrompt, frame_index: int, length: int, size: tuple[int, int]
) -> NDArray[np.integer[Any]]:
    """Read the labels of a prompt: a picture, or the prompt's frame of labels of the video.

    Parameters
    ----------
    prompt : GivenPrompt
        Of the kind "mask".
    frame_index : int
        Its frame, if it names none.
    length : int
        Frames of the video.
    size : (height, width)
        Of its frames.

    Returns
    -------
    (H, W) integer array

    Raises
    ------
    VideoError
        If they can't be read.
    RequestError
        If there are none, they are of a video of another length, or there is none on that frame.
    """
    place = frame_index if prompt.frame_index is None else prompt.frame_index
    if not Path(prompt.words).expanduser().exists():
        raise RequestError(f"there is no file {prompt.words!r} for --mask; check the path")
    with open_labels(prompt.words, size=size) as labels:
        if len(labels) == 1:
            found = labels[0]
        elif place < len(labels) <= length and (len(labels) == length or labels.may_go_on):
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
    given: Sequence[GivenPrompt],
    masks: dict[GivenPrompt, NDArray[np.integer[Any]]],
    named: Collection[int],
) -> Iterator[int]:
    """Ids from 1 that nobody has named."""
    taken = {*named, *(prompt.obj_id for prompt in given)}
    for prompt in given:
        if prompt.kind == "mask" and prompt.obj_id is None:
            values = np.unique(masks[prompt]).tolist()
            if len(set(values) - {0}) > 1:
                taken.update(values)
    return (number for number in count(1) if number not in taken)
