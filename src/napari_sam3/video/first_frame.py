"""The first frame of a file, to be looked at while the file is still being looked through."""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn

from napari_sam3.errors import VideoError
from napari_sam3.video.base import Frame, Video
from napari_sam3.video.decoder import Decoder
from napari_sam3.video.demuxer import choose_stream, declared_rate, open_container
from napari_sam3.video.frame_format import FrameFormat, coded_format
from napari_sam3.video.probe import DecodedStart


class FirstFrame(Video):
    """A video of one frame, standing for one whose number of frames is not known yet.

    It is for looking at: whoever wants to compute with it is told to wait.

    Parameters
    ----------
    path : Path
        A video file.

    Raises
    ------
    VideoError
        If the file can't be opened, or its beginning can't be decoded.
    """

    def __init__(self, path: Path) -> None:
        container = open_container(path)
        try:
            stream = choose_stream(container, path)
            rate = declared_rate(stream)
            codec, coded = stream.codec_context.name, coded_format(stream.codec_context)
            start = DecodedStart.decode(Decoder(path, stream.index, "pts", container=container), 1)
        finally:
            container.close()
        if not start.frames:
            raise VideoError(
                f"the first frame of {str(path)!r} can't be decoded: the file is damaged or "
                "incomplete; get a whole copy of it"
            )
        frame_format = FrameFormat.of(start.frames[0], codec, coded)
        self._frame = frame_format.convert(start.frames[0])
        super().__init__((1, *frame_format.shape), frame_format.dtype, path=path, fps=rate)

    def _read(self, frame_index: int) -> Frame:
        return self._frame.copy()

    @property
    def original(self) -> NoReturn:
        """There is none yet."""
        raise self._too_soon()

    def reopen(self) -> NoReturn:
        """Not possible before the file was looked through."""
        raise self._too_soon()

    def _too_soon(self) -> VideoError:
        return VideoError(
            f"{self._name} is still being looked through, only its first frame is known; wait "
            "until the slider of time is there"
        )
