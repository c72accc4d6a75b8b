"""Objects from frame to frame: pulled along by the flow, checked against what they looked like."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import TypeVar

import numpy as np

from napari_sam3.models.chains import ResumedObject
from napari_sam3.models.optical_flow import natural
from napari_sam3.models.optical_flow.acquaintance import catch_up, meet
from napari_sam3.models.optical_flow.appearance import describe
from napari_sam3.models.optical_flow.colony import LEAST_SHARE, Pictures, follow_blobs
from napari_sam3.models.optical_flow.flow import (
    Motion,
    WorkingFrame,
    estimate_motion,
)
from napari_sam3.models.optical_flow.look import learn_more
from napari_sam3.models.optical_flow.lost import search_blob, search_look
from napari_sam3.models.optical_flow.memory import SLOWNESS, Memory
from napari_sam3.models.optical_flow.pull import (
    Pulled,
    enlarge,
    pull,
    shrink,
)
from napari_sam3.models.optical_flow.registration import relight
from napari_sam3.models.optical_flow.scene import Scene, remove_camera
from napari_sam3.models.optical_flow.segment import segment_object
from napari_sam3.models.optical_flow.trust import judge_look, score_of
from napari_sam3.models.sequential import SequentialTracker, TrackState
from napari_sam3.values import (
    BoolArray,
    Frames,
    Keyframe,
    ObjectMask,
    ObjectPrompt,
    label_image,
    without_overlap,
)

_KEPT_FRAMES = 3
_CUT_ERROR = 30.0  # grey levels left unexplained by the flow: another scene

K = TypeVar("K")
T = TypeVar("T")


class OpticalFlowTracker(SequentialTracker):
    """State of the embedded default on one video."""

    def __init__(self, frames: Frames) -> None:
        super().__init__(frames)
        self._working: OrderedDict[int, WorkingFrame] = OrderedDict()
        self._features: OrderedDict[int, np.ndarray] = OrderedDict()
        self._motions: OrderedDict[int, Motion | None] = OrderedDict()
        self._meetings: OrderedDict[tuple[int, int], tuple[np.ndarray, Motion]] = OrderedDict()

    def segment(self, frame_index: int, prompt: ObjectPrompt) -> ObjectMask | None:
        """Find the one object that a prompt means; None if it is not there."""
        return segment_object(
            self.frames[frame_index], prompt, lambda: self.motion_near(frame_index)
        )

    def begin(self, frame_index: int, keyframe: Keyframe) -> TrackState:
        """State of an object on one of its keyframes; it is learnt when it is first followed."""
        return TrackState(keyframe.mask, keyframe)

    def resume(
        self, met: Sequence[ResumedObject], known: Mapping[int, Mapping[int, ObjectMask]]
    ) -> dict[int, TrackState]:
        """States of objects followed before; they are learnt on their prompted frames, as then.

        And once more on the known frames, with what was shown there.
        """
        states = super().resume(met, known)
        masks = {f: [*objects.values()] for f, objects in known.items()}
        step = 0
        for obj_id, begin, keyframe, shown in met:
            if shown and keyframe.mask is not None:
                step = 1 if next(iter(shown)) > begin else -1
                memory = catch_up(self._meet(begin, begin + step, keyframe.mask), begin, shown)
                states[obj_id] = replace(states[obj_id], memory=memory)
                if begin not in known:
                    masks.setdefault(begin, []).append(keyframe.mask)
        for target in known:
            if target - step in masks:
                self._learn_again(target - step, target, met, masks[target - step], states)
        return states

    def _meet(self, met_on: int, after: int, mask: ObjectMask) -> Memory:
        there = self.working_frame(met_on)

        def look() -> tuple[np.ndarray, Motion]:
            return self.frames[met_on], estimate_motion(self.working_frame(after), there)

        frame, motion = _kept(self._meetings, (met_on, after), look)
        return meet(mask, frame, there, lambda: (self.features(met_on), motion))

    def _learn_again(
        self,
        source: int,
        target: int,
        met: Sequence[ResumedObject],
        masks: Iterable[ObjectMask],
        states: dict[int, TrackState],
    ) -> None:
        here, scene = self.working_frame(target), None
        for obj_id, _, _, shown in met:
            state, mask = states[obj_id], shown.get(target)
            memory = state.memory
            if mask is None or memory is None or memory.look is None:
                continue
            if scene is None:
                motion = estimate_motion(self.working_frame(source), here)
                scene = self.scene_of(target, motion, masks)
            look = learn_more(memory.look, scene, shrink(mask, here), seed=target)
            states[obj_id] = replace(state, memory=replace(memory, look=look))

    def step(
        self,
        source: int,
        target: int,
        states: Mapping[int, TrackState],
        fixed: Mapping[int, TrackState],
    ) -> Mapping[int, TrackState]:
        """Take objects from one frame to the next."""
        moving = {i: s for i, s in states.items() if i not in fixed}
        crossing = _Crossing(self, source, target, moving, fixed)
        return crossing.carry_over()

    def close(self) -> None:
        """Forget every frame."""
        super().close()
        for kept in (self._working, self._features, self._motions, self._meetings):
            kept.clear()

    def working_frame(self, frame_index: int) -> WorkingFrame:
        """A frame at the flow's size."""
        return _kept(self._working, frame_index, lambda: WorkingFrame.of(self.frames[frame_index]))

    def features(self, frame_index: int) -> np.ndarray:
        """What `describe` says of a frame."""
        return _kept(
            self._features, frame_index, lambda: describe(self.working_frame(frame_index).rgb)
        )

    def scene_of(self, frame_index: int, motion: Motion, masks: Iterable[ObjectMask]) -> Scene:
        """A frame described, as it moved from one on which there were objects."""
        here = self.working_frame(frame_index)
        objects = np.zeros(here.grey.shape, bool)
        for mask in masks:
            objects |= shrink(mask, here)
        drift = remove_camera(motion, objects)
        return Scene(self.features(frame_index), drift, here.lab)

    def motion_near(self, frame_index: int) -> Motion | None:
        """Motion of a frame against a neighbour, the next one first; None between cuts."""

        def measure() -> Motion | None:
            for other in (frame_index + 1, frame_index - 1):
                if 0 <= other < len(self.frames):
                    here, there = self.working_frame(frame_index), self.working_frame(other)
                    motion = estimate_motion(there, here)
                    if float(motion.error.mean()) <= _CUT_ERROR:
                        return motion
            return None

        return _kept(self._motions, frame_index, measure)


