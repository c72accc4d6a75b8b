"""The cache of decoded frames keeps within its bytes, and is shared."""

from __future__ import annotations

from pathlib import Path

from napari_sam3.video import open_video
from napari_sam3.video.cache import SHARED_CACHE, FrameCache

from .clips import encode


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
