"""From a path to labels."""

from __future__ import annotations

import os
from pathlib import Path

from napari_sam3.errors import VideoError
from napari_sam3.imports.label_file import LabelFile


def open_labels(
    path: str | os.PathLike[str],
    *,
    first_number: int | None = None,
    size: tuple[int, int] | None = None,
) -> LabelFile:
    """Open labels of any format that is known here.

    Parameters
    ----------
    path : path-like
        A TIFF stack; a picture; a folder of numbered PNG (DAVIS's too) or TIFF; a Cell Tracking
        Challenge folder; an OME-Zarr with labels, or the labels in it; COCO or YouTube-VIS JSON; a
        file of LabelMe, of Cellpose (`_seg.npy`) or YOLO, or a folder of them; XML of CVAT or
        TrackMate; HDF5 of ilastik.
    first_number : int, optional
        Of pictures whose names tell their frames by a number: the number that frame 0 has. What
        is not sure without it is warned of (see `number_frames`).
    size : (height, width), optional
        Of the video, for formats that do not tell it.

    Returns
    -------
    LabelFile
        Frames are read when they are asked for; JSON and XML are read whole.

    Raises
    ------
    VideoError
        If there is no such file, or it holds no labels.

    Warns
    -----
    UserWarning
        Of what is not sure, was changed, or can't be used: frame numbers, ids, divisions.
    """
    place = check_path(path)
    if place.is_dir():
        return _open_folder(place, first_number, size)
    if place.suffix.lower() == ".json":
        from napari_sam3.imports.coco import open_json

        return open_json(place, first_number=first_number)
    if first_number is not None:
        raise VideoError(f"{str(place)!r} tells its frames itself; leave first_number out")
    return _open_file(place, size)


def check_path(path: str | os.PathLike[str]) -> Path:
    """The place of a file or folder.

    Raises
    ------
    VideoError
        If there is none, or it is a pipe or a device.
    """
    place = Path(path).expanduser()
    if not place.exists():
        raise VideoError(f"there is no file or folder {str(place)!r}; check the path")
    if not (place.is_dir() or place.is_file()):  # a pipe would be waited for
        raise VideoError(f"{str(place)!r} is no file or folder, but a pipe or a device")
    return place


def xml_kind(place: Path) -> str:
    """Whose a file of XML is, by its first element: "cvat" or "trackmate".

    Raises
    ------
    VideoError
        If it is somebody else's.
    """
    from napari_sam3.imports.label_file import explain_read_errors
    from napari_sam3.imports.plain_xml import first_element

    with explain_read_errors(place):
        name = first_element(place)
    kinds = {"annotations": "cvat", "TrackMate": "trackmate"}
    if name not in kinds:
        raise VideoError(
            f"{str(place)!r} is XML of the kind {name[:60]!r}; known here are CVAT's "
            "(annotations) and TrackMate's (TrackMate)"
        )
    return kinds[name]


def _open_folder(place: Path, first: int | None, size: tuple[int, int] | None) -> LabelFile:
    from napari_sam3.imports.cellpose import CellposeLabels, find_segs
    from napari_sam3.imports.labelme import LabelMeLabels, find_labelme
    from napari_sam3.imports.pictures import (
        PICTURE_SUFFIXES,
        CtcLabels,
        PictureLabels,
        visible_files,
    )
    from napari_sam3.imports.yolo import YoloLabels, find_yolo
    from napari_sam3.imports.zarr_labels import ZarrLabels

    if not {"zarr.json", ".zgroup"}.isdisjoint(f.name for f in place.iterdir()):
        return ZarrLabels(place)
    files = visible_files(place)
    tables = [f for f in files if f.name.endswith("_track.txt")]
    if len(tables) > 1:
        names = " and ".join(f.name for f in tables)
        raise VideoError(f"{str(place)!r} has two tables of tracks, {names}; remove one")
    if tables:
        return CtcLabels(place, tables[0], first_number=first)
    # what lies beside pictures is told of them, and comes before pictures that may be labels
    if segs := find_segs(files):
        return CellposeLabels(place, segs, first_number=first)
    if drawn := find_labelme(files):
        return LabelMeLabels(place, drawn, first_number=first)
    if found := find_yolo(place):
        return YoloLabels(found, first_number=first, size=size)
    pictures = [f for f in files if f.suffix.lower() in PICTURE_SUFFIXES]
    kinds = {f.suffix.lower().replace("tiff", "tif") for f in pictures}
    if len(kinds) == 1:
        return PictureLabels(place, pictures, first_number=first)
    what = f"pictures of {len(kinds)} kinds" if kinds else "no pictures"
    raise VideoError(
        f"{str(place)!r} has {what}; labels are a folder of PNG or of TIFF, of files of LabelMe, "
        "Cellpose or YOLO, or an OME-Zarr"
    )


def _open_file(place: Path, size: tuple[int, int] | None) -> LabelFile:
    from napari_sam3.imports.cellpose import SEG_ENDING, CellposeLabels
    from napari_sam3.imports.ilastik import HDF5_SUFFIXES, IlastikLabels
    from napari_sam3.imports.pictures import (
        PICTURE_SUFFIXES,
        TIFF_SUFFIXES,
        PictureLabels,
        TiffLabels,
    )

    suffix = place.suffix.lower()
    if suffix in PICTURE_SUFFIXES:
        return TiffLabels(place) if suffix in TIFF_SUFFIXES else PictureLabels(place, [place])
    if place.name.lower().endswith(SEG_ENDING):
        return CellposeLabels(place, [place])
    if suffix == ".xml":
        from napari_sam3.imports.cvat import CvatLabels
        from napari_sam3.imports.trackmate import TrackMateLabels

        kind = xml_kind(place)
        return (CvatLabels if kind == "cvat" else TrackMateLabels)(place, size=size)
    if suffix in HDF5_SUFFIXES:
        return IlastikLabels(place)
    if suffix == ".txt":
        from napari_sam3.imports.yolo import YoloLabels, find_yolo

        if found := find_yolo(place):
            return YoloLabels(found, size=size)
    raise VideoError(
        f"{str(place)!r} is of no format of labels that is known here: TIFF, PNG, OME-Zarr, COCO, "
        "YouTube-VIS or LabelMe JSON, Cellpose's _seg.npy, YOLO's .txt, CVAT's or TrackMate's XML, "
        "ilastik's HDF5, or a folder of pictures; boxes alone, as of MOT, are no labels: give them "
        "as prompts"
    )
