import csv
import json
import threading

import geff
import numpy as np
import pytest
import tifffile
from napari.layers import Image, Labels
from PIL import Image as Picture
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QApplication, QProgressDialog, QPushButton

from napari_sam3.errors import LayerError, VideoError
from napari_sam3.export.sidecar import read_sidecar
from napari_sam3.imports import open_labels
from napari_sam3.labels.label_stack import LabelStack
from napari_sam3.labels.object_notes import ObjectNote
from napari_sam3.labels.objects import ObjectTable
from napari_sam3.plugin.io.video_reader import read_layers
from napari_sam3.plugin.io.writers import (
    write_coco,
    write_coco_polygons,
    write_ctc,
    write_davis,
    write_geff,
    write_label_folder,
    write_label_tiff,
    write_mot,
    write_ome_zarr,
    write_overlay,
    write_table,
    write_table_with_video,
    write_youtube_vis,
)
from napari_sam3.plugin.layers.overlay import overlay_labels, overlay_place
from napari_sam3.plugin.layers.results_layer import ResultsLayer
from napari_sam3.plugin.layers.stack_axes import StackAxes, guess_axes
from napari_sam3.video import open_video
from napari_sam3.video.content_hash import hash_content
from napari_sam3.video.video_writer import VideoWriter

SPACED = {
    "scale": (0.04, 500, 400),
    "units": ("s", "nm", "nm"),
    "axis_labels": ("t", "y", "x"),
}


def _labels():
    labels = np.zeros((4, 48, 64), np.uint16)
    labels[1, 10:30, 20:40] = 7
    labels[2, 12:32, 22:42] = 7
    return labels


def _data_of(layer):
    data, attributes, _ = layer.as_layer_data_tuple()
    return data, attributes


def test_tiff_keeps_labels_time_and_pixel_size(tmp_path):
    path = str(tmp_path / "out.tif")
    assert write_label_tiff(path, *_data_of(Labels(_labels(), **SPACED))) == [path]
    with tifffile.TiffFile(path) as tiff:
        assert np.array_equal(tiff.asarray(), _labels())
        assert tiff.imagej_metadata["finterval"] == pytest.approx(0.04)
        assert tiff.imagej_metadata["unit"] in ("um", "µm", "\\u00B5m")
        pixels, micrometres = tiff.pages[0].tags["XResolution"].value
        assert micrometres / pixels == pytest.approx(0.4, rel=1e-3)


def test_tiff_of_a_layer_in_pixels_claims_no_size(tmp_path):
    path = str(tmp_path / "out.tif")
    write_label_tiff(path, *_data_of(Labels(_labels())))
    with tifffile.TiffFile(path) as tiff:
        assert "finterval" not in tiff.imagej_metadata
        assert "unit" not in tiff.imagej_metadata


def test_table_has_times_in_seconds(tmp_path):
    path = tmp_path / "out.csv"
    write_table(str(path), *_data_of(Labels(_labels(), **SPACED)))
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(r["frame"], r["id"], r["area"]) for r in rows] == [
        ("1", "7", "400"),
        ("2", "7", "400"),
    ]
    assert [float(r["time_s"]) for r in rows] == pytest.approx([0.04, 0.08])


def test_folder_has_a_picture_for_each_frame(tmp_path):
    write_label_folder(str(tmp_path / "masks"), *_data_of(Labels(_labels())))
    files = sorted((tmp_path / "masks").iterdir())
    assert len(files) == 4
    assert np.array_equal(np.asarray(Picture.open(files[1])), _labels()[1])


def test_labels_kept_squeezed_are_written(tmp_path):
    planes = LabelStack((4, 48, 64))
    planes[:] = _labels()
    path = str(tmp_path / "out.tif")
    write_label_tiff(path, *_data_of(Labels(planes)))
    assert np.array_equal(tifffile.imread(path), _labels())


def test_labels_of_a_stack_are_written_as_frames(tmp_path):
    image = Image(np.zeros((4, 3, 48, 64), np.uint8), contrast_limits=(0, 255))
    axes = StackAxes(0, None, {1: 2})
    layer = Labels(overlay_labels(_labels(), image, axes), **overlay_place(image, axes))
    path = str(tmp_path / "out.tif")
    write_label_tiff(path, *_data_of(layer))
    assert np.array_equal(tifffile.imread(path), _labels())


def test_flat_labels_are_one_frame(tmp_path):
    write_label_folder(str(tmp_path / "masks"), *_data_of(Labels(_labels()[1])))
    assert len(list((tmp_path / "masks").iterdir())) == 1


