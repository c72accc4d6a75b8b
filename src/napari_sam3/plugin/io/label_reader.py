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


def get_label_reader(path: PathOrPaths) -> Callable[[PathOrPaths], list[LayerData]] | None:
    """Tell napari whether these paths hold labels; never raises.

    Parameters
    ----------
    path : path or list of paths
        A Cell Tracking Challenge folder (with its table of tracks), a DAVIS folder (PNG with a
        palette), an OME-Zarr with labels, COCO or YouTube-VIS JSON.

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
    """Open labels as layers that can be painted in; the files are never changed.

    Parameters
    ----------
    path : path or list of paths
        As `get_label_reader` took them; each becomes a layer.

    Returns
    -------
    list of (array, dict, "labels")
        Time and place are scaled as the facts of the video beside the file say; `metadata` has
        them as `video_facts`, and as `objects` an `ObjectTable` of what the format tells of names,
        classes and divisions, which the features show.

    Raises
    ------
    VideoError
        If one can't be read.
    """
    return [_label_layer(p) for p in _as_paths(path)]


def _label_layer(path: Path) -> LayerData:
    from napari_sam3.imports import open_labels
    from napari_sam3.imports.file_label_stack import FileLabelStack
    from napari_sam3.plugin.layers.features_table import OBJECTS, make_features

    labels = open_labels(path)
    facts = labels.facts
    seconds = None if facts is None else _time_step(facts)
    size, unit = (1.0, 1.0), "pixel"
    if facts is not None and facts.pixel_size is not None and facts.unit is not None:
        size, unit = facts.pixel_size, facts.unit
    arguments: dict[str, Any] = {
        "name": path.name.split(".")[0],
        "axis_labels": ("t", "y", "x"),
        "scale": (seconds or 1.0, *size),
        "units": ("second" if seconds else "pixel", unit, unit),
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
        return any(f.name.endswith("_track.txt") for f in files) or _is_palette_folder(files)
    if path.suffix.lower() != ".json" or not path.is_file():
        return False
    with path.open(encoding="utf-8") as file:
        head = file.read(_SNIFFED)
    return any(f'"{key}"' in head for key in ("images", "videos", "annotations"))


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
