"""Every frame number is true, on every kind of file, in every order of reading."""

from __future__ import annotations

import warnings
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from napari_sam3.video import open_video
from napari_sam3.video.demuxer import open_container
from napari_sam3.video.packets import read_packets
from napari_sam3.video.sample_table import read_sample_table
from tests.sweeps import sweep

from .clips import (
    check_every_order,
    draw,
    encode,
    forget,
    read_number,
    requires_encoder,
    write_dib_avi,
)
from .kinds import KINDS, VARIABLE

# one for each way of finding and decoding frames
SAMPLE = [
    "closed_gop.mp4",
    "open_gop.mkv",
    "open_gop.ts",
    "intra_refresh.mp4",
    "variable_rate.mp4",
    "starts_late.mp4",
    "fragmented.mp4",
    "with_sound.mp4",
    "raw.h264",
    "h264.flv",
    "hevc.mp4",
    "mpeg4_b_frames.avi",
    "mpeg2.mpg",
    "mjpeg.mov",
    "ffv1_gray16.mkv",
    "prores.mov",
    "vp9_hidden_frames.webm",
    "av1.mp4",
    "animation.gif",
    "interlaced.mp4",
]


@pytest.mark.parametrize("name", sweep(KINDS, SAMPLE))
def test_every_frame_in_every_order(name: str, tmp_path: Path) -> None:
    kind = KINDS[name]
    requires_encoder(kind.get("codec", "libx264"))
    check_every_order(encode(tmp_path / name, **kind), kind.get("n_frames", 40))


@pytest.mark.parametrize("bottom_up", [True, False])
@pytest.mark.parametrize(("bits", "grey"), [(8, True), (8, False), (16, True), (24, 1), (32, 1)])
def test_dib_avi_of_a_microscope(bottom_up: bool, bits: int, grey: bool, tmp_path: Path) -> None:
    path = write_dib_avi(tmp_path / "dib.avi", 20, bottom_up=bottom_up, bits=bits, grey=bool(grey))
    with open_video(path) as video:
        # the first frame decoded is not the first of the file: the palette is there all the same
        assert read_number(video[13]) == 13
        assert video.is_rgb == (bits != 8 or not grey)
        if grey and bits != 16:
            frame = video[7][..., 0] if video.is_rgb else video[7]
            np.testing.assert_array_equal(frame, draw(7))
    check_every_order(path, 20)


