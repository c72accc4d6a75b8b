import csv

import numpy as np
import pytest
import tifffile
from napari.layers import Image, Labels
from PIL import Image as Picture

from napari_sam3.errors import LayerError
from napari_sam3.labels.planes import LabelPlanes
from napari_sam3.plugin.overlay import overlay_labels, overlay_place
from napari_sam3.plugin.stack import StackAxes
from napari_sam3.plugin.writers import (
    write_label_folder,
    write_label_tiff,
    write_overlay,
    write_table,
)
from napari_sam3.video import open_video

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
    planes = LabelPlanes((4, 48, 64))
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
