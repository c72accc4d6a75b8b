"""A tracker's state as JSON and arrays, and back: what checkpoints are made of.

What is read may come from a damaged file or a stranger. So each number is looked at before it is
used, and whatever can't be is a `CheckpointError`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sam3.checkpoint import Checkpoint
from napari_sam3.errors import CheckpointError
from napari_sam3.values import ObjectMask


class StateWriter:
    """Collects arrays, and says what stands for them in the header."""

    def __init__(self) -> None:
        self.arrays: dict[str, NDArray[Any]] = {}

    def put(self, array: NDArray[Any]) -> str:
        """The name of an array."""
        name = str(len(self.arrays))
        self.arrays[name] = array
        return name

    def put_mask(self, mask: ObjectMask | None) -> list[Any] | None:
        """What stands for a mask: its bits, its box, its score."""
        if mask is None:
            return None
        return [self.put(np.packbits(mask.crop)), list(mask.bbox), float(mask.score)]


class StateReader:
    """Reads what a `StateWriter` made.

    Parameters
    ----------
    checkpoint : Checkpoint
    size : (height, width)
        Of the video's frames, px.
    """

    def __init__(self, checkpoint: Checkpoint, size: tuple[int, int]) -> None:
        self.checkpoint = checkpoint
        self.size = size

    def array(self, name: Any, dtype: str, shape: tuple[int, ...]) -> NDArray[Any]:
        """An array, if it is of this kind and all of its values are finite."""
        array = self.checkpoint.arrays[name]
        if array.dtype != np.dtype(dtype) or array.shape != shape:
            raise ValueError(f"array {name!r} is {array.dtype} of shape {array.shape}")
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise ValueError(f"array {name!r} holds what is no number")
        return array

    def mask(self, told: Any) -> ObjectMask | None:
        """What `put_mask` stands for."""
        if told is None:
            return None
        name, box, score = told
        x0, y0, x1, y1 = (self.count(value) for value in box)
        height, width = self.size
        if not (x0 < x1 <= width and y0 < y1 <= height):
            raise ValueError(f"box {box}")
        n_pixels = (y1 - y0) * (x1 - x0)
        bits = self.array(name, "uint8", (-(-n_pixels // 8),))
        crop = np.unpackbits(bits, count=n_pixels).view(bool).reshape(y1 - y0, x1 - x0)
        if not crop.any():
            raise ValueError("a mask without a pixel")
        crop.flags.writeable = False
        return ObjectMask(crop, (x0, y0, x1, y1), self.size, self.number(score, 0, 1))

    def count(self, value: Any) -> int:
        """A whole number from 0."""
        if type(value) is not int or not 0 <= value < 2**40:
            raise ValueError(f"{value!r} is no count"[:80])
        return value

    def number(self, value: Any, low: float = -math.inf, high: float = math.inf) -> float:
        """A finite number within limits."""
        if type(value) not in (int, float) or not math.isfinite(value) or not low <= value <= high:
            raise ValueError(f"{value!r} can't be"[:80])
        return float(value)


@contextmanager
def reading_state(checkpoint: Checkpoint, kind: str | None, step: int) -> Iterator[None]:
    """Make sure that a state is of a kind and direction; what can't be read is told as one error.

    Raises
    ------
    CheckpointError
        If it is of something else, or damaged.
    """
    told = checkpoint.header.get("kind"), checkpoint.header.get("step")
    if told != (kind, step):
        raise CheckpointError(
            f"the state at frame {checkpoint.frame} is of {str(told[0])[:80]!r} going by "
            f"{str(told[1])[:10]}, not of {kind!r} going by {step}"
        )
    try:
        yield
    except (ValueError, LookupError, TypeError, ArithmeticError) as exc:
        if isinstance(exc, CheckpointError):
            raise
        raise CheckpointError(
            f"the state at frame {checkpoint.frame} can't be read ({type(exc).__name__}: {exc})"
        ) from exc
