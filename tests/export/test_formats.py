"""Each annotation format, read back by the library that its users read it with."""

from __future__ import annotations

import csv
import json

import cv2
import motmetrics
import numpy as np
import pytest
import tifffile
import zarr
from ctc_metrics.scripts.validate import validate_sequence
from ome_zarr_models.v05.image_label import ImageLabel
from ome_zarr_models.v05.labels import Labels
from PIL import Image
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

from napari_sam3.errors import VideoError
from napari_sam3.export import (
    CocoWriter,
    CtcWriter,
    GeffWriter,
    MotWriter,
    OmeZarrWriter,
    TableWriter,
    YoutubeVisWriter,
    export_coco,
    export_ctc,
    export_davis,
    export_geff,
    export_mot,
    export_ome_zarr,
    export_youtube_vis,
)
from napari_sam3.export.polygons import mask_polygons, single_polygon
from napari_sam3.labels.object_notes import ObjectNote
from napari_sam3.session.run_lengths import run_lengths
from tests.export.scene import FACTS, LABELS, OBJECTS, SHAPE, names, result_of

# ------------------------------------------------------------------------- COCO


@pytest.mark.parametrize("segmentation", ["rle", "polygon"])
def test_coco_gives_back_every_mask(tmp_path, segmentation, capsys):
    path = tmp_path / "coco.json"
    export_coco(path, LABELS, facts=FACTS, segmentation=segmentation, objects=OBJECTS)
    coco = COCO(path)
    assert [coco.imgs[n]["frame_index"] for n in sorted(coco.imgs)] == list(range(6))
    assert coco.imgs[3]["time_s"] == 0.5
    back = np.zeros_like(LABELS)
    for annotation in coco.anns.values():
        mask = coco.annToMask(annotation).astype(bool)
        back[annotation["image_id"] - 1][mask] = annotation["track_id"]
        assert mask.sum() == annotation["area"]
        x, y, width, height = annotation["bbox"]
        assert mask[y : y + height, x : x + width].sum() == mask.sum()
    np.testing.assert_array_equal(back, LABELS)
    assert {c["name"] for c in coco.loadCats(coco.getCatIds())} == {"cell", "object"}
    (cell,) = coco.getCatIds(catNms=["cell"])
    assert {coco.anns[n]["track_id"] for n in coco.getAnnIds(catIds=[cell])} == {3, 7, 8}
    assert {a["mother"] for a in coco.anns.values() if a["track_id"] in (7, 8)} == {3}


def test_coco_keeps_scores(tmp_path):
    with CocoWriter(tmp_path / "coco.json", SHAPE) as writer:
        writer.write(result_of(LABELS, 0))
    said = json.loads((tmp_path / "coco.json").read_text())
    assert {a["track_id"]: a["score"] for a in said["annotations"]} == {3: 0.97, 5: 0.95}


@pytest.mark.parametrize("seed", range(20))
def test_a_single_polygon_holds_all_of_a_mask(seed):
    random = np.random.default_rng(seed)
    smooth = cv2.GaussianBlur(random.standard_normal((90, 120)), (0, 0), 3)
    pieces = (smooth > random.uniform(-0.03, 0.05)).astype(np.uint8)
    polygons = coco_mask.frPyObjects([single_polygon(pieces > 0).ravel().tolist()], 90, 120)
    np.testing.assert_array_equal(coco_mask.decode(coco_mask.merge(polygons)), pieces)
    _, numbers, sizes, _ = cv2.connectedComponentsWithStats(pieces)
    whole = numbers == 1 + np.argmax(sizes[1:, cv2.CC_STAT_AREA])
    drawn = np.zeros(whole.shape, np.uint8)
    cv2.fillPoly(drawn, [single_polygon(whole).astype(np.int32)], 1)  # as YOLO's tools do
    np.testing.assert_array_equal(drawn, whole)
    drawn = np.zeros(whole.shape, np.uint8)
    cv2.fillPoly(drawn, [single_polygon(whole, along="pixels").astype(np.int32)], 1)
    np.testing.assert_array_equal(drawn, whole)


