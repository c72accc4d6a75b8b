"""The labels of a file as an array that can be painted in: the file's frames, read once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from napari_sam3.imports.file_label_stack import FileLabelStack
from napari_sam3.imports.label_file import LabelFile
from napari_sam3.labels.object_notes import ObjectNote

SHAPE = (5, 6, 8)


def frame(frame_index: int) -> np.ndarray:
    """Frame 3 is background."""
    labels = np.zeros(SHAPE[1:], np.uint16)
    labels[:3] = (frame_index + 1) * (frame_index != 3)
    return labels


class CountedFile(LabelFile):
    """Says how often each frame was read."""

    def __init__(self) -> None:
        super().__init__(Path("none"), SHAPE, greatest=9)
        self.reads: list[int] = []

    def _read(self, frame_index: int) -> np.ndarray:
        self.reads.append(frame_index)
        return frame(frame_index)

    def notes(self, frame_index: int) -> dict[int, ObjectNote]:
        return {1: ObjectNote(0.5, "imported")}


@pytest.fixture
def stack(monkeypatch):
    """One frame at a time is kept unsqueezed."""
    stack = FileLabelStack(CountedFile())
    monkeypatch.setattr(stack, "_cache_frames", 1)
    return stack


def test_a_frame_is_read_once_and_is_there_when_it_is_looked_at_again(stack):
    assert stack.file.reads == []
    for _ in range(2):
        for frame_index in (4, 0, 3, 1, 2):
            np.testing.assert_array_equal(stack[frame_index], frame(frame_index))
    assert stack.file.reads == [4, 0, 3, 1, 2]


def test_what_concerns_all_frames_reads_them_all(stack):
    expected = np.stack([frame(i) for i in range(SHAPE[0])])
    assert stack[2, 0, 0] == 3
    assert (stack.min(), stack.max()) == (0, 5)
    np.testing.assert_array_equal(stack.copy()[:], expected)
    np.testing.assert_array_equal(stack.astype(np.uint8)[:], expected)
    np.testing.assert_array_equal(stack[:], expected)
    assert stack.processed_frames().tolist() == [0, 1, 2, 3, 4]


def test_what_was_painted_stays_and_is_told_against_the_file(stack):
    stack[2, 0, 0] = 9
    for frame_index in range(SHAPE[0]):
        stack[frame_index]
    assert stack[2, 0, 0] == 9
    assert stack[2, 0, 1] == 3
    edits = stack.take_edits({3, 9})
    assert {key: int(mask.sum()) for key, mask in edits.items()} == {(2, 3): 23, (2, 9): 1}
    stack[1, 0, 0] = 9
    stack[1, 0, 0] = 2
    assert stack.take_edits({2, 9}) == {}


def test_notes_are_those_of_the_file_until_changed(stack):
    assert stack.notes(0) == {1: ObjectNote(0.5, "imported")}
    assert stack.notes(1) == {2: ObjectNote(None, "imported")}
    assert stack.notes(3) == {}


def test_a_frame_drawn_as_a_whole_is_not_read(stack):
    assert stack.draw(2, frame(0))
    np.testing.assert_array_equal(stack[2], frame(0))
    assert stack.notes(2) == {}
    assert stack.file.reads == []
