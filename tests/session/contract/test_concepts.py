"""Concepts on every model that knows them: what holds whatever it is that a model sees."""

from __future__ import annotations

import logging
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest

from napari_sam3 import Sam3VideoPredictor
from napari_sam3.models.sam.load import load_sam
from tests.conftest import N_FRAMES, SIZE
from tests.models.sam.concept_kit import find_what_boxes_hold, make_film, make_seeing
from tests.models.sam.tiny import save
from tests.models.sam.words import save_tokenizer
from tests.session.contract.conftest import MODELS, Talk, iou
from tests.session.contract.test_prompts import assert_well_formed
from tests.session.contract.test_propagation import assert_same

BOX = [0.5, 0.5, 0.1, 0.1]


@cache
def load_sam3():
    """A tiny SAM 3, and a film on which it finds several things, some of them on the way."""
    film = make_film(N_FRAMES, SIZE)
    with TemporaryDirectory() as folder:
        save(make_seeing(film), save_tokenizer(Path(folder)))
        return load_sam(folder, "cpu"), film


@pytest.fixture
def sam3():
    model, film = load_sam3()
    return Talk(Sam3VideoPredictor(model), video=film)


@pytest.fixture(params=["fake", "sam3"])
def talks(request, disc_film):
    """Two sessions on the same film."""
    model, film = (MODELS["fake"](), disc_film) if request.param == "fake" else load_sam3()
    predictor = Sam3VideoPredictor(model)
    return Talk(predictor, video=film), Talk(predictor, video=film)


@pytest.fixture
def talk(talks):
    return talks[0]


@pytest.fixture
def another(talks):
    return talks[1]


def test_every_match_gets_an_id_and_is_followed(talk):
    found = talk.prompt(text="dog")
    assert list(found) == list(range(1, len(found) + 1)) != []
    assert_well_formed(found)
    tracked = talk.track()
    assert list(tracked) == list(range(N_FRAMES))
    for outputs in tracked.values():
        assert_well_formed(outputs)
    for obj_id, mask in found.items():
        assert np.array_equal(tracked[0][obj_id]["mask"], mask["mask"])


def test_the_same_text_makes_no_twins(talk):
    found = talk.prompt(text="dog")
    assert_same({0: talk.prompt(text="dog")}, {0: found})
    assert_same({0: talk.prompt(text=" Dog")}, {0: found})


def test_text_adds_and_changes_nothing_of_what_is_there(talk, another):
    found = talk.prompt(4, text="dog")
    talk.click(frame_index=4, which=2)
    more = talk.prompt(4, text="cat")
    assert found.keys() < more.keys()
    alone = another.prompt(4, text="dog")
    assert found.keys() == alone.keys()
    tracked, expected = talk.track(), another.track()
    for frame_index, outputs in expected.items():
        assert outputs.keys() & found.keys() <= tracked[frame_index].keys() | more.keys()


def test_text_with_an_id_takes_the_best_alone(talk):
    outputs = talk.prompt(text="dog", obj_id=5)
    assert list(outputs) == [5]
    for outputs in talk.track().values():
        assert outputs.keys() <= {5}


def test_a_manual_object_wins(talk, another):
    """What is painted where the text finds something is that object, at each frame."""
    found = another.prompt(text="dog")
    best = max(found, key=lambda i: found[i]["score"])
    talk.prompt(mask=found[best]["mask"], obj_id=9)
    outputs = talk.prompt(text="dog")
    assert len(outputs) == len(found)
    assert np.array_equal(outputs[9]["mask"], found[best]["mask"])
    for outputs in talk.track().values():
        if 9 in outputs:
            own = outputs[9]["mask"]
            assert all(iou(own, o["mask"]) <= 0.5 for i, o in outputs.items() if i != 9)


def test_what_was_removed_stays_away(talk):
    found = talk.prompt(text="dog")
    gone = max(found, key=lambda i: found[i]["score"])
    before = talk.track()
    talk.remove(gone)
    known = {i for outputs in before.values() for i in outputs}
    for frame_index in (0, 5):
        for obj_id, found in talk.prompt(frame_index, text="dog").items():
            if gone in before[frame_index] and obj_id not in known:  # then it is not that one
                assert iou(before[frame_index][gone]["mask"], found["mask"]) <= 0.5
    tracked = talk.track()
    for frame_index, outputs in tracked.items():
        # those that are there are others, also where they overlap it
        assert gone not in outputs
        assert outputs.keys() >= before[frame_index].keys() - {gone}