@pytest.mark.parametrize("shape", [(1, 1), (1, 4), (5, 1), (2, 2)])
@pytest.mark.parametrize("along", ["edges", "inset", "pixels"])
def test_a_single_polygon_of_few_pixels_has_corners_enough(shape, along):
    corners = single_polygon(np.ones(shape, bool), 3, 2, along=along)
    assert len(corners) >= 3
    whole = np.zeros((9, 9), np.uint8)
    whole[2 : 2 + shape[0], 3 : 3 + shape[1]] = 1
    if along == "pixels":
        drawn = cv2.fillPoly(np.zeros_like(whole), [corners.astype(np.int32)], 1)
    else:
        polygons = coco_mask.frPyObjects([corners.ravel().tolist()], 9, 9)
        drawn = coco_mask.decode(coco_mask.merge(polygons))
    np.testing.assert_array_equal(drawn, whole)


@pytest.mark.parametrize("seed", range(20))
def test_runs_and_polygons_of_ragged_masks_are_exact(seed):
    random = np.random.default_rng(seed)
    height, width = random.integers(1, 30, 2)
    crop = random.random((height, width)) < random.uniform(0.1, 0.95)
    crop[0, 0] = True
    size = (int(height) + 5, int(width) + 3)
    whole = np.zeros(size, bool)
    whole[2 : 2 + height, 1 : 1 + width] = crop
    runs = {"size": size, "counts": run_lengths(crop, 1, 2, size)}
    np.testing.assert_array_equal(coco_mask.decode(coco_mask.frPyObjects(runs, *size)), whole)
    single = [single_polygon(crop, 1, 2).ravel().tolist()]
    for polygons in (mask_polygons(crop, 1, 2), single):
        drawn = coco_mask.merge(coco_mask.frPyObjects(polygons, *size))
        np.testing.assert_array_equal(coco_mask.decode(drawn), whole)


def test_youtube_vis_has_a_mask_or_null_for_every_frame(tmp_path):
    path = tmp_path / "ytvis.json"
    export_youtube_vis(path, LABELS, facts=FACTS, objects=OBJECTS)
    said = json.loads(path.read_text())
    (video,) = said["videos"]
    assert (video["length"], video["height"], video["width"]) == SHAPE
    assert len(video["file_names"]) == SHAPE[0]
    categories = {c["id"]: c["name"] for c in said["categories"]}
    back = np.zeros_like(LABELS)
    for annotation in said["annotations"]:
        assert categories[annotation["category_id"]] == (
            OBJECTS[annotation["id"]].class_name or "object"
        )
        columns = annotation["segmentations"], annotation["bboxes"], annotation["areas"]
        for frame_index, (rle, bbox, area) in enumerate(zip(*columns, strict=True)):
            assert (rle is None) == (bbox is None) == (area is None)
            if rle is not None:
                mask = coco_mask.decode(rle).astype(bool)
                back[frame_index][mask] = annotation["id"]
                assert coco_mask.area(rle) == area
                assert coco_mask.toBbox(rle).tolist() == bbox
    np.testing.assert_array_equal(back, LABELS)


def test_youtube_vis_takes_the_last_of_frames_that_come_again(tmp_path):
    with YoutubeVisWriter(tmp_path / "y.json", SHAPE) as writer:
        writer.write_labels(0, LABELS[0], {3: ObjectNote(0.5, "prompt")})
        writer.write_labels(1, LABELS[3])
        writer.write_labels(1, LABELS[0], {3: ObjectNote(0.9, "propagated")})
    said = json.loads((tmp_path / "y.json").read_text())
    assert {a["id"] for a in said["annotations"]} == {3, 5}
    assert said["annotations"][0]["score"] == 0.7
    assert sum(mask is not None for mask in said["annotations"][0]["segmentations"]) == 2


# -------------------------------------------------------------------------- CTC


def test_ctc_folder_is_valid_and_keeps_masks_and_lineage(tmp_path):
    folder = tmp_path / "01_RES"
    export_ctc(folder, LABELS, facts=FACTS, objects=OBJECTS)
    assert validate_sequence(str(folder), threads=1) == {"Valid": 1}
    lines = (folder / "res_track.txt").read_text().splitlines()
    assert lines == ["3 0 2 0", "5 0 1 0", "7 3 4 3", "8 3 4 3", "9 3 4 5"]
    masks = np.stack([tifffile.imread(file) for file in sorted(folder.glob("mask*.tif"))])
    assert masks.dtype == np.uint16
    expected = LABELS.copy()
    expected[3:][LABELS[3:] == 5] = 9  # came back after a gap
    np.testing.assert_array_equal(masks, expected)
    assert names(tmp_path) == {"01_RES", "01_RES.video.json"}


