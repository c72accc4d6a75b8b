"""All formats by name, and one way to open a writer of any of them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_sam3.errors import RequestError
from napari_sam3.labels.objects import ObjectTable

if TYPE_CHECKING:
    from napari_sam3.export.pictures import FramePictures, Kind
    from napari_sam3.export.writer import ResultWriter
    from napari_sam3.values import Frames
    from napari_sam3.video import Video
    from napari_sam3.video.video_facts import VideoFacts


@dataclass(frozen=True, eq=False, kw_only=True)
class Scene:
    """What there is to write beside the masks.

    Attributes
    ----------
    shape : (T, H, W)
        Of the video.
    facts : VideoFacts or None
        Of the video: content hash, times and scale.
    video : Video or None
        For intensities and the film's sound.
    frames : Frames or None
        The video as 8-bit RGB, for the film and for pictures of the frames.
    objects : ObjectTable
        Names, classes and divisions. It may be filled until the writers are closed.
    sound : path-like or None
        The video's file or folder, for the film's sound, and so that pictures which are frames of
        the video are not written over; by default that of `video`.
    on_progress : callable or None
        Called with (frames written, frames to write) while the film or pictures are made.
    images : "jpg", "png" or None
        Pictures of the frames that are written beside the formats which name some; with either,
        the frames themselves are written into OME-Zarr. None for none.
    """

    shape: tuple[int, int, int]
    facts: VideoFacts | None = None
    video: Video | None = None
    frames: Frames | None = None
    objects: ObjectTable = field(default_factory=ObjectTable)
    sound: str | os.PathLike[str] | None = None
    on_progress: Callable[[int, int], None] | None = None
    images: Kind | None = None

    @property
    def copied_video(self) -> Video | None:
        """The video, where its frames are to be written too."""
        return None if self.images is None or self.video is None else self.video.original

    @cached_property
    def pictures(self) -> FramePictures:
        """The frames' pictures: one set, for all formats of a folder."""
        from napari_sam3.export.pictures import FramePictures
        from napari_sam3.video.video_facts import VideoFacts

        path = None if self.video is None else self.video.original.path
        if path is None and self.sound is not None:
            path = Path(self.sound)
        return FramePictures(
            self.facts or VideoFacts(*self.shape),
            self.frames,
            self.images,
            home=None if path is None else path.absolute().parent,
            on_progress=self.on_progress,
        )