@pytest.mark.parametrize(
    ("suffix", "options"),
    [
        (".webp", {"lossless": True}),
        (".webp", {"quality": 90}),
        (".webp", {"lossless": True, "duration": [40, 80] * 10}),
        (".png", {"duration": [40, 80] * 10}),
        (".gif", {}),
    ],
)
def test_animations(suffix: str, options: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / f"moving{suffix}"
    first, *others = [Image.fromarray(draw(n)).convert("RGB") for n in range(20)]
    first.save(path, save_all=True, append_images=others, **{"duration": 40, **options})
    check_every_order(path, 20)
    with open_video(path) as video:
        varies = isinstance(options.get("duration"), list)
        assert video.metadata["constant_frame_rate"] is not varies


LOSSLESS_HEVC = {"x265-params": "lossless=1:log-level=none"}


@pytest.mark.parametrize(
    ("name", "codec", "depth", "options"),
    [
        ("deep.mkv", "ffv1", 10, {}),
        ("deep.mkv", "ffv1", 12, {}),
        ("deep.avi", "ffv1", 16, {}),
        ("deep.nut", "rawvideo", 10, {}),
        ("deep.nut", "rawvideo", 12, {}),
        ("deep.nut", "rawvideo", 16, {}),
        ("deep.mp4", "libx265", 10, LOSSLESS_HEVC),
        ("deep.mp4", "libx265", 12, LOSSLESS_HEVC),
        ("deep.mov", "jpeg2000", 16, {"pred": "dwt53"}),
        ("deep.mkv", "libx264", 10, {"qp": "0"}),
        ("deep.mp4", "libx264", 10, {"qp": "0"}),
    ],
)
def test_deep_grey_keeps_its_values(
    name: str, codec: str, depth: int, options: dict[str, str], tmp_path: Path
) -> None:
    requires_encoder(codec)
    path = encode(tmp_path / name, codec, f"gray{depth}le", n_frames=3, options=options)
    with open_video(path) as video:
        assert video.dtype == np.uint16
        assert video.shape == (3, 48, 96)
        expected = (draw(2).astype(np.uint16) << (depth - 8)) + 1
        np.testing.assert_array_equal(video[2], expected)


@pytest.mark.parametrize(
    ("name", "codec", "pix_fmt"),
    [
        ("lossless.mkv", "ffv1", "bgr0"),
        ("lossless.avi", "huffyuv", "rgb24"),
        ("lossless.avi", "utvideo", "gbrp"),
        ("lossless.avi", "magicyuv", "gbrp"),
        ("lossless.avi", "rawvideo", "bgr24"),
        ("lossless.avi", "zlib", "bgr24"),
        ("lossless.mov", "png", "rgb24"),
        ("lossless.mov", "qtrle", "rgb24"),
        ("lossless.apng", "apng", "rgb24"),
    ],
)
def test_lossless_rgb_keeps_its_values(name: str, codec: str, pix_fmt: str, tmp_path: Path) -> None:
    path = encode(tmp_path / name, codec, pix_fmt, n_frames=3)
    with open_video(path) as video:
        np.testing.assert_array_equal(video[1], np.repeat(draw(1)[..., None], 3, axis=2))


@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuvj420p", "yuv444p", "yuvj444p", "yuv420p10le"])
@pytest.mark.parametrize("name", ["range.mp4", "range.mkv"])
def test_full_and_limited_range_give_the_same_grey(pix_fmt: str, name: str, tmp_path: Path) -> None:
    path = encode(tmp_path / name, "libx264", pix_fmt, n_frames=2, options={"crf": "1"})
    with open_video(path) as video:
        difference = video[1].astype(int) - draw(1)[..., None]
        assert abs(difference).max() < 8
        assert abs(difference.mean()) < 3


def test_variable_rate_is_told(tmp_path: Path) -> None:
    path = encode(tmp_path / "vfr.mp4", pts=VARIABLE, time_base=Fraction(1, 30), gop=12, b_frames=3)
    with open_video(path) as video:
        assert video.timestamps == pytest.approx(np.array(VARIABLE) / 30, abs=1e-3)
        assert video.metadata["constant_frame_rate"] is False
        assert video.fps == pytest.approx(39 / (VARIABLE[-1] / 30))


def test_constant_rate_is_told(tmp_path: Path) -> None:
    path = encode(tmp_path / "cfr.mkv", rate=Fraction(30000, 1001))
    with open_video(path) as video:
        assert video.fps == pytest.approx(30000 / 1001, rel=1e-9)
        assert video.metadata["constant_frame_rate"] is True
        assert video.metadata["codec"] == "h264"
        assert video.metadata["pixel_format"] == "yuv420p"
        assert video.metadata["duration"] == pytest.approx(40 * 1001 / 30000, abs=2e-3)


def test_recording_that_starts_between_keyframes(tmp_path: Path) -> None:
    path = encode(tmp_path / "late.ts", gop=12, options={"x264-params": "open-gop=0"})
    data = path.read_bytes()
    # the tables stay, the first keyframe goes
    path.write_bytes(data[: 3 * 188] + data[len(data) // 188 // 6 * 188 :])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        video = open_video(path)
    with video:
        first = read_number(video[0])
        numbers = list(range(first, 40))
        assert first in (12, 24)
        assert [read_number(frame) for frame in video] == numbers
        forget(video)
        assert [read_number(video[n]) for n in (9, 2, 0, 11)] == [numbers[n] for n in (9, 2, 0, 11)]


def test_colour_matrix_that_ffmpeg_cannot_convert_from(tmp_path: Path) -> None:
    path = encode(
        tmp_path / "ycgco.mp4",
        pix_fmt="yuv444p",
        n_frames=5,
        options={"x264-params": "colormatrix=YCgCo"},
    )
    with open_video(path) as video:
        assert read_number(video[3]) == 3


@pytest.mark.parametrize(
    "name", ["closed_gop.mp4", "open_gop.mp4", "variable_rate.mp4", "mjpeg.mov"]
)
def test_sample_table_tells_what_demuxing_tells(name: str, tmp_path: Path) -> None:
    path = encode(tmp_path / name, **KINDS[name])
    with open_container(path) as container:
        table = read_sample_table(path, container, container.streams.video[0])
    packets = read_packets(path, 0)
    assert table is not None
    for field in ("pts", "dts", "pos", "is_key", "is_discarded"):
        np.testing.assert_array_equal(getattr(table, field), getattr(packets, field))


@pytest.mark.parametrize("name", ["fragmented.mp4", "open_gop.mkv"])
def test_files_without_a_sample_table_are_demuxed(name: str, tmp_path: Path) -> None:
    path = encode(tmp_path / name, **KINDS[name])
    with open_container(path) as container:
        assert read_sample_table(path, container, container.streams.video[0]) is None
