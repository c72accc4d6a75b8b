"""What `propagate_from_here` changes: the objects corrected, as far as the correction reaches."""

from __future__ import annotations

import numpy as np
import pytest

from napari_sam3.errors import MissingPromptError, UnknownObjectError
from napari_sam3.models.fake import FakeModel, FakeTracker
from napari_sam3.models.sequential import TrackState
from napari_sam3.session.correction import SETTLED_AFTER, is_same, plan_correction
from napari_sam3.session.session import VideoSession
from napari_sam3.session.stale_frames import StaleFrames
from napari_sam3.values import ObjectMask

FILM = np.zeros((60, 60, 80), np.uint8)
HEALS_AFTER = 5


class HealingTracker(FakeTracker):
    """What is followed comes back to its place `HEALS_AFTER` frames after it was set."""

    def step(self, source, target, states, fixed):
        return {
            i: TrackState(self.mask(i, s, target), s.keyframe, s.memory)
            for i, s in states.items()
            if i not in fixed
        }

    def mask(self, obj_id, state, target):
        if abs(target - state.memory) < HEALS_AFTER:
            return state.keyframe.mask
        return place(obj_id, self.model.score)


class HealingModel(FakeModel):
    score = 1.0

    def start(self, frames):
        return HealingTracker(self, frames)


def square(x, y, size=12):
    mask = np.zeros(FILM.shape[1:], bool)
    mask[y : y + size, x : x + size] = True
    return mask


def place(obj_id, score=1.0):
    return ObjectMask.from_mask(square(16 * obj_id, 10), score)


@pytest.fixture
def session():
    """Two objects, followed through all frames."""
    with VideoSession(FILM, HealingModel()) as session:
        session.add_prompt(0, mask=place(1).mask)
        session.add_prompt(0, mask=place(2).mask)
        list(session.propagate())
        yield session


def masks(session, obj_id):
    results = [session.result(f).objects.get(obj_id) for f in range(len(FILM))]
    return [None if m is None else m.mask.tobytes() for m in results]


def done(session, *args, **fields):
    return [r.frame_index for r in session.propagate_from_here(*args, **fields)]


def test_it_ends_where_nothing_changes_any_more(session):
    session.add_prompt(20, mask=square(10, 40), obj_id=1)
    last = 20 + HEALS_AFTER - 1 + SETTLED_AFTER
    assert done(session, 20, "forward") == list(range(21, last + 1))


def test_it_goes_either_way(session):
    session.add_prompt(30, mask=square(10, 40), obj_id=1)
    reach = HEALS_AFTER - 1 + SETTLED_AFTER
    assert done(session, 30, "both") == [*range(31, 31 + reach), *range(29, 29 - reach, -1)]


def test_it_gives_what_a_whole_propagation_gives(session):
    session.add_prompt(20, mask=square(10, 40), obj_id=1)
    list(session.propagate_from_here(20, "forward"))
    found = masks(session, 1)
    list(session.propagate())
    assert masks(session, 1) == found


def test_other_objects_stay_to_the_pixel(session):
    session.model.score = 0.95  # what is followed now would be other masks, were they taken
    before = masks(session, 2)
    session.add_prompt(20, mask=square(60, 40), obj_id=2)
    stale = masks(session, 2)
    session.add_prompt(25, mask=square(10, 40), obj_id=1)
    list(session.propagate_from_here(25, "both", objects=[1]))
    assert masks(session, 2) == stale != before
    assert session.stale_frames[2] == (range(1, 20), range(21, 60))


def test_overlaps_are_settled_as_everywhere(session):
    """What another object had lost to the mask of before comes back to it, and the other way."""
    session.add_prompt(20, mask=place(2).mask, obj_id=1)
    list(session.propagate_from_here(20, "forward"))
    # the same score: the lower id has the pixels
    assert session.result(22).objects.keys() == {1}
    session.take_back_prompt(20, 1)
    list(session.propagate_from_here(20, "forward"))
    assert np.array_equal(session.result(22).objects[2].mask, place(2).mask)


