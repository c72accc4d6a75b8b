"""Ids up to the highest that a prompt may name: held, or refused with the first frame."""

from __future__ import annotations

import csv

import numpy as np
import pytest
import tifffile

from napari_sam3.errors import VideoError
from napari_sam3.export import Scene, open_writer
from napari_sam3.export.registry import FORMATS
from napari_sam3.export.writer import write_all
from napari_sam3.imports import open_labels
from napari_sam3.labels.label_stack import LabelStack
from napari_sam3.labels.objects import ObjectTable
from napari_sam3.values import LABEL_DTYPE, MAX_OBJECT_ID, FrameResult, ObjectMask

SHAPE = (3, 9, 11)
HOLD_ALL = [
    "tiff",
    "coco",
    "coco-polygons",
    "ytvis",
    "ome-zarr",
    "ome-zarr-0.4",
    "csv",
    "mot",
    "geff",
]
TOLD = ["yolo", "cvat", "labelme", "label-studio", "trackmate", "imagej"]
HIGHEST = {"png": 65535, "ctc": 65535, "davis": 255}


def labels_of(*ids: int) -> np.ndarray:
    """One object a frame, each the mother of the next."""
    labels = np.zeros(SHAPE, np.int64)
    for frame_index, obj_id in enumerate(ids):
        labels[frame_index, 2:5, 3:6] = obj_id
    return labels


@pytest.mark.parametrize("name", HOLD_ALL)
def test_the_highest_id_is_held(tmp_path, name):
    labels = labels_of(MAX_OBJECT_ID - 1, MAX_OBJECT_ID)
    family = ObjectTable.from_parents({MAX_OBJECT_ID: MAX_OBJECT_ID - 1}, {MAX_OBJECT_ID: 1})
    stack = LabelStack(SHAPE, LABEL_DTYPE)
    stack[:] = labels
    path = tmp_path / FORMATS[name].target
    write_all(open_writer(name, path, Scene(shape=SHAPE, objects=family)), stack)
    if name == "mot":
        rows = list(csv.reader(path.open()))
        assert [int(row[1]) for row in rows] == [MAX_OBJECT_ID - 1, MAX_OBJECT_ID]
    elif name == "csv":
        rows = list(csv.DictReader(path.open()))
        assert [int(row["id"]) for row in rows] == [MAX_OBJECT_ID - 1, MAX_OBJECT_ID]
    elif name == "geff":
        import geff

        graph, _ = geff.read(path)
        assert {d["track_id"] for _, d in graph.nodes(data=True)} == {
            *(MAX_OBJECT_ID - 1, MAX_OBJECT_ID)
        }
        assert len(graph.edges) == 1
    else:
        with open_labels(path) as again:
            np.testing.assert_array_equal([again[t] for t in range(3)], labels)
            if name != "tiff":
                assert again.objects.divisions == family.divisions
    if name == "tiff":
        assert tifffile.imread(path).dtype == np.uint32


@pytest.mark.parametrize("name", HIGHEST)
def test_a_format_that_does_not_hold_an_id_says_so_with_its_first_frame(tmp_path, name):
    highest = HIGHEST[name]
    path = tmp_path / FORMATS[name].target
    write_all(open_writer(name, path, Scene(shape=SHAPE)), labels_of(highest, highest, highest))
    with open_labels(path) as labels:
        assert labels[2].max() == highest
    mask = ObjectMask.from_mask(labels_of(1)[0] > 0)
    with open_writer(name, tmp_path / "new", Scene(shape=SHAPE)) as writer:
        with pytest.raises(VideoError, match=rf"label {highest + 1} .* go up to {highest} there"):
            writer.write(FrameResult(0, {highest + 1: mask}))
        with pytest.raises(VideoError, match="write a TIFF, or renumber"):
            writer.write_labels(0, labels_of(highest + 1)[0])
        with pytest.raises(VideoError, match="renumber"):
            writer.check_ids(1, highest + 1)
        writer.write_labels(0, labels_of(highest)[0])


@pytest.mark.parametrize("name", [*HOLD_ALL, *TOLD, *HIGHEST])
def test_labels_that_are_no_ids_are_refused(tmp_path, name):
    for wrong in (-1, MAX_OBJECT_ID + 1):
        writer = open_writer(name, tmp_path / f"{wrong}", Scene(shape=SHAPE))
        with pytest.raises(VideoError, match=f"label {wrong}"):
            writer.write_labels(0, labels_of(wrong)[0])
        writer.discard()
