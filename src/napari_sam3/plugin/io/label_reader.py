"""Labels of other programs, and those exported here, as napari Labels layers."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sam3.plain_files import open_plain, read_text
from napari_sam3.plugin.layers.video_layer import LayerData, PathOrPaths

if TYPE_CHECKING:
    from napari_sam3.video.video_facts import VideoFacts

_SNIFFED = 2**18  # characters of a JSON file
_MOST_DESCRIPTION = 64 * 2**20
_ILASTIK = b"exported_data"


def get_label_reader(path: PathOrPaths) -> Callable[[PathOrPaths], list[LayerData]] | None:
    """Tell napari whether these paths hold labels or prompts of others; never raises.

    Parameters
    ----------
    path : path or list of paths
        A Cell Tracking Challenge folder (with its table of tracks), a DAVIS folder (PNG with a
        palette), an OME-Zarr with labels, COCO, YouTube-VIS or LabelMe JSON, Cellpose's _seg.npy,
        YOLO's text, XML of CVAT or TrackMate, HDF5 of ilastik, boxes of MOTChallenge; folders of
        files of LabelMe, Cellpose and YOLO.

    Returns
    -------
    callable or None
        `read_label_layers` if every path looks like that; None for pictures that may be anything.
    """
    try:
        paths = _as_paths(path)
        readable = bool(paths) and all(_looks_like_labels(p) for p in paths)
    except (OSError, TypeError, ValueError):
        return None
    return read_label_layers if readable else None


def read_label_layers(path: PathOrPaths) -> list[LayerData]:
    """Open labels as layers that can be painted in, and prompts as they are drawn here.

    The files are never changed. A folder of pictures with labels beside them is opened as the video
    and what lies on it.

    Parameters
    ----------
    path : path or list of paths
        As `get_label_reader` took them.

    Returns
    -------
    list of (array, dict, kind)
        A Labels layer, or Shapes, Points and Tracks of boxes, points and tracks. Time and place are
        scaled as the file, or the facts of the video beside it, say; else as the one video in the
        window that fits. `metadata` of labels has the facts as `video_facts`, and as `objects` an
        `ObjectTable` of what the format tells of names, classes and divisions, which the features
        show.

    Raises
    ------
    VideoError
        If one can't be read.
    """
    return [layer for p in _as_paths(path) for layer in _layers_of(p)]


def _layers_of(path: Path) -> list[LayerData]:
    """The layers of a file or folder: labels, if there are any, and what else is in it."""
    from napari_sam3.errors import VideoError
    from napari_sam3.imports import find_prompts
    from napari_sam3.imports.open import xml_kind
    from napari_sam3.imports.trackmate import TrackMateFile
    from napari_sam3.plugin.io.foreign_layers import (
        lie_as,
        lie_on,
        prompt_layers,
        spot_layers,
        video_in_view,
    )

    layers, place, size = _videos_of(path), None, None
    if layers:
        place, size = lie_as(layers[0][1]), layers[0][0].shape[1:3]
    elif (video := video_in_view()) is not None:
        size = video.data.shape[1:3]
    problem: VideoError | None = None
    try:
        layers.append(_label_layer(path, place, size))
        place = lie_as(layers[-1][1])
    except VideoError as exc:
        problem = exc
    try:
        found = find_prompts(path, size=size)
    except VideoError:
        if problem is not None and path.suffix.lower() == ".txt":
            raise  # of boxes, that are no labels anyway
        found = None
    if found is None:
        if problem is not None:
            raise problem
        return layers
    if place is None:
        place = lie_on(video_in_view())
    if path.suffix.lower() == ".xml" and xml_kind(path) == "trackmate":
        return layers + spot_layers(TrackMateFile(path), found, place)
    return layers + prompt_layers(found, place)


def _videos_of(path: Path) -> list[LayerData]:
    """The video of a folder of pictures that has labels beside them, if it is not shown yet."""
    from napari_sam3.imports.beside_pictures import find_pictures
    from napari_sam3.plugin.io.foreign_layers import video_in_view
    from napari_sam3.plugin.io.video_reader import read_layers

    if not path.is_dir() or not _has_files_beside(path) or not find_pictures(path):
        return []
    shown = video_in_view()
    is_shown = shown is not None and shown.metadata.get("path") == str(path)
    return [] if is_shown else read_layers(path)


def _label_layer(
    path: Path, place: dict[str, Any] | None, size: tuple[int, int] | None
) -> LayerData:
    from napari_sam3.imports import open_labels
    from napari_sam3.imports.file_label_stack import FileLabelStack
    from napari_sam3.plugin.io.foreign_layers import lie_on, video_in_view
    from napari_sam3.plugin.layers.features_table import OBJECTS, make_features

    labels = open_labels(path, size=size)
    facts = labels.facts
    if facts is not None:
        seconds = _time_step(facts)
        pixel, unit = (1.0, 1.0), "pixel"
        if facts.pixel_size is not None and facts.unit is not None:
            pixel, unit = facts.pixel_size, facts.unit
        place = {
            "axis_labels": ("t", "y", "x"),
            "scale": (seconds or 1.0, *pixel),
            "units": ("second" if seconds else "pixel", unit, unit),
        }
    elif place is None:
        place = lie_on(video_in_view(labels.shape[1:]))
    arguments: dict[str, Any] = {
        "name": path.name.split(".")[0],
        **place,
        "metadata": {
            "video_facts": facts,
            "path": str(path),
            OBJECTS: labels.objects,
        },
        "features": make_features((), labels.objects),
    }
    return FileLabelStack(labels), arguments, "labels"


def _time_step(facts: VideoFacts) -> float | None:
    """Seconds from frame to frame where they are all alike, as for the layer of the video."""
    if not facts.fps:
        return None
    if facts.timestamps is not None:
        steps = np.diff(facts.timestamps)
        if steps.size and np.ptp(steps) > 0.01 / facts.fps:
            return None
    return float(np.float32(1 / facts.fps))  # multiples of it are exact: napari counts steps


def _as_paths(path: PathOrPaths) -> list[Path]:
    given: Iterable[str | Path] = [path] if isinstance(path, str | Path) else path
    return [Path(p) for p in given]


def _looks_like_labels(path: Path) -> bool:
    if path.is_dir():
        if (path / "zarr.json").is_file() or (path / ".zgroup").is_file():
            return _is_label_zarr(path)
        # hidden files, as macOS leaves them beside others, are none
        files = [f for f in path.iterdir() if not f.name.startswith(".")]
        is_known = any(f.name.endswith("_track.txt") for f in files) or _is_palette_folder(files)
        return is_known or _has_files_beside(path)
    return path.is_file() and _is_file_of_others(path)


def _is_file_of_others(path: Path) -> bool:
    suffix = path.suffix.lower()
    if suffix == ".json":
        with path.open(encoding="utf-8") as file:
            head = file.read(_SNIFFED)
        is_labelme = '"shapes"' in head and '"imagePath"' in head
        return is_labelme or any(f'"{key}"' in head for key in ("images", "videos", "annotations"))
    if suffix == ".xml":
        from napari_sam3.imports.plain_xml import first_element

        return first_element(path) in ("annotations", "TrackMate")
    if suffix == ".txt":
        from napari_sam3.imports.mot import is_mot
        from napari_sam3.imports.yolo import find_yolo

        return is_mot(path) or (path.stat().st_size > 0 and find_yolo(path) is not None)
    if suffix in (".h5", ".hdf5"):
        with path.open("rb") as file:
            return _ILASTIK in file.read(_SNIFFED)
    return path.name.lower().endswith("_seg.npy")


def _has_files_beside(path: Path) -> bool:
    """Whether a folder has files of Cellpose, LabelMe or YOLO in it, beside pictures or alone."""
    from napari_sam3.imports.cellpose import find_segs
    from napari_sam3.imports.labelme import find_labelme
    from napari_sam3.imports.yolo import find_yolo

    files = [f for f in path.iterdir() if not f.name.startswith(".")]
    return bool(find_segs(files) or find_labelme(files)) or find_yolo(path) is not None


def _is_label_zarr(path: Path) -> bool:
    said = "".join(
        read_text(path / name, most_bytes=_MOST_DESCRIPTION)
        for name in ("zarr.json", ".zattrs")
        if (path / name).is_file()
    )
    if '"image-label"' in said or '"labels"' in said:
        return True
    # an image with labels is left to the readers of images
    return (path / "labels").is_dir() and '"multiscales"' not in said


def _is_palette_folder(files: Iterable[Path]) -> bool:
    first = next((f for f in files if f.suffix.lower() == ".png"), None)
    if first is None:
        return False
    with open_plain(first.resolve()) as file:
        head = file.read(26)
    # the header chunk's eighth byte but one: colour type 3 is indexed (PNG specification, 11.2.2)
    return len(head) == 26 and head[12:16] == b"IHDR" and head[25] == 3