@pytest.mark.parametrize(("direction", "expected"), [("forward", [21, 22, 23]), ("backward", [19])])
def test_it_stops_at_frames_that_are_to_stay(session, direction, expected):
    session.add_prompt(20, mask=square(10, 40), obj_id=1)
    before = masks(session, 1)
    assert done(session, 20, direction, stop_at=[24, 18]) == expected
    after = masks(session, 1)
    changed = {f for f in range(60) if after[f] != before[f]}
    assert changed == set(expected)


def test_it_stops_at_the_next_keyframe_of_the_object(session):
    session.add_prompt(23, mask=square(30, 40), obj_id=1)
    session.add_prompt(22, mask=square(60, 40), obj_id=2)  # not of this one
    session.add_prompt(20, mask=square(10, 40), obj_id=1)
    assert done(session, 20, "forward", objects=[1]) == [21, 22]
    assert np.array_equal(session.result(23).objects[1].mask, square(30, 40))


def test_each_object_goes_as_far_as_it_changes(session):
    session.add_prompt(20, mask=square(10, 40), obj_id=1)
    session.add_prompt(24, mask=square(60, 40), obj_id=2)
    n_before = masks(session, 1)
    done(session, 20, "forward")
    # what lies beyond the second one's own keyframe is for another time
    assert session.stale_frames == {1: (range(1, 20),), 2: (range(1, 20), range(25, 60))}
    assert masks(session, 1)[26:] == n_before[26:]


def test_frames_never_looked_at_are_followed_to_the_end():
    with VideoSession(FILM, HealingModel()) as session:
        session.add_prompt(0, mask=place(1).mask)
        list(session.propagate(max_frame_num_to_track=10))
        session.add_prompt(8, mask=square(10, 40), obj_id=1)
        assert done(session, 8, "forward") == list(range(9, 60))


def test_an_object_that_is_not_there_is_no_evidence():
    """It was away before and is away now: that says nothing of what comes after."""
    with VideoSession(FILM, FakeModel(step_xy=(8, 0))) as session:
        session.add_prompt(0, points=[[10, 10]])
        list(session.propagate())
        session.add_prompt(1, points=[[18, 30]], obj_id=1)
        assert session.result(30).objects == {}
        assert done(session, 1, "forward")[-1] == 59


def test_a_new_object_is_followed_beside_the_others(session):
    session.add_prompt(20, mask=square(64, 40), obj_id=4)
    before = masks(session, 1)
    assert done(session, 20) == [*range(21, 60), *range(19, -1, -1)]
    assert masks(session, 1) == before
    assert session.result(40).objects.keys() == {1, 2, 4}


def test_a_prompt_that_is_taken_back_is_a_change(session):
    before = masks(session, 1)
    session.add_prompt(20, mask=square(10, 40), obj_id=1)
    list(session.propagate_from_here(20, "forward"))
    assert masks(session, 1) != before
    session.take_back_prompt(20, 1)
    assert done(session, 20, "forward")[0] == 20
    assert masks(session, 1) == before


def test_what_was_left_when_it_was_stopped_is_stale_still(session):
    session.add_prompt(20, mask=square(10, 40), obj_id=1)
    run = session.propagate_from_here(20, "forward")
    assert len(run) == 39
    next(run), next(run)
    session.cancel()
    assert list(run) == []
    assert session.stale_frames[1] == (range(1, 20), range(23, 60))
    assert done(session, 22, "forward")[0] == 22


def test_nothing_has_changed_there(session):
    with pytest.raises(MissingPromptError, match="nothing is to be followed from frame 20"):
        session.propagate_from_here(20)
    assert not session.is_propagating


def test_an_object_that_is_none(session):
    with pytest.raises(UnknownObjectError, match="no object 7"):
        session.propagate_from_here(20, objects=[7])


def test_after_a_propagation_nothing_is_stale(session):
    session.add_prompt(20, mask=square(10, 40), obj_id=1)
    assert session.stale_frames == {1: (range(1, 20), range(21, 60))}
    list(session.propagate())
    assert session.stale_frames == {}