def test_ctc_of_nothing_is_valid(tmp_path):
    with CtcWriter(tmp_path / "01_RES", SHAPE):
        pass
    assert len(list((tmp_path / "01_RES").glob("mask*.tif"))) == SHAPE[0]
    assert (tmp_path / "01_RES" / "res_track.txt").read_text() == ""


def test_ctc_refuses_ids_that_do_not_fit(tmp_path):
    labels = LABELS.astype(np.uint32)
    labels[0, 0, 0] = 70_000
    with pytest.raises(VideoError, match=r"70000 .* renumber"):
        export_ctc(tmp_path / "01_RES", labels)
    assert names(tmp_path) == set()


# ------------------------------------------------------------------------ boxes


def test_mot_boxes_are_where_the_reference_reader_finds_them(tmp_path):
    path = tmp_path / "mot.txt"
    with MotWriter(path, SHAPE) as writer:
        for frame_index in (3, 0):
            writer.write(result_of(LABELS, frame_index))
    assert path.read_text().splitlines()[0] == "1,3,5,4,16,12,0.97,1,1"
    table = motmetrics.io.loadtxt(path, fmt="mot15-2D")
    assert list(table.index) == [(1, 3), (1, 5), (4, 5), (4, 7), (4, 8)]
    # the reader counts pixels from 0
    assert table.loc[4, 7][["X", "Y", "Width", "Height"]].tolist() == [4, 3, 16, 5]
    assert table.loc[4, 7]["Confidence"] == 0.93
    assert set(table["Visibility"]) == {1}


def test_mot_of_whole_labels(tmp_path):
    export_mot(tmp_path / "mot.txt", LABELS)
    assert len((tmp_path / "mot.txt").read_text().splitlines()) == 2 + 2 + 1 + 3 + 3


# ------------------------------------------------------------------------ DAVIS


def test_davis_pictures_are_indexed_and_coloured(tmp_path):
    export_davis(tmp_path / "davis", LABELS)
    files = sorted((tmp_path / "davis").iterdir())
    assert [file.name for file in files] == [f"{n:05d}.png" for n in range(6)]
    for frame_index, file in enumerate(files):
        with Image.open(file) as image:
            assert image.mode == "P"
            np.testing.assert_array_equal(np.asarray(image), LABELS[frame_index])
            assert image.getpalette()[:12] == [0, 0, 0, 128, 0, 0, 0, 128, 0, 128, 128, 0]


def test_davis_refuses_ids_above_255(tmp_path):
    with pytest.raises(VideoError, match=r"261 .* renumber"):
        export_davis(tmp_path / "davis", LABELS + np.uint16(256))
    assert names(tmp_path) == set()


# --------------------------------------------------------------------- OME-Zarr


def test_ome_zarr_labels_follow_the_specification(tmp_path):
    path = tmp_path / "labels.ome.zarr"
    export_ome_zarr(path, LABELS, facts=FACTS, objects=OBJECTS)
    listed = Labels.from_zarr(zarr.open_group(path / "labels", mode="r"))
    assert listed.ome_attributes.labels == ["objects"]
    group = zarr.open_group(path / "labels" / "objects", mode="r")
    said = ImageLabel.from_zarr(group).ome_attributes
    (scale,) = said.multiscales[0].datasets[0].coordinateTransformations
    assert scale.scale == [0.25, 0.5, 0.4]
    assert [axis.unit for axis in said.multiscales[0].axes] == [
        "second",
        "micrometer",
        "micrometer",
    ]
    assert [color.label_value for color in said.image_label.colors] == [3, 5, 7, 8]
    assert said.image_label.source is None
    array = group["0"]
    assert array.chunks == (1, *SHAPE[1:])
    np.testing.assert_array_equal(array[:], LABELS)


