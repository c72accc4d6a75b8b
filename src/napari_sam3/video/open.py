"""From a path, an array or frames to a `Video`: the one door for all of them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from napari_sam3.errors import ChoiceNeededError, VideoError
from napari_sam3.video.array_video import ArrayVideo
from napari_sam3.video.base import Video, out_of_memory
from napari_sam3.video.folder_contents import (
    IMAGE_SUFFIXES,
    MICROSCOPE_SUFFIXES,
    TIFF_SUFFIXES,
    is_pattern,
    is_zarr,
)
from napari_sam3.video.paths import as_path
from napari_sam3.video.plane_choice import NO_CHOICE, PlaneChoice, refuse_choice


def open_video(
    source: Any,
    *,
    channel: int | str | None = None,
    z: int | str | None = None,
    scene: int | str | None = None,
) -> Video:
    """Open a video file, a folder of frames, a picture, a stack of a microscope, or an array.

    Parameters
    ----------
    source : path-like, array, list or iterator of arrays
        A video file of any kind that FFmpeg reads; a folder of JPEG, PNG, TIFF, BMP or WebP
        frames, taken in natural order (frame2 before frame10), or a pattern that names some of
        its pictures (`folder/cam1_*.png`); a TIFF stack, OME's and ImageJ's too; a folder of
        OME-Zarr or Zarr; a `.npy` file; ND2, CZI and LIF with the extra `napari-sam3[bio]`; or a
        single picture, which makes a video of one frame. Or frames in memory, see `as_video`.
    channel : int or str, optional
        Of several channels the one that is meant, by index or name.
    z : int, "max" or "mean", optional
        Of several planes in depth the one that is meant, or a projection of all.
    scene : int or str, optional
        Of several pictures in a file (series, positions) the one that is meant.

    Returns
    -------
    Video
        Frames are decoded when they are asked for.

    Raises
    ------
    VideoError
        If there is no such file, it is no video, or a choice is missing; the message says which.
    """
    choice = PlaneChoice(channel, z, scene)
    if not isinstance(source, str | os.PathLike):
        return _take(source, choice)
    place = as_path(source)
    try:
        return _open(place, choice)
    except VideoError:
        raise
    except MemoryError as exc:
        raise out_of_memory(repr(str(place)), "be opened") from exc
    except OSError as exc:
        raise VideoError(
            f"{str(place)!r} can't be read ({exc.strerror or exc}); check that you may read it"
        ) from exc


def open_chosen(source: Any, choice: PlaneChoice) -> Video:
    """`open_video` with a choice that was made."""
    return open_video(source, channel=choice.channel, z=choice.z, scene=choice.scene)


def open_channels(path: str | os.PathLike[str], choice: PlaneChoice = NO_CHOICE) -> list[Video]:
    """Open each channel of a file as a video, to be looked at side by side.

    What is chosen is taken. Where it is not said, depth is projected (the brightest of all planes),
    and the first scene is taken.

    Raises
    ------
    VideoError
        As `open_video`.
    """
    channels: list[int | str | None] = [choice.channel]
    for _ in range(2):  # the scene is asked for before what is in it
        try:
            return _open_each(path, channels, choice)
        except ChoiceNeededError as exc:
            if "scene" in exc.counts:
                choice = replace(choice, scene=0)
            if "z" in exc.counts:
                choice = replace(choice, z="max")
            if "channel" in exc.counts:
                channels = list(range(exc.counts["channel"]))
    return _open_each(path, channels, choice)


def _open_each(
    path: str | os.PathLike[str], channels: Sequence[int | str | None], choice: PlaneChoice
) -> list[Video]:
    with ExitStack() as on_failure:
        videos = []
        for channel in channels:
            videos.append(open_chosen(path, replace(choice, channel=channel)))
            on_failure.callback(videos[-1].close)
        on_failure.pop_all()
    return videos


def _open(place: Path, choice: PlaneChoice) -> Video:
    if is_pattern(place):
        return _without_choice(place, choice)
    if not place.exists():
        raise VideoError(f"there is no file or folder {str(place)!r}; check the path")
    if place.is_dir():
        if is_zarr(place):
            from napari_sam3.video.zarr_stack import open_zarr

            return open_zarr(place, choice)
        return _without_choice(place, choice)
    if not place.is_file():
        raise VideoError(f"{str(place)!r} is a device or a pipe; copy it to a file")
    if not place.stat().st_size:
        raise VideoError(f"{str(place)!r} is empty (0 bytes); get a whole copy of it")
    suffix = place.suffix.lower()
    if suffix == ".npy":
        from napari_sam3.video.npy_file import open_npy

        return open_npy(place, choice)
    if suffix in MICROSCOPE_SUFFIXES:
        from napari_sam3.video.microscope_files import open_microscope_file

        return open_microscope_file(place, choice)
    if suffix in TIFF_SUFFIXES:
        return _open_tiff(place, choice)
    return _without_choice(place, choice)


def _open_tiff(place: Path, choice: PlaneChoice) -> Video:
    from napari_sam3.video.image_folder import ImageFolder
    from napari_sam3.video.tiff_stack import TiffStack

    stack = TiffStack.open(place, choice)
    if len(stack) > 1 or stack.breaks_off or stack.choice:
        return stack
    stack.close()
    return ImageFolder(place, (place,))


def _without_choice(place: Path, choice: PlaneChoice) -> Video:
    """Open what holds pictures of one kind, time apart."""
    refuse_choice(place.name, choice)
    # FFmpeg and the image libraries are loaded when a file is opened, not before
    from napari_sam3.video.animated_webp import AnimatedWebp, is_animated_webp
    from napari_sam3.video.image_file import is_animated_png
    from napari_sam3.video.image_folder import ImageFolder
    from napari_sam3.video.video_file import VideoFile

    if not place.is_file():
        return ImageFolder.open(place)
    suffix = place.suffix.lower()
    if suffix not in IMAGE_SUFFIXES:
        return VideoFile.open(place)
    if is_animated_webp(place):
        return AnimatedWebp.open(place)
    if is_animated_png(place):
        return VideoFile.open(place)
    return ImageFolder(place, (place,))


def as_video(source: Any, choice: PlaneChoice = NO_CHOICE) -> Video:
    """Take anything that is a video as one.

    Parameters
    ----------
    source : path-like, Video, array, list or iterator
        A path as for `open_video`; a `Video`, given back as it is (of one that shows a proxy, the
        original); an array (T, H, W) or (T, H, W, 3), or of 4 or 5 axes in the order time,
        channels, depth, height, width, numpy or lazy (dask, zarr, ...), or a tensor; a list of
        frames; or an iterator of frames, which is gone through once and kept, in memory or in a
        temporary file.
    choice : PlaneChoice
        Which channel, depth and scene is meant.

    Raises
    ------
    VideoError
        If it is none of these.
    """
    if isinstance(source, Video):
        video = source.original
        if choice and choice != video.choice:
            raise VideoError(
                f"the video is open already, with {video.choice or 'all there is'}; give the path "
                f"to have {choice}"
            )
        return video
    return open_chosen(source, choice)


def _take(source: Any, choice: PlaneChoice) -> Video:
    """A video of what is in memory."""
    if isinstance(source, Video):
        return as_video(source, choice).reopen()
    if all(hasattr(source, name) for name in ("shape", "dtype", "__getitem__")):
        return _of_array(source, choice)
    if isinstance(source, Sequence) and not isinstance(source, bytes | bytearray | memoryview):
        from napari_sam3.video.frame_sequence import FrameList

        refuse_choice("a list of frames", choice)
        return ArrayVideo(FrameList(source))
    if isinstance(source, Iterable) and not isinstance(
        source, bytes | bytearray | memoryview | dict | set
    ):
        from napari_sam3.video.frame_sequence import FrameSpool

        refuse_choice("an iterator of frames", choice)
        return ArrayVideo(FrameSpool(source))
    raise VideoError(
        f"a {type(source).__name__} is no video and is no path; give a path, an array (T, H, W) or "
        "(T, H, W, 3), or a list of frames"
    )


def _of_array(array: Any, choice: PlaneChoice) -> Video:
    from napari_sam3.video.plane_stack import ArrayPlanes, PlaneStack, guess_axes

    n_axes = len(array.shape)
    if n_axes < 3 or (not choice and n_axes != 5):
        video = ArrayVideo(array)
        refuse_choice("the array", choice)
        return video
    axes = guess_axes(array.shape, choice, "the array")
    return PlaneStack(ArrayPlanes(array, "the array", axes), choice)
