"""Which object is it that a concept has found? Ids for what the detector sees."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from napari_sam3.models.sam.concept_track import ConceptTrack
from napari_sam3.models.sam.search import Search
from napari_sam3.values import Journal, Keyframe, ObjectMask

SAME_OBJECT = 0.5
"""Overlap (IoU) above which two masks of a frame mean the same thing (contract, "Objects")."""


class Identities:
    """Ids of what concept tracks follow.

    What was found on the frame that a concept was asked on is the object whose keyframe agrees
    with it; without one it was refused, or taken back, and is not shown. What is found on the way
    is named when it is first shown, and keeps that name.

    Attributes
    ----------
    found : set of int
        Objects of the journal that a concept found where it was asked.
    """

    def __init__(self) -> None:
        self.found: set[int] = set()
        self._journal = Journal({})
        self._tracks: list[ConceptTrack] = []
        self._anchored: dict[ConceptTrack, dict[int, int]] = {}
        self._met: dict[tuple[ConceptTrack, int], int] = {}
        self._issued: set[int] = set()

    def follow(self, searches: Iterable[Search], journal: Journal) -> None:
        """Take over a journal and the searches that it asks for."""
        self._journal = journal
        self._tracks = [track for search in searches for track in search.all_tracks()]
        self._anchored = {}
        self._met = {key: obj_id for key, obj_id in self._met.items() if key[0] in self._tracks}
        self.found = {
            obj_id for search in searches for obj_id in self._at_anchor(search.finder).values()
        }

    def own(self, track: ConceptTrack) -> set[int]:
        """Ids of what a concept's track has found, as against met again."""
        known = {self._known(track, number) for number in track.first_seen}
        own = self.found | self._journal.found | self._issued
        return {i for i in known if i is not None and i in own}

    def cleaned_up(self, tracks: Iterable[ConceptTrack]) -> set[int]:
        """Ids of what the clean-up took away."""
        known = (self._known(track, number) for track in tracks for number in track.removed)
        return {obj_id for obj_id in known if obj_id is not None}

    def add(
        self,
        objects: dict[int, ObjectMask],
        tracks: Sequence[ConceptTrack],
        frame_index: int,
        shut: Collection[int],
        new_id: Callable[[], int],
    ) -> None:
        """Add what tracks see on a frame to the objects there.

        Parameters
        ----------
        objects : dict of object id to ObjectMask
            Those that are there already; they stay.
        shut : collection of object id
            Objects that somebody else speaks for: nothing is added under their ids.
        new_id : callable
            Issues an id.
        """
        strangers: list[tuple[ConceptTrack, int, ObjectMask]] = []
        for track in tracks:
            for number, mask in track.masks(frame_index).items():
                obj_id = self._known(track, number)
                if number in track.removed:
                    continue
                if obj_id is not None:
                    if obj_id not in shut:
                        objects.setdefault(obj_id, mask)
                elif track.first_seen[number] != track.anchor:
                    strangers.append((track, number, mask))
        for track, number, mask in strangers:
            obj_id = self._recognise(track, mask, {**self._seen(frame_index, shut), **objects})
            if obj_id is None:
                obj_id = new_id()
                self._issued.add(obj_id)
            self._met[track, number] = obj_id
            if obj_id not in shut:
                objects.setdefault(obj_id, mask)

    def name_again(self, track: ConceptTrack, before: int) -> None:
        """Name what a track found on frames up to one as an earlier process showed it there.

        Those frames are computed again and not shown, so that nothing on them gets a new name.
        """
        recall = self._journal.recall
        nameless = {
            number
            for number, frame in track.first_seen.items()
            if frame != track.anchor and self._known(track, number) is None
        }
        if recall is None:
            return
        for frame_index in range(track.anchor + track.step, before, track.step):
            if not nameless:
                return
            masks = track.masks(frame_index)
            here = [number for number in masks if number in nameless]
            shown = (recall(frame_index) or {}) if here else {}
            found = {i: mask for i, mask in shown.items() if i in self._journal.found}
            for number in here:
                obj_id = self._recognise(track, masks[number], found)
                if obj_id is not None:
                    self._met[track, number] = obj_id
                    nameless.discard(number)

    def _known(self, track: ConceptTrack, number: int) -> int | None:
        if track.first_seen.get(number) == track.anchor:
            return self._at_anchor(track).get(number)
        obj_id = self._met.get((track, number))
        journal = self._journal
        is_there = obj_id in journal.objects or obj_id in journal.found or obj_id in self._issued
        return obj_id if is_there else None

    def _at_anchor(self, track: ConceptTrack) -> Mapping[int, int]:
        if track.named is not None:
            return track.named
        if not track.has(track.anchor):
            return {}
        if track not in self._anchored:
            self._anchored[track] = match_keyframes(track, self._journal)
        return self._anchored[track]

    def _seen(self, frame_index: int, shut: Collection[int]) -> dict[int, ObjectMask]:
        """What other passes have seen on a frame, and an earlier process of what is not shut."""
        recall = self._journal.recall
        shown = (None if recall is None else recall(frame_index)) or {}
        found = self._journal.found
        seen = {i: mask for i, mask in shown.items() if i in found and i not in shut}
        for track in self._tracks:
            for number, mask in track.masks(frame_index).items():
                obj_id = self._known(track, number)
                if obj_id is not None:
                    seen.setdefault(obj_id, mask)
        return seen

    def _recognise(
        self, track: ConceptTrack, mask: ObjectMask, others: Mapping[int, ObjectMask]
    ) -> int | None:
        """The object among others that a mask is of, unless the track follows that one already."""
        own = {self._known(track, number) for number in track.first_seen}
        same = {i: mask.overlap(other) for i, other in others.items() if i not in own}
        best = max(same, key=lambda i: same[i], default=None)
        return best if best is not None and same[best] > SAME_OBJECT else None


def match_keyframes(track: ConceptTrack, journal: Journal) -> dict[int, int]:
    """Which objects were prompted where a track began: its numbers to object ids.

    A keyframe of an object that was corrected since still remembers what was found (`prior`).
    """
    pairs = []
    for number, mask in track.masks(track.anchor).items():
        for obj_id, keyframes in journal.objects.items():
            keyframe = keyframes.get(track.anchor)
            shapes = () if keyframe is None else (keyframe.prompt.prior, keyframe.mask)
            overlap = max((mask.overlap(s) for s in shapes if s is not None), default=0.0)
            if overlap > SAME_OBJECT:
                pairs.append((overlap, number, obj_id))
    matched: dict[int, int] = {}
    for _, number, obj_id in sorted(pairs, key=lambda pair: (-pair[0], pair[1], pair[2])):
        if number not in matched and obj_id not in matched.values():
            matched[number] = obj_id
    return matched


def speaks_for(step: int, frame_index: int, keyframes: Mapping[int, Keyframe]) -> bool:
    """Whether a concept's track speaks for an object on a frame, and no correction does.

    It does up to where, going the track's way, a person pointed at the object.
    """
    behind = [f for f in keyframes if (frame_index - f) * step >= 0]
    if not behind:
        return True
    return not keyframes[max(behind, key=lambda f: f * step)].prompt.is_manual
