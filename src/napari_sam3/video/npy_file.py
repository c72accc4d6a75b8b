"""Arrays that NumPy saved (.npy), mapped: a frame is read when it is asked for."""

from __future__ import annotations

import tokenize
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sam3.errors import VideoError
from napari_sam3.video.array_video import ArrayVideo
from napari_sam3.video.base import Video
from napari_sam3.video.demuxer import identify
from napari_sam3.video.plane_choice import PlaneChoice
from napari_sam3.video.plane_stack import ArrayPlanes, PlaneStack, guess_axes

# NumPy reads the head as Python's own words
_DAMAGE = (ValueError, EOFError, SyntaxError, TypeError, OverflowError, tokenize.TokenError)


def open_npy(path: Path, choice: PlaneChoice) -> Video:
    """Open a file of an array (T, H, W), (T, H, W, 3) or (T, C, Z, H, W).

    Raises
    ------
    VideoError
        If it is damaged, holds Python objects, or is no video.
    """
    array = _Mapped(path)
    height_at = -3 if len(array.shape) > 3 and array.shape[-1] in (1, 3, 4) else -2
    if not choice and len(array.shape) <= 4 and (len(array.shape) == 3 or height_at == -3):
        return NpyVideo(array)
    axes = guess_axes(array.shape, choice, repr(path.name))
    return PlaneStack(ArrayPlanes(array, path.name, axes, path=path), choice)


class NpyVideo(ArrayVideo):
    """Frames of a .npy file."""

    def __init__(self, array: _Mapped) -> None:
        super().__init__(array, path=array.path)

    def reopen(self) -> NpyVideo:
        """Open the file once more."""
        return NpyVideo(_Mapped(self._array.path))

    def __reduce__(self) -> tuple[Any, ...]:
        return _reopen, (self._array.path,)


def _reopen(path: Path) -> NpyVideo:
    return NpyVideo(_Mapped(path))


class _Mapped:
    """The array of a file; what was cut off since it was opened is not touched."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            # refuses what would have to be unpickled
            array = np.lib.format.open_memmap(path, mode="r")
        except _DAMAGE as exc:
            raise VideoError(
                f"{path.name!r} is no array of numbers that NumPy saved whole ({exc}); save it "
                "anew with numpy.save"
            ) from exc
        self._array: NDArray[Any] = array
        self._identity = identify(path)
        self.shape = array.shape
        self.dtype: np.dtype[Any] = array.dtype

    def __getitem__(self, key: Any) -> NDArray[Any]:
        if identify(self.path) != self._identity:
            raise VideoError(f"{self.path.name!r} has changed since it was opened; open it anew")
        return np.array(self._array[key])
