"""Objects followed by a SAM 2-like tracker: what lasts, what is computed again, what is kept."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from napari_sam3.models.sam import objects as objects_module
from napari_sam3.models.sam.memory import Reach
from napari_sam3.models.sam.track import SPACING
from napari_sam3.values import Concept, Keyframe, ObjectMask, ObjectPrompt
from tests.conftest import CENTRES, disc_mask, make_disc_film
from tests.models.sam import tiny
from tests.models.sam.bare import Bare, Ours, differing_pixels
from tests.sweeps import sweep

N_FRAMES = 40
ALL = range(N_FRAMES)
FAR = [(52, 52)]


@pytest.fixture(scope="module")
def film():
    return make_disc_film(N_FRAMES)


@pytest.fixture(scope="module")
def model():
    return tiny.make_sam2()


@pytest.fixture
def ours(model, film):
    return Ours(model, film, "sam2")


@pytest.fixture
def count(ours, monkeypatch):
    """Counts the frames that the network is asked to follow an object on."""
    asked: list[int] = []
    follow = ours.tracker.network.follow

    def counted(view, pasts, **kwargs):
        asked.extend([view.frame_index] * len(pasts))
        return follow(view, pasts, **kwargs)

    monkeypatch.setattr(ours.tracker.network, "follow", counted)
    return asked


def correct(ours, frame_index, obj_id, points, labels):
    """Click on what was shown, as a session does it."""
    shown = ours.tracker._tracks[obj_id, 1].mask(frame_index)
    assert shown is not None
    prompt = ObjectPrompt(np.array(points, float), np.array(labels, bool), prior=shown)
    return ours.prompt(frame_index, obj_id, prompt)


@pytest.mark.parametrize("family", sweep(["sam2", "edgetam", "sam3_tracker"], sample=()))
def test_pruning_loses_nothing(family):
    """Over 60 frames: equal to the bit to our own run that keeps all, and to upstream's."""
    film = make_disc_film(60)
    network = tiny.MAKERS[family]()
    pruned, whole = Ours(network, film, family), Ours(network, film, family)
    whole.tracker._reach = Reach(10**6, 10**6)
    bare = Bare(network, film)
    for each in (pruned, whole, bare):
        each.click(0, 1, [CENTRES[1]], [1])
    tracked = bare.track(range(60))
    assert differing_pixels(pruned.track(range(60)), tracked) == 0
    assert differing_pixels(whole.track(range(60)), tracked) == 0
    assert len(whole.tracker._tracks[1, 1]._bank.recent) == 59
    bank = pruned.tracker._tracks[1, 1]._bank
    assert list(bank.recent) == list(range(45, 60))
    assert [i for i, m in bank.recent.items() if m.features is not None] == list(range(54, 60))


def test_bank_stays_as_large_as_it_was(ours):
    ours.click(0, 1, [CENTRES[1]], [1])
    ours.track(range(20))
    at_20 = ours.tracker._tracks[1, 1]._bank.nbytes
    ours.track(ALL)
    assert ours.tracker._tracks[1, 1]._bank.nbytes == at_20


def test_second_propagation_computes_nothing(ours, count):
    ours.click(0, 1, [CENTRES[1]], [1])
    first = ours.track(ALL)
    assert len(count) == N_FRAMES - 1
    count.clear()
    assert differing_pixels(ours.track(ALL), first) == 0
    assert differing_pixels(ours.track(range(7, 20)), {i: first[i] for i in range(7, 20)}) == 0
    assert count == []


def test_correction_on_a_tracked_frame_lasts(ours):
    ours.click(0, 1, [CENTRES[1]], [1])
    before = ours.track(ALL)
    corrected = correct(ours, 20, 1, [(100, 100), (30, 30)], [1, 0])
    assert (corrected != before[20][1]).any()
    after = ours.track(ALL)
    assert np.array_equal(after[20][1], corrected)
    assert all(np.array_equal(after[i][1], before[i][1]) for i in range(20))
    assert any((after[i][1] != before[i][1]).any() for i in range(21, N_FRAMES))
    again = ours.track(ALL)
    assert differing_pixels(again, after) == 0


def test_upstream_loses_such_a_correction(model, film):
    """Why ours goes in as a mask: upstream tracks over the click."""
    bare = Bare(model, film)
    bare.click(0, 1, [CENTRES[1]], [1])
    before = bare.track(range(8))
    corrected = bare.click(5, 1, [(100, 100), (30, 30)], [1, 0])
    after = bare.track(range(8))
    assert (corrected != before[5][1]).any()
    assert (after[5][1] != corrected).any()


