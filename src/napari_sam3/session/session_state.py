"""All that a session remembers: ids, prompts, what was removed, the newest masks."""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

from napari_sam3.errors import RequestError, UnknownObjectError
from napari_sam3.session.answers import Answers
from napari_sam3.session.saved_prompts import PromptList, SavedPrompt
from napari_sam3.session.stale_frames import StaleFrames, frames_between
from napari_sam3.values import (
    MAX_OBJECT_ID,
    Concept,
    FrameResult,
    Journal,
    Keyframe,
    ObjectMask,
    PackedMask,
    without_overlap,
)

SAME_OBJECT = 0.5
"""Overlap (IoU) above which two masks of a frame mean the same thing (contract, "Objects")."""

MOST_KNOWN = 8
"""Frames that a model is told of an earlier session."""


class Draft:
    """What a prompt is about to change; thrown away if anything fails."""

    def __init__(self, next_id: int) -> None:
        self.next_id = next_id
        self.keyframes: dict[int, Keyframe] = {}
        self.concept: Concept | None = None

    def new_id(self) -> int:
        """The next free id."""
        return self.take_id(_check_free(self.next_id))

    def take_id(self, obj_id: int) -> int:
        """An id that a caller named; ids issued later are higher."""
        self.next_id = max(self.next_id, obj_id + 1)
        return obj_id


def _check_free(obj_id: int) -> int:
    if obj_id > MAX_OBJECT_ID:
        raise RequestError(
            f"no id is free for a new object: {MAX_OBJECT_ID}, the highest, is in use; name a "
            "lower one with obj_id"
        )
    return obj_id


class Said(NamedTuple):
    """All that a session was told and has answered, at a moment; see `VideoSession.said`."""

    keyframes: Mapping[int, Mapping[int, Keyframe]]
    concepts: tuple[tuple[int, Concept], ...]
    removed: frozenset[int]
    next_id: int
    issued: frozenset[int]
    found: frozenset[int]
    followed: frozenset[int]
    twins: frozenset[tuple[int, int]]
    undone: frozenset[int]
    stale: Mapping[int, tuple[range, ...]]


