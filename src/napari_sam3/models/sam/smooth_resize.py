"""Antialiased resizing where PyTorch has no such operation: on MPS, up to 2.6 at least.

Transformers asks for it in the middle of a step (SAM 3 resizes each mask before it is remembered),
so it is answered there. Antialiased resizing is linear, and along rows and columns by itself: a
product with two matrices, which PyTorch's own operation tells on the CPU once.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import interpolate
from torch.overrides import TorchFunctionMode


def resize_by_products(values: Tensor, size: tuple[int, int], mode: str) -> Tensor:
    """Resize as `interpolate(values, size, mode=mode, antialias=True)`, but for rounding.

    Parameters
    ----------
    values : (N, C, H, W) float tensor
    size : (height, width)
    mode : str
        "bilinear" or "bicubic".
    """
    rows = _weights(values.shape[-2], size[0], mode, values.device)
    columns = _weights(values.shape[-1], size[1], mode, values.device)
    resized = rows @ values.float() @ columns.T
    return resized.to(values.dtype)


@lru_cache(maxsize=16)
def _weights(before: int, after: int, mode: str, device: torch.device) -> Tensor:
    """How much each of `before` places counts for each of `after`."""
    apart = torch.eye(before)[None, None]
    return interpolate(apart, (after, before), mode=mode, antialias=True)[0, 0].to(device)


class SmoothResizing(TorchFunctionMode):
    """Has antialiased resizing on a kind of device done by products, whoever asks for it."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self._kind = kind

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if func is interpolate and kwargs.get("antialias") and self._is_meant(args[0]):
            size = kwargs["size"]
            height, width = (size, size) if isinstance(size, int) else size
            return resize_by_products(args[0], (int(height), int(width)), kwargs["mode"])
        return func(*args, **kwargs)

    def _is_meant(self, values: Tensor) -> bool:
        """Pictures are made of bytes on the CPU, to the same values everywhere."""
        return values.device.type == self._kind and values.is_floating_point()
