"""GEFF: the objects' tracks as a graph, for the programs that show and mend lineages."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sam3.errors import VideoError
from napari_sam3.export.base import check_replaceable, label_shape, replacing_folder, write_all
from napari_sam3.export.objects import Found, ObjectWriter
from napari_sam3.labels.objects import ObjectTable
from napari_sam3.labels.tracks import assign_tracks
from napari_sam3.video.video_facts import VideoFacts

OWN_NAMES = r"nodes|edges|zarr\.json|\.zgroup|\.zattrs"


class GeffWriter(ObjectWriter):
    """Writes a graph: a node for each object on each frame, an edge from each node to the next.

    The edges lead from an object to itself on the next frame that it is seen on, and from a mother
    to her daughters (see `plan_tracks`). Nodes have t (s where the rate is known, else frames), y
    and x of the centroid (in the pixels' unit where it is known, else px; the centre of the top
    left pixel is 0, 0, as in a labels image), `frame`, `track_id` (the object's id), `area` (px)
    and, where there is one, `score`, `name` and `class`. Needs the package geff.

    Parameters
    ----------
    path : path-like
        The group, usually named *.geff.
    shape : (T, H, W)
        Of the video.
    facts : VideoFacts, optional
        Of the video.
    objects : ObjectTable, optional
        Names, classes and divisions; read at `close`.

    Raises
    ------
    VideoError
        If geff is not installed.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        shape: tuple[int, int, int],
        *,
        facts: VideoFacts | None = None,
        objects: ObjectTable | None = None,
    ) -> None:
        super().__init__(path, shape, facts=facts)
        try:
            import geff  # noqa: F401
        except ImportError as exc:
            raise VideoError(
                "GEFF needs the package geff, which is not installed; "
                "pip install 'napari-sam3[geff]'"
            ) from exc
        check_replaceable(self.path, OWN_NAMES)
        self._objects = ObjectTable() if objects is None else objects
        self._rows: dict[int, NDArray[np.float64]] = {}

    def _add_objects(self, frame_index: int, found: list[Found]) -> None:
        rows = [
            (frame_index, m.obj_id, *m.centroid_xy, m.area, np.nan if m.score is None else m.score)
            for m, _ in found
        ]
        self._rows[frame_index] = np.array(rows, np.float64).reshape(-1, 6)

    def _finish(self) -> None:
        from geff.core_io import write_arrays

        rows = np.concatenate([np.zeros((0, 6)), *(self._rows[n] for n in sorted(self._rows))])
        frames, ids = rows[:, 0].astype(np.int64), rows[:, 1].astype(np.uint64)
        interval = None if self.facts is None else self.facts.frame_interval
        size = None if self.facts is None else self.facts.pixel_size
        height, width = size or (1.0, 1.0)
        columns: dict[str, NDArray[Any]] = {
            "t": frames * (interval or 1.0),
            "y": (rows[:, 3] - 0.5) * height,
            "x": (rows[:, 2] - 0.5) * width,
            "frame": frames,
            "track_id": ids,
            "area": rows[:, 4].astype(np.uint64),
        }
        properties: dict[str, Any] = {
            name: {"values": values, "missing": None} for name, values in columns.items()
        }
        unknown = np.isnan(rows[:, 5])
        if not unknown.all():
            score = {"values": np.nan_to_num(rows[:, 5]), "missing": unknown}
            properties["score"] = score if unknown.any() else {**score, "missing": None}
        for name, known in (("name", self._objects.names), ("class", self._objects.classes)):
            texts = np.array([known.get(obj_id, "") for obj_id in ids.tolist()], np.str_)
            if (texts != "").any():
                properties[name] = {"values": texts, "missing": texts == ""}
        edges = assign_tracks(frames, ids, self._objects.divisions).edges(frames)
        with replacing_folder(self.path, OWN_NAMES) as folder:
            folder.rmdir()  # geff wants to make it
            write_arrays(
                folder,
                np.arange(len(rows), dtype=np.uint64),
                properties,
                edges.astype(np.uint64),
                {},
                self._metadata(bool(interval), size is not None),
                zarr_format=3,
            )

    def _metadata(self, is_timed: bool, is_sized: bool) -> Any:
        from geff import GeffMetadata

        unit = {"um": "micrometer", "nm": "nanometer", "mm": "millimeter", "cm": "centimeter"}
        length = None if self.facts is None else unit.get(str(self.facts.unit), self.facts.unit)
        length = length if is_sized else "pixel"
        axes = [
            {"name": "t", "type": "time", "unit": "second" if is_timed else "frame"},
            {"name": "y", "type": "space", "unit": length},
            {"name": "x", "type": "space", "unit": length},
        ]
        return GeffMetadata(
            directed=True, axes=axes, node_props_metadata={}, edge_props_metadata={}
        )


def export_geff(
    path: str | os.PathLike[str],
    labels: Any,
    *,
    facts: VideoFacts | None = None,
    objects: ObjectTable | None = None,
) -> None:
    """Write the tracks of a whole (T, H, W) label array as GEFF (see `GeffWriter`).

    Raises
    ------
    VideoError
        If it can't be written, or geff is not installed.
    ValueError
        If `labels` has another shape or type.
    """
    write_all(GeffWriter(path, label_shape(labels), facts=facts, objects=objects), labels)
