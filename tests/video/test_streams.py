"""What containers do to a video: streams beside it, edits, turns, no way back to the start."""

from __future__ import annotations

import struct
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO

import av
import numpy as np
import pytest
from PIL import Image

from napari_sam3.video import open_video

from .clips import check_every_order, draw, encode, picture_frame, read_number
from .kinds import OPEN_GOP

TICKS = 512
"""A frame lasts so long in the MP4 files here, in the ticks of their video (12800 a second)."""


def write_two_streams(path: Path, default: int | None = None) -> Path:
    """Two videos of different sizes, the second one's numbers 500 higher."""
    with av.open(str(path), "w") as container:
        streams = []
        for number, size in enumerate([(48, 96), (64, 128)]):
            stream = container.add_stream("libx264", rate=25, options=OPEN_GOP)
            stream.height, stream.width = size
            stream.pix_fmt, stream.gop_size, stream.max_b_frames = "yuv420p", 12, 2
            if default is not None:
                is_default = av.stream.Disposition.default if number == default else 0
                stream.disposition = av.stream.Disposition(is_default)
            streams.append((stream, size))
        for number in range(40):
            for shift, (stream, size) in enumerate(streams):
                frame = picture_frame(draw(number + 500 * shift, size), "yuv420p")
                frame.pts = number
                container.mux(stream.encode(frame))
        for stream, _ in streams:
            container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize("suffix", [".mkv", ".mp4", ".ts"])
def test_first_of_several_video_streams(suffix: str, tmp_path: Path) -> None:
    check_every_order(write_two_streams(tmp_path / f"two{suffix}"), 40)


@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
def test_stream_that_the_file_prefers(suffix: str, tmp_path: Path) -> None:
    path = write_two_streams(tmp_path / f"two{suffix}", default=1)
    check_every_order(path, range(500, 540))


class Pipe:
    """What can be written to and nothing else."""

    def __init__(self, file: BinaryIO) -> None:
        self.write = file.write


@pytest.mark.parametrize(
    ("name", "format", "codec", "options"),
    [
        ("piped.mkv", "matroska", "libx264", {}),
        ("piped.webm", "webm", "libvpx-vp9", {}),
        ("piped.mp4", "mp4", "libx264", {"movflags": "frag_keyframe+empty_moov"}),
        ("piped.ts", "mpegts", "libx264", {}),
        ("piped.flv", "flv", "libx264", {}),
        ("piped.avi", "avi", "mpeg4", {}),
    ],
)
@pytest.mark.filterwarnings("error")
def test_file_written_into_a_pipe(
    name: str, format: str, codec: str, options: dict[str, str], tmp_path: Path
) -> None:
    path = tmp_path / name
    # neither an index nor a duration: there is no going back to write them
    with path.open("wb") as file:
        encode(Pipe(file), codec, format=format, container_options=options, gop=12)
    check_every_order(path, 40)
    with open_video(path) as video:
        assert video.fps == pytest.approx(25)
        assert video.metadata["duration"] == pytest.approx(1.6, abs=2e-3)


def test_one_keyframe_in_a_thousand_frames(tmp_path: Path) -> None:
    path = encode(
        tmp_path / "long.mp4",
        n_frames=1000,
        size=(32, 80),
        gop=2000,
        b_frames=2,
        options={"preset": "ultrafast", "x264-params": "scenecut=0:bframes=2"},
    )
    with open_video(path) as video:
        assert len(video._index.key_frames) == 1  # type: ignore[attr-defined]
        numbers = list(range(1000))
        assert [read_number(video[n]) for n in reversed(numbers)] == numbers[::-1]
        assert [read_number(frame) for frame in video.frames()] == numbers
        for number in (700, 20, 999, 700, 700, 0, 501):
            video._cache.drop(video._owner)  # type: ignore[attr-defined]
            assert read_number(video[number]) == number


# ------------------------------------------------------------------------------------ edit lists


