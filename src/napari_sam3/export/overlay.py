"""Overlay film: the video with its objects coloured, outlined and numbered."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_sam3.export.colors import label_colors, outline_colors
from napari_sam3.export.writer import LabelWriter, PathLike, label_shape, write_all
from napari_sam3.labels.measures import measure_labels
from napari_sam3.labels.objects import ObjectTable
from napari_sam3.values import Frames
from napari_sam3.video.video_facts import VideoFacts

OPACITY = 0.5
UNKNOWN_FPS = 10.0
"""Frames a second of the film, where the video does not say."""

Progress = Callable[[int, int], None]


def draw_overlay(
    rgb: NDArray[np.uint8],
    labels: NDArray[Any],
    *,
    opacity: float = OPACITY,
    with_ids: bool = True,
    chosen_colors: Mapping[int, str] | None = None,
) -> NDArray[np.uint8]:
    """Draw objects over a frame.

    Parameters
    ----------
    rgb : (H, W, 3) uint8
        The frame; not changed.
    labels : (H, W) integer array
        0 is background.
    opacity : float
        Of the colour inside an outline, 0..1.
    with_ids : bool
        Write the id in the middle of each object.
    chosen_colors : mapping of id to "#rrggbb", optional
        Colours that are not those of the ids (`ObjectTable.colors`).

    Returns
    -------
    (H, W, 3) uint8 ndarray
    """
    drawn = rgb.copy()
    inside = labels != 0
    if not inside.any():
        return drawn
    chosen = chosen_colors or {}
    colors = label_colors(labels[inside], chosen).astype(np.float32)
    drawn[inside] = (opacity * colors + (1 - opacity) * rgb[inside]).round().astype(np.uint8)
    edge = _edges(labels, max(1, round(min(labels.shape) / 480)))
    drawn[edge] = outline_colors(labels[edge], chosen)
    if with_ids:
        _write_ids(drawn, labels)
    return drawn


def _edges(labels: NDArray[Any], width: int) -> NDArray[np.bool_]:
    """Pixels of an object within `width` px of another object or of the background."""
    edge = np.zeros(labels.shape, bool)
    down, right = labels[1:] != labels[:-1], labels[:, 1:] != labels[:, :-1]
    edge[1:] |= down
    edge[:-1] |= down
    edge[:, 1:] |= right
    edge[:, :-1] |= right
    if width > 1:
        square = np.ones((2 * width - 1, 2 * width - 1), np.uint8)
        edge = np.asarray(cv2.dilate(edge.astype(np.uint8), square), bool)
    inside: NDArray[np.bool_] = labels != 0
    return edge & inside


def _write_ids(drawn: NDArray[np.uint8], labels: NDArray[Any]) -> None:
    """White on black rims, readable on any colour; whole inside the picture."""
    height, width = labels.shape
    scale = max(0.4, min(height, width) / 1000)
    stroke = max(1, round(scale * 1.6))
    for measure in measure_labels(labels, 0):
        text = str(measure.obj_id)
        (wide, high), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, stroke)
        x = int(np.clip(measure.centroid_xy[0] - wide / 2, 1, max(1, width - wide - 1)))
        y = int(np.clip(measure.centroid_xy[1] + high / 2, high + 1, max(high + 1, height - 2)))
        for color, thickness in (((0, 0, 0), stroke + 2), ((255, 255, 255), stroke)):
            cv2.putText(
                drawn,
                text,
                (x, y),
                cv2.FONT_HERSHEY_SIMPLEX,
                scale,
                color,
                thickness,
                cv2.LINE_AA,
            )


class OverlayWriter(LabelWriter):
    """Writes an H.264 MP4 of the frames from the first to the last that came.

    Masks are kept on disk until `close`, which reads the video and encodes: frames may come in
    any order. Those between that never came are shown plain.

    Parameters
    ----------
    path : path-like
        Where to write.
    frames : Frames
        The video as 8-bit RGB.
    fps : float, optional
        Frames a second.
    timestamps : (T,) array, optional
        When each frame is shown, s; then the film keeps the video's own times.
    facts : VideoFacts, optional
        Of the video, to be written beside the film.
    objects : ObjectTable, optional
        Whose colours are taken.
    sound : path-like, optional
        The video file, to keep its sound; one that has none is no error.
    on_progress : callable, optional
        Called at `close` for each frame with (frames written, frames to write).
    """

    tells_frames = True  # there is nothing to be read back
    takes_all_frames = True

    def __init__(
        self,
        path: PathLike,
        frames: Frames,
        *,
        fps: float | None = None,
        timestamps: ArrayLike | None = None,
        facts: VideoFacts | None = None,
        objects: ObjectTable | None = None,
        sound: PathLike | None = None,
        on_progress: Progress | None = None,
    ) -> None:
        super().__init__(path, (len(frames), *frames.size), facts=facts, objects=objects)
        self._video = frames
        self._fps = fps or UNKNOWN_FPS
        self._times = None if timestamps is None else np.asarray(timestamps, float)
        self._sound = None if sound is None else Path(sound).expanduser()
        self._on_progress = on_progress

    def _finish(self) -> None:
        from napari_sam3.video.video_writer import VideoWriter

        if not self._frames.frames:
            return  # a film has at least one frame
        first, last = self._frames.frames[0], self._frames.frames[-1]
        with VideoWriter(self.path, self._fps, sound=self._open_sound(first, last)) as writer:
            for frame_index in range(first, last + 1):
                picture = draw_overlay(
                    self._video[frame_index],
                    self._frames.get(frame_index),
                    chosen_colors=self._objects.colors,
                )
                time = None
                if self._times is not None:
                    time = float(self._times[frame_index] - self._times[first])
                writer.write(picture, time)
                if self._on_progress is not None:
                    self._on_progress(frame_index - first + 1, last + 1 - first)

    def _open_sound(self, first: int, last: int) -> Any:
        """The sound from the beginning of the first frame to the end of the last one."""
        from napari_sam3.video.audio_track import AudioTrack

        if self._sound is None:
            return None
        times = np.arange(self.shape[0]) / self._fps if self._times is None else self._times
        return AudioTrack(self._sound, float(times[first]), float(times[last] + 1 / self._fps))


def export_overlay(
    path: PathLike,
    labels: Any,
    frames: Frames,
    *,
    fps: float | None = None,
    timestamps: ArrayLike | None = None,
    facts: VideoFacts | None = None,
    sound: PathLike | None = None,
) -> None:
    """Write a whole (T, H, W) label array over its video as MP4 (see `OverlayWriter`).

    Raises
    ------
    VideoError
        If it can't be written.
    ValueError
        If `labels` and `frames` differ in shape.
    """
    shape, expected = label_shape(labels), (len(frames), *frames.size)
    if shape != expected:
        raise ValueError(f"labels have shape {shape}, but the video {expected}")
    options: dict[str, Any] = {"timestamps": timestamps, "facts": facts, "sound": sound}
    write_all(OverlayWriter(path, frames, fps=fps, **options), labels)
