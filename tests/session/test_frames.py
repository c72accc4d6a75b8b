"""What models see of a video."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import tifffile

from napari_sam3.errors import RequestError
from napari_sam3.session.frames import RgbFrames
from napari_sam3.video import as_video


def test_8_bit_is_taken_as_it_is():
    film = np.random.default_rng(0).integers(0, 255, (3, 8, 9, 3), dtype=np.uint8)
    frames = RgbFrames(as_video(film))
    assert len(frames) == 3
    assert frames.size == (8, 9)
    assert np.array_equal(frames[2], film[2])


def test_grey_becomes_rgb():
    film = np.arange(12, dtype=np.uint8).reshape(1, 3, 4)
    frame = RgbFrames(as_video(film))[0]
    assert frame.shape == (3, 4, 3)
    assert all(np.array_equal(frame[..., c], film[0]) for c in range(3))


@pytest.mark.parametrize("dtype", [np.uint16, np.int32, np.float32])
def test_everything_else_is_scaled_once_for_all_frames(dtype):
    film = np.zeros((4, 10, 10), dtype)
    film[3] = 1000
    frames = RgbFrames(as_video(film), contrast_limits=(0, 2000))
    assert frames[0].max() == 0
    assert (frames[3] == 128).all()
    measured = RgbFrames(as_video(film))
    assert measured[0].max() == 0
    assert (measured[3] == 255).all()


def test_nan_and_a_flat_film_do_no_harm():
    film = np.full((2, 4, 4), np.nan, np.float32)
    assert RgbFrames(as_video(film))[0].max() == 0
    assert RgbFrames(as_video(np.full((2, 4, 4), 7, np.uint16)))[1].max() == 0


def test_bool_film_is_black_and_white():
    film = np.zeros((2, 4, 4), bool)
    film[:, :2] = True
    assert set(np.unique(RgbFrames(as_video(film))[0])) == {0, 255}


FAR = {
    "uint32": (np.uint32, 4_000_000_000),
    "int32": (np.int32, -2_000_000_000),
    "int64": (np.int64, 10**10),
    "int64 from below": (np.int64, -(2**63)),
    "uint64": (np.uint64, 2**63 + 1),
    "uint64 to the top": (np.uint64, 2**64 - 51),
}


@pytest.mark.parametrize(("dtype", "offset"), FAR.values(), ids=FAR)
def test_integers_far_from_0_keep_their_contrast(dtype, offset):
    near = np.arange(51, dtype=np.uint8).reshape(1, 3, 17)
    far = near.astype(dtype) + np.array(offset).astype(dtype)
    expected = np.rint(near[0] * 5.1).astype(np.uint8)
    measured = RgbFrames(as_video(far))
    assert np.abs(measured[0][..., 0].astype(int) - expected).max() <= 1
    given = RgbFrames(as_video(far), (offset, offset + 50))
    assert np.array_equal(given[0][..., 0], expected)


@pytest.mark.parametrize("offset", [0.0, 1e9, -1e12])
def test_floats_far_from_0_keep_their_contrast(offset):
    film = offset + np.linspace(0, 1, 64).reshape(1, 8, 8)
    assert np.array_equal(
        RgbFrames(as_video(film), (offset, offset + 1))[0][..., 0],
        np.rint((film[0] - offset) * 255).astype(np.uint8),
    )
    assert len(np.unique(RgbFrames(as_video(film))[0])) == 64


def test_values_beyond_the_limits_are_black_and_white():
    film = np.array([[[0, 2**62, 2**62 + 10, 2**63 - 1]]], np.int64)
    frames = RgbFrames(as_video(film), (2**62, 2**62 + 10))
    assert frames[0][0, :, 0].tolist() == [0, 0, 255, 255]
    frames = RgbFrames(as_video(film), (-1e30, 1e30))
    assert frames[0][0, :, 0].tolist() == [128] * 4  # 127.5


@pytest.mark.parametrize("value", [2**60, 1e300, -1e17, 3e38])
def test_a_flat_film_of_large_values_is_black(value):
    film = np.full((2, 4, 4), value, np.int64 if isinstance(value, int) else np.float64)
    assert RgbFrames(as_video(film))[1].max() == 0


def test_values_that_span_all_floats_need_limits():
    film = np.zeros((1, 2, 2))
    film[0, 0], film[0, 1] = -1.7e308, 1.7e308
    with pytest.raises(RequestError, match="contrast_limits must be"):
        RgbFrames(as_video(film))[0]
    assert RgbFrames(as_video(film), (0, 1))[0][:, 0, 0].tolist() == [0, 255]


WRONG_LIMITS = [
    *[(5, 5), (6, 5), (float("nan"), 5), (0, float("inf")), (-1.7e308, 1.7e308)],
    *[5, (5,), (1, 2, 3), (None, 5), "ab", ("1", "2"), (False, True), {}, np.zeros((2, 2))],
]


@pytest.mark.parametrize("limits", WRONG_LIMITS, ids=repr)
def test_wrong_limits(limits):
    with pytest.raises(RequestError, match="two rising finite numbers"):
        RgbFrames(as_video(np.zeros((2, 4, 4), np.uint16)), limits)


@pytest.mark.parametrize("limits", [[0, 100], np.array([0, 100]), np.array([0, 100], np.float32)])
def test_limits_may_be_any_two_numbers(limits):
    film = np.full((2, 4, 4), 20, np.uint16)
    assert RgbFrames(as_video(film), limits)[0].max() == 51


def test_identity_is_of_the_file_and_how_its_values_are_scaled(disc_folder, tmp_path):
    def identity(path, limits=None):
        return RgbFrames(as_video(path), limits).identity

    copy = shutil.copytree(disc_folder, tmp_path / "copy")
    same = identity(copy)
    assert same is not None
    assert same == identity(str(copy))
    assert (
        len({same, identity(disc_folder), identity(copy, (0, 100)), identity(copy, (0, 99))}) == 4
    )
    (copy / "frame3.png").write_bytes((copy / "frame4.png").read_bytes())
    assert identity(copy) != same


def test_identity_of_deep_pictures_tells_the_limits_measured(tmp_path):
    path = tmp_path / "deep.tif"
    tifffile.imwrite(path, np.arange(3 * 8 * 9, dtype=np.uint16).reshape(3, 8, 9) * 100)
    measured = RgbFrames(as_video(path))
    assert measured.identity == RgbFrames(as_video(path)).identity
    assert measured.identity != RgbFrames(as_video(path), (0, 500)).identity


def test_arrays_have_no_identity():
    assert RgbFrames(as_video(np.zeros((2, 4, 4), np.uint8))).identity is None