class SessionState:
    """The memory of one session, from its start or its last reset.

    Attributes
    ----------
    keyframes : dict of object id to dict of frame index to Keyframe
        Of every object ever prompted; removed ones stay, so that text never brings them back.
    concepts : tuple of (frame index, Concept)
        What was looked for.
    n_frames : int
        Of the video.
    version : int
        Rises with every change of the prompts.
    stale : StaleFrames
        Where prompts have changed since objects were followed.
    hold_back : bool
        What journals say of it.
    answers : Answers
        What the model answered last; shared with trials.
    begun_nearly : set of int
        Frames before which the tracker was let go on from what was shown, in place of computing
        the way there: what it has computed since is near what it would be; shared with trials.
    is_alive : callable or None
        Says of an object id and a frame index whether the object is to be seen there.
    recall : callable or None
        Gives what an earlier session had shown on a frame, by object id; None where nothing.
    earlier : tuple of range
        The frames, in the order they were computed in, that an earlier session had shown with the
        prompts that were restored.
    """

    def __init__(
        self,
        n_frames: int = 0,
        hold_back: bool = False,
        is_alive: Callable[[int, int], bool] | None = None,
    ) -> None:
        self.n_frames = n_frames
        self.hold_back = hold_back
        self.is_alive = is_alive
        self.answers = Answers()
        self.begun_nearly: set[int] = set()
        self.keyframes: dict[int, dict[int, Keyframe]] = {}
        self.concepts: tuple[tuple[int, Concept], ...] = ()
        self.removed: set[int] = set()
        self.version = 0
        self.stale = StaleFrames()
        self._next_id = 1
        self._issued: set[int] = set()
        self._found: set[int] = set()  # by a concept, before anybody pointed at them
        self._followed: set[int] = set()  # of those, the ones that a propagation has followed
        self._twins: set[tuple[int, int]] = set()  # an object pointed at; the same, found
        # the newest masks of a frame, overlaps and removed objects included
        self._shown: dict[int, dict[int, PackedMask]] = {}
        self.recall: Callable[[int], Mapping[int, ObjectMask] | None] | None = None
        self.earlier: tuple[range, ...] = ()
        self._changed: set[int] = set()  # frames whose prompts are not as they were restored
        self._undone: set[int] = set()  # objects that lost their last prompt: not to be recalled

    def trial(self, frame_index: int) -> SessionState:
        """One that begins as this one is, for prompts on a frame; they change nothing here."""
        twin = copy.copy(self)
        twin.keyframes = {i: dict(k) for i, k in self.keyframes.items()}
        for name in ("removed", "_issued", "_found", "_followed", "_twins", "_changed", "_undone"):
            setattr(twin, name, set(getattr(self, name)))
        shown = self._shown.get(frame_index)
        twin._shown = {} if shown is None else {frame_index: dict(shown)}
        return twin

    @property
    def object_ids(self) -> tuple[int, ...]:
        """Ids of the objects there are, rising."""
        return tuple(sorted(self._issued - self.removed))

    @property
    def found_objects(self) -> frozenset[int]:
        """Ids of those that a concept has found, and nobody has pointed at."""
        found = self._found & self._issued - self.removed
        return frozenset(
            i
            for i in found
            if not any(k.prompt.is_manual for k in list(self.keyframes.get(i, {}).values()))
        )

    @property
    def prompted_frames(self) -> list[int]:
        """Frames with a prompt that still counts."""
        frames = [f for i in self.object_ids for f in self.keyframes.get(i, {})]
        return frames + [f for f, _ in self.concepts]

    def pointed_at(self, frame_index: int) -> set[int]:
        """Ids of the objects that are where a person pointed, as against found by a concept alone.

        One that a concept found first is so from the first prompt of the person's on: a correction
        leaves the frames before it as they were.
        """
        pointed = set()
        for obj_id, keyframes in self.keyframes.items():
            frames = [f for f, keyframe in keyframes.items() if keyframe.prompt.is_manual]
            if frames and (obj_id not in self._found or frame_index >= min(frames)):
                pointed.add(obj_id)
        return pointed

    def journal(
        self,
        leg: range,
        *,
        with_removed: bool = False,
        only: Collection[int] | None = None,
        knows: bool = True,
    ) -> Journal:
        """The prompts, for a model that is asked for the frames of `leg`; see `Journal.only`.

        `knows` says whether it may go on from what an earlier session had shown before them.
        """
        hidden = set() if with_removed else self.removed
        return Journal(
            {i: dict(k) for i, k in self.keyframes.items() if i not in hidden},
            self.concepts,
            self.hold_back,
            self.known_before(leg, with_removed=with_removed) if knows else {},
            frozenset(self._found),
            None if self.recall is None else self._recalled,
            None if only is None else frozenset(only),
        )

    def known_before(self, leg: range, *, with_removed: bool) -> dict[int, dict[int, ObjectMask]]:
        """The newest frames on the way to a leg that an earlier session has computed."""
        hidden = set() if with_removed else self.removed
        if self.concepts and self.removed:
            return {}  # a removed object is not shown, and would be found anew there
        step = leg.step
        # a frame depends on the prompts that lie before it on its way, and on no others
        end = min([leg[0], *self._changed], key=lambda f: f * step)
        newest = range(0)
        for done in (d for d in self.earlier if d and d.step == step):
            true = done[: max(0, (end - done[0]) * step)]
            if true and (not newest or (true[-1] - newest[-1]) * step > 0):
                newest = true[-MOST_KNOWN:]
        known = {}
        for frame_index in newest:
            masks = self._recalled(frame_index)
            if masks is not None:
                known[frame_index] = {i: m for i, m in masks.items() if i not in hidden}
        if known:
            self.begun_nearly.add(leg[0])
        return known

    def mark_stale(self, ranges: Iterable[range]) -> None:
        """Know that prompts have changed since objects were followed on frames; of any of them."""
        for obj_id, keyframes in self.keyframes.items():
            for frames in ranges:
                self.stale.add(obj_id, frames)
            for frame_index in keyframes:
                self.stale.discard(obj_id, range(frame_index, frame_index + 1))

    def changed_near(self, frame_index: int) -> set[int]:
        """Objects whose prompts have changed so that a frame, or one beside it, is stale."""
        near = range(frame_index - 1, frame_index + 2)
        return {i for i in self.object_ids if any(self.stale.holds(i, f) for f in near)}

    # -------------------------------------------------------------- checks

    def check_not_removed(self, obj_id: int | None) -> None:
        """Refuse the id of a removed object."""
        if obj_id in self.removed:
            raise UnknownObjectError(
                f"object {obj_id} was removed, and ids are not used again; "
                "leave out obj_id to get a new one"
            )

    def check_known(self, obj_id: int) -> None:
        """Refuse the id of no object."""
        if obj_id not in self.object_ids:
            raise UnknownObjectError(
                f"no object {obj_id} to remove; the objects are: {self._format_ids()}"
            )

    def check_prompted(self, frame_index: int, obj_id: int) -> None:
        """Refuse a frame on which nothing was said of an object."""
        if obj_id not in self.object_ids or frame_index not in self.keyframes.get(obj_id, {}):
            raise UnknownObjectError(
                f"object {obj_id} has no prompt on frame {frame_index} to take back; "
                f"the objects are: {self._format_ids()}"
            )

    def _format_ids(self) -> str:
        return ", ".join(map(str, self.object_ids)) or "none yet"

    # ------------------------------------------------------------- changes

    def draft(self) -> Draft:
        """Begin a change."""
        return Draft(self._next_id)

    def commit(self, frame_index: int, draft: Draft, present: Mapping[int, ObjectMask]) -> None:
        """Carry out a change of the prompts on a frame; `present` is what else was seen there."""
        self._next_id = draft.next_id
        self._issued.update(draft.keyframes)
        self._changed.add(frame_index)
        shown = self._shown_on(frame_index)
        for obj_id, mask in present.items():
            shown[obj_id] = PackedMask.pack(mask)
        for obj_id, keyframe in draft.keyframes.items():
            if not keyframe.prompt.is_manual:
                self._found.add(obj_id)
            self.keyframes.setdefault(obj_id, {})[frame_index] = keyframe
            self._note_change(obj_id, frame_index)
            self.stale.discard(obj_id, range(frame_index, frame_index + 1))
            shown.pop(obj_id, None)
            if keyframe.mask is not None:
                if keyframe.prompt.is_manual:
                    self._note_twins(obj_id, keyframe.mask, shown)
                shown[obj_id] = PackedMask.pack(keyframe.mask)
        if draft.concept is not None:
            self.concepts += ((frame_index, draft.concept),)
        self.version += 1

    def issue_id(self) -> int:
        """An id for an object that a model finds by itself."""
        number = _check_free(self._next_id)
        self._next_id += 1
        self._issued.add(number)
        self._found.add(number)
        return number

    def take_back(self, frame_index: int, obj_id: int) -> None:
        """Undo the prompt of an object on a frame; without any prompt left there is no object."""
        keyframes = self.keyframes[obj_id]
        prior = keyframes.pop(frame_index).prompt.prior
        self._changed.add(frame_index)
        shown = self._shown_on(frame_index)
        shown.pop(obj_id, None)
        if prior is not None:
            shown[obj_id] = PackedMask.pack(prior)
        self._note_change(obj_id, frame_index)
        if not keyframes:
            del self.keyframes[obj_id]
            self.stale.forget(obj_id)
            self._issued.discard(obj_id)
            self._undone.add(obj_id)
            for masks in self._shown.values():
                masks.pop(obj_id, None)
        self.version += 1

    def remove(self, obj_id: int) -> None:
        """Hide an object for good, and with it what a concept had found in its place."""
        gone = {obj_id, *(other for one, other in self._twins if one == obj_id)}
        self.removed |= gone
        for one in gone:
            self.stale.forget(one)
        self.version += 1

    def _note_change(self, obj_id: int, frame_index: int) -> None:
        """What is shown of an object was found with other prompts, up to its next keyframes."""
        keyframes = self.keyframes[obj_id]
        self.stale.add(obj_id, frames_between(frame_index, keyframes, self.n_frames))

    def _note_twins(self, obj_id: int, mask: ObjectMask, shown: Mapping[int, PackedMask]) -> None:
        for other in shown.keys() & self._found - {obj_id}:
            if mask.overlap(shown[other].unpack()) > SAME_OBJECT:
                self._twins.add((obj_id, other))

    def judge_newcomers(self, found: Mapping[int, ObjectMask]) -> None:
        """Take what is followed for the first time, and where a removed object is, for that object.

        What was then apart from it is another object, wherever the two are later.
        """
        removed = [mask for obj_id, mask in found.items() if obj_id in self.removed]
        for obj_id in found.keys() - self.keyframes.keys() - self._followed:
            self._followed.add(obj_id)
            if any(found[obj_id].overlap(mask) > SAME_OBJECT for mask in removed):
                self.removed.add(obj_id)

    def restore(
        self,
        keyframes: Mapping[int, Mapping[int, Keyframe]],
        concepts: Sequence[tuple[int, Concept]],
        ids: PromptList,
    ) -> None:
        """Take over the prompts of an earlier session, and its `ids`; this state must be new."""
        self.keyframes = {i: dict(frames) for i, frames in keyframes.items()}
        self.concepts = tuple(concepts)
        self._found = set(ids.found)
        self._followed = set(ids.found)
        self.removed = set(ids.removed)
        self._twins = set(ids.twins)
        self._issued = {*self.keyframes, *self._found, *self.removed}
        self._next_id = max([ids.next_id, *(i + 1 for i in self._issued)])
        self.version += 1

    def said(self) -> Said:
        """All that was told and answered."""
        return Said(
            {i: dict(frames) for i, frames in self.keyframes.items()},
            self.concepts,
            frozenset(self.removed),
            self._next_id,
            frozenset(self._issued),
            frozenset(self._found),
            frozenset(self._followed),
            frozenset(self._twins),
            frozenset(self._undone),
            self.stale.of_all(),
        )

    def go_back(self, said: Said) -> None:
        """Have been told this, and nothing else; what is shown is read from `recall` again."""
        now, before = self.keyframes, said.keyframes
        for obj_id in {*now, *before}:
            one, other = now.get(obj_id, {}), before.get(obj_id, {})
            self._changed |= {f for f in {*one, *other} if one.get(f) is not other.get(f)}
        self.keyframes = {i: dict(frames) for i, frames in before.items()}
        self.concepts, self.removed, self._next_id = said.concepts, set(said.removed), said.next_id
        self._issued, self._found = set(said.issued), set(said.found)
        self._followed, self._twins = set(said.followed), set(said.twins)
        self._undone = set(said.undone)
        self.stale.put_back(said.stale)
        self.recall_frames([*self._shown, *(f for k in self.keyframes.values() for f in k)])
        self.version += 1

    def recall_frames(self, frames: Iterable[int], obj_ids: Iterable[int] = ()) -> None:
        """Forget what was shown on frames: it is read from `recall`, where no prompt says else.

        `obj_ids` are on them, also if they had lost their last prompt meanwhile.
        """
        again = set(frames)
        self._undone.difference_update(obj_ids)
        for frame_index in again:
            self._shown.pop(frame_index, None)
        for obj_id, keyframes in self.keyframes.items():
            for frame_index in again & keyframes.keys():
                mask, shown = keyframes[frame_index].mask, self._shown_on(frame_index)
                shown.pop(obj_id, None)
                if mask is not None:
                    shown[obj_id] = PackedMask.pack(mask)

    def list_prompts(self, model: str) -> PromptList:
        """What was looked for, then each object on each frame, as it can be kept."""
        prompts = [
            SavedPrompt(frame_index, text=c.text, boxes_xyxy=c.boxes_xyxy, box_labels=c.box_labels)
            for frame_index, c in self.concepts
        ]
        places = sorted((f, i) for i, keyframes in self.keyframes.items() for f in keyframes)
        prompts += [SavedPrompt.of_keyframe(f, i, self.keyframes[i][f]) for f, i in places]
        return PromptList(
            prompts,
            model=model,
            next_id=self._next_id,
            removed=self.removed,
            found=self._found,
            twins=self._twins,
        )

    # --------------------------------------------------------------- masks

    def shown_mask(self, frame_index: int, obj_id: int) -> ObjectMask | None:
        """The newest mask of an object on a frame."""
        if frame_index not in self._shown:
            return (self._recalled(frame_index) or {}).get(obj_id)
        packed = self._shown[frame_index].get(obj_id)
        return None if packed is None else packed.unpack()

    def show(self, frame_index: int, masks: Mapping[int, ObjectMask]) -> FrameResult:
        """Take over a frame; an object that is not in `masks` is not there."""
        self._shown[frame_index] = {i: PackedMask.pack(m) for i, m in masks.items()}
        self.stale.discard_frame(frame_index)
        return self._visible(frame_index, masks)

    def is_shown(self, frame_index: int) -> bool:
        """Whether a frame was looked at, here or by an earlier session."""
        return frame_index in self._shown or self._recalled(frame_index) is not None

    def show_some(self, frame_index: int, masks: Mapping[int, ObjectMask | None]) -> FrameResult:
        """Take over some objects of a frame (None: not there); all others stay as they are."""
        shown = self._shown_on(frame_index)
        for obj_id, mask in masks.items():
            shown.pop(obj_id, None)
            if mask is not None:
                shown[obj_id] = PackedMask.pack(mask)
            self.stale.discard(obj_id, range(frame_index, frame_index + 1))
        return self.result(frame_index)

    def result(self, frame_index: int) -> FrameResult:
        """What is to be seen on a frame."""
        if frame_index not in self._shown:
            return self._visible(frame_index, self._recalled(frame_index) or {})
        shown = self._shown[frame_index]
        return self._visible(frame_index, {i: packed.unpack() for i, packed in shown.items()})

    def _shown_on(self, frame_index: int) -> dict[int, PackedMask]:
        """The newest masks of a frame that is about to be changed."""
        if frame_index not in self._shown:
            recalled = self._recalled(frame_index) or {}
            self._shown[frame_index] = {i: PackedMask.pack(m) for i, m in recalled.items()}
        return self._shown[frame_index]

    def _recalled(self, frame_index: int) -> dict[int, ObjectMask] | None:
        """What an earlier session had shown of the objects there still are."""
        masks = None if self.recall is None else self.recall(frame_index)
        if masks is None:
            return None
        return {i: m for i, m in masks.items() if i in self._issued and i not in self._undone}

    def _visible(self, frame_index: int, masks: Mapping[int, ObjectMask]) -> FrameResult:
        is_alive = self.is_alive or (lambda obj_id, frame: True)
        present = {
            i: mask
            for i, mask in masks.items()
            if i not in self.removed and is_alive(i, frame_index)
        }
        return FrameResult(frame_index, without_overlap(present))
