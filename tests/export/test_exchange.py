"""What annotation tools and ImageJ get to read; that they do read it is in tests/formats."""

from __future__ import annotations

import json
import re
import struct
import zipfile
from xml.etree import ElementTree

import cv2
import numpy as np
import pytest
from pycocotools import mask as coco_mask

from napari_sam3.errors import VideoError
from napari_sam3.export import Scene, open_writer
from napari_sam3.export.registry import FORMATS
from napari_sam3.export.writer import write_all
from napari_sam3.labels.label_stack import LabelStack
from napari_sam3.labels.objects import ObjectTable
from tests.export.scene import FACTS, LABELS, OBJECTS, SHAPE

SCENE = Scene(shape=SHAPE, facts=FACTS, objects=OBJECTS)
SEEN = {
    (frame_index, obj_id)
    for frame_index in range(SHAPE[0])
    for obj_id in np.unique(LABELS[frame_index]).tolist()
    if obj_id
}


def written(folder, name, labels=LABELS):
    path = folder / FORMATS[name].target.rstrip("/")
    write_all(open_writer(name, path, SCENE), labels)
    return path


def filled(corners) -> np.ndarray:
    polygon = np.asarray(corners, float).ravel().tolist()
    return coco_mask.decode(coco_mask.merge(coco_mask.frPyObjects([polygon], *SHAPE[1:]))) > 0


def test_yolo_has_a_line_for_each_object_and_an_empty_file_for_nothing(tmp_path):
    path = written(tmp_path, "yolo")
    assert [file.name for file in sorted((path / "labels/train").iterdir())] == [
        f"{n:05d}.txt" for n in range(6)
    ]
    assert (path / "labels/train/00005.txt").read_text() == ""
    said = (path / "data.yaml").read_text()
    assert '  0: "cell"\n  1: "object"\n' in said
    for frame_index in range(6):
        lines = (path / f"labels/train/{frame_index:05d}.txt").read_text().splitlines()
        found = {}
        for line in lines:
            number, *corners = line.split()
            polygon = np.array(corners, float).reshape(-1, 2) * (SHAPE[2], SHAPE[1])
            drawn = np.zeros(SHAPE[1:], np.uint8)
            cv2.fillPoly(drawn, [polygon.astype(np.int32)], 1)
            rounded = np.zeros(SHAPE[1:], np.uint8)
            cv2.fillPoly(rounded, [np.round(polygon).astype(np.int32)], 1)
            np.testing.assert_array_equal(drawn, rounded)
            found.setdefault(int(number), np.zeros(SHAPE[1:], bool))[drawn > 0] = True
        cells = np.isin(LABELS[frame_index], (3, 7, 8))
        np.testing.assert_array_equal(found.get(0, np.zeros_like(cells)), cells)
        np.testing.assert_array_equal(found.get(1, ~cells & False), LABELS[frame_index] == 5)


@pytest.mark.parametrize("name", ["yolo", "labelme"])
def test_data_of_others_is_not_lost(tmp_path, name):
    path = written(tmp_path, name)
    written(tmp_path, name)
    (changed,) = [path / "data.yaml"] if name == "yolo" else [path / "00003.json"]
    changed.write_text("{}" if name == "labelme" else "names: []")
    with pytest.raises(VideoError, match="would be lost"):
        open_writer(name, path, SCENE)


def test_cvat_says_where_objects_are_not(tmp_path):
    path = written(tmp_path, "cvat")
    root = ElementTree.parse(path).getroot()
    tracks = {int(t.get("id")): t for t in root.iter("track")}
    assert {n: t.get("label") for n, t in tracks.items()} == {
        **dict.fromkeys((3, 7, 8), "cell"),
        5: "object",
    }
    seen = set()
    for obj_id, track in tracks.items():
        for shape in track.iter("polygon"):
            assert shape.get("keyframe") == "1"
            if shape.get("outside") == "0":
                frame_index = int(shape.get("frame"))
                seen.add((frame_index, obj_id))
                corners = [pair.split(",") for pair in shape.get("points").split(";")]
                np.testing.assert_array_equal(filled(corners), LABELS[frame_index] == obj_id)
    assert seen == SEEN
    away = {
        (int(s.get("frame")), obj_id)
        for obj_id, track in tracks.items()
        for s in track.iter("polygon")
        if s.get("outside") == "1"
    }
    assert away == {(3, 3), (2, 5), (5, 5), (5, 7), (5, 8)}
    said = {a.get("name"): a.text for a in tracks[7].find("polygon")}
    assert said == {"name": 'Ann, "the" first', "mother": "3", "born_at": "3"}
    assert root.findtext("meta/task/source") == "cells.tif"


def test_labelme_has_a_shape_for_each_object(tmp_path):
    path = written(tmp_path, "labelme")
    seen = set()
    for frame_index in range(6):
        said = json.loads((path / f"{frame_index:05d}.json").read_text())
        assert (said["imageHeight"], said["imageWidth"]) == SHAPE[1:]
        for shape in said["shapes"]:
            seen.add((frame_index, shape["group_id"]))
            mask = LABELS[frame_index] == shape["group_id"]
            np.testing.assert_array_equal(filled(shape["points"]), mask)
            assert shape["label"] == (OBJECTS[shape["group_id"]].class_name or "object")
    assert seen == SEEN


