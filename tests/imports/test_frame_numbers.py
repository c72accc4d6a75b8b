"""Frames by the numbers in names: right where they are sure, said where they are not."""

from __future__ import annotations

import pytest

from napari_sam3.errors import VideoError
from napari_sam3.imports.frame_numbers import MOST_FRAMES, number_frames


@pytest.mark.parametrize(
    ("names", "frames"),
    [
        (["00000.png", "00001.png"], (0, 1)),
        (["f10.png", "f0.png", "f2.png"], (10, 0, 2)),
        (["cam2/7.png", "cam2/0.png"], (7, 0)),
        (["1_t0_x5.png", "1_t1_x5.png"], (0, 1)),
        (["man_seg002.tif", "man_seg005.tif"], (2, 5)),
        (["man_track0000.tif", "man_track0001.tif"], (0, 1)),
        (["anything.png"], (0,)),
    ],
)
def test_numbers_that_are_sure(names, frames):
    found = number_frames(names)
    assert found.frames == frames
    assert found.doubt == ""


@pytest.mark.parametrize(
    ("names", "frames", "said"),
    [
        (["m1.png", "m2.png", "m3.png"], (0, 1, 2), "numbers 1 to 3"),
        (["m5.png"], (0,), "number"),
        (["mask005.tif", "mask006.tif"], (5, 6), "taken as frames 5 to 6"),
        (["m2.png", "m5.png"], (2, 5), "some of these are not there"),
        (["m0.png", "m5.png", "m10.png"], (0, 5, 10), "some of these are not there"),
        (["b.png", "a.png"], (1, 0), "in order of name"),
        (["m\u0661.png", "m\u0662.png"], (0, 1), "in order of name"),  # Arabic digits
        (["m\u2461.png", "m\u2460.png"], (1, 0), "in order of name"),  # circled ones
        (["d2_t1.png", "d1_t2.png"], (1, 0), "in order of name"),
        (["20240101235959.png", "20240102000000.png"], (0, 1), "in order of name"),
    ],
)
def test_numbers_that_are_in_doubt_are_said(names, frames, said):
    found = number_frames(names)
    assert found.frames == frames
    assert said in found.doubt


def test_who_knows_says_the_number_of_frame_0():
    for names, first, frames in (
        (["m1.png", "m3.png"], 1, (0, 2)),
        (["mask005.tif", "mask006.tif"], 5, (0, 1)),
        (["m3.png", "m4.png"], 0, (3, 4)),
    ):
        found = number_frames(names, first=first)
        assert (found.frames, found.first, found.doubt) == (frames, first, "")


def test_pictures_that_are_listed_of_a_longer_series_keep_their_numbers():
    assert number_frames(["f7.png", "f8.png"], is_series=False).frames == (7, 8)
    assert number_frames(["f1.png", "f2.png"], is_series=False).frames == (0, 1)


@pytest.mark.parametrize(
    ("names", "first", "message"),
    [
        (["a_0.png", "b_0.png"], None, "two pictures are numbered 0: 'a_0.png' and 'b_0.png'"),
        (["m1.png", "m001.png"], None, "two pictures are numbered 1"),
        (["a1_0.png", "a1_1.png", "a2_0.png"], None, "one series"),
        (["man_seg_002_005.tif", "man_seg_002_006.tif"], None, "slice of a volume"),
        (["m3.png", "m4.png"], 4, "below first_number 4"),
        (["a.png", "b.png"], 1, "leave first_number out"),
    ],
)
def test_what_can_not_be_is_refused(names, first, message):
    with pytest.raises(VideoError, match=message):
        number_frames(names, first=first)


def test_a_number_that_no_video_has_is_no_frame():
    assert number_frames([f"m{MOST_FRAMES}.png", "m0.png"]).frames == (1, 0)
