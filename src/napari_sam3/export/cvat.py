"""CVAT's XML of a video ("CVAT for video 1.1"): a track an object, a polygon a frame."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import IO

import numpy as np

from napari_sam3.export.annotations import UNNAMED, describe_object
from napari_sam3.export.by_object import TrackWriter
from napari_sam3.export.colors import label_colors
from napari_sam3.export.polygons import single_polygon
from napari_sam3.export.writer import FoundObject, exporter
from napari_sam3.export.xml_text import xml_attribute, xml_text
from napari_sam3.whole_files import written_whole

_ATTRIBUTES = ("name", "mother", "born_at")


class CvatWriter(TrackWriter):
    """Writes tracks of polygons, as CVAT takes them for a video of its own.

    A track's id is the object's, its label the class; an object without a class is "object". Each
    frame is a key frame, for CVAT would draw shapes between them; where an object is not seen any
    more, its last shape is "outside". A mask of several pieces or with holes is one polygon, whose
    pieces are joined by lines. `name`, `mother` and `born_at` (frame) are attributes, which the
    file declares; a task whose labels do not have them passes them over.

    Parameters are those of `ResultWriter`.
    """

    def _encode(self, found: FoundObject) -> bytes:
        measure, crop = found
        polygon = single_polygon(crop, *measure.bbox[:2])
        return ";".join(f"{x:.2f},{y:.2f}" for x, y in polygon.tolist()).encode()

    def _finish(self) -> None:
        with written_whole(self.path) as part, part.open("w", encoding="utf-8") as file:
            file.write('<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n')
            file.write("  <version>1.1</version>\n")
            file.writelines(self._meta())
            for obj_id, frames in self._tracks():
                self._write_track(file, obj_id, frames)
            file.write("</annotations>\n")

    def _meta(self) -> Iterator[str]:
        length, height, width = self.shape
        name = xml_text(self.known_facts.name or "video")
        yield f"  <meta>\n    <task>\n      <name>{name}</name>\n      <size>{length}</size>\n"
        yield "      <mode>interpolation</mode>\n      <overlap>0</overlap>\n"
        yield f"      <start_frame>0</start_frame>\n      <stop_frame>{length - 1}</stop_frame>\n"
        yield "      <frame_filter></frame_filter>\n      <labels>\n"
        classes = sorted({UNNAMED, *self._objects.classes.values()})
        colors = label_colors(np.arange(1, len(classes) + 1), {}).tolist()
        for label, color in zip(classes, colors, strict=True):
            code = "#{:02x}{:02x}{:02x}".format(*color)
            yield f"        <label>\n          <name>{xml_text(label)}</name>\n"
            yield f"          <color>{code}</color>\n          <type>any</type>\n"
            yield "          <attributes>\n"
            for attribute in _ATTRIBUTES:
                yield f"            <attribute>\n              <name>{attribute}</name>\n"
                yield "              <mutable>False</mutable>\n"
                yield "              <input_type>text</input_type>\n"
                yield "              <default_value></default_value>\n"
                yield "              <values></values>\n            </attribute>\n"
            yield "          </attributes>\n        </label>\n"
        yield "      </labels>\n      <original_size>\n"
        yield f"        <width>{width}</width>\n        <height>{height}</height>\n"
        yield f"      </original_size>\n      <source>{name}</source>\n    </task>\n  </meta>\n"

    def _write_track(self, file: IO[str], obj_id: int, frames: Iterator[tuple[int, bytes]]) -> None:
        label = self._objects[obj_id].class_name or UNNAMED
        said = describe_object(self._objects, obj_id)
        file.write(f'  <track id="{obj_id}" label={xml_attribute(label)} source="manual">\n')
        last, points = -1, ""
        for frame_index, content in frames:
            if points and frame_index > last + 1:
                file.writelines(_shape(last + 1, points, said, is_outside=True))
            last, points = frame_index, content.decode()
            file.writelines(_shape(last, points, said, is_outside=False))
        if last + 1 < self.shape[0]:
            file.writelines(_shape(last + 1, points, said, is_outside=True))
        file.write("  </track>\n")


def _shape(
    frame_index: int, points: str, said: Mapping[str, object], *, is_outside: bool
) -> Iterator[str]:
    yield f'    <polygon frame="{frame_index}" keyframe="1" outside="{int(is_outside)}" '
    yield f'occluded="0" points="{points}" z_order="0">\n'
    for name, value in said.items():
        text = value if isinstance(value, str) else json.dumps(value)
        yield f"      <attribute name={xml_attribute(name)}>{xml_text(text)}</attribute>\n"
    yield "    </polygon>\n"


export_cvat = exporter(CvatWriter)
