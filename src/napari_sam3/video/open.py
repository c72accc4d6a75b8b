"""From a path or an array to a `Video`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from napari_sam3.errors import VideoError
from napari_sam3.video.array_video import ArrayVideo
from napari_sam3.video.base import Video, out_of_memory
from napari_sam3.video.folder_contents import IMAGE_SUFFIXES, is_pattern
from napari_sam3.video.paths import as_path


def open_video(path: str | os.PathLike[str]) -> Video:
    """Open a video file, a folder of frames, or a picture.

    Parameters
    ----------
    path : path-like
        A video file of any kind that FFmpeg reads; a folder of JPEG, PNG, TIFF, BMP or WebP
        frames, taken in natural order (frame2 before frame10), or a pattern that names some of
        its pictures (`folder/cam1_*.png`); a multi-page TIFF; or a single picture, which makes a
        video of one frame.

    Returns
    -------
    Video
        Frames are decoded when they are asked for.

    Raises
    ------
    VideoError
        If there is no such file, or it is no video; the message says why.
    """
    place = as_path(path)
    try:
        return _open(place)
    except VideoError:
        raise
    except MemoryError as exc:
        raise out_of_memory(repr(str(place)), "be opened") from exc
    except OSError as exc:
        raise VideoError(
            f"{str(place)!r} can't be read ({exc.strerror or exc}); check that you may read it"
        ) from exc


def _open(place: Path) -> Video:
    # FFmpeg and the image libraries are loaded when a file is opened, not before
    from napari_sam3.video.animated_webp import AnimatedWebp, is_animated_webp
    from napari_sam3.video.image_file import TIFF_SUFFIXES, is_animated_png
    from napari_sam3.video.image_folder import ImageFolder
    from napari_sam3.video.tiff_stack import TiffStack
    from napari_sam3.video.video_file import VideoFile

    if is_pattern(place):
        return ImageFolder.open(place)
    if not place.exists():
        raise VideoError(f"there is no file or folder {str(place)!r}; check the path")
    if place.is_dir():
        return ImageFolder.open(place)
    if not place.is_file():
        raise VideoError(f"{str(place)!r} is a device or a pipe; copy it to a file")
    if not place.stat().st_size:
        raise VideoError(f"{str(place)!r} is empty (0 bytes); get a whole copy of it")
    suffix = place.suffix.lower()
    if suffix not in IMAGE_SUFFIXES:
        return VideoFile.open(place)
    if suffix in TIFF_SUFFIXES:
        stack = TiffStack.open(place)
        if len(stack) > 1 or stack.breaks_off:
            return stack
        stack.close()
    elif is_animated_webp(place):
        return AnimatedWebp.open(place)
    elif is_animated_png(place):
        return VideoFile.open(place)
    return ImageFolder(place, (place,))


def as_video(source: Any) -> Video:
    """Take anything that is a video as one.

    Parameters
    ----------
    source : path-like, Video or array
        A path as for `open_video`; a `Video`, given back as it is (of one that shows a proxy, the
        original); or an array (T, H, W) or (T, H, W, 3), numpy or lazy (dask, zarr, ...), or a
        tensor.

    Raises
    ------
    VideoError
        If it is none of these.
    """
    if isinstance(source, Video):
        return source.original
    if isinstance(source, str | os.PathLike):
        return open_video(source)
    if all(hasattr(source, name) for name in ("shape", "dtype", "__getitem__")):
        return ArrayVideo(source)
    raise VideoError(
        f"a {type(source).__name__} is no video; give a path, or an array (T, H, W) or "
        "(T, H, W, 3): np.stack makes one of a list of frames"
    )
