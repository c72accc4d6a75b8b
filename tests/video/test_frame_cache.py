"""The cache of decoded frames keeps within its bytes, and is shared."""

from __future__ import annotations

import gc
from pathlib import Path

import av
import pytest

from napari_sam3.errors import VideoError
from napari_sam3.video import Video, frame_cache, open_video, set_cache_budget
from napari_sam3.video.frame_cache import SHARED_CACHE, FrameCache
from napari_sam3.video.video_file import TRAIL, VideoFile

from .clips import encode, forget, read_number


@pytest.fixture(autouse=True)
def nothing_left_behind(fast_collections: None) -> None:
    """No video of an earlier test is let go of while bytes are counted."""
    gc.collect()


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


def test_no_decoded_frame_outlives_its_video(tmp_path: Path) -> None:
    # one that does holds the memory of all that its decoder ever made
    path = encode(tmp_path / "clip.mp4")
    gc.collect()
    gc.disable()
    try:
        video = open_video(path)
        video[20], video[3]
        video.close()
        alive = [o for o in gc.get_objects() if isinstance(o, av.VideoFrame | av.VideoCodecContext)]
    finally:
        gc.enable()
    shape = video.shape[1:3]
    assert not [o for o in alive if (o.height, o.width) == shape]


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
    monkeypatch.setattr("napari_sam3.video.video_file.JUMP_BUDGET", 30_000)
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


def frames_kept(video: Video) -> list[int]:
    assert isinstance(video, VideoFile)
    return [n for n in range(len(video)) if SHARED_CACHE.get(video._owner, n) is not None]


def test_reading_forwards_leaves_a_trail(tmp_path: Path) -> None:
    with open_video(encode(tmp_path / "clip.mp4", n_frames=120, gop=60)) as video:
        assert [read_number(video[number]) for number in range(30, 100)] == list(range(30, 100))
        assert set(range(99 - TRAIL + 1, 100)) <= set(frames_kept(video))
        assert len(frames_kept(video)) < TRAIL + 40
        assert [read_number(video[number]) for number in range(99, 20, -1)] == list(
            range(99, 20, -1)
        )


def test_what_is_soon_decoded_again_is_not_kept(tmp_path: Path) -> None:
    with open_video(encode(tmp_path / "clip.mp4", n_frames=60, gop=6)) as video:
        forget(video)
        for number in (40, 59, 10, 27):
            assert read_number(video[number]) == number
        assert frames_kept(video) == [10, 27, 40, 59]
        assert read_number(video[26]) == 26
        assert frames_kept(video) == [10, 24, 25, 26, 27, 40, 59]


def test_of_keyframes_only_what_comes_again_is_kept(tmp_path: Path) -> None:
    with open_video(encode(tmp_path / "clip.avi", "mjpeg", "yuvj420p")) as video:
        forget(video)
        assert [read_number(video[number]) for number in (20, 21, 22, 3)] == [20, 21, 22, 3]
        assert frames_kept(video) == []
        assert [read_number(video[number]) for number in (20, 21, 22)] == [20, 21, 22]
        assert frames_kept(video) == [20, 21, 22]


@pytest.mark.parametrize(
    ("setting", "budget"), [("64", 64), (" 0.5 ", 0.5), ("0", 0), ("", 512), (None, 512)]
)
def test_budget_from_the_environment(
    setting: str | None, budget: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    if setting is None:
        monkeypatch.delenv("NAPARI_SAM3_CACHE_MB", raising=False)
    else:
        monkeypatch.setenv("NAPARI_SAM3_CACHE_MB", setting)
    assert frame_cache._initial_budget() == budget * 2**20


@pytest.mark.parametrize("setting", ["much", "-5", "nan", "inf", "1 GB"])
def test_wrong_budget_in_the_environment_is_said(
    setting: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NAPARI_SAM3_CACHE_MB", setting)
    with pytest.warns(UserWarning, match=f"NAPARI_SAM3_CACHE_MB is '{setting}'"):
        assert frame_cache._initial_budget() == 512 * 2**20


def test_budget_is_set_while_videos_are_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SHARED_CACHE, "_budget", SHARED_CACHE.budget)
    with open_video(encode(tmp_path / "clip.mp4")) as video:
        video[:]
        set_cache_budget(0.05)
        assert SHARED_CACHE.used <= 0.05 * 2**20
        assert [read_number(frame) for frame in video] == list(range(40))
    with pytest.raises(VideoError, match="-1 megabytes"):
        set_cache_budget(-1)
