"""Pictures as video: folders of frames, single images, multi-page TIFFs, animations."""

from __future__ import annotations

import re
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import tifffile
from PIL import Image, ImageOps, UnidentifiedImageError

from napari_sam3.errors import VideoError
from napari_sam3.video.base import Frame, Video

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".tif", ".tiff", ".bmp", ".webp"})
_TIFF = frozenset({".tif", ".tiff"})


def natural_key(path: Path) -> tuple[Any, ...]:
    """Sort key by which frame2 comes before frame10."""
    parts = re.split(r"(\d+)", path.name.casefold())
    return tuple((0, int(p), "") if p.isdigit() else (1, 0, p) for p in parts), path.name


def read_image(path: Path) -> Frame:
    """Read one picture as (H, W) or (H, W, 3), grey at its own depth; turned as its EXIF says.

    Raises
    ------
    VideoError
        If it can't be read.
    """
    try:
        if path.suffix.lower() in _TIFF:
            return _plain(_read_tiff(path), path)
        with Image.open(path) as image:
            return _from_pillow(ImageOps.exif_transpose(image))
    except VideoError:
        raise
    except (OSError, ValueError, SyntaxError, UnidentifiedImageError) as exc:
        raise VideoError(
            f"{str(path)!r} can't be read as a picture ({exc}); the file is damaged or of another "
            "kind than its name says: repair or remove it"
        ) from exc


def _read_tiff(path: Path) -> Frame:
    with tifffile.TiffFile(path) as tiff:
        return np.asarray(tiff.asarray(key=0))


def _from_pillow(image: Image.Image) -> Frame:
    """Convert a Pillow image; whatever is not grey becomes RGB."""
    if image.mode in ("1", "LA", "La"):
        image = image.convert("L")
    elif image.mode not in ("L", "F", "I") and not image.mode.startswith("I;16"):
        image = image.convert("RGB")
    array = np.array(image)
    # 16-bit PNGs are opened as 32-bit integers by older Pillows
    if array.dtype == np.int32 and array.size and array.min() >= 0 and array.max() < 2**16:
        array = array.astype(np.uint16)
    return array


def _plain(array: Frame, path: Path) -> Frame:
    """Bring a picture to (H, W) or (H, W, 3): alpha dropped, byte order the machine's own."""
    if array.dtype.byteorder not in "=|":
        array = array.astype(array.dtype.newbyteorder("="))
    if array.ndim == 3 and array.shape[2] in (1, 2):
        array = array[..., 0]
    elif array.ndim == 3 and array.shape[2] == 4:
        array = array[..., :3]
    if array.ndim == 2 or (array.ndim == 3 and array.shape[2] == 3):
        return np.ascontiguousarray(array)
    raise VideoError(
        f"{str(path)!r} holds a picture of shape {array.shape}, but a frame is (H, W) or "
        "(H, W, 3); choose one channel and save it again"
    )


class ImageFolder(Video):
    """A folder of frames, one picture a frame, in natural order of their names."""

    def __init__(self, path: Path, files: tuple[Path, ...]) -> None:
        self._files = files
        first = read_image(files[0])
        super().__init__(
            (len(files), *first.shape),
            first.dtype,
            path=path,
            metadata={"container": "folder", "codec": files[0].suffix.lower().lstrip(".")},
        )

    @classmethod
    def open(cls, path: Path) -> ImageFolder:
        """Open a folder, or a single picture as a video of one frame."""
        if path.is_file():
            return cls(path, (path,))
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
        return cls(path, tuple(sorted(files, key=natural_key)))

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
        return ImageFolder.open, (self.path,)


class TiffStack(Video):
    """A multi-page TIFF, one page a frame, read when asked for."""

    def __init__(self, path: Path) -> None:
        self._lock = Lock()
        self._tiff = tifffile.TiffFile(path)
        series = self._tiff.series[0]
        shape = tuple(series.shape)
        colour = series.axes.endswith("S") and shape[-1] in (3, 4)
        frame_ndim = 3 if colour else 2
        if len(shape) != frame_ndim + 1:
            self._tiff.close()
            raise VideoError(
                f"{path.name!r} is a stack of shape {shape} with axes {series.axes}, but a video "
                "is (T, H, W) or (T, H, W, 3); open it in napari and choose the axes there, or "
                "pass the array that you mean"
            )
        self._colour = colour
        self._whole = series.asarray(out="memmap") if series.dataoffset is not None else None
        self._pages = series.pages
        dtype = np.dtype(series.dtype).newbyteorder("=")
        super().__init__(
            (*shape[:3], 3) if colour else shape,
            dtype,
            path=path,
            metadata={"container": "tiff", "axes": series.axes},
        )

    def reopen(self) -> TiffStack:
        """Open the same file once more."""
        assert self.path is not None
        return TiffStack(self.path)

    def _read(self, frame_index: int) -> Frame:
        assert self.path is not None
        with self._lock:
            if self._closed:
                raise VideoError(f"{self._name} is closed; open it again with reopen()")
            if self._whole is not None:
                frame = self._whole[frame_index]
            else:
                page = self._pages[frame_index]
                # a page may be left out of a file where it would be empty
                frame = np.zeros(self.shape[1:]) if page is None else page.asarray()
        return np.array(_plain(frame, self.path), self.dtype)

    def _release(self) -> None:
        with self._lock:
            self._whole = None
            self._tiff.close()

    def __reduce__(self) -> tuple[Any, ...]:
        return TiffStack, (self.path,)
