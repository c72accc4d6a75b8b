"""Layers to files, for napari's File > Save: thin callers of `napari_sam3.export`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from napari_sam3.export.pictures import Kind
    from napari_sam3.labels.label_stack import LabelStack
    from napari_sam3.labels.object_notes import ObjectNote
    from napari_sam3.plugin.layers.stack_axes import StackAxes
    from napari_sam3.video.video_facts import VideoFacts

Tell = Callable[[int, int], None]
"""Called with the number of frames done and of all."""

LayerData = tuple[Any, dict[str, Any], str]

MOST_HASHED = 4 * 2**30
"""Bytes; the content hash of a larger video is left out of what is saved from the window."""


def _writer(name: str, what: str) -> Callable[[str, Any, dict[str, Any]], list[str]]:
    def write(path: str, data: Any, attributes: dict[str, Any]) -> list[str]:
        return _write(name, path, data, attributes)

    write.__doc__ = f"""Save labels as {what}, with what the layer tells of units and objects.

    Parameters
    ----------
    path : str
        Where to write.
    data : (T, H, W) or (H, W) integer array-like
        Read frame by frame.
    attributes : dict
        Of the layer.

    Returns
    -------
    list of str
        What was written.

    Raises
    ------
    VideoError
        If it can't be written.
    LayerError
        If the labels are no stack of frames.
    """
    return write


# as the manifest names them
write_label_tiff = _writer("tiff", "one TIFF")
write_label_folder = _writer("png", "a folder of PNG, one a frame")
write_table = _writer("csv", "a CSV of the objects on each frame")
write_coco = _writer("coco", "COCO JSON with run lengths")
write_coco_polygons = _writer("coco-polygons", "COCO JSON with polygons")
write_youtube_vis = _writer("ytvis", "YouTube-VIS JSON")
write_ctc = _writer("ctc", "a Cell Tracking Challenge folder")
write_mot = _writer("mot", "a MOTChallenge CSV")
write_davis = _writer("davis", "a DAVIS folder")
write_ome_zarr = _writer("ome-zarr", "OME-Zarr labels")
write_ome_zarr_04 = _writer("ome-zarr-0.4", "OME-Zarr labels of version 0.4")
write_geff = _writer("geff", "tracks in GEFF")
write_yolo = _writer("yolo", "YOLO's data set for segmentation")
write_cvat = _writer("cvat", "CVAT's XML of a video")
write_labelme = _writer("labelme", "a LabelMe folder")
write_label_studio = _writer("label-studio", "Label Studio JSON")
write_trackmate = _writer("trackmate", "TrackMate's spots and tracks")
write_imagej_rois = _writer("imagej", "regions for ImageJ")


def _write(name: str, path: str, data: Any, attributes: dict[str, Any]) -> list[str]:
    from napari_sam3.export import Scene, open_writer
    from napari_sam3.export.writer import label_shape, write_all
    from napari_sam3.plugin.io.save_in_background import save_apart
    from napari_sam3.plugin.layers.features_table import known_objects
    from napari_sam3.plugin.layers.label_planes import frames_of

    labels = frames_of(data)
    shape = label_shape(labels)

    def write(tell: Tell) -> None:
        facts = _facts_of(shape, attributes)
        scene = Scene(shape=shape, facts=facts, objects=known_objects(attributes))
        write_all(open_writer(name, path, scene), labels, on_progress=tell)

    save_apart(path, write)
    return [path]


def write_overlay(path: str, layers: list[LayerData]) -> list[str]:
    """Save an MP4 of an image layer with the labels that lie on it, and the video's sound.

    Parameters
    ----------
    path : str
        Where to write.
    layers : list of layer data
        An image and a labels layer, in any order, of any place and scale.

    Returns
    -------
    list of str
        What was written.

    Raises
    ------
    VideoError
        If it can't be written.
    LayerError
        If the image layer can't be used as a video.
    """
    return _write_with_video("overlay", path, layers)


def write_table_with_video(path: str, layers: list[LayerData]) -> list[str]:
    """Save a CSV of the objects with their mean intensities; parameters as for `write_overlay`."""
    return _write_with_video("csv", path, layers)


def write_results(
    name: str,
    path: str,
    image: Any,
    labels: Any,
    axes: StackAxes | None = None,
    images: Kind | None = None,
) -> list[str]:
    """Save a labels layer in a format, with what it takes of the video; as from napari's menu.

    Parameters
    ----------
    name : str
        Of `napari_sam3.export.registry.FORMATS`.
    path : str
        Where to write.
    image, labels : napari Image and Labels layer
        The video, and what lies on it.
    axes : StackAxes, optional
        How the video is read; guessed if left out.
    images : "jpg" or "png", optional
        Have the frames go along, for formats that can.

    Returns
    -------
    list of str
        What was written.

    Raises
    ------
    VideoError
        If it can't be written.
    LayerError
        If the layers can't be used so.
    """
    drawn = labels.as_layer_data_tuple()
    if name in ("overlay", "csv") or images is not None:
        return _write_with_video(name, path, [image.as_layer_data_tuple(), drawn], axes, images)
    return _write(name, path, drawn[0], drawn[1])


def _write_with_video(
    name: str,
    path: str,
    layers: list[LayerData],
    axes: StackAxes | None = None,
    images: Kind | None = None,
) -> list[str]:
    from napari.layers import Layer

    from napari_sam3.export import Scene, open_writer
    from napari_sam3.export.writer import write_all
    from napari_sam3.plugin.io.save_in_background import save_apart
    from napari_sam3.plugin.layers.features_table import known_objects
    from napari_sam3.plugin.layers.stack_axes import guess_axes, layer_video, video_contrast_limits
    from napari_sam3.session.frames import RgbFrames

    made = {kind: Layer.create(data, attributes, kind) for data, attributes, kind in layers}
    given = {kind: attributes for _, attributes, kind in layers}
    image, labels = made["image"], made["labels"]
    axes = axes or guess_axes(image)
    limits = video_contrast_limits(image)

    def write(tell: Tell) -> None:
        with layer_video(image, axes) as video:
            frames = RgbFrames(video, limits)
            shape = (len(frames), *frames.size)
            place = {"scale": image.scale, "units": image.units}
            known = {"metadata": {**labels.metadata, "video": image.metadata}}
            scene = Scene(
                shape=shape,
                facts=_facts_of(shape, {**place, **known}),
                video=video,
                frames=frames,
                sound=image.metadata.get("path"),
                objects=known_objects(given["labels"]),
                on_progress=tell,
                images=images,
            )
            drawn = _LabelsOnVideo(image, axes, labels, shape)
            write_all(open_writer(name, path, scene), drawn, on_progress=tell)

    save_apart(path, write)
    return [path]


class _LabelsOnVideo:
    """(T, H, W) labels as they lie on the pixels of a video layer; one frame at a time."""

    def __init__(self, image: Any, axes: Any, labels: Any, shape: tuple[int, int, int]) -> None:
        self._layers = image, axes, labels
        self.shape = shape
        self.dtype: np.dtype[Any] = np.dtype(labels.dtype)

    def __getitem__(self, frame_index: int) -> NDArray[Any]:
        from napari_sam3.plugin.layers.overlay import labels_on_frame

        return labels_on_frame(*self._layers, frame_index)

    def notes(self, frame_index: int) -> Mapping[int, ObjectNote]:
        """Scores and sources, if the labels are frame by frame those of the video."""
        planes = self._planes()
        return {} if planes is None else planes.notes(frame_index)

    def processed_frames(self) -> NDArray[np.intp]:
        """Frames ever processed, if the labels are frame by frame those of the video; else all."""
        planes = self._planes()
        return np.arange(self.shape[0]) if planes is None else planes.processed_frames()

    def _planes(self) -> LabelStack | None:
        from napari_sam3.labels.label_stack import LabelStack
        from napari_sam3.plugin.layers.label_planes import frames_of

        planes = frames_of(self._layers[2].data)
        is_same = isinstance(planes, LabelStack) and planes.shape[0] == self.shape[0]
        return planes if is_same else None


def _facts_of(shape: tuple[int, int, int], attributes: dict[str, Any]) -> VideoFacts | None:
    """What a layer tells of its video; None if that is nothing.

    Its units count first: a person may have set them. Then come the facts that were read with the
    labels, or what the layer of the video knew.
    """
    from napari_sam3.video.content_hash import hash_content
    from napari_sam3.video.folder_contents import is_pattern
    from napari_sam3.video.video_facts import VideoFacts

    metadata = attributes.get("metadata") or {}
    known, video = metadata.get("video_facts"), metadata.get("video") or {}
    if not isinstance(known, VideoFacts) or known.shape != shape:
        path, times, names = (video.get(key) for key in ("path", "timestamps", "file_names"))
        place = Path(path) if path else None
        if place is not None and not (place.exists() or is_pattern(place)):
            place = None
        known = VideoFacts(
            *shape,
            name=None if place is None else place.name,
            sha256=None if place is None or _is_large(place) else hash_content(place),
            fps=video.get("fps") or None,
            timestamps=tuple(times) if times is not None and len(times) == shape[0] else None,
            file_names=tuple(names) if names is not None and len(names) == shape[0] else None,
        )
    size, interval = _pixel_size_um(attributes), _frame_interval(attributes)
    if size is not None:
        known = replace(known, pixel_size=size, unit="um")
    # a layer's scale is rounded, so that it is no news where it is the rate that is known
    if interval and (known.fps is None or abs(known.fps * interval - 1) > 1e-6):
        times = tuple(interval * n for n in range(shape[0]))
        known = replace(known, fps=1 / interval, timestamps=times)
    return None if known == VideoFacts(*shape) else known


def _is_large(path: Path) -> bool:
    """Whether reading all of a video to hash it would make the window wait for long."""
    from napari_sam3.video.content_hash import count_bytes

    return count_bytes(path) > MOST_HASHED


def _frame_interval(attributes: dict[str, Any]) -> float | None:
    """Seconds from frame to frame, if the layer's time is in a unit of time."""
    units = attributes.get("units")
    if units is None or len(units) < 3 or not units[-3].is_compatible_with("second"):
        return None
    return float((float(attributes["scale"][-3]) * units[-3]).to("second").magnitude)


def _pixel_size_um(attributes: dict[str, Any]) -> tuple[float, float] | None:
    """(y, x) size of a pixel in micrometres, if the layer's picture is in a unit of length."""
    units = attributes.get("units")
    if units is None or not all(unit.is_compatible_with("micrometer") for unit in units[-2:]):
        return None
    sizes = zip(attributes["scale"][-2:], units[-2:], strict=True)
    y, x = (float((float(size) * unit).to("micrometer").magnitude) for size, unit in sizes)
    return y, x
