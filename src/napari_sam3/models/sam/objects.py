"""Objects that were pointed at, followed through a video by a SAM 2-like tracker.

These trackers do not couple objects, so each has tracks of its own, one forward and one backward
(see `track`): a correction computes its object alone, and what an object is does not depend on
which others there are. An object on a frame is taken from the track of the direction asked for;
where that has not met the object yet, from the other one, by the rules of `models.sequential`.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, Protocol
from weakref import WeakKeyDictionary

import torch

from napari_sam3.checkpoint import MOST_BYTES, Checkpoint
from napari_sam3.models.base import TrackedFrame
from napari_sam3.models.sam.bank import Bank, moved_together
from napari_sam3.models.sam.device import Device
from napari_sam3.models.sam.feature_files import Encoded
from napari_sam3.models.sam.memory import Memory, MemoryRules, Past
from napari_sam3.models.sam.network import TrackerNetwork, View, fingerprint
from napari_sam3.models.sam.track import Track
from napari_sam3.models.saved_states import StateReader, StateWriter, reading_state
from napari_sam3.values import Concept, Journal, Keyframe, ObjectMask, ObjectPrompt

CHECKPOINT_BYTES = 256 * 2**20
"""What the checkpoints of all tracks of a video may take, in the computer's memory."""


_HOST = torch.device("cpu")


class MapSource(Protocol):
    """Where the tracker's feature maps of a video come from: a `FeatureSource`, or through one."""

    def get(self, frame_index: int) -> Encoded:
        """The three maps of a frame under the names `network.LEVELS`, on the device."""
        ...

    def expect(self, frame_indices: range) -> None:
        """Say which frames will be asked for next, in that order."""
        ...

    def prefetch(self, frame_index: int) -> None:
        """Encode around a frame while nobody works."""
        ...

    @property
    def preparing(self) -> int | None:
        """The frame being encoded while nobody works."""
        ...

    def close(self) -> None:
        """End what reads and encodes ahead."""
        ...


