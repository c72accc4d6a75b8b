"""The file behind a video layer, whoever read it: what a project can be made of."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from napari.layers import Image

from napari_sam3.errors import Sam3Error
from napari_sam3.plugin.layers.stack_axes import StackAxes, layer_video
from napari_sam3.plugin.layers.transforms import layer_shape
from napari_sam3.plugin.model.open_project import video_path
from napari_sam3.video import NO_CHOICE, PlaneChoice, Video, open_video
from napari_sam3.video.folder_contents import IMAGE_SUFFIXES
from napari_sam3.video.open import open_channels


@dataclass(frozen=True)
class VideoSource:
    """Where the frames of a layer come from.

    Attributes
    ----------
    path : Path or None
        The file or folder; None if there is none.
    is_readable : bool
        Whether `napari_sam3.video.open_video` finds the same frames there. Else the layer has to
        be opened again as it was, to go on with the work.
    choice : PlaneChoice
        Which channel, depth and scene of it they are.
    channels : tuple of str
        Names that the file has for the channels of a layer that holds several; empty without.
    problem : str
        Why no project can be made of the layer; empty if one can.
    """

    path: Path | None = None
    is_readable: bool = True
    problem: str = ""
    choice: PlaneChoice = NO_CHOICE
    channels: tuple[str, ...] = ()


NO_FILE = VideoSource(
    problem="this layer was not opened from a file, so names, prompts and results are not kept in "
    "a project. Save it (File > Save selected layers, as .tif) and open that file to have them kept"
)


def named_path(image_layer: Image) -> Path | None:
    """The file or folder that a layer says it is from; quick, nothing of it is read."""
    path = video_path(image_layer)
    if path is not None or isinstance(image_layer.data, Video):
        return path
    named = image_layer.source.path
    place = None if named is None else Path(named).expanduser().absolute()
    return place if place is not None and place.exists() else None


def is_from_file(image_layer: Image) -> bool:
    """Whether a layer was read from a file, be it gone by now."""
    return named_path(image_layer) is not None or image_layer.source.path is not None


def find_source(image_layer: Image, axes: StackAxes) -> VideoSource:
    """Look where the frames of a layer come from; reads a few of them, so it is for a thread.

    Of a layer that another reader made, the file that the layer names is opened here too: it
    must show the same frames, by number, size, type and the pixels of three of them. Of several
    pictures read as one stack, which names the first of them alone, the folder is tried as well.
    """
    named = named_path(image_layer)
    if named is None and image_layer.source.path is not None:
        return VideoSource(
            problem=f"the file {image_layer.source.path!r} that this layer was read from is not to "
            "be found; put it back and open it again"
        )
    if named is None:
        return NO_FILE
    if isinstance(image_layer.data, Video):
        return VideoSource(named, choice=image_layer.data.choice)
    for place in _candidates(named):
        if _shows(place, image_layer, axes):
            return VideoSource(place)
    return VideoSource(named, is_readable=False, channels=_channels(named, image_layer, axes))


def _candidates(named: Path) -> Iterator[Path]:
    yield named
    if named.suffix.lower() in IMAGE_SUFFIXES:
        yield named.parent


def _channels(named: Path, image_layer: Image, axes: StackAxes) -> tuple[str, ...]:
    """What the file calls the channels that the layer has."""
    if axes.channel is None:
        return ()
    names: tuple[str, ...] = ()
    try:
        for film in open_channels(named):
            with film:
                names = film.metadata.get("channels", ())
    except (Sam3Error, OSError):  # no video to us
        return ()
    return names if len(names) == layer_shape(image_layer)[axes.channel] else ()


def _shows(place: Path, image_layer: Image, axes: StackAxes) -> bool:
    try:
        with open_video(place) as film, layer_video(image_layer, axes) as shown:
            if film.shape != shown.shape or film.dtype != shown.dtype:
                return False
            frames = sorted({0, len(film) // 2, len(film) - 1})
            return all(np.array_equal(film.frame(i), shown.frame(i)) for i in frames)
    except (Sam3Error, OSError):  # no video to us, or none any more
        return False
