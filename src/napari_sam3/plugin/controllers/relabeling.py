"""What parting, joining and swapping objects means for labels, for what is known and for prompts.

Plans only, made of how things are now; `track_edits` carries them out. `marks` are the frames that
prompts of layers speak of, each with its object; None for labels that nobody follows.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from napari_sam3.errors import LayerError, LineageError
from napari_sam3.labels.label_stack import LabelStack
from napari_sam3.labels.object_info import ObjectInfo
from napari_sam3.labels.object_notes import PAINTED, SOURCES, ObjectNote
from napari_sam3.labels.objects import ObjectTable

Key = tuple[int, int]
"""Frame index, object id."""

Marks: TypeAlias = Collection[Key] | None

_PROMPT = SOURCES.index("prompt")


class Sightings(NamedTuple):
    """On which frames some objects are.

    Attributes
    ----------
    frames : dict of id to list of int
        Rising.
    prompted : dict of id to list of int
        Those of them on which the mask answers a prompt.
    doubtful : list of int
        Frames of which nobody has noted who is on them.
    """

    frames: Mapping[int, list[int]]
    prompted: Mapping[int, list[int]]
    doubtful: list[int]

    @property
    def all_frames(self) -> list[int]:
        """Every frame that one of them may be on."""
        return sorted({*self.doubtful, *(f for own in self.frames.values() for f in own)})


def find_sightings(planes: LabelStack, obj_ids: Collection[int]) -> Sightings:
    """Where objects are, by the notes; pixels are looked at only where nothing is noted."""
    processed = planes.processed_frames()
    notes = planes.noted(processed)
    doubtful = np.setdiff1d(np.arange(len(processed)), notes["place"])
    frames, prompted = dict[int, list[int]](), dict[int, list[int]]()
    unnoted = [n for n in processed[doubtful].tolist() if planes[n].any()]
    for obj_id in obj_ids:
        own = notes[notes["id"] == obj_id]
        frames[obj_id] = processed[own["place"]].tolist()
        prompted[obj_id] = processed[own["place"][own["source"] == _PROMPT]].tolist()
        frames[obj_id] += [n for n in unnoted if (planes[n] == obj_id).any()]
        frames[obj_id].sort()
    return Sightings(frames, prompted, unnoted)


@dataclass(frozen=True)
class Relabeling:
    """Objects that get other ids, on some frames.

    Attributes
    ----------
    label : str
        What it does, as a menu says after "Undo".
    new_ids : mapping of id to id
        Which are which then, from `begin` on.
    begin : int
        The first frame that it is so on.
    frames : list of int
        Those whose labels change.
    edit_table : callable
        Changes what is known of the objects.
    pinned : collection of (frame index, new id)
        Masks that count as drawn by a person from then on: nothing else tells a later propagation.
    gone : collection of id
        Objects that are no more.
    """

    label: str
    new_ids: Mapping[int, int]
    begin: int
    frames: Sequence[int]
    edit_table: Callable[[ObjectTable], object]
    pinned: Collection[Key] = field(default_factory=frozenset)
    gone: Collection[int] = ()

    def edit(
        self, frame_index: int, labels: NDArray[Any], notes: Mapping[int, ObjectNote]
    ) -> tuple[NDArray[Any], dict[int, ObjectNote]]:
        """The (H, W) labels and the notes of a frame as they shall be."""
        changed, said = labels.copy(), dict(notes)
        for old in self.new_ids:
            said.pop(old, None)
        for old, new in self.new_ids.items():
            here, there = labels == old, labels == new
            changed[here] = new
            note = notes.get(old)
            if note is None:
                continue
            if new in self.new_ids:  # whose own note goes elsewhere
                said[new] = note
            elif new not in notes:
                if here.any() or not there.any():
                    said[new] = note
            # an area that is painted in part is what a person drew
            elif here.any() and (note == PAINTED or not there.any()):
                said[new] = note
        for frame, obj_id in self.pinned:
            if frame == frame_index and (changed == obj_id).any():
                said[obj_id] = PAINTED
        return changed, said

    def name_of(self, obj_id: int, frame_index: int) -> int:
        """The id that a prompt on a frame is for then."""
        return self.new_ids.get(obj_id, obj_id) if frame_index >= self.begin else obj_id


def plan_split(
    planes: LabelStack,
    table: ObjectTable,
    marks: Marks,
    obj_id: int,
    new: int,
    begin: int,
) -> Relabeling:
    """The tail of an object, from a frame on, becomes a new object.

    Raises
    ------
    LayerError
        If it has no frames before, or none from there on.
    LockedObjectError
        If it is locked.
    """
    table.check_unlocked(obj_id)
    seen = find_sightings(planes, [obj_id])
    tail = [n for n in seen.frames[obj_id] if n >= begin]
    if not tail or len(tail) == len(seen.frames[obj_id]):
        where = "from there on" if not tail else "before it"
        raise LayerError(
            f"object {obj_id} can't be split at frame {begin}: it is on no frame {where}; go to "
            "the first frame of what shall be another object"
        )

    def edit(known: ObjectTable) -> None:
        info, division = known[obj_id], known.division_of(obj_id)
        if division is not None and division.frame_index > begin:
            known.unmark_division(obj_id)
            known.mark_division(new, division.daughters, division.frame_index)
        known.set(
            replace(
                known[new],
                class_name=info.class_name,
                begins_at=begin,
                ends_at=info.ends_at,
            )
        )
        known.set(replace(known[obj_id], ends_at=begin))

    new_ids = {obj_id: new}
    label = f"split object {obj_id} at frame {begin}"
    pinned = _pins(seen, marks, new_ids, begin)
    return Relabeling(label, new_ids, begin, tail, edit, pinned)


def plan_swap(
    planes: LabelStack,
    table: ObjectTable,
    marks: Marks,
    one: int,
    other: int,
    begin: int,
) -> Relabeling:
    """Two objects change ids from a frame on.

    Raises
    ------
    LayerError
        If neither is on a frame from there on.
    LineageError
        If they are one, or their divisions can't be then.
    LockedObjectError
        If one is locked.
    """
    if one == other:
        raise LineageError(f"object {one} can't be swapped with itself; choose another one")
    table.check_unlocked(one, other)
    seen = find_sightings(planes, [one, other])
    frames = [n for n in seen.all_frames if n >= begin]
    if not frames:
        raise LayerError(
            f"objects {one} and {other} can't be swapped at frame {begin}: neither is on a frame "
            "from there on; go to the first frame that is wrong"
        )
    new_ids = {one: other, other: one}
    label = f"swap objects {one} and {other} from frame {begin} on"
    pinned = _pins(seen, marks, new_ids, begin)

    def edit(known: ObjectTable) -> None:
        _swap_known(known, new_ids, begin)

    return Relabeling(label, new_ids, begin, frames, edit, pinned)


def plan_merge(
    planes: LabelStack,
    table: ObjectTable,
    marks: Marks,
    obj_ids: Iterable[int],
    into: int,
) -> Relabeling:
    """Several objects become one.

    Raises
    ------
    LineageError
        If one is to be merged with itself, or two of them divide, have mothers, or come of each
        other.
    LockedObjectError
        If one is locked.
    """
    gone = list(dict.fromkeys(obj_ids))
    if into in gone or not gone:
        raise LineageError(f"object {into} can't be merged with itself; choose another one")
    table.check_unlocked(into, *gone)
    seen = find_sightings(planes, gone)
    new_ids = dict.fromkeys(gone, into)
    names = str(gone[0]) if len(gone) == 1 else f"{', '.join(map(str, gone[:-1]))} and {gone[-1]}"
    label = f"merge object{'' if len(gone) == 1 else 's'} {names} into {into}"

    def edit(known: ObjectTable) -> None:
        for obj_id in gone:
            _merge_known(known, obj_id, into)

    pinned = _pins(seen, marks, new_ids, 0)
    return Relabeling(label, new_ids, 0, seen.all_frames, edit, pinned, gone)


def _pins(seen: Sightings, marks: Marks, new_ids: Mapping[int, int], begin: int) -> frozenset[Key]:
    """Masks that prompts of layers do not tell: the first of each, and answers of other prompts."""
    pins = set[Key]()
    if marks is None:
        return frozenset()
    for old, new in new_ids.items():
        own = [n for n in seen.frames.get(old, ()) if n >= begin]
        prompted = [n for n in seen.prompted.get(old, ()) if n >= begin]
        pins.update((n, new) for n in {*own[:1], *prompted} if (n, old) not in marks)
    return frozenset(pins)


def _swap_known(table: ObjectTable, new_ids: Mapping[int, int], begin: int) -> None:
    """Let the lives and divisions of two objects change places from a frame on."""
    infos = {i: table[i] for i in new_ids}
    later = [
        d
        for d in table.divisions
        if d.frame_index > begin and new_ids.keys() & {d.mother, *d.daughters}
    ]
    for division in later:
        table.unmark_division(division.mother)
    for old, new in new_ids.items():
        mine = infos[old]
        begins = begin if (mine.begins_at or 0) > begin else mine.begins_at
        ends = _end_of_tail(infos[new], begin)
        table.set(replace(table[old], begins_at=begins, ends_at=ends))
    for mother, daughters, frame_index in later:
        named = [new_ids.get(i, i) for i in daughters]
        table.mark_division(new_ids.get(mother, mother), named, frame_index)


def _end_of_tail(info: ObjectInfo, begin: int) -> int | None:
    return begin if info.ends_at is not None and info.ends_at < begin else info.ends_at


def _merge_known(table: ObjectTable, obj_id: int, into: int) -> None:
    """Say of one object what was said of two."""
    gone, kept = table[obj_id], table[into]
    division, other = table.division_of(obj_id), table.division_of(into)
    birth = None if gone.mother is None else table.division_of(gone.mother)
    if division is not None and other is not None:
        raise LineageError(
            f"objects {obj_id} and {into} can't be merged, for both divide; unmark one division"
        )
    table.remove(obj_id)
    if birth is not None:
        daughters = [into if one == obj_id else one for one in birth.daughters]
        table.mark_division(birth.mother, daughters, birth.frame_index)
    if division is not None:
        table.mark_division(into, division.daughters, division.frame_index)
    begins, ends = (gone.begins_at, kept.begins_at), (gone.ends_at, kept.ends_at)
    table.set(
        replace(
            table[into],
            name=kept.name or gone.name,
            class_name=kept.class_name or gone.class_name,
            color=kept.color or gone.color,
            is_accepted=kept.is_accepted or gone.is_accepted,
            begins_at=None if None in begins else min(n for n in begins if n is not None),
            ends_at=None if None in ends else max(n for n in ends if n is not None),
        )
    )
