"""Stacks of channels and depth: which picture is meant, and what is asked where nobody said."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_sam3.errors import VideoError
from napari_sam3.video import as_video, frame_sequence, open_video
from napari_sam3.video.plane_choice import PlaneChoice

from .stacks import STACK

FILM = STACK[:, 0, 0]


def test_one_channel_and_one_plane_of_five_axes() -> None:
    video = open_video(STACK, channel=1, z=2)
    np.testing.assert_array_equal(video[:], STACK[:, 1, 2])
    assert video.choice == PlaneChoice(1, 2)
    np.testing.assert_array_equal(video.reopen().frame(3), STACK[3, 1, 2])


def test_projections_keep_the_type() -> None:
    brightest, mean = (open_video(STACK, channel=0, z=kind) for kind in ("max", "mean"))
    np.testing.assert_array_equal(brightest[:], STACK[:, 0].max(axis=1))
    np.testing.assert_array_equal(mean[:], np.rint(STACK[:, 0].mean(axis=1)))
    assert brightest.dtype == mean.dtype == np.uint16


ASKED: dict[str, tuple[dict[str, Any], str]] = {
    "both": ({}, r"5 axes TCZYX .*which channel\? .*--channel 0.*which depth\? .*--z 0.*--z max"),
    "the channel": ({"z": 0}, r"TCZYX .*which channel\? [^?]*$"),
    "the depth": ({"channel": 1}, r"TCZYX .*: which depth\?"),
    "a channel too many": ({"channel": 2, "z": 0}, "no channel 2.*channels are 0 to 1"),
    "a plane too many": ({"channel": 0, "z": 3}, "no plane z=3.*planes are 0 to 2"),
    "a name": ({"channel": "GFP", "z": 0}, "no channel 'GFP'"),
    "a scene": ({"channel": 0, "z": 0, "scene": 1}, "no scene 1"),
    "a negative one": ({"channel": -1, "z": 0}, "channel is -1; give an index from 0"),
    "a word": ({"channel": 0, "z": "sum"}, "z is 'sum'; give the index of a plane from 0, max or"),
    "yes": ({"channel": True, "z": 0}, "channel is True"),
}


@pytest.mark.parametrize(("choice", "message"), ASKED.values(), ids=ASKED)
def test_what_is_missing_or_can_not_be_is_asked_by_its_axis(
    choice: dict[str, Any], message: str
) -> None:
    with pytest.raises(VideoError, match=message):
        open_video(STACK, **choice)


def test_of_four_axes_the_choice_says_what_the_second_is() -> None:
    np.testing.assert_array_equal(open_video(STACK[:, 0], z=1)[:], STACK[:, 0, 1])
    np.testing.assert_array_equal(open_video(STACK[:, :, 0], channel=1)[:], STACK[:, 1, 0])
    with pytest.raises(VideoError, match=r"channel=0, z=0"):
        open_video(STACK[:, 0])


def test_colours_are_no_channels() -> None:
    colours = np.random.default_rng(1).integers(0, 255, (4, 5, 20, 30, 3)).astype(np.uint8)
    video = open_video(colours, z=4)
    assert video.is_rgb
    np.testing.assert_array_equal(video[:], colours[:, 4])
    with pytest.raises(VideoError, match="no channel 1"):
        open_video(colours[:, 0], channel=1)


def test_the_first_of_one_is_no_choice(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", FILM)
    assert open_video(tmp_path / "a.npy", channel=0, z=0, scene=0).shape == FILM.shape
    assert not open_video(FILM, channel=0).choice
    with pytest.raises(VideoError, match="no channel 1"):
        open_video(FILM, channel=1)


@pytest.mark.parametrize("dtype", ["int32", "float32"])
def test_tensors_of_five_axes(dtype: str) -> None:
    torch = pytest.importorskip("torch")
    tensor = torch.tensor(STACK.astype(dtype))
    np.testing.assert_array_equal(open_video(tensor, channel=1, z="max")[:], STACK[:, 1].max(1))


# ------------------------------------------------------------------ files of NumPy


def test_an_array_on_disk_is_read_frame_by_frame(tmp_path: Path) -> None:
    path = tmp_path / "film.npy"
    np.save(path, FILM)
    video = open_video(path)
    np.testing.assert_array_equal(video[:], FILM)
    np.testing.assert_array_equal(video.reopen().frame(2), FILM[2])
    assert video.path == path
    np.save(path, STACK)
    with pytest.raises(VideoError, match="has changed since"):
        video.frame(0)
    assert open_video(path, channel=1, z="max").frame(2).max() == STACK[2, 1].max()


def test_big_endian_and_columns_first(tmp_path: Path) -> None:
    path = tmp_path / "film.npy"
    np.save(path, np.asfortranarray(FILM.astype(">u2")))
    video = open_video(path)
    assert video.dtype == np.dtype("=u2")
    np.testing.assert_array_equal(video[:], FILM)


def test_a_hostile_array_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "film.npy"
    np.save(path, np.array([{"a": 1}, None], dtype=object), allow_pickle=True)
    with pytest.raises(VideoError, match="no array of numbers"):
        open_video(path)
    np.save(path, FILM)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(VideoError, match="no array of numbers"):
        open_video(path)
    path.write_bytes(b"PK\3\4" + bytes(100))
    with pytest.raises(VideoError, match="film"):
        open_video(path)
    head = b"{'descr': '<u2', 'fortran_order': False, 'shape': (9, 999999, 999999), }\n"
    path.write_bytes(b"\x93NUMPY\1\0" + len(head).to_bytes(2, "little") + head)
    with pytest.raises(VideoError):
        open_video(path)


# -------------------------------------------------------------- lists and iterators


def test_a_list_of_frames() -> None:
    torch = pytest.importorskip("torch")
    np.testing.assert_array_equal(open_video(list(FILM))[:], FILM)
    np.testing.assert_array_equal(as_video([torch.tensor(f.astype(int)) for f in FILM])[:], FILM)


@pytest.mark.parametrize("most", [2**29, 100])
def test_an_iterator_is_gone_through_once_and_kept(
    most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(frame_sequence, "MOST_IN_MEMORY", most)
    given = []

    def frames() -> Iterator[np.ndarray]:
        for number, frame in enumerate(FILM):
            given.append(number)
            yield frame

    video = as_video(frames())
    np.testing.assert_array_equal(video[::-1], FILM[::-1])
    np.testing.assert_array_equal(video.reopen().frame(1), FILM[1])
    assert given == [0, 1, 2, 3]


NO_FRAMES: dict[str, tuple[Any, str]] = {
    "an empty list": ([], "list is empty"),
    "an empty iterator": (iter(()), "gave no frame"),
    "paths": (["a.png", "b.png"], r"frame 0 is a str.*pattern"),
    "sizes that differ": ([FILM[0], FILM[1][1:]], r"frame 1 is \(19, 30\)"),
    "types that differ": (iter([FILM[0], FILM[1].astype(float)]), "frame 1 is .* float64"),
    "rows": (list(FILM[0]), "a frame of shape"),
    "objects": (iter([FILM[0].astype(object)]), "object"),
    "bytes": (b"abc", "a bytes is no video"),
    "a table": ({0: FILM[0]}, "a dict is no video"),
}


@pytest.mark.parametrize(("source", "message"), NO_FRAMES.values(), ids=NO_FRAMES)
def test_what_are_no_frames_is_refused(source: Any, message: str) -> None:
    with pytest.raises(VideoError, match=message):
        as_video(source)


def test_an_iterator_that_fails_says_why_itself() -> None:
    def frames() -> Iterator[np.ndarray]:
        yield FILM[0]
        raise ZeroDivisionError("in somebody's function")

    with pytest.raises(ZeroDivisionError, match="somebody"):
        as_video(frames())
