"""Videos and folders of frames as napari Image layers that read a frame when it is shown."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from napari_sam3.plugin.layers.video_layer import LayerData, PathOrPaths, channel_layers
from napari_sam3.video.folder_contents import (
    IMAGE_SUFFIXES,
    MICROSCOPE_SUFFIXES,
    VIDEO_SUFFIXES,
    is_pattern,
    is_zarr,
)
from napari_sam3.video.plane_choice import NO_CHOICE, PlaneChoice

if TYPE_CHECKING:
    from napari_sam3.video import Video


# a .ts file may as well be a program in TypeScript; a video packet begins with this byte
_TRANSPORT_STREAM_SYNC = b"G"


def get_reader(path: PathOrPaths) -> Callable[[PathOrPaths], list[LayerData]] | None:
    """Tell napari whether these paths can be read as videos; never raises.

    Parameters
    ----------
    path : path or list of paths
        Video files, files of microscopes, folders that hold pictures, or folders of Zarr.

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


def read_layers(path: PathOrPaths, choice: PlaneChoice = NO_CHOICE) -> list[LayerData]:
    """Open videos as layers; frames are decoded when napari shows them.

    Of a file of several channels each becomes a layer. Depth is projected where no plane is chosen
    (the brightest of all), and the first scene is shown.

    A video that has a proxy is shown by it. A file that takes long to look through shows its first
    frame until that is done, if it is opened by hand.

    Parameters
    ----------
    path : path or list of paths
        As `get_reader` took them; each path becomes a layer, or one a channel.
    choice : PlaneChoice
        Which channel, depth and scene to show.

    Returns
    -------
    list of (Video, dict, "image")

    Raises
    ------
    VideoError
        If one can't be opened.
    """
    return [layer for p in _as_list(path) for layer in channel_layers(_open(Path(p), choice))]


def _open(path: Path, choice: PlaneChoice) -> list[Video]:
    from napari_sam3.video.open import open_channels
    from napari_sam3.video.proxy import show_proxy

    is_film = path.suffix.lower() in VIDEO_SUFFIXES and path.is_file()
    if "qtpy" in sys.modules and is_film and not choice:
        from napari_sam3.plugin.io.deferred_video import open_for_viewer

        return [open_for_viewer(path)]
    videos = [show_proxy(video) for video in open_channels(path, choice)]
    if "qtpy" not in sys.modules:  # then there is no window either
        return videos
    from napari_sam3.plugin.controllers.screen_decoding import let_screen_lead

    return [let_screen_lead(video) for video in videos]


def _as_list(path: PathOrPaths) -> list[str | Path]:
    return [path] if isinstance(path, str | Path) else list(path)


def _looks_like_video(path: Path) -> bool:
    if is_pattern(path):
        return path.suffix.lower() in IMAGE_SUFFIXES
    if path.is_dir():
        if is_zarr(path):
            return True
        return any(p.suffix.lower() in IMAGE_SUFFIXES and p.is_file() for p in path.iterdir())
    suffix = path.suffix.lower()
    if suffix not in VIDEO_SUFFIXES | MICROSCOPE_SUFFIXES or not path.is_file():
        return False
    if suffix == ".ts":
        with path.open("rb") as file:
            return file.read(1) == _TRANSPORT_STREAM_SYNC
    return True
