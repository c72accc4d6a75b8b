"""Sets of frames as text: what is said is what is read, and other texts are refused."""

from __future__ import annotations

import pytest

from napari_sam3.labels.frame_ranges import read_frames, say_frames


@pytest.mark.parametrize(
    ("frames", "text"),
    [([], ""), ([3], "3"), ([2, 0, 1, 1], "0-2"), ([0, 1, 5, 7, 8], "0-1,5,7-8")],
)
def test_frames_are_said_and_read(frames, text):
    assert say_frames(frames) == text
    assert read_frames(text, 9) == sorted(set(frames))


@pytest.mark.parametrize(
    "text", ["9", "0-9", "0-99999999999", "a", "1,", ",1", "-1", "1-", "0 - 2", "٣", None, 3, [1]]
)
def test_other_texts_and_frames_that_are_not_there_are_refused(text):
    with pytest.raises(ValueError, match=r"does not tell|is not among"):
        read_frames(text, 9)
