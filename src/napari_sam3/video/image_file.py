"""One picture of any kind as an array."""

from __future__ import annotations

import json
import lzma
import math
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from PIL import Image, ImageOps

from napari_sam3.errors import VideoError
from napari_sam3.video.base import Frame
from napari_sam3.video.demuxer import FFMPEG_ERRORS, limit_pictures, open_container
from napari_sam3.video.folder_contents import TIFF_SUFFIXES
from napari_sam3.video.limits import check_picture_size, open_picture

PICTURE_ERRORS = (
    *FFMPEG_ERRORS,
    tifffile.TiffFileError,
    EOFError,
    ValueError,
    TypeError,
    LookupError,
    ArithmeticError,
    AttributeError,
    AssertionError,
    RuntimeError,
    SyntaxError,
    MemoryError,
    struct.error,
    zlib.error,
    lzma.LZMAError,
    Image.DecompressionBombError,
)
"""What damage to a picture ends in: Pillow and tifffile believe what a file says until that fails
somewhere."""

# the colour types of PNG (ISO/IEC 15948, 11.2.1): colour, grey with alpha, colour with alpha
_DEEP_PNG = {2: "rgb48le", 4: "gray16le", 6: "rgb48le"}
# what tifffile gives as it is to be shown; palettes, CMYK and the like are left to Pillow
_PLAIN_TIFF = ("MINISBLACK", "RGB")
# Pillow's modes without colour, and what their values become
_GREY_MODES = (
    dict.fromkeys(("1", "L", "LA", "La"), np.uint8)
    | dict.fromkeys(("I;16", "I;16L", "I;16B", "I;16N"), np.uint16)
    | {"I": np.int32, "F": np.float32}
)
_ORIENTATION = 0x0112


@contextmanager
def reading_picture(path: Path) -> Iterator[None]:
    """Say of what damage ends in that the picture can't be read."""
    try:
        yield
    except VideoError:
        raise
    except PICTURE_ERRORS as exc:
        reason = str(exc) or type(exc).__name__
        raise VideoError(
            f"{str(path)!r} can't be read as a picture ({reason}); the file is damaged or of "
            "another kind than its name says: repair or remove it"
        ) from exc


def is_animated_png(path: Path) -> bool:
    """Whether a file is a PNG of several pictures.

    Raises
    ------
    VideoError
        If it can't be read.
    """
    with reading_picture(path), open_picture(path) as image:
        return getattr(image, "n_frames", 1) > 1 and image.format == "PNG"


@dataclass(frozen=True)
class PictureHead:
    """What the head of a picture says of what `read_image` gives.

    Attributes
    ----------
    size : (height, width)
        px, after turning.
    is_rgb : bool
        Whether it is (H, W, 3).
    dtype : numpy dtype
        Of its values, in the machine's byte order.
    turning : int
        How EXIF has it turned or mirrored, 1 to 8; 1: as it is stored.
    may_be_stack : bool
        Whether the file holds more pictures than one, or says so.
    """

    size: tuple[int, int]
    is_rgb: bool
    dtype: np.dtype[Any]
    turning: int = 1
    may_be_stack: bool = False


def read_head(path: Path) -> PictureHead:
    """Read what a picture is, without its pixels.

    Raises
    ------
    VideoError
        If it can't be read, or has too many pixels.
    """
    with reading_picture(path):
        if path.suffix.lower() in TIFF_SUFFIXES:
            return _read_tiff_head(path)
        return _read_pillow_head(path)


def _read_tiff_head(path: Path) -> PictureHead:
    with tifffile.TiffFile(path) as tiff:
        page: Any = tiff.pages.first
        may_be_stack = _has_second_page(tiff) or announced_pages(tiff) > 1
        if not _is_plain(page):
            return replace(_read_pillow_head(path), may_be_stack=may_be_stack)
        check_picture_size(path, page.imagelength, page.imagewidth)
        samples = page.samplesperpixel
        if samples > 4:
            raise _too_many_channels(path, page.shape)
        if page.dtype is None:
            raise ValueError(f"its values are of {page.bitspersample} bits")
        return PictureHead(
            (page.imagelength, page.imagewidth),
            samples > 2,
            page.dtype.newbyteorder("="),
            may_be_stack=may_be_stack,
        )


