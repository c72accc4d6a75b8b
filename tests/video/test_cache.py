"""The cache of decoded frames keeps within its bytes, and is shared."""

from __future__ import annotations

import gc
from pathlib import Path

import pytest

from napari_sam3.video import open_video
from napari_sam3.video.cache import SHARED_CACHE, FrameCache

from .clips import encode, read_number


def test_oldest_frames_make_room() -> None:
    cache, owner = FrameCache(budget=300), object()
    for number in range(4):
        cache.put(owner, number, f"frame {number}", 100)
        cache.get(owner, 0)
    assert cache.used == 300
    assert cache.get(owner, 1) is None
    assert cache.get(owner, 0) == "frame 0"
    cache.budget = 100
    assert cache.used == 100


def test_one_frame_stays_however_large() -> None:
    cache, owner = FrameCache(budget=10), object()
    cache.put(owner, 0, "small", 5)
    cache.put(owner, 1, "large", 500)
    assert cache.get(owner, 0) is None
    assert cache.get(owner, 1) == "large"


def test_same_frame_is_counted_once() -> None:
    cache, owner = FrameCache(budget=1000), object()
    cache.put(owner, 0, "frame", 100)
    cache.put(owner, 0, "frame", 100)
    assert cache.used == 100


def test_closing_a_video_gives_its_memory_back(tmp_path: Path) -> None:
    before = SHARED_CACHE.used
    video = open_video(encode(tmp_path / "clip.mp4"))
    video[20]
    assert SHARED_CACHE.used > before
    video.close()
    assert SHARED_CACHE.used == before


def test_forgotten_video_gives_its_memory_back(tmp_path: Path) -> None:
    path = encode(tmp_path / "clip.mp4")
    gc.collect()
    with open_video(path) as other:
        other[:]
        before = SHARED_CACHE.used
        video = open_video(path)
        video[20]
        assert SHARED_CACHE.used > before
        del video
        gc.collect()
    with open_video(path) as other:
        other[:]
        assert SHARED_CACHE.used == before


def test_a_jump_keeps_little_and_stepping_back_keeps_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("napari_sam3.video.file.JUMP_BUDGET", 30_000)
    path = encode(
        tmp_path / "clip.mp4", n_frames=120, gop=120, options={"x264-params": "scenecut=0"}
    )
    with open_video(path) as video:
        before = SHARED_CACHE.used
        video[100]
        assert 0 < SHARED_CACHE.used - before < 60_000
        for number in range(99, 80, -1):
            assert read_number(video[number]) == number
        assert SHARED_CACHE.used - before > 400_000
