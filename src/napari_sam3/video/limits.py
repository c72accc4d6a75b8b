"""How large a picture may be: what its head says is checked before memory is taken for it."""

from __future__ import annotations

from pathlib import Path
from threading import Lock
from typing import IO

from PIL import Image

from napari_sam3.errors import VideoError
from napari_sam3.settings import VARIABLES, read_settings

MEGAPIXEL = 1_000_000

_FORMATS = ("JPEG", "PNG", "TIFF", "BMP", "WEBP")
"""What pictures are read from. Pillow would go by content, and run Ghostscript for some."""

_pillows_limit = Lock()


def most_pixels() -> int | None:
    """How many pixels a frame may have by the settings; None for any number."""
    return read_settings().frame_megapixels * MEGAPIXEL or None


def check_picture_size(path: Path, height: int, width: int) -> None:
    """Refuse a picture, or frames, too large to be decoded.

    Parameters
    ----------
    path : Path
        Whose head says so.
    height, width : int
        px.

    Raises
    ------
    VideoError
        If it has more pixels than the setting `frame_megapixels` allows.
    """
    if height * width <= MEGAPIXEL:
        return
    most = most_pixels()
    if most is not None and height * width > most:
        raise VideoError(
            f"{path.name!r} has frames of {width} x {height} px, "
            f"{height * width / MEGAPIXEL:.0f} megapixels, but at most {most // MEGAPIXEL} are "
            f"decoded; make it smaller, or set {VARIABLES['frame_megapixels']} to a larger number "
            "if you have the memory"
        )


def open_picture(path: Path, file: IO[bytes] | None = None) -> Image.Image:
    """Open a picture with Pillow, nothing decoded yet; as `Image.open`, with the limit from here.

    Parameters
    ----------
    path : Path
    file : binary file, optional
        It, where it is open already.

    Raises
    ------
    VideoError
        If it is too large.
    Exception
        Any of `image_file.PICTURE_ERRORS`, if it is damaged.
    """
    # Pillow's own limit is one for the whole process, with no setting that lifts it
    with _pillows_limit:
        theirs, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            image = Image.open(path if file is None else file, formats=_FORMATS)
        finally:
            Image.MAX_IMAGE_PIXELS = theirs
    try:
        check_picture_size(path, image.height, image.width)
    except VideoError:
        image.close()
        raise
    return image
