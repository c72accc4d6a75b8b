"""Annotations, as the tools that take them see them."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import datumaro
import globox
import numpy as np
import pytest
import supervision
import yaml
from label_studio_sdk.converter import Converter
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

from tests.formats.film import NAMES, PROCESSED, SHAPE, seen

pytestmark = pytest.mark.formats

CLASSES = {3: "cell", 7: "cell", 8: "cell", 5: "object", 70_000: "debris & dust"}


def filled(corners) -> np.ndarray:
    polygon = np.asarray(corners, float).ravel().tolist()
    return coco_mask.decode(coco_mask.merge(coco_mask.frPyObjects([polygon], *SHAPE[1:]))) > 0


def compare(found: dict[tuple[int, int], np.ndarray]) -> None:
    """The masks by frame and id."""
    expected = seen()
    assert found.keys() == expected.keys()
    for key, mask in found.items():
        np.testing.assert_array_equal(mask, expected[key], err_msg=str(key))


def compare_classes(found: dict[tuple[int, str], list[np.ndarray]]) -> None:
    """The masks by frame and class, where ids are lost."""
    expected: dict[tuple[int, str], list[np.ndarray]] = {}
    for (t, obj_id), mask in seen().items():
        expected.setdefault((t, CLASSES[obj_id]), []).append(mask)
    assert found.keys() == expected.keys()
    for key, masks in found.items():
        assert len(masks) == len(expected[key])
        for mask in masks:
            assert any(np.array_equal(mask, other) for other in expected[key]), key


# ------------------------------------------------------------------- COCO


@pytest.mark.parametrize("name", ["coco", "coco-polygons"])
@pytest.mark.parametrize("images", ["jpg", "png"])
def test_pycocotools_reads_coco(export, name, images):
    path = export(name, images=images)
    coco = COCO(path)
    found, pictures = {}, []
    for image in coco.imgs.values():
        pictures.append(image["file_name"])
        assert (path.parent / image["file_name"]).is_file()
        for annotation in coco.imgToAnns[image["id"]]:
            key = image["frame_index"], annotation["track_id"]
            found[key] = coco.annToMask(annotation) > 0
            assert coco.cats[annotation["category_id"]]["name"] == CLASSES[key[1]]
    compare(found)
    ending = "PNG" if images == "png" else "jpg"
    assert pictures == [f"cam1/{NAMES[t]}.{ending}" for t in PROCESSED]


@pytest.mark.parametrize("name", ["coco", "coco-polygons"])
def test_datumaro_reads_coco(export, name, tmp_path):
    path = export(name, images="png")
    home = tmp_path / "set"  # as Datumaro wants it laid out
    (home / "annotations").mkdir(parents=True)
    shutil.copy(path, home / "annotations/instances_default.json")
    shutil.copytree(path.parent / "cam1", home / "images/default/cam1")
    data = datumaro.Dataset.import_from(str(home), "coco_instances")
    labels = data.categories()[datumaro.AnnotationType.label]
    found: dict[tuple[int, int], np.ndarray] = {}
    for item in data:
        assert item.media.data.shape[:2] == SHAPE[1:]
        t = NAMES.index(Path(item.id).name)
        for annotation in item.annotations:
            obj_id = annotation.attributes["track_id"]
            assert labels[annotation.label].name == CLASSES[obj_id]
            if isinstance(annotation, datumaro.Bbox):
                continue  # which it makes of the same annotation
            if isinstance(annotation, datumaro.Mask):
                mask = np.asarray(annotation.image, bool)
            else:
                mask = filled(annotation.points)
            earlier = found.get((t, obj_id), False)  # polygons come one by one
            found[t, obj_id] = mask | earlier
    assert len(data) == len(PROCESSED)
    compare(found)


def test_supervision_reads_coco(export):
    path = export("coco", images="png")
    data = supervision.DetectionDataset.from_coco(
        images_directory_path=str(path.parent), annotations_path=str(path), force_masks=True
    )
    found: dict[tuple[int, str], list[np.ndarray]] = {}
    for place, picture, detections in data:
        assert picture.shape[:2] == SHAPE[1:]
        t = NAMES.index(Path(place).stem)
        for mask, number in zip(detections.mask, detections.class_id, strict=True):
            found.setdefault((t, data.classes[number]), []).append(mask)
    compare_classes(found)


def test_pycocotools_decodes_the_masks_of_youtube_vis(export):
    path = export("ytvis", images="jpg")
    said = json.loads(path.read_text())
    (video,) = said["videos"]
    assert all((path.parent / name).is_file() for name in video["file_names"])
    assert video["file_names"] == [f"cam1/{name}.jpg" for name in NAMES]
    found = {
        (t, annotation["id"]): coco_mask.decode(mask) > 0
        for annotation in said["annotations"]
        for t, mask in enumerate(annotation["segmentations"])
        if mask is not None
    }
    compare(found)


# ------------------------------------------------------------------- YOLO


def test_supervision_reads_yolo(export):
    path = export("yolo", images="png")
    data = supervision.DetectionDataset.from_yolo(
        images_directory_path=str(path / "images/train"),
        annotations_directory_path=str(path / "labels/train"),
        data_yaml_path=str(path / "data.yaml"),
        force_masks=True,
    )
    assert len(data) == len(PROCESSED)
    found: dict[tuple[int, str], list[np.ndarray]] = {}
    for place, _, detections in data:
        t = NAMES.index(Path(place).stem)
        for mask, number in zip(detections.mask, detections.class_id, strict=True):
            found.setdefault((t, data.classes[number]), []).append(mask)
    compare_classes(found)


# ------------------------------------------------------------ CVAT and MOT


def test_datumaro_reads_cvat(export):
    data = datumaro.Dataset.import_from(str(export("cvat")), "cvat")
    labels = data.categories()[datumaro.AnnotationType.label]
    found = {}
    for item in data:
        for annotation in item.annotations:
            assert isinstance(annotation, datumaro.Polygon)
            obj_id = annotation.attributes["track_id"]
            if annotation.attributes["outside"]:
                continue
            assert labels[annotation.label].name == CLASSES[obj_id]
            found[int(item.attributes["frame"]), obj_id] = filled(annotation.points)
            if obj_id == 7:
                told = {k: annotation.attributes[k] for k in ("name", "mother", "born_at")}
                assert told == {"name": "Ann", "mother": "3", "born_at": "4"}
    compare(found)


def test_datumaro_reads_mot(export, tmp_path):
    gt = tmp_path / "set/gt/gt.txt"
    gt.parent.mkdir(parents=True)
    shutil.copy(export("mot"), gt)
    data = datumaro.Dataset.import_from(str(tmp_path / "set"), "mot_seq")
    found = {}
    for item in data:
        for annotation in item.annotations:
            assert annotation.attributes["visibility"] == 1
            assert not annotation.attributes["occluded"]
            x, y, width, height = annotation.get_bbox()
            found[int(item.id) - 1, annotation.attributes["track_id"]] = (x, y, width, height)
    expected = {}
    for key, mask in seen().items():
        rows, columns = np.nonzero(mask)
        size = (np.ptp(columns) + 1, np.ptp(rows) + 1)
        expected[key] = (columns.min() + 1, rows.min() + 1, *size)
    assert found == expected


# ------------------------------------------------------- LabelMe, Label Studio


def test_labelme2yolo_reads_labelme(export, tmp_path):
    path = export("labelme", images="png")
    out = tmp_path / "yolo"
    program = Path(sys.executable).with_name("labelme2yolo")
    wanted = ("--json_dir", path, "--output_dir", out, "--output_format", "polygon")
    subprocess.run([program, *wanted, "--val_size", "0", "--deterministic_labels"], check=True)
    names = yaml.safe_load((out / "dataset.yaml").read_text())["names"]
    found: dict[tuple[int, str], list[np.ndarray]] = {}
    for file in (out / "labels/train").iterdir():
        t = next(n for n, name in enumerate(NAMES) if name in file.stem)
        for line in file.read_text().splitlines():
            number, *corners = line.split()
            polygon = np.array(corners, float).reshape(-1, 2) * (SHAPE[2], SHAPE[1])
            found.setdefault((t, names[int(number)]), []).append(filled(polygon))
    compare_classes(found)


def test_globox_reads_labelme(export):
    found = globox.AnnotationSet.from_labelme(export("labelme", images="png"), include_poly=True)
    boxes = {
        (NAMES.index(Path(each.image_id).stem), box.label, *np.floor((box.xmin, box.ymin)).tolist())
        for each in found
        for box in each.boxes
    }
    expected = set()
    for (t, obj_id), mask in seen().items():
        rows, columns = np.nonzero(mask)
        expected.add((t, CLASSES[obj_id], columns.min(), rows.min()))
    assert boxes == expected


def test_label_studio_reads_its_json(export, tmp_path):
    path = export("label-studio", images="png")
    labels = "".join(f'<Label value="{v}"/>' for v in ("cell", "object", "debris &amp; dust"))
    config = f"""<View><Image name="image" value="$image"/>
        <PolygonLabels name="label" toName="image">{labels}</PolygonLabels></View>"""
    converter = Converter(config, str(tmp_path), download_resources=False)
    converter.convert_to_coco(str(path), str(tmp_path / "coco"), is_dir=False)
    said = json.loads((tmp_path / "coco/result.json").read_text())
    names = {category["id"]: category["name"] for category in said["categories"]}
    frames = {image["id"]: image["file_name"] for image in said["images"]}
    found: dict[tuple[int, str], list[np.ndarray]] = {}
    for annotation in said["annotations"]:
        t = NAMES.index(Path(frames[annotation["image_id"]]).stem)
        key = t, names[annotation["category_id"]]
        found.setdefault(key, []).append(filled(annotation["segmentation"]))
    compare_classes(found)
