"""Proxies: the same frames under the same numbers, for showing only, tied to the file."""

from __future__ import annotations

import os
import pickle
import random
import warnings
from pathlib import Path

import av
import numpy as np
import pytest

from napari_sam3.errors import VideoError
from napari_sam3.video import as_video, open_video, proxy
from napari_sam3.video.proxy import (
    KEY_EVERY,
    make_proxy,
    proxy_path,
    remove_proxy,
    show_proxy,
    write_proxy,
)

from .clips import encode, read_number


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where proxies go."""
    monkeypatch.setattr("platformdirs.user_cache_path", lambda *args, **options: tmp_path / "cache")
    return tmp_path / "cache" / "proxies"


KINDS = {
    "one keyframe": {"n_frames": 60, "gop": 250, "b_frames": 2},
    "variable rate": {"n_frames": 40, "pts": [n * (n + 1) // 2 for n in range(40)]},
    "odd size": {"n_frames": 20, "size": (49, 97), "pix_fmt": "yuv444p"},
    "turned": {"n_frames": 20, "rotation": 90},
}


@pytest.mark.parametrize("kind", KINDS)
def test_frames_are_the_originals(kind: str, tmp_path: Path) -> None:
    video = open_video(encode(tmp_path / "clip.mp4", **KINDS[kind]))
    make_proxy(video)
    shown = show_proxy(video)
    assert shown is not video
    assert (shown.shape, shown.dtype, shown.fps, shown.path) == (
        video.shape,
        video.dtype,
        video.fps,
        video.path,
    )
    assert np.array_equal(shown.timestamps, video.timestamps)
    wanted = np.asarray(video)
    video.close()  # or a proxy that can't be read would go unnoticed
    numbers = list(range(len(video)))
    random.Random(0).shuffle(numbers)
    for number in numbers:
        difference = np.abs(shown[number].astype(int) - wanted[number])
        assert difference.mean() < 3
    if kind != "turned":
        assert [read_number(frame) for frame in shown] == list(range(len(video)))


def test_a_keyframe_is_never_far(tmp_path: Path) -> None:
    path = make_proxy(open_video(encode(tmp_path / "clip.mp4", n_frames=60, gop=250)))
    with av.open(str(path)) as container:
        keys = [n for n, p in enumerate(container.demux(video=0)) if p.size and p.is_keyframe]
    assert max(np.diff([*keys, 60])) <= KEY_EVERY


def test_whoever_computes_reads_the_original(tmp_path: Path) -> None:
    video = open_video(encode(tmp_path / "clip.mp4", n_frames=10))
    make_proxy(video)
    shown = show_proxy(video)
    assert as_video(shown) is video
    with shown.reopen() as again:
        assert np.array_equal(again[7], video[7])
        assert show_proxy(again) is not again
    with shown.frames(7, 8) as frames:
        assert np.array_equal(next(frames), video[7])
    assert "is_proxy" in shown.metadata
    assert "is_proxy" not in shown.reopen().metadata
    assert np.array_equal(pickle.loads(pickle.dumps(shown))[3], video[3])
    shown.close()
    with pytest.raises(VideoError, match="closed"):
        video[0]


def test_it_is_tied_to_the_file(tmp_path: Path) -> None:
    path = encode(tmp_path / "clip.mp4", n_frames=10)
    video = open_video(path)
    assert show_proxy(video) is video  # none yet
    before = make_proxy(video)
    assert show_proxy(open_video(path)).metadata["is_proxy"]
    encode(path, n_frames=12)
    os.utime(path, ns=(1, 1))
    changed = open_video(path)
    assert proxy_path(changed) != before
    assert show_proxy(changed) is changed


def test_stopping_leaves_nothing_behind(tmp_path: Path, folder: Path) -> None:
    video = open_video(encode(tmp_path / "clip.mp4", n_frames=30))
    steps = write_proxy(video)
    assert [next(steps) for _ in range(5)] == [1, 2, 3, 4, 5]
    steps.close()
    assert list(folder.iterdir()) == []
    assert show_proxy(video) is video
    assert read_number(video[20]) == 20  # its handle is untouched


def test_a_broken_or_missing_proxy_harms_nobody(tmp_path: Path) -> None:
    video = open_video(encode(tmp_path / "clip.mp4", n_frames=40))
    path = make_proxy(video)
    shown = show_proxy(video)
    whole = path.read_bytes()
    assert remove_proxy(video)
    assert not remove_proxy(video)
    assert [read_number(shown[n]) for n in (39, 0, 20)] == [39, 0, 20]
    path.write_bytes(whole[: len(whole) // 2])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert show_proxy(video) is video


@pytest.mark.parametrize("pix_fmt", ["gray", "gray16le"])
def test_grey_is_refused(pix_fmt: str, tmp_path: Path) -> None:
    codec, path = "ffv1", tmp_path / "clip.mkv"
    video = open_video(encode(path, codec, pix_fmt, n_frames=3))
    with pytest.raises(VideoError, match="grey"):
        make_proxy(video)
    assert show_proxy(video) is video
    with pytest.raises(VideoError, match="at once"):
        make_proxy(as_video(np.zeros((3, 20, 30, 3), np.uint8)))


def test_room_is_made(tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = []
    for number in range(3):
        video = open_video(encode(tmp_path / f"{number}.mp4", n_frames=5))
        paths.append(make_proxy(video))
        os.utime(paths[-1], (1000 + number, 1000 + number))
    half = folder / ".half.mp4"
    half.write_bytes(b"0")
    os.utime(half, (1000, 1000))
    monkeypatch.setattr(proxy, "MOST_BYTES", 2 * paths[0].stat().st_size)
    make_proxy(open_video(encode(tmp_path / "new.mp4", n_frames=5)))
    assert not half.exists()
    assert not paths[0].exists()
    assert paths[2].exists()