def test_correction_computes_its_object_alone_from_the_nearest_checkpoint(ours, count):
    ours.click(0, 1, [CENTRES[1]], [1])
    ours.click(0, 2, [CENTRES[2]], [1])
    ours.track(ALL)
    assert len(count) == 2 * (N_FRAMES - 1)
    count.clear()
    correct(ours, 21, 1, [(100, 100)], [1])
    ours.track(ALL)
    again = range(21 // SPACING * SPACING + 1, N_FRAMES)
    assert sorted(count) == [i for i in again if i != 21]


def test_of_objects_that_are_not_wanted_nothing_is_computed(ours, count):
    ours.click(0, 1, [CENTRES[1]], [1])
    ours.click(0, 2, [CENTRES[2]], [1])
    wanted = replace(ours.journal, only=frozenset({2}))
    alone = [t.objects for t in ours.tracker.propagate(wanted, range(8), lambda: 0)]
    assert len(count) == 7
    together = ours.track(range(8))
    assert [sorted(objects) for objects in alone] == [[2]] * 8
    assert all(np.array_equal(alone[i][2].mask, together[i][2]) for i in range(8))


def test_correction_to_nothing_means_gone(ours):
    ours.click(0, 1, [CENTRES[1]], [1])
    ours.track(range(10))
    shown = ours.tracker._tracks[1, 1].mask(6)
    gone = ObjectPrompt(np.array([(5.0, 5.0)]), np.array([False]), prior=shown)
    ours.objects[1][6] = Keyframe(gone, None)
    tracked = ours.track(range(10))
    assert tracked[5][1].any()
    assert not tracked[6][1].any()
    memory = ours.tracker._conditioning[ours.objects[1][6]]
    assert np.allclose(memory.pointer, ours.tracker.network.model.no_object_pointer.detach())


def test_masks_do_not_depend_on_the_order_of_calls(model, film):
    def ask(*legs):
        asked = Ours(model, film, "sam2")
        asked.click(8, 1, [CENTRES[1]], [1])
        asked.click(4, 2, [CENTRES[2]], [1])
        found = {}
        for leg in legs:
            for index, masks in asked.track(leg).items():
                found.setdefault((index, leg.step), masks)
        return found

    forward, backward = range(8, 16), range(11, -1, -1)
    plain = ask(forward, backward)
    for other in (
        ask(backward, forward),
        ask(range(12, 16), range(8, 13), range(5, -1, -1), range(11, 5, -1)),
    ):
        assert differing_pixels(other, plain) == 0


def test_upstream_going_back_looks_at_what_it_saw_going_forward(model, film):
    """Why each direction has a memory of its own here."""
    fresh, used = Bare(model, film), Bare(model, film)
    for each in (fresh, used):
        each.click(8, 1, [CENTRES[1]], [1])
    used.track(range(8, 14))
    back = range(8, 3, -1)
    assert differing_pixels(used.track(back), fresh.track(back)) > 0


def test_prompts_ahead_are_not_looked_at(ours, model, film):
    """Deliberate: a click on a later frame leaves the frames before it as they were shown."""
    ours.click(0, 1, [CENTRES[1]], [1])
    before = ours.track(range(6))
    ours.click(8, 1, [FAR[0]], [1])
    assert differing_pixels(ours.track(range(6)), before) == 0
    bare = Bare(model, film)
    bare.click(0, 1, [CENTRES[1]], [1])
    bare.click(8, 1, [FAR[0]], [1])
    assert differing_pixels(bare.track(range(6)), before) > 0


def tracked_frames(ours, frames):
    return list(ours.tracker.propagate(ours.journal, frames, lambda: 0))


def test_frames_on_the_way_are_given_without_objects(ours):
    ours.click(3, 1, [CENTRES[1]], [1])
    given = tracked_frames(ours, range(8, 10))
    assert [t.frame_index for t in given] == [3, 4, 5, 6, 7, 8, 9]
    assert [t.objects is None for t in given] == [True] * 5 + [False] * 2
    assert [t.frame_index for t in tracked_frames(ours, range(9, 11))] == [9, 10]


def test_backward_from_after_every_prompt_follows_forward_first(ours):
    ours.click(3, 1, [CENTRES[1]], [1])
    back = ours.track(range(7, -1, -1))
    ahead = ours.track(range(3, 8))
    assert list(back) == [7, 6, 5, 4, 3, 2, 1, 0]
    assert differing_pixels({i: back[i] for i in ahead}, ahead) == 0
    assert back[0][1].any()


def test_forward_from_before_every_prompt_goes_back_first(ours):
    ours.click(6, 1, [CENTRES[1]], [1])
    tracked = ours.track(range(2, 9))
    back = ours.track(range(5, 1, -1))
    assert differing_pixels({i: tracked[i] for i in back}, back) == 0
    assert tracked[2][1].any()


def test_object_named_late_does_not_hold_up_the_others(ours, count):
    ours.click(0, 1, [CENTRES[1]], [1])
    ours.click(6, 2, [CENTRES[2]], [1])
    given = tracked_frames(ours, range(9))
    assert [set(t.objects) for t in given] == [{1}] * 6 + [{1, 2}] * 3
    assert len(count) == 8 + 2
    ours.track(range(8, -1, -1))
    assert set(tracked_frames(ours, range(9))[2].objects) == {1, 2}  # found going back


def test_removed_object_is_forgotten(ours):
    ours.click(0, 1, [CENTRES[1]], [1])
    ours.click(0, 2, [CENTRES[2]], [1])
    ours.track(range(5))
    del ours.objects[1]
    assert all(set(masks) == {2} for masks in ours.track(range(5)).values())
    assert {obj_id for obj_id, _ in ours.tracker._tracks} == {2}


def test_checkpoints_are_thinned_when_they_take_too_much(ours, monkeypatch):
    ours.click(0, 1, [CENTRES[1]], [1])
    ours.track(ALL)
    some = ours.tracker._tracks[1, 1].checkpoints
    assert list(some) == list(range(0, N_FRAMES, SPACING))
    room = 3 * some[2 * SPACING].nbytes
    ours.tracker.close()
    monkeypatch.setattr(objects_module, "CHECKPOINT_BYTES", 2 * room)  # a track each way
    ours.track(ALL)
    kept = ours.tracker._tracks[1, 1].checkpoints
    assert list(kept) == list(range(0, N_FRAMES, 2 * SPACING))
    assert sum(b.nbytes for b in kept.values()) <= room


def test_painted_mask_is_taken_as_it_is_and_refined_by_clicks(ours):
    painted = disc_mask(0)
    alone = ours.tracker.segment(0, ObjectPrompt(mask=painted))
    assert alone.score == 1.0
    assert np.array_equal(alone.mask, painted)
    clicked = ObjectPrompt(np.array([CENTRES[2]]), np.array([True]), mask=painted)
    refined = ours.tracker.segment(0, clicked)
    assert (refined.mask != painted).any()
    other = ObjectPrompt(np.array([CENTRES[2]]), np.array([True]), mask=disc_mask(0, 2))
    assert (ours.tracker.segment(0, other).mask != refined.mask).any()  # the mask counts


def test_clicks_of_both_signs_count_in_a_correction(ours):
    prior = ObjectMask.from_mask(disc_mask(0))
    points = np.array([(60.0, 60.0)])
    more, less = (
        ours.tracker.segment(0, ObjectPrompt(points, np.array([label]), prior=prior))
        for label in (True, False)
    )
    assert (more.mask != less.mask).any()
    assert 0 < more.score <= 1


def test_knows_no_concepts(ours):
    assert ours.tracker.detect(0, Concept(text="disc")) == ()


def test_answer_of_a_click_is_not_computed_again(ours, monkeypatch):
    ours.click(0, 1, [CENTRES[1]], [1])
    monkeypatch.setattr(ours.tracker.network, "prompt", None)
    assert ours.track(range(3))[0][1].any()
    assert ours.tracker.features.n_encoded == 3


def test_closed_tracker_keeps_nothing(ours):
    ours.click(0, 1, [CENTRES[1]], [1])
    ours.track(range(3))
    ours.tracker.close()
    assert not ours.tracker._tracks
    assert not ours.tracker._conditioning
    assert ours.tracker._view is None


def test_upstream_drops_a_prompt_that_another_follows_at_once(ours, model, film):
    """Why every prompt is asked for by itself here."""
    bare = Bare(model, film)
    for obj_id in (1, 2):
        bare.processor.add_inputs_to_inference_session(
            bare.session,
            frame_idx=0,
            obj_ids=obj_id,
            input_points=[[[list(CENTRES[obj_id])]]],
            input_labels=[[[1]]],
        )
    with pytest.raises(ValueError, match="cannot be empty"):
        bare.track(range(2))
    for obj_id in (1, 2):
        ours.click(0, obj_id, [CENTRES[obj_id]], [1])
    assert all(mask.any() for mask in ours.track(range(2))[0].values())


@pytest.mark.parametrize("family", ["sam2", "edgetam", "sam3_tracker"])
def test_many_objects_at_once_are_each_what_it_is_alone(family, film):
    network = tiny.MAKERS[family]()
    together = Ours(network, film, family)
    together.tracker.network.together = 4  # as on an accelerator
    points = [(20.0 + 25 * i, 30.0 + 15 * i) for i in range(5)]
    for obj_id, point in enumerate(points, 1):
        together.click(obj_id // 4, obj_id, [point], [1])  # the later ones remember less
    found = together.track(range(6))
    for obj_id, point in enumerate(points, 1):
        alone = Ours(network, film, family)
        alone.click(obj_id // 4, obj_id, [point], [1])
        tracked = alone.track(range(obj_id // 4, 6))
        assert all(np.array_equal(found[i][obj_id], tracked[i][obj_id]) for i in tracked)
