"""From a path to labels."""

from __future__ import annotations

import os
from pathlib import Path

from napari_sam3.errors import VideoError
from napari_sam3.imports.label_file import LabelFile


def open_labels(path: str | os.PathLike[str]) -> LabelFile:
    """Open labels of any format that is known here.

    Parameters
    ----------
    path : path-like
        A TIFF stack; a picture; a folder of numbered PNG (DAVIS's too) or TIFF; a Cell Tracking
        Challenge folder; an OME-Zarr with labels, or the labels in it; COCO or YouTube-VIS JSON.

    Returns
    -------
    LabelFile
        Frames are read when they are asked for; JSON is read whole.

    Raises
    ------
    VideoError
        If there is no such file, or it holds no labels.
    """
    from napari_sam3.imports.coco import open_json
    from napari_sam3.imports.pictures import (
        PICTURE_SUFFIXES,
        TIFF_SUFFIXES,
        PictureLabels,
        TiffLabels,
        open_ctc,
    )
    from napari_sam3.imports.zarr_labels import ZarrLabels

    place = Path(path).expanduser()
    if not place.exists():
        raise VideoError(f"there is no file or folder {str(place)!r}; check the path")
    if not (place.is_dir() or place.is_file()):  # a pipe would be waited for
        raise VideoError(f"{str(place)!r} is no file or folder, but a pipe or a device")
    suffix = place.suffix.lower()
    if place.is_dir():
        if any((place / name).is_file() for name in ("zarr.json", ".zgroup")):
            return ZarrLabels(place)
        if tables := sorted(t for t in place.glob("*_track.txt") if t.is_file()):
            return open_ctc(place, tables[0])
        files = [f for f in place.iterdir() if f.is_file() and not f.name.startswith(".")]
        kinds = {f.suffix.lower() for f in files} & PICTURE_SUFFIXES
        if len(kinds) == 1:
            return PictureLabels(place, [f for f in files if f.suffix.lower() in kinds])
        what = f"pictures of {len(kinds)} kinds" if kinds else "no pictures"
        raise VideoError(
            f"{str(place)!r} has {what}; labels are a folder of PNG or of TIFF, or an OME-Zarr"
        )
    if suffix in TIFF_SUFFIXES:
        return TiffLabels(place)
    if suffix in PICTURE_SUFFIXES:
        return PictureLabels(place, [place])
    if suffix == ".json":
        return open_json(place)
    raise VideoError(
        f"{str(place)!r} is of no format of labels that is known here: TIFF, PNG, OME-Zarr, COCO "
        "or YouTube-VIS JSON, or a folder of pictures"
    )
