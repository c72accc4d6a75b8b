"""An index that took long to make is kept for the next opening, and believed only if it fits."""

from __future__ import annotations

import os
import random
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from napari_sam3.errors import VideoError
from napari_sam3.video import Video, open_video, probe
from napari_sam3.video.index_store import load_stream_info, store_folder

from .clips import encode, read_number


@pytest.fixture(autouse=True)
def keep_all(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(probe, "WORTH_KEEPING", 0.0)
    monkeypatch.setattr("platformdirs.user_cache_path", lambda *a, **k: tmp_path / "cache")


@pytest.fixture
def no_looking_through(monkeypatch: pytest.MonkeyPatch) -> None:
    """After this a file opens only if its index is known."""

    def look_through(path: Path) -> None:
        raise VideoError(f"{path.name} is looked through")

    monkeypatch.setattr(probe, "_index_file", look_through)


KINDS = {
    "clip.mkv": {"gop": 12, "b_frames": 3},
    "clip.h264": {"gop": 12, "b_frames": 3},
    "clip.avi": {"codec": "mpeg4", "gop": 12, "b_frames": 2},
    "clip.mp4": {"gop": 12, "b_frames": 3},
    "clip.gif": {"codec": "gif", "pix_fmt": "rgb8"},
}


def everything(video: Video) -> tuple[object, ...]:
    picks = [39, 3, 3, 20, 0, 13]
    assert video.timestamps is not None
    return (
        video.shape,
        video.fps,
        dict(video.metadata),
        video.timestamps.tolist(),
        [read_number(video[number]) for number in picks],
    )


@pytest.mark.parametrize("name", KINDS)
def test_second_opening_gives_the_same(
    name: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    path = encode(tmp_path / name, **KINDS[name])
    with open_video(path) as video:
        first = everything(video)
    assert first[-1] == [39, 3, 3, 20, 0, 13]
    request.getfixturevalue("no_looking_through")
    with open_video(path) as video:
        assert everything(video) == first


def test_what_is_lost_is_said_again(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    path = encode(tmp_path / "clip.mkv", gop=12)
    path.write_bytes(path.read_bytes()[:-900])
    with pytest.warns(UserWarning, match="breaks off") as caught:
        open_video(path).close()
    request.getfixturevalue("no_looking_through")
    with pytest.warns(UserWarning, match="breaks off") as again:
        open_video(path).close()
    assert str(again[0].message) == str(caught[0].message)


def test_changed_file_is_looked_through_again(tmp_path: Path) -> None:
    path = encode(tmp_path / "clip.mkv", gop=12)
    open_video(path).close()
    before = path.stat()
    data = path.read_bytes()
    encode(path, gop=12, n_frames=20)
    with open_video(path) as video:
        assert len(video) == 20
    # one record a file, whatever becomes of it
    assert len(list(store_folder().iterdir())) == 1
    path.write_bytes(data)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert load_stream_info(path) is None
    with open_video(path) as video:
        assert len(video) == 40
    # same size and time, other contents
    path.write_bytes(data[:50] + b"?" + data[51:])
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert load_stream_info(path) is None


def test_damaged_records_are_as_good_as_none(tmp_path: Path) -> None:
    path = encode(tmp_path / "clip.mkv", gop=12)
    open_video(path).close()
    (record,) = store_folder().iterdir()
    data = record.read_bytes()
    true = load_stream_info(path)
    assert true is not None
    for seed in range(150):
        dice = random.Random(seed)
        bad = bytearray(data)
        for _ in range(dice.choice([1, 10])):
            bad[dice.randrange(len(bad))] ^= 1 << dice.randrange(8)
        record.write_bytes(bad[: dice.randrange(len(bad))] if seed % 3 == 0 else bad)
        found = load_stream_info(path)
        if found is not None:
            np.testing.assert_array_equal(found.index.stamps, true.index.stamps)
            np.testing.assert_array_equal(found.index.key_seeks, true.index.key_seeks)
            assert found.metadata == true.metadata
    record.write_bytes(b"")
    with open_video(path) as video:
        assert read_number(video[39]) == 39
    assert load_stream_info(path) is not None


def test_record_of_other_frames_is_not_believed(tmp_path: Path) -> None:
    path = encode(tmp_path / "clip.mkv", gop=12)
    open_video(path).close()
    (record,) = store_folder().iterdir()
    with np.load(record) as stored:
        arrays = dict(stored)
    arrays["stamps"] = arrays["stamps"] + 12345
    np.savez_compressed(record, **arrays)
    with open_video(path) as video:
        assert [read_number(video[n]) for n in (39, 0, 20)] == [39, 0, 20]


def test_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file where the folder should be")
    path = encode(tmp_path / "clip.mkv", gop=12)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with open_video(path) as video:
            assert read_number(video[39]) == 39


def test_old_records_make_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = [encode(tmp_path / f"{n}.mkv", n_frames=5) for n in range(3)]
    for n, path in enumerate(paths):
        open_video(path).close()
        if n < 2:
            newest = max(store_folder().iterdir(), key=lambda record: record.stat().st_mtime_ns)
            os.utime(newest, ns=(n, n))
            size = newest.stat().st_size
            monkeypatch.setattr("napari_sam3.video.index_store.MOST_BYTES", int(2.5 * size))
    assert [load_stream_info(path) is not None for path in paths] == [False, True, True]


def test_several_at_once(tmp_path: Path) -> None:
    path = encode(tmp_path / "clip.mkv", gop=12)

    def look(_: int) -> int:
        with open_video(path) as video:
            return read_number(video[33])

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(look, range(24), timeout=60)) == {33}
    (record,) = store_folder().iterdir()
    assert record.suffix == ".npz"


def test_quick_files_leave_no_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "WORTH_KEEPING", 1e9)
    open_video(encode(tmp_path / "clip.mp4")).close()
    assert not store_folder().exists()


@pytest.mark.parametrize("kind", ["pipe", "link", "large"])
def test_a_record_that_is_no_plain_file_is_as_good_as_none(tmp_path: Path, kind: str) -> None:
    path = encode(tmp_path / "clip.mkv", **KINDS["clip.mkv"])
    open_video(path).close()
    (record,) = store_folder().glob("*.npz")
    assert load_stream_info(path) is not None
    if kind == "large":
        with record.open("ab") as file:
            file.truncate(8 * 2**30)
    else:
        record.rename(tmp_path / "mine")
        if kind == "link":
            record.symlink_to(tmp_path / "mine")
        else:
            os.mkfifo(record)
    assert load_stream_info(path) is None
