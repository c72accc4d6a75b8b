"""Proxies: copies of videos in which every frame is quickly found, for showing only.

Inside a group of 250 frames any reader takes most of a second to get at a frame. The proxy has the
same frames under the same numbers, a keyframe every few, and lies in the user's cache folder.
Who computes with frames reads the original.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from napari_sam3.cache_folder import cache_folder, make_room
from napari_sam3.errors import VideoError
from napari_sam3.video.base import Frame, Video
from napari_sam3.video.demuxer import identify
from napari_sam3.video.frame_cache import FrameCache
from napari_sam3.video.video_file import VideoFile
from napari_sam3.video.video_writer import VideoWriter
from napari_sam3.whole_files import explain_refusal

KEY_EVERY = 4
"""Frames; so many have to be decoded at most to show one."""

CRF = 24
"""x264's quality; what differs is mostly noise."""

MOST_BYTES = 20 * 2**30
"""All proxies together; the one not shown for longest makes room."""

# time is told by the original: a proxy's frames are numbered, whatever the rate varies like
_FPS = 25.0
_VERSION = 1


def proxy_path(video: Video) -> Path:
    """Where the proxy of a video file is, or would be: its name tells the file's identity.

    Raises
    ------
    VideoError
        If a video of this kind has no proxy, or its file is gone.
    """
    video = video.original
    if not isinstance(video, VideoFile) or video.path is None:
        raise VideoError(
            f"{video!r} can't have a proxy: that is for video files; frames in folders, stacks and "
            "arrays are found at once anyway"
        )
    if not video.is_rgb:
        raise VideoError(
            f"{video.path.name!r} can't have a proxy: it is grey ({video.dtype}), and a proxy "
            "would not keep its values; it is shown as it is"
        )
    place = video.path.resolve()
    n_bytes, changed_ns = identify(place)
    identity = f"{_VERSION}\n{place}\n{n_bytes}\n{changed_ns}"
    digest = hashlib.sha256(os.fsencode(identity)).hexdigest()
    return cache_folder("proxies") / f"{digest[:32]}.mp4"


def write_proxy(video: Video) -> Iterator[int]:
    """Make the proxy of a video file, a frame a step.

    Parameters
    ----------
    video : Video
        Of a file, in colour. It is read through a handle of its own.

    Yields
    ------
    int
        Frames done so far. Closing the iterator before its end leaves nothing behind.

    Raises
    ------
    VideoError
        If it can't have one (see `proxy_path`), or it can't be written.
    """
    path = proxy_path(video)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise VideoError(
            f"{str(path.parent)!r} can't be made ({exc.strerror}); make room there"
        ) from exc
    make_room(path.parent, MOST_BYTES)
    original = video.original
    assert isinstance(original, VideoFile), "proxy_path has looked"
    # a cache of its own: the frames that are being looked at stay where they are
    with (
        original.reopen(cache=FrameCache(0)) as source,
        VideoWriter(path, _FPS, crf=CRF, preset="ultrafast", gop=KEY_EVERY) as writer,
    ):
        for frame_index in range(len(source)):
            writer.write(source.frame(frame_index))
            yield frame_index + 1


def make_proxy(video: Video) -> Path:
    """Make the proxy of a video file, unless it is there; see `write_proxy`."""
    path = proxy_path(video)
    if not path.exists():
        for _ in write_proxy(video):
            pass
    return path


def remove_proxy(video: Video) -> bool:
    """Delete the proxy of a video; False if there was none."""
    path = proxy_path(video)
    try:
        path.unlink()
    except FileNotFoundError:
        return False
    except OSError as exc:
        raise VideoError(f"{str(path)!r} can't be deleted ({explain_refusal(path, exc)})") from exc
    return True


def show_proxy(video: Video) -> Video:
    """Let a video be shown by its proxy, if there is one.

    Parameters
    ----------
    video : Video
        Any.

    Returns
    -------
    Video
        A `ProxyVideo`, to be used in place of `video`, which it closes with itself; `video` where
        there is no (whole) proxy.
    """
    try:
        path = proxy_path(video)
        if isinstance(video, ProxyVideo) or not path.exists():
            return video
        with suppress(OSError):
            # the ones not used make room; before it is opened, for that notes the file's time
            path.touch()
        shown = VideoFile.open(path)
    except VideoError:
        # none for this kind of video, or not readable: as good as none
        return video
    height, width = video.shape[1:3]
    if shown.shape != (len(video), height + height % 2, width + width % 2, 3):
        shown.close()
        return video
    return ProxyVideo(video, shown)


class ProxyVideo(Video):
    """A video that shows its proxy's frames; all else is the original's.

    `original` and `reopen()` give the original. Where the proxy fails, its frames are shown.
    """

    def __init__(self, original: Video, proxy: VideoFile) -> None:
        self._original = original
        self._proxy = proxy
        super().__init__(
            original.shape,
            original.dtype,
            path=original.path,
            fps=original.fps,
            timestamps=original.timestamps,
            metadata={**original.metadata, "is_proxy": True},
        )

    @property
    def original(self) -> Video:
        """The video itself, whose values are true."""
        return self._original

    def reopen(self) -> Video:
        """Open the original once more."""
        return self._original.reopen()

    def _read(self, frame_index: int) -> Frame:
        try:
            frame = self._proxy.frame(frame_index)
        except VideoError:
            # somebody has emptied the cache folder
            return self._original.frame(frame_index)
        height, width = self.shape[1:3]
        return np.ascontiguousarray(frame[:height, :width])

    def decoding_cost(self, frame_index: int) -> int:
        """How many frames of the proxy must be decoded."""
        return self._proxy.decoding_cost(frame_index)

    def _reader(self, step: int) -> Video:
        # who goes through it frame by frame computes with them
        return self._original._reader(step)

    def __reduce__(self) -> Any:
        # whoever carries it elsewhere computes with it
        return self._original.__reduce__()

    def _release(self) -> None:
        self._proxy.close()
        self._original.close()
