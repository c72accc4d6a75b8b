"""The image encoder of SAM 2, EdgeTAM and SAM 3's tracker: a frame to three feature maps."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from napari_sam3.models.sam.device import Device
from napari_sam3.models.sam.feature_files import Encoded
from napari_sam3.models.sam.network import LEVELS
from napari_sam3.models.sam.pictures import Pictures


class TrackerEncoder:
    """Fulfils `features.ImageEncoder` for a model whose encoder serves a tracker alone.

    Parameters
    ----------
    model : Sam2VideoModel, EdgeTamVideoModel or Sam3TrackerVideoModel
    pictures : Pictures
        How a frame becomes pixel values.
    device : Device
    key : str
        Changes with whatever changes the output.
    """

    def __init__(self, model: Any, pictures: Pictures, device: Device, key: str) -> None:
        self.model = model
        self.pictures = pictures
        self.device = device
        self.key = key
        self.part: torch.nn.Module = model.vision_encoder
        self.resolution: int = model.image_size

    def preprocess(self, rgb: NDArray[np.uint8]) -> torch.Tensor:
        """(H, W, 3) uint8 to (1, 3, S, S) float32 on the CPU; from any thread."""
        return self.pictures.preprocess(rgb)

    def encode(self, pixels: torch.Tensor) -> Encoded:
        """Three maps, from fine to coarse, in the order in memory that the encoder left them in.

        (1, C, H, W), or (H * W, 1, C) where the channels come last: sums over a map that was laid
        out anew round differently, and a long track carries that on.
        """
        maps = self.model.get_image_features(pixels, return_dict=True).fpn_hidden_states
        sides = self.model.backbone_feature_sizes
        return {
            name: m if m.is_contiguous() else m.permute(1, 2, 0).reshape(1, -1, *side)
            for name, m, side in zip(LEVELS, maps, sides, strict=True)
        }