def test_labels_of_more_axes_are_refused_with_the_remedy(tmp_path):
    data = _data_of(Labels(np.zeros((4, 3, 48, 64), np.uint16)))
    with pytest.raises(LayerError, match=r"labels\.data\[:, 0\]"):
        write_label_tiff(str(tmp_path / "out.tif"), *data)


def test_overlay_shows_the_labels_where_they_lie_on_the_video(tmp_path):
    image = Image(np.full((4, 48, 64), 100, np.uint8), contrast_limits=(0, 255), **SPACED)
    moved = Labels(_labels(), **SPACED, translate=(0, 0, 10 * 400))
    layers = [layer.as_layer_data_tuple() for layer in (moved, image)]
    path = str(tmp_path / "out.mp4")
    assert write_overlay(path, layers) == [path]
    with open_video(path) as film:
        assert film.shape == (4, 48, 64, 3)
        plain, drawn = film[0].astype(int), film[1].astype(int)
    changed = np.abs(drawn - plain).max(axis=-1) > 30
    rows, columns = np.nonzero(changed)
    assert (rows.min(), rows.max()) == pytest.approx((10, 29), abs=1)
    assert (columns.min(), columns.max()) == pytest.approx((30, 49), abs=1)


def test_overlay_scales_16_bits_by_the_contrast_limits(tmp_path):
    frames = np.full((2, 48, 64), 1000, np.uint16)
    frames[:, :, 32:] = 3000
    image = Image(frames, contrast_limits=(1000, 3000))
    labels = Labels(np.zeros(frames.shape, np.uint16))
    path = str(tmp_path / "out.mp4")
    write_overlay(path, [layer.as_layer_data_tuple() for layer in (image, labels)])
    with open_video(path) as film:
        assert film[0, 24, 10].max() < 12
        assert film[0, 24, 50].min() > 243


WRITERS = {
    "coco.json": write_coco,
    "polygons.json": write_coco_polygons,
    "ytvis.json": write_youtube_vis,
    "01_RES": write_ctc,
    "davis": write_davis,
    "l.ome.zarr": write_ome_zarr,
}


@pytest.mark.parametrize("name", WRITERS)
def test_other_formats_come_back_with_what_the_layer_knows(tmp_path, name):
    path = tmp_path / name
    layer = Labels(_labels(), **SPACED, features={"index": [0, 7], "class": ["", "cell"]})
    assert WRITERS[name](str(path), *_data_of(layer)) == [str(path)]
    with open_labels(path) as labels:
        assert np.array_equal([labels[t] for t in range(4)], _labels())
        assert labels.facts.fps == pytest.approx(25)
        assert labels.facts.pixel_size == pytest.approx((0.5, 0.4))
        assert labels.facts.unit == "um"
        if name.endswith((".json", ".zarr")):
            assert labels.objects.classes == {7: "cell"}


def test_what_is_known_of_objects_is_written(tmp_path):
    labels = _labels()
    labels[3, 10:20, 20:40], labels[3, 22:30, 20:40] = 8, 9
    planes = LabelStack(labels.shape)
    for t in range(4):
        planes.draw(t, labels[t], {7: ObjectNote(0.5, "prompt" if t == 1 else "propagated")})
    objects = ObjectTable()
    objects.rename(7, "Eve")
    objects.mark_division(7, [8, 9], 3)
    features = {"index": [8], "class": ["cell"], "name": [None]}  # a column of the person's own
    layer = Labels(planes, metadata={"objects": objects}, features=features)
    path = tmp_path / "out.csv"
    write_table(str(path), *_data_of(layer))
    with path.open(newline="") as file:
        rows = [
            tuple(r[c] for c in ("id", "name", "class", "mother", "score", "source"))
            for r in csv.DictReader(file)
        ]
    assert rows == [
        ("7", "Eve", "", "", "0.5000", "prompt"),
        ("7", "Eve", "", "", "0.5000", "propagated"),
        ("8", "", "cell", "7", "", ""),
        ("9", "", "", "7", "", ""),
    ]
    write_ctc(str(tmp_path / "01_RES"), *_data_of(layer))
    lineage = (tmp_path / "01_RES" / "res_track.txt").read_text()
    assert lineage == "7 1 2 0\n8 3 3 7\n9 3 3 7\n"


