"""A contact sheet: a few frames of a film in one picture."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from napari_sam3.export.write_errors import explain_write_errors
from napari_sam3.whole_files import written_whole

GAP = 6  # px between pictures
COLUMNS = 3  # pictures in a row
WIDTH = 480  # px of a picture on the sheet; larger ones are made smaller


def pick_frames(first: int, last: int, count: int = 6) -> list[int]:
    """`count` frame numbers (or fewer) spread evenly from `first` to `last`, both inclusive."""
    return sorted({round(float(n)) for n in np.linspace(first, last, count)})


def write_contact_sheet(
    path: str | os.PathLike[str],
    pictures: Sequence[NDArray[np.uint8]],
    captions: Sequence[str],
) -> None:
    """Write pictures in rows to one PNG, each with a caption.

    Parameters
    ----------
    path : path-like
        Where to write.
    pictures : sequence of (H, W, 3) uint8
        All of one size.
    captions : sequence of str
        One a picture; ASCII.

    Raises
    ------
    VideoError
        If it can't be written.
    """
    tiles = [_tile(p, text) for p, text in zip(pictures, captions, strict=True)]
    height, across = tiles[0].shape[:2]
    columns = min(COLUMNS, len(tiles))
    rows = -(-len(tiles) // columns)
    sheet = np.full((rows * (height + GAP) + GAP, columns * (across + GAP) + GAP, 3), 255, np.uint8)
    for number, tile in enumerate(tiles):
        y = GAP + (number // columns) * (height + GAP)
        x = GAP + (number % columns) * (across + GAP)
        sheet[y : y + height, x : x + across] = tile
    place = Path(path).expanduser()
    with explain_write_errors(place):
        place.parent.mkdir(parents=True, exist_ok=True)
        with written_whole(place) as part:
            Image.fromarray(sheet).save(part)


def _tile(picture: NDArray[np.uint8], caption: str) -> NDArray[np.uint8]:
    height, across = picture.shape[:2]
    scale = min(1.0, WIDTH / across)
    size = (max(1, round(across * scale)), max(1, round(height * scale)))
    tile = np.ascontiguousarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA))
    for color, thickness in (((0, 0, 0), 3), ((255, 255, 255), 1)):
        font = cv2.FONT_HERSHEY_SIMPLEX
        cv2.putText(tile, caption, (8, 20), font, 0.5, color, thickness, cv2.LINE_AA)
    return np.asarray(tile, np.uint8)