def test_a_correction_of_what_text_found_lasts(talk):
    found = talk.prompt(text="dog")
    one = max(found, key=lambda i: found[i]["score"])
    before = talk.track()
    painted = np.zeros_like(found[one]["mask"])
    painted[5:25, 100:130] = True
    talk.prompt(6, mask=painted, obj_id=one)
    tracked = talk.track()
    assert np.array_equal(tracked[6][one]["mask"], painted)
    for frame_index in range(6):
        assert (one in tracked[frame_index]) == (one in before[frame_index])
        if one in before[frame_index]:
            a, b = tracked[frame_index][one]["mask"], before[frame_index][one]["mask"]
            assert np.array_equal(a, b)
    assert_same(talk.track(), tracked)


def test_both_ways_from_where_it_was_asked(talk):
    found = talk.prompt(5, text="dog")
    tracked = talk.track("both", max_frame_num_to_track=4)
    assert list(tracked) == [5, 6, 7, 8, 4, 3, 2, 1]
    assert found.keys() <= tracked[5].keys()
    assert any(tracked[frame_index] for frame_index in (4, 3, 2, 1))
    assert_same(talk.track("both", max_frame_num_to_track=4), tracked)


def test_asked_on_several_frames(talk):
    first = talk.prompt(2, text="dog")
    talk.prompt(8, text="dog")
    for direction in ("forward", "backward"):
        start = 0 if direction == "forward" else N_FRAMES - 1
        tracked = talk.track(direction, start_frame_index=start)
        for outputs in tracked.values():
            assert_well_formed(outputs)
        assert first.keys() <= tracked[2].keys()
        assert_same(talk.track(direction, start_frame_index=start), tracked)


def test_stopping_and_going_on(talk, another):
    for each in (talk, another):
        each.prompt(text="dog")
    stream = another.stream()
    parts = {r["frame_index"]: r["outputs"] for r in (next(stream) for _ in range(4))}
    stream.close()
    assert_same(talk.track(), parts | another.track(start_frame_index=4))


def test_exemplars(talk, monkeypatch):
    find_what_boxes_hold(monkeypatch)  # a random network finds what it will
    found = talk.prompt(bounding_boxes=[BOX], exemplar=True)
    assert found
    words_too = talk.prompt(text="dog", bounding_boxes=[BOX], bounding_box_labels=[0])
    assert found.keys() <= words_too.keys()
    for outputs in talk.track().values():
        assert_well_formed(outputs)


def test_negative_exemplars_alone_are_refused(talk):
    with pytest.raises(RuntimeError, match="what to look for"):
        talk.prompt(bounding_boxes=[BOX], bounding_box_labels=[0], exemplar=True)


def test_nothing_found_says_what_to_try(fake_talk, caplog):
    with caplog.at_level(logging.WARNING):
        assert fake_talk.prompt(text="unicorn") == {}
    assert "'unicorn' on frame 0: nothing found; try a shorter noun" in caplog.text


def test_objects_found_on_the_way_keep_their_ids(sam3):
    found = sam3.prompt(text="dog")
    tracked = sam3.track()
    later = {i for outputs in tracked.values() for i in outputs} - found.keys()
    assert later
    assert min(later) > max(found)
    assert_same(sam3.track(), tracked)
    gone = min(later)
    sam3.remove(gone)
    for frame_index, outputs in sam3.track().items():
        assert outputs.keys() == tracked[frame_index].keys() - {gone}


def test_found_on_the_way_then_corrected(sam3):
    asked_on = 3
    sam3.prompt(asked_on, text="dog")
    tracked = sam3.track()
    met = {i: f for f in reversed(tracked) for i in tracked[f]}
    frame_index = N_FRAMES - 2
    one = max((i for i in met if met[i] < frame_index), key=lambda i: met[i])
    assert met[one] > asked_on
    painted = np.zeros_like(next(iter(tracked[met[one]].values()))["mask"])
    painted[5:25, 100:130] = True
    sam3.prompt(frame_index, mask=painted, obj_id=one)
    again = sam3.track()
    assert np.array_equal(again[frame_index][one]["mask"], painted)
    assert_same(
        {f: again[f] for f in tracked if f < frame_index},
        {f: tracked[f] for f in tracked if f < frame_index},
    )


def test_text_that_is_too_long_is_refused(sam3):
    with pytest.raises(RuntimeError, match=r"too long.*short noun phrase"):
        sam3.prompt(text="xyz " * 40)
    with pytest.raises(RuntimeError, match="no prompt"):
        sam3.stream()


def test_hold_back_is_an_option_of_the_session(sam3, disc_film):
    late = Talk(sam3.predictor, video=load_sam3()[1], hold_back=True)
    late.prompt(text="dog")
    assert list(late.track()) == list(range(N_FRAMES))
    with pytest.raises(RuntimeError, match="hold_back must be True or False"):
        Talk(sam3.predictor, video=disc_film, hold_back="yes")
    with pytest.raises(RuntimeError, match="did you mean 'hold_back'"):
        Talk(sam3.predictor, video=disc_film, holdback=True)
