"""DAVIS: a folder of PNG with a palette, a frame each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from napari_sam3.errors import VideoError
from napari_sam3.export.whole_folder import folder_written_whole
from napari_sam3.export.writer import LabelWriter, PathLike, label_shape, write_all
from napari_sam3.labels.object_notes import ObjectNote
from napari_sam3.video.video_facts import VideoFacts

MOST_OBJECTS = 255


class DavisWriter(LabelWriter):
    """Writes 00000.png, 00001.png, ... for all frames of the video, indexed, 0 is background.

    The palette is that of DAVIS (and PASCAL VOC), so that the pictures show their objects in
    colour. The folder is put in place as a whole, and replaces an earlier one; one that holds
    anything else is refused.

    Parameters are those of `ResultWriter`.
    """

    own_names = r"\d{5,}\.png"

    def _add(self, frame_index: int, labels: NDArray[Any], notes: Mapping[int, ObjectNote]) -> None:
        least, greatest = int(labels.min()), int(labels.max())
        if least < 0 or greatest > MOST_OBJECTS:
            raise VideoError(
                f"label {least if least < 0 else greatest} does not fit into DAVIS's pictures "
                f"(0..{MOST_OBJECTS}); write another format, or renumber the objects from 1"
            )
        super()._add(frame_index, labels, notes)

    def _finish(self) -> None:
        palette = voc_palette().ravel().tolist()
        digits = max(5, len(str(self.shape[0] - 1)))
        with folder_written_whole(self.path, self.own_names) as folder:
            for frame_index in range(self.shape[0]):
                picture = Image.fromarray(self._frames.get(frame_index).astype(np.uint8))
                picture.putpalette(palette)
                picture.save(folder / f"{frame_index:0{digits}d}.png")


def voc_palette() -> NDArray[np.uint8]:
    """The 256 colours of PASCAL VOC, (256, 3): the bits of the index, dealt out from the top."""
    index = np.arange(256)
    colors = np.zeros((256, 3), np.uint8)
    for bit in range(8):
        for channel in range(3):
            colors[:, channel] |= (((index >> channel) & 1) << (7 - bit)).astype(np.uint8)
        index >>= 3
    return colors


def export_davis(folder: PathLike, labels: Any, *, facts: VideoFacts | None = None) -> None:
    """Write a whole (T, H, W) label array as a DAVIS folder (see `DavisWriter`).

    Raises
    ------
    VideoError
        If it can't be written, or a label is above 255.
    ValueError
        If `labels` has another shape or type.
    """
    write_all(DavisWriter(folder, label_shape(labels), facts=facts), labels)
