"""Arrays as video: numpy, dask, zarr, or anything with a shape, a dtype and `__getitem__`."""

from __future__ import annotations

from typing import Any

import numpy as np

from napari_sam3.errors import VideoError
from napari_sam3.video.base import Frame, Video


class ArrayVideo(Video):
    """An array (T, H, W), (T, H, W, 3) or (T, H, W, 4); of the latter alpha is dropped.

    Lazy arrays stay lazy: a frame is fetched when it is asked for. The array is not copied, so
    changes to it show.
    """

    def __init__(self, array: Any) -> None:
        shape = tuple(int(n) for n in array.shape)
        if len(shape) not in (3, 4) or (len(shape) == 4 and shape[3] not in (3, 4)):
            raise VideoError(
                f"an array of shape {shape} is no video: give (T, H, W) for grey or (T, H, W, 3) "
                "for colour; choose one channel or depth first, and add a first axis to a single "
                "picture"
            )
        if 0 in shape:
            raise VideoError(
                f"an array of shape {shape} holds nothing; a video has at least a frame"
            )
        dtype = np.dtype(array.dtype)
        if dtype.kind not in "buif":
            raise VideoError(
                f"an array of {dtype} is no video: convert it to an integer or floating point type"
            )
        self._array = array
        if len(shape) == 4:
            shape = (*shape[:3], 3)
        super().__init__(shape, dtype)

    def reopen(self) -> ArrayVideo:
        """Give another view of the same array."""
        return ArrayVideo(self._array)

    def _read(self, frame_index: int) -> Frame:
        frame = np.asarray(self._array[frame_index])
        return np.array(frame[..., :3] if self.is_rgb else frame, self.dtype)
