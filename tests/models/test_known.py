"""Going on from what an earlier process showed, in place of computing the way there again."""

from __future__ import annotations

import numpy as np
import pytest

from napari_sam3.models.fake import FakeModel
from napari_sam3.models.optical_flow import OpticalFlowModel
from napari_sam3.session.frames import RgbFrames
from napari_sam3.values import Journal, Keyframe, ObjectMask, ObjectPrompt
from napari_sam3.video import as_video
from tests.conftest import CENTRES, make_disc_film
from tests.models.optical_flow.scenes import disc, texture

N_FRAMES = 14
BLACK = np.zeros((N_FRAMES, 90, 120), np.uint8)


def start(model, film):
    """A new tracker that notes which frames it steps to."""
    tracker = model.start(RgbFrames(as_video(film)))
    tracker.stepped = []
    step = tracker.step_in_pieces
    tracker.step_in_pieces = lambda *args: (tracker.stepped.append(args[1]), step(*args))[1]
    return tracker


def follow(tracker, journal, frames):
    found = tracker.propagate(journal, frames, lambda: 99)
    return {f.frame_index: f.objects for f in found if f.objects is not None}


def keyframe(tracker, frame_index, x, y, prior=None):
    prompt = ObjectPrompt(np.array([[x, y]], float), np.array([True]), prior=prior)
    return Keyframe(prompt, tracker.segment(frame_index, prompt))


def assert_same(some, others):
    assert some.keys() == others.keys()
    for frame, objects in some.items():
        assert objects.keys() == others[frame].keys(), frame
        for obj_id, mask in objects.items():
            other = others[frame][obj_id]
            assert np.array_equal(mask.mask, other.mask), (frame, obj_id)
            assert mask.score == pytest.approx(other.score, abs=1e-3)  # one says at most 0.99


def journal_of(objects, known=None):
    return Journal(objects, known=known or {})


@pytest.mark.parametrize("step", [1, -1])
def test_fake_goes_on_exactly(step):
    """Also of an object that has half left the picture, and one that is prompted further on."""
    model = FakeModel()
    whole = start(model, BLACK)
    at = (lambda i: i) if step == 1 else (lambda i: N_FRAMES - 1 - i)
    objects = {
        1: {at(0): keyframe(whole, at(0), 100, 40)},
        2: {at(1): keyframe(whole, at(1), 30, 30), at(5): keyframe(whole, at(5), 40, 50)},
        3: {at(9): keyframe(whole, at(9), 60, 60)},
    }
    frames = range(N_FRAMES)[::step]
    shown = follow(whole, journal_of(objects), frames)
    resumed = start(model, BLACK)
    known = {i: shown[i] for i in frames[4:8]}
    rest = follow(resumed, journal_of(objects, known), frames[8:])
    assert_same(rest, {i: shown[i] for i in frames[8:]})
    assert set(resumed.stepped) == set(frames[8:])


def test_leads_in_from_the_newest_known_frame():
    model = FakeModel()
    whole = start(model, BLACK)
    objects = {1: {0: keyframe(whole, 0, 30, 30)}}
    shown = follow(whole, journal_of(objects), range(N_FRAMES))
    resumed = start(model, BLACK)
    journal = journal_of(objects, {i: shown[i] for i in range(3, 6)})
    assert_same(follow(resumed, journal, range(9, 11)), {i: shown[i] for i in (9, 10)})
    assert resumed.stepped == [6, 7, 8, 9, 10]
    follow(resumed, journal, range(11))
    assert resumed.stepped[5:] == [1, 2, 3, 4]  # what was computed here is not computed again


def test_what_was_computed_here_wins():
    model = FakeModel()
    tracker = start(model, BLACK)
    objects = {1: {0: keyframe(tracker, 0, 30, 30)}}
    shown = follow(tracker, journal_of(objects), range(8))
    wrong = {i: {1: ObjectMask.from_mask(np.ones((90, 120)))} for i in range(4, 8)}
    assert_same(follow(tracker, journal_of(objects, wrong), range(8)), shown)


