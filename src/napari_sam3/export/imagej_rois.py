"""ImageJ: a zip of regions of interest, as its ROI Manager opens and saves them."""

from __future__ import annotations

import struct
import zipfile
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sam3.errors import VideoError
from napari_sam3.export.colors import label_colors
from napari_sam3.export.polygons import single_polygon
from napari_sam3.export.writer import FoundObject, ObjectWriter, exporter
from napari_sam3.whole_files import written_whole

_TRACED = 8
_HEADER, _MORE = 64, 64
_LONGEST = int(np.iinfo(np.int16).max)
_WHEN = (1980, 1, 1, 0, 0, 0)  # so that the same results are the same file


class ImageJRoiWriter(ObjectWriter):
    """Writes a region for each object on each frame, called 0001-0003 by frame, from 1, and id.

    Each has its place in the stack (frame, from 1), and the colour of the window. Regions run along
    the pixels' edges, so that ImageJ fills the exact mask; one of several pieces or with holes is
    one outline, whose pieces are joined by lines.

    Parameters are those of `ResultWriter`.
    """

    def _prepare(self) -> None:
        if max(self.shape[1:]) > _LONGEST:
            raise VideoError(
                f"frames of {self.shape[1:]} can't be written to {str(self.path)!r}: ImageJ's "
                f"regions go up to {_LONGEST} px; choose another format"
            )
        super()._prepare()

    def _add_objects(self, frame_index: int, found: list[FoundObject]) -> None:
        content = []
        for measure, crop in found:
            corners = single_polygon(crop, along="edges").astype(">i2")
            head = struct.pack("<5q", measure.obj_id, *measure.bbox)
            content.append(head + struct.pack("<q", len(corners)) + corners.T.tobytes())
        self._frames.put(frame_index, b"".join(content))

    def _finish(self) -> None:
        digits = max(4, len(str(self.shape[0])))
        with written_whole(self.path) as part, zipfile.ZipFile(part, "w") as file:
            for frame_index in self._frames.frames:
                content = self._frames.get(frame_index)
                place = 0
                while place < len(content):
                    obj_id, *box, number = struct.unpack_from("<6q", content, place)
                    place += 48
                    corners = content[place : place + 4 * number]
                    place += len(corners)
                    name = f"{frame_index + 1:0{digits}d}-{obj_id:04d}"
                    color = label_colors(np.array([obj_id]), self._objects.colors)[0]
                    entry = zipfile.ZipInfo(f"{name}.roi", _WHEN)
                    entry.compress_type = zipfile.ZIP_DEFLATED
                    file.writestr(entry, _region(name, frame_index + 1, box, corners, color))


def _region(name: str, position: int, box: list[int], corners: bytes, color: NDArray[Any]) -> bytes:
    """A region in ImageJ's own form, version 228: big-endian, a head, corners, a second head."""
    x0, y0, x1, y1 = box
    number = len(corners) // 4
    is_long = number > np.iinfo(np.uint16).max  # then it stands elsewhere
    more = _HEADER + len(corners)
    head = struct.pack(
        ">4s h B x 4h H i",
        b"Iout",
        228,
        _TRACED,
        *(y0, x0, y1, x1),
        0 if is_long else number,
        number if is_long else 0,
    ).ljust(40, b"\0")
    red, green, blue = (int(n) for n in color)
    head += bytes([255, red, green, blue])
    head = head.ljust(56, b"\0") + struct.pack(">2i", position, more)
    second = struct.pack(">4x 3i 2i", 0, 0, 0, more + _MORE, len(name)).ljust(_MORE, b"\0")
    return head + corners + second + name.encode("utf-16-be")


export_imagej_rois = exporter(ImageJRoiWriter)
