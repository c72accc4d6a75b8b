"""Video readers behind one face, for `video_access.py`: open a path, then `reader[i]` is RGB.

Each with the settings that suit it best; the exact mode where it has one. Packages that are not
there are left out.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

OURS = "napari-sam3"
PROXY = "napari-sam3, proxy"


class Indexed:
    """A reader's own object and how to get a frame from it; `close` where there is one."""

    def __init__(self, source: Any, get: Callable[[int], np.ndarray]) -> None:
        self._source = source
        self._get = get

    def __getitem__(self, number: int) -> np.ndarray:
        return self._get(number)

    def close(self) -> None:
        close = getattr(self._source, "close", None) or getattr(self._source, "release", None)
        if close is not None:
            close()


def open_ours(path: Path) -> Indexed:
    from napari_sam3.video import open_video

    video = open_video(path)
    return Indexed(video, video.frame)


def open_proxy(path: Path) -> Indexed:
    from napari_sam3.video import open_video
    from napari_sam3.video.proxy import make_proxy, show_proxy

    video = open_video(path)
    make_proxy(video)
    shown = show_proxy(video)
    return Indexed(shown, shown.frame)


def open_opencv(path: Path) -> Indexed:
    import cv2

    capture = cv2.VideoCapture(str(path))

    def get(number: int) -> np.ndarray:
        if int(capture.get(cv2.CAP_PROP_POS_FRAMES)) != number:
            capture.set(cv2.CAP_PROP_POS_FRAMES, number)
        return cv2.cvtColor(capture.read()[1], cv2.COLOR_BGR2RGB)

    return Indexed(capture, get)


def open_decord(path: Path) -> Indexed:
    import decord

    reader = decord.VideoReader(str(path))
    return Indexed(reader, lambda number: reader[number].asnumpy())


def open_torchcodec(path: Path) -> Indexed:
    from torchcodec.decoders import VideoDecoder

    reader = VideoDecoder(
        str(path),
        seek_mode="exact",
        dimension_order="NHWC",
        num_ffmpeg_threads=os.cpu_count() or 1,
    )
    return Indexed(reader, lambda number: reader[number].numpy())


def open_imageio(path: Path) -> Indexed:
    import imageio.v2 as imageio

    reader = imageio.get_reader(str(path), "ffmpeg")
    return Indexed(reader, lambda number: np.asarray(reader.get_data(number)))


def open_pims(path: Path) -> Indexed:
    import pims

    reader = pims.PyAVReaderIndexed(str(path))
    return Indexed(reader, lambda number: np.asarray(reader[number]))


def open_napari_video(path: Path) -> Indexed:
    from napari_video.napari_video import VideoReaderNP

    reader = VideoReaderNP(str(path))
    return Indexed(reader, reader.__getitem__)


def open_napari_pyav(path: Path) -> Indexed:
    from napari_pyav._reader import FastVideoReader

    warnings.simplefilter("ignore")
    reader = FastVideoReader(str(path))
    return Indexed(reader, reader.read_frame)


def open_video_reader_rs(path: Path) -> Indexed:
    from video_reader import PyVideoReader

    reader = PyVideoReader(str(path))
    return Indexed(reader, lambda number: reader.get_batch([number])[0])


READERS: dict[str, tuple[str, Callable[[Path], Indexed]]] = {
    OURS: ("napari_sam3", open_ours),
    "opencv": ("cv2", open_opencv),
    "decord": ("decord", open_decord),
    "torchcodec": ("torchcodec", open_torchcodec),
    "imageio (ffmpeg)": ("imageio_ffmpeg", open_imageio),
    "pims": ("pims", open_pims),
    "napari-video": ("napari_video", open_napari_video),
    "napari-pyav": ("napari_pyav", open_napari_pyav),
    "video-reader-rs": ("video_reader", open_video_reader_rs),
    PROXY: ("napari_sam3", open_proxy),
}
"""Name to the module it needs, and how to open a file with it."""


def find_missing() -> list[str]:
    """Readers whose package is not installed."""
    return [name for name, (module, _) in READERS.items() if find_spec(module) is None]
