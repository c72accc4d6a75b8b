"""Every frame number is true, on every kind of file, in every order of reading."""

from __future__ import annotations

import warnings
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from napari_sam3.video import open_video
from napari_sam3.video.decoder import open_container
from napari_sam3.video.sample_table import read_sample_table
from napari_sam3.video.scan import read_packets

from .clips import (
    check_every_order,
    draw,
    encode,
    forget,
    picture_frame,
    read_number,
    requires_encoder,
    write_dib_avi,
)

OPEN_GOP = {"x264-params": "open-gop=1:b-pyramid=normal"}
CLOSED_GOP = {"x264-params": "open-gop=0"}
VARIABLE = [0]
for _number in range(39):
    VARIABLE.append(VARIABLE[-1] + 1 + 7 * _number % 5)
ALT_REF = {"auto-alt-ref": "1", "lag-in-frames": "16"}

KINDS: dict[str, dict[str, Any]] = {
    "closed_gop.mp4": {"gop": 12, "b_frames": 3, "options": CLOSED_GOP},
    "open_gop.mp4": {"gop": 12, "b_frames": 3, "options": OPEN_GOP},
    "open_gop.mkv": {"gop": 12, "b_frames": 3, "options": OPEN_GOP},
    "open_gop.ts": {"gop": 12, "b_frames": 3, "options": OPEN_GOP},
    "one_keyframe.mp4": {
        "n_frames": 120,
        "gop": 1000,
        "b_frames": 2,
        "options": {"x264-params": "scenecut=0"},
    },
    "short_gop.mp4": {"gop": 2, "b_frames": 1},
    "intra_refresh.mp4": {"gop": 20, "options": {"x264-params": "intra-refresh=1"}, "b_frames": 0},
    "variable_rate.mp4": {
        "gop": 12,
        "b_frames": 3,
        "pts": VARIABLE,
        "time_base": Fraction(1, 30),
    },
    "variable_rate.mkv": {
        "gop": 12,
        "b_frames": 3,
        "pts": VARIABLE,
        "time_base": Fraction(1, 30),
    },
    "starts_late.mp4": {
        "gop": 12,
        "b_frames": 3,
        "pts": list(range(100, 140)),
        "time_base": Fraction(1, 25),
    },
    "ntsc.mkv": {"gop": 12, "b_frames": 3, "rate": Fraction(30000, 1001)},
    "fragmented.mp4": {
        "gop": 12,
        "b_frames": 3,
        "container_options": {"movflags": "frag_keyframe+empty_moov"},
    },
    "live.mkv": {"gop": 12, "b_frames": 3, "container_options": {"live": "1"}},
    "with_sound.mp4": {"gop": 12, "b_frames": 3, "sound": True},
    "raw.h264": {"gop": 12, "b_frames": 3},
    "h264_b_frames.avi": {"gop": 12, "b_frames": 3},
    "h264.flv": {"gop": 12, "b_frames": 3},
    "yuv444.mp4": {"gop": 12, "pix_fmt": "yuv444p"},
    "ten_bit.mp4": {"gop": 12, "pix_fmt": "yuv420p10le"},
    "full_range.mp4": {"gop": 12, "pix_fmt": "yuvj420p"},
    "odd_size.mp4": {"gop": 12, "pix_fmt": "yuv444p", "size": (47, 95)},
    "hevc.mp4": {"codec": "libx265", "gop": 12, "options": {"x265-params": "log-level=none"}},
    "mpeg4_b_frames.avi": {"codec": "mpeg4", "gop": 12, "b_frames": 2},
    "mpeg4.avi": {"codec": "mpeg4", "gop": 12, "b_frames": 0},
    "mpeg2.mpg": {"codec": "mpeg2video", "gop": 12, "b_frames": 2},
    "mpeg2.ts": {"codec": "mpeg2video", "gop": 12, "b_frames": 2},
    "mjpeg.avi": {"codec": "mjpeg", "pix_fmt": "yuvj420p"},
    "mjpeg.mov": {"codec": "mjpeg", "pix_fmt": "yuvj422p"},
    "ffv1_rgb.mkv": {"codec": "ffv1", "pix_fmt": "bgr0"},
    "ffv1_gray.avi": {"codec": "ffv1", "pix_fmt": "gray"},
    "ffv1_gray10.mkv": {"codec": "ffv1", "pix_fmt": "gray10le"},
    "ffv1_gray12.mkv": {"codec": "ffv1", "pix_fmt": "gray12le"},
    "ffv1_gray16.mkv": {"codec": "ffv1", "pix_fmt": "gray16le"},
    "raw_gray.avi": {"codec": "rawvideo", "pix_fmt": "gray"},
    "raw_bgr24_odd.avi": {"codec": "rawvideo", "pix_fmt": "bgr24", "size": (47, 95)},
    "huffyuv.avi": {"codec": "huffyuv", "pix_fmt": "rgb24"},
    "prores.mov": {"codec": "prores_ks", "pix_fmt": "yuv422p10le"},
    "vp8_hidden_frames.webm": {"codec": "libvpx", "gop": 12, "options": ALT_REF},
    "vp9_hidden_frames.webm": {"codec": "libvpx-vp9", "gop": 12, "options": ALT_REF},
    "av1.mp4": {"codec": "libsvtav1", "gop": 12, "size": (64, 96)},
    "animation.gif": {"codec": "gif", "pix_fmt": "rgb8"},
    "wmv2.wmv": {"codec": "wmv2", "gop": 12},
    "hevc_open_gop.mkv": {
        "codec": "libx265",
        "gop": 12,
        "options": {"x265-params": "log-level=none:open-gop=1:keyint=12:min-keyint=12:bframes=4"},
    },
    "hevc.ts": {"codec": "libx265", "gop": 12, "options": {"x265-params": "log-level=none"}},
    "raw.hevc": {"codec": "libx265", "gop": 12, "options": {"x265-params": "log-level=none"}},
    "raw.m2v": {"codec": "mpeg2video", "gop": 12, "b_frames": 2},
    "raw.m4v": {"codec": "mpeg4", "gop": 12, "b_frames": 2},
    "raw.mjpeg": {"codec": "mjpeg", "pix_fmt": "yuvj420p"},
    "raw.ivf": {"codec": "libvpx-vp9", "gop": 12, "options": ALT_REF},
    "raw.y4m": {"codec": "wrapped_avframe", "format": "yuv4mpegpipe"},
    "h264.nut": {"gop": 12, "b_frames": 3},
    "h264.mov": {"gop": 12, "b_frames": 3, "options": OPEN_GOP},
    "interlaced.mp4": {
        "gop": 12,
        "b_frames": 2,
        "size": (64, 96),
        "options": {"x264-params": "tff=1"},
    },
    "interlaced.mpg": {
        "codec": "mpeg2video",
        "gop": 12,
        "b_frames": 2,
        "size": (64, 96),
        "options": {"flags": "+ildct+ilme"},
    },
    "starts_late.ts": {
        "gop": 12,
        "b_frames": 3,
        "pts": list(range(1000, 1040)),
        "time_base": Fraction(1, 25),
    },
    "lossless.mkv": {"gop": 12, "b_frames": 3, "options": {"qp": "0"}},
    "vp9_alpha.webm": {
        "codec": "libvpx-vp9",
        "pix_fmt": "yuva420p",
        "gop": 12,
        "options": ALT_REF | {"auto-alt-ref": "0"},
    },
    "vp9_444.mkv": {"codec": "libvpx-vp9", "pix_fmt": "yuv444p", "gop": 12, "options": ALT_REF},
    "av1.mkv": {"codec": "libsvtav1", "gop": 12, "size": (64, 96)},
    "av1_10_bit.webm": {
        "codec": "libsvtav1",
        "pix_fmt": "yuv420p10le",
        "gop": 40,
        "size": (64, 96),
    },
    "av1_aom.mp4": {
        "codec": "libaom-av1",
        "gop": 12,
        "size": (64, 96),
        "options": {"cpu-used": "8", "lag-in-frames": "12"},
    },
    "prores_4444.mov": {"codec": "prores_ks", "pix_fmt": "yuv444p10le"},
    "prores_proxy.mkv": {"codec": "prores_ks", "pix_fmt": "yuv422p10le", "size": (47, 96)},
    "dnxhr.mov": {
        "codec": "dnxhd",
        "pix_fmt": "yuv422p",
        "size": (160, 256),
        "options": {"profile": "dnxhr_sq"},
    },
    "animation.apng": {"codec": "apng", "pix_fmt": "rgb24"},
    "animation_gray.apng": {"codec": "apng", "pix_fmt": "gray"},
    "raw_gray16.avi": {"codec": "rawvideo", "pix_fmt": "gray16le"},
    "utvideo.avi": {"codec": "utvideo", "pix_fmt": "yuv422p"},
    "png.mov": {"codec": "png", "pix_fmt": "rgb24"},
    "cinepak.avi": {"codec": "cinepak", "pix_fmt": "rgb24", "gop": 12},
    "with_sound.mkv": {"gop": 12, "b_frames": 3, "sound": True},
}


