"""DAVIS: a folder of PNG with a palette, a frame each."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from napari_sam3.export.png import FRAMES, LabelPngWriter
from napari_sam3.export.writer import exporter


class DavisWriter(LabelPngWriter):
    """Writes 00000.png, 00001.png, ... for all frames of the video, indexed, 0 is background.

    The palette is that of DAVIS (and PASCAL VOC), so that the pictures show their objects in
    colour. The folder is put in place as a whole, and replaces an earlier one; one that holds
    anything else is refused.

    Parameters are those of `ResultWriter`.
    """

    own_names = FRAMES
    highest_id = 255
    tells_frames = False  # its other readers want a picture of each frame

    def _frames_to_write(self) -> list[int]:
        return list(range(self.shape[0]))

    def _draw(self, labels: NDArray[Any]) -> Image.Image:
        picture = Image.fromarray(labels.astype(np.uint8))
        picture.putpalette(voc_palette().ravel().tolist())
        return picture


def voc_palette() -> NDArray[np.uint8]:
    """The 256 colours of PASCAL VOC, (256, 3): the bits of the index, dealt out from the top."""
    index = np.arange(256)
    colors = np.zeros((256, 3), np.uint8)
    for bit in range(8):
        for channel in range(3):
            colors[:, channel] |= (((index >> channel) & 1) << (7 - bit)).astype(np.uint8)
        index >>= 3
    return colors


export_davis = exporter(DavisWriter)
