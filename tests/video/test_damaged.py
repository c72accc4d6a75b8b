"""A damaged file opens as far as it can be read, and says once what is missing."""

from __future__ import annotations

import re
import warnings
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_sam3.errors import VideoError
from napari_sam3.video import open_video

from .clips import encode, read_number

FASTSTART = {"movflags": "+faststart"}


def cut(path: Path, share: float) -> int:
    """Break a file off; the number of bytes left."""
    data = path.read_bytes()
    kept = int(len(data) * share)
    path.write_bytes(data[:kept])
    return kept


BREAKABLE: dict[str, dict[str, Any]] = {
    "clip.mp4": {"gop": 12, "b_frames": 2, "container_options": FASTSTART},
    "fragments.mp4": {
        "gop": 12,
        "b_frames": 2,
        "container_options": {"movflags": "frag_keyframe+empty_moov"},
    },
    "clip.mkv": {"gop": 12, "b_frames": 2},
    "live.mkv": {"gop": 12, "b_frames": 2, "container_options": {"live": "1"}},
    "clip.webm": {"codec": "libvpx-vp9", "gop": 12},
    "clip.ts": {"gop": 12, "b_frames": 2},
    "clip.flv": {"gop": 12, "b_frames": 2},
    "clip.nut": {"gop": 12, "b_frames": 2},
    "clip.wmv": {"codec": "wmv2", "gop": 12},
    "clip.gif": {"codec": "gif", "pix_fmt": "rgb8"},
    "clip.apng": {"codec": "apng", "pix_fmt": "rgb24"},
    "mjpeg.avi": {"codec": "mjpeg", "pix_fmt": "yuvj420p"},
    "raw.avi": {"codec": "rawvideo", "pix_fmt": "bgr24"},
    "clip.y4m": {"codec": "wrapped_avframe", "format": "yuv4mpegpipe"},
}
SAYS_HOW_MANY = {"clip.mp4", "clip.mkv", "clip.webm", "mjpeg.avi", "raw.avi"}
CANNOT_TELL = {"live.mkv", "clip.y4m", "clip.ts", "clip.flv"}
"""Where they are cut between two packets, nothing is left that says so."""