def with_edits(path: Path, entries: list[tuple[int, int]]) -> Path:
    """Put another edit list into an MP4: (frames to show, first frame or -1 for nothing)."""
    with av.open(str(path)) as container:
        assert container.streams.video[0].time_base == Fraction(1, 25 * TICKS)
    data = bytearray(path.read_bytes())
    # two frames of reordering lie before the first one
    rows = [(40 * n, -1 if start < 0 else TICKS * (start + 2)) for n, start in entries]
    packed = b"".join(struct.pack(">Iihh", length, start, 1, 0) for length, start in rows)
    edits = struct.pack(">I4sII", 16 + len(packed), b"elst", 0, len(rows)) + packed
    place = data.rfind(b"elst") - 4
    old_length = int.from_bytes(data[place : place + 4], "big")
    # the tables are the file's end, so that no frame moves; the boxes around grow
    for name in (b"edts", b"trak", b"moov"):
        box = data.rfind(name, 0, place) - 4
        length = int.from_bytes(data[box : box + 4], "big") + len(edits) - old_length
        data[box : box + 4] = length.to_bytes(4, "big")
    data[place : place + old_length] = edits
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        ([(20, 10)], [*range(10, 30)]),
        ([(10, 0), (10, 20)], [*range(10), *range(20, 30)]),
        ([(10, 20), (10, 0)], [*range(20, 30), *range(10)]),
        ([(10, 5), (10, 5)], [*range(5, 15), *range(5, 15)]),
        ([(25, -1), (40, 0)], [*range(40)]),
    ],
    ids=["both ends cut", "middle cut", "parts swapped", "shown twice", "starts late"],
)
def test_edit_lists(entries: list[tuple[int, int]], expected: list[int], tmp_path: Path) -> None:
    path = with_edits(encode(tmp_path / "edit.mp4", gop=12, b_frames=3), entries)
    check_every_order(path, expected)
    with open_video(path) as video:
        assert video.timestamps is not None
        assert video.timestamps[0] == pytest.approx(1 if entries[0][1] < 0 else 0)


def test_edit_list_of_a_start_before_zero(tmp_path: Path) -> None:
    path = encode(
        tmp_path / "edit.mp4",
        gop=12,
        b_frames=3,
        pts=list(range(-10, 30)),
        time_base=Fraction(1, 25),
    )
    check_every_order(path, range(10, 40))


# ------------------------------------------------------------------------- turned, and pictures


@pytest.mark.parametrize("degrees", [90, 180, -90])
@pytest.mark.parametrize("name", ["turned.mp4", "turned.mov", "turned.mkv"])
def test_rotation_is_applied(name: str, degrees: int, tmp_path: Path) -> None:
    path = encode(tmp_path / name, gop=12, b_frames=3, rotation=degrees)
    with open_video(path) as video:
        assert video.shape == ((40, 48, 96, 3) if degrees == 180 else (40, 96, 48, 3))
    check_every_order(path, 40, turns=degrees // 90)


@pytest.mark.parametrize(
    ("matrix", "undo"),
    [
        ((-1, 0, 0, 1), lambda frame: frame[:, ::-1]),
        ((1, 0, 0, -1), lambda frame: frame[::-1]),
        ((0, 1, 1, 0), lambda frame: frame.swapaxes(0, 1)),
        ((0, -1, -1, 0), lambda frame: frame[::-1, ::-1].swapaxes(0, 1)),
        ((0, 0, 0, 0), lambda frame: frame),
    ],
    ids=["left_right", "up_down", "transposed", "across", "no_matrix_at_all"],
)
def test_mirroring_is_applied(matrix: tuple[int, ...], undo: Any, tmp_path: Path) -> None:
    path = encode(tmp_path / "mirrored.mp4", gop=12, b_frames=3)
    with open_video(path) as video:
        plain = list(video)
    data = bytearray(path.read_bytes())
    a, b, c, d = (value << 16 for value in matrix)
    start = data.index(b"tkhd") + 44
    data[start : start + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(data)
    with open_video(path) as video:
        assert all(np.array_equal(undo(a), b) for a, b in zip(video, plain, strict=True))


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif", ".bmp", ".webp"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_folder_of_frames_in_every_order(suffix: str, dtype: Any, tmp_path: Path) -> None:
    if dtype == np.uint16 and suffix not in (".png", ".tif"):
        pytest.skip("it holds 8 bits only")
    for number in range(12):
        Image.fromarray(
            draw(number).astype(dtype) * 3 if dtype == np.uint16 else draw(number)
        ).save(tmp_path / f"t{number}{suffix}")
    check_every_order(tmp_path, 12)
    with open_video(tmp_path) as video:
        assert video.dtype == dtype


def test_apng_that_marks_no_picture_as_a_key(tmp_path):
    """Pictures drawn over what was there: FFmpeg calls none of them a place to begin."""
    path = tmp_path / "clip.apng"
    pictures = []
    for number in range(12):
        picture = Image.fromarray(draw(number)).convert("RGBA")
        picture.putpixel((0, 0), (0, 0, 0, 0))
        pictures.append(picture)
    pictures[0].save(
        path, format="PNG", save_all=True, append_images=pictures[1:], disposal=0, blend=1
    )
    check_every_order(path, 12)