def test_a_long_writing_can_be_stopped(tmp_path, qtbot, monkeypatch):
    monkeypatch.setattr("napari_sam3.plugin.io.save_in_background.SHOWN_AFTER_MS", 0)
    path = tmp_path / "out.tif"
    path.write_bytes(b"before")

    class Slow(LabelStack):
        """Labels of which the second frame does not come before the dialog is there."""

        def __getitem__(self, key):
            if key == 1:
                assert is_stopped.wait(60)
            return super().__getitem__(key)

    is_stopped = threading.Event()

    def press_stop():
        (dialog,) = [w for w in QApplication.topLevelWidgets() if isinstance(w, QProgressDialog)]
        if not dialog.isVisible():
            QTimer.singleShot(20, press_stop)
            return
        dialog.findChild(QPushButton).click()
        is_stopped.set()

    QTimer.singleShot(20, press_stop)
    planes = Slow((4, 48, 64))
    planes[:] = _labels()
    with pytest.raises(VideoError, match="stopped"):
        write_label_tiff(str(path), planes, {})
    assert path.read_bytes() == b"before"
    assert [file.name for file in tmp_path.iterdir()] == ["out.tif"]


def test_boxes_and_tracks_are_written(tmp_path):
    write_mot(str(tmp_path / "mot.txt"), *_data_of(Labels(_labels())))
    assert (tmp_path / "mot.txt").read_text().splitlines()[0] == "2,7,21,11,20,20,1,1,1"
    write_geff(str(tmp_path / "t.geff"), *_data_of(Labels(_labels())))
    graph, _ = geff.read(tmp_path / "t.geff")
    assert len(graph.edges) == 1


def test_labels_of_a_video_bring_its_facts(tmp_path):
    film = tmp_path / "film.mp4"
    with VideoWriter(film, 5) as writer:
        for _ in range(4):
            writer.write(np.zeros((48, 64), np.uint8))
    ((video, attributes, _),) = read_layers(film)
    image = Image(video, **attributes)
    layer = ResultsLayer(image, guess_axes(image)).layer
    write_mot(str(tmp_path / "mot.txt"), *_data_of(layer))
    facts = read_sidecar(tmp_path / "mot.txt")
    assert (facts.name, facts.fps, facts.sha256) == ("film.mp4", 5, hash_content(film))
    layers = [one.as_layer_data_tuple() for one in (layer, image)]
    write_overlay(str(tmp_path / "o.mp4"), layers)
    assert read_sidecar(tmp_path / "o.mp4") == facts


def test_labels_of_a_folder_of_pictures_name_them(tmp_path):
    folder = tmp_path / "cam1"
    folder.mkdir()
    for number in (7, 8, 10, 11):
        Picture.fromarray(np.zeros((48, 64), np.uint8)).save(folder / f"IMG_{number:04d}.JPG")
    ((video, attributes, _),) = read_layers(folder)
    image = Image(video, **attributes)
    results = ResultsLayer(image, guess_axes(image))
    results.planes[2:] = _labels()[2:]
    write_coco(str(tmp_path / "c.json"), *_data_of(results.layer))
    images = json.loads((tmp_path / "c.json").read_text())["images"]
    assert [one["file_name"] for one in images] == ["cam1/IMG_0010.JPG", "cam1/IMG_0011.JPG"]
    with open_labels(tmp_path / "c.json") as labels:
        assert labels.processed_frames().tolist() == [2, 3]
        np.testing.assert_array_equal(labels[2], _labels()[2])


def test_the_hash_of_a_large_video_is_left_out(tmp_path, monkeypatch):
    monkeypatch.setattr("napari_sam3.plugin.io.writers.MOST_HASHED", 3)
    (tmp_path / "film.mp4").write_bytes(b"long")
    metadata = {"video": {"path": str(tmp_path / "film.mp4")}}
    write_mot(str(tmp_path / "m.txt"), *_data_of(Labels(_labels(), metadata=metadata)))
    facts = read_sidecar(tmp_path / "m.txt")
    assert (facts.name, facts.sha256) == ("film.mp4", None)


def test_table_with_the_video_has_intensities(tmp_path):
    frames = np.zeros((4, 48, 64), np.uint16)
    frames[1, 10:30, 20:40] = 1234
    image = Image(frames, contrast_limits=(0, 2000), **SPACED)
    layers = [layer.as_layer_data_tuple() for layer in (Labels(_labels(), **SPACED), image)]
    path = tmp_path / "out.csv"
    assert write_table_with_video(str(path), layers) == [str(path)]
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert float(rows[0]["mean_intensity"]) == 1234
    assert float(rows[0]["area_um2"]) == pytest.approx(400 * 0.5 * 0.4)