def test_a_correction_before_the_known_frames_reaches_what_follows():
    model = FakeModel()
    tracker = start(model, BLACK)
    objects = {1: {0: keyframe(tracker, 0, 30, 30)}}
    shown = follow(start(model, BLACK), journal_of(objects), range(N_FRAMES))
    known = {i: shown[i] for i in range(4, 8)}
    follow(tracker, journal_of(objects, known), range(8, N_FRAMES))
    objects[1][2] = keyframe(tracker, 2, 80, 20)
    fresh = follow(start(model, BLACK), journal_of(objects), range(N_FRAMES))
    # the session hands over no frame that is not true any more
    assert_same(
        follow(tracker, journal_of(objects), range(8, N_FRAMES)),
        {i: fresh[i] for i in range(8, N_FRAMES)},
    )


def test_a_hidden_object_stays_followed():
    """Absent on the known frames is not gone: the fake's disc comes back into the picture."""
    model = FakeModel(step_xy=(3, 0))
    whole = start(model, BLACK)
    off = np.zeros(BLACK.shape[1:], bool)
    off[30:40, :4] = True
    prompt = ObjectPrompt(mask=off)
    objects = {1: {13: Keyframe(prompt, ObjectMask.from_mask(off))}}
    shown = follow(whole, journal_of(objects), range(12, -1, -1))
    assert 1 not in shown[8]
    rest = follow(
        start(model, BLACK), journal_of(objects, {9: shown[9], 8: shown[8]}), range(7, -1, -1)
    )
    assert_same(rest, {i: shown[i] for i in range(7, -1, -1)})


@pytest.mark.parametrize("step", [1, -1])
def test_optical_flow_is_equal_if_all_since_the_prompt_is_known(step):
    film = make_disc_film(N_FRAMES)
    model = OpticalFlowModel()
    whole = start(model, film)
    frames = range(N_FRAMES)[::step]
    first = frames[0]
    objects = {
        i: {first: keyframe(whole, first, x + 3 * first, y + 2 * first)}
        for i, (x, y) in CENTRES.items()
    }
    assert all(k[first].mask is not None for k in objects.values())
    shown = follow(whole, journal_of(objects), frames)
    resumed = start(model, film)
    known = {i: shown[i] for i in frames[:8]}
    rest = follow(resumed, journal_of(objects, known), frames[8:])
    assert resumed.stepped == list(frames[8:])
    assert_same(rest, {i: shown[i] for i in frames[8:]})


@pytest.mark.sweep
@pytest.mark.parametrize("step", [1, -1])
def test_optical_flow_learns_again_what_it_had_learnt_on_the_known_frames(step):
    """Things with a look, whose classifier goes on learning; their colours change all the time."""
    ground = texture((120, 160), 5, (90, 110, 90))
    film = np.repeat(ground[None], N_FRAMES, axis=0)
    truths = {}
    for t in range(N_FRAMES)[::step]:
        for obj_id, (x, y, colour) in {1: (40, 60, 60), 2: (105, 60, 160)}.items():
            there = disc((120, 160), x + t, y - t, 30)
            film[t][there] = texture((120, 160), obj_id, (200, colour + 6 * t, 60))[there]
            truths.setdefault(obj_id, there)
    model = OpticalFlowModel()
    whole = start(model, film)
    frames = range(N_FRAMES)[::step]
    objects = {}
    for obj_id, truth in truths.items():
        prompt = ObjectPrompt(mask=truth)
        objects[obj_id] = {frames[0]: Keyframe(prompt, ObjectMask.from_mask(truth))}
    shown = follow(whole, journal_of(objects), frames)
    for known in (frames[:8], frames[1:8]):
        resumed = start(model, film)
        rest = follow(resumed, journal_of(objects, {i: shown[i] for i in known}), frames[8:])
        assert_same(rest, {i: shown[i] for i in frames[8:]})


def test_optical_flow_is_nearly_equal_if_only_the_newest_are_known():
    film = make_disc_film(N_FRAMES)
    model = OpticalFlowModel()
    whole = start(model, film)
    objects = {i: {0: keyframe(whole, 0, x, y)} for i, (x, y) in CENTRES.items()}
    shown = follow(whole, journal_of(objects), range(N_FRAMES))
    resumed = start(model, film)
    rest = follow(resumed, journal_of(objects, {i: shown[i] for i in (7, 8)}), range(9, N_FRAMES))
    assert resumed.stepped == list(range(9, N_FRAMES))
    for frame, masks in rest.items():
        assert masks.keys() == shown[frame].keys()
        assert all(m.overlap(shown[frame][i]) > 0.95 for i, m in masks.items())
