"""What a detector is: the protocol that each fulfils, and nothing else."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from napari_sam3.values import ObjectMask


class Detector(Protocol):
    """Finds objects on a frame; used in one thread at a time."""

    def detect(self, frame: NDArray[np.uint8]) -> list[ObjectMask]:
        """Find objects on an (H, W, 3) RGB frame.

        Returns
        -------
        list of ObjectMask
            The best first, by their scores; they do not overlap but where a model says so.
        """
        ...

    def close(self) -> None:
        """Give back memory; not used afterwards."""
        ...