def _kept(store: OrderedDict[K, T], key: K, make: Callable[[], T]) -> T:
    if key not in store:
        store[key] = make()
        while len(store) > _KEPT_FRAMES:
            store.popitem(last=False)
    return store[key]


def _is_blob(memory: Memory | None) -> bool:
    return memory is not None and memory.levels is not None


def _is_due(memory: Memory) -> bool:
    """Whether to look for a lost object: always at first, then on every fourth frame."""
    return memory.levels is not None or memory.missing < 4 or memory.missing % 4 == 0


class _Crossing:
    """All that happens between two neighbouring frames."""

    def __init__(
        self,
        tracker: OpticalFlowTracker,
        source: int,
        target: int,
        moving: Mapping[int, TrackState],
        fixed: Mapping[int, TrackState],
    ) -> None:
        self.tracker = tracker
        self.source, self.target = source, target
        self.moving = moving
        self.size = tracker.frames.size
        self.fixed = {i: s.mask for i, s in fixed.items() if s.mask is not None}
        self.frame = tracker.frames[target]
        self.here = tracker.working_frame(target)
        self.motion = estimate_motion(tracker.working_frame(source), self.here)

    @cached_property
    def frame_before(self) -> np.ndarray:
        """The source frame, (H, W, 3) uint8."""
        return self.tracker.frames[self.source]

    @cached_property
    def pictures(self) -> Pictures:
        """Both frames, for what is followed by its picture."""
        return Pictures(self.frame, relight(self.frame_before, self.frame), self.motion)

    @cached_property
    def motion_back(self) -> Motion:
        """From the source frame to the target."""
        return estimate_motion(self.here, self.tracker.working_frame(self.source))

    @cached_property
    def is_cut(self) -> bool:
        """Whether the flow explains so little that it is another scene."""
        return float(self.motion.error.mean()) > _CUT_ERROR

    def carry_over(self) -> dict[int, TrackState]:
        """The moving objects on the target frame."""
        memories = {i: self._remember(s) for i, s in self.moving.items()}
        seen: dict[int, tuple[ObjectMask, float]] = {}
        if not self.is_cut:
            pulled = {
                i: pull(s.mask, self.motion) for i, s in self.moving.items() if s.mask is not None
            }
            guesses = {i: p for i, p in pulled.items() if p is not None}
            looks = {i: p for i, p in guesses.items() if not _is_blob(memories[i])}
            known = {i: m for i, m in memories.items() if i in guesses and m is not None}
            if any(map(_is_blob, known.values())):
                seen = follow_blobs(self.pictures, guesses, known, self.fixed)
            seen.update(self._follow_looks(looks, memories, {i: m for i, (m, _) in seen.items()}))
        taken = label_image({**{i: m for i, (m, _) in seen.items()}, **self.fixed}, self.size) > 0
        for obj_id, memory in memories.items():
            if obj_id not in seen and memory is not None and _is_due(memory):
                found = self._search(memory, taken)
                if found is not None:
                    seen[obj_id] = found
        return self._conclude(seen, memories)

    def _conclude(
        self,
        seen: Mapping[int, tuple[ObjectMask, float]],
        memories: Mapping[int, Memory | None],
    ) -> dict[int, TrackState]:
        scored = {}
        for obj_id, (mask, agreement) in seen.items():
            memory = memories[obj_id]
            trust = agreement
            if memory is not None and memory.missing == 0:
                trust = SLOWNESS * memory.trust + (1 - SLOWNESS) * agreement
            scored[obj_id] = replace(mask, score=score_of(trust, blob=_is_blob(memory)))
        certain = {i: replace(m, score=1.0) for i, m in self.fixed.items()}
        apart = without_overlap({**scored, **certain})
        states = {}
        for obj_id, state in self.moving.items():
            memory = memories[obj_id]
            visible = apart.get(obj_id)
            if memory is not None:
                memory = memory.lose() if visible is None else memory.see(visible, seen[obj_id][1])
                if visible is not None and memory.look is not None:
                    small = shrink(visible, self.here)
                    look = learn_more(memory.look, self.scene, small, seed=self.target)
                    memory = replace(memory, look=look)
            states[obj_id] = TrackState(visible, state.keyframe, memory)
        return states

    def _remember(self, state: TrackState) -> Memory | None:
        if isinstance(state.memory, Memory):
            return state.memory
        if state.mask is None:
            return None  # it was not there where it was prompted
        tracker, source = self.tracker, self.source
        return meet(
            state.mask,
            self.frame_before,
            tracker.working_frame(source),
            lambda: (tracker.features(source), self.motion_back),
        )

    # ------------------------------------------------------------------------------- looks

    @cached_property
    def scene(self) -> Scene:
        """The target frame, described once for all objects."""
        masks = [s.mask for s in self.moving.values() if s.mask is not None]
        return self.tracker.scene_of(self.target, self.motion, masks)

    def _follow_looks(
        self,
        guesses: Mapping[int, Pulled],
        memories: Mapping[int, Memory | None],
        settled: Mapping[int, ObjectMask],
    ) -> dict[int, tuple[ObjectMask, float]]:
        if not guesses:
            return {}
        there = self.tracker.working_frame(self.source)
        rivals = np.zeros(self.here.grey.shape, np.float32)
        for mask in (*settled.values(), *self.fixed.values()):
            rivals[shrink(mask, self.here)] += np.float32(np.exp(natural.SURE))
        evidence, is_new = {}, self.motion.is_new
        for obj_id, guess in guesses.items():
            memory, before = memories.get(obj_id), self.moving[obj_id].mask
            if memory is None or before is None:
                continue
            soft, box = guess.at_working_size(self.motion, natural.BAND + 2)
            x0, y0, x1, y1 = box
            if x0 >= x1 or y0 >= y1:
                continue
            odds, look_odds = natural.weigh_evidence(
                soft,
                box,
                memory.look,
                self.scene,
                (there.lab, shrink(before, there)),
                is_new[y0:y1, x0:x1],
            )
            evidence[obj_id] = (memory, box, soft, odds, look_odds)
            rivals[y0:y1, x0:x1] += np.exp(odds)
        seen = {}
        for obj_id, (memory, box, soft, odds, look_odds) in evidence.items():
            x0, y0, x1, y1 = box
            others = np.maximum(rivals[y0:y1, x0:x1] - np.exp(odds), 0)
            alone = odds - np.log1p(others)
            found = natural.decide(alone, box, self.scene, smooth=memory.look is not None)
            whole = enlarge(found, box, self.motion.scale, self.size)
            if whole is None or whole.area < LEAST_SHARE * memory.area:
                continue
            taught = memory.look is not None
            seen[obj_id] = (whole, judge_look(found, soft > 0.5, look_odds, taught=taught))
        return seen

    # ------------------------------------------------------------------------- lost objects

    def _search(self, memory: Memory, taken: BoolArray) -> tuple[ObjectMask, float] | None:
        if memory.levels is not None:
            before = None if self.is_cut else self.pictures.before_at
            return search_blob(memory, memory.levels, self.frame, before, taken)
        if memory.look is None:
            return None
        return search_look(memory, memory.look, self.scene, self.motion.scale, taken)
