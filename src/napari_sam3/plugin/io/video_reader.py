"""Videos and folders of frames as napari Image layers that read a frame when it is shown."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sam3.video.open import VIDEO_SUFFIXES

if TYPE_CHECKING:
    from napari_sam3.video import Video

LayerData = tuple[Any, dict[str, Any], str]
PathOrPaths = str | Path | Sequence[str | Path]

# a .ts file may as well be a program in TypeScript; a video packet begins with this byte
_TRANSPORT_STREAM_SYNC = b"G"


def get_reader(path: PathOrPaths) -> Callable[[PathOrPaths], list[LayerData]] | None:
    """Tell napari whether these paths can be read as videos; never raises.

    Parameters
    ----------
    path : path or list of paths
        Video files, or folders that hold pictures.

    Returns
    -------
    callable or None
        `read_layers` if every path looks like a video, by its name and kind; else None. No video
        is opened here: one that turns out to be broken is reported when it is read.
    """
    try:
        paths = _as_list(path)
        readable = bool(paths) and all(_looks_like_video(Path(p)) for p in paths)
    except (OSError, TypeError, ValueError):
        # no permission, a name that the system refuses, no path at all: not ours
        return None
    return read_layers if readable else None


def read_layers(path: PathOrPaths) -> list[LayerData]:
    """Open videos as layers; frames are decoded when napari shows them.

    A video that has a proxy is shown by it. A file that takes long to look through shows its first
    frame until that is done, if it is opened by hand.

    Parameters
    ----------
    path : path or list of paths
        As `get_reader` took them; each path becomes a layer.

    Returns
    -------
    list of (Video, dict, "image")

    Raises
    ------
    VideoError
        If one can't be opened.
    """
    return [video_layer(_open(Path(p))) for p in _as_list(path)]


def _open(path: Path) -> Video:
    # without Qt there is no window either
    if path.suffix.lower() in VIDEO_SUFFIXES and path.is_file() and "qtpy" in sys.modules:
        from napari_sam3.plugin.io.deferred_video import open_for_viewer

        return open_for_viewer(path)
    from napari_sam3.video import open_video
    from napari_sam3.video.proxy import show_proxy

    return show_proxy(open_video(path))


def video_layer(video: Video) -> LayerData:
    """Describe a video as a napari layer.

    Time is in seconds where every frame lasts equally long (scale 1/fps); else, or where the rate
    is not known, it is in frames. Then the slider's steps are frames either way. Height and width
    are in the unit that the file gives its pixels' size in, else in pixels. `metadata` holds
    `fps`, `timestamps` (s, for each frame), `path` and what the file says of itself.

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
        "name": _name_of(video.path),
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


def _as_list(path: PathOrPaths) -> list[str | Path]:
    return [path] if isinstance(path, str | Path) else list(path)


def _name_of(path: Path | None) -> str:
    if path is None:
        return "video"
    return path.name if path.is_dir() else path.stem


def _looks_like_video(path: Path) -> bool:
    if path.is_dir():
        from napari_sam3.video.images import IMAGE_SUFFIXES

        return any(p.suffix.lower() in IMAGE_SUFFIXES and p.is_file() for p in path.iterdir())
    suffix = path.suffix.lower()
    if suffix not in VIDEO_SUFFIXES or not path.is_file():
        return False
    if suffix == ".ts":
        with path.open("rb") as file:
            return file.read(1) == _TRANSPORT_STREAM_SYNC
    return True
