"""TIFF stacks of channels, depth and several images: which pages are the frames."""

from __future__ import annotations

import pickle
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from napari_sam3.errors import VideoError
from napari_sam3.video import open_video
from napari_sam3.video.plane_choice import PlaneChoice

from .stacks import CHANNELS, STACK

GREY: dict[str, Any] = {"photometric": "minisblack"}
OME = {
    "axes": "TCZYX",
    "Channel": {"Name": CHANNELS},
    "TimeIncrement": 2.0,
    "PhysicalSizeX": 0.5,
    "PhysicalSizeY": 0.5,
}


def write_ome(path: Path) -> None:
    tifffile.imwrite(path, STACK, ome=True, metadata=OME, **GREY)


def write_packed_ome(path: Path) -> None:
    tifffile.imwrite(path, STACK, ome=True, metadata=OME, compression="zlib", **GREY)


def write_imagej(path: Path) -> None:
    tifffile.imwrite(path, STACK.swapaxes(1, 2), imagej=True, metadata={"axes": "TZCYX"})


def write_shaped(path: Path) -> None:
    tifffile.imwrite(path, STACK, metadata={"axes": "TCZYX"}, **GREY)


def write_unnamed(path: Path) -> None:
    tifffile.imwrite(path, STACK, **GREY)


@pytest.mark.parametrize(
    "write", [write_ome, write_packed_ome, write_imagej, write_shaped, write_unnamed]
)
def test_one_channel_one_plane_and_projections(tmp_path: Path, write: Any) -> None:
    path = tmp_path / "a.tif"
    write(path)
    with open_video(path, channel=1, z=2) as video:
        np.testing.assert_array_equal(video[:], STACK[:, 1, 2])
        np.testing.assert_array_equal(video.reopen()[::-1], STACK[::-1, 1, 2])
        assert video.choice == PlaneChoice(1, 2)
        np.testing.assert_array_equal(pickle.loads(pickle.dumps(video))[3], STACK[3, 1, 2])
    np.testing.assert_array_equal(open_video(path, channel=0, z="max")[:], STACK[:, 0].max(1))
    with pytest.raises(VideoError, match=r"which channel\? .*--channel 0.*which depth\?"):
        open_video(path)


def test_names_and_scale_of_ome(tmp_path: Path) -> None:
    path = tmp_path / "a.ome.tif"
    write_ome(path)
    video = open_video(path, channel="GFP", z=0)
    np.testing.assert_array_equal(video[:], STACK[:, 1, 0])
    assert video.fps == 0.5
    assert video.metadata["pixel_size"] == (0.5, 0.5)
    assert video.metadata["channels"] == ("DAPI", "GFP")
    with pytest.raises(VideoError, match=r"'DAPI', 'GFP'"):
        open_video(path, channel="RFP", z=0)


def test_names_of_imagej(tmp_path: Path) -> None:
    labels = [f"{name}" for _ in range(4) for name in CHANNELS]
    tifffile.imwrite(
        tmp_path / "a.tif", STACK[:, :, 0], imagej=True, metadata={"axes": "TCYX", "Labels": labels}
    )
    video = open_video(tmp_path / "a.tif", channel="GFP")
    np.testing.assert_array_equal(video[:], STACK[:, 1, 0])


def test_a_stack_along_one_axis_is_gone_along_it_unless_a_plane_is_chosen(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, STACK[0, 0], metadata={"axes": "ZYX"}, **GREY)
    np.testing.assert_array_equal(open_video(path)[:], STACK[0, 0])
    video = open_video(path, z="max")
    np.testing.assert_array_equal(video[:], STACK[0, 0].max(0)[None])
    assert open_video(path, z=1).choice == PlaneChoice(z=1)


def test_channels_and_depth_without_time(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, STACK[0], metadata={"axes": "CZYX"}, **GREY)
    np.testing.assert_array_equal(open_video(path, channel=1)[:], STACK[0, 1])
    np.testing.assert_array_equal(open_video(path, channel=1, z=2)[:], STACK[0, 1, 2:])
    with pytest.raises(VideoError, match=r"4 axes CZYX .*which channel\?"):
        open_video(path)


def test_colours_with_depth(tmp_path: Path) -> None:
    colours = np.random.default_rng(1).integers(0, 255, (3, 2, 20, 30, 3)).astype(np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", colours, metadata={"axes": "TZYXS"}, photometric="rgb")
    video = open_video(tmp_path / "a.tif", z="mean")
    np.testing.assert_array_equal(video[:], np.rint(colours.mean(1)))


@pytest.mark.parametrize("is_ome", [True, False])
def test_scenes(tmp_path: Path, is_ome: bool) -> None:
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path, ome=is_ome) as writer:
        for scene in range(2):
            said = {"axes": "TCYX", "Name": f"well {scene}"}
            writer.write(STACK[:, :, scene] + scene, metadata=said, **GREY)
    video = open_video(path, scene=1, channel=1)
    np.testing.assert_array_equal(video[:], STACK[:, 1, 1] + 1)
    assert video.reopen().choice == PlaneChoice(1, None, 1)
    with pytest.raises(VideoError, match="there is no scene 2"):
        open_video(path, scene=2, channel=1)
    assert bool(open_video(path, scene=0, channel=1).choice.scene is None) != is_ome
    if is_ome:
        np.testing.assert_array_equal(open_video(path, scene="well 1", channel=1)[:], video[:])
        with pytest.raises(VideoError, match=r"2 scenes: which one\?.*'well 0', 'well 1'"):
            open_video(path, channel=1)


def test_a_file_that_breaks_off_has_the_frames_whose_planes_are_whole(tmp_path: Path) -> None:
    whole, path = tmp_path / "whole.tif", tmp_path / "a.tif"
    write_imagej(whole)
    with tifffile.TiffFile(whole) as tiff:
        tags = tiff.pages[2 * 6 + 1].offset  # of the second plane of the third frame
    path.write_bytes(whole.read_bytes()[:tags])
    with pytest.warns(UserWarning, match="2 frames at its end are lost"):
        video = open_video(path, channel=1, z="max")
    np.testing.assert_array_equal(video[:], STACK[:2, 1].max(1))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        np.testing.assert_array_equal(open_video(path, channel=0, z=0)[:], STACK[:3, 0, 0])


def test_planes_in_several_files(tmp_path: Path) -> None:
    names = [f"a_{n}.ome.tif" for n in range(2)]
    planes = "".join(
        f'<TiffData FirstC="{c}" FirstT="0" FirstZ="0" IFD="0" PlaneCount="4">'
        f'<UUID FileName="{names[c]}">urn:uuid:{c}</UUID></TiffData>'
        for c in range(2)
    )
    xml = (
        '<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06">'
        '<Image ID="Image:0"><Pixels ID="Pixels:0" DimensionOrder="XYTZC" Type="uint16" SizeX="30" '
        f'SizeY="20" SizeC="2" SizeZ="1" SizeT="4">{planes}</Pixels></Image></OME>'
    )
    for channel, name in enumerate(names):
        tifffile.imwrite(
            tmp_path / name, STACK[:, channel, 0], description=xml, metadata=None, **GREY
        )
    for channel in range(2):
        video = open_video(tmp_path / names[0], channel=channel)
        np.testing.assert_array_equal(video[:], STACK[:, channel, 0])
    with pytest.raises(VideoError, match=r"which channel\?"):
        open_video(tmp_path / names[0])
    (tmp_path / names[1]).unlink()
    with pytest.raises(VideoError):
        open_video(tmp_path / names[0], channel=1)