def test_label_studio_has_a_task_for_each_frame(tmp_path):
    tasks = json.loads(written(tmp_path, "label-studio").read_text())
    assert [task["data"]["frame_index"] for task in tasks] == list(range(6))
    assert tasks[2]["data"]["image"] == "/data/local-files/?d=cells/00002.png"
    seen = set()
    for frame_index, task in enumerate(tasks):
        for region in task["annotations"][0]["result"]:
            obj_id = int(region["id"])
            seen.add((frame_index, obj_id))
            corners = np.array(region["value"]["points"]) / 100 * (SHAPE[2], SHAPE[1])
            np.testing.assert_array_equal(filled(corners), LABELS[frame_index] == obj_id)
    assert seen == SEEN


def test_trackmate_has_spots_and_links(tmp_path):
    root = ElementTree.parse(written(tmp_path, "trackmate")).getroot()
    model = root.find("Model")
    assert model.attrib == {"spatialunits": "µm", "timeunits": "sec"}
    spots = {}
    for spot in model.iter("Spot"):
        node = int(spot.get("FRAME")), int(spot.get("OBJECT_ID"))
        spots[spot.get("ID")] = node
        assert float(spot.get("POSITION_T")) == node[0] * 0.25
        centre = float(spot.get("POSITION_X")), float(spot.get("POSITION_Y"))
        outline = np.array(spot.text.split(), float).reshape(-1, 2) + centre
        assert len(outline) == int(spot.get("ROI_N_POINTS"))
        mask = LABELS[node[0]] == node[1]
        np.testing.assert_array_equal(filled(outline / (0.4, 0.5) + 0.5), mask)
        rows, columns = np.nonzero(mask)
        np.testing.assert_allclose(centre, (columns.mean() * 0.4, rows.mean() * 0.5), atol=1e-6)
    assert set(spots.values()) == SEEN
    assert model.find("AllSpots").get("nspots") == str(len(SEEN))
    links = [
        {(spots[e.get("SPOT_SOURCE_ID")], spots[e.get("SPOT_TARGET_ID")]) for e in track}
        for track in model.iter("Track")
    ]
    family = {((0, 3), (1, 3)), ((1, 3), (2, 3)), ((2, 3), (3, 7)), ((2, 3), (3, 8))}
    family |= {((3, 7), (4, 7)), ((3, 8), (4, 8))}
    bead = {((0, 5), (1, 5)), ((1, 5), (3, 5)), ((3, 5), (4, 5))}
    assert sorted(links, key=len) == [bead, family]
    gaps = {
        t.get("NUMBER_SPOTS"): (t.get("NUMBER_GAPS"), t.get("NUMBER_SPLITS"))
        for t in model.iter("Track")
    }
    assert gaps == {"4": ("1", "0"), "7": ("0", "1")}


def test_imagej_has_a_region_for_each_object(tmp_path):
    seen = set()
    with zipfile.ZipFile(written(tmp_path, "imagej")) as file:
        for name in file.namelist():
            frame, obj_id = map(int, re.fullmatch(r"(\d{4})-(\d{4})\.roi", name).groups())
            content = file.read(name)
            top, left, bottom, right, number = struct.unpack_from(">5h", content, 8)
            xy = np.frombuffer(content, ">i2", 2 * number, 64).reshape(2, -1).T + np.array(
                [left, top]
            )
            mask = LABELS[frame - 1] == obj_id
            np.testing.assert_array_equal(filled(xy), mask)
            assert mask[top:bottom, left:right].sum() == mask.sum()
            assert struct.unpack_from(">i", content, 56) == (frame,)
            seen.add((frame - 1, obj_id))
    assert seen == SEEN
    with pytest.raises(VideoError, match="choose another format"):
        open_writer("imagej", tmp_path / "large.zip", Scene(shape=(1, 40_000, 2)))


@pytest.mark.parametrize("name", ["yolo", "labelme", "label-studio", "cvat"])
def test_frames_may_come_in_any_order_and_again(tmp_path, name):
    in_order = written(tmp_path, name)
    again = tmp_path / "again"
    with open_writer(name, again, SCENE) as writer:
        writer.write_labels(5, LABELS[0])
        for frame_index in (4, 0, 3, 5, 1, 2):
            writer.write_labels(frame_index, LABELS[frame_index])
    for one in in_order.rglob("*") if in_order.is_dir() else [in_order]:
        if one.is_file():
            assert (again / one.relative_to(in_order)).read_bytes() == one.read_bytes()


def test_frames_that_were_never_processed_have_no_file(tmp_path):
    stack = LabelStack(SHAPE)
    stack.draw(4, LABELS[4])
    assert len(list((written(tmp_path, "yolo", stack) / "labels/train").iterdir())) == 1
    assert [f.name for f in written(tmp_path, "labelme", stack).iterdir()] == ["00004.json"]
    assert len(json.loads(written(tmp_path, "label-studio", stack).read_text())) == 1


@pytest.mark.parametrize("name", ["cvat", "trackmate"])
def test_words_that_xml_does_not_hold_do_not_break_it(tmp_path, name):
    objects = ObjectTable()
    objects.rename(1, 'a<b&"c\x01\x1b')
    path = tmp_path / "a.xml"
    with open_writer(name, path, Scene(shape=(1, 9, 9), objects=objects)) as writer:
        writer.write_labels(0, np.pad(np.ones((2, 2), np.uint8), ((1, 6), (1, 6))))
    found = ElementTree.parse(path).getroot()
    words = [e.text for e in found.iter("attribute")] + [e.get("name") for e in found.iter("Spot")]
    assert 'a<b&"c' in words
