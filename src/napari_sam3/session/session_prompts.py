"""Saved prompts said to a session anew, or restored in it with the answers of then."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from napari_sam3.errors import PromptFileError, RequestError
from napari_sam3.session.saved_prompts import PromptList, SavedPrompt
from napari_sam3.session.session import VideoSession
from napari_sam3.session.session_state import SAME_OBJECT
from napari_sam3.session.validation import check_prompt
from napari_sam3.values import Concept, FrameResult, Keyframe


def apply_prompts(session: VideoSession, prompts: Iterable[SavedPrompt]) -> list[int]:
    """Say prompts to a session, as a person would; the model answers each.

    Objects that were pointed at come first, so that their ids are theirs whatever a text finds.

    Parameters
    ----------
    session : VideoSession
        To be prompted.
    prompts : iterable of SavedPrompt
        Answers in them are not used; see `restore_prompts`.

    Returns
    -------
    list of int
        The frames prompted, rising.

    Raises
    ------
    PromptFileError
        If one does not fit the video or the model; those before it hold.
    """
    return _apply(session, prompts, None)


def restore_prompts(session: VideoSession, prompts: PromptList) -> list[str]:
    """Bring a new session to where an earlier one was: its objects, ids, and the answers of then.

    Answers of another model than the session's are not used: the prompts are then said anew.

    Parameters
    ----------
    session : VideoSession
        On the same video, without prompts.
    prompts : PromptList
        As `VideoSession.list_prompts` gave them.

    Returns
    -------
    list of str
        What could not be restored, a sentence each.

    Raises
    ------
    RequestError
        If the session has prompts already.
    """
    if session.object_ids or session.was_prompted:
        raise RequestError(
            "prompts can be restored in a new session only: this one has objects; reset it first"
        )
    problems: list[str] = []
    if prompts.model != session.model.name:
        _apply(session, prompts, problems)
        return problems
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
            frames[prompt.frame_index] = prompt.to_keyframe()
        else:
            unanswered.append(prompt)
    session.restore(keyframes, concepts, prompts)
    _apply(session, unanswered, problems)
    return problems


def _apply(
    session: VideoSession, prompts: Iterable[SavedPrompt], problems: list[str] | None
) -> list[int]:
    """Say them one by one; one that can't be said is an error, or a problem and lost alone."""
    all_prompts = list(prompts)
    texts = {p.frame_index for p in all_prompts if p.is_concept}
    removed = prompts.removed if isinstance(prompts, PromptList) else frozenset()
    rejected = [p for p in all_prompts if p.is_found and p.obj_id in removed]
    frames = set()
    for prompt in sorted(all_prompts, key=lambda p: p.is_concept):
        if prompt.is_found and prompt.frame_index in texts:
            continue  # the concept is looked for anew
        frames.add(prompt.frame_index)
        try:
            said = _arguments(prompt, session.frame_size)
            result = session.add_prompt(prompt.frame_index, **said)
        except RequestError as exc:
            error = _with_origin(prompt, exc)
            if problems is None:
                raise error from exc
            problems.append(f"a prompt is lost: {error}")
            continue
        if prompt.is_concept:
            _remove_again(session, result, rejected)
    # another model gives what it finds other ids: where something was removed tells, if it is known
    known = {p.obj_id for p in rejected if p.answer is not None}
    for obj_id in (removed - known).intersection(session.object_ids):
        session.remove_object(obj_id)
    return sorted(frames)


def _remove_again(
    session: VideoSession, result: FrameResult, rejected: Iterable[SavedPrompt]
) -> None:
    """Of what a concept has found anew, remove what lies where something was removed."""
    gone = [p.answer for p in rejected if p.frame_index == result.frame_index]
    for obj_id in session.found_objects.intersection(result.objects):
        found = result.objects[obj_id]
        if any(mask is not None and found.overlap(mask) > SAME_OBJECT for mask in gone):
            session.remove_object(obj_id)


def _arguments(prompt: SavedPrompt, size: tuple[int, int]) -> dict[str, Any]:
    """What `add_prompt` is told."""
    mask = prompt.mask
    if prompt.is_mere_correction:
        # there is nothing else to go by but what was shown
        mask = prompt.answer if prompt.is_found else prompt.prior
    if mask is not None and mask.size != size:
        raise PromptFileError(f"a mask is of size {mask.size}, the video's frames of {size}")
    arguments: dict[str, Any] = {"obj_id": prompt.obj_id, "text": prompt.text}
    if prompt.is_concept and len(prompt.boxes_xyxy):
        arguments |= {"boxes": prompt.boxes_xyxy, "box_labels": prompt.box_labels, "exemplar": True}
    elif prompt.box_xyxy is not None:
        arguments["boxes"] = [prompt.box_xyxy]
    if len(prompt.points_xy):
        arguments |= {"points": prompt.points_xy, "point_labels": prompt.point_labels}
    if mask is not None:
        arguments["mask"] = mask.mask
    return arguments


def _check(session: VideoSession, prompt: SavedPrompt) -> None:
    """Refuse what the session would refuse."""
    size = session.frame_size
    for mask in (prompt.mask, prompt.answer, prompt.prior):
        if mask is not None and mask.size != size:
            raise PromptFileError(
                f"{prompt.origin}: a mask is of {mask.size}, the frames of {size}"
            )
    arguments = _arguments(prompt, size)
    if prompt.is_found:  # no mask may be there, if the model answered that the object is not
        arguments["text"] = "found"
        arguments.pop("mask", None)
    try:
        check_prompt(size, len(session.video), frame_index=prompt.frame_index, **arguments)
    except RequestError as exc:
        raise _with_origin(prompt, exc) from exc


def _with_origin(prompt: SavedPrompt, error: RequestError) -> PromptFileError:
    return PromptFileError(f"{prompt.origin}: {error}" if prompt.origin else str(error))
