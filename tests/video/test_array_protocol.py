"""A video is indexed as numpy indexes, and decodes no more than it is asked for."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_sam3.errors import VideoError
from napari_sam3.video import Video, as_video, open_video

from .clips import encode

T, H, W = 12, 48, 96
COLOUR_KEYS: list[Any] = [
    0,
    -1,
    np.int64(3),
    np.uint8(3),
    slice(None),
    slice(2, 9, 3),
    slice(None, None, -1),
    slice(8, 2, -2),
    slice(5, 5),
    slice(100, 200),
    ...,
    (...,),
    (),
    (3, ...),
    (..., 0),
    (..., slice(None, None, -1)),
    (3, 4),
    (3, 4, 5, 1),
    (slice(1, 4), slice(10, 20), 7),
    (slice(None), slice(None, None, 8), slice(None, None, -16), slice(0, 2)),
    (slice(1, 3), ..., 2),
    (5, ..., 1, 2),
    [1, 5, 1],
    [-1, 0],
    [],
    np.array([[0, 1], [2, 11]]),
    np.arange(T) % 2 == 0,
    ([1, 2], slice(0, 4)),
    ([3, 2], 5),
    ([3, 2], slice(None), 5),
    ([3, 2], [5, 6]),
    (4, slice(None), [5, 6]),
    (4, [5, 6]),
    (slice(0, 3), slice(None), [5, 6], 1),
    (slice(0, 3), [5, 6], slice(None), [0, 1]),
    (..., [0, 2]),
    (None, 2),
    (2, None),
    (slice(0, 2), None, 4),
    None,
    np.array(2),
    ((1, 0), 5),
    (slice(0, 3), [5, 6], [1, 2], ..., 0),
    (None, ..., 0, 1, 2, 1),
]


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return encode(tmp_path_factory.mktemp("clips") / "clip.mp4", n_frames=T, gop=5, b_frames=2)


@pytest.fixture
def video(clip: Path) -> Iterator[Video]:
    with open_video(clip) as video:
        yield video


@pytest.fixture(scope="module")
def whole(clip: Path) -> np.ndarray:
    with open_video(clip) as video:
        return np.asarray(video)


@pytest.mark.parametrize("key", COLOUR_KEYS, ids=repr)
def test_indexes_as_numpy(key: Any, video: Video, whole: np.ndarray) -> None:
    got, expected = video[key], whole[key]
    assert np.shape(got) == expected.shape
    assert got.dtype == expected.dtype
    np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize(
    "key",
    [T, -T - 1, [0, T], (0, H), (0, 0, 0, 0, 0), (..., ...), 1.5, [0.5], np.ones(3, bool), "a"],
    ids=repr,
)
def test_refuses_what_numpy_refuses(key: Any, video: Video, whole: np.ndarray) -> None:
    with pytest.raises((IndexError, TypeError)):
        whole[key]
    with pytest.raises((IndexError, TypeError)):
        video[key]


@pytest.mark.parametrize("key", [True, np.False_, (0, True)], ids=repr)
def test_refuses_a_single_yes_or_no(key: Any, video: Video) -> None:
    with pytest.raises(IndexError, match="True or False"):
        video[key]


def test_out_of_range_says_what_numpy_says(video: Video) -> None:
    with pytest.raises(IndexError, match="index 12 is out of bounds for axis 0 with size 12"):
        video[T]


def test_looks_like_the_array(video: Video, whole: np.ndarray) -> None:
    assert (video.shape, video.dtype, video.ndim) == (whole.shape, whole.dtype, whole.ndim)
    assert (video.size, video.nbytes, len(video)) == (whole.size, whole.nbytes, len(whole))
    assert all((a == b).all() for a, b in zip(video, whole, strict=True))


def test_becomes_an_array_of_any_type(video: Video, whole: np.ndarray) -> None:
    as_float = np.asarray(video, np.float32)
    assert as_float.dtype == np.float32
    np.testing.assert_array_equal(as_float, whole)
    with pytest.raises(ValueError, match="copy"):
        video.__array__(copy=False)  # as NumPy 2 asks; before, copy=False meant "if you can"


def test_writing_into_a_frame_changes_nothing_else(video: Video, whole: np.ndarray) -> None:
    for frame in (video[3], video.frame(3), video[3:5], video[[3, 4]]):
        frame[...] = 0
    np.testing.assert_array_equal(video[3], whole[3])


@pytest.mark.parametrize("pix_fmt", ["gray", "gray16le", "rgb24"])
def test_frames_of_every_format_are_the_callers_own(pix_fmt: str, tmp_path: Path) -> None:
    codec = "rawvideo" if pix_fmt != "gray16le" else "ffv1"
    suffix = ".mkv" if codec == "ffv1" else ".nut"
    path = encode(tmp_path / f"clip{suffix}", codec, pix_fmt, n_frames=3)
    with open_video(path) as video:
        frame = video[1]
        before = frame.copy()
        assert frame.flags.writeable
        assert frame.flags.c_contiguous
        frame[...] = 7
        np.testing.assert_array_equal(video[1], before)


def test_decodes_only_what_is_asked_for(
    clip: Path, monkeypatch: pytest.MonkeyPatch, whole: np.ndarray
) -> None:
    class Watched(type(as_video(whole))):  # type: ignore[misc]
        def _read(self, frame_index: int) -> np.ndarray:
            read.append(frame_index)
            return super()._read(frame_index)

    read: list[int] = []
    video = Watched(whole)
    _ = video[3], video[-2, 4], video[8:2:-3, ..., 0], video[[1, 1]], video[5:5], video[6, [1, 2]]
    assert sorted(read) == [1, 3, 5, 6, 8, 10]


def test_dask_can_carry_it(video: Video, whole: np.ndarray) -> None:
    dask_array = pytest.importorskip("dask.array")
    lazy = dask_array.from_array(video, chunks=(1, -1, -1, -1))
    np.testing.assert_array_equal(lazy[4].compute(scheduler="threads"), whole[4])
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(video))[4], whole[4])


def test_closed_video_says_so(clip: Path) -> None:
    video = open_video(clip)
    again = video.reopen()
    video.close()
    video.close()
    assert video.closed
    assert "closed" in repr(video)
    with pytest.raises(VideoError, match=r"closed.*reopen"):
        video[0]
    with again, video.reopen() as third:
        np.testing.assert_array_equal(again[7], third[7])


def test_repr_tells_what_it_is(video: Video) -> None:
    assert "clip.mp4" in repr(video)
    assert "(12, 48, 96, 3) uint8, 25 fps" in repr(video)
