"""Frames one after another, forwards and backwards, read ahead in a thread."""

from __future__ import annotations

import gc
import threading
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from napari_sam3.errors import VideoError
from napari_sam3.video import as_video, open_video
from napari_sam3.video.decoder import Decoder
from napari_sam3.video.frame_cache import SHARED_CACHE

from .clips import draw, encode, read_number


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return encode(tmp_path_factory.mktemp("clips") / "clip.mp4", n_frames=80, gop=25, b_frames=3)


def prefetch_threads() -> int:
    return sum(thread.name.startswith("prefetch") for thread in threading.enumerate())


@pytest.mark.parametrize(
    ("start", "stop", "step"),
    [
        (None, None, None),
        (None, None, -1),
        (70, 10, -1),
        (5, 60, 7),
        (None, None, -7),
        (-3, None, 1),
        (40, 40, 1),
        (79, None, 1),
        (200, None, -30),
    ],
)
def test_frames_are_those_of_the_slice(
    clip: Path, start: int | None, stop: int | None, step: int | None
) -> None:
    expected = list(range(80))[start:stop:step]
    with open_video(clip) as video:
        frames = video.frames(start, stop, step)
        assert len(frames) == len(expected)
        assert [read_number(frame) for frame in frames] == expected
        assert len(frames) == 0
        assert prefetch_threads() == 0


def test_cache_smaller_than_a_group_of_pictures(
    clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SHARED_CACHE, "_budget", 60_000)
    with open_video(clip) as video:
        numbers = [read_number(frame) for frame in video.frames(step=-1)]
    assert numbers == list(range(79, -1, -1))


def test_the_last_frames_come_without_going_back(
    clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # the decoder gives them all at once when the file ends
    with open_video(clip) as video:
        video[40]
        seeks: list[int] = []
        seek = Decoder._seek
        monkeypatch.setattr(
            Decoder, "_seek", lambda self, index, key: seeks.append(key) or seek(self, index, key)
        )
        assert [read_number(video[number]) for number in range(41, 80)] == list(range(41, 80))
        assert seeks == []


def test_frames_belong_to_who_gets_them(clip: Path) -> None:
    with open_video(clip) as video, video.frames() as frames:
        for frame in frames:
            frame[...] = 0
        assert read_number(video[30]) == 30


def test_reading_on_leaves_the_cache_to_others(clip: Path) -> None:
    with open_video(clip) as video:
        video[5]
        before = SHARED_CACHE.used
        assert sum(1 for _ in video.frames()) == 80
        assert SHARED_CACHE.used == before
        assert sum(1 for _ in video.frames(step=-1)) == 80
        gc.collect()
        video[40]
        assert SHARED_CACHE.used < before + 80 * 10_000


@pytest.mark.parametrize("end", ["close", "drop", "with"])
def test_thread_ends_with_the_iterator(clip: Path, end: str) -> None:
    with open_video(clip) as video:
        frames: Any = video.frames()
        assert read_number(next(frames)) == 0
        assert prefetch_threads() == 1
        if end == "close":
            frames.close()
            frames.close()
            assert list(frames) == []
        elif end == "with":
            with frames:
                pass
        else:
            del frames
            gc.collect()
        assert prefetch_threads() == 0


def test_nothing_starts_before_the_first_frame(clip: Path) -> None:
    with open_video(clip) as video:
        frames = video.frames()
        assert prefetch_threads() == 0
        frames.close()


def test_viewer_and_tracker_at_once(clip: Path) -> None:
    with open_video(clip) as video:
        for there, back in zip(range(80), video.frames(step=-1), strict=True):
            assert read_number(back) == 79 - there
            assert read_number(video[there * 37 % 80]) == there * 37 % 80


def test_closing_the_video_leaves_its_readers_alone(clip: Path) -> None:
    video = open_video(clip)
    frames = video.frames()
    assert read_number(next(frames)) == 0
    video.close()
    assert [read_number(frame) for frame in frames] == list(range(1, 80))
    with pytest.raises(VideoError, match="closed"):
        video.frames()


def test_error_comes_in_place_of_its_frame(tmp_path: Path) -> None:
    for number in range(5):
        Image.fromarray(draw(number)).save(tmp_path / f"{number}.png")
    with open_video(tmp_path) as video:
        (tmp_path / "3.png").write_bytes(b"broken")
        frames = video.frames()
        assert [read_number(next(frames)) for _ in range(3)] == [0, 1, 2]
        with pytest.raises(VideoError, match=r"3\.png"):
            next(frames)
        assert list(frames) == []
        assert prefetch_threads() == 0


def test_hole_is_warned_of_once_by_all_readers(tmp_path: Path) -> None:
    path = encode(
        tmp_path / "clip.mp4",
        n_frames=60,
        gop=10,
        container_options={"movflags": "+faststart"},
    )
    data = bytearray(path.read_bytes())
    middle = slice(len(data) // 2, len(data) * 3 // 4)
    data[middle] = bytes(len(data[middle]))
    path.write_bytes(data)
    with open_video(path) as video, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        orders = [video.frames(), reversed(list(video.frames(step=-1))), video]
        shown = [[read_number(frame) for frame in order] for order in orders]
    assert ["can't be decoded" in str(warning.message) for warning in caught] == [True]
    # what is shown of a damaged frame may depend on what was decoded before it, nothing else may
    for numbers in shown:
        assert numbers[:10] == list(range(10))
        assert numbers[50:] == list(range(50, 60))


def test_arrays_have_frames_too() -> None:
    array = np.arange(5 * 2 * 3).reshape(5, 2, 3)
    np.testing.assert_array_equal(list(as_video(array).frames(step=-2)), array[::-2])
    with pytest.raises(ValueError, match="zero"):
        as_video(array).frames(step=0)
