"""From a frame to what an image encoder takes; the same values as the family's own processor.

The processors of transformers squeeze the frame to a square of the model's size (bilinear,
antialiased, in 8 bits), then subtract a mean and divide by a deviation per channel.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torchvision.transforms.v2 import InterpolationMode, functional as transforms

from napari_sam3.models.weights.model_files import read_model_text

_IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
_HALVES = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
# what the families were trained with, for folders that hold a model and no processor
_USUAL = {
    "sam2_video": _IMAGENET,
    "edgetam_video": _IMAGENET,
    "sam3_tracker_video": _HALVES,
    "sam3_video": _HALVES,
}
_FILES = ("video_preprocessor_config.json", "preprocessor_config.json", "processor_config.json")
_PARTS = ("video_processor", "image_processor")
_RESAMPLING = {
    0: InterpolationMode.NEAREST,
    2: InterpolationMode.BILINEAR,
    3: InterpolationMode.BICUBIC,
}


@dataclass(frozen=True)
class Pictures:
    """How frames become pixel values.

    Attributes
    ----------
    size : int
        Side of the square, px.
    mean, std : (3,) floats
        Of values in 0..1, red, green, blue.
    resampling : InterpolationMode
    """

    size: int
    mean: tuple[float, float, float] = _IMAGENET[0]
    std: tuple[float, float, float] = _IMAGENET[1]
    resampling: InterpolationMode = InterpolationMode.BILINEAR

    @classmethod
    def of_folder(cls, folder: Path, family: str, size: int) -> Pictures:
        """Read what a model's folder says of its processor; what the family uses where it doesn't.

        Parameters
        ----------
        folder : Path
        family : str
            config.json's model_type.
        size : int
            The working resolution; it goes before the one in the files.
        """
        mean, std = _USUAL[family]
        told = _read_processor(folder)
        return cls(
            size,
            _three(told.get("image_mean"), mean),
            _three(told.get("image_std"), std),
            _RESAMPLING.get(told.get("resample", 2), InterpolationMode.BILINEAR),
        )

    def preprocess(self, rgb: NDArray[np.uint8]) -> torch.Tensor:
        """Turn a frame into pixel values; callable from any thread.

        Parameters
        ----------
        rgb : (H, W, 3) uint8 ndarray

        Returns
        -------
        (1, 3, size, size) float32 tensor on the CPU
        """
        if not rgb.flags.writeable:  # PyTorch warns of such; it is only read
            rgb = rgb.copy()
        picture = torch.from_numpy(rgb).permute(2, 0, 1)[None]
        picture = transforms.resize(
            picture, [self.size, self.size], interpolation=self.resampling, antialias=True
        )
        # scaled as transformers does it, in one step: the values shall be the same to the last bit
        scale = 1.0 / (1 / 255)
        mean, std = torch.tensor(self.mean) * scale, torch.tensor(self.std) * scale
        values: torch.Tensor = transforms.normalize(
            picture.to(torch.float32), mean.tolist(), std.tolist(), inplace=True
        )
        return values.contiguous()


def _read_processor(folder: Path) -> Mapping[str, Any]:
    for name in _FILES:
        try:
            told = json.loads(read_model_text(folder / name))
        except (OSError, ValueError, RecursionError):
            continue
        for part in _PARTS:
            if isinstance(told, dict) and isinstance(told.get(part), dict):
                told = told[part]
        if isinstance(told, dict) and "image_mean" in told:
            return told
    return {}


def _three(values: Any, usual: tuple[float, float, float]) -> tuple[float, float, float]:
    if isinstance(values, list | tuple) and len(values) == 3:
        red, green, blue = (float(v) for v in values)
        return red, green, blue
    return usual