def test_removed_objects_are_not_stale(session):
    session.add_prompt(20, mask=square(10, 40), obj_id=1)
    session.remove_object(1)
    assert session.stale_frames == {}


@pytest.mark.parametrize(
    ("direction", "keyframes", "stop_at", "expected"),
    [
        ("forward", {1: [5]}, [], [{1: range(6, 10)}]),
        ("forward", {1: [2]}, [], [{1: range(5, 10)}]),
        ("backward", {1: [5]}, [], [{1: range(4, -1, -1)}]),
        (
            "both",
            {1: [5, 8], 2: [3]},
            [7],
            [{1: range(6, 7), 2: range(5, 7)}, {1: range(4, -1, -1), 2: range(4, 3, -1)}],
        ),
        ("forward", {1: [9]}, [5], [{1: range(6, 9)}]),
        ("both", {1: [5]}, [4, 6], []),
        ("forward", {}, [], []),
    ],
)
def test_plan(direction, keyframes, stop_at, expected):
    assert plan_correction(10, direction, 5, keyframes, stop_at) == expected


def test_stale_frames_are_joined_and_parted():
    stale = StaleFrames()
    stale.add(1, range(2, 5))
    stale.add(1, range(8, 9))
    stale.add(1, range(5, 8))
    assert stale.of(1) == (range(2, 9),)
    stale.discard(1, range(4, 6))
    assert stale.of(1) == (range(2, 4), range(6, 9))
    stale.discard_frame(2)
    assert stale.of_all() == {1: (range(3, 4), range(6, 9))}
    stale.discard(1, range(10))
    assert stale.of_all() == {}


def shape(x0, x1, y0=10, y1=30, notch=0):
    mask = np.zeros(FILM.shape[1:], bool)
    mask[y0:y1, x0:x1] = True
    mask[y0 : y0 + notch, x0 : x0 + notch] = False
    return ObjectMask.from_mask(mask)


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        (shape(10, 30), True),
        (shape(10, 30, notch=1), True),  # an outline trembles by a pixel here and there
        (shape(10, 30, notch=2), False),  # a corner that somebody has cut off
        (shape(10, 31), False),  # one side moved by a pixel: a quarter of the outline
        (shape(9, 31, 9, 31), False),
        (shape(12, 32), False),
        (shape(50, 70), False),
    ],
)
def test_masks_that_count_as_the_same(other, expected):
    assert is_same(shape(10, 30), other) is expected


@pytest.fixture(scope="module")
def blobs():
    """Two bright blobs that drift over a noisy ground."""
    rows, columns = np.ogrid[:64, :96]
    film = np.random.default_rng(0).integers(20, 40, (40, 64, 96)).astype(np.uint8)
    for frame in range(40):
        for x, y in ((24 + frame // 2, 20), (60, 44 - frame // 4)):
            film[frame][(rows - y) ** 2 + (columns - x) ** 2 <= 64] += 160
    return film


def test_the_embedded_model_is_followed_until_it_agrees_with_what_was_shown(blobs):
    """A part of a blob is rubbed out: the tracker finds it again, and then nothing changes."""
    with VideoSession(blobs, "optical-flow") as session:
        session.add_prompt(0, points=[[24.5, 20.5]])
        session.add_prompt(0, points=[[60.5, 44.5]])
        before = [r.objects for r in session.propagate()]
        less = before[10][1].mask
        less[:, :25] = False
        session.add_prompt(10, mask=less, obj_id=1)
        frames = done(session, 10, "forward")
        assert frames[0] == 11
        assert frames[-1] < 39
        for frame in range(frames[-1] - SETTLED_AFTER + 1, 40):
            assert is_same(session.result(frame).objects[1], before[frame][1])
        for frame in range(40):
            assert np.array_equal(session.result(frame).objects[2].mask, before[frame][2].mask)
        assert session.stale_frames == {1: (range(1, 10),)}
