"""A folder of PNG label frames, numbered by frame."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from napari_sam3.export.sidecar import OWN
from napari_sam3.export.whole_folder import ANYTHING, folder_written_whole
from napari_sam3.export.writer import LabelWriter, exporter

FRAMES = r"[0-9]{5,}\.png"


class LabelPngWriter(LabelWriter):
    """Writes one PNG a frame, named by its 0-based number: 00000.png, 00001.png, ...

    All are of 8 bits, or of 16 where there is a label above 255. A frame that never comes has no
    picture. Each picture says in a text, under "napari-sam3", which frame it is of how many. They
    are put in place together, and replace earlier ones; other files in the folder stay.

    Parameters are those of `ResultWriter`.
    """

    own_names = ANYTHING
    highest_id = int(np.iinfo(np.uint16).max)
    tells_frames = True

    def _finish(self) -> None:
        digits = max(5, len(str(self.shape[0] - 1)))
        keeps_others = self.own_names == ANYTHING
        with folder_written_whole(self.path, FRAMES, keeps_others=keeps_others) as folder:
            for frame_index in self._frames_to_write():
                picture = self._draw(self._frames.get(frame_index))
                said = PngInfo()
                said.add_text(OWN, f"frame {frame_index} of {self.shape[0]}")
                place = folder / f"{frame_index:0{digits}d}.png"
                picture.save(place, compress_level=1, pnginfo=said)

    def _frames_to_write(self) -> list[int]:
        return self.processed

    def _draw(self, labels: NDArray[Any]) -> Image.Image:
        is_small = self._frames.greatest <= np.iinfo(np.uint8).max
        return Image.fromarray(labels.astype(np.uint8 if is_small else np.uint16))


export_labels_png = exporter(LabelPngWriter)
