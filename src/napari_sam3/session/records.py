"""All that a session remembers: ids, prompts, what was removed, the newest masks."""

from __future__ import annotations

from collections.abc import Mapping

from napari_sam3.values import (
    Concept,
    FrameResult,
    Journal,
    Keyframe,
    ObjectMask,
    PackedMask,
    without_overlap,
)


class Draft:
    """What a prompt is about to change; thrown away if anything fails."""

    def __init__(self, next_id: int) -> None:
        self.next_id = next_id
        self.keyframes: dict[int, Keyframe] = {}
        self.concept: Concept | None = None

    def new_id(self) -> int:
        """The next free id."""
        return self.take_id(self.next_id)

    def take_id(self, obj_id: int) -> int:
        """An id that a caller named; ids issued later are higher."""
        self.next_id = max(self.next_id, obj_id + 1)
        return obj_id


class Records:
    """The memory of one session, from its start or its last reset.

    Attributes
    ----------
    keyframes : dict of object id to dict of frame index to Keyframe
        Of every object ever prompted; removed ones stay, so that text never brings them back.
    concepts : tuple of (frame index, Concept)
        What was looked for.
    version : int
        Rises with every change of the prompts.
    hold_back : bool
        What journals say of it.
    """

    def __init__(self, hold_back: bool = False) -> None:
        self.hold_back = hold_back
        self.keyframes: dict[int, dict[int, Keyframe]] = {}
        self.concepts: tuple[tuple[int, Concept], ...] = ()
        self.removed: set[int] = set()
        self.version = 0
        self._next_id = 1
        self._issued: set[int] = set()
        self._found: set[int] = set()  # by a concept, before anybody pointed at them
        # the newest masks of a frame, overlaps and removed objects included
        self._shown: dict[int, dict[int, PackedMask]] = {}

    @property
    def object_ids(self) -> tuple[int, ...]:
        """Ids of the objects there are, rising."""
        return tuple(sorted(self._issued - self.removed))

    def say_ids(self) -> str:
        """The ids as words, for a message."""
        return ", ".join(map(str, self.object_ids)) or "none yet"

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

    def journal(self, *, with_removed: bool = False) -> Journal:
        """The prompts, for a model."""
        hidden = set() if with_removed else self.removed
        return Journal(
            {i: dict(k) for i, k in self.keyframes.items() if i not in hidden},
            self.concepts,
            self.hold_back,
        )

    # ------------------------------------------------------------- changes

    def draft(self) -> Draft:
        """Begin a change."""
        return Draft(self._next_id)

    def commit(self, frame_index: int, draft: Draft, present: Mapping[int, ObjectMask]) -> None:
        """Carry out a change of the prompts on a frame; `present` is what else was seen there."""
        self._next_id = draft.next_id
        self._issued.update(draft.keyframes)
        shown = self._shown.setdefault(frame_index, {})
        for obj_id, mask in present.items():
            shown[obj_id] = PackedMask.pack(mask)
        for obj_id, keyframe in draft.keyframes.items():
            if not keyframe.prompt.is_manual:
                self._found.add(obj_id)
            self.keyframes.setdefault(obj_id, {})[frame_index] = keyframe
            shown.pop(obj_id, None)
            if keyframe.mask is not None:
                shown[obj_id] = PackedMask.pack(keyframe.mask)
        if draft.concept is not None:
            self.concepts += ((frame_index, draft.concept),)
        self.version += 1

    def issue_id(self) -> int:
        """An id for an object that a model finds by itself."""
        number = self._next_id
        self._next_id += 1
        self._issued.add(number)
        self._found.add(number)
        return number

    def take_back(self, frame_index: int, obj_id: int) -> None:
        """Undo the prompt of an object on a frame; without any prompt left there is no object."""
        keyframes = self.keyframes[obj_id]
        prior = keyframes.pop(frame_index).prompt.prior
        shown = self._shown.get(frame_index, {})
        shown.pop(obj_id, None)
        if prior is not None:
            shown[obj_id] = PackedMask.pack(prior)
        if not keyframes:
            del self.keyframes[obj_id]
            self._issued.discard(obj_id)
            for masks in self._shown.values():
                masks.pop(obj_id, None)
        self.version += 1

    def remove(self, obj_id: int) -> None:
        """Hide an object for good."""
        self.removed.add(obj_id)
        self.version += 1

    # --------------------------------------------------------------- masks

    def shown_mask(self, frame_index: int, obj_id: int) -> ObjectMask | None:
        """The newest mask of an object on a frame."""
        packed = self._shown.get(frame_index, {}).get(obj_id)
        return None if packed is None else packed.unpack()

    def show(self, frame_index: int, masks: Mapping[int, ObjectMask]) -> FrameResult:
        """Take over a frame; an object that is not in `masks` is not there."""
        self._shown[frame_index] = {i: PackedMask.pack(m) for i, m in masks.items()}
        return self._visible(frame_index, masks)

    def result(self, frame_index: int) -> FrameResult:
        """What is to be seen on a frame."""
        shown = self._shown.get(frame_index, {})
        return self._visible(frame_index, {i: packed.unpack() for i, packed in shown.items()})

    def _visible(self, frame_index: int, masks: Mapping[int, ObjectMask]) -> FrameResult:
        present = {i: mask for i, mask in masks.items() if i not in self.removed}
        return FrameResult(frame_index, without_overlap(present))
