"""YOLO's data set for segmentation: a text file a picture, an outline an object."""

from __future__ import annotations

import json
from pathlib import Path, PurePosixPath

import numpy as np

from napari_sam3.errors import VideoError
from napari_sam3.export.annotations import UNNAMED, number_categories
from napari_sam3.export.pictures import PicturedWriter
from napari_sam3.export.polygons import single_polygon
from napari_sam3.export.whole_folder import folder_written_whole
from napari_sam3.export.writer import FoundObject, ObjectWriter, exporter

DESCRIPTION = "data.yaml"
LABELS, PICTURES = "labels/train", "images/train"

_INSIDE = 0.4
"""px from a pixel's corner: who rounds and who cuts off fractions is at that pixel."""

_OURS = "# made with napari-sam3"


class YoloWriter(PicturedWriter, ObjectWriter):
    """Writes data.yaml, and labels/train/00007.txt of each frame that comes.

    A line is an object: its class, counted from 0, and the corners of its outline as parts of the
    width and height. The outline runs through the pixels at the mask's edge, which belong to it, as
    YOLO's tools fill it. A mask of several pieces or with holes is one outline, whose pieces are
    joined by lines. A frame without objects has an empty file. Ids, names and lineage have no place
    in this format.

    The files are called as the pictures of a folder are; the pictures that are asked for lie in
    images/train. The folder is put in place as a whole, and replaces an earlier one; one that was
    not made here is refused.

    Parameters
    ----------
    path, shape, facts, objects
        As `ResultWriter` takes them.
    pictures : FramePictures, optional
        Writes pictures of the frames.
    """

    own_names = r"data\.yaml|labels|images"

    def _prepare(self) -> None:
        self._check_ours()
        super()._prepare()

    def _check_ours(self) -> None:
        """Data sets of others look the same, and are not to be lost."""
        if not self.path.is_dir() or not any(self.path.iterdir()):
            return
        place = self.path / DESCRIPTION
        said = place.read_text(encoding="utf-8", errors="replace") if place.is_file() else ""
        if not said.startswith(_OURS):
            raise VideoError(
                f"{str(self.path)!r} holds a data set that was not made here and would be lost; "
                "name another folder"
            )

    def _add_objects(self, frame_index: int, found: list[FoundObject]) -> None:
        size = np.array([self.shape[2], self.shape[1]])
        lines = []
        for measure, crop in found:
            outline = single_polygon(crop, *measure.bbox[:2], along="pixels") + _INSIDE
            corners = (outline / size).ravel().tolist()
            lines.append([measure.obj_id, " ".join(f"{n:.7f}" for n in corners)])
        self._frames.put(frame_index, json.dumps(lines).encode())

    def _finish(self) -> None:
        self._check_ours()
        names = {name: n - 1 for name, n in number_categories(self._objects.classes).items()}
        with folder_written_whole(self.path, self.own_names) as folder:
            for part in (LABELS, PICTURES):
                (folder / part).mkdir(parents=True)
            for frame_index in self._frames.frames:
                lines = [
                    f"{names[self._objects[obj_id].class_name or UNNAMED]} {corners}\n"
                    for obj_id, corners in json.loads(self._frames.get(frame_index))
                ]
                name = PurePosixPath(self._pictures.file_name(frame_index)).with_suffix(".txt")
                (folder / LABELS / name).write_text("".join(lines), encoding="ascii")
            self._pictures.write_as(
                self._frames.frames,
                lambda n: folder / PICTURES / self._pictures.file_name(n),
            )
            self._describe(folder / DESCRIPTION, names)

    def _describe(self, place: Path, names: dict[str, int]) -> None:
        lines = [_OURS, "path: .", f"train: {PICTURES}", f"val: {PICTURES}", "names:"]
        lines += [f"  {n}: {json.dumps(name, ensure_ascii=False)}" for name, n in names.items()]
        place.write_text("\n".join([*lines, ""]), encoding="utf-8")


export_yolo = exporter(YoloWriter)
