"""ND2, CZI and LIF: by stand-ins for what the packages that read them document, and by a real one.

No file of these makers can be written here but LIF's, which is simple.
"""

from __future__ import annotations

import struct
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import pytest

from napari_sam3.errors import VideoError
from napari_sam3.video import PlaneChoice, open_video

from .stacks import CHANNELS, STACK

SUFFIXES = {"nd2": ".nd2", "czifile": ".czi", "liffile": ".lif"}


class Nd2:
    """As `nd2.ND2File`: two positions, frames of all channels in the order Z fastest."""

    sizes: ClassVar[Any] = {"T": 4, "P": 2, "Z": 3, "C": 2, "Y": 20, "X": 30}
    dtype = np.dtype(np.uint16)
    metadata = SimpleNamespace(
        channels=[SimpleNamespace(channel=SimpleNamespace(name=name)) for name in CHANNELS]
    )
    experiment: ClassVar[Any] = [
        SimpleNamespace(type="TimeLoop", parameters=SimpleNamespace(periodMs=2000.0))
    ]
    loop_indices = tuple(
        {"T": t, "P": p, "Z": z} for t in range(4) for p in range(2) for z in range(3)
    )

    def __init__(self, path: Path) -> None:
        if path.read_bytes() == b"damaged":
            raise KeyError("a chunk")

    def voxel_size(self) -> Any:
        return SimpleNamespace(x=0.5, y=0.5, z=1.0)

    def read_frame(self, index: int) -> np.ndarray:
        at = self.loop_indices[index]
        return STACK[at["T"], :, at["Z"]] + at["P"]

    def close(self) -> None:
        pass


class CziImage:
    """As `czifile.CziImage`, with numbers of planes that do not begin at 0."""

    sizes: ClassVar[Any] = {"T": 4, "C": 2, "Z": 3, "Y": 20, "X": 30}
    dims = ("T", "C", "Z", "Y", "X")
    start = (10, 0, 5, 100, 200)
    dtype = np.dtype(np.uint16)
    channels: ClassVar[Any] = {name: {} for name in CHANNELS}
    coord_scales: ClassVar[Any] = {"T": 2.0}
    mpp = (0.5, 0.5)

    def __init__(self, scene: int, chosen: dict[str, int] | None = None) -> None:
        self._scene, self._chosen = scene, chosen or {}

    def __call__(self, **chosen: int) -> CziImage:
        return CziImage(self._scene, chosen)

    def asarray(self) -> np.ndarray:
        at = self._chosen
        return STACK[at["T"] - 10, at["C"], at["Z"] - 5] + self._scene


class Czi:
    def __init__(self, path: Path) -> None:
        if path.read_bytes() == b"damaged":
            raise ValueError("not a CZI file")
        self.scenes = {3: CziImage(0), 8: CziImage(1)}

    def close(self) -> None:
        pass


class LifFrames:
    sizes: ClassVar[Any] = {"T": 4, "C": 2, "Z": 3, "Y": 20, "X": 30}

    def __init__(self, scene: int) -> None:
        self._scene = scene

    def __getitem__(self, place: tuple[int, ...]) -> np.ndarray:
        return STACK[place] + self._scene


class Lif:
    def __init__(self, path: Path) -> None:
        if path.read_bytes() == b"damaged":
            raise struct.error("unpack requires more")
        coords = {"T": np.arange(4) * 2.0, "Y": np.arange(20) * 5e-7, "X": np.arange(30) * 5e-7}
        self.images = [
            SimpleNamespace(
                name=f"Series {n}", dtype=STACK.dtype, frames=LifFrames(n), coords=coords
            )
            for n in range(2)
        ]

    def close(self) -> None:
        pass


