"""Folders of frames as video, and single pictures as a video of one frame."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from napari_sam3.errors import VideoError
from napari_sam3.video.base import Frame, Video
from napari_sam3.video.folder_contents import (
    IMAGE_SUFFIXES,
    TIFF_SUFFIXES,
    FolderContents,
    is_pattern,
    look_into,
)
from napari_sam3.video.image_file import (
    PICTURE_ERRORS,
    PictureHead,
    read_head,
    read_image,
)
from napari_sam3.video.numbered_files import find_gaps, warn_of_number_gaps
from napari_sam3.video.tiff_calibration import read_calibration
from napari_sam3.video.tiff_stack import TiffStack

_SHOWN = 4
"""So many files or series are named in a message."""


class ImageFolder(Video):
    """A folder of frames, one picture a frame, in natural order of their names.

    Parameters
    ----------
    path : Path
        The folder, the pattern, or the one picture.
    files : tuple of Path
        The frames.
    is_rgb : bool
        Whether those without colour are given as colour.
    """

    def __init__(self, path: Path, files: tuple[Path, ...], is_rgb: bool = False) -> None:
        self._files = files
        first = read_image(files[0])
        size, is_rgb = first.shape[:2], is_rgb or first.ndim == 3
        metadata: dict[str, Any] = {
            "container": "folder",
            "codec": files[0].suffix.lower().lstrip("."),
        }
        if gaps := find_gaps(files):
            metadata["gaps"] = gaps
        if files[0].suffix.lower() in TIFF_SUFFIXES:
            metadata |= _read_scale(files[0])
        shape = (len(files), *size, 3) if is_rgb else (len(files), *size)
        super().__init__(shape, first.dtype, path=path, metadata=metadata)

    @classmethod
    def open(cls, path: Path) -> ImageFolder:
        """Open a folder, or the pictures that a pattern names.

        Raises
        ------
        VideoError
            If it is not sure which pictures are the frames, or they are not alike.
        """
        contents = look_into(path)
        files = contents.frames
        if files is None:
            raise VideoError(_what_is_unsure(contents))
        is_rgb = _check_alike(files)
        folder = cls(path, files, is_rgb)
        _warn_of_left_out(contents)
        if "gaps" in folder.metadata:
            warn_of_number_gaps(path, folder.metadata["gaps"])
        return folder

    @property
    def file_names(self) -> tuple[str, ...]:
        """Of the pictures, as seen from beside the folder, or beside the one picture."""
        assert self.path is not None
        beside = self.path.absolute().parent
        return tuple(file.absolute().relative_to(beside).as_posix() for file in self._files)

    def reopen(self) -> ImageFolder:
        """Open the same pictures once more."""
        assert self.path is not None
        return ImageFolder(self.path, self._files, self.is_rgb)

    def _read(self, frame_index: int) -> Frame:
        frame = read_image(self._files[frame_index])
        if self.is_rgb and frame.ndim == 2:
            frame = np.repeat(frame[..., None], 3, axis=2)
        if frame.shape != self.shape[1:] or frame.dtype != self.dtype:
            raise VideoError(
                f"frames of a folder must be alike: the video is {self.shape[1:]} {self.dtype}, "
                f"{self._files[frame_index].name!r} is {frame.shape} {frame.dtype}; put it "
                "elsewhere"
            )
        return frame

    def __reduce__(self) -> tuple[Any, ...]:
        return ImageFolder, (self.path, self._files, self.is_rgb)


def _what_is_unsure(contents: FolderContents) -> str:
    """Why no frames can be told in a folder, what was found, and how to say what is meant."""
    path, films, pictures = contents.path, contents.films, contents.pictures
    where = f"{str(path)!r}" if is_pattern(path) else f"the folder {str(path)!r}"
    if not pictures and not films and is_pattern(path):
        return f"there is no file {str(path)!r}, and as a pattern it names no picture; check it"
    if not pictures and not films:
        kinds = ", ".join(sorted(suffix.lstrip(".") for suffix in IMAGE_SUFFIXES))
        return f"{where} holds no pictures; frames are looked for by the endings {kinds}"
    if films and (contents.is_of_films or len(contents.series) == 1):
        holds = f"{where} holds {_count(len(films), 'film')} ({_names(films)})"
        if not pictures:
            return f"{holds} and no frames; open a film itself"
        meant = (contents.series or (pictures,))[0]
        return (
            f"{holds} and {_count(len(pictures), 'picture')} ({_names(pictures)}); open a film "
            f"itself, or say that the pictures are meant: {contents.pattern_of(meant)!r}"
        )
    patterns = [(contents.pattern_of(files), files) for files in contents.series]
    found = ", ".join(f"{Path(p).name!r} ({len(files)})" for p, files in patterns[:_SHOWN])
    more = ", ..." if len(patterns) > _SHOWN else ""
    largest = max(patterns, key=lambda one: len(one[1]))[0]
    return (
        f"{where} holds {len(patterns)} series of pictures, and which one is the video can't be "
        f"told: {found}{more}; name one by a pattern, as {largest!r}, or put the others elsewhere"
    )


def _check_alike(files: Sequence[Path]) -> bool:
    """Look at the heads of all files: frames of one video have one size and type.

    Returns
    -------
    bool
        Whether any has colour.
    """
    heads = [read_head(file) for file in files]
    first = heads[0]
    for file, head in zip(files, heads, strict=True):
        if head.may_be_stack:
            _refuse_stack(file)
        if (head.size, head.dtype) != (first.size, first.dtype):
            raise VideoError(
                "the pictures of a folder must have one size and type: "
                f"{files[0].name!r} is {_describe(first)}, {file.name!r} is {_describe(head)}; put "
                "one kind of them elsewhere, or name the others by a pattern as 'folder/img_*.png'"
            )
    turned = [n for n, head in enumerate(heads) if head.turning != first.turning]
    if turned:
        warnings.warn(
            f"the pictures are turned each as its EXIF says, and not alike: {files[0].name!r} "
            f"has orientation {first.turning}, {files[turned[0]].name!r} "
            f"{heads[turned[0]].turning}; look whether the camera was turned, or only its sensor "
            "thought so",
            stacklevel=5,
        )
    return any(head.is_rgb for head in heads)


def _refuse_stack(file: Path) -> None:
    if file.suffix.lower() not in TIFF_SUFFIXES:
        raise VideoError(
            f"{file.name!r} in a folder of frames is animated: it holds several pictures; open it "
            "itself, or save one picture a file"
        )
    try:
        with TiffStack(file) as stack:
            n_pages = len(stack)
    except VideoError as exc:  # of more axes than a video has, or damaged
        raise VideoError(f"{file.name!r} can't be a frame of the folder: {exc}") from exc
    if n_pages > 1:
        raise VideoError(
            f"{file.name!r} in a folder of frames is a stack of {n_pages} pages, and a frame is "
            "one picture; open the stack itself as a video, or save the page of it that is meant "
            "(or their maximum) as a picture of its own"
        )


def _warn_of_left_out(contents: FolderContents) -> None:
    left_out = [*contents.films, *contents.beside]
    if left_out:
        what = "by their names they are no frames but masks, posters or films"
        example = contents.pattern_of(contents.beside) if contents.beside else None
        remedy = f"; if they are meant, name them by a pattern, as {example!r}" if example else ""
        warnings.warn(
            f"left out of the frames in {contents.path.name!r}: {_names(left_out)} "
            f"({_count(len(left_out), 'file')}); {what}{remedy}",
            stacklevel=5,
        )


def _describe(head: PictureHead) -> str:
    turned = " as EXIF turns it" if head.turning != 1 else ""
    return f"{head.size[1]} x {head.size[0]} px{turned} of {head.dtype}"


def _names(files: Sequence[Path]) -> str:
    more = ", ..." if len(files) > _SHOWN else ""
    return ", ".join(repr(file.name) for file in files[:_SHOWN]) + more


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'s' if number != 1 else ''}"


def _read_scale(path: Path) -> dict[str, Any]:
    """The size of a TIFF's pixels, where it says so."""
    try:
        with tifffile.TiffFile(path) as tiff:
            return read_calibration(tiff).metadata
    except PICTURE_ERRORS:
        return {}
