"""From a decoded frame to the array that is shown."""

from __future__ import annotations

import math
import os
import threading
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import av
import av.error
import numpy as np
from av.sidedata.sidedata import Type
from av.video.reformatter import Colorspace, VideoReformatter
from numpy.typing import NDArray

from napari_sam3.video.h264 import SequenceParameters

_THREADS = min(4, os.cpu_count() or 1)


class _Thread(threading.local):
    """What each thread has for itself: a reformatter keeps its tables, and is not thread-safe."""

    def __init__(self) -> None:
        self.reformatter = VideoReformatter()


_thread = _Thread()

_COLOURED = {"yuv420p": "gray", "yuvj420p": "gray", "yuv420p10le": "gray10le"}


def keep_freed_memory() -> None:
    """Have what frames leave behind kept for the next ones; a word to glibc, else without effect.

    It gives large blocks back to the system when they are freed, and getting them anew costs as
    much as converting a frame. It stops doing so for blocks smaller than the largest one that it
    has seen freed, up to 32 MB; no memory is touched for that (see mallopt(3)).
    """
    np.empty(31 * 2**20, np.uint8)


def frame_nbytes(frame: av.VideoFrame) -> int:
    """Memory that a decoded frame holds, bytes."""
    return sum(plane.buffer_size for plane in frame.planes)


def target_format(format_name: str) -> str:
    """The pixel format that frames of `format_name` are given out in.

    Grey keeps its depth, so that the values of a microscope's camera arrive unharmed; colour
    becomes 8-bit RGB; alpha is dropped.
    """
    if format_name.startswith("ya16"):
        return "gray16le"
    if format_name.startswith(("ya8", "mono")):
        return "gray"
    if format_name.startswith("grayf16"):
        return "grayf32le"
    return format_name if format_name.startswith("gray") else "rgb24"


def coded_format(context: Any) -> str | None:
    """The pixel format of a stream as it is coded.

    FFmpeg gives H.264 without colour a constant colour, and so hides what could be given out with
    all its bits.
    """
    name: str | None = context.pix_fmt
    if name in _COLOURED:
        parameters = SequenceParameters.of(context)
        if parameters is not None and parameters.is_grey:
            return _COLOURED[name]
    return name


@dataclass(frozen=True, eq=False)
class FrameFormat:
    """How all frames of a file are given out, told from its first one.

    Attributes
    ----------
    size : (height, width)
        As coded, before turning, px.
    format_name : str
        FFmpeg's name of the pixel format given out.
    is_mirrored : bool
        Whether the file asks for left and right to be exchanged, before turning.
    turns : int
        Quarter turns counterclockwise that the file asks for.
    palette : (256,) or (256, 3) uint8, or None
        What the indices of an uncompressed AVI mean. It comes with the first packet only, so that
        whatever is decoded after a seek would be black.
    """

    size: tuple[int, int]
    format_name: str
    is_mirrored: bool
    turns: int
    palette: NDArray[np.uint8] | None

    @classmethod
    def of(cls, frame: av.VideoFrame, codec: str, coded: str | None = None) -> FrameFormat:
        """Tell it from the first frame of a file, its codec and `coded_format`."""
        palette = None
        is_grey = _COLOURED.get(frame.format.name) == coded
        format_name = target_format(coded if is_grey and coded else frame.format.name)
        if codec == "rawvideo" and frame.format.name == "pal8":
            palette = np.ascontiguousarray(frame.to_ndarray()[1][:, 1:])
            if (palette == palette[:, :1]).all():
                palette, format_name = palette[:, 0].copy(), "gray"
        return cls((frame.height, frame.width), format_name, *_orientation(frame), palette)

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of a frame given out, (H, W) or (H, W, 3)."""
        height, width = self.size[::-1] if self.turns % 2 else self.size
        return (height, width, 3) if self.format_name == "rgb24" else (height, width)

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of its values."""
        if self.format_name in ("rgb24", "gray"):
            return np.dtype(np.uint8)
        return np.dtype(np.float32 if self.format_name.startswith("grayf32") else np.uint16)

    def convert(self, frame: av.VideoFrame) -> NDArray[Any]:
        """Convert a decoded frame to a new array that shares no memory with it.

        A frame of another size than the first (streams may change it) is scaled.
        """
        if self.palette is not None and frame.format.name == "pal8":
            return self._turn(self.palette[frame.to_ndarray()[0]])
        height, width = self.size
        if _COLOURED.get(frame.format.name) == self.format_name:
            return self._turn(_brightness(frame))
        if (frame.height, frame.width, frame.format.name) == (height, width, self.format_name):
            # a view of the frame's own memory, and the frame is not ours alone
            return self._turn(frame.to_ndarray().copy())
        # the converted frame is a new one: its memory becomes the array's, a copy less
        wanted: dict[str, Any] = {
            "width": width,
            "height": height,
            "format": self.format_name,
            # as threads of its own cost more than they bring for a small frame
            "threads": _THREADS if width * height > 2**19 else 1,
        }
        try:
            fresh = _thread.reformatter.reformat(frame, **wanted)
        except OSError:
            # the file names a colour matrix that FFmpeg can't convert from, or a damaged one
            fresh = _thread.reformatter.reformat(
                frame,
                src_colorspace=Colorspace.ITU709,
                dst_colorspace=Colorspace.ITU709,
                **wanted,
            )
        return self._turn(fresh.to_ndarray())

    def _turn(self, array: NDArray[Any]) -> NDArray[Any]:
        if self.is_mirrored:
            array = array[:, ::-1]
        return np.ascontiguousarray(np.rot90(array, self.turns))


def _orientation(frame: av.VideoFrame) -> tuple[bool, int]:
    """Whether a frame is to be mirrored, and by how many quarter turns to be turned after that.

    The file's matrix (ISO/IEC 14496-12, 6.2.2) takes (1, 0) to (a, b) and (0, 1) to (c, d); y
    points down. PyAV's `rotation` tells a mirrored picture from no turned one.
    """
    # whoever asks a frame for it makes a circle that only the garbage collector undoes, and one
    # frame of a decoder holds the memory of all that the decoder ever made: so ask a small copy
    with suppress(ValueError, OSError, av.error.FFmpegError):
        frame = frame.reformat(width=16, height=16, format="gray")
    side_data: Any = frame.side_data
    matrix = side_data.get(Type.DISPLAYMATRIX)
    if matrix is None:
        return False, 0
    a, b, _, c, d, *_ = np.frombuffer(matrix, np.int32).tolist()
    is_mirrored = a * d < b * c
    if is_mirrored:
        a, b = -a, -b
    return is_mirrored, round(math.atan2(-b, a) / (math.pi / 2)) % 4


def _brightness(frame: av.VideoFrame) -> NDArray[Any]:
    """The first plane of a frame, as it is stored."""
    plane: Any = frame.planes[0]
    stored: np.dtype[Any] = np.dtype(np.uint8 if frame.format.components[0].bits == 8 else "<u2")
    rows = np.frombuffer(plane, stored).reshape(plane.height, plane.line_size // stored.itemsize)
    brightness: NDArray[Any] = rows[:, : plane.width].astype(stored.newbyteorder("="))
    return brightness
