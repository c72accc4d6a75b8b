"""Multi-page TIFFs: every page a frame, whoever wrote them, read when it is asked for."""

from __future__ import annotations

import pickle
import struct
import tracemalloc
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_sam3.errors import VideoError
from napari_sam3.video import open_video, tiff_stack

from .clips import check_every_order, draw, read_number

STACK = np.stack([draw(n) for n in range(10)])
GREY = {"photometric": "minisblack"}


def write_pages_apart(path: Path) -> None:
    with tifffile.TiffWriter(path) as writer:
        for picture in STACK:
            writer.write(picture, contiguous=False, metadata=None, **GREY)


def write_series_apart(path: Path) -> None:
    with tifffile.TiffWriter(path) as writer:
        for picture in STACK:
            writer.write(picture, contiguous=False, **GREY)


def write_large_imagej(path: Path) -> None:
    """Tags for the first page alone, as ImageJ writes files of more than 4 GB."""
    tifffile.imwrite(path, STACK, imagej=True, metadata={"axes": "TYX"})
    with path.open("r+b") as file:
        order = {b"II": "<", b"MM": ">"}[file.read(2)]
        file.seek(4)
        (first,) = struct.unpack(order + "I", file.read(4))
        file.seek(first)
        (n_tags,) = struct.unpack(order + "H", file.read(2))
        file.seek(first + 2 + 12 * n_tags)
        file.write(bytes(4))


def by_tifffile(array: np.ndarray = STACK, **options: Any) -> Callable[[Path], None]:
    return lambda path: tifffile.imwrite(path, array, **options)


def by_pillow(mode: str, **options: Any) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        first, *others = [Image.fromarray(picture).convert(mode) for picture in STACK]
        first.save(path, save_all=True, append_images=others, **options)

    return write


WRITERS: dict[str, Callable[[Path], None]] = {
    "plain": by_tifffile(**GREY),
    "zlib": by_tifffile(compression="zlib", **GREY),
    "tiles": by_tifffile(tile=(16, 16), **GREY),
    "strips": by_tifffile(rowsperstrip=5, **GREY),
    "bigtiff": by_tifffile(bigtiff=True, **GREY),
    "big endian": by_tifffile(STACK.astype(">u2"), byteorder=">", **GREY),
    "float": by_tifffile(STACK.astype(np.float32), **GREY),
    "ImageJ": by_tifffile(imagej=True, metadata={"axes": "TYX"}),
    "large ImageJ": write_large_imagej,
    "OME": by_tifffile(ome=True, metadata={"axes": "TYX"}),
    "OME zlib": by_tifffile(ome=True, metadata={"axes": "TYX"}, compression="zlib"),
    "no metadata": by_tifffile(metadata=None, **GREY),
    "pages apart": write_pages_apart,
    "series apart": write_series_apart,
    "RGB": by_tifffile(np.repeat(STACK[..., None], 3, axis=3), photometric="rgb"),
    "RGB planes": by_tifffile(
        np.repeat(STACK[:, None], 3, axis=1), photometric="rgb", planarconfig="separate"
    ),
    "RGBA": by_pillow("RGBA"),
    "CMYK": by_pillow("CMYK"),
    "palette": by_pillow("P"),
    "packbits": by_pillow("L", compression="packbits"),
    "LZW": by_pillow("L", compression="tiff_lzw"),
    "16 bits LZW": by_pillow("I;16", compression="tiff_lzw"),
    "JPEG": by_pillow("RGB", compression="jpeg"),
}
COLOURED = {"RGB", "RGB planes", "RGBA", "CMYK", "JPEG"}


@pytest.mark.parametrize("kind", WRITERS)
def test_every_page_in_every_order(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "stack.tif"
    WRITERS[kind](path)
    check_every_order(path, 10)
    with open_video(path) as video:
        assert video.is_rgb == (kind in COLOURED)
        assert read_number(pickle.loads(pickle.dumps(video))[7]) == 7


@pytest.mark.parametrize("kind", ["LZW", "JPEG", "zlib"])
def test_packed_pages_without_imagecodecs(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "stack.tif"
    WRITERS[kind](path)

    def refuse(*_: Any) -> None:
        raise ValueError("requires the 'imagecodecs' package")

    monkeypatch.setattr(tifffile.TiffPage, "asarray", refuse)
    check_every_order(path, 10)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32, ">u2"])
def test_values_are_as_they_are_stored(dtype: str | type, tmp_path: Path) -> None:
    stack = (STACK.astype(dtype) * 3).astype(dtype)
    tifffile.imwrite(tmp_path / "stack.tif", stack, **GREY)
    with open_video(tmp_path / "stack.tif") as video:
        assert video.shape == stack.shape
        assert video.dtype == stack.dtype.newbyteorder("=")
        video[3][...] = 0
        np.testing.assert_array_equal(np.asarray(video), stack)
    with pytest.raises(VideoError, match="closed"):
        video[0]


