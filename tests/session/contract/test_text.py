"""Concepts: text and exemplars, with points and boxes, and who wins an overlap."""

from __future__ import annotations

import numpy as np
import pytest

from tests.conftest import RADIUS, SIZE
from tests.session.contract.test_propagation import assert_same

HEIGHT, WIDTH = SIZE
PERSONS = [(0.25 * WIDTH, 0.5 * HEIGHT), (0.5 * WIDTH, 0.5 * HEIGHT)]
DOG = (0.75 * WIDTH, 0.5 * HEIGHT)


def centre(found):
    x0, y0, x1, y1 = found["bbox"]
    return (x0 + x1) / 2, (y0 + y1) / 2


def test_every_match_gets_an_id(fake_talk):
    outputs = fake_talk.prompt(text="person")
    assert [centre(outputs[i]) for i in (1, 2)] == PERSONS


def test_further_text_adds_and_the_same_text_makes_no_twins(fake_talk):
    fake_talk.prompt(text="person")
    assert list(fake_talk.prompt(text="dog")) == [1, 2, 3]
    assert list(fake_talk.prompt(text="person")) == [1, 2, 3]
    assert list(fake_talk.prompt(5, text="person")) == [1, 2, 3]


def test_text_with_id_takes_the_best_match_alone(fake_talk):
    outputs = fake_talk.prompt(text="person", obj_id=5)
    assert list(outputs) == [5]
    assert centre(outputs[5]) == PERSONS[0]
    assert list(fake_talk.prompt(text="person", obj_id=6)) == [5, 6]


def test_points_refine_the_match_that_holds_them(fake_talk):
    x, y = PERSONS[1]
    outputs = fake_talk.prompt(text="person", points=[[x, y], [x + RADIUS, y]], point_labels=[1, 0])
    assert list(outputs) == [1, 2]
    assert not outputs[2]["mask"][int(y), int(x + RADIUS) - 1]


def test_points_beside_every_match_make_an_object(fake_talk):
    outputs = fake_talk.prompt(text="person", points=[DOG])
    assert centre(outputs[3]) == DOG


def test_all_three_in_one_request(fake_talk):
    outputs = fake_talk.prompt(
        text="person",
        points=[PERSONS[0]],
        point_labels=[1],
        bounding_boxes=[[0.5, 0.5, 0.1, 0.1]],
        bounding_box_labels=[0],  # not the second person
    )
    assert [centre(found) for found in outputs.values()] == PERSONS[:1]


def test_exemplars_find_all_alike(fake_talk):
    outputs = fake_talk.prompt(
        bounding_boxes=[[0.25, 0.5, 0.1, 0.1]], bounding_box_labels=[1], exemplar=True
    )
    assert list(outputs) == [1, 2, 3]


def test_manual_object_wins_over_a_detection(fake_talk):
    fake_talk.prompt(points=[DOG])
    fake_talk.prompt(text="person")
    outputs = fake_talk.prompt(4, text="dog")  # the dog was clicked on frame 0
    assert list(outputs) == [1, 2, 3]
    tracked = fake_talk.track()
    assert all(set(outputs) == {1, 2, 3} for outputs in tracked.values())


def test_text_never_brings_back_what_was_removed(fake_talk):
    fake_talk.prompt(text="person")
    fake_talk.remove(1)
    for frame_index in (0, 4):
        fake_talk.prompt(frame_index, text="person")
    for outputs in fake_talk.track().values():
        assert set(outputs) == {2}


def test_nothing_found_is_no_error(fake_talk):
    assert fake_talk.prompt(text="unicorn") == {}
    assert all(outputs == {} for outputs in fake_talk.track().values())


def test_failed_text_prompt_changes_nothing(fake_talk):
    fake_talk.prompt(text="person")
    before = fake_talk.track()
    with pytest.raises(RuntimeError, match="outside the image"):
        fake_talk.prompt(text="dog", points=[[-1, 0]])
    assert_same(fake_talk.track(), before)


def test_masks_are_at_the_size_of_the_video(fake_talk):
    found = fake_talk.prompt(text="dog")[1]
    assert found["mask"].shape == SIZE
    assert np.count_nonzero(found["mask"]) == pytest.approx(np.pi * RADIUS**2, rel=0.02)
