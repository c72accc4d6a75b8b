"""From a checked prompt to what it changes. Nothing is changed here: a draft is made."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

import numpy as np

from napari_sam3.errors import MissingPromptError
from napari_sam3.models.base import VideoTracker
from napari_sam3.session.session_state import SAME_OBJECT, Draft, SessionState
from napari_sam3.session.validation import PromptCall
from napari_sam3.values import FloatArray, Keyframe, ObjectMask, ObjectPrompt

logger = logging.getLogger(__name__)


def without_doubles(
    found: Mapping[int, ObjectMask], rivals: Collection[int]
) -> dict[int, ObjectMask]:
    """Leave out what means the same thing as a rival, an object that a person pointed at.

    Rivals are all kept: of two that a person pointed at, neither is a double.
    """
    claimed = [found[obj_id] for obj_id in found if obj_id in rivals]
    return {
        obj_id: mask
        for obj_id, mask in found.items()
        if obj_id in rivals or not any(mask.overlap(other) > SAME_OBJECT for other in claimed)
    }


def find_present(
    frame_index: int, state: SessionState, tracker: VideoTracker
) -> dict[int, ObjectMask]:
    """Where all objects, removed ones too, are on a frame, tracked there if need be."""
    if not state.keyframes and not state.concepts:
        return {}
    target = range(frame_index, frame_index + 1)
    everything = state.journal(target, with_removed=True)
    *_, last = tracker.propagate(everything, target, state.issue_id)
    return dict(last.objects or {})


def answer_objects(call: PromptCall, state: SessionState, tracker: VideoTracker) -> Draft:
    """Answer a prompt that points at objects: clicks, boxes, a mask."""
    draft = state.draft()
    for prompt in _object_prompts(call):
        obj_id = draft.new_id() if call.obj_id is None else draft.take_id(call.obj_id)
        prior = state.shown_mask(call.frame_index, obj_id)
        draft.keyframes[obj_id] = _refine(call, obj_id, prompt, prior, state, tracker)
    return draft


def answer_concept(
    call: PromptCall,
    state: SessionState,
    tracker: VideoTracker,
    present: Mapping[int, ObjectMask],
) -> Draft:
    """Answer a prompt that looks for a concept; its points refine one of the objects.

    Parameters
    ----------
    present : mapping of object id to ObjectMask
        Where the objects of the session, removed ones too, are on the frame already.
    """
    draft = state.draft()
    matches: list[tuple[int, ObjectMask]] = []
    detected = tracker.detect(call.frame_index, call.concept)
    if not detected:
        logger.warning(
            "%s on frame %d: nothing found; try a shorter noun, boxes round examples, or a frame "
            "that shows it",
            "exemplars" if call.text is None else repr(call.text),
            call.frame_index,
        )
    for found in detected:
        same = [i for i, mask in present.items() if mask.overlap(found) > SAME_OBJECT]
        if state.removed.intersection(same):
            continue
        if call.obj_id is not None and set(same) - {call.obj_id}:
            continue  # that one is another object already
        if call.obj_id is None and same:
            # a manual object wins, a detected one keeps its id and its mask
            matches.append((same[0], present[same[0]]))
            continue
        obj_id = draft.new_id() if call.obj_id is None else draft.take_id(call.obj_id)
        matches.append((obj_id, found))
        draft.keyframes[obj_id] = Keyframe(ObjectPrompt(prior=found), found)
        if call.obj_id is not None:
            break  # the best match alone
    if call.obj_id is None:
        draft.concept = call.concept
    if len(call.points_xy):
        owner = _object_under_points(call, matches) if call.obj_id is None else call.obj_id
        obj_id = draft.new_id() if owner is None else draft.take_id(owner)
        prompt = ObjectPrompt(call.points_xy, call.point_labels)
        prior = dict(matches).get(obj_id, present.get(obj_id))
        draft.keyframes[obj_id] = _refine(call, obj_id, prompt, prior, state, tracker)
    return draft


def _refine(
    call: PromptCall,
    obj_id: int,
    prompt: ObjectPrompt,
    prior: ObjectMask | None,
    state: SessionState,
    tracker: VideoTracker,
) -> Keyframe:
    """Add a prompt to what was said of an object on the frame, and ask the model.

    `prior` is what is shown of the object there, for the first prompt on the frame to correct.
    """
    earlier = state.keyframes.get(obj_id, {}).get(call.frame_index)
    if earlier is None:
        prompt = replace(prompt, prior=prior)
    merged = _merge_prompt(
        None if earlier is None else earlier.prompt, prompt, replace_old=call.clear_old_points
    )
    is_known = any(value is not None for value in (merged.prior, merged.mask, merged.box_xyxy))
    if not is_known and not merged.point_labels.any():
        raise MissingPromptError(
            f"negative points alone: nothing is known of object {obj_id} on frame "
            f"{call.frame_index} that they could correct; add a positive point"
        )
    return state.answers.ask(tracker, call.frame_index, merged)


def _merge_prompt(
    old: ObjectPrompt | None, new: ObjectPrompt, *, replace_old: bool
) -> ObjectPrompt:
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


def _object_prompts(call: PromptCall) -> list[ObjectPrompt]:
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


def _object_under_points(call: PromptCall, masks: Sequence[tuple[int, ObjectMask]]) -> int | None:
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
