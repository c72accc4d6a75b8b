"""Pictures and short films for the docs: WebP, small enough for a page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PIL import Image

IMAGES = Path(__file__).parent / "images"
MOST_BYTES = 150_000
"""Of a picture or a film."""


def save_picture(picture: Image.Image, name: str) -> None:
    """Write a picture into the folder of images."""
    picture.save(IMAGES / name, quality=82, method=6)
    _check(name)


def save_film(frames: Sequence[Image.Image], name: str, *, ms: int, quality: int = 60) -> None:
    """Write a film that begins anew at its end.

    Parameters
    ----------
    frames : sequence of Image
        One or more, of one size.
    name : str
        In the folder of images, with its ending.
    ms : int
        A frame lasts so many milliseconds.
    quality : int
        Of the frames, 0 to 100.
    """
    first, *more = frames
    first.save(
        IMAGES / name,
        save_all=True,
        append_images=more,
        duration=ms,
        loop=0,
        quality=quality,
        method=6,
        minimize_size=True,
        allow_mixed=True,
    )
    _check(name)


def _check(name: str) -> None:
    size = (IMAGES / name).stat().st_size
    print(f"{name}: {size / 1000:.0f} kB")
    if size > MOST_BYTES:
        raise ValueError(
            f"{name} takes {size} bytes, over {MOST_BYTES}; make it smaller or shorter"
        )