def test_a_hyperstack_is_asked_about_by_its_axes(tmp_path: Path) -> None:
    stack = np.zeros((4, 2, 16, 16), np.uint8)
    tifffile.imwrite(tmp_path / "hyper.tif", stack, imagej=True, metadata={"axes": "TCYX"})
    with pytest.raises(VideoError, match=r"axes TCYX \(T 4, C 2\): which channel"):
        open_video(tmp_path / "hyper.tif")


def test_large_stack_is_not_read_into_memory(tmp_path: Path) -> None:
    path = tmp_path / "large.tif"
    height, width, n_frames = 1000, 1200, 4000
    tifffile.imwrite(path, np.zeros((2, 8, 8), np.uint16), **GREY)
    with tifffile.TiffWriter(path, bigtiff=True) as writer:
        writer.write(shape=(n_frames, height, width), dtype=np.uint16, **GREY)
    with path.open("r+b") as file, tifffile.TiffFile(path) as tiff:
        # a file with nothing in it but one picture takes up no room
        file.seek(tiff.pages.first.dataoffsets[0] + 3900 * height * width * 2)
        file.write(np.full((height, width), 3900, np.uint16).tobytes())
    tracemalloc.start()
    try:
        with open_video(path) as video:
            assert video.shape == (n_frames, height, width)
            assert (video[3900] == 3900).all()
            assert [int(video[n].max()) for n in (0, 3999, 17)] == [0, 0, 0]
        assert tracemalloc.get_traced_memory()[1] < 30e6
    finally:
        tracemalloc.stop()


# ------------------------------------------------------------------------------- damaged files

SAYS_HOW_MANY = {"plain", "strips", "ImageJ", "large ImageJ", "OME", "no metadata", "zlib", "tiles"}


@pytest.mark.parametrize("kind", sorted(SAYS_HOW_MANY | {"pages apart", "series apart", "LZW"}))
@pytest.mark.parametrize("share", [0.93, 0.55, 0.15])
def test_broken_off_stack(kind: str, share: float, tmp_path: Path) -> None:
    path = tmp_path / "stack.tif"
    WRITERS[kind](path)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with open_video(path) as video:
            assert [read_number(frame) for frame in video] == list(range(len(video)))
            assert share * 10 - 2 < len(video) < 10
    assert [w.category for w in caught] == [UserWarning]
    assert re_lost(str(caught[0].message), 10 - len(video) if kind in SAYS_HOW_MANY else None)


def re_lost(message: str, lost: int | None) -> bool:
    return "'stack.tif' breaks off: " in message and (lost is None or f": {lost} frame" in message)


