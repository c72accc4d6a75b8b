"""Several threads read one video, or the same file, at once: no wrong frame, no deadlock."""

from __future__ import annotations

import random
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import av
import av.logging
import pytest

from napari_sam3.errors import VideoError
from napari_sam3.video import Video, open_video
from napari_sam3.video.fair_lock import FairLock
from napari_sam3.video.frame_cache import SHARED_CACHE

from .clips import encode, read_number


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return encode(tmp_path / "clip.mp4", n_frames=80, gop=15, b_frames=2)


@pytest.fixture
def small_cache() -> object:
    before = SHARED_CACHE.budget
    SHARED_CACHE.budget = 20_000
    yield
    SHARED_CACHE.budget = before


def read_about(video: Video, seed: int) -> list[tuple[int, int]]:
    picks = random.Random(seed).choices(range(len(video)), k=60)
    return [(number, read_number(video[number])) for number in picks]


@pytest.mark.parametrize("shared", [True, False])
def test_no_wrong_frame(shared: bool, clip: Path, small_cache: None) -> None:
    video = open_video(clip)
    videos = [video if shared else video.reopen() for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        for pairs in pool.map(read_about, videos, range(4), timeout=60):
            assert all(wanted == read for wanted, read in pairs)


def test_closing_while_others_read(clip: Path, small_cache: None) -> None:
    video = open_video(clip)

    def read_on() -> str:
        try:
            while True:
                for number in range(0, 80, 7):
                    assert read_number(video[number]) == number
        except VideoError as error:
            return str(error)

    with ThreadPoolExecutor(3) as pool:
        readers = [pool.submit(read_on) for _ in range(2)]
        assert read_number(video[79]) == 79
        video.close()
        assert all("closed" in reader.result(timeout=60) for reader in readers)


def test_threads_share_one_iterator(clip: Path) -> None:
    with open_video(clip) as video, video.frames() as frames, ThreadPoolExecutor(4) as pool:
        shares = pool.map(lambda _: [read_number(frame) for frame in frames], range(4), timeout=60)
        assert sorted(number for share in shares for number in share) == list(range(80))


def test_iterator_that_another_thread_closes_ends(clip: Path) -> None:
    with open_video(clip) as video:
        frames = video.frames()
        with ThreadPoolExecutor(2) as pool:
            readers = [pool.submit(list, frames) for _ in range(2)]
            frames.close()
            read = [read_number(frame) for reader in readers for frame in reader.result(timeout=60)]
        assert sorted(read) == list(range(len(read)))


def test_nobody_is_overtaken_who_waits_for_a_decoder() -> None:
    lock, order = FairLock(), []

    def take(number: int) -> None:
        with lock:
            order.append(number)

    with ThreadPoolExecutor(3) as pool:
        with lock:
            for number in range(3):
                pool.submit(take, number)
                while len(lock._turns) < number + 2:
                    time.sleep(0)
        # asked for anew at once: those that waited come first
        take(3)
    assert order == [0, 1, 2, 3]


def test_a_decoder_is_closed_though_somebody_had_ffmpeg_tell_python_all(clip: Path) -> None:
    """As older torchvisions do: closing waits for threads, and these for Python's lock."""
    av.logging.set_level(av.logging.TRACE)
    try:
        with open_video(clip) as video:
            assert read_number(video[20]) == 20
            assert av.logging.get_level() is None
            av.logging.set_level(av.logging.PANIC)
        assert av.logging.get_level() is None
    finally:
        av.logging.set_level(None)
