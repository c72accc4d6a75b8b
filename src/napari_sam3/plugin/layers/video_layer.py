"""Videos as napari Image layers that read a frame when it is shown."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sam3.video.folder_contents import name_of

if TYPE_CHECKING:
    from napari_sam3.video import Video

LayerData = tuple[Any, dict[str, Any], str]


# as napari colours channels by itself
_TWO_CHANNELS = ("magenta", "green")
_MORE_CHANNELS = ("cyan", "yellow", "magenta", "red", "green", "blue")

PathOrPaths = str | Path | Sequence[str | Path]


def video_layer(video: Video) -> LayerData:
    """Describe a video as a napari layer.

    Time is in seconds where every frame lasts equally long (scale 1/fps); else, or where the rate
    is not known, it is in frames. Then the slider's steps are frames either way. Height and width
    are in the unit that the file gives its pixels' size in, else in pixels. `metadata` holds
    `fps`, `timestamps` (s, for each frame), `path`, `file_names` (of a folder's pictures) and what
    the file says of itself.

    Parameters
    ----------
    video : Video
        To be shown; the layer reads from it as long as it exists.

    Returns
    -------
    (Video, dict, "image")
    """
    steady = video.fps is not None and video.metadata.get("constant_frame_rate", True)
    # of few enough binary digits that multiples of it are exact: with 1/12 s as it is, napari
    # counts one step too few and the last frame can't be reached
    seconds = float(np.float32(1 / video.fps)) if steady and video.fps else None
    height, width = video.metadata.get("pixel_size", (1.0, 1.0))
    length = video.metadata.get("pixel_unit", "pixel")
    arguments = {
        "name": _name_of(video),
        "rgb": video.is_rgb,
        # napari would read frames from all over the video to find them
        "contrast_limits": contrast_limits(video),
        "multiscale": False,
        "axis_labels": ("t", "y", "x"),
        "scale": (seconds or 1.0, height, width),
        "units": ("second" if seconds else "pixel", length, length),
        "metadata": {
            **video.metadata,
            "fps": video.fps,
            "timestamps": video.timestamps,
            "path": str(video.path) if video.path is not None else None,
            "file_names": video.file_names,
            **({"choice": video.choice.to_json()} if video.choice else {}),
        },
    }
    return video, arguments, "image"


def contrast_limits(video: Video) -> tuple[float, float]:
    """The range to show: of the type for 8 bits and colours, else of the first frame's values.

    One frame at most is decoded, once: the range is the same for all frames, or they would
    flicker.

    Returns
    -------
    (float, float)
        Lowest and highest value; never equal.
    """
    if video.dtype == np.uint8 or (video.is_rgb and video.dtype.kind in "ui"):
        return 0.0, float(np.iinfo(video.dtype).max)
    if video.is_rgb:
        return 0.0, 1.0
    frame = video.frame(0)
    finite = frame[np.isfinite(frame)] if frame.dtype.kind == "f" else frame
    if finite.size == 0:
        return 0.0, 1.0
    low, high = float(finite.min()), float(finite.max())
    return (low, high) if high > low else (low, low + 1)


def channel_layers(videos: Sequence[Video]) -> list[LayerData]:
    """Describe the channels of a file as layers that are seen through each other."""
    layers = [video_layer(video) for video in videos]
    if len(layers) > 1:
        colours = _TWO_CHANNELS if len(layers) == 2 else _MORE_CHANNELS
        for number, (_, arguments, _) in enumerate(layers):
            if not arguments["rgb"]:
                arguments["colormap"] = colours[number % len(colours)]
                arguments["blending"] = "additive"
    return layers


def _name_of(video: Video) -> str:
    """The file's name, and what is shown of it: "cells GFP, z max"."""
    if video.path is None:
        return "video"
    choice, names = video.choice, video.metadata.get("channels", ())
    if not choice:
        return name_of(video.path)
    said = choice.to_json()
    channel = said.pop("channel", None)
    parts = [f"{option} {value}" for option, value in said.items()]
    if isinstance(channel, int):
        named = names[channel] if channel < len(names) else ""
        parts.insert(0, named or f"channel {channel}")
    return f"{name_of(video.path)} {', '.join(parts)}"
