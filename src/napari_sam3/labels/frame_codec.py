"""Label frames squeezed: deflated with zstd, as the chunks of a zarr array.

Label frames are large areas of equal value: 20 objects on 1080p take some 20 kB, in 1.5 ms.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numcodecs.zstd import Zstd
from numpy.typing import NDArray

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


def inflated_size(packed: bytes) -> int | None:
    """What the head of a zstd frame says (RFC 8878, 3.1.1.1); None where it does not."""
    if len(packed) < 5 or packed[:4] != b"\x28\xb5\x2f\xfd":
        return None
    is_single, kind = packed[4] >> 5 & 1, packed[4] >> 6
    begin = 5 + (not is_single) + (0, 1, 2, 4)[packed[4] & 3]
    n_bytes = (is_single, 2, 4, 8)[kind]
    if not n_bytes or len(packed) < begin + n_bytes:
        return None
    return int.from_bytes(packed[begin : begin + n_bytes], "little") + (256 if kind == 1 else 0)
