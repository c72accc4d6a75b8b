"""What ilastik exports as HDF5 comes in by the axes that it tells."""

from __future__ import annotations

import json
import sys
import zlib

import h5py
import numpy as np
import pytest

from napari_sam3.errors import VideoError
from napari_sam3.imports import open_labels

LABELS = np.zeros((3, 8, 9), np.uint32)
LABELS[0, 1:4, 2:5] = 1
LABELS[2, 1:4, 2:5] = 70_000


def write(path, data, axes, name="exported_data", **options):
    with h5py.File(path, "w") as file:
        made = file.create_dataset(name, data=data, **options)
        if axes:
            made.attrs["axistags"] = json.dumps(
                {"axes": [{"key": key, "typeFlags": 2, "resolution": 0} for key in axes]}
            )
    return path


@pytest.mark.parametrize(
    ("data", "axes"),
    [
        (LABELS[..., None], "tyxc"),
        (LABELS[:, None, :, :, None], "tzyxc"),
        (LABELS.transpose(2, 1, 0), "xyt"),
        (LABELS, ""),
    ],
)
@pytest.mark.parametrize("packed", [{}, {"compression": "gzip", "shuffle": True}])
def test_axes_are_those_that_the_file_tells(tmp_path, data, axes, packed):
    with open_labels(write(tmp_path / "a.h5", data, axes, **packed)) as labels:
        assert labels.shape == LABELS.shape
        for n in range(3):
            np.testing.assert_array_equal(labels[n], LABELS[n])


def test_one_picture_is_one_frame(tmp_path):
    with open_labels(write(tmp_path / "a.hdf5", LABELS[0], "yx")) as labels:
        assert labels.shape == (1, 8, 9)
        assert labels[0].max() == 1


def test_what_is_something_else_is_refused_by_what_it_is(tmp_path):
    path = tmp_path / "a.h5"
    for data, axes, said in (
        (LABELS.astype(np.float32), "tyx", "as of probabilities"),
        (np.zeros((3, 8, 9, 2), np.uint8), "tyxc", "one plane and one channel"),
        (LABELS, "tyxc", "axistags tell of"),
        (LABELS, "tyy", "axistags tell of"),
        (LABELS, "tyc", "only t, y and x"),
        (np.zeros((2,) * 6, np.uint8), "", "no axistags"),
    ):
        with pytest.raises(VideoError, match=said):
            open_labels(write(path, data, axes))
    with pytest.raises(VideoError, match=r"no data set .* it has 'volume'"):
        open_labels(write(path, LABELS, "tyx", name="volume"))
    path.write_bytes(b"no HDF5")
    with pytest.raises(VideoError, match="can't be read"):
        open_labels(path)


def test_nothing_outside_the_file_is_opened(tmp_path):
    write(tmp_path / "other.h5", LABELS, "tyx")
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file["exported_data"] = h5py.ExternalLink(str(tmp_path / "other.h5"), "exported_data")
    with pytest.raises(VideoError, match="no data set"):
        open_labels(path)
    (tmp_path / "raw").write_bytes(b"\1" * 72)
    with h5py.File(path, "w") as file:
        file.create_dataset(
            "exported_data", (8, 9), "u1", external=[(str(tmp_path / "raw"), 0, 72)]
        )
    with pytest.raises(VideoError, match="in other files"):
        open_labels(path)
    with h5py.File(path, "w") as file:
        layout = h5py.VirtualLayout((3, 8, 9), "u4")
        layout[:] = h5py.VirtualSource(str(tmp_path / "other.h5"), "exported_data", (3, 8, 9))
        file.create_virtual_dataset("exported_data", layout)
    with pytest.raises(VideoError, match="in other files"):
        open_labels(path)


def test_chunks_larger_than_they_say_and_sizes_beyond_all_memory_are_refused(tmp_path):
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        data = file.create_dataset(
            "exported_data", (3, 8, 9), "u1", chunks=(1, 8, 9), compression="gzip"
        )
        data.id.write_direct_chunk((1, 0, 0), zlib.compress(b"\1" * 10**7))
        data[2] = 5
    with open_labels(path) as labels:
        assert not labels[0].any()
        assert labels[2].all()
        with pytest.raises(VideoError, match="more than it says"):
            labels[1]
    with h5py.File(path, "w") as file:
        file.create_dataset("exported_data", (2, 2**20, 2**20), "u1", chunks=(1, 64, 64))
    with pytest.raises(VideoError, match="too large"):
        open_labels(path)
    with h5py.File(path, "w") as file:
        sides = 2**10, 2**10
        file.create_dataset("exported_data", (2**20, *sides), "u1", chunks=(2**11, *sides))
    with pytest.raises(VideoError, match="chunks take"):
        open_labels(path)


def test_without_the_package_the_way_to_it_is_told(tmp_path, monkeypatch):
    path = write(tmp_path / "a.h5", LABELS, "tyx")
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(VideoError, match=r"napari-sam3\[hdf5\]"):
        open_labels(path)