@pytest.mark.parametrize("name", KINDS)
def test_every_frame_in_every_order(name: str, tmp_path: Path) -> None:
    kind = KINDS[name]
    requires_encoder(kind.get("codec", "libx264"))
    check_every_order(encode(tmp_path / name, **kind), kind.get("n_frames", 40))


@pytest.mark.parametrize("bottom_up", [True, False])
@pytest.mark.parametrize("grey", [True, False])
def test_dib_avi_of_a_microscope(bottom_up: bool, grey: bool, tmp_path: Path) -> None:
    path = write_dib_avi(tmp_path / "dib.avi", 20, bottom_up=bottom_up, grey=grey)
    with open_video(path) as video:
        # the first frame decoded is not the first of the file: the palette is there all the same
        assert read_number(video[13]) == 13
        assert video.shape == ((20, 48, 96) if grey else (20, 48, 96, 3))
        if grey:
            np.testing.assert_array_equal(video[7], draw(7))
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


@pytest.mark.parametrize("suffix", [".mkv", ".mp4", ".ts"])
def test_first_of_several_video_streams(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"two{suffix}"
    with av.open(str(path), "w") as container:
        streams = []
        for size in ((48, 96), (64, 128)):
            stream = container.add_stream("libx264", rate=25, options=OPEN_GOP)
            stream.height, stream.width = size
            stream.pix_fmt, stream.gop_size, stream.max_b_frames = "yuv420p", 12, 2
            streams.append((stream, size))
        for number in range(40):
            for shift, (stream, size) in enumerate(streams):
                frame = picture_frame(draw(number + 500 * shift, size), "yuv420p")
                frame.pts = number
                container.mux(stream.encode(frame))
        for stream, _ in streams:
            container.mux(stream.encode(None))
    check_every_order(path, 40)


def test_edit_list_hides_frames(tmp_path: Path) -> None:
    path = encode(
        tmp_path / "edit.mp4",
        gop=12,
        b_frames=3,
        pts=list(range(-10, 30)),
        time_base=Fraction(1, 25),
    )
    with open_video(path) as video:
        assert [read_number(frame) for frame in video] == list(range(10, 40))
        for number in (20, 3, 29, 0, 14):
            forget(video)
            assert read_number(video[number]) == number + 10


@pytest.mark.parametrize("degrees", [90, 180, -90])
def test_rotation_is_applied(degrees: int, tmp_path: Path) -> None:
    path = encode(tmp_path / "turned.mp4", n_frames=5, rotation=degrees)
    with open_video(path) as video:
        assert video.shape == ((5, 48, 96, 3) if degrees == 180 else (5, 96, 48, 3))
        upright = np.rot90(video[3], -degrees // 90)
        assert read_number(upright) == 3


@pytest.mark.parametrize("depth", [10, 12, 16])
def test_deep_grey_keeps_its_values(depth: int, tmp_path: Path) -> None:
    path = encode(tmp_path / "deep.mkv", "ffv1", f"gray{depth}le", n_frames=3)
    with open_video(path) as video:
        assert video.dtype == np.uint16
        assert video.shape == (3, 48, 96)
        expected = (draw(2).astype(np.uint16) << (depth - 8)) + 1
        np.testing.assert_array_equal(video[2], expected)


def test_lossless_rgb_keeps_its_values(tmp_path: Path) -> None:
    path = encode(tmp_path / "lossless.mkv", "ffv1", "bgr0", n_frames=3)
    with open_video(path) as video:
        np.testing.assert_array_equal(video[1], np.repeat(draw(1)[..., None], 3, axis=2))


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
