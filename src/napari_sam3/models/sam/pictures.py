"""From a frame to what an image encoder takes; the same values as the family's own processor.

The processors of transformers squeeze the frame to a square of the model's size (bilinear,
antialiased, in 8 bits), then subtract a mean and divide by a deviation per channel. A folder may
say otherwise, as of a model that was trained so; what can't be done here is refused.
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

from napari_sam3.errors import ModelUnavailableError
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
_SAID = {
    *("image_mean", "image_std", "do_normalize", "do_rescale", "rescale_factor"),
    *("do_resize", "resample", "size", "do_pad", "do_center_crop"),
}
_RESAMPLING = {
    0: InterpolationMode.NEAREST_EXACT,
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
    factor : float
        That 8 bits are multiplied with before; 1 where a folder says that it is not done.
    is_normalized : bool
        Whether the mean is subtracted and the result divided by the deviation.
    """

    size: int
    mean: tuple[float, float, float] = _IMAGENET[0]
    std: tuple[float, float, float] = _IMAGENET[1]
    resampling: InterpolationMode = InterpolationMode.BILINEAR
    factor: float = 1 / 255
    is_normalized: bool = True

    @classmethod
    def of_folder(
        cls, folder: Path, family: str, size: int, native_size: int | None = None
    ) -> Pictures:
        """Read what a model's folder says of its processor; what the family uses where it doesn't.

        Parameters
        ----------
        folder : Path
        family : str
            config.json's model_type.
        size : int
            The working resolution; it goes before the one in the files.
        native_size : int, optional
            Of config.json, which the one in the files must be.

        Raises
        ------
        ModelUnavailableError
            If the folder asks for something that is not done here.
        """
        mean, std = _USUAL[family]
        told = _read_processor(folder)
        _check_is_done(told, folder, native_size)
        return cls(
            size,
            _three(told.get("image_mean"), mean),
            _three(told.get("image_std"), std),
            _RESAMPLING[told.get("resample", 2)],
            float(told.get("rescale_factor", 1 / 255)) if _is_asked(told, "do_rescale") else 1.0,
            _is_asked(told, "do_normalize"),
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
        values: torch.Tensor = picture.to(torch.float32)
        if self.is_normalized:
            # scaled as transformers does it, in one step: equal to the last bit
            scale = 1.0 / self.factor
            mean, std = torch.tensor(self.mean) * scale, torch.tensor(self.std) * scale
            values = transforms.normalize(values, mean.tolist(), std.tolist(), inplace=True)
        else:
            values = values * self.factor
        return values.contiguous()


def _check_is_done(told: Mapping[str, Any], folder: Path, native_size: int | None) -> None:
    """Refuse what a processor's file asks for and nothing here does."""
    wanted = [f"{name}: true" for name in ("do_center_crop", "do_pad") if told.get(name)]
    if not _is_asked(told, "do_resize"):
        wanted.append("do_resize: false")
    if told.get("resample", 2) not in _RESAMPLING:
        wanted.append(f"resample: {told['resample']!r:.20} (0, 2 and 3 can be had)")
    sides = _sides(told.get("size"))
    if sides is None or (native_size is not None and set(sides) - {native_size}):
        square = "a square" if native_size is None else f"{native_size} x {native_size} px"
        wanted.append(f"size: {told['size']!r:.80} (config.json's {square} can be had)")
    if wanted:
        raise ModelUnavailableError(
            f"the model in {str(folder)!r} wants its pictures made in a way that is not done here: "
            f"{'; '.join(wanted)}. Correct its processor's file if that is not meant, or name "
            "another folder"
        )


def _is_asked(told: Mapping[str, Any], name: str) -> bool:
    """Whether a step is done, as it is where nothing is said."""
    said = told.get(name)
    return said is None or bool(said)


def _sides(size: Any) -> tuple[int, ...] | None:
    """Sides of a square that is asked for, px; none if that is left open, None if no square."""
    if size is None:
        return ()
    high, wide = (size.get("height"), size.get("width")) if isinstance(size, dict) else (size, size)
    if not (isinstance(high, int) and isinstance(wide, int) and high == wide):
        return None
    return high, wide


def _read_processor(folder: Path) -> Mapping[str, Any]:
    for name in _FILES:
        try:
            told = json.loads(read_model_text(folder / name))
        except (OSError, ValueError, RecursionError):
            continue
        for part in _PARTS:
            if isinstance(told, dict) and isinstance(told.get(part), dict):
                told = told[part]
        if isinstance(told, dict) and not _SAID.isdisjoint(told):
            return told
    return {}


def _three(values: Any, usual: tuple[float, float, float]) -> tuple[float, float, float]:
    if values is None:
        return usual
    if isinstance(values, int | float):
        return (float(values),) * 3
    red, green, blue = (float(v) for v in values)
    return red, green, blue
