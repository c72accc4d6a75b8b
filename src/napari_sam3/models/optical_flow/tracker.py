"""Objects from frame to frame: warped along the flow, checked against what they looked like."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any, TypeVar

import numpy as np

from napari_sam3.models.base import TrackedFrame
from napari_sam3.models.chains import Pieces, ResumedObject
from napari_sam3.models.optical_flow import reacquisition
from napari_sam3.models.optical_flow.appearance_model import update_appearance
from napari_sam3.models.optical_flow.confidence import score_of
from napari_sam3.models.optical_flow.frame_features import FrameFeatures, remove_camera_motion
from napari_sam3.models.optical_flow.grey import is_grey
from napari_sam3.models.optical_flow.motion import Motion, WorkingFrame, estimate_motion
from napari_sam3.models.optical_flow.motion_segmentation import Speeds
from napari_sam3.models.optical_flow.multi_blob_tracking import FramePair, follow_blobs
from napari_sam3.models.optical_flow.pixel_classifier import describe_pixels
from napari_sam3.models.optical_flow.prepare_ahead import PrepareAhead
from napari_sam3.models.optical_flow.prompt_segmentation import segment_object
from napari_sam3.models.optical_flow.registration import match_brightness
from napari_sam3.models.optical_flow.textured_tracking import TexturedView, follow_textured
from napari_sam3.models.optical_flow.tracked_object import SLOWNESS, Found, TrackedObject
from napari_sam3.models.optical_flow.warp import to_working_size, warp_mask
from napari_sam3.models.saved_states import StateReader, StateWriter
from napari_sam3.models.sequential import SequentialTracker, TrackState
from napari_sam3.values import (
    BoolArray,
    Box,
    Frames,
    Keyframe,
    ObjectMask,
    ObjectPrompt,
    label_image,
    without_overlap,
)

_KEPT_FRAMES = 3

K = TypeVar("K")
T = TypeVar("T")


class OpticalFlowTracker(SequentialTracker):
    """State of the embedded default on one video.

    Parameters
    ----------
    frames : Frames
    goes_far : bool
        See `OpticalFlowModel`.
    """

    def __init__(self, frames: Frames, *, goes_far: bool = False) -> None:
        super().__init__(frames)
        self.goes_far = goes_far
        self._lock = threading.RLock()  # the caches are filled ahead, too
        self._ahead = PrepareAhead(self._prepare)
        self._looked_at: OrderedDict[int, np.ndarray] = OrderedDict()
        self._prompted_frames: OrderedDict[int, np.ndarray] = OrderedDict()
        self._working: OrderedDict[int, WorkingFrame] = OrderedDict()
        self._descriptions: OrderedDict[int, np.ndarray] = OrderedDict()
        self._motions: OrderedDict[tuple[int, int], Motion] = OrderedDict()
        self._speeds: OrderedDict[int, Speeds] = OrderedDict()

    def segment(self, frame_index: int, prompt: ObjectPrompt) -> ObjectMask | None:
        """Find the one object that a prompt means; None if it is not there."""
        frame = self._cached(self._looked_at, frame_index, lambda: self.frames[frame_index])
        return segment_object(frame, prompt, lambda box: self.speeds_on(frame_index, box))

    def prefetch(self, frame_index: int) -> None:
        """Read a frame ahead, and measure its motion where a click will ask for it."""
        self._ahead.start(frame_index)

    @property
    def preparing(self) -> int | None:
        """The frame being prepared."""
        return self._ahead.doing

    def _prepare(self, frame_index: int) -> None:
        frame = self._cached(self._looked_at, frame_index, lambda: self.frames[frame_index])
        speeds = None if is_grey(frame) else self.speeds_on(frame_index)
        if speeds is not None:
            speeds.get_ready()

    def begin(self, frame_index: int, keyframe: Keyframe) -> TrackState:
        """State of an object on one of its keyframes; it is learnt when it is first followed."""
        return TrackState(keyframe.mask, keyframe)

    def resume(
        self, resumed: Sequence[ResumedObject], known: Mapping[int, Mapping[int, ObjectMask]]
    ) -> dict[int, TrackState]:
        """States of objects followed before; they are learnt on their prompted frames, as then.

        And once more on the known frames, with what was shown there.
        """
        states = super().resume(resumed, known)
        masks = {f: [*objects.values()] for f, objects in known.items()}
        step = 0
        for obj_id, begin, keyframe, shown in resumed:
            if shown and keyframe.mask is not None:
                step = 1 if next(iter(shown)) > begin else -1
                tracked = self.initialize(begin, begin + step, keyframe.mask)
                memory = tracked.replay(begin, shown)
                states[obj_id] = replace(states[obj_id], memory=memory)
                if begin not in known:
                    masks.setdefault(begin, []).append(keyframe.mask)
        for target in known:
            if target - step in masks:
                shown_there = {r.obj_id: r.shown.get(target) for r in resumed}
                self._learn_again(target - step, target, masks[target - step], shown_there, states)
        return states

    def _learn_again(
        self,
        source: int,
        target: int,
        masks: Iterable[ObjectMask],
        shown: Mapping[int, ObjectMask | None],
        states: dict[int, TrackState],
    ) -> None:
        """Learn objects on a known frame; changes `states`."""
        features = None
        for obj_id, mask in shown.items():
            tracked = states[obj_id].memory
            if mask is None or tracked is None or tracked.appearance is None:
                continue
            if features is None:
                features = self.features(target, self.motion(source, target), masks)
            tracked = self.learn(tracked, target, features, mask)
            states[obj_id] = replace(states[obj_id], memory=tracked)

    @property
    def state_kind(self) -> str:
        """What its checkpoints are told by."""
        return f"optical-flow 1{', goes far' if self.goes_far else ''}"

    def save_memory(self, state: TrackState, writer: StateWriter) -> Any:
        """What was learnt of an object since its prompted frame."""
        memory = state.memory
        return memory.save(writer) if isinstance(memory, TrackedObject) else None

    def load_memory(
        self, told: Any, begin: int, keyframe: Keyframe, step: int, reader: StateReader
    ) -> TrackedObject | None:
        """Learn an object on its prompted frame as then, and take over what it became since.

        What was learnt there is most of what is known of it, and the same again: so a checkpoint
        need not hold it.
        """
        if told is None:
            return None
        if keyframe.mask is None:
            raise ValueError("an object was learnt where it is not there")
        return self.initialize(begin, begin + step, keyframe.mask).load(told, reader)

    def initialize(self, frame_index: int, following: int, mask: ObjectMask) -> TrackedObject:
        """Learn an object on its prompted frame; `following` is the next one of the chain."""
        frame = self._cached(self._prompted_frames, frame_index, lambda: self.frames[frame_index])

        def describe() -> tuple[FrameFeatures, BoolArray]:
            working = self.working_frame(frame_index)
            small = to_working_size(mask, working)
            # the drift of the prompted frame is not known: the next one's, turned round
            drift = -remove_camera_motion(self.motion(following, frame_index), small)
            return FrameFeatures(self._describe(frame_index), drift, working.lab), small

        return TrackedObject.initialize(mask, frame, describe)

    def learn(
        self, tracked: TrackedObject, frame_index: int, features: FrameFeatures, mask: ObjectMask
    ) -> TrackedObject:
        """Go on learning what an object looks like, unless it is a blob."""
        if tracked.appearance is None:
            return tracked
        small = to_working_size(mask, self.working_frame(frame_index))
        appearance = update_appearance(tracked.appearance, features, small, seed=frame_index)
        return replace(tracked, appearance=appearance)

    def step_in_pieces(
        self,
        source: int,
        target: int,
        states: Mapping[int, TrackState],
        fixed: Mapping[int, TrackState],
    ) -> Pieces:
        """Take objects from one frame to the next, one after the other."""
        moving = {i: s for i, s in states.items() if i not in fixed}
        return (yield from _FrameStep(self, source, target, moving, fixed).carry_over())

    def close(self) -> None:
        """Forget every frame."""
        self._ahead.close()
        super().close()
        for kept in (
            self._looked_at,
            self._prompted_frames,
            self._working,
            self._descriptions,
            self._motions,
            self._speeds,
        ):
            kept.clear()

    def working_frame(self, frame_index: int) -> WorkingFrame:
        """A frame at the flow's size."""
        make = WorkingFrame.of
        return self._cached(self._working, frame_index, lambda: make(self.frames[frame_index]))

    def motion(self, source: int, target: int) -> Motion:
        """Motion between two neighbouring frames."""

        def measure() -> Motion:
            return estimate_motion(self.working_frame(source), self.working_frame(target))

        return self._cached(self._motions, (source, target), measure)

    def motion_near(self, frame_index: int) -> Motion | None:
        """Motion of a frame against a neighbour, the next one first; None between cuts."""
        for other in (frame_index + 1, frame_index - 1):
            if 0 <= other < len(self.frames):
                motion = self.motion(other, frame_index)
                if not motion.is_cut:
                    return motion
        return None

    def speeds_on(self, frame_index: int, box: Box | None = None) -> Speeds | None:
        """What moves on a frame, in a box or anywhere; None between cuts."""
        motion = self.motion_near(frame_index)
        if motion is None:
            return None
        if box is not None:
            return Speeds.measure(motion, box)
        return self._cached(self._speeds, frame_index, lambda: Speeds.measure(motion))

    def _cached(self, store: OrderedDict[K, T], key: K, make: Callable[[], T]) -> T:
        with self._lock:
            if key not in store:
                store[key] = make()
                while len(store) > _KEPT_FRAMES:
                    store.popitem(last=False)
            return store[key]

    def _describe(self, frame_index: int) -> np.ndarray:
        rgb = self.working_frame(frame_index).rgb
        return self._cached(self._descriptions, frame_index, lambda: describe_pixels(rgb))

    def features(
        self, frame_index: int, motion: Motion, masks: Iterable[ObjectMask]
    ) -> FrameFeatures:
        """A frame's features, as it moved from one on which there were objects."""
        here = self.working_frame(frame_index)
        objects = np.zeros(here.grey.shape, bool)
        for mask in masks:
            objects |= to_working_size(mask, here)
        drift = remove_camera_motion(motion, objects)
        return FrameFeatures(self._describe(frame_index), drift, here.lab)


