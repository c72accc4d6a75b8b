"""DAVIS: a folder of PNG with a palette, a frame each."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from napari_sam3.errors import VideoError
from napari_sam3.export.base import (
    ResultWriter,
    check_replaceable,
    label_shape,
    replacing_folder,
    write_all,
)
from napari_sam3.export.spool import LabelSpool
from napari_sam3.labels.notes import ObjectNote
from napari_sam3.video.video_facts import VideoFacts

MOST_OBJECTS = 255
OWN_NAMES = r"\d{5,}\.png"


class DavisWriter(ResultWriter):
    """Writes 00000.png, 00001.png, ... for all frames of the video, indexed, 0 is background.

    The palette is that of DAVIS (and PASCAL VOC), so that the pictures show their objects in
    colour. The folder is put in place as a whole, and replaces an earlier one; one that holds
    anything else is refused.

    Parameters
    ----------
    path : path-like
        The folder.
    shape : (T, H, W)
        Of the video.
    facts : VideoFacts, optional
        Of the video, to be written beside the folder.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        shape: tuple[int, int, int],
        *,
        facts: VideoFacts | None = None,
    ) -> None:
        super().__init__(path, shape, facts=facts)
        check_replaceable(self.path, OWN_NAMES)
        self._spool = LabelSpool(self.path.absolute().parent, shape[1:])

    def _add(self, frame_index: int, labels: NDArray[Any], notes: Mapping[int, ObjectNote]) -> None:
        least, greatest = int(labels.min()), int(labels.max())
        if least < 0 or greatest > MOST_OBJECTS:
            raise VideoError(
                f"label {least if least < 0 else greatest} does not fit into DAVIS's pictures "
                f"(0..{MOST_OBJECTS}); write another format, or renumber the objects from 1"
            )
        self._spool.put(frame_index, labels)

    def _finish(self) -> None:
        palette = voc_palette().ravel().tolist()
        digits = max(5, len(str(self.shape[0] - 1)))
        with replacing_folder(self.path, OWN_NAMES) as folder:
            for frame_index in range(self.shape[0]):
                picture = Image.fromarray(self._spool.get(frame_index).astype(np.uint8))
                picture.putpalette(palette)
                picture.save(folder / f"{frame_index:0{digits}d}.png")

    def _release(self) -> None:
        self._spool.close()


def voc_palette() -> NDArray[np.uint8]:
    """The 256 colours of PASCAL VOC, (256, 3): the bits of the index, dealt out from the top."""
    index = np.arange(256)
    colors = np.zeros((256, 3), np.uint8)
    for bit in range(8):
        for channel in range(3):
            colors[:, channel] |= (((index >> channel) & 1) << (7 - bit)).astype(np.uint8)
        index >>= 3
    return colors


def export_davis(
    folder: str | os.PathLike[str], labels: Any, *, facts: VideoFacts | None = None
) -> None:
    """Write a whole (T, H, W) label array as a DAVIS folder (see `DavisWriter`).

    Raises
    ------
    VideoError
        If it can't be written, or a label is above 255.
    ValueError
        If `labels` has another shape or type.
    """
    write_all(DavisWriter(folder, label_shape(labels), facts=facts), labels)
