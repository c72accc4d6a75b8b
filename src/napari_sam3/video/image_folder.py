"""Folders of frames as video, and single pictures as a video of one frame."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import tifffile
from PIL import Image

from napari_sam3.errors import VideoError
from napari_sam3.video.base import Frame, Video
from napari_sam3.video.image_file import PICTURE_ERRORS, TIFF_SUFFIXES, read_image, unreadable
from napari_sam3.video.numbered_files import find_gaps, natural_key, warn_of_number_gaps
from napari_sam3.video.tiff_calibration import read_calibration

IMAGE_SUFFIXES = TIFF_SUFFIXES | {".jpg", ".jpeg", ".png", ".bmp", ".webp"}


def _check_sizes(files: Sequence[Path]) -> None:
    """Look at the heads of all files: frames of one video have one size."""
    first = None
    for file in files:
        try:
            with Image.open(file) as image:
                size = image.size
        except PICTURE_ERRORS as exc:
            if file.suffix.lower() in TIFF_SUFFIXES:
                # one of the many kinds that Pillow does not know; reading it will tell
                continue
            raise unreadable(file, exc) from exc
        if first is None:
            first = file, size
        elif size != first[1]:
            raise VideoError(
                f"the pictures of a folder must have one size: {first[0].name!r} is "
                f"{first[1][0]} x {first[1][1]} px, {file.name!r} is {size[0]} x {size[1]} px; "
                "put one kind of them elsewhere"
            )


class ImageFolder(Video):
    """A folder of frames, one picture a frame, in natural order of their names."""

    def __init__(self, path: Path, files: tuple[Path, ...]) -> None:
        self._files = files
        first = read_image(files[0])
        metadata: dict[str, Any] = {
            "container": "folder",
            "codec": files[0].suffix.lower().lstrip("."),
        }
        if gaps := find_gaps(files):
            metadata["gaps"] = gaps
        if files[0].suffix.lower() in TIFF_SUFFIXES:
            metadata |= _read_scale(files[0])
        super().__init__((len(files), *first.shape), first.dtype, path=path, metadata=metadata)

    @classmethod
    def open(cls, path: Path) -> ImageFolder:
        """Open a folder."""
        files = [
            file
            for file in path.iterdir()
            if file.suffix.lower() in IMAGE_SUFFIXES
            and not file.name.startswith(".")
            and file.is_file()
        ]
        if not files:
            kinds = ", ".join(sorted(suffix.lstrip(".") for suffix in IMAGE_SUFFIXES))
            raise VideoError(
                f"the folder {str(path)!r} holds no pictures; frames are looked for by the endings "
                f"{kinds}"
            )
        files.sort(key=natural_key)
        _check_sizes(files)
        folder = cls(path, tuple(files))
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
        return ImageFolder(self.path, self._files)

    def _read(self, frame_index: int) -> Frame:
        frame = read_image(self._files[frame_index])
        if frame.shape != self.shape[1:] or frame.dtype != self.dtype:
            raise VideoError(
                f"frames of a folder must be alike: {self._files[0].name!r} is {self.shape[1:]} "
                f"{self.dtype}, {self._files[frame_index].name!r} is {frame.shape} {frame.dtype}; "
                "put one of them elsewhere"
            )
        return frame

    def __reduce__(self) -> tuple[Any, ...]:
        return ImageFolder, (self.path, self._files)


def _read_scale(path: Path) -> dict[str, Any]:
    """The size of a TIFF's pixels, where it says so."""
    try:
        with tifffile.TiffFile(path) as tiff:
            return read_calibration(tiff).metadata
    except PICTURE_ERRORS:
        return {}