def test_ome_zarr_labels_are_added_to_an_image(tmp_path):
    path = tmp_path / "image.ome.zarr"
    image = zarr.create_group(path)
    image.create_array("0", data=np.zeros((6, 2, *SHAPE[1:]), np.uint8))
    axes = [
        {"name": "t", "type": "time", "unit": "minute"},
        {"name": "c", "type": "channel"},
        *({"name": n, "type": "space", "unit": "nanometer"} for n in "yx"),
    ]
    steps = [{"type": "scale", "scale": [5, 1, 300, 200]}]
    datasets = [{"path": "0", "coordinateTransformations": steps}]
    image.attrs["ome"] = {"version": "0.5", "multiscales": [{"axes": axes, "datasets": datasets}]}
    for name in ("first", "second", "first"):
        export_ome_zarr(path, LABELS, facts=FACTS, name=name)
    listed = Labels.from_zarr(zarr.open_group(path / "labels", mode="r"))
    assert listed.ome_attributes.labels == ["first", "second"]
    said = ImageLabel.from_zarr(zarr.open_group(path / "labels" / "first")).ome_attributes
    (scale,) = said.multiscales[0].datasets[0].coordinateTransformations
    assert scale.scale == [5, 300, 200]
    assert said.multiscales[0].axes[0].unit == "minute"
    assert said.image_label.source.image == "../../"
    assert image["0"].shape == (6, 2, *SHAPE[1:])


def test_ome_zarr_touches_nothing_else(tmp_path):
    zarr.create_group(tmp_path / "other.zarr")
    (tmp_path / "folder").mkdir()
    for name in ("other.zarr", "folder"):
        with pytest.raises(VideoError, match="another place"):
            OmeZarrWriter(tmp_path / name, SHAPE)


# ------------------------------------------------------------------------ table


def test_the_table_tells_names_classes_mothers_and_sources(tmp_path):
    with TableWriter(tmp_path / "t.csv", SHAPE, objects=OBJECTS) as writer:
        writer.write_labels(3, LABELS[3], {7: ObjectNote(None, "painted")})
        writer.write(result_of(LABELS, 0), {3: "prompt"})
    with (tmp_path / "t.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    columns = ("id", "name", "class", "mother", "score", "source")
    assert [tuple(row[c] for c in columns) for row in rows] == [
        ("3", "", "cell", "", "0.9700", "prompt"),
        ("5", "bead 1", "", "", "0.9500", "propagated"),
        ("5", "bead 1", "", "", "", ""),
        ("7", 'Ann, "the" first', "cell", "3", "", "painted"),
        ("8", "", "cell", "3", "", ""),
    ]


# ------------------------------------------------------------------------- GEFF


def test_geff_links_objects_and_divisions(tmp_path):
    import geff

    path = tmp_path / "tracks.geff"
    export_geff(path, LABELS, facts=FACTS, objects=OBJECTS)
    geff.validate_structure(path)
    graph, metadata = geff.read(path)
    assert [(axis.name, axis.unit) for axis in metadata.axes] == [
        ("t", "second"),
        ("y", "micrometer"),
        ("x", "micrometer"),
    ]
    place = {n: (data["track_id"], data["frame"]) for n, data in graph.nodes(data=True)}
    links = {(place[a], place[b]) for a, b in graph.edges}
    assert ((3, 2), (7, 3)) in links
    assert ((3, 2), (8, 3)) in links
    assert ((5, 1), (5, 3)) in links  # over the gap
    assert len(links) == 2 + 1 + 1 + 2 + 3
    (node,) = [n for n, where in place.items() if where == (3, 1)]
    assert graph.nodes[node]["t"] == 0.25
    assert graph.nodes[node]["y"] == pytest.approx(8.5 * 0.5)
    assert graph.nodes[node]["x"] == pytest.approx(11.5 * 0.4)
    assert graph.nodes[node]["area"] == 12 * 16
    assert graph.nodes[node]["class"] == "cell"
    named = {place[n][0]: data["name"] for n, data in graph.nodes(data=True) if "name" in data}
    assert named == OBJECTS.names


def test_geff_has_scores_where_there_are_any(tmp_path):
    import geff

    with GeffWriter(tmp_path / "t.geff", SHAPE) as writer:
        writer.write(result_of(LABELS, 0))
        writer.write_labels(1, LABELS[1])
    graph, metadata = geff.read(tmp_path / "t.geff")
    assert metadata.axes[0].unit == "frame"
    assert sorted(d["score"] for _, d in graph.nodes(data=True) if "score" in d) == [0.95, 0.97]


def test_without_its_library_geff_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "geff", None)
    with pytest.raises(VideoError, match=r"pip install 'napari-sam3\[geff\]'"):
        GeffWriter(tmp_path / "t.geff", SHAPE)
