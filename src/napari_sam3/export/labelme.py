"""LabelMe: a JSON file a picture, with the outlines of what is on it."""

from __future__ import annotations

import json
from pathlib import Path, PurePosixPath
from typing import Any

from napari_sam3.errors import VideoError
from napari_sam3.export.annotations import UNNAMED, describe_object
from napari_sam3.export.pictures import PicturedWriter
from napari_sam3.export.polygons import single_polygon
from napari_sam3.export.whole_folder import folder_written_whole
from napari_sam3.export.writer import FoundObject, ObjectWriter, exporter

VERSION = "5.5.0"

_OURS = {"madeWith": "napari-sam3"}


class LabelmeWriter(PicturedWriter, ObjectWriter):
    """Writes 00007.json of each frame that comes, as LabelMe has it beside the picture.

    A shape is an object: a polygon whose label is the class and whose `group_id` the object's id;
    an object without a class is "object". A mask of several pieces or with holes is one polygon,
    whose pieces are joined by lines. Beyond the format, which keeps what it does not know, it has
    `score`, `name`, and of a daughter `mother` and `born_at` (frame), where known. The files are
    called as the pictures of a folder are; those that are asked for lie beside them. The folder is
    put in place as a whole, and replaces an earlier one; one that holds anything else is refused.

    Parameters
    ----------
    path, shape, facts, objects
        As `ResultWriter` takes them.
    pictures : FramePictures, optional
        Writes pictures of the frames.
    """

    own_names = r".+\.json|.+\.(?i:jpe?g|png)"

    def _prepare(self) -> None:
        self._check_ours()
        super()._prepare()

    def _check_ours(self) -> None:
        """Annotations of others look the same, also those that were mended; they are not lost."""
        if not self.path.is_dir():
            return
        ours = {file.stem for file in self.path.glob("*.json") if _is_ours(file)}
        others = sorted(file.name for file in self.path.iterdir() if file.stem not in ours)
        if others:
            raise VideoError(
                f"{str(self.path)!r} holds {others[0]}, which was not made here or was changed "
                "since, and would be lost; name another folder"
            )

    def _add_objects(self, frame_index: int, found: list[FoundObject]) -> None:
        shapes = []
        for measure, crop in found:
            corners = single_polygon(crop, *measure.bbox[:2])
            shape: dict[str, Any] = {
                "points": [[round(x, 2), round(y, 2)] for x, y in corners.tolist()],
                "group_id": measure.obj_id,
                "shape_type": "polygon",
                "flags": {},
                "description": "",
            }
            if measure.score is not None:
                shape["score"] = round(measure.score, 4)
            shapes.append(shape)
        self._frames.put(frame_index, json.dumps(shapes).encode())

    def _finish(self) -> None:
        self._check_ours()
        _, height, width = self.shape
        with folder_written_whole(self.path, self.own_names) as folder:
            for frame_index in self._frames.frames:
                shapes = json.loads(self._frames.get(frame_index))
                for shape in shapes:
                    obj_id = shape["group_id"]
                    shape["label"] = self._objects[obj_id].class_name or UNNAMED
                    shape |= describe_object(self._objects, obj_id)
                name = self._pictures.file_name(frame_index)
                said = {
                    **_OURS,
                    "version": VERSION,
                    "flags": {},
                    "shapes": shapes,
                    "imagePath": name,
                    "imageData": None,
                    "imageHeight": height,
                    "imageWidth": width,
                }
                place = folder / PurePosixPath(name).with_suffix(".json")
                place.write_text(json.dumps(said), encoding="utf-8")
            self._pictures.write_as(
                self._frames.frames, lambda n: folder / self._pictures.file_name(n)
            )


def _is_ours(file: Path) -> bool:
    """Whether a file begins as those that are written here do."""
    with file.open(encoding="utf-8", errors="replace") as opened:
        return opened.read(80).startswith(json.dumps(_OURS)[:-1])


export_labelme = exporter(LabelmeWriter)
