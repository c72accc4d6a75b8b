"""SAM 3's image encoder: one vision transformer, seen by the detector and by the tracker.

The transformer is most of the cost, so its output is what is kept of a frame; the two necks that
make maps of it for the detector and for the tracker are run again when they are needed.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import isqrt
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import Sam3VideoModel
from transformers.models.sam3.modeling_sam3 import Sam3VisionEncoderOutput

from napari_sam3.models.sam.device import Device
from napari_sam3.models.sam.features import Encoded, FeatureSource
from napari_sam3.models.sam.network import LEVELS
from napari_sam3.models.sam.pictures import Pictures

_PATCHES = "patches"


class TrackerMaps(NamedTuple):
    """A frame as the tracker sees it, from fine to coarse, as its session's cache holds it.

    Attributes
    ----------
    features, positions : lists of (H * W, 1, C) tensors
    """

    features: Sequence[Tensor]
    positions: Sequence[Tensor]


class Sam3Encoder:
    """The encoder of a `Sam3VideoModel` (see `features.ImageEncoder`)."""

    def __init__(self, model: Sam3VideoModel, pictures: Pictures, device: Device, key: str) -> None:
        self.key = key
        self.device = device
        self._pictures = pictures
        self.part: torch.nn.Module = model.detector_model.vision_encoder.backbone
        self.resolution: int = model.tracker_model.image_size

    def preprocess(self, rgb: NDArray[np.uint8]) -> Tensor:
        """Pixel values, (1, 3, S, S) on the CPU."""
        return self._pictures.preprocess(rgb)

    def encode(self, pixels: Tensor) -> Encoded:
        """The transformer's patches, (1, N, C)."""
        return {_PATCHES: self.part(pixels).last_hidden_state}


class Sam3Views:
    """Frames of one video as SAM 3's detector and tracker see them; the last one is kept.

    Called inside `Device.computing()`, after `fetch`.
    """

    def __init__(self, model: Sam3VideoModel, features: FeatureSource) -> None:
        self.features = features
        self._model = model
        self._frame_index = -1
        self._patches = torch.empty(0)
        self._detector: Sam3VisionEncoderOutput | None = None
        self._tracker: TrackerMaps | None = None

    def fetch(self, frame_index: int) -> None:
        """Have a frame encoded; called outside `Device.computing()`.

        Who waits for the device first would stop idle work on this very frame, not wait for it.
        """
        self.features.get(frame_index)

    def detector(self, frame_index: int) -> Sam3VisionEncoderOutput:
        """A frame for the detector."""
        self._turn_to(frame_index)
        if self._detector is None:
            self._detector = detector_view(self._model, self._patches)
        return self._detector

    def tracker(self, frame_index: int) -> TrackerMaps:
        """A frame for the tracker."""
        self._turn_to(frame_index)
        if self._tracker is None:
            self._tracker = tracker_maps(self._model, self._patches)
        return self._tracker

    def close(self) -> None:
        """Give back the last frame's memory."""
        self._frame_index = -1
        self._patches = torch.empty(0)
        self._detector = self._tracker = None

    def _turn_to(self, frame_index: int) -> None:
        if frame_index != self._frame_index:
            self.close()
            self._patches = self.features.get(frame_index)[_PATCHES]
            self._frame_index = frame_index


class TrackerSource:
    """The tracker's maps of a video, in the form that an `ObjectTracker` asks for them."""

    def __init__(self, views: Sam3Views) -> None:
        self._views = views

    def get(self, frame_index: int) -> Encoded:
        """The maps of a frame, (H * W, 1, C) each."""
        self._views.fetch(frame_index)
        with self._views.features.encoder.device.computing():
            return dict(zip(LEVELS, self._views.tracker(frame_index).features, strict=True))

    def expect(self, frame_indices: range) -> None:
        """Say which frames will be asked for next (see `FeatureSource.expect`)."""
        self._views.features.expect(frame_indices)

    def prefetch(self, frame_index: int) -> None:
        """Encode a frame while nobody works (see `FeatureSource.prefetch`)."""
        self._views.features.prefetch(frame_index)

    @property
    def preparing(self) -> int | None:
        """The frame being encoded while nobody works."""
        return self._views.features.preparing

    def close(self) -> None:
        """End all threads (see `FeatureSource.close`)."""
        self._views.close()
        self._views.features.close()


def detector_view(model: Sam3VideoModel, patches: Tensor) -> Sam3VisionEncoderOutput:
    """What the detector's own vision encoder gives, from the (1, N, C) patches on."""
    side = isqrt(patches.shape[1])
    grid = patches.view(1, side, side, -1).permute(0, 3, 1, 2)
    maps, positions = model.detector_model.vision_encoder.neck(grid)
    return Sam3VisionEncoderOutput(
        last_hidden_state=patches, fpn_hidden_states=maps, fpn_position_encoding=positions
    )


def tracker_maps(model: Sam3VideoModel, patches: Tensor) -> TrackerMaps:
    """The tracker's maps, from the (1, N, C) patches on."""
    seen: Any = Sam3VisionEncoderOutput(last_hidden_state=patches)  # annotated as a tensor
    return TrackerMaps(*model.get_vision_features_for_tracker(seen))
