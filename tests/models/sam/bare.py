"""Transformers' own loops, as its documentation writes them: what our masks are compared with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from napari_sam3.models.sam.device import Device
from napari_sam3.models.sam.encoder import TrackerEncoder
from napari_sam3.models.sam.feature_cache import FeatureCache
from napari_sam3.models.sam.features import FeatureSource
from napari_sam3.models.sam.memory import MemoryRules
from napari_sam3.models.sam.objects import ObjectTracker
from napari_sam3.models.sam.pictures import Pictures
from napari_sam3.values import Journal, Keyframe, ObjectPrompt
from tests.models.sam import tiny

MEAN_STD = {
    "sam2": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "edgetam": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "sam3_tracker": ((0.5,) * 3, (0.5,) * 3),
}


class Film:
    """An array as `values.Frames`."""

    def __init__(self, frames: np.ndarray) -> None:
        self.frames = frames
        self.identity = None

    @property
    def size(self) -> tuple[int, int]:
        return self.frames.shape[1], self.frames.shape[2]

    def __len__(self) -> int:
        return len(self.frames)

    def __getitem__(self, frame_index: int) -> np.ndarray:
        return self.frames[frame_index]


class Bare:
    """A model and its processor on a film, in upstream's words."""

    def __init__(self, model: Any, film: np.ndarray) -> None:
        self.model = model
        self.processor = tiny.make_processor(model)
        self.size = film.shape[1:3]
        self.session = self.processor.init_video_session(video=list(film))

    def prompt(self, frame_index: int, obj_id: int, **inputs: Any) -> np.ndarray:
        """Prompt an object and run the model at once, as `obj_with_new_inputs` demands."""
        self.processor.add_inputs_to_inference_session(
            self.session, frame_idx=frame_index, obj_ids=obj_id, **inputs
        )
        return self._masks(self.model(self.session, frame_idx=frame_index))[obj_id]

    def click(self, frame_index: int, obj_id: int, points: Any, labels: Any) -> np.ndarray:
        return self.prompt(
            frame_index,
            obj_id,
            input_points=[[[list(point) for point in points]]],
            input_labels=[[list(map(int, labels))]],
        )

    def track(self, frames: range) -> dict[int, dict[int, np.ndarray]]:
        return {
            index: self._masks(self.model(self.session, frame_idx=index, reverse=frames.step < 0))
            for index in frames
        }

    def _masks(self, output: Any) -> dict[int, np.ndarray]:
        masks = self.processor.post_process_masks([output.pred_masks], [list(self.size)])[0]
        return {i: m[0].numpy() for i, m in zip(output.object_ids, masks, strict=True)}


def make_tracker(
    model: Any, film: np.ndarray, family: str, rules: MemoryRules | None = None
) -> ObjectTracker:
    """Our tracker over a model of `tiny`, with a cache of its own."""
    device = Device("cpu")
    pictures = Pictures(model.config.image_size, *MEAN_STD[family])
    encoder = TrackerEncoder(model, pictures, device, "tiny")
    features = FeatureSource(Film(film), encoder, FeatureCache(2**28, 0))
    return ObjectTracker(model, features, film.shape[1:3], len(film), device, rules)


class Ours:
    """Our tracker with a journal, prompted as a session does it."""

    def __init__(self, model: Any, film: np.ndarray, family: str) -> None:
        self.tracker = make_tracker(model, film, family)
        self.size = film.shape[1:3]
        self.objects: dict[int, dict[int, Keyframe]] = {}

    def prompt(self, frame_index: int, obj_id: int, prompt: ObjectPrompt) -> np.ndarray:
        mask = self.tracker.segment(frame_index, prompt)
        self.objects.setdefault(obj_id, {})[frame_index] = Keyframe(prompt, mask)
        return np.zeros(self.size, bool) if mask is None else mask.mask

    def click(self, frame_index: int, obj_id: int, points: Any, labels: Any) -> np.ndarray:
        prompt = ObjectPrompt(np.array(points, float), np.array(labels, bool))
        return self.prompt(frame_index, obj_id, prompt)

    @property
    def journal(self) -> Journal:
        return Journal({i: dict(k) for i, k in self.objects.items()})

    def track(self, frames: range) -> dict[int, dict[int, np.ndarray]]:
        """Masks of the frames asked for; an absent object is an empty mask."""
        tracked = self.tracker.propagate(self.journal, frames, lambda: 0)
        return {
            t.frame_index: {
                i: t.objects[i].mask if i in t.objects else np.zeros(self.size, bool)
                for i in self.objects
            }
            for t in tracked
            if t.objects is not None
        }


def differing_pixels(
    ours: Mapping[int, Mapping[int, np.ndarray]], bare: Mapping[int, Mapping[int, np.ndarray]]
) -> int:
    """How many pixels differ in all; the frames and objects must be the same."""
    assert ours.keys() == bare.keys()
    total = 0
    for index in bare:
        assert ours[index].keys() == bare[index].keys()
        total += sum(np.count_nonzero(ours[index][i] != m) for i, m in bare[index].items())
    return total