class _FrameStep:
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
        self.pause = TrackedFrame(target, None)
        self.fixed = {i: s.mask for i, s in fixed.items() if s.mask is not None}
        self.frame = tracker.frames[target]
        self.here = tracker.working_frame(target)
        self.motion = tracker.motion(source, target)

    @cached_property
    def pictures(self) -> FramePair:
        """Both frames, for what is followed by its picture."""
        before = match_brightness(self.tracker.frames[self.source], self.frame)
        return FramePair(self.frame, before, self.motion)

    @cached_property
    def features(self) -> FrameFeatures:
        """The target frame, described once for all objects."""
        masks = [s.mask for s in self.moving.values() if s.mask is not None]
        return self.tracker.features(self.target, self.motion, masks)

    def carry_over(self) -> Pieces:
        """The moving objects on the target frame."""
        # those that are not there where they were prompted are left out
        tracked: dict[int, TrackedObject] = {}
        for obj_id, state in self.moving.items():
            if isinstance(state.memory, TrackedObject):
                tracked[obj_id] = state.memory
            elif state.mask is not None:
                tracked[obj_id] = self.tracker.initialize(self.source, self.target, state.mask)
                yield self.pause
        seen = {} if self.motion.is_cut else (yield from self._follow(tracked))
        taken = label_image({**{i: m for i, (m, _) in seen.items()}, **self.fixed}, self.size) > 0
        for obj_id, lost in tracked.items():
            # at first on every frame, then on every fourth one
            is_due = lost.is_blob or lost.missing < 4 or lost.missing % 4 == 0
            if not is_due or obj_id in seen:
                continue
            found = self._search(lost, taken)
            if found is not None:
                seen[obj_id] = found
            yield self.pause
        return (yield from self._conclude(seen, tracked))

    def _follow(
        self, tracked: Mapping[int, TrackedObject]
    ) -> Generator[TrackedFrame, None, dict[int, Found]]:
        warped = {}
        for obj_id, state in self.moving.items():
            guess = None if state.mask is None else warp_mask(state.mask, self.motion)
            if guess is not None:
                warped[obj_id] = guess
        seen: dict[int, Found] = {}
        known = {i: tracked[i] for i in warped}
        if any(t.is_blob for t in known.values()):
            seen = follow_blobs(self.pictures, warped, known, self.fixed)
            yield self.pause
        textured = {i: w for i, w in warped.items() if not known[i].is_blob}
        if textured:
            settled = [*(mask for mask, _ in seen.values()), *self.fixed.values()]
            before = self.tracker.working_frame(self.source)
            view = TexturedView(before, self.here, self.motion, self.features)
            yield self.pause
            seen = {**seen, **follow_textured(view, textured, known, settled)}
            yield self.pause
        return seen

    def _conclude(self, seen: Mapping[int, Found], tracked: Mapping[int, TrackedObject]) -> Pieces:
        scored = {}
        for obj_id, (mask, agreement) in seen.items():
            before = tracked[obj_id]
            believed = agreement
            if before.missing == 0:
                believed = SLOWNESS * before.confidence + (1 - SLOWNESS) * agreement
            scored[obj_id] = replace(mask, score=score_of(believed, blob=before.is_blob))
        certain = {i: replace(m, score=1.0) for i, m in self.fixed.items()}
        apart = without_overlap({**scored, **certain})
        states = {}
        for obj_id, state in self.moving.items():
            memory, visible = tracked.get(obj_id), apart.get(obj_id)
            if memory is not None and visible is None:
                memory = memory.lose()
            elif memory is not None and visible is not None:
                memory = memory.see(visible, seen[obj_id][1])
                if memory.appearance is not None:
                    memory = self.tracker.learn(memory, self.target, self.features, visible)
                    yield self.pause
            states[obj_id] = TrackState(visible, state.keyframe, memory)
        return states

    def _search(self, lost: TrackedObject, taken: BoolArray) -> Found | None:
        """Look for an object that was not seen where the flow took it."""
        if lost.levels is not None:
            before = None if self.motion.is_cut else self.pictures.before_at
            return reacquisition.reacquire_blob(lost, lost.levels, self.frame, before, taken)
        if lost.appearance is None:
            return None
        scale = self.motion.scale
        return reacquisition.reacquire_textured(
            lost,
            lost.appearance.now,
            self.features,
            scale,
            taken,
            goes_far=self.tracker.goes_far,
        )
