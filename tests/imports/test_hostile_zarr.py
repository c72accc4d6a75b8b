"""Zarr folders of labels that lead elsewhere, never end, or inflate beyond all memory."""

from __future__ import annotations

import gzip
import json
import os

import numpy as np
import pytest
import zarr
from numcodecs import GZip, Pickle, Zstd

from napari_sam3.errors import VideoError
from napari_sam3.imports import open_labels

SHAPE = (3, 20, 30)
LABELS = np.random.default_rng(0).integers(0, 5, SHAPE).astype(np.uint16)


def write(path, *, zarr_format=3, compressor="auto", **options):
    group = zarr.create_group(path, zarr_format=zarr_format)
    said = {
        "image-label": {},
        "multiscales": [{"axes": [{"name": n} for n in "tyx"], "datasets": [{"path": "0"}]}],
    }
    group.attrs.update(said if zarr_format == 2 else {"ome": said})
    array = group.create_array(
        "0",
        shape=SHAPE,
        chunks=(1, *SHAPE[1:]),
        dtype=LABELS.dtype,
        compressors=compressor,
        **options,
    )
    array[:] = LABELS
    return path


def chunk_of(path, frame_index):
    found = [p for p in path.rglob("*") if p.is_file() and _number(p) == frame_index]
    assert len(found) == 1
    return found[0]


def _number(path):
    name = path.relative_to(path.parents[-1]).as_posix()
    for tail in (f"/c/{t}/0/0" for t in range(3)):
        if name.endswith(tail):
            return int(tail[3])
    return int(path.name[0]) if path.name in ("0.0.0", "1.0.0", "2.0.0") else None


KINDS = {
    "v3 zstd": {},
    "v3 gzip": {"compressor": zarr.codecs.GzipCodec()},
    "v3 blosc": {"compressor": zarr.codecs.BloscCodec()},
    "v3 plain": {"compressor": None},
    "v3 shards": {"shards": (3, *SHAPE[1:])},
    "v2 zstd": {"zarr_format": 2},
    "v2 gzip": {"zarr_format": 2, "compressor": GZip()},
}


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_right_is_read(tmp_path, kind):
    with open_labels(write(tmp_path / "a.zarr", **KINDS[kind])) as labels:
        for t in range(3):
            np.testing.assert_array_equal(labels[t], LABELS[t])


@pytest.mark.parametrize("kind", [k for k in KINDS if "shards" not in k])
@pytest.mark.parametrize("how", ["link", "pipe", "large"])
def test_a_chunk_that_is_no_plain_file_is_refused(tmp_path, kind, how):
    path = write(tmp_path / "a.zarr", **KINDS[kind])
    place = chunk_of(path, 1)
    if how == "link":
        place.rename(tmp_path / "mine")
        place.symlink_to(tmp_path / "mine")
    elif how == "pipe":
        place.unlink()
        os.mkfifo(place)
    else:
        with place.open("r+b") as file:
            file.truncate(8 * 2**30)
    with open_labels(path) as labels:
        np.testing.assert_array_equal(labels[0], LABELS[0])
        with pytest.raises(VideoError, match=r"link|pipe|MB"):
            labels[1]


@pytest.mark.parametrize(
    ("kind", "pack"),
    [
        ("v3 zstd", Zstd().encode),
        ("v3 gzip", gzip.compress),
        ("v2 gzip", gzip.compress),
        ("v2 zstd", Zstd().encode),
    ],
)
def test_a_chunk_that_inflates_beyond_its_size_is_not_unpacked(tmp_path, kind, pack):
    path = write(tmp_path / "a.zarr", **KINDS[kind])
    chunk_of(path, 1).write_bytes(pack(bytes(2**26)))
    with open_labels(path) as labels, pytest.raises(VideoError, match="should"):
        labels[1]


@pytest.mark.parametrize("name", ["zarr.json", "0", "0/zarr.json", "0/c"])
def test_a_link_to_a_part_is_refused(tmp_path, name):
    path = write(tmp_path / "a.zarr")
    (path / name).rename(tmp_path / "mine")
    (path / name).symlink_to(tmp_path / "mine")
    with pytest.raises(VideoError), open_labels(path) as labels:
        labels[0]


def test_what_may_run_code_is_not_unpacked(tmp_path):
    path = write(tmp_path / "a.zarr", zarr_format=2)
    place = path / "0" / ".zarray"
    said = json.loads(place.read_text())
    place.write_text(json.dumps({**said, "filters": [Pickle().get_config()]}))
    with pytest.raises(VideoError, match="pickle"):
        open_labels(path)


@pytest.mark.parametrize("key", ["shape", "chunks"])
def test_sizes_beyond_all_memory_are_refused(tmp_path, key):
    path = write(tmp_path / "a.zarr", zarr_format=2)
    place = path / "0" / ".zarray"
    said = json.loads(place.read_text())
    place.write_text(json.dumps({**said, key: [1, 2**20, 2**20]}))
    with pytest.raises(VideoError, match=r"large|GB"):
        open_labels(path)
