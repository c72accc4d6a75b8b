"""Label frames squeezed: deflated with zstd, as the chunks of a zarr array.

Label frames are large areas of equal value: 20 objects on 1080p take some 20 kB, in 1.5 ms.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numcodecs.zstd import Zstd
from numpy.typing import NDArray

from napari_sam3.plain_files import inflated_size

# by benchmarks/label_store.py: higher levels, and blosc with any filter, take longer for little
LEVEL = 1


class FrameCodec:
    """Squeezes frames of one kind.

    Parameters
    ----------
    size : (int, int)
        Height, width.
    dtype : integer dtype
        Of the labels.
    """

    def __init__(self, size: tuple[int, int], dtype: np.dtype[Any]) -> None:
        self._size = size
        self._dtype = dtype
        self._stored = dtype.newbyteorder("<")
        self._zstd = Zstd(level=LEVEL, checksum=True)

    def pack(self, labels: NDArray[Any]) -> bytes:
        """Squeeze an (H, W) frame."""
        return bytes(self._zstd.encode(np.ascontiguousarray(labels, self._stored)))

    def unpack(self, packed: bytes) -> NDArray[Any]:
        """The (H, W) frame as it was, a new array.

        Raises
        ------
        ValueError
            If it is damaged.
        """
        labels = np.empty(self._size, self._stored)
        # what does not say its size is inflated before it is known to fit
        if inflated_size(packed) != labels.nbytes:
            raise ValueError("damaged: it is not of that size")
        try:
            self._zstd.decode(packed, labels)
        except (RuntimeError, ValueError) as error:
            raise ValueError(f"damaged: {error}") from error
        return labels.astype(self._dtype, copy=False)
