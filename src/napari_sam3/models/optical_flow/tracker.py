"""Objects from frame to frame: pulled along by the flow, checked against what they looked like."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping

import cv2
import numpy as np

from napari_sam3.models.optical_flow.flow import Motion, WorkingFrame, estimate_motion
from napari_sam3.models.optical_flow.segment import segment_object
from napari_sam3.models.sequential import SequentialTracker, TrackState
from napari_sam3.values import Frames, Keyframe, ObjectMask, ObjectPrompt, without_overlap

_KEPT_FRAMES = 3


class OpticalFlowTracker(SequentialTracker):
    """State of the embedded default on one video."""

    def __init__(self, frames: Frames) -> None:
        super().__init__(frames)
        self._working: OrderedDict[int, WorkingFrame] = OrderedDict()

    def segment(self, frame_index: int, prompt: ObjectPrompt) -> ObjectMask | None:
        """Find the one object that a prompt means; None if it is not there."""
        return segment_object(self.frames[frame_index], prompt)

    def begin(self, frame_index: int, keyframe: Keyframe) -> TrackState:
        """State of an object on one of its keyframes."""
        return TrackState(keyframe.mask, keyframe)

    def step(
        self,
        source: int,
        target: int,
        states: Mapping[int, TrackState],
        fixed: Mapping[int, TrackState],
    ) -> Mapping[int, TrackState]:
        """Take objects from one frame to the next."""
        motion = estimate_motion(self._working_frame(source), self._working_frame(target))
        moved: dict[int, TrackState] = {}
        masks = {}
        for obj_id, state in states.items():
            if obj_id in fixed:
                continue
            mask = None if state.mask is None else _pull(state.mask, motion)
            if mask is not None:
                masks[obj_id] = mask
            moved[obj_id] = TrackState(None, state.keyframe, state.memory)
        for obj_id, mask in without_overlap(masks).items():
            moved[obj_id] = TrackState(mask, moved[obj_id].keyframe, moved[obj_id].memory)
        return moved

    def close(self) -> None:
        """Forget every frame."""
        super().close()
        self._working.clear()

    def _working_frame(self, frame_index: int) -> WorkingFrame:
        frame = self._working.get(frame_index)
        if frame is None:
            frame = WorkingFrame.of(self.frames[frame_index])
            self._working[frame_index] = frame
            while len(self._working) > _KEPT_FRAMES:
                self._working.popitem(last=False)
        return frame


def _pull(mask: ObjectMask, motion: Motion) -> ObjectMask | None:
    """Pull a mask along the flow; None if it left the picture."""
    height, width = mask.size
    x0, y0, x1, y1 = mask.bbox
    flow_height, flow_width = motion.flow.shape[:2]
    sx, sy = motion.scale
    part = motion.flow[
        int(y0 * sy) : min(flow_height, int(np.ceil(y1 * sy)) + 1),
        int(x0 * sx) : min(flow_width, int(np.ceil(x1 * sx)) + 1),
    ]
    middle = np.median(part.reshape(-1, 2), axis=0) / (sx, sy)
    spread = np.abs(part / np.float32((sx, sy)) - middle).max(axis=(0, 1)) + 6
    left = max(0, int(np.floor(x0 - middle[0] - spread[0])))
    top = max(0, int(np.floor(y0 - middle[1] - spread[1])))
    right = min(width, int(np.ceil(x1 - middle[0] + spread[0])))
    bottom = min(height, int(np.ceil(y1 - middle[1] + spread[1])))
    if left >= right or top >= bottom:
        return None
    xs, ys = motion.source_positions(left, top, right, bottom)
    soft = cv2.remap(
        np.pad(mask.crop, 1).astype(np.float32), xs - (x0 - 1), ys - (y0 - 1), cv2.INTER_LINEAR
    )
    return ObjectMask.from_crop(soft > 0.5, left, top, mask.size, 0.9)