@pytest.mark.parametrize("kind", WRITERS)
def test_file_that_ends_in_its_first_page(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "stack.tif"
    WRITERS[kind](path)
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(VideoError, match=r"stack\.tif"):
        open_video(path)


def test_damaged_page_is_black_and_warned_of_once(tmp_path: Path) -> None:
    path = tmp_path / "stack.tif"
    WRITERS["zlib"](path)
    with tifffile.TiffFile(path) as tiff:
        places = [tiff.pages[n].dataoffsets[0] for n in (3, 4)]
    with path.open("r+b") as file:
        for place in places:
            file.seek(place)
            file.write(bytes(20))
    with open_video(path) as video:
        with pytest.warns(UserWarning, match=r"frame 4 of the video 'stack.tif'.*black") as caught:
            numbers = [read_number(video[n]) for n in reversed(range(10))]
        assert len(caught) == 1
        assert numbers == [9, 8, 7, 6, 5, -1, -1, 2, 1, 0]


def test_chain_of_pages_that_bites_its_tail(tmp_path: Path) -> None:
    path = tmp_path / "stack.tif"
    with tifffile.TiffWriter(path) as writer:
        for picture in [*STACK] * 12:
            writer.write(picture, contiguous=False, metadata=None, **GREY)
    with tifffile.TiffFile(path) as tiff:
        tail, fiftieth = tiff.pages.next_page_offset, tiff.pages[50].offset
    with path.open("r+b") as file:
        file.seek(tail)
        file.write(struct.pack("<I", fiftieth))
    with pytest.warns(UserWarning, match="breaks off"):
        video = open_video(path)
    assert len(video) == 120
    assert read_number(video[119]) == 9
    video.close()


def test_stack_that_changes_or_goes_while_it_is_open(tmp_path: Path) -> None:
    path = tmp_path / "stack.tif"
    WRITERS["plain"](path)
    video = open_video(path)
    with path.open("r+b") as file:
        file.truncate(3000)
    with pytest.raises(VideoError, match="has changed since it was opened"):
        video[0]
    video.close()


# --------------------------------------------------------------------------------- calibration


def test_imagej_stack_tells_its_time_and_scale(tmp_path: Path) -> None:
    tifffile.imwrite(
        tmp_path / "cells.tif",
        STACK,
        imagej=True,
        resolution=(2.0, 4.0),
        metadata={"axes": "TYX", "finterval": 0.5, "unit": "\\u00B5m"},
    )
    with open_video(tmp_path / "cells.tif") as video:
        assert video.fps == pytest.approx(2.0)
        assert video.timestamps == pytest.approx(np.arange(10) * 0.5)
        assert video.metadata["pixel_size"] == pytest.approx((0.25, 0.5))
        assert video.metadata["pixel_unit"] == "um"
        assert video.metadata["duration"] == pytest.approx(5)


def test_imagej_without_a_unit_has_no_scale(tmp_path: Path) -> None:
    tifffile.imwrite(
        tmp_path / "cells.tif",
        STACK,
        imagej=True,
        resolution=(300, 300),
        metadata={"axes": "TYX", "fps": 8.0},
    )
    with open_video(tmp_path / "cells.tif") as video:
        assert "pixel_size" not in video.metadata
        assert video.fps == pytest.approx(8)


@pytest.mark.parametrize(
    ("told", "size", "unit", "fps"),
    [
        (
            {"PhysicalSizeX": 0.2, "PhysicalSizeY": 0.1, "TimeIncrement": 30},
            (0.1, 0.2),
            "um",
            1 / 30,
        ),
        (
            {
                "PhysicalSizeX": 65,
                "PhysicalSizeXUnit": "nm",
                "PhysicalSizeY": 65,
                "PhysicalSizeYUnit": "nm",
                "TimeIncrement": 20,
                "TimeIncrementUnit": "ms",
            },
            (65, 65),
            "nm",
            50,
        ),
        (
            {"PhysicalSizeX": 0.2, "PhysicalSizeXUnit": "pixel", "PhysicalSizeY": 1},
            None,
            None,
            None,
        ),
        ({"PhysicalSizeX": 0.2}, None, None, None),
        ({"TimeIncrement": 0}, None, None, None),
    ],
)
def test_ome_tells_its_time_and_scale(
    told: dict[str, Any],
    size: tuple[float, float] | None,
    unit: str | None,
    fps: float | None,
    tmp_path: Path,
) -> None:
    path = tmp_path / "cells.ome.tif"
    tifffile.imwrite(path, STACK, ome=True, metadata={"axes": "TYX", **told})
    with open_video(path) as video:
        assert video.metadata.get("pixel_size") == (pytest.approx(size) if size else None)
        assert video.metadata.get("pixel_unit") == unit
        assert video.fps == (pytest.approx(fps) if fps else None)


@pytest.mark.parametrize(
    ("resolution", "unit", "size"),
    [
        ((40_000, 20_000), "CENTIMETER", (0.5, 0.25)),
        ((25_400, 25_400), "INCH", (1.0, 1.0)),
        ((300, 300), "INCH", None),
        ((118, 118), "CENTIMETER", None),
        ((40_000, 40_000), "NONE", None),
    ],
)
def test_tags_tell_the_scale_of_a_microscope(
    resolution: tuple[int, int], unit: str, size: tuple[float, float] | None, tmp_path: Path
) -> None:
    path = tmp_path / "cells.tif"
    tifffile.imwrite(path, STACK, resolution=resolution, resolutionunit=unit, **GREY)
    tifffile.imwrite(tmp_path / "a.tiff", STACK[0], resolution=resolution, resolutionunit=unit)
    for source in (path, tmp_path / "a.tiff"):
        with open_video(source) as video:
            found = video.metadata.get("pixel_size")
            assert found == (pytest.approx(size) if size else None)
            assert video.metadata.get("pixel_unit") == ("um" if size else None)


def test_depth_is_not_time(tmp_path: Path) -> None:
    path = tmp_path / "z.tif"
    tifffile.imwrite(path, STACK, imagej=True, metadata={"axes": "ZYX", "finterval": 2.0})
    with open_video(path) as video:
        assert video.fps is video.timestamps is None


def test_calibration_that_is_nonsense_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: object) -> None:
        raise KeyError(282)

    monkeypatch.setattr(tiff_stack, "read_calibration", fail)
    tifffile.imwrite(tmp_path / "a.tif", STACK, **GREY)
    with open_video(tmp_path / "a.tif") as video:
        assert video.fps is None
        assert len(video) == 10
