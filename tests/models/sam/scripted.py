"""Trackers whose parts play a scene with two like things: what they offer is known exactly.

The encoder, the session and all steps between the parts are upstream's. The parts that a trained
network would need weights for are scripted: a memory says which of both things its mask held, the
attention counts those that are looked at, and the decoder offers three masks, the object, its
look-alike and both together, and thinks best of the one that its memories speak for.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from napari_sam3.models.sam.memory import MemoryRules
from napari_sam3.values import Journal, Keyframe, ObjectPrompt
from tests.models.sam import tiny
from tests.models.sam.bare import make_tracker

SIDE = 32  # of the decoder's masks
THING = 6  # side of a thing, on them
SCALE = 2  # the film is larger
OBJECT, LOOK_ALIKE, NEITHER = "object", "look-alike", "neither"

Place = tuple[float, float] | None
"""Top left corner of a thing on the masks; None: not to be seen."""


@dataclass(frozen=True)
class Scene:
    """Where the two things are on each frame, and where the decoder is taken in by the picture."""

    n_frames: int
    where: Callable[[int], tuple[Place, Place]]
    misled: Collection[int] = ()

    def film(self) -> np.ndarray:
        side = SIDE * SCALE
        return np.zeros((self.n_frames, side, side, 3), np.uint8)

    def masks(self, frame_index: int) -> torch.Tensor:
        """(3, h, w) bool: the object, its look-alike, both."""
        things = torch.zeros(2, SIDE, SIDE, dtype=torch.bool)
        for thing, place in zip(things, self.where(frame_index), strict=True):
            if place is not None:
                x, y = (round(p) for p in place)
                thing[y : y + THING, x : x + THING] = True
        return torch.stack([*things, things.any(dim=0)])


class _Attention(torch.nn.Module):
    """Hands on how many of the maps looked at hold the object, and how many its look-alike."""

    def __init__(self, scene_tracker: ScriptedTracker, tells_spatial: bool) -> None:
        super().__init__()
        self._owner = [scene_tracker]  # a list: no part of the module
        if tells_spatial:
            self.forward = self._forward_edgetam  # type: ignore[method-assign]

    def forward(
        self,
        current_vision_features: Any,
        memory: Any,
        current_vision_position_embeddings: Any = None,
        memory_posision_embeddings: Any = None,
        num_object_pointer_tokens: int = 0,
    ) -> Any:
        owner = self._owner[0]
        spatial = memory[: len(memory) - num_object_pointer_tokens, 0, 0]
        owner.seen = tuple(int((spatial == code).sum()) // owner.map_length for code in (1.0, -1.0))
        return current_vision_features

    def _forward_edgetam(
        self,
        current_vision_features: Any,
        memory: Any,
        current_vision_position_embeddings: Any = None,
        memory_posision_embeddings: Any = None,
        num_object_pointer_tokens: int = 0,
        num_spatial_memory_tokens: int = -1,
    ) -> Any:
        return _Attention.forward(
            self,
            current_vision_features,
            memory,
            num_object_pointer_tokens=num_object_pointer_tokens,
        )


class _Decoder(torch.nn.Module):
    """Offers the masks of the scene."""

    def __init__(self, scene_tracker: ScriptedTracker, n_channels: int, real: Any) -> None:
        super().__init__()
        self.conv_s0, self.conv_s1 = real.conv_s0, real.conv_s1  # of the encoder's maps
        self._owner = [scene_tracker]
        self._tokens = torch.eye(3, n_channels)[None, None]

    def forward(self, multimask_output: bool, **_inputs: Any) -> Any:
        owner = self._owner[0]
        masks = owner.scene.masks(owner.frame_index)
        quality = torch.tensor(owner.qualities())
        quality[~masks.flatten(1).any(dim=1)] = 0.0
        logits = torch.where(masks, 10.0, -10.0)[None, None]
        presence = torch.tensor([[[10.0 if masks.any() else -10.0]]])
        n_masks = 3 if multimask_output else 1
        return logits[:, :, :n_masks], quality[None, None, :n_masks], self._tokens, presence


class ScriptedTracker:
    """Our tracker over a tiny model of a family, playing a scene; the object is clicked on frame 0.

    Attributes
    ----------
    seen : (int, int)
        Maps looked at on the last frame, of the object and of its look-alike.
    """

    def __init__(self, family: str, scene: Scene, rules: MemoryRules) -> None:
        self.scene = scene
        self.seen = (0, 0)
        self.frame_index = 0
        self.map_length = 1
        model = tiny.MAKERS[family]()
        encode = model._encode_new_memory

        def encode_scripted(**given: Any) -> Any:
            features, position = encode(**given)
            self.map_length = features.numel() // features.shape[-1]
            shown = torch.nn.functional.interpolate(
                (given["pred_masks_high_res"] > 0).float(), (SIDE, SIDE)
            )[0, 0]
            return torch.full_like(
                features, {OBJECT: 1.0, LOOK_ALIKE: -1.0}.get(self._held(shown.numpy() > 0), 0.0)
            ), position

        model._encode_new_memory = encode_scripted
        model.memory_attention = _Attention(self, family == "edgetam")
        model.mask_decoder = _Decoder(self, tiny.HIDDEN, model.mask_decoder)
        self.tracker = make_tracker(model, scene.film(), family, rules)
        view = self.tracker.network.view

        def view_frame(frame_index: int, encoded: Any) -> Any:
            self.frame_index = frame_index
            return view(frame_index, encoded)

        self.tracker.network.view = view_frame  # type: ignore[method-assign]

    def qualities(self) -> list[float]:
        """Overlaps that the decoder expects of the object, of its look-alike, and of both.

        It knows the object by two memories of it, if none speak for the other thing; by one alone
        it takes the look-alike for it.
        """
        n_object, n_look_alike = self.seen
        if self.frame_index == 0:
            return [0.95, 0.1, 0.1]
        if self.frame_index in self.scene.misled:
            return [0.85, 0.9, 0.3]
        if n_object >= 2 and n_object > n_look_alike:
            return [0.95, 0.6, 0.3]
        return [0.6, 0.95, 0.3]

    def track(self, frames: range | None = None) -> list[str]:
        """What the masks of the frames held."""
        frames = range(self.scene.n_frames) if frames is None else frames
        x, y = (SCALE * (p + THING / 2) for p in self.scene.where(0)[0] or (0, 0))
        prompt = ObjectPrompt(np.array([[x, y]]), np.array([True]))
        keyframe = Keyframe(prompt, self.tracker.segment(0, prompt))
        self.journal = Journal({1: {0: keyframe}})
        return self.follow(self.journal, frames)

    def follow(self, journal: Journal, frames: range) -> list[str]:
        held = []
        for tracked in self.tracker.propagate(journal, frames, lambda: 0):
            if tracked.objects is None:
                continue
            self.frame_index = tracked.frame_index
            mask = tracked.objects.get(1)
            shown = None if mask is None else mask.mask[::SCALE, ::SCALE]
            held.append(NEITHER if shown is None else self._held(shown))
        return held

    def _held(self, shown: np.ndarray) -> str:
        things = self.scene.masks(self.frame_index).numpy()[:2]
        overlaps = [(t & shown).sum() / max((t | shown).sum(), 1) for t in things]
        best = int(np.argmax(overlaps))
        # what holds both overlaps half with each
        return (OBJECT, LOOK_ALIKE)[best] if overlaps[best] > 0.6 else NEITHER
