"""Layers to files, for napari's File > Save: thin callers of `napari_sam3.export`."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sam3.errors import LayerError

LayerData = tuple[Any, dict[str, Any], str]


def write_label_tiff(path: str, data: Any, attributes: dict[str, Any]) -> list[str]:
    """Save labels as one TIFF, with the time and pixel spacing that the layer's units tell.

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
    from napari_sam3.export import export_labels_tiff

    interval = _frame_interval(attributes)
    pixel_size = _pixel_size_um(attributes)
    export_labels_tiff(path, _frames_of(data), frame_interval=interval, pixel_size=pixel_size)
    return [path]


def write_label_folder(path: str, data: Any, attributes: dict[str, Any]) -> list[str]:
    """Save labels as a folder of PNG, one a frame; parameters as for `write_label_tiff`."""
    from napari_sam3.export import export_labels_png

    export_labels_png(path, _frames_of(data))
    return [path]


def write_table(path: str, data: Any, attributes: dict[str, Any]) -> list[str]:
    """Save a CSV of the objects on each frame; parameters as for `write_label_tiff`."""
    from napari_sam3.export import export_table

    labels = _frames_of(data)
    interval = _frame_interval(attributes)
    times = None if interval is None else interval * np.arange(labels.shape[0])
    export_table(path, labels, timestamps=times)
    return [path]


def write_overlay(path: str, layers: list[LayerData]) -> list[str]:
    """Save an MP4 of an image layer with the labels that lie on it.

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
    from napari.layers import Layer

    from napari_sam3.export import export_overlay
    from napari_sam3.plugin.stack import guess_axes, layer_video, video_contrast_limits
    from napari_sam3.session.frames import RgbFrames

    made = {kind: Layer.create(data, attributes, kind) for data, attributes, kind in layers}
    image, labels = made["image"], made["labels"]
    axes = guess_axes(image)
    metadata = image.metadata
    with layer_video(image, axes) as video:
        frames = RgbFrames(video, video_contrast_limits(image))
        times = metadata.get("timestamps")
        export_overlay(
            path,
            _LabelsOnVideo(image, axes, labels, (len(frames), *frames.size)),
            frames,
            fps=metadata.get("fps"),
            timestamps=times if times is not None and len(times) == len(video) else None,
        )
    return [path]


class _LabelsOnVideo:
    """(T, H, W) labels as they lie on the pixels of a video layer; one frame at a time."""

    def __init__(self, image: Any, axes: Any, labels: Any, shape: tuple[int, int, int]) -> None:
        self._layers = image, axes, labels
        self.shape = shape
        self.dtype: np.dtype[Any] = np.dtype(labels.dtype)

    def __getitem__(self, frame_index: int) -> NDArray[Any]:
        from napari_sam3.plugin.overlay import labels_on_frame

        return labels_on_frame(*self._layers, frame_index)


def _frames_of(data: Any) -> Any:
    """Labels as (T, H, W), without reading them."""
    from napari_sam3.plugin.overlay import StackedPlanes

    if isinstance(data, StackedPlanes):
        return data.planes
    if isinstance(data, list | tuple):  # multiscale: the finest level
        data = data[0]
    if data.ndim == 2:
        return np.asarray(data)[None]
    if data.ndim != 3:
        raise LayerError(
            f"the labels have {data.ndim} axes (shape {tuple(data.shape)}); save frames, height "
            "and width alone: choose one index of the other axes, as in labels.data[:, 0]"
        )
    return data


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