class ObjectTracker:
    """Fulfils `VideoTracker` for prompts that point at objects; knows no concepts.

    Parameters
    ----------
    model : Sam2VideoModel, EdgeTamVideoModel or Sam3TrackerVideoModel
        Of a Sam3VideoModel its `tracker_model`.
    features : MapSource
        Closed with the tracker.
    size : (height, width)
        Of the video, px.
    n_frames : int
        Of the video.
    device : Device
        Where the model's weights are.
    rules : MemoryRules, optional
        What of an object's past is looked at; as transformers does if left out.
    """

    def __init__(
        self,
        model: Any,
        features: MapSource,
        size: tuple[int, int],
        n_frames: int,
        device: Device,
        rules: MemoryRules | None = None,
    ) -> None:
        self.features = features
        self.size = size
        self.network = TrackerNetwork(model, device, size, n_frames, rules)
        self._reach, self._rules = self.network.reach, self.network.rules
        self._tracks: dict[tuple[int, int], Track] = {}  # by object and direction
        # of prompts and keyframes, for as long as somebody holds those
        self._answered: WeakKeyDictionary[ObjectPrompt, tuple[int, Memory]] = WeakKeyDictionary()
        self._conditioning: WeakKeyDictionary[Keyframe, Memory] = WeakKeyDictionary()
        self._view: View | None = None
        self._expected = range(0)

    # -------------------------------------------------------------- prompts

    def segment(self, frame_index: int, prompt: ObjectPrompt) -> ObjectMask | None:
        """Find the one object that a prompt means (see `VideoTracker.segment`)."""
        has_points = len(prompt.points_xy) > 0
        painted = None
        if prompt.mask is not None:
            painted = ObjectMask.from_mask(prompt.mask, 1.0)
            if not has_points:
                return painted
        view = self._look(frame_index)
        if _is_plain(prompt):
            answer = self.network.prompt(view, prompt)
            assert answer.memory is not None
            self._answered[prompt] = frame_index, answer.memory
        else:
            answer = self.network.refine(view, painted or prompt.prior, prompt)
        return answer.mask

    def detect(self, frame_index: int, concept: Concept) -> Sequence[ObjectMask]:
        """None: these trackers know no concepts."""
        return ()

    # ---------------------------------------------------------- propagation

    def propagate(
        self, journal: Journal, frames: range, new_id: Callable[[], int]
    ) -> Iterator[TrackedFrame]:
        """Follow the journal's objects over `frames` (see `VideoTracker.propagate`)."""
        self._follow_journal(journal)
        self._expected = range(0)
        if not frames:
            return
        # each on its own: of the others nothing need be computed
        wanted = [i for i in journal.objects if journal.only is None or i in journal.only]
        ahead = {i: self._tracks[i, frames.step] for i in wanted}
        behind = {i: self._tracks[i, -frames.step] for i in wanted}
        late = [i for i in ahead if not ahead[i].reaches(frames[0])]
        begun = frames[0] if journal.begun is None else journal.begun
        began_empty = not any(track.reaches(begun) for track in ahead.values())
        if frames.step < 0 or journal.shows_ahead or began_empty:
            yield from self._compute([behind[i] for i in late], frames[0], frames[0])
        if journal.checkpoint is not None:
            yield from self._take_up(ahead, journal.checkpoint, frames)
        yield from self._resume(ahead, journal.known, frames)
        for frame_index in frames:
            met = [t for t in ahead.values() if t.reaches(frame_index)]
            yield from self._compute(met, frame_index, frames[-1])
            masks = {
                i: (track if track.reaches(frame_index) else behind[i]).mask(frame_index)
                for i, track in ahead.items()
            }
            yield TrackedFrame(frame_index, {i: m for i, m in masks.items() if m is not None})

    def checkpoint(self, frame_index: int, step: int) -> Checkpoint | None:
        """The banks of all objects (see `VideoTracker.checkpoint`)."""
        banks = {
            obj_id: track.bank_after(frame_index)
            for (obj_id, direction), track in self._tracks.items()
            if direction == step and track.reaches(frame_index)
        }
        known = {i: bank for i, bank in banks.items() if bank is not None}
        n_bytes = sum(bank.nbytes for bank in known.values())
        if not banks or len(known) < len(banks) or n_bytes > MOST_BYTES:
            return None
        writer = StateWriter()
        objects = [[obj_id, bank.save(writer)] for obj_id, bank in known.items()]
        header = {"kind": self.state_kind, "step": step, "objects": objects}
        return Checkpoint(frame_index, header, writer.arrays)

    @cached_property
    def state_kind(self) -> str:
        """What its checkpoints are told by: the weights, and what they are computed in."""
        network, device = self.network, self.network.device
        told = (
            *("sam 2", network.image_size, self._reach, self._rules),
            *(device.torch.type, device.precision),
        )
        return f"{told} {fingerprint(network.model)}"

    def prefetch(self, frame_index: int) -> None:
        """Encode what lies around a frame while nobody works."""
        self.features.prefetch(frame_index)

    @property
    def preparing(self) -> int | None:
        """The frame being encoded while nobody works."""
        return self.features.preparing

    def close(self) -> None:
        """Forget everything."""
        self.features.close()
        self._tracks.clear()
        self._answered.clear()
        self._conditioning.clear()
        self._view = None
        self.network.device.give_back_memory()

    def _follow_journal(self, journal: Journal) -> None:
        for obj_id, direction in list(self._tracks):
            if obj_id not in journal.objects:
                del self._tracks[obj_id, direction]
        for obj_id, keyframes in journal.objects.items():
            for direction in (1, -1):
                track = self._tracks.setdefault((obj_id, direction), Track(direction))
                track.set_keyframes(keyframes)

    def _take_up(
        self, tracks: Mapping[int, Track], checkpoint: Checkpoint, frames: range
    ) -> Iterator[TrackedFrame]:
        """Go on from an earlier process's banks, for the objects that this saves frames.

        Gives the prompted frames looked at, without objects.
        """
        index, step = checkpoint.frame, frames.step
        behind = {i: t for i, t in tracks.items() if index in t.prepare(frames[0] - step)}
        if not behind:
            return
        yield from self._remember_met(behind, dict.fromkeys(behind, index + step), step)
        banks = {}
        with reading_state(checkpoint, self.state_kind, step):
            reader = StateReader(checkpoint, self.size)
            told = dict(checkpoint.header["objects"])
            for obj_id, track in behind.items():
                like = self._conditioning[next(iter(track.met(index + step).values()))]
                bank = Bank.load(told[obj_id], index, step, like, self._reach, self._rules, reader)
                banks[obj_id] = bank
        for obj_id, bank in banks.items():
            behind[obj_id].take_up({}, bank)

    def _remember_met(
        self, tracks: Mapping[int, Track], before: Mapping[int, int], step: int
    ) -> Iterator[TrackedFrame]:
        """Make the memories of the prompted frames that tracks have met before a frame of each."""
        met = {(f, k) for i, end in before.items() for f, k in tracks[i].met(end).items()}
        for index, keyframe in sorted(met, key=lambda pair: pair[0] * step):
            if keyframe not in self._conditioning:
                self._conditioning[keyframe] = self._remember(index, keyframe)
                yield TrackedFrame(index, None)

    def _resume(
        self,
        tracks: Mapping[int, Track],
        known: Mapping[int, Mapping[int, ObjectMask]],
        frames: range,
    ) -> Iterator[TrackedFrame]:
        """Go on from masks of an earlier process, where computing the way there would take longer.

        The newest of them are remembered as the masks that they are, next to the prompted frames.
        Gives the frames looked at, without objects.
        """
        shown: dict[int, range] = {}
        for obj_id, track in tracks.items():
            missing = track.prepare(frames[0] - frames.step)
            run = _newest_run(known, missing)
            if sum(track.keyframe(i) is None for i in missing) > self._reach.spatial and run:
                shown[obj_id] = run
        if not shown:
            return
        ends = {i: run[-1] + run.step for i, run in shown.items()}
        yield from self._remember_met(tracks, ends, frames.step)
        recent = {i: run[-self._reach.spatial :] for i, run in shown.items()}
        order = sorted({f for run in recent.values() for f in run}, key=lambda f: f * frames.step)
        self._expected = range(order[0], frames[-1] + frames.step, frames.step)
        self.features.expect(self._expected)
        banks = {i: Bank(run[0]) for i, run in recent.items()}
        for index in order:
            for obj_id in (i for i, run in recent.items() if index in run):
                memory = None
                if tracks[obj_id].keyframe(index) is None:
                    mask = known[index].get(obj_id)
                    memory = self.network.remember_mask(self._look(index), mask)
                banks[obj_id] = banks[obj_id].after(index, memory, self._reach, self._rules)
            yield TrackedFrame(index, None)
        for obj_id, run in shown.items():
            tracks[obj_id].take_up({f: known[f].get(obj_id) for f in run}, banks[obj_id])

    def _compute(
        self, tracks: Iterable[Track], frame_index: int, last: int
    ) -> Iterator[TrackedFrame]:
        """Compute tracks up to a frame; gives the frames on the way, without objects.

        `last` is the frame that will be asked for in the end: those up to it are read ahead.
        """
        behind = [(track, left) for track in tracks if (left := track.prepare(frame_index))]
        if not behind:
            return
        at_checkpoint = [track for track, _ in behind if track.is_at_checkpoint]
        _hand_over(at_checkpoint, self.network.device.torch, Track.go_on_from)
        longest = max((left for _, left in behind), key=len)
        if longest[0] not in self._expected or longest.step != self._expected.step:
            self._expected = range(longest[0], last + longest.step, longest.step)
            self.features.expect(self._expected)
        for index in longest:
            self._advance(index, [track for track, left in behind if index in left])
            if index != frame_index:
                yield TrackedFrame(index, None)

    def _advance(self, frame_index: int, tracks: Sequence[Track]) -> None:
        """Take tracks of the same direction one frame on."""
        unprompted = []
        for track in tracks:
            keyframe = track.keyframe(frame_index)
            if keyframe is None:
                unprompted.append(track)
                continue
            if keyframe not in self._conditioning:
                self._conditioning[keyframe] = self._remember(frame_index, keyframe)
            bank = (track.bank or Bank(frame_index)).after(
                frame_index, None, self._reach, self._rules
            )
            track.put(frame_index, keyframe.mask, bank)
        pasts = []
        for track in unprompted:
            assert track.bank is not None, "a track begins on a keyframe"
            met = track.met(frame_index).items()
            conditioning = {i: self._conditioning[k] for i, k in met}
            bank = track.bank
            pasts.append(Past(conditioning, bank.recent, bank.anchors, bank.motion))
        if pasts:
            view = self._look(frame_index)
            answers = self.network.follow(view, pasts, reverse=tracks[0].direction < 0)
            for track, answer in zip(unprompted, answers, strict=True):
                assert track.bank is not None
                bank = track.bank.after(
                    frame_index, answer.memory, self._reach, self._rules, answer.offered
                )
                track.put(frame_index, answer.mask, bank)
        _hand_over(
            [track for track in tracks if track.wants_checkpoint(frame_index)], _HOST, Track.keep
        )
        share = CHECKPOINT_BYTES // len(self._tracks)
        for track in tracks:
            track.thin(share)

    def _remember(self, frame_index: int, keyframe: Keyframe) -> Memory:
        """Make a prompted frame's memory.

        That of clicks and boxes is upstream's own. What a correction made of a tracked mask, what
        was painted, and what a concept found is remembered as the mask that it is, so it lasts.
        """
        prompt = keyframe.prompt
        if not _is_plain(prompt):
            return self.network.remember_mask(self._look(frame_index), keyframe.mask)
        answered_on, memory = self._answered.get(prompt, (None, None))
        if answered_on != frame_index or memory is None:
            memory = self.network.prompt(self._look(frame_index), prompt).memory
            assert memory is not None
        return memory

    # ------------------------------------------------------------- plumbing

    def _look(self, frame_index: int) -> View:
        if self._view is None or self._view.frame_index != frame_index:
            self._view = None  # first give back, then take
            self._view = self.network.view(frame_index, self.features.get(frame_index))
        return self._view


def _hand_over(
    tracks: Sequence[Track], device: torch.device, take: Callable[[Track, Bank], None]
) -> None:
    """Give each track its bank on a device, all sent at once."""
    banks = [track.bank for track in tracks if track.bank is not None]
    for track, bank in zip(tracks, moved_together(banks, device), strict=True):
        take(track, bank)


def _newest_run(known: Container[int], frames: range) -> range:
    """The last frames in a row of `frames` that are known; empty if none is."""
    end = next((place for place in reversed(range(len(frames))) if frames[place] in known), -1)
    begin = end
    while begin > 0 and frames[begin - 1] in known:
        begin -= 1
    return frames[begin : end + 1] if end >= 0 else range(0)


def _is_plain(prompt: ObjectPrompt) -> bool:
    """Whether clicks and a box are all that was said: then upstream knows what to do with it."""
    points_at = len(prompt.points_xy) > 0 or prompt.box_xyxy is not None
    return points_at and prompt.mask is None and prompt.prior is None
