"""OME-Zarr and Zarr as video, of both formats; what is no picture, and what is hostile."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

from napari_sam3.errors import VideoError
from napari_sam3.video import open_video
from napari_sam3.video.content_hash import hash_content, hash_samples

from .stacks import CHANNELS, STACK, write_image, write_ome_zarr


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_the_finest_level_of_an_image(tmp_path: Path, zarr_format: int) -> None:
    path = write_ome_zarr(tmp_path / "a.ome.zarr", zarr_format)
    with open_video(path, channel="GFP", z=1) as video:
        np.testing.assert_array_equal(video[:], STACK[:, 1, 1])
        assert video.fps == pytest.approx(0.5)
        assert video.metadata["pixel_size"] == (0.5, 0.5)
        assert video.metadata["pixel_unit"] == "um"
        assert video.metadata["channels"] == tuple(CHANNELS)
        assert video.path == path
        assert video.choice.channel == 1
        np.testing.assert_array_equal(video.reopen()[2], STACK[2, 1, 1])
    with pytest.raises(VideoError, match=r"which channel\?.*'DAPI', 'GFP'"):
        open_video(path)


def test_a_level_by_itself_and_a_bare_array(tmp_path: Path) -> None:
    path = write_ome_zarr(tmp_path / "a.ome.zarr")
    np.testing.assert_array_equal(open_video(path / "0", channel=1, z=2)[1], STACK[1, 1, 2])
    zarr.create_array(str(tmp_path / "b.zarr"), data=STACK[:, 0, 0], chunks=(2, 20, 30))
    np.testing.assert_array_equal(open_video(tmp_path / "b.zarr")[:], STACK[:, 0, 0])
    named = zarr.create_array(
        str(tmp_path / "c.zarr"),
        shape=(3, 4, 20, 30),
        chunks=(1, 1, 20, 30),
        dtype="u2",
        dimension_names=["z", "t", "y", "x"],
    )
    named[:] = STACK[:, 0].swapaxes(0, 1)
    np.testing.assert_array_equal(open_video(tmp_path / "c.zarr", z=1)[:], STACK[:, 0, 1])


def test_scenes_of_a_converted_file(tmp_path: Path) -> None:
    group = zarr.open_group(str(tmp_path / "a.zarr"), mode="w", zarr_format=2)
    group.attrs["bioformats2raw.layout"] = 3
    for scene in range(2):
        write_image(group.create_group(str(scene)), 2, STACK + scene)
    with pytest.raises(VideoError, match=r"2 scenes: which one\? Say scene=0 \(--scene 0\)"):
        open_video(tmp_path / "a.zarr")
    video = open_video(tmp_path / "a.zarr", scene=1, channel=0, z=0)
    np.testing.assert_array_equal(video[:], STACK[:, 0, 0] + 1)
    assert video.choice.scene == 1
    assert video.reopen().choice == video.choice


NO_PICTURES: dict[str, tuple[dict[str, Any], str]] = {
    "a plate": ({"plate": {"wells": [{"path": "B/2"}]}}, r"a plate of wells.*B/2/0"),
    "a well": ({"well": {"images": [{"path": "1"}]}}, r"a well of a plate.*/1'"),
    "labels": ({"image-label": {}}, "holds labels"),
    "nothing": ({}, "a group of Zarr without a picture"),
    "a picture that is not there": (
        {"multiscales": [{"datasets": [{"path": "0"}]}]},
        "can't be read as Zarr",
    ),
    "nonsense": ({"multiscales": 7}, "can't be read as Zarr"),
}


@pytest.mark.parametrize(("said", "message"), NO_PICTURES.values(), ids=NO_PICTURES)
def test_what_is_no_picture_is_refused(tmp_path: Path, said: dict[str, Any], message: str) -> None:
    zarr.open_group(str(tmp_path / "a.zarr"), mode="w", attributes={"ome": said})
    with pytest.raises(VideoError, match=message):
        open_video(tmp_path / "a.zarr")


def test_a_link_out_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    path = write_ome_zarr(tmp_path / "a.zarr")
    chunk = path / "0" / "c" / "0" / "0" / "0" / "0" / "0"
    (tmp_path / "secret").write_bytes(chunk.read_bytes())
    chunk.unlink()
    chunk.symlink_to(tmp_path / "secret")
    with pytest.raises(VideoError, match="link"):
        open_video(path, channel=0, z=0).frame(0)


def test_a_chunk_that_fills_the_memory_is_refused(tmp_path: Path) -> None:
    path = write_ome_zarr(tmp_path / "a.zarr")
    place = path / "0" / "zarr.json"
    said = json.loads(place.read_text())
    said["shape"] = [4, 2, 3, 200_000, 200_000]
    said["chunk_grid"]["configuration"]["chunk_shape"] = [4, 2, 3, 200_000, 200_000]
    place.write_text(json.dumps(said))
    with pytest.raises(VideoError, match=r"chunks of .* GB"):
        open_video(path, channel=0, z=0)
    said["chunk_grid"]["configuration"]["chunk_shape"] = [1, 1, 1, 16, 16]
    place.write_text(json.dumps(said))
    with pytest.raises(VideoError, match="megapixels"):
        open_video(path, channel=0, z=0)


def test_a_damaged_chunk_is_named(tmp_path: Path) -> None:
    path = write_ome_zarr(tmp_path / "a.zarr")
    (path / "0" / "c" / "1" / "0" / "0" / "0" / "0").write_bytes(b"damaged")
    video = open_video(path, channel=0, z=0)
    np.testing.assert_array_equal(video[0], STACK[0, 0, 0])
    with pytest.raises(VideoError, match="chunk '0/c/1/0/0/0/0' of"):
        video.frame(1)


def test_the_hash_of_a_folder_in_folders_sees_its_chunks(tmp_path: Path) -> None:
    path = write_ome_zarr(tmp_path / "a.zarr")
    before = hash_samples(path), hash_content(path)
    (path / "labels" / "cells").mkdir(parents=True)
    (path / "labels" / "cells" / "zarr.json").write_text("{}")
    assert (hash_samples(path), hash_content(path)) == before
    (path / "0" / "c" / "1" / "0" / "0" / "0" / "0").write_bytes(b"damaged")
    after = hash_samples(path), hash_content(path)
    assert not set(after) & set(before)
