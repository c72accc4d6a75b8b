"""Images with labels, and regions, as the programs of microscopy see them."""

from __future__ import annotations

import napari_ome_zarr
import ngff_zarr
import numpy as np
import ome_zarr.io
import ome_zarr.reader
import pytest
import roifile
import zarr
from ome_zarr_models import v04, v05
from pycocotools import mask as coco_mask

from tests.formats.film import PROCESSED, SHAPE, make_labels, seen

pytestmark = pytest.mark.formats

LABELS = make_labels(70_000)
NAMES = ("ome-zarr", "ome-zarr-0.4")
CASES = [(name, images) for name in NAMES for images in (None, "png")]


def film(video) -> np.ndarray:
    """(T, 3, H, W)."""
    return np.moveaxis(np.stack([video[t] for t in range(len(video))]), -1, 1)


@pytest.mark.parametrize(("name", "images"), CASES)
def test_ome_zarr_py_opens_the_path(export, video, name, images):
    path = export(name, images=images)
    nodes = list(ome_zarr.reader.Reader(ome_zarr.io.parse_url(str(path)))())
    arrays = [np.asarray(node.data[0]) for node in nodes if node.data]
    assert len(arrays) == 2, "the image, and the labels"
    np.testing.assert_array_equal(arrays[0], LABELS if images is None else film(video))
    np.testing.assert_array_equal(arrays[1], LABELS)
    (said,) = [node.metadata for node in nodes if "color" in node.metadata]
    assert set(said["color"]) == {3, 5, 7, 8, 70_000}
    assert said["properties"][7]["name"] == "Ann"
    assert said["properties"][7]["mother"] == 3


@pytest.mark.parametrize(("name", "images"), CASES)
def test_napari_ome_zarr_opens_the_path(export, video, name, images):
    path = export(name, images=images)
    layers = napari_ome_zarr.napari_get_reader(str(path))(str(path))
    kinds = [kind for *_, kind in layers]
    assert kinds == ["image", "labels"]
    (levels, _, _), (labels, said, _) = layers
    first = np.asarray(levels[0] if isinstance(levels, list) else levels)
    np.testing.assert_array_equal(first, LABELS if images is None else film(video))
    last = np.asarray(labels[0] if isinstance(labels, list) else labels)
    np.testing.assert_array_equal(last, LABELS)
    assert said["scale"] == [1, 1, 1]


@pytest.mark.parametrize(("name", "images"), CASES)
def test_ngff_zarr_opens_the_path(export, video, name, images):
    path = export(name, images=images)
    found = ngff_zarr.from_ngff_zarr(path, validate=True)
    image = found.images[0]
    expected = LABELS if images is None else film(video)
    np.testing.assert_array_equal(np.asarray(image.data), expected)
    assert list(image.dims) == (["t", "y", "x"] if images is None else ["t", "c", "y", "x"])
    labels = ngff_zarr.from_ngff_zarr(path / "labels/objects")
    np.testing.assert_array_equal(np.asarray(labels.images[0].data), LABELS)


@pytest.mark.parametrize(("name", "images"), CASES)
def test_ome_zarr_models_finds_it_as_specified(export, name, images):
    path = export(name, images=images)
    models = v04 if name.endswith("0.4") else v05
    group = zarr.open_group(path, mode="r")
    assert models.Image.from_zarr(group).ome_attributes.multiscales
    assert models.Labels.from_zarr(group["labels"]).ome_attributes.labels == ["objects"]
    assert models.ImageLabel.from_zarr(group["labels/objects"]).ome_attributes.image_label


def test_roifile_reads_regions_of_imagej(export):
    regions = roifile.roiread(export("imagej"))
    found = {}
    for region in regions:
        frame, obj_id = map(int, region.name.split("-"))
        assert region.position == frame
        assert region.roitype == roifile.ROI_TYPE.TRACED
        polygon = region.coordinates().astype(float).ravel().tolist()
        drawn = coco_mask.merge(coco_mask.frPyObjects([polygon], *SHAPE[1:]))
        found[frame - 1, obj_id] = coco_mask.decode(drawn) > 0
    expected = seen()
    assert found.keys() == expected.keys()
    for key, mask in found.items():
        np.testing.assert_array_equal(mask, expected[key])
    assert sorted({t for t, _ in found}) == PROCESSED
