"""From a path to labels."""

from __future__ import annotations

import os
from pathlib import Path

from napari_sam3.errors import VideoError
from napari_sam3.imports.label_file import LabelFile


def open_labels(path: str | os.PathLike[str], *, first_number: int | None = None) -> LabelFile:
    """Open labels of any format that is known here.

    Parameters
    ----------
    path : path-like
        A TIFF stack; a picture; a folder of numbered PNG (DAVIS's too) or TIFF; a Cell Tracking
        Challenge folder; an OME-Zarr with labels, or the labels in it; COCO or YouTube-VIS JSON.
    first_number : int, optional
        Of pictures whose names tell their frames by a number: the number that frame 0 has. What
        is not sure without it is warned of (see `number_frames`).

    Returns
    -------
    LabelFile
        Frames are read when they are asked for; JSON is read whole.

    Raises
    ------
    VideoError
        If there is no such file, or it holds no labels.

    Warns
    -----
    UserWarning
        Of what is not sure, was changed, or can't be used: frame numbers, ids, divisions.
    """
    from napari_sam3.imports.coco import open_json
    from napari_sam3.imports.pictures import (
        PICTURE_SUFFIXES,
        TIFF_SUFFIXES,
        CtcLabels,
        PictureLabels,
        TiffLabels,
        visible_files,
    )
    from napari_sam3.imports.zarr_labels import ZarrLabels

    place = Path(path).expanduser()
    if not place.exists():
        raise VideoError(f"there is no file or folder {str(place)!r}; check the path")
    if not (place.is_dir() or place.is_file()):  # a pipe would be waited for
        raise VideoError(f"{str(place)!r} is no file or folder, but a pipe or a device")
    suffix = place.suffix.lower()
    if place.is_dir():
        files = visible_files(place)
        if not {"zarr.json", ".zgroup"}.isdisjoint(f.name for f in place.iterdir()):
            return ZarrLabels(place)
        tables = [f for f in files if f.name.endswith("_track.txt")]
        if len(tables) > 1:
            names = " and ".join(f.name for f in tables)
            raise VideoError(f"{str(place)!r} has two tables of tracks, {names}; remove one")
        if tables:
            return CtcLabels(place, tables[0], first_number=first_number)
        pictures = [f for f in files if f.suffix.lower() in PICTURE_SUFFIXES]
        kinds = {f.suffix.lower().replace("tiff", "tif") for f in pictures}
        if len(kinds) == 1:
            return PictureLabels(place, pictures, first_number=first_number)
        what = f"pictures of {len(kinds)} kinds" if kinds else "no pictures"
        raise VideoError(
            f"{str(place)!r} has {what}; labels are a folder of PNG or of TIFF, or an OME-Zarr"
        )
    if suffix == ".json":
        return open_json(place, first_number=first_number)
    if suffix in PICTURE_SUFFIXES:
        if first_number is not None:
            raise VideoError(f"{str(place)!r} tells its frames itself; leave first_number out")
        return TiffLabels(place) if suffix in TIFF_SUFFIXES else PictureLabels(place, [place])
    raise VideoError(
        f"{str(place)!r} is of no format of labels that is known here: TIFF, PNG, OME-Zarr, COCO "
        "or YouTube-VIS JSON, or a folder of pictures; boxes alone, as of MOT, are no labels"
    )
