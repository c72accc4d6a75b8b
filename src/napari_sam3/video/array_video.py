"""Arrays as video: numpy, dask, zarr, tensors, or anything with a shape, a dtype and `[...]`."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from napari_sam3.errors import VideoError
from napari_sam3.video.base import Frame, Video

_FORMS = "(T, H, W) for grey or (T, H, W, 3) for colour"


class ArrayVideo(Video):
    """An array (T, H, W), (T, H, W, 1), (T, H, W, 3) or (T, H, W, 4); of the last alpha is dropped.

    Lazy arrays stay lazy: a frame is fetched when it is asked for. The array is not copied, so
    changes to it show. Tensors of PyTorch and arrays on a graphics card are fetched frame by frame.

    Raises
    ------
    VideoError
        If it is of another shape or type; one colour picture (H, W, 3) is no video.
    """

    def __init__(self, array: Any, *, path: Path | None = None) -> None:
        shape = _shape_of(array)
        if len(shape) not in (3, 4) or (len(shape) == 4 and shape[3] not in (1, 3, 4)):
            is_channels_first = len(shape) == 4 and shape[1] in (1, 3, 4)
            remedy = (
                "np.moveaxis(array, 1, -1) puts colours last; of channels or depth say which "
                "(channel=0, z=0)"
                if is_channels_first
                else "say which channel or depth (channel=0, z=0), and add a first axis to a "
                "single picture"
            )
            raise VideoError(f"an array of shape {shape} is no video: give {_FORMS}; {remedy}")
        if 0 in shape:
            raise VideoError(
                f"an array of shape {shape} holds nothing; a video has at least a frame"
            )
        if len(shape) == 3 and shape[2] in (3, 4) and min(shape[:2]) > shape[2]:
            raise VideoError(
                f"an array of shape {shape} looks like one colour picture, a video is {_FORMS}: "
                f"array[None] makes it a video of one frame (array[..., None], if {shape[0]} grey "
                f"frames are meant that are {shape[2]} px wide)"
            )
        self._array = array
        dtype = self._dtype_of()
        check_dtype(dtype)
        if len(shape) == 4:
            shape = (*shape[:3], 3) if shape[3] > 1 else shape[:3]
        super().__init__(shape, dtype.newbyteorder("="), path=path)

    def reopen(self) -> ArrayVideo:
        """Give another view of the same array."""
        return ArrayVideo(self._array)

    def _dtype_of(self) -> np.dtype[Any]:
        # what numpy can't read by itself is tried on a frame now, not in the middle of a run
        array = self._array
        if array.dtype is not None and not hasattr(array, "__cuda_array_interface__"):
            with suppress(TypeError):
                dtype: np.dtype[Any] = np.dtype(array.dtype)
                return dtype
        return self._fetch(0).dtype

    def _read(self, frame_index: int) -> Frame:
        frame = self._fetch(frame_index)
        if frame.ndim == 3:
            frame = frame[..., :3] if self.is_rgb else frame[..., 0]
        if frame.shape != self.shape[1:]:
            raise VideoError(
                f"frame {frame_index} of the array is {frame.shape}, but its shape says "
                f"{self.shape[1:]}"
            )
        return np.array(frame, self.dtype)

    def _fetch(self, frame_index: int) -> Frame:
        return fetch(self._array, frame_index, f"frame {frame_index} of the array")


def fetch(array: Any, key: Any, what: str) -> Frame:
    """What an array of any kind has at a key, as numbers of NumPy.

    Raises
    ------
    VideoError
        If it can't be had; `what` names it.
    """
    try:
        frame = array[key]
        if hasattr(frame, "detach"):
            frame = frame.detach().cpu()  # a tensor, with a gradient or on a graphics card
        elif hasattr(frame, "__cuda_array_interface__"):
            frame = frame.get()
        return np.asarray(frame)
    except (VideoError, MemoryError):
        raise
    except BaseExceptionGroup as exc:  # some releases of zarr read chunks as a group
        raise _not_to_be_had(array, what, first_of(exc)) from exc
    except Exception as exc:  # whatever somebody's lazy array may raise
        raise _not_to_be_had(array, what, exc) from exc


def first_of(error: BaseException) -> BaseException:
    """What went wrong first, of a group of errors."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def check_dtype(dtype: np.dtype[Any]) -> None:
    """Refuse what is no number.

    Raises
    ------
    VideoError
        If it is none.
    """
    if dtype.kind not in "buif":
        raise VideoError(
            f"an array of {dtype} is no video: convert it to an integer or floating point type"
        )


def _not_to_be_had(array: Any, what: str, exc: BaseException) -> VideoError:
    return VideoError(
        f"{what} ({type(array).__name__}) can't be had as numbers of NumPy: "
        f"{type(exc).__name__}: {exc}"
    )


def _shape_of(array: Any) -> tuple[int, ...]:
    try:
        return tuple(int(n) for n in array.shape)
    except (TypeError, ValueError) as exc:  # of a lazy array that does not know it yet
        raise VideoError(
            f"an array of shape {array.shape} is no video: all its sizes must be known (of dask, "
            "compute_chunk_sizes() finds them)"
        ) from exc