@pytest.fixture(params=SUFFIXES)
def path(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    stand_in = SimpleNamespace(ND2File=Nd2, CziFile=Czi, LifFile=Lif)
    monkeypatch.setitem(sys.modules, request.param, stand_in)
    place = tmp_path / f"cells{SUFFIXES[request.param]}"
    place.write_bytes(b"cells")
    return place


def test_a_channel_and_a_plane_of_a_scene(path: Path) -> None:
    with open_video(path, channel=1, z=2, scene=1) as video:
        np.testing.assert_array_equal(video[:], STACK[:, 1, 2] + 1)
        assert video.fps == pytest.approx(0.5)
        assert video.metadata["pixel_size"] == pytest.approx((0.5, 0.5))
        assert video.path == path
        assert video.choice == PlaneChoice(1, 2, 1)
        with video.reopen() as twin:
            np.testing.assert_array_equal(twin.frame(3), STACK[3, 1, 2] + 1)
    np.testing.assert_array_equal(
        open_video(path, channel=0, z="max", scene=0)[:], STACK[:, 0].max(1)
    )


def test_names(path: Path) -> None:
    if path.suffix == ".lif":
        video = open_video(path, channel=1, z=0, scene="Series 1")
    else:
        video = open_video(path, channel="GFP", z=0, scene=1)
    np.testing.assert_array_equal(video[:], STACK[:, 1, 0] + 1)


def test_what_is_missing_is_asked(path: Path) -> None:
    with pytest.raises(VideoError, match=r"2 scenes: which one\? .*--scene 0"):
        open_video(path, channel=0, z=0)
    with pytest.raises(VideoError, match=r"which channel\?.*which depth\?"):
        open_video(path, scene=0)


def test_damage_and_change_are_told(path: Path) -> None:
    video = open_video(path, channel=0, z=0, scene=0)
    path.write_bytes(b"damaged")
    with pytest.raises(VideoError, match="has changed since"):
        video.frame(0)
    with pytest.raises(VideoError, match=r"can't be opened by the package"):
        open_video(path, channel=0, z=0, scene=0)


@pytest.mark.parametrize(("package", "suffix"), SUFFIXES.items())
def test_without_its_package_a_file_is_refused_with_the_remedy(
    package: str, suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    path = tmp_path / f"a{suffix}"
    path.write_bytes(b"cells")
    with pytest.raises(VideoError, match=rf"package {package}.*pip install 'napari-sam3\[bio\]'"):
        open_video(path)


def write_lif(path: Path, stack: np.ndarray) -> None:
    """Write a file of Leica's, version 2: an XML header, and a block of the values."""
    lines = []
    for code, size in ((1, stack.shape[4]), (2, stack.shape[3]), (3, stack.shape[2]), (4, 4)):
        n_bytes = {1: 2, 2: 60, 3: 1200, 4: 7200}[code]
        lines.append(
            f'<DimensionDescription DimID="{code}" NumberOfElements="{size}" Origin="0" '
            f'Length="{(size - 1) * 5e-7}" Unit="m" BytesInc="{n_bytes}" BitInc="0"/>'
        )
    channels: ClassVar[Any] = "".join(
        '<ChannelDescription DataType="0" ChannelTag="0" Resolution="16" NameOfMeasuredQuantity=""'
        f' Min="0" Max="65535" Unit="" LUTName="Gray" IsLUTInverted="0" BytesInc="{c * 3600}" '
        'BitInc="0"/>'
        for c in range(2)
    )
    xml = (
        '<LMSDataContainerHeader Version="2"><Element Name="all" Visibility="1"><Data/>'
        '<Memory Size="0" MemoryBlockID="MemBlock_0"/><Children><Element Name="Series 1"><Data>'
        f"<Image><ImageDescription><Channels>{channels}</Channels>"
        f"<Dimensions>{''.join(lines)}</Dimensions></ImageDescription></Image></Data>"
        f'<Memory Size="{stack.nbytes}" MemoryBlockID="MemBlock_1"/></Element></Children>'
        "</Element></LMSDataContainerHeader>"
    ).encode("utf-16-le")
    with path.open("wb") as file:
        file.write(struct.pack("<IIBI", 0x70, len(xml) + 5, 0x2A, len(xml) // 2) + xml)
        for number, values in enumerate((b"", stack.tobytes())):
            name = f"MemBlock_{number}".encode("utf-16-le")
            file.write(struct.pack("<II", 0x70, 14 + len(name)))
            file.write(struct.pack("<BQ", 0x2A, len(values)))
            file.write(struct.pack("<BI", 0x2A, len(name) // 2) + name + values)


@pytest.mark.formats
def test_a_file_of_leicas_by_the_package_itself(tmp_path: Path) -> None:
    pytest.importorskip("liffile")
    path = tmp_path / "cells.lif"
    write_lif(path, STACK)
    np.testing.assert_array_equal(open_video(path, channel=1, z=2)[:], STACK[:, 1, 2])
    np.testing.assert_array_equal(open_video(path, channel=0, z="max")[:], STACK[:, 0].max(1))
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(VideoError):
        open_video(path, channel=0, z=0).frame(3)


@pytest.mark.formats
@pytest.mark.parametrize(("package", "suffix"), SUFFIXES.items())
def test_what_is_no_such_file_is_refused_by_the_packages_themselves(
    package: str, suffix: str, tmp_path: Path
) -> None:
    pytest.importorskip(package)
    path = tmp_path / f"a{suffix}"
    for content in (b"cells" * 100, b"\0" * 1000, b"ZISRAWFILE" + bytes(1000)):
        path.write_bytes(content)
        with pytest.raises(VideoError):
            open_video(path)
