"""Prompts and journals as messages say them.

Trackers keep what they computed for keyframes that are the same objects as before, so a keyframe is
sent once, under a number, and afterwards named by it (`KeyframesSent`, `KeyframesKept`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from napari_sam3.checkpoint import Checkpoint
from napari_sam3.cluster.wire import Head, encode, items, numbers, pairs, whole
from napari_sam3.errors import WireError
from napari_sam3.models.base import TrackedFrame
from napari_sam3.values import (
    MAX_OBJECT_ID,
    MOST_FRAMES,
    MOST_PIXELS,
    Concept,
    Journal,
    Keyframe,
    ObjectMask,
    ObjectPrompt,
)

Recall = Callable[[int], Mapping[int, ObjectMask] | None]


class Masks(list[ObjectMask]):
    """The masks of a message that is being written."""

    def place(self, mask: ObjectMask | None) -> int | None:
        """Add a mask, and give its place; None stays None."""
        if mask is None:
            return None
        self.append(mask)
        return len(self) - 1


def mask_at(masks: list[ObjectMask], place: Any) -> ObjectMask | None:
    """The mask that a message means by its place."""
    return None if place is None else masks[whole(place, 0, len(masks) - 1)]


# -------------------------------------------------------------------- prompts


def prompt_to_head(prompt: ObjectPrompt, masks: Masks) -> Head:
    """Say a prompt; its masks are added to those of the message."""
    head: Head = {
        "points": prompt.points_xy.tolist(),
        "labels": [int(label) for label in prompt.point_labels],
        "box": None if prompt.box_xyxy is None else prompt.box_xyxy.tolist(),
        "prior": masks.place(prompt.prior),
    }
    if prompt.mask is not None:
        # of an empty one only the size is left
        head["size"] = list(prompt.mask.shape)
        head["mask"] = masks.place(ObjectMask.from_mask(prompt.mask))
    return head


def prompt_from_head(head: Any, masks: list[ObjectMask]) -> ObjectPrompt:
    """Read what `prompt_to_head` said.

    Raises
    ------
    WireError
        If it is something else.
    """
    head = _table(head)
    points = numbers(head.get("points"), 2)
    box = head.get("box")
    mask = None
    if "size" in head:
        height, width = (whole(side, 1, MOST_PIXELS) for side in items(head["size"]))
        painted = mask_at(masks, head.get("mask"))
        if height * width > MOST_PIXELS or (painted and painted.size != (height, width)):
            raise WireError(f"a painted mask that came is of size {head['size']!r:.80}")
        mask = np.zeros((height, width), bool) if painted is None else painted.mask
    return ObjectPrompt(
        points,
        _labels(head.get("labels"), len(points)),
        None if box is None else numbers([box], 4)[0],
        mask,
        mask_at(masks, head.get("prior")),
    )


def concept_to_head(concept: Concept) -> Head:
    """Say what is looked for."""
    return {
        "text": concept.text,
        "boxes": concept.boxes_xyxy.tolist(),
        "labels": [int(label) for label in concept.box_labels],
    }


def concept_from_head(head: Any) -> Concept:
    """Read what `concept_to_head` said.

    Raises
    ------
    WireError
        If it is something else.
    """
    head = _table(head)
    text, boxes = head.get("text"), numbers(head.get("boxes"), 4)
    if not isinstance(text, str | None):
        raise WireError(f"a text that came is {text!r:.80}")
    return Concept(text, boxes, _labels(head.get("labels"), len(boxes)))


# ------------------------------------------------------------------- journals


class KeyframesSent:
    """Which keyframes the other side has, on the side that sends them."""

    def __init__(self) -> None:
        # the keyframes are held, so that no other gets the identity of one that was sent
        self._sent: dict[int, tuple[int, Keyframe]] = {}

    def journal_to_message(self, journal: Journal, frames: range, **more: Any) -> bytes:
        """Say a journal, the frames asked for, and more; its checkpoint goes beside it."""
        masks = Masks()
        new: list[list[Any]] = []

        def number(keyframe: Keyframe) -> int:
            known = self._sent.get(id(keyframe))
            if known is None:
                known = (len(self._sent), keyframe)
                self._sent[id(keyframe)] = known
                said = {
                    "prompt": prompt_to_head(keyframe.prompt, masks),
                    "mask": masks.place(keyframe.mask),
                }
                new.append([known[0], said])
            return known[0]

        head = {
            "objects": [
                [i, [[f, number(k)] for f, k in frames_of.items()]]
                for i, frames_of in journal.objects.items()
            ],
            "new": new,
            "concepts": [[f, concept_to_head(c)] for f, c in journal.concepts],
            "hold_back": journal.hold_back,
            "known": [
                [f, [[i, masks.place(m)] for i, m in shown.items()]]
                for f, shown in journal.known.items()
            ],
            "found": sorted(journal.found),
            "recalls": journal.recall is not None,
            "only": None if journal.only is None else sorted(journal.only),
            "frames": [frames.start, frames.stop, frames.step],
            "begun": journal.begun,
            "shows_ahead": journal.shows_ahead,
            **more,
        }
        return encode(head, masks)


class KeyframesKept:
    """The keyframes that came, on the side that gets them."""

    def __init__(self) -> None:
        self._kept: dict[int, Keyframe] = {}

    def journal_from_head(
        self,
        head: Head,
        masks: list[ObjectMask],
        recall: Recall,
        checkpoint: Checkpoint | None = None,
    ) -> tuple[Journal, range]:
        """Read a journal, and the frames asked for.

        Raises
        ------
        WireError
            If it is something else.
        """
        for number, said in pairs(head.get("new")):
            said = _table(said)
            prompt = prompt_from_head(said.get("prompt"), masks)
            self._kept[whole(number)] = Keyframe(prompt, mask_at(masks, said.get("mask")))
        only, begun = head.get("only"), head.get("begun")
        journal = Journal(
            {
                _obj_id(i): {_frame(f): self._keyframe(number) for f, number in pairs(frames)}
                for i, frames in pairs(head.get("objects"))
            },
            tuple((_frame(f), concept_from_head(c)) for f, c in pairs(head.get("concepts"))),
            head.get("hold_back") is True,
            {
                _frame(f): {
                    _obj_id(i): masks[whole(place, 0, len(masks) - 1)] for i, place in pairs(shown)
                }
                for f, shown in pairs(head.get("known"))
            },
            frozenset(_obj_id(i) for i in items(head.get("found"))),
            recall if head.get("recalls") is True else None,
            None if only is None else frozenset(_obj_id(i) for i in items(only)),
            checkpoint,
            None if begun is None else _frame(begun),
            head.get("shows_ahead") is True,
        )
        return journal, _frames(head.get("frames"))

    def _keyframe(self, number: Any) -> Keyframe:
        found = self._kept.get(whole(number))
        if found is None:
            raise WireError(f"a message that came names the keyframe {number}, which never came")
        return found


# --------------------------------------------------------------------- frames


def frame_to_message(tracked: TrackedFrame) -> bytes:
    """Say what a tracker sees on a frame."""
    masks = Masks()
    objects = tracked.objects
    ids = None if objects is None else [[i, masks.place(m)] for i, m in objects.items()]
    return encode({"frame": tracked.frame_index, "objects": ids}, masks)


def frame_from_head(head: Head, masks: list[ObjectMask]) -> TrackedFrame:
    """Read what `frame_to_message` said.

    Raises
    ------
    WireError
        If it is something else.
    """
    return TrackedFrame(_frame(head.get("frame")), objects_from_head(head, masks))


def objects_to_message(objects: Mapping[int, ObjectMask] | None, **more: Any) -> bytes:
    """Say masks by object id; None where nothing is known."""
    masks = Masks()
    ids = None if objects is None else [[i, masks.place(m)] for i, m in objects.items()]
    return encode({"objects": ids, **more}, masks)


def objects_from_head(head: Head, masks: list[ObjectMask]) -> dict[int, ObjectMask] | None:
    """Read masks by object id.

    Raises
    ------
    WireError
        If it is something else.
    """
    said = head.get("objects")
    if said is None:
        return None
    return {_obj_id(i): masks[whole(place, 0, len(masks) - 1)] for i, place in pairs(said)}


def _table(value: Any) -> Head:
    if not isinstance(value, dict):
        raise WireError(f"a message that came says {value!r:.80}, not a table")
    return value


def _labels(value: Any, count: int) -> np.ndarray[Any, np.dtype[np.bool_]]:
    labels = items(value)
    if len(labels) != count or not all(label in (0, 1) for label in labels):
        raise WireError(f"labels that came are {value!r:.80}, not {count} of 0 and 1")
    return np.array(labels, bool)


def _obj_id(value: Any) -> int:
    return whole(value, 1, MAX_OBJECT_ID)


def _frame(value: Any) -> int:
    return whole(value, 0, MOST_FRAMES)


def _frames(value: Any) -> range:
    said = items(value)
    if len(said) != 3 or said[2] not in (1, -1):
        raise WireError(f"frames that came are {value!r:.80}, not a range with the step 1 or -1")
    return range(whole(said[0], -1, MOST_FRAMES), whole(said[1], -1, MOST_FRAMES), said[2])
