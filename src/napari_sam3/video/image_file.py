"""One picture of any kind as an array."""

from __future__ import annotations

import lzma
import struct
import zlib
from pathlib import Path

import numpy as np
import tifffile
from PIL import Image, ImageOps

from napari_sam3.errors import VideoError
from napari_sam3.video.base import Frame
from napari_sam3.video.demuxer import FFMPEG_ERRORS, limit_pictures, open_container
from napari_sam3.video.limits import check_picture_size, open_picture

TIFF_SUFFIXES = frozenset({".tif", ".tiff"})

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


def unreadable(path: Path, exc: BaseException) -> VideoError:
    """Say that a picture can't be read."""
    reason = str(exc) or type(exc).__name__
    return VideoError(
        f"{str(path)!r} can't be read as a picture ({reason}); the file is damaged or of another "
        "kind than its name says: repair or remove it"
    )


def is_animated_png(path: Path) -> bool:
    """Whether a file is a PNG of several pictures.

    Raises
    ------
    VideoError
        If it can't be read.
    """
    try:
        with open_picture(path) as image:
            return getattr(image, "n_frames", 1) > 1 and image.format == "PNG"
    except VideoError:
        raise
    except PICTURE_ERRORS as exc:
        raise unreadable(path, exc) from exc


def read_image(path: Path) -> Frame:
    """Read one picture as (H, W) or (H, W, 3), grey at its own depth; turned as its EXIF says.

    Raises
    ------
    VideoError
        If it can't be read.
    """
    try:
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
    except VideoError:
        raise
    except PICTURE_ERRORS as exc:
        raise unreadable(path, exc) from exc


def _read_tiff(path: Path) -> Frame | None:
    """Read the first page; None where Pillow should try."""
    with tifffile.TiffFile(path) as tiff:
        page = tiff.pages.first
        if tifffile.PHOTOMETRIC(page.photometric).name not in _PLAIN_TIFF:
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
    with path.open("rb") as file:
        head = file.read(26)
    format_name = _DEEP_PNG.get(head[25]) if len(head) == 26 and head[24] == 16 else None
    if format_name is None:
        return None
    with open_container(path, "png_pipe") as container:
        limit_pictures(path, container.streams.video[0].codec_context)
        frame = next(container.decode(video=0), None)
        if frame is None:
            raise ValueError("it ends before its picture does")
        array: Frame = frame.to_ndarray(format=format_name)
    return array.copy()


def from_pillow(image: Image.Image) -> Frame:
    """Convert a Pillow image; whatever is not grey becomes RGB."""
    if image.mode in ("1", "LA", "La"):
        image = image.convert("L")
    elif image.mode not in ("L", "F", "I") and not image.mode.startswith("I;16"):
        image = image.convert("RGB")
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
    raise VideoError(
        f"{str(path)!r} holds a picture of shape {array.shape}, but a frame is (H, W) or "
        "(H, W, 3); choose one channel and save it again"
    )