def _read_pillow_head(path: Path) -> PictureHead:
    deep = _deep_png_format(path) if path.suffix.lower() == ".png" else None
    with open_picture(path) as image:
        width, height = image.size
        may_be_stack = image.format != "MPO" and getattr(image, "n_frames", 1) > 1
        if deep is not None:
            return PictureHead((height, width), "rgb" in deep, np.dtype(np.uint16), 1, may_be_stack)
        # of a PNG without it in its head Pillow would read all to look for it
        has_exif = image.format != "PNG" or "exif" in image.info
        turning = int(image.getexif().get(_ORIENTATION, 1)) if has_exif else 1
        if turning not in range(1, 9):
            turning = 1
        return PictureHead(
            (width, height) if turning > 4 else (height, width),
            image.mode not in _GREY_MODES,
            np.dtype(_GREY_MODES.get(image.mode, np.uint8)),
            turning,
            may_be_stack,
        )


def _has_second_page(tiff: tifffile.TiffFile) -> bool:
    try:
        return tiff.pages[1] is not None
    except PICTURE_ERRORS:
        return False


def announced_pages(tiff: tifffile.TiffFile) -> int:
    """How many pictures the description says there are; 0 if it does not."""
    try:
        if tiff.is_imagej:
            return int((tiff.imagej_metadata or {}).get("images", 0))
        first: Any = tiff.pages.first
        if first.is_shaped:
            # what tifffile itself writes
            shape = json.loads(first.shaped_description)["shape"]
            return int(math.prod(shape) // math.prod(first.shape))
    except PICTURE_ERRORS:
        pass
    return 0


def _is_plain(page: Any) -> bool:
    return tifffile.PHOTOMETRIC(page.photometric).name in _PLAIN_TIFF


def read_image(path: Path) -> Frame:
    """Read one picture as (H, W) or (H, W, 3), grey at its own depth; turned as its EXIF says.

    Raises
    ------
    VideoError
        If it can't be read.
    """
    with reading_picture(path):
        if path.suffix.lower() in TIFF_SUFFIXES:
            array = _read_tiff(path)
            if array is not None:
                return _plain(array, path)
        if path.suffix.lower() == ".png":
            array = _read_deep_png(path)
            if array is not None:
                return array
        with open_picture(path) as image:
            return from_pillow(ImageOps.exif_transpose(image))


def _read_tiff(path: Path) -> Frame | None:
    """Read the first page; None where Pillow should try."""
    with tifffile.TiffFile(path) as tiff:
        page = tiff.pages.first
        if not _is_plain(page):
            return None
        check_picture_size(path, page.imagelength, page.imagewidth)
        try:
            array: Frame = page.asarray()
        except ValueError:
            # a compression that needs the package imagecodecs; Pillow knows the usual ones
            return None
        # channels may be stored as pictures of their own
        return np.moveaxis(array, 0, -1) if page.axes == "SYX" else array


def _read_deep_png(path: Path) -> Frame | None:
    """Read a PNG of 16-bit colour, which Pillow would cut to 8 bits; None if it is another one."""
    format_name = _deep_png_format(path)
    if format_name is None:
        return None
    with open_container(path, "png_pipe") as container:
        limit_pictures(path, container.streams.video[0].codec_context)
        frame = next(container.decode(video=0), None)
        if frame is None:
            raise ValueError("it ends before its picture does")
        array: Frame = frame.to_ndarray(format=format_name)
    return array.copy()


def _deep_png_format(path: Path) -> str | None:
    with path.open("rb") as file:
        head = file.read(26)
    return _DEEP_PNG.get(head[25]) if len(head) == 26 and head[24] == 16 else None


def from_pillow(image: Image.Image) -> Frame:
    """Convert a Pillow image; whatever is not grey becomes RGB."""
    if image.mode not in _GREY_MODES:
        image = image.convert("RGB")
    elif image.mode in ("1", "LA", "La"):
        image = image.convert("L")
    return np.array(image)


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
    raise _too_many_channels(path, array.shape)


def _too_many_channels(path: Path, shape: tuple[int, ...]) -> VideoError:
    return VideoError(
        f"{str(path)!r} holds a picture of shape {shape}, but a frame is (H, W) or (H, W, 3); "
        "choose one channel and save it again"
    )
