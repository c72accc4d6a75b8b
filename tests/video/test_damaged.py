"""A damaged file opens as far as it can be read, and says once what is missing."""

from __future__ import annotations

import random
import re
import warnings
from pathlib import Path

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


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("clip.mp4", "libx264"),
        ("clip.mkv", "libx264"),
        ("clip.ts", "libx264"),
        ("clip.avi", "mjpeg"),
        ("clip.webm", "libvpx-vp9"),
    ],
)
@pytest.mark.parametrize("share", [0.97, 0.7, 0.5])
def test_broken_off_file(name: str, codec: str, share: float, tmp_path: Path) -> None:
    path = encode(
        tmp_path / name,
        codec,
        "yuvj420p" if codec == "mjpeg" else "yuv420p",
        n_frames=100,
        gop=12,
        b_frames=2 if codec == "libx264" else None,
        container_options=FASTSTART if name.endswith("mp4") else None,
    )
    cut(path, share)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        video = open_video(path)
        numbers = [read_number(frame) for frame in video]
        backwards = [read_number(video[n]) for n in reversed(range(len(video)))]
    assert numbers == list(range(len(video)))
    assert backwards == numbers[::-1]
    assert len(video) > 30 * share
    if name.endswith((".mp4", ".mkv", ".webm")):
        # these say how many frames there should be
        assert [str(w.message) for w in caught] == [
            f"{name!r} breaks off: {100 - len(video)} frames at its end are lost, "
            f"{len(video)} can be read"
        ]


def test_whole_files_are_not_called_broken(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for name in ("a.mp4", "a.mkv", "a.ts", "a.avi", "a.mpg", "a.flv"):
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
        with pytest.warns(UserWarning, match=r"frame \d+ of 'clip.mp4' can't be decoded") as caught:
            frames = list(video)
        assert len(caught) == 1
        numbers = [read_number(frame) for frame in frames]
        true = [number for number, shown in enumerate(numbers) if shown == number]
        assert {0, 9, 50, 59} <= set(true)
        assert 20 < len(true) < 60
        # and reading backwards gives the same
        assert [read_number(video[n]) for n in reversed(true)] == true[::-1]


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
    with pytest.warns(UserWarning, match=r"'clip.avi' is damaged: \d+ frames are lost, \d+ can"):
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


@pytest.mark.parametrize("name", ["clip.mp4", "clip.mkv", "clip.ts", "clip.avi", "clip.gif"])
def test_mutated_files_open_or_are_refused(name: str, tmp_path: Path) -> None:
    codec, pix_fmt = ("gif", "rgb8") if name.endswith("gif") else ("libx264", "yuv420p")
    data = encode(tmp_path / name, codec, pix_fmt, gop=12, b_frames=2).read_bytes()
    for seed in range(16):
        path = tmp_path / f"{seed}-{name}"
        path.write_bytes(mutate(data, random.Random(seed)))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            try:
                video = open_video(path)
            except VideoError:
                continue
            assert len(video) <= 200
            for number in (0, len(video) - 1, len(video) // 2):
                assert video[number].shape == video.shape[1:]
            video.close()


def mutate(data: bytes, dice: random.Random) -> bytearray:
    """Flip bits, overwrite, cut out, break off."""
    bad = bytearray(data)
    for _ in range(dice.choice([1, 5, 30])):
        place = dice.randrange(len(bad))
        kind = dice.randrange(4)
        if kind == 0:
            bad[place] ^= 1 << dice.randrange(8)
        elif kind == 1:
            stop = min(len(bad), place + dice.randrange(64))
            bad[place:stop] = dice.randbytes(stop - place)
        elif kind == 2:
            del bad[place : place + dice.randrange(32)]
        else:
            # the head of a file is where a wrong byte does most
            bad[dice.randrange(min(len(bad), 1000))] = dice.randrange(256)
    return bad[: dice.randrange(len(bad) // 2, len(bad))] if dice.random() < 0.2 else bad
