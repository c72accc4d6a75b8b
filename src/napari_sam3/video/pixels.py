"""From a decoded frame to the array that is shown."""

from __future__ import annotations

import threading
from typing import Any

import av
import numpy as np
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

_local = threading.local()


def frame_nbytes(frame: av.VideoFrame) -> int:
    """Memory that a decoded frame holds, bytes."""
    return sum(plane.buffer_size for plane in frame.planes)


def is_grey(format_name: str) -> bool:
    """Whether a pixel format has brightness only (alpha does not count)."""
    return format_name.startswith(("gray", "ya8", "ya16", "mono"))


def target_format(format_name: str) -> str:
    """The pixel format that frames of `format_name` are given out in.

    Grey keeps its depth, so that the values of a microscope's camera arrive unharmed; colour
    becomes 8-bit RGB.
    """
    if not is_grey(format_name):
        return "rgb24"
    if format_name.startswith("ya16"):
        return "gray16le"
    if format_name.startswith(("ya8", "mono")):
        return "gray"
    if format_name.startswith("grayf16"):
        return "grayf32le"
    return format_name


def to_array(
    frame: av.VideoFrame, size: tuple[int, int], format_name: str, turns: int
) -> NDArray[Any]:
    """Convert a decoded frame to a new array.

    Parameters
    ----------
    frame : av.VideoFrame
        As decoded; it is not changed, and shares no memory with the result.
    size : (height, width)
        What the result has before it is turned, px; a frame of another size is scaled to it.
    format_name : str
        From `target_format`.
    turns : int
        Quarter turns counterclockwise that the file asks for.

    Returns
    -------
    (H, W) or (H, W, 3) ndarray
    """
    height, width = size
    if (frame.height, frame.width, frame.format.name) != (height, width, format_name):
        # a reformatter keeps its tables from frame to frame, and is not thread-safe
        reformatter = getattr(_local, "reformatter", None)
        if reformatter is None:
            reformatter = _local.reformatter = VideoReformatter()
        frame = reformatter.reformat(frame, width=width, height=height, format=format_name)
    # to_ndarray may give a view of the frame's own memory
    return np.array(np.rot90(frame.to_ndarray(), turns), order="C")
