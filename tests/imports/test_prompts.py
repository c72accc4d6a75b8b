"""What was drawn elsewhere is tracked."""

from __future__ import annotations

import numpy as np
import pytest

from napari_sam3 import VideoSession
from napari_sam3.errors import RequestError
from napari_sam3.imports import prompt_with_labels

SIZE = (40, 50)


@pytest.fixture
def session():
    with VideoSession(np.zeros((4, *SIZE), np.uint8), "fake") as session:
        yield session


def make_labels() -> np.ndarray:
    labels = np.zeros(SIZE, np.uint16)
    labels[5:15, 5:15] = 3
    labels[20:30, 20:40] = 70
    return labels


def test_every_label_is_an_object_under_its_id(session):
    result = prompt_with_labels(session, 1, make_labels())
    assert session.object_ids == (3, 70)
    for obj_id in (3, 70):
        np.testing.assert_array_equal(result.objects[obj_id].mask, make_labels() == obj_id)
    assert session.first_frames == {3: 1, 70: 1}


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.zeros(SIZE, np.uint8), "no label"),
        (np.zeros((4, *SIZE), np.uint8), "not those of a frame"),
        (np.zeros(SIZE), "not those of a frame"),
        (np.full(SIZE, -1), "count from 1"),
    ],
)
def test_what_are_no_labels_of_the_frame_is_refused(session, labels, message):
    with pytest.raises(RequestError, match=message):
        prompt_with_labels(session, 0, labels)
    assert session.object_ids == ()


def test_if_one_can_not_be_taken_none_is(session):
    session.add_prompt(0, points=[[1, 1]], obj_id=70)
    session.remove_object(70)
    with pytest.raises(RequestError, match="object 70 was removed"):
        prompt_with_labels(session, 0, make_labels())
    assert session.object_ids == ()
