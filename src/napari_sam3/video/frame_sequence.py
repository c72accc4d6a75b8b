"""Frames that come as a list, or one after another out of an iterator, as an array of frames."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from napari_sam3.errors import VideoError
from napari_sam3.values import MOST_FRAMES
from napari_sam3.video.array_video import check_dtype, fetch
from napari_sam3.video.base import Frame
from napari_sam3.video.fair_lock import FairLock

MOST_IN_MEMORY = 2**29
"""Bytes of an iterator's frames that are kept in memory; more of them lie in a temporary file."""

_LEAST_FREE = 2**30
"""Bytes that are left free on the disk."""

_LOOK_EVERY = 2**28


class FrameList:
    """A list of frames as one array; not copied. Frames are alike in size and type.

    Parameters
    ----------
    frames : sequence of array
        NumPy's, lazy ones, tensors.

    Raises
    ------
    VideoError
        If they are not alike, or no frames.
    """

    def __init__(self, frames: Sequence[Any]) -> None:
        if not len(frames):
            raise VideoError("the list is empty; a video has at least a frame")
        first = _shape_and_type(frames[0], 0)
        for number, frame in enumerate(frames):
            _check_alike(first, _shape_and_type(frame, number), number)
        self._frames = frames
        self.shape = (len(frames), *first[0])
        self.dtype = fetch(frames, 0, "frame 0 of the list").dtype

    def __getitem__(self, frame_index: int) -> Any:
        return self._frames[frame_index]


class FrameSpool:
    """The frames of an iterator, read once to its end and kept.

    In memory as far as `MOST_IN_MEMORY` goes, else in a file in the folder for temporary files,
    which is gone with this object.

    Parameters
    ----------
    frames : iterable of array

    Raises
    ------
    VideoError
        If they are not alike, there are none, or too many for the disk.
    """

    def __init__(self, frames: Iterable[Any]) -> None:
        self._lock = FairLock()
        self._file = tempfile.SpooledTemporaryFile(max_size=MOST_IN_MEMORY)  # noqa: SIM115
        try:
            self._fill(frames)
        except OSError as exc:
            self._file.close()
            raise VideoError(
                f"the frames can't be kept in {tempfile.gettempdir()!r} ({exc.strerror or exc}); "
                "make room there, or write them to a file and open that"
            ) from exc
        except BaseException:
            self._file.close()
            raise

    def _fill(self, frames: Iterable[Any]) -> None:
        first: tuple[tuple[int, ...], Any] | None = None
        count = written = looked = 0
        for number, frame in enumerate(frames):
            array = fetch((frame,), 0, f"frame {number} of the iterator")
            said = array.shape, array.dtype
            if first is None:
                check_dtype(array.dtype)
                first = said
            _check_alike(first, said, number)
            if number >= MOST_FRAMES:
                raise VideoError(
                    f"an iterator gave more than {MOST_FRAMES:,} frames; is it endless?"
                )
            self._file.write(np.ascontiguousarray(array).data)
            count, written = count + 1, written + array.nbytes
            if written - looked > _LOOK_EVERY:
                looked = written
                _check_free(written)
        if first is None:
            raise VideoError("the iterator gave no frame; was it gone through already?")
        self.shape = (count, *first[0])
        self.dtype: np.dtype[Any] = first[1]

    def __getitem__(self, frame_index: int) -> Frame:
        frame: Frame = np.empty(self.shape[1:], self.dtype)
        with self._lock:
            self._file.seek(frame_index * frame.nbytes)
            data = self._file.read(frame.nbytes)
        if len(data) != frame.nbytes:
            raise VideoError(f"the frame {frame_index} that was kept is gone")
        frame[...] = np.frombuffer(data, self.dtype).reshape(frame.shape)
        return frame


def _check_free(written: int) -> None:
    if written > MOST_IN_MEMORY and shutil.disk_usage(tempfile.gettempdir()).free < _LEAST_FREE:
        raise VideoError(
            f"an iterator gave {written:,} bytes of frames, and the disk of "
            f"{tempfile.gettempdir()!r} is full with them; write them to a file and open that"
        )


def _shape_and_type(frame: Any, number: int) -> tuple[tuple[int, ...], Any]:
    if not hasattr(frame, "shape") or not hasattr(frame, "dtype"):
        raise VideoError(
            f"frame {number} is a {type(frame).__name__}, not an array, so this is no video; "
            "give arrays (H, W) or (H, W, 3). Of paths of pictures give the folder, or a "
            "pattern (folder/cam1_*.png)"
        )
    return tuple(frame.shape), frame.dtype


def _check_alike(
    first: tuple[tuple[int, ...], Any], said: tuple[tuple[int, ...], Any], number: int
) -> None:
    if len(first[0]) not in (2, 3):
        raise VideoError(f"a frame of shape {first[0]} is none; give (H, W) or (H, W, 3)")
    if first != said:
        raise VideoError(
            f"frame {number} is {said[0]} {said[1]}, and the first one {first[0]} {first[1]}; all "
            "frames of a video are alike"
        )
