"""A folder of PNG label frames, numbered by frame."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from napari_sam3.errors import VideoError
from napari_sam3.export.writer import PathLike, ResultWriter, label_shape, write_all
from napari_sam3.labels.object_notes import ObjectNote
from napari_sam3.video.video_facts import VideoFacts
from napari_sam3.whole_files import written_whole


class LabelPngWriter(ResultWriter):
    """Writes one PNG a frame as it comes, named by its 0-based number: 00000.png, 00001.png, ...

    All files are 8-bit; 16-bit once a label above 255 has come (earlier ones are rewritten).
    A frame that never comes has no file. What was written stays, however the run ends.

    Parameters are those of `ResultWriter`.
    """

    def _prepare(self) -> None:
        self._digits = max(5, len(str(self.shape[0] - 1)))
        self._dtype: type[np.uint8 | np.uint16] = np.uint8
        self._written: set[int] = set()

    def _add(self, frame_index: int, labels: NDArray[Any], notes: Mapping[int, ObjectNote]) -> None:
        least, greatest = int(labels.min()), int(labels.max())
        if least < 0 or greatest > np.iinfo(np.uint16).max:
            wrong = least if least < 0 else greatest
            raise VideoError(
                f"label {wrong} does not fit into a PNG (0..65535); write a TIFF instead"
            )
        if greatest > np.iinfo(self._dtype).max:
            self._dtype = np.uint16
            for earlier in self._written:
                with Image.open(self._name(earlier)) as image:
                    self._save(earlier, np.asarray(image))
        self._save(frame_index, labels)
        self._written.add(frame_index)

    def _name(self, frame_index: int) -> Path:
        return self.path / f"{frame_index:0{self._digits}d}.png"

    def _save(self, frame_index: int, labels: NDArray[Any]) -> None:
        self.path.mkdir(parents=True, exist_ok=True)
        with written_whole(self._name(frame_index)) as part:
            Image.fromarray(labels.astype(self._dtype)).save(part, compress_level=1)

    def _finish(self) -> None:
        """All is written already."""
        self.path.mkdir(parents=True, exist_ok=True)


def export_labels_png(folder: PathLike, labels: Any, *, facts: VideoFacts | None = None) -> None:
    """Write every frame of a (T, H, W) label array as PNG (see `LabelPngWriter`).

    Raises
    ------
    VideoError
        If it can't be written, or a label is above 65535.
    ValueError
        If `labels` has another shape or type.
    """
    write_all(LabelPngWriter(folder, label_shape(labels), facts=facts), labels)
