"""Add a model: what a click means, and how an object gets from a frame to the next.

python add_a_model.py [VIDEO X Y]     X, Y: a pixel on the object, on the first frame

It follows what is brighter than its surroundings: an object is the bright spot that shares most
pixels with it on the frame beside. CONTRIBUTING.md says where a model stands in the package.
"""

import sys
from collections.abc import Mapping

import numpy as np
from skimage.filters import threshold_otsu
from skimage.measure import label

from napari_sam3 import VideoSession
from napari_sam3.models.base import Capabilities
from napari_sam3.models.registry import ModelEntry, register_model
from napari_sam3.models.sequential import SequentialTracker, TrackState
from napari_sam3.samples import sample_paths
from napari_sam3.values import Frames, Keyframe, ObjectMask, ObjectPrompt

NAME = "bright-spots"
TAKES = Capabilities(boxes=False, masks=False)  # clicks alone


class BrightSpots:
    """Loaded once, for any number of videos."""

    name = NAME
    capabilities = TAKES

    def __init__(self, device: str = "cpu") -> None:
        self.device = device

    def start(self, frames: Frames) -> "BrightSpotTracker":
        """Begin on a video."""
        return BrightSpotTracker(frames)

    def close(self) -> None:
        """Nothing to give back."""


class BrightSpotTracker(SequentialTracker):
    """Its state on one video; the base decides which frames are computed, and keeps them."""

    def segment(self, frame_index: int, prompt: ObjectPrompt) -> ObjectMask | None:
        """The spots under the clicks that include, without those under the ones that exclude."""
        spots = self._spots(frame_index)
        height, width = spots.shape
        columns, rows = np.floor(prompt.points_xy).astype(int).T
        under = spots[np.clip(rows, 0, height - 1), np.clip(columns, 0, width - 1)]
        wanted = set(under[prompt.point_labels]) - set(under[~prompt.point_labels]) - {0}
        return ObjectMask.from_mask(np.isin(spots, list(wanted)))  # None where nothing is left

    def begin(self, frame_index: int, keyframe: Keyframe) -> TrackState:
        """On a keyframe an object is what the keyframe says."""
        return TrackState(keyframe.mask, keyframe)

    def step(
        self,
        source: int,
        target: int,
        states: Mapping[int, TrackState],
        fixed: Mapping[int, TrackState],
    ) -> Mapping[int, TrackState]:
        """Take all objects that no keyframe sets on `target` there."""
        spots = self._spots(target)
        return {
            obj_id: TrackState(_most_shared(spots, state.mask), state.keyframe)
            for obj_id, state in states.items()
            if obj_id not in fixed
        }

    def _spots(self, frame_index: int) -> np.ndarray:
        """(H, W) ints: the bright spots of a frame, from 1."""
        grey = self.frames[frame_index].mean(axis=2)
        return label(grey > threshold_otsu(grey))


def _most_shared(spots: np.ndarray, mask: ObjectMask | None) -> ObjectMask | None:
    if mask is None:
        return None  # it has left, and is not looked for
    counts = np.bincount(spots[mask.mask])
    counts[:1] = 0  # the ground
    if not counts.any():
        return None
    best = int(counts.argmax())
    return ObjectMask.from_mask(spots == best, score=counts[best] / mask.area)


if __name__ == "__main__":
    register_model(
        ModelEntry(NAME, "follows bright spots", TAKES, f"{__name__}:BrightSpots", speed="fast")
    )
    video, x, y = sys.argv[1:] or (sample_paths().video, 343, 406)
    with VideoSession(video, NAME) as session:
        session.add_prompt(0, points=[[float(x), float(y)]])
        for result in session.propagate(max_frame_num_to_track=12):
            for obj_id, found in result.objects.items():
                print(result.frame_index, obj_id, f"{found.score:.2f}", found.bbox, found.area)
