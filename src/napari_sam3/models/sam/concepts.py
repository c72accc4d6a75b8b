"""SAM 3 on one video: concepts looked for on every frame, and objects that were pointed at.

A concept is followed both ways from where it was asked, each way by a `ConceptTrack`; an object
that was pointed at, by the `ObjectTracker` over the same encoder. This module says which of them
speaks for an object on a frame:

- what a person pointed at is the `ObjectTracker`'s; a detection that turns out to be the same thing
  is that object, and is not shown beside it;
- what a concept found is the concept's, up to the frame where a person corrected it, seen in the
  direction of the search; from there on it is the `ObjectTracker`'s;
- on a frame with a prompt an object is what the prompt made of it.

An object that a concept finds on the way gets an id when it is first shown; it is the object that
was found there before, in another pass or by another concept, if their masks agree.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence

from napari_sam3.checkpoint import Checkpoint
from napari_sam3.models.base import TrackedFrame, VideoTracker
from napari_sam3.models.sam.concept_prompt import ConceptPrompt, Tokenizer, encode_concept
from napari_sam3.models.sam.concept_track import ConceptTrack, Detector, new_session
from napari_sam3.models.sam.device import Device
from napari_sam3.models.sam.identity import SAME_OBJECT, Identities, match_keyframes, speaks_for
from napari_sam3.models.sam.memory import MemoryRules
from napari_sam3.models.sam.sam3_vision import Sam3Views
from napari_sam3.models.sam.search import Search, key_of
from napari_sam3.models.sam.upscale import masks_at_size
from napari_sam3.values import Concept, Journal, Keyframe, ObjectMask, ObjectPrompt


class ConceptTracker:
    """Fulfils `VideoTracker` for SAM 3.

    Parameters
    ----------
    detector : Detector
    tokenizer : Tokenizer
    views : Sam3Views
        The video's frames.
    objects : VideoTracker
        Follows what was pointed at, over the same views.
    device : Device
        Where the model is.
    rules : MemoryRules, optional
        What of the past of a concept's objects is looked at; as transformers does if left out.
    """

    def __init__(
        self,
        detector: Detector,
        tokenizer: Tokenizer,
        views: Sam3Views,
        objects: VideoTracker,
        device: Device,
        rules: MemoryRules | None = None,
    ) -> None:
        self._detector = detector
        self._tokenizer = tokenizer
        self._views = views
        self._objects = objects
        self._device = device
        self._rules = rules
        self._size = views.features.frames.size
        self._n_frames = len(views.features.frames)
        self._look_ahead = max(0, detector.model.hotstart_delay - 1)
        self._searches: dict[Hashable, Search] = {}
        self._identities = Identities()
        self._expected = range(0)

    # -------------------------------------------------------------- prompts

    def segment(self, frame_index: int, prompt: ObjectPrompt) -> ObjectMask | None:
        """Find the one object that a prompt means (see `VideoTracker.segment`)."""
        return self._objects.segment(frame_index, prompt)

    def detect(self, frame_index: int, concept: Concept) -> Sequence[ObjectMask]:
        """Find every object of a concept, the best first (see `VideoTracker.detect`)."""
        self._views.fetch(frame_index)
        masks = self._find(frame_index, self._encode(frame_index, concept))
        return sorted(masks, key=lambda m: -m.score)

    def _find(self, frame_index: int, prompt: ConceptPrompt) -> list[ObjectMask]:
        with self._device.computing():
            session = new_session(self._detector.model, prompt, self._n_frames)
            found = self._detector.detect(session, self._views.detector(frame_index))
            cleaned = self._detector.clean(found["mask"])
            masks = masks_at_size(cleaned.float(), self._size, found["scores"].tolist())
        return [m for m in masks if m is not None]

    def checkpoint(self, frame_index: int, step: int) -> Checkpoint | None:
        """Of objects that were pointed at; what a concept finds is in upstream's own session.

        That holds more than can be told from outside: where something is looked for all is computed
        again.
        """
        return None if self._searches else self._objects.checkpoint(frame_index, step)

    def prefetch(self, frame_index: int) -> None:
        """Get ready for prompts on a frame, while nobody works; returns at once."""
        self._views.features.prefetch(frame_index)

    @property
    def preparing(self) -> int | None:
        """The frame being encoded while nobody works."""
        return self._views.features.preparing

    def close(self) -> None:
        """Forget everything."""
        self._searches.clear()
        self._identities = Identities()
        self._objects.close()
        self._views.close()
        self._device.give_back_memory()

    # ---------------------------------------------------------- propagation

    def propagate(
        self, journal: Journal, frames: range, new_id: Callable[[], int]
    ) -> Iterator[TrackedFrame]:
        """Follow the journal's objects over `frames` (see `VideoTracker.propagate`)."""
        if journal.only is not None and not journal.only & journal.found:
            yield from self._objects.propagate(journal, frames, new_id)  # nothing is looked for
            return
        searches = self._take_up(journal)
        if not searches or not frames:
            yield from self._objects.propagate(journal, frames, new_id)
            return
        yield from self._begin(searches, journal, frames)
        identities = self._identities
        identities.follow(searches, journal)
        for search in searches:
            track = search.serving(frames.step, frames[0])
            if track.step == frames.step:
                identities.name_again(track, frames[0])
        pointed_at = {
            obj_id: keyframes
            for obj_id, keyframes in journal.objects.items()
            if obj_id not in identities.found
            or any(keyframe.prompt.is_manual for keyframe in keyframes.values())
        }
        told: Iterator[TrackedFrame] | None = None
        for place, frame_index in enumerate(frames):
            tracks = [search.serving(frames.step, frame_index) for search in searches]
            for track in tracks:
                if track.step == frames.step:
                    yield from self._compute(track, frame_index, frames[-1], frame_index)
            speaking = [t for t in tracks if t.has(frame_index)]
            spoken = {
                obj_id
                for track in speaking
                for obj_id in identities.own(track)
                if speaks_for(track.step, frame_index, pointed_at.get(obj_id, {}))
            }
            if told is None and pointed_at.keys() - spoken:
                told = self._objects.propagate(Journal(pointed_at), frames[place:], new_id)
            objects: dict[int, ObjectMask] = {}
            for tracked in told or ():
                if tracked.objects is not None:
                    objects.update(tracked.objects)
                    break
                yield tracked
            for obj_id in spoken:
                objects.pop(obj_id, None)
            shut = pointed_at.keys() - spoken
            identities.add(objects, speaking, frame_index, shut, new_id)
            _keep_keyframes(objects, journal.objects, frame_index, identities.cleaned_up(speaking))
            yield TrackedFrame(frame_index, objects)

    def _take_up(self, journal: Journal) -> list[Search]:
        """The searches that a journal asks for, in the order asked; others are forgotten."""
        asked: dict[Hashable, tuple[Concept, list[int]]] = {}
        for frame_index, concept in journal.concepts:
            key: Hashable = (key_of(frame_index, concept), journal.hold_back)
            asked.setdefault(key, (concept, []))[1].append(frame_index)
        searches: dict[Hashable, Search] = {}
        for key, (concept, frames) in asked.items():
            search = self._searches.get(key) or Search(concept, self._new_track(journal.hold_back))
            search.ask_on(min(frames), max(frames))
            searches[key] = search
        self._searches = searches
        return list(searches.values())

    def _new_track(self, cleans_up: bool) -> Callable[[Search, int, int], ConceptTrack]:
        def make(search: Search, anchor: int, step: int) -> ConceptTrack:
            if search.prompt is None:
                search.prompt = self._encode(anchor, search.concept)
            return ConceptTrack(
                self._detector,
                self._views,
                search.prompt,
                anchor,
                step,
                self._size,
                cleans_up=cleans_up,
                rules=self._rules,
            )

        return make

    def _begin(
        self, searches: Sequence[Search], journal: Journal, frames: range
    ) -> Iterator[TrackedFrame]:
        """Compute what must be known before the first frame."""
        first, step = frames[0], frames.step
        for search in searches:
            # what the concept found where it was asked tells which objects are its own
            yield from self._compute(search.finder, search.finder.anchor, first, first)
        yield from self._resume(searches, journal, frames)
        late = [search for search in searches if search.serving(step, first).step != step]
        knows_nothing = len(late) == len(searches) and not any(
            min(keyframes) <= first for keyframes in journal.objects.values()
        )
        for search in searches:
            track = search.serving(step, first)
            if search not in late or step < 0 or knows_nothing:
                yield from self._compute(track, first, frames[-1], first)

    def _resume(
        self, searches: Sequence[Search], journal: Journal, frames: range
    ) -> Iterator[TrackedFrame]:
        """Begin anew on the newest frame that an earlier process computed, where that is nearer."""
        step = frames.step
        before = [f for f in journal.known if (frames[0] - f) * step > 0]
        newest = max(before, key=lambda f: f * step, default=None)
        if newest is None:
            return
        behind = [
            search
            for search in searches
            if (track := search.serving(step, newest)).step == step and track.missing_until(newest)
        ]
        if not behind:
            return
        self._views.fetch(newest)
        found = {
            obj_id: mask
            for obj_id, mask in journal.known[newest].items()
            if obj_id in journal.found and speaks_for(step, newest, journal.objects.get(obj_id, {}))
        }
        shares = self._share_out(found, searches, journal, newest)
        for search in behind:
            track = search.resume(newest, step)
            with self._device.computing():
                track.begin_with(shares[search])
        yield TrackedFrame(newest, None)

    def _share_out(
        self,
        found: Mapping[int, ObjectMask],
        searches: Sequence[Search],
        journal: Journal,
        frame_index: int,
    ) -> dict[Search, dict[int, ObjectMask]]:
        """Which of several concepts found which of the objects on a frame."""
        shares: dict[Search, dict[int, ObjectMask]] = {search: {} for search in searches}
        first = searches[0]
        owners = dict.fromkeys(found, first)
        if len(searches) > 1:
            # each looks again; what none sees now is left to the first
            likeness = dict.fromkeys(found, SAME_OBJECT)
            for search in searches:
                assert search.prompt is not None, "its finder has begun"
                for seen in self._find(frame_index, search.prompt):
                    for obj_id, mask in found.items():
                        if (overlap := seen.overlap(mask)) > likeness[obj_id]:
                            likeness[obj_id], owners[obj_id] = overlap, search
                anchored = match_keyframes(search.finder, journal).values()
                for obj_id in found.keys() & set(anchored):
                    likeness[obj_id], owners[obj_id] = 1.0, search
        for obj_id, search in owners.items():
            shares[search][obj_id] = found[obj_id]
        return shares

    def _compute(
        self, track: ConceptTrack, until: int, last: int, wanted: int
    ) -> Iterator[TrackedFrame]:
        """Compute a track up to a frame; gives the frames on the way to `wanted`, without objects.

        `last` is the frame that will be asked for at the end, so that it can be read ahead.
        """
        if track.cleans_up:
            until += track.step * self._look_ahead
        until = max(0, min(until, self._n_frames - 1))
        missing = track.missing_until(until)
        if missing and (len(missing) > 1 or missing[0] not in self._expected):
            end = max((until, last), key=lambda i: i * track.step)
            self._expected = range(missing[0], end + track.step, track.step)
            self._views.features.expect(self._expected)
        for frame_index in missing:
            self._views.fetch(frame_index)
            with self._device.computing():
                track.advance()
            if frame_index != wanted:
                yield TrackedFrame(frame_index, None)

    def _encode(self, frame_index: int, concept: Concept) -> ConceptPrompt:
        with self._device.computing():
            view = self._views.detector(frame_index) if len(concept.boxes_xyxy) else None
            return encode_concept(self._detector.model, self._tokenizer, concept, self._size, view)


def _keep_keyframes(
    objects: dict[int, ObjectMask],
    keyframes: Mapping[int, Mapping[int, Keyframe]],
    frame_index: int,
    cleaned_up: set[int],
) -> None:
    """On a frame with a prompt an object is what the prompt made of it."""
    for obj_id, own in keyframes.items():
        if frame_index in own and obj_id not in cleaned_up:
            mask = own[frame_index].mask
            objects.pop(obj_id, None)
            if mask is not None:
                objects[obj_id] = mask
