"""An OME-Zarr that was written opens at its own path: its image is the video, or the labels."""

from __future__ import annotations

import numpy as np
import pytest
import zarr

from napari_sam3.errors import VideoError
from napari_sam3.export import OmeZarrWriter
from napari_sam3.export.writer import write_all
from napari_sam3.imports import open_labels
from napari_sam3.video.array_video import ArrayVideo
from tests.export.scene import FACTS, LABELS, OBJECTS, SHAPE

GREY = np.arange(np.prod(SHAPE), dtype=np.uint16).reshape(SHAPE)
COLOUR = np.stack([GREY % 200, GREY % 100, GREY % 50], axis=-1).astype(np.uint8)

versions = pytest.mark.parametrize("version", ["0.4", "0.5"])


def write(path, version, **options):
    writer = OmeZarrWriter(path, SHAPE, facts=FACTS, objects=OBJECTS, version=version, **options)
    write_all(writer, LABELS)
    return zarr.open_group(path, mode="r")


def said(group):
    return dict(dict(group.attrs).get("ome", group.attrs))


def image_of(group):
    """The image that readers find at the group, with its axes and their steps."""
    (multiscale,) = said(group)["multiscales"]
    (level,) = multiscale["datasets"]
    (step,) = level["coordinateTransformations"]
    axes = "".join(axis["name"] for axis in multiscale["axes"])
    return np.asarray(group[level["path"]]), axes, step["scale"]


@versions
def test_without_the_video_the_labels_are_the_image(tmp_path, version):
    group = write(tmp_path / "a.ome.zarr", version)
    image, axes, scale = image_of(group)
    np.testing.assert_array_equal(image, LABELS)
    assert (axes, scale) == ("tyx", [0.25, 0.5, 0.4])
    assert group.metadata.zarr_format == (2 if version == "0.4" else 3)


@versions
@pytest.mark.parametrize("film", [GREY, COLOUR], ids=["grey", "colour"])
def test_the_video_is_the_image_in_its_own_values(tmp_path, version, film):
    path = tmp_path / "a.ome.zarr"
    told = []
    group = write(
        path, version, copied_video=ArrayVideo(film), on_progress=lambda *n: told.append(n)
    )
    image, axes, scale = image_of(group)
    is_grey = film.ndim == 3
    assert axes == ("tyx" if is_grey else "tcyx")
    assert scale == ([0.25, 0.5, 0.4] if is_grey else [0.25, 1.0, 0.5, 0.4])
    np.testing.assert_array_equal(image, film if is_grey else np.moveaxis(film, -1, 1))
    assert image.dtype == film.dtype
    assert said(group["labels/objects"])["image-label"]["source"] == {"image": "../../"}
    assert told == [(n, 6) for n in range(1, 7)]
    with open_labels(path) as labels:
        np.testing.assert_array_equal([labels[t] for t in range(6)], LABELS)


@versions
def test_labels_that_are_written_again_keep_the_video(tmp_path, version):
    path = tmp_path / "a.ome.zarr"
    write(path, version, copied_video=ArrayVideo(COLOUR))
    group = write(path, version)
    image, axes, _ = image_of(group)
    assert axes == "tcyx"
    np.testing.assert_array_equal(image, np.moveaxis(COLOUR, -1, 1))
    assert said(group["labels/objects"])["image-label"]["source"] == {"image": "../../"}


@versions
def test_the_video_can_come_later(tmp_path, version):
    path = tmp_path / "a.ome.zarr"
    write(path, version)
    group = write(path, version, copied_video=ArrayVideo(GREY))
    np.testing.assert_array_equal(image_of(group)[0], GREY)


def test_versions_are_not_mixed(tmp_path):
    write(tmp_path / "old.zarr", "0.4")
    write(tmp_path / "new.zarr", "0.5")
    with pytest.raises(VideoError, match="no Zarr 3 group"):
        OmeZarrWriter(tmp_path / "old.zarr", SHAPE, version="0.5")
    with pytest.raises(VideoError, match="no Zarr 2 group"):
        OmeZarrWriter(tmp_path / "new.zarr", SHAPE, version="0.4")
    with pytest.raises(ValueError, match=r"0\.4"):
        OmeZarrWriter(tmp_path / "a.zarr", SHAPE, version="0.3")
    with pytest.raises(ValueError, match="the video has shape"):
        OmeZarrWriter(tmp_path / "a.zarr", SHAPE, copied_video=GREY[1:])
