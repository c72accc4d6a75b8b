"""A model with known answers, for tests and for trying out what is built on a model.

A click is a disc, a box is that rectangle, a mask is itself, and everything moves by the same
step from frame to frame until it has left the picture. Concepts are discs at known places. The
pixels of the video are never looked at.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from napari_sam3.models.base import Capabilities
from napari_sam3.models.sequential import SequentialTracker, TrackState
from napari_sam3.values import BoolArray, Concept, Frames, Keyframe, ObjectMask, ObjectPrompt

PLACES: Mapping[str, tuple[tuple[float, float], ...]] = {
    "person": ((0.25, 0.5), (0.5, 0.5)),
    "dog": ((0.75, 0.5),),
}


class FakeModel:
    """Discs that move a known step.

    Parameters
    ----------
    device : str
        Said back, not used.
    step_xy : (int, int)
        Motion from a frame to the next, px.
    radius : int
        Of a disc, px. A negative click takes away a disc of half of it.
    places : mapping of word to (x, y) pairs
        Where a concept's discs are on frame 0, as parts of the width and height.
    capabilities : Capabilities
        What it claims to take; everything unless told otherwise.
    """

    name = "fake"

    def __init__(
        self,
        device: str = "cpu",
        *,
        step_xy: tuple[int, int] = (3, 2),
        radius: int = 8,
        places: Mapping[str, Sequence[tuple[float, float]]] = PLACES,
        capabilities: Capabilities | None = None,
    ) -> None:
        self.device = device
        self.step_xy = step_xy
        self.radius = radius
        self.places = places
        self.capabilities = capabilities or Capabilities(text=True, exemplars=True)

    def start(self, frames: Frames) -> FakeTracker:
        """Begin on a video."""
        return FakeTracker(self, frames)

    def close(self) -> None:
        """Nothing to give back."""


class FakeTracker(SequentialTracker):
    """The fake model on one video."""

    def __init__(self, model: FakeModel, frames: Frames) -> None:
        super().__init__(frames)
        self.model = model

    @property
    def state_kind(self) -> str:
        """Where an object is follows from its keyframe and the step."""
        return f"fake 1, by {self.model.step_xy}"

    def disc(self, x: float, y: float, radius: float) -> BoolArray:
        """(H, W) bool, True where a pixel's centre lies within `radius` px of (x, y)."""
        height, width = self.frames.size
        rows, columns = np.ogrid[:height, :width]
        inside: BoolArray = (columns + 0.5 - x) ** 2 + (rows + 0.5 - y) ** 2 <= radius**2
        return inside

    def segment(self, frame_index: int, prompt: ObjectPrompt) -> ObjectMask | None:
        """Mask, else box, else what was there; positive clicks add a disc, negative take one."""
        mask = np.zeros(self.frames.size, bool)
        score = 0.9
        if prompt.mask is not None:
            mask |= prompt.mask
            score = 1.0
        elif prompt.box_xyxy is not None:
            x0, y0, x1, y1 = np.round(prompt.box_xyxy).astype(int)
            mask[y0:y1, x0:x1] = True
        elif prompt.prior is not None:
            mask |= prompt.prior.mask
            score = prompt.prior.score
        for (x, y), positive in zip(prompt.points_xy, prompt.point_labels, strict=True):
            if positive:
                mask |= self.disc(x, y, self.model.radius)
            else:
                mask &= ~self.disc(x, y, self.model.radius / 2)
        return ObjectMask.from_mask(mask, score)

    def detect(self, frame_index: int, concept: Concept) -> Sequence[ObjectMask]:
        """The discs of that word; of all words if there are only exemplars."""
        height, width = self.frames.size
        words = self.model.places if concept.text is None else [concept.text]
        dx, dy = (frame_index * s for s in self.model.step_xy)
        unwanted = concept.boxes_xyxy[~concept.box_labels]
        found: list[ObjectMask] = []
        for word in words:
            for fx, fy in self.model.places.get(word, ()):
                x, y = fx * width + dx, fy * height + dy
                if any(x0 <= x <= x1 and y0 <= y <= y1 for x0, y0, x1, y1 in unwanted):
                    continue
                disc = self.disc(x, y, self.model.radius)
                mask = ObjectMask.from_mask(disc, 0.8 - 0.01 * len(found))
                if mask is not None:
                    found.append(mask)
        return found

    def begin(self, frame_index: int, keyframe: Keyframe) -> TrackState:
        """Remember where the object was set, so that nothing is lost at the picture's border."""
        return TrackState(keyframe.mask, keyframe, frame_index)

    def step(
        self,
        source: int,
        target: int,
        states: Mapping[int, TrackState],
        fixed: Mapping[int, TrackState],
    ) -> Mapping[int, TrackState]:
        """Move everything by the step."""
        return {
            obj_id: TrackState(
                self._move(state.keyframe.mask, target - state.memory), state.keyframe, state.memory
            )
            for obj_id, state in states.items()
            if obj_id not in fixed
        }

    def _move(self, mask: ObjectMask | None, n_steps: int) -> ObjectMask | None:
        if mask is None:
            return None
        dx, dy = (n_steps * s for s in self.model.step_xy)
        height, width = mask.size
        x0, y0, x1, y1 = mask.bbox
        left, top = max(0, x0 + dx), max(0, y0 + dy)
        right, bottom = min(width, x1 + dx), min(height, y1 + dy)
        if left >= right or top >= bottom:
            return None
        crop = mask.crop[top - y0 - dy : bottom - y0 - dy, left - x0 - dx : right - x0 - dx]
        return ObjectMask.from_crop(crop, left, top, mask.size, mask.score)