@dataclass(frozen=True)
class Format:
    """A format of results.

    Attributes
    ----------
    target : str
        The usual name of its file, or of its folder, which ends in a slash.
    summary : str
        What it is, in a few words.
    home : str
        Module and class of the writer.
    takes : tuple of str
        What the writer takes of a `Scene`, beside what all take.
    options : mapping
        What else it is given.
    needs_video : bool
        Whether it can't be written without the video.
    keeps : tuple of str
        What of `KEPT` comes out of it again, under the object's id.
    library : str
        A module that is not installed with this package and that the writer can't do without.
    """

    target: str
    summary: str
    home: str
    takes: tuple[str, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    needs_video: bool = False
    keeps: tuple[str, ...] = ()
    library: str = ""

    @property
    def takes_frames(self) -> bool:
        """Whether the frames can go along, as pictures or as they are."""
        return not {"pictures", "copied_video"}.isdisjoint(self.takes)


KEPT = ("masks", "names", "classes", "lineage", "scores", "colours")
"""What a format may keep of the results, in words for people; sources go into the table alone."""

_ALL_SAID = ("names", "classes", "lineage", "scores")

FORMATS: Mapping[str, Format] = {
    "tiff": Format(
        "labels.tif", "label stack for Fiji and napari", "tiff:LabelTiffWriter", keeps=("masks",)
    ),
    "png": Format("labels/", "a label picture a frame", "png:LabelPngWriter", keeps=("masks",)),
    "overlay": Format(
        "overlay.mp4",
        "film with coloured objects",
        "overlay:OverlayWriter",
        needs_video=True,
        keeps=("colours",),
    ),
    "csv": Format(
        "objects.csv", "table of measures", "csv_table:TableWriter", ("video",), keeps=_ALL_SAID
    ),
    "coco": Format(
        "coco.json",
        "COCO, run lengths",
        "coco:CocoWriter",
        ("pictures",),
        keeps=("masks", *_ALL_SAID),
    ),
    "coco-polygons": Format(
        "coco-polygons.json",
        "COCO, polygons",
        "coco:CocoWriter",
        ("pictures",),
        options={"segmentation": "polygon"},
        keeps=("masks", *_ALL_SAID),
    ),
    "ytvis": Format(
        "ytvis.json",
        "YouTube-VIS",
        "youtube_vis:YoutubeVisWriter",
        ("pictures",),
        keeps=("masks", *_ALL_SAID),
    ),
    "yolo": Format(
        "yolo/", "YOLO segmentation", "yolo:YoloWriter", ("pictures",), keeps=("masks", "classes")
    ),
    "cvat": Format(
        "cvat.xml",
        "CVAT for video, XML",
        "cvat:CvatWriter",
        keeps=("masks", "names", "classes", "lineage"),
    ),
    "labelme": Format(
        "labelme/",
        "LabelMe",
        "labelme:LabelmeWriter",
        ("pictures",),
        keeps=("masks", *_ALL_SAID),
    ),
    "label-studio": Format(
        "label-studio.json",
        "Label Studio",
        "label_studio:LabelStudioWriter",
        ("pictures",),
        keeps=("masks", *_ALL_SAID),
    ),
    "trackmate": Format(
        "trackmate.xml",
        "TrackMate, spots and tracks",
        "trackmate:TrackMateWriter",
        keeps=("masks", "names", "lineage", "scores"),
    ),
    "imagej": Format(
        "rois.zip",
        "regions for ImageJ",
        "imagej_rois:ImageJRoiWriter",
        keeps=("masks", "colours"),
    ),
    "ctc": Format(
        "01_RES/", "Cell Tracking Challenge", "ctc:CtcWriter", keeps=("masks", "lineage")
    ),
    "mot": Format("mot.txt", "MOTChallenge boxes", "mot:MotWriter", keeps=("scores",)),
    "davis": Format("davis/", "DAVIS palette PNG", "davis:DavisWriter", keeps=("masks",)),
    "ome-zarr": Format(
        "labels.ome.zarr/",
        "OME-Zarr 0.5 labels",
        "ome_zarr:OmeZarrWriter",
        ("copied_video", "on_progress"),
        keeps=("masks", "names", "classes", "lineage", "colours"),
    ),
    "ome-zarr-0.4": Format(
        "labels-v04.ome.zarr/",
        "OME-Zarr 0.4 labels",
        "ome_zarr:OmeZarrWriter",
        ("copied_video", "on_progress"),
        options={"version": "0.4"},
        keeps=("masks", "names", "classes", "lineage", "colours"),
    ),
    "geff": Format(
        "tracks.geff/", "graph of tracks", "geff:GeffWriter", keeps=_ALL_SAID, library="geff"
    ),
}
"""By name. Nothing is imported before a writer is opened."""

ALL = "all"
"""Said instead of a name: every format that can be written."""


_ENDINGS = {
    ".tif": "tiff",
    ".tiff": "tiff",
    ".mp4": "overlay",
    ".csv": "csv",
    ".json": "coco",
    ".txt": "mot",
    ".zarr": "ome-zarr",
    ".geff": "geff",
    ".xml": "trackmate",
    ".zip": "imagej",
}


def choose_format(path: str | os.PathLike[str], name: str | None = None) -> str:
    """The format named; where none is named, the one that a path asks for.

    By its name, where it is that which the format makes (`ytvis.json`, `davis`); for a Cell
    Tracking Challenge folder by `_RES` or `_GT` at its end; else by its ending, `.json` being COCO.

    Raises
    ------
    RequestError
        If there is no such format, or the path asks for none.
    """
    if name is not None:
        if name not in FORMATS:
            raise RequestError(
                f"there is no format {name!r}; choose from {', '.join(FORMATS)}, or {ALL}"
            )
        return name
    place = Path(path)
    for name, kind in FORMATS.items():
        if place.name == kind.target.rstrip("/"):
            return name
    if place.name.upper().endswith(("_RES", "_GT")):
        return "ctc"
    found = _ENDINGS.get(place.suffix.lower())
    if found is None:
        raise RequestError(
            f"{place.name!r} does not say which format is meant; name one of {', '.join(FORMATS)}"
        )
    return found


def expand_formats(names: Iterable[str], *, has_video: bool = True) -> tuple[str, ...]:
    """Put names in the place of "all".

    Parameters
    ----------
    names : iterable of str
        Of `FORMATS`, or "all": then also those whose library is installed and that can do without
        the video, if there is none.
    has_video : bool
        Whether the video is at hand.

    Returns
    -------
    tuple of str
        Each once.

    Raises
    ------
    RequestError
        If there is no format of a name.
    """
    found: list[str] = []
    for name in names:
        if name == ALL:
            found += [
                each
                for each, kind in FORMATS.items()
                if (has_video or not kind.needs_video)
                and (not kind.library or find_spec(kind.library) is not None)
            ]
        else:
            found.append(choose_format("", name))
    return tuple(dict.fromkeys(found))


def open_writer(name: str, path: str | os.PathLike[str], scene: Scene) -> ResultWriter:
    """Open the writer of a format.

    Parameters
    ----------
    name : str
        One of `FORMATS`.
    path : path-like
        Where to write.
    scene : Scene
        What there is to write beside the masks.

    Raises
    ------
    ValueError
        If there is no such format, or it can't be written without the video and `scene` has none.
    VideoError
        If it can't be written there, or its library is missing.
    """
    chosen = FORMATS.get(name)
    if chosen is None:
        raise ValueError(f"there is no format {name!r}; choose from {', '.join(FORMATS)}")
    module, _, writer = chosen.home.partition(":")
    make = getattr(import_module(f"napari_sam3.export.{module}"), writer)
    if chosen.needs_video:
        return _open_overlay(make, path, scene)
    options = {part: getattr(scene, part) for part in ("facts", "objects", *chosen.takes)}
    return make(path, scene.shape, **options, **chosen.options)  # type: ignore[no-any-return]


def _open_overlay(make: Any, path: str | os.PathLike[str], scene: Scene) -> ResultWriter:
    if scene.frames is None:
        raise ValueError("a film of the objects can't be made without the video; name it")
    facts, sound = scene.facts, scene.sound
    if sound is None and scene.video is not None:
        sound = scene.video.original.path
    return make(  # type: ignore[no-any-return]
        path,
        scene.frames,
        fps=None if facts is None else facts.fps,
        timestamps=None if facts is None else facts.timestamps,
        facts=facts,
        objects=scene.objects,
        sound=sound,
        on_progress=scene.on_progress,
    )
