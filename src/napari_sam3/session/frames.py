"""A video as models see it: 8-bit RGB, scaled the same way on every frame."""

from __future__ import annotations

import hashlib
import math
import threading
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sam3.session.validation import check_contrast_limits
from napari_sam3.video import Video
from napari_sam3.video.folder_contents import files_at, is_pattern, is_zarr, nested_files

_SAMPLES = 5
_VERSION = 2  # to be raised when the same file gives other pixels
_HEAD = 2**16
_MOST_FLOAT32 = 1e38  # a difference of larger values overflows


class RgbFrames:
    """The frames of a video as (H, W, 3) uint8.

    8-bit video is taken as it is. Anything else is scaled linearly from `contrast_limits` to
    0..255, once for the whole video: scaling each frame by itself would make it flicker.

    Parameters
    ----------
    video : Video
        (T, H, W) or (T, H, W, 3) of any dtype.
    contrast_limits : (float, float), optional
        Values that become 0 and 255. If left out, of 8-bit video none, else the 0.1st and 99.9th
        percentile of five frames spread over the video, read when the first frame is.
    """

    def __init__(self, video: Video, contrast_limits: tuple[float, float] | None = None) -> None:
        self._video = video
        self._limits = check_contrast_limits(contrast_limits)
        self._lock = threading.Lock()

    @property
    def video(self) -> Video:
        """What is read."""
        return self._video

    @property
    def contrast_limits(self) -> tuple[float, float] | None:
        """Values that become 0 and 255; None: none, or not measured yet."""
        return self._limits

    @property
    def size(self) -> tuple[int, int]:
        """(height, width), px."""
        _, height, width = self._video.shape[:3]
        return height, width

    @property
    def identity(self) -> str | None:
        """What tells these frames from all others: the file, and how its values are scaled.

        None for an array, which may change and has no name. Reads no frame of 8-bit video.
        """
        source = source_identity(self._video.path)
        if source is None:
            return None
        plain = self._video.dtype == np.uint8 and self._limits is None
        limits = None if plain else self._contrast_limits()
        chosen = (str(self._video.choice),) if self._video.choice else ()
        text = repr((_VERSION, source, self._video.shape, limits, *chosen))
        return hashlib.sha256(text.encode()).hexdigest()

    def __len__(self) -> int:
        return len(self._video)

    def __getitem__(self, frame_index: int) -> NDArray[np.uint8]:
        frame = self._to_uint8(self._video.frame(frame_index))
        if frame.ndim == 2:
            frame = np.repeat(frame[..., None], 3, axis=2)
        return np.ascontiguousarray(frame)

    def _to_uint8(self, frame: NDArray[np.generic]) -> NDArray[np.uint8]:
        if frame.dtype == np.uint8 and self._limits is None:
            return frame.view(np.uint8)
        low, high = self._contrast_limits()
        scaled = _difference(frame, low, high)  # in place from here on: a third of the time
        scaled *= 255 / (high - low)
        np.nan_to_num(scaled, copy=False)
        whole: NDArray[np.uint8] = np.rint(scaled.clip(0, 255, out=scaled)).astype(np.uint8)
        return whole

    def _contrast_limits(self) -> tuple[float, float]:
        with self._lock:
            if self._limits is None:
                self._limits = check_contrast_limits(measure_contrast(self._video))
                assert self._limits is not None, "measured"
            return self._limits


def source_identity(path: Path | None) -> str | None:
    """Tell a file, or a folder of frames, from every other; None for what is on no disk.

    By place, size and time of the last change, of a file by its first bytes too.
    """
    if path is None:
        return None
    digest = hashlib.sha256(str(path.resolve()).encode("utf-8", "surrogateescape"))
    try:
        is_of_files = path.is_dir() or is_pattern(path)
        members = sorted(files_at(path)) if is_of_files else [path]
        if is_zarr(path):
            members = nested_files(path)
        for member in members:
            status = member.stat()
            digest.update(repr((member.name, status.st_size, status.st_mtime_ns)).encode())
        if path.is_file():
            with path.open("rb") as file:
                digest.update(file.read(_HEAD))
    except OSError:
        return None
    return digest.hexdigest()


def measure_contrast(video: Video) -> tuple[float, float]:
    """The 0.1st and 99.9th percentile of five frames spread over a video; always low < high.

    Of integers of 64 bits they are integers: a float may be too coarse to tell them apart.
    """
    indices = np.unique(np.linspace(0, len(video) - 1, _SAMPLES).astype(int))
    frames = [video.frame(int(i)) for i in indices]
    base = min(int(frame.min()) for frame in frames) if _is_long(frames[0]) else 0
    exact = np.float64 if _is_wide(frames[0].dtype) else np.float32
    values = np.concatenate([_less(frame, base).astype(exact).ravel() for frame in frames])
    values = values[np.isfinite(values)]
    if values.size == 0:
        return 0.0, 1.0
    low, high = (float(v) for v in np.percentile(values, (0.1, 99.9)))
    if _is_long(frames[0]):
        return base + int(low), base + max(math.ceil(high), int(low) + 1)
    return (low, high) if low < high else (low, max(low + 1.0, float(np.nextafter(low, np.inf))))


def _difference(frame: NDArray[Any], low: float, high: float) -> NDArray[Any]:
    """A frame less `low`, new, in floats that are fine enough for its values."""
    if _is_long(frame):
        limits = np.iinfo(frame.dtype)
        base = min(max(math.floor(low), int(limits.min)), int(limits.max))
        difference: NDArray[Any] = _less(frame, base).astype(np.float64)
        difference -= float(low - base)
        return difference
    is_wide = _is_wide(frame.dtype) or max(abs(low), abs(high)) > _MOST_FLOAT32
    floats: NDArray[Any] = frame.astype(np.float64 if is_wide else np.float32)
    floats -= low
    return floats


def _less(frame: NDArray[Any], base: int) -> NDArray[Any]:
    """Integers less one of them, what is below it as 0, without overflow."""
    if base == 0:
        return frame
    least = frame.dtype.type(base)
    rest: NDArray[Any] = np.maximum(frame, least) - least
    return rest.view(np.uint64)


def _is_long(frame: NDArray[Any]) -> bool:
    """Whether values are integers that float64 may not tell apart."""
    return frame.dtype.kind in "iu" and frame.dtype.itemsize == 8


def _is_wide(dtype: np.dtype[Any]) -> bool:
    """Whether float32 may not tell the values apart."""
    return dtype.itemsize > 4 or (dtype.kind in "iu" and dtype.itemsize == 4)
