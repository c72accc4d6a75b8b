"""A session's prompts out, to be kept, and in again: with the answers of then, nothing computed."""

from __future__ import annotations

from collections.abc import Sequence

from napari_sam3.errors import PromptFileError, RequestError
from napari_sam3.session.prompt_files import apply_prompts
from napari_sam3.session.prompts import check_prompt
from napari_sam3.session.saved_prompts import PromptList, SavedPrompt
from napari_sam3.session.session import VideoSession
from napari_sam3.values import Concept, Keyframe, ObjectMask, ObjectPrompt


def list_prompts(session: VideoSession) -> PromptList:
    """All that was said to a session: what was looked for, then each object on each frame."""
    with session._lock:
        records = session._records
        prompts = [
            SavedPrompt(frame_index, text=c.text, boxes_xyxy=c.boxes_xyxy, box_labels=c.box_labels)
            for frame_index, c in records.concepts
        ]
        placed = sorted(
            (frame_index, obj_id, keyframe)
            for obj_id, keyframes in records.keyframes.items()
            for frame_index, keyframe in keyframes.items()
        )
        prompts += [_save(*place) for place in placed]
        return PromptList(
            prompts,
            model=session.model.name,
            next_id=records.next_id,
            removed=records.removed,
            found=records.found,
            twins=records.twins,
        )


def prompted_objects(session: VideoSession, frame_index: int) -> frozenset[int]:
    """Objects whose mask on a frame answers a prompt there."""
    with session._lock:
        keyframes = session._records.keyframes
        return frozenset(i for i, frames in keyframes.items() if frame_index in frames)


def restore_prompts(session: VideoSession, prompts: PromptList) -> list[str]:
    """Bring a new session to where an earlier one was: its objects, ids, and the answers of then.

    Answers of another model than the session's are not used: the prompts are then said anew.

    Parameters
    ----------
    session : VideoSession
        On the same video, without prompts.
    prompts : PromptList
        As `list_prompts` gave them.

    Returns
    -------
    list of str
        What could not be restored, a sentence each.

    Raises
    ------
    RequestError
        If the session has prompts already.
    """
    if session.object_ids or session._records.version:
        raise RequestError(
            "prompts can be restored in a new session only: this one has objects; reset it first"
        )
    if prompts.model != session.model.name:
        return _say_anew(session, prompts)
    problems: list[str] = []
    keyframes: dict[int, dict[int, Keyframe]] = {}
    concepts: list[tuple[int, Concept]] = []
    unanswered: list[SavedPrompt] = []
    for prompt in prompts:
        try:
            _check(session, prompt)
        except RequestError as exc:
            problems.append(f"a prompt is lost: {exc}")
            continue
        if prompt.is_concept and prompt.obj_id is None:
            concept = Concept(prompt.text, prompt.boxes_xyxy, prompt.box_labels)
            concepts.append((prompt.frame_index, concept))
        elif prompt.is_answered and prompt.obj_id is not None and not prompt.is_concept:
            frames = keyframes.setdefault(prompt.obj_id, {})
            frames[prompt.frame_index] = _restore(prompt)
        else:
            unanswered.append(prompt)
    session._records.restore(
        keyframes,
        tuple(concepts),
        found=prompts.found,
        removed=prompts.removed,
        twins=prompts.twins,
        next_id=prompts.next_id,
    )
    return problems + _say_anew(session, unanswered)


def _save(frame_index: int, obj_id: int, keyframe: Keyframe) -> SavedPrompt:
    prompt = keyframe.prompt
    return SavedPrompt(
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


def _restore(prompt: SavedPrompt) -> Keyframe:
    prior = prompt.answer if prompt.is_found else prompt.prior
    said = ObjectPrompt(
        prompt.points_xy,
        prompt.point_labels,
        prompt.box_xyxy,
        None if prompt.mask is None else prompt.mask.mask,
        prior,
    )
    return Keyframe(said, prompt.answer)


def _check(session: VideoSession, prompt: SavedPrompt) -> None:
    """Refuse what the session would refuse."""
    height, width = session.frame_size
    for mask in (prompt.mask, prompt.answer, prompt.prior):
        if mask is not None and mask.size != (height, width):
            raise PromptFileError(
                f"{prompt.origin}: a mask is of {mask.size}, the frames of {(height, width)}"
            )
    boxes = prompt.boxes_xyxy if prompt.box_xyxy is None else [prompt.box_xyxy]
    # negative points alone are right where there was something to correct
    try:
        check_prompt(
            session.frame_size,
            len(session.video),
            frame_index=prompt.frame_index,
            text=prompt.text or ("found" if prompt.is_found else None),
            points=prompt.points_xy,
            point_labels=prompt.point_labels,
            boxes=boxes,
            box_labels=prompt.box_labels if prompt.is_concept else None,
            obj_id=prompt.obj_id,
            mask=None if prompt.mask is None else prompt.mask.mask,
            exemplar=prompt.is_concept and len(prompt.boxes_xyxy) > 0,
        )
    except RequestError as exc:
        raise PromptFileError(f"{prompt.origin}: {exc}") from exc


def _say_anew(session: VideoSession, prompts: Sequence[SavedPrompt]) -> list[str]:
    """Say them one by one, so that one that can't be said is lost alone."""
    problems = []
    texts = {p.frame_index for p in prompts if p.is_concept}
    for prompt in sorted(prompts, key=lambda p: p.is_concept):
        if prompt.is_found and prompt.frame_index in texts:
            continue
        try:
            apply_prompts(session, [prompt])
        except RequestError as exc:
            problems.append(f"a prompt is lost: {exc}")
    if isinstance(prompts, PromptList):
        for obj_id in prompts.removed.intersection(session.object_ids):
            session.remove_object(obj_id)
    return problems