@pytest.mark.parametrize("name", BREAKABLE)
def test_broken_off_anywhere(name: str, tmp_path: Path) -> None:
    path = encode(tmp_path / name, n_frames=60, **BREAKABLE[name])
    data = path.read_bytes()
    # whole cells of MPEG-TS too: there the file itself can't tell that it is cut
    places = [int(len(data) * share) for share in (0.5, 0.58, 0.66, 0.74, 0.82, 0.9, 0.97)]
    for place in [*places, len(data) * 3 // 4 // 188 * 188]:
        path.write_bytes(data[:place])
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                video = open_video(path)
            except VideoError:
                assert place < 0.6 * len(data), "its head is there"
                continue
            with video:
                numbers = [read_number(frame) for frame in video]
                backwards = [read_number(video[n]) for n in reversed(range(len(video)))]
        assert numbers == list(range(len(video)))
        assert backwards == numbers[::-1]
        assert len(video) > 60 * place / len(data) - 25
        told = [str(w.message) for w in caught if w.category is UserWarning]
        lost = 60 - len(video)
        if name in SAYS_HOW_MANY and lost:
            assert told == [
                f"{name!r} breaks off: {lost} frame{'s' * (lost > 1)} at its end "
                f"{'are' if lost > 1 else 'is'} lost, {len(video)} can be read"
            ]
        elif told:
            assert len(told) == 1
            many = f"{lost} frames" if name == "clip.flv" else "frames (how many it does not say)"
            assert f"breaks off: {many} at its end are lost" in told[0]
        else:
            assert name in CANNOT_TELL or lost < 4


@pytest.mark.parametrize(
    "coding", [{"codec": "libvpx-vp9"}, {"codec": "mjpeg", "pix_fmt": "yuvj420p"}]
)
def test_last_frame_in_part_is_left_out_where_its_decoder_is_content(
    coding: dict[str, Any], tmp_path: Path
) -> None:
    path = encode(tmp_path / "clip.nut", n_frames=20, **coding)
    data = path.read_bytes()
    with open_video(path) as video:
        whole = [np.asarray(frame) for frame in video]
    for share in (0.5, 0.58, 0.7, 0.83, 0.87, 0.91, 0.95):
        path.write_bytes(data[: int(len(data) * share)])
        with pytest.warns(UserWarning, match="breaks off"):
            video = open_video(path)
        with video:
            assert len(video) > 20 * share - 9
            for frame, expected in zip(video, whole, strict=False):
                np.testing.assert_array_equal(frame, expected)


def test_tail_is_not_called_broken_after_a_start_between_keyframes(tmp_path: Path) -> None:
    path = encode(
        tmp_path / "clip.ts",
        n_frames=70,
        gop=30,
        b_frames=0,
        options={"x264-params": "intra-refresh=1"},
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with open_video(path) as video:
            assert [read_number(frame) for frame in video] == list(range(70))


def test_whole_files_are_not_called_broken(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for name in ("a.mp4", "a.mkv", "a.ts", "a.avi", "a.mpg", "a.flv", "a.nut"):
            codec = "mpeg2video" if name.endswith("mpg") else "libx264"
            with open_video(encode(tmp_path / name, codec, gop=12, b_frames=2)) as video:
                assert len(video) == 40


def test_index_lost_with_the_end_of_an_mp4(tmp_path: Path) -> None:
    path = encode(tmp_path / "clip.mp4")
    cut(path, 0.9)
    with pytest.raises(VideoError, match=r"clip\.mp4.*can't be read as a video"):
        open_video(path)


def test_hole_in_the_middle(tmp_path: Path) -> None:
    path = encode(tmp_path / "clip.mp4", n_frames=60, gop=10, container_options=FASTSTART)
    data = bytearray(path.read_bytes())
    middle = slice(int(len(data) * 0.5), int(len(data) * 0.75))
    data[middle] = bytes(len(data[middle]))
    path.write_bytes(data)
    with open_video(path) as video:
        assert len(video) == 60
        with pytest.warns(
            UserWarning, match=r"'clip.mp4' can't be decoded \(\d+ of 60\)"
        ) as caught:
            frames = list(video)
        assert len(caught) == 1
        numbers = [read_number(frame) for frame in frames]
        true = [number for number, shown in enumerate(numbers) if shown == number]
        assert {0, 9, 50, 59} <= set(true)
        assert 20 < len(true) < 60
        # reading backwards gives the same of what is not damaged
        sound = [number for number in true if number < 10 or number >= 50]
        assert [read_number(video[n]) for n in reversed(sound)] == sound[::-1]


@pytest.mark.parametrize(
    ("codec", "pix_fmt", "b_frames"),
    [("mjpeg", "yuvj420p", None), ("mpeg4", "yuv420p", 0), ("libx264", "yuv420p", 3)],
)
@pytest.mark.parametrize("bit", [3, 41])
def test_avi_with_a_damaged_chunk_header(
    codec: str, pix_fmt: str, b_frames: int | None, bit: int, tmp_path: Path
) -> None:
    path = encode(tmp_path / "clip.avi", codec, pix_fmt, n_frames=60, gop=12, b_frames=b_frames)
    data = bytearray(path.read_bytes())
    # its name, or its length: the frame is lost, and times come out otherwise after every seek
    damage = [match.start() for match in re.finditer(b"00dc", data)][17]
    data[damage + bit // 8] ^= 1 << bit % 8
    path.write_bytes(data)
    with pytest.warns(UserWarning, match=r"'clip.avi' is damaged: \d+ frames? (is|are) lost, \d+"):
        video = open_video(path)
    with video:
        forwards = [read_number(frame) for frame in video]
        assert 35 < len(forwards) < 60
        assert forwards[:12] == list(range(12))
        assert forwards[-12:] == list(range(48, 60))
        picks = [*range(len(forwards) - 1, -1, -3), 5, 30, 5, 20, 30]
        for number in picks:
            video._cache.drop(video._owner)  # type: ignore[attr-defined]
            assert read_number(video[number]) == forwards[number]


def test_avi_without_its_index(tmp_path: Path) -> None:
    path = encode(tmp_path / "clip.avi", "mpeg4", gop=12, b_frames=2)
    data = path.read_bytes()
    path.write_bytes(data.replace(b"idx1", b"JUNK"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        video = open_video(path)
    with video:
        assert [read_number(frame) for frame in video] == list(range(40))
        for number in (39, 13, 12, 11, 30, 0):
            video._cache.drop(video._owner)  # type: ignore[attr-defined]
            assert read_number(video[number]) == number


@pytest.mark.parametrize("name", ["clip.mp4", "clip.mkv", "clip.ts"])
def test_frames_missing_among_others_are_counted(name: str, tmp_path: Path) -> None:
    shown = [number for number in range(60) if number not in (20, 21, 22, 40)]
    path = encode(
        tmp_path / name,
        n_frames=len(shown),
        pts=shown,
        time_base=Fraction(1, 25),
        gop=12,
        b_frames=2,
    )
    with pytest.warns(UserWarning, match=r"4 frames of 'clip.* are missing in 2 places") as caught:
        video = open_video(path)
    assert len(caught) == 1
    assert video.metadata["left_out"] == (4, 2)
    assert [read_number(frame) for frame in video] == list(range(56))
    video.close()


def test_a_pause_between_two_recordings_is_no_loss(tmp_path: Path) -> None:
    shown = [*range(30), *range(1000, 1030)]
    path = encode(
        tmp_path / "two.mp4", n_frames=60, pts=shown, time_base=Fraction(1, 25), gop=12, b_frames=2
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        video = open_video(path)
    assert "left_out" not in video.metadata
    assert [read_number(frame) for frame in video] == list(range(60))
    video.close()
