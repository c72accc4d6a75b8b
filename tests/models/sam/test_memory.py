"""Which memories are looked at: the nearest prompted frames, the tracked ones that were good."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_sam3.models.sam.memory import Memory, MemoryRules, Past, Reach, look_back
from napari_sam3.settings import Settings
from napari_sam3.values import Keyframe, ObjectMask, ObjectPrompt
from tests.conftest import CENTRES, disc_mask, make_disc_film
from tests.models.sam import tiny
from tests.models.sam.bare import Ours, differing_pixels, make_tracker

REACH = Reach(6, 15)
CAPPED = MemoryRules(nearest=2)
SELECTING = MemoryRules(selects=True)
ALL_PROMPTED = -1
N_FRAMES = 18


def memory(index, score=1.0):
    """A memory that tells its frame."""
    return Memory(torch.tensor([index]), torch.zeros(1), torch.tensor([index]), score)


def memories(*indices):
    return {i: memory(i) for i in indices}


def shown(looked_at):
    """What is looked at, as (place, frame): of maps, and of pointers."""
    return (
        [(place, int(m.features)) for place, m in looked_at.maps],
        [(age, int(m.pointer)) for age, m in looked_at.pointers],
    )


def test_of_many_prompted_frames_the_nearest_and_the_first_are_looked_at():
    past = Past(memories(0, 10, 20, 30, 40), {})
    maps, pointers = shown(look_back(past, 48, 1, CAPPED, REACH, ALL_PROMPTED))
    assert maps == [(0, 0), (0, 30), (0, 40)]
    assert pointers == [(48, 0), (18, 30), (8, 40)]
    backward = Past(memories(40, 30, 20, 10, 0), {})
    maps, pointers = shown(look_back(backward, -8, -1, CAPPED, REACH, ALL_PROMPTED))
    assert maps == [(0, 40), (0, 10), (0, 0)]
    assert pointers == [(48, 40), (18, 10), (8, 0)]


def test_a_prompted_frame_that_is_left_out_counts_as_a_tracked_one():
    past = Past(memories(0, 5, 6, 7), memories(8, 9))
    maps, pointers = shown(look_back(past, 10, 1, CAPPED, REACH, ALL_PROMPTED))
    assert maps == [(0, 0), (0, 6), (0, 7), (5, 5), (2, 8), (1, 9)]
    assert pointers == [(10, 0), (4, 6), (3, 7), (1, 9), (2, 8), (5, 5)]


def test_without_a_number_of_ours_the_config_counts():
    past = Past(memories(0, 10, 20), {})
    rules = MemoryRules(selects=True)
    assert shown(look_back(past, 30, 1, rules, REACH, 2))[0] == [(0, 10), (0, 20)]
    assert len(look_back(past, 30, 1, rules, REACH, ALL_PROMPTED).maps) == 3


def test_frames_without_the_object_are_passed_over_but_for_the_last():
    recent = {i: memory(i, 0.0 if i in (18, 16, 15) else 0.5) for i in range(1, 19)}
    past = Past(memories(0), recent)
    maps, pointers = shown(look_back(past, 19, 1, SELECTING, REACH, ALL_PROMPTED))
    # by rank, from the farthest
    assert maps == [(0, 0), (6, 11), (5, 12), (4, 13), (3, 14), (2, 17), (1, 18)]
    good = [18, 17, *range(14, 0, -1)]
    # the makers leave out the oldest one's
    assert pointers == [(19, 0), *list(enumerate(good, 1))[:-1]]


def test_at_the_makers_threshold_a_frame_is_not_kept():
    past = Past(memories(0), {1: memory(1, 0.01), 2: memory(2, 0.011), 3: memory(3)})
    maps, _ = shown(look_back(past, 4, 1, SELECTING, REACH, ALL_PROMPTED))
    assert maps == [(0, 0), (2, 2), (1, 3)]


def test_the_last_frames_place_stays_empty_where_it_was_prompted():
    past = Past(memories(0, 20), memories(*range(1, 13)))
    maps, _ = shown(look_back(past, 21, 1, SELECTING, REACH, ALL_PROMPTED))
    assert maps == [(0, 0), (0, 20), (6, 8), (5, 9), (4, 10), (3, 11), (2, 12)]


def kept_after(frames, rules, prompted=(), scores=None):
    """The tracked frames that are still remembered after some, with what was pruned on the way."""
    recent = {}
    for index in frames:
        if index not in prompted:
            recent[index] = memory(index, 1.0 if scores is None else scores[index])
        recent = rules.kept(recent, index, index in prompted, REACH)
    return recent


def test_what_lies_around_a_correction_is_forgotten():
    recent = kept_after(range(1, 31), SELECTING, prompted=[30])
    assert max(recent) == 22  # the last that is more than num_maskmem away
    assert list(recent) == sorted(recent)
    backward = kept_after(range(-1, -31, -1), SELECTING, prompted=[-30])
    assert min(backward) == -22


@pytest.mark.parametrize("seed", range(4))
def test_what_is_forgotten_would_not_be_looked_at(seed):
    """Between corrections that are far from each other."""
    draw = np.random.default_rng(seed)
    scores = draw.choice([0.0, 0.3, 0.9], 200)
    prompted = {0, 60, 130}
    whole, pruned = {}, {}
    conditioning = {}
    for index in range(200):
        past = {kind: Past(conditioning, kept) for kind, kept in (("a", whole), ("b", pruned))}
        if index:
            one, other = (
                shown(look_back(each, index, 1, SELECTING, REACH, ALL_PROMPTED))
                for each in past.values()
            )
            assert one == other
        if index in prompted:
            conditioning = {**conditioning, index: memory(index)}
            whole = {i: m for i, m in whole.items() if index - i > 7}
        else:
            whole[index] = pruned[index] = memory(index, scores[index])
        pruned = SELECTING.kept(pruned, index, index in prompted, REACH)
        assert len(pruned) <= REACH.pointers + 7 + 1
        assert sum(m.features is not None for m in pruned.values()) <= REACH.spatial + 7 + 1


@pytest.mark.parametrize(
    ("told", "model_type", "rules"),
    [
        ({}, "sam3_video", MemoryRules(selects=True)),
        ({}, "sam2_video", MemoryRules()),
        ({"memory_selection": "off"}, "sam3_video", MemoryRules()),
        (
            {"memory_selection": "on", "prompted_frames": 4},
            "sam2_video",
            MemoryRules(nearest=4, selects=True),
        ),
        ({"distractor_memory": True}, "edgetam_video", MemoryRules(anchors=True)),
        ({"motion_prior": True}, "edgetam_video", MemoryRules(motion=True)),
    ],
)
def test_what_is_set_counts_and_else_the_makers_word(told, model_type, rules):
    assert MemoryRules.of_settings(Settings(**told), model_type) == rules


# ------------------------------------------------------------------- in trackers


@pytest.fixture(scope="module")
def film():
    return make_disc_film(N_FRAMES)


@pytest.fixture(scope="module")
def model():
    return tiny.make_sam2()


def tracked_by(rules, model, film, corrections=()):
    """Masks of one object that was clicked on frame 0 and painted on others, and the tracker."""
    ours = Ours(model, film, "sam2")
    ours.tracker = make_tracker(model, film, "sam2", rules)
    ours.click(0, 1, [CENTRES[1]], [1])
    for index in corrections:
        painted = disc_mask(index)
        prompt = ObjectPrompt(mask=painted)
        ours.objects[1][index] = Keyframe(prompt, ObjectMask.from_mask(painted))
    return ours.track(range(N_FRAMES)), ours


def test_a_cap_that_is_not_reached_changes_nothing(model, film):
    expected, _ = tracked_by(None, model, film, [4, 8, 12])
    masks, _ = tracked_by(MemoryRules(nearest=3), model, film, [4, 8, 12])
    assert differing_pixels(masks, expected) == 0


def test_a_cap_changes_only_what_follows_the_correction_too_many(model, film):
    corrections = [3, 6, 9, 12]
    expected, _ = tracked_by(None, model, film, corrections)
    masks, _ = tracked_by(CAPPED, model, film, corrections)
    before = range(10)  # the first and two more, up to the third correction
    assert differing_pixels({i: masks[i] for i in before}, {i: expected[i] for i in before}) == 0
    assert differing_pixels(masks, expected) > 0


@pytest.mark.parametrize("rules", [CAPPED, MemoryRules(nearest=2, selects=True)])
def test_a_step_looks_at_no_more_after_many_corrections(rules, model, film):
    def most_looked_at(rules, corrections):
        lengths = []
        handle = model.memory_attention.register_forward_pre_hook(
            lambda _module, _args, given: lengths.append(len(given["memory"])), with_kwargs=True
        )
        try:
            tracked_by(rules, model, film, corrections)
        finally:
            handle.remove()
        return lengths[-1]

    few, many = [2, 4], [2, 4, 6, 8, 10, 12, 14]
    assert most_looked_at(None, many) > most_looked_at(None, few)
    assert most_looked_at(rules, many) <= most_looked_at(rules, few)


def test_selecting_goes_on_from_a_checkpoint_to_the_pixel(model, film):
    expected, ours = tracked_by(SELECTING, model, film, [7])
    made = ours.tracker.checkpoint(8, 1)
    other = make_tracker(model, film, "sam2", SELECTING)
    journal = ours.journal
    journal = type(journal)(journal.objects, checkpoint=made)
    again = {
        t.frame_index: {1: t.objects[1].mask if 1 in t.objects else np.zeros(ours.size, bool)}
        for t in other.propagate(journal, range(9, N_FRAMES), lambda: 0)
        if t.objects is not None
    }
    assert differing_pixels(again, {i: expected[i] for i in again}) == 0
    assert len(again) == N_FRAMES - 9
    assert differing_pixels(expected, tracked_by(None, model, film, [7])[0]) > 0
