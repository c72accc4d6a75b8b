"""What the timeline knows of objects on frames: read from notes, without a viewer."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from napari_sam3.labels.label_stack import LabelStack
from napari_sam3.labels.object_notes import ObjectNote
from napari_sam3.plugin.model.timeline import (
    ABSENT,
    LOCKED,
    NO_SHADE,
    PAINTED,
    PRESENT,
    STALE,
    SURE,
    UNPROCESSED,
    Timeline,
)

N_FRAMES, SIZE = 640, (6, 8)


@pytest.fixture
def planes():
    return LabelStack((N_FRAMES, *SIZE))


@pytest.fixture
def timeline():
    return Timeline(N_FRAMES)


def draw(planes, frames, scores, source="propagated"):
    """Objects of these scores, a pixel each, by id."""
    labels = np.zeros(SIZE, int)
    for obj_id in scores:
        labels[1, obj_id] = obj_id
    notes = {i: ObjectNote(score, source) for i, score in scores.items()}
    for frame_index in frames:
        planes.draw(frame_index, labels, notes)


def propagate(timeline, planes, frames, scores, only=None, stale=()):
    """As a job does it: prompts are known first, then come the frames."""
    timeline.begin_job()
    for frame_index in frames:
        draw(planes, [frame_index], scores)
        timeline.follow(frame_index, only)
    for obj_id in only or ():
        timeline.freshness.confirm(obj_id, stale)
    timeline.end_job(is_answered=True)
    timeline.update(planes)


def stretch(frames):
    """First and last of frames in a row."""
    assert len(frames) == 0 or len(frames) == frames[-1] - frames[0] + 1
    return (int(frames[0]), int(frames[-1])) if len(frames) else None


def test_tells_present_absent_and_never_processed_apart(timeline, planes):
    draw(planes, range(5), {1: 0.9, 2: 0.25})
    draw(planes, [5], {1: 0.9})
    timeline.update(planes)
    assert timeline.ids == (1, 2)
    assert [timeline.flags_at(2, f) for f in (4, 5, 6)] == [PRESENT, ABSENT, UNPROCESSED]
    assert timeline.flags_at(7, 5) == ABSENT  # an object that nobody has seen
    assert (timeline.n_present(1), timeline.n_present(2), timeline.n_present(7)) == (6, 5, 0)


def test_reads_only_so_much_at_a_time_and_then_what_changed(timeline, planes):
    draw(planes, range(100), {1: 0.9})
    told = []
    timeline.changed.connect(lambda: told.append(timeline.n_present(1)))
    timeline.update(planes, 60)
    assert not timeline.is_up_to_date
    timeline.update(planes, 60)
    assert timeline.is_up_to_date
    timeline.update(planes, 60)  # nothing new
    assert told[-2:] == [60, 100]
    draw(planes, [50], {3: 0.5})
    timeline.update(planes)
    assert (timeline.n_present(1), timeline.n_present(3)) == (99, 1)
    assert timeline.flags_at(3, 49) == ABSENT


def test_object_that_is_nowhere_has_no_lane_but_one_with_prompts(timeline, planes):
    draw(planes, [3], {1: 0.9, 2: 0.9})
    timeline.update(planes)
    draw(planes, [3], {2: 0.9})
    timeline.set_prompts({5: {7: "click"}})
    timeline.update(planes)
    assert timeline.ids == (2, 5)


def test_locked_frames_are_so_for_all_objects(timeline, planes):
    draw(planes, [2], {1: 0.9})
    planes.lock(2)
    planes.lock(200)
    timeline.update(planes)
    assert timeline.flags_at(1, 2) == PRESENT | LOCKED
    assert timeline.flags_at(9, 200) == UNPROCESSED | LOCKED
    planes.lock(2, False)
    timeline.update(planes)
    assert timeline.flags_at(1, 2) == PRESENT


def test_painting_by_hand_is_distinct_and_wiping_off_is_absence(timeline, planes):
    draw(planes, range(4), {1: 0.9, 2: 0.9})
    planes[2, 4, 4] = 1
    planes[3, 1, 2] = 0
    timeline.update(planes)
    assert timeline.flags_at(1, 2) == PRESENT | PAINTED
    assert timeline.flags_at(2, 3) == ABSENT | PAINTED
    assert timeline.painted_frames(1) == (2,)
    planes[2, 4, 4] = 0  # undone
    planes.take_edits({1, 2})
    timeline.update(planes)
    assert timeline.flags_at(1, 2) == PRESENT
    assert timeline.painted_frames(1) == ()


@pytest.mark.parametrize("n_columns", [1, 2, 5, 10, 37, 640])  # far out, 64 frames are summed up
def test_columns_sum_up_what_they_cover(timeline, planes, n_columns):
    rng = np.random.default_rng(4)
    scores = np.full((4, N_FRAMES), np.nan)
    for frame_index in rng.choice(N_FRAMES, 400, replace=False).tolist():
        there = [i for i in (1, 2, 3) if rng.random() < 0.5]
        scores[there, frame_index] = rng.random(len(there))
        draw(planes, [frame_index], {i: float(scores[i, frame_index]) for i in there})
    planes.lock(150)
    timeline.update(planes, N_FRAMES)
    edges = np.linspace(0, N_FRAMES, n_columns + 1).astype(int)
    flags, shades = timeline.columns([3, 1], edges[:-1], N_FRAMES)
    for column, (first, end) in enumerate(pairwise(edges.tolist())):
        for place, obj_id in enumerate((3, 1)):
            covered = [timeline.flags_at(obj_id, f) for f in range(first, end)]
            assert flags[place, column] == np.bitwise_or.reduce(covered)
            known = scores[obj_id, first:end][~np.isnan(scores[obj_id, first:end])]
            lowest = round(known.min() * SURE) if len(known) else NO_SHADE
            assert shades[place, column] == lowest


def test_a_frame_fills_several_columns_when_near(timeline, planes):
    draw(planes, [4], {1: 0.5})
    timeline.update(planes)
    flags, shades = timeline.columns([1, 8], np.array([3, 3, 4, 4, 4, 5]), 6)
    assert (flags[0] == PRESENT).tolist() == [False, False, True, True, True, False]
    assert shades[0].tolist() == [NO_SHADE, NO_SHADE, 50, 50, 50, NO_SHADE]
    assert (flags[1] == ABSENT).tolist() == [False, False, True, True, True, False]


def test_other_results_begin_anew(timeline, planes):
    draw(planes, range(10), {1: 0.9})
    timeline.update(planes)
    timeline.update(None)
    assert timeline.ids == ()
    other = LabelStack((N_FRAMES, *SIZE))
    draw(other, [2], {4: 0.9})
    timeline.update(other)
    assert timeline.ids == (4,)
    assert timeline.flags_at(4, 1) == UNPROCESSED


def test_widened_results_are_the_same(timeline, planes):
    draw(planes, range(10), {1: 0.9})
    timeline.update(planes)
    timeline.update(planes.astype(np.uint32))
    assert timeline.n_present(1) == 10


# ------------------------------------------------------------------------ out of date


def test_a_correction_makes_stale_what_followed_until_propagated_again(timeline, planes):
    timeline.set_prompts({1: {10: "a"}, 2: {0: "b"}})
    propagate(timeline, planes, range(10, 100), {1: 0.9, 2: 0.9})
    assert len(timeline.stale_frames(1)) == 0
    timeline.set_prompts({1: {10: "a", 40: "c"}, 2: {0: "b"}})
    assert stretch(timeline.stale_frames(1)) == (11, 99)
    assert len(timeline.stale_frames(2)) == 0
    assert timeline.flags_at(1, 100) == UNPROCESSED  # nothing there that could be stale
    propagate(timeline, planes, range(10, 60), {1: 0.9, 2: 0.9})
    assert stretch(timeline.stale_frames(1)) == (60, 99)


def test_a_prompted_frame_is_stale_until_it_is_segmented(timeline, planes):
    timeline.set_prompts({1: {0: "a"}})
    propagate(timeline, planes, range(50), {1: 0.9})
    timeline.set_prompts({1: {0: "a", 20: "b"}})
    assert 20 in timeline.stale_frames(1)
    timeline.begin_job()
    draw(planes, [20], {1: 0.9}, "prompt")
    timeline.end_job(is_answered=True)
    timeline.update(planes)
    stale = set(timeline.stale_frames(1).tolist())
    assert stale == {*range(1, 50)} - {20}


def test_a_correction_taken_back_leaves_nothing_stale(timeline, planes):
    timeline.set_prompts({1: {0: "a"}})
    propagate(timeline, planes, range(50), {1: 0.9})
    timeline.set_prompts({1: {0: "a", 20: "b"}})
    timeline.set_prompts({1: {0: "a"}})
    assert len(timeline.stale_frames(1)) == 0


def test_a_correction_reaches_to_the_keyframes_on_both_sides(timeline, planes):
    timeline.set_prompts({1: {10: "a", 30: "b"}})
    propagate(timeline, planes, range(50), {1: 0.9})
    timeline.set_prompts({1: {10: "a", 20: "c", 30: "b"}})
    assert stretch(timeline.stale_frames(1)) == (11, 29)
    timeline.set_prompts({1: {10: "a", 20: "c"}})
    assert stretch(timeline.stale_frames(1)) == (11, 49)


def test_prompts_of_during_a_run_do_not_count_for_its_frames(timeline, planes):
    timeline.set_prompts({1: {0: "a"}})
    timeline.begin_job()
    for frame_index in range(20):
        draw(planes, [frame_index], {1: 0.9})
        timeline.follow(frame_index)
        if frame_index == 9:
            timeline.set_prompts({1: {0: "a", 5: "b"}})
    timeline.end_job(is_answered=True)
    timeline.update(planes)
    assert stretch(timeline.stale_frames(1)) == (1, 19)


def test_painting_is_a_correction_and_never_stale_itself(timeline, planes):
    timeline.set_prompts({1: {0: "a"}})
    propagate(timeline, planes, range(50), {1: 0.9})
    planes[20, 4, 4] = 1
    timeline.update(planes)
    assert set(timeline.stale_frames(1).tolist()) == {*range(1, 50)} - {20}
    planes[20, 4, 4] = 0
    planes.take_edits({1})
    timeline.update(planes)
    assert len(timeline.stale_frames(1)) == 0


def test_a_locked_frame_is_right_as_it_is(timeline, planes):
    timeline.set_prompts({1: {0: "a"}})
    propagate(timeline, planes, range(5), {1: 0.9})
    planes.lock(3)
    timeline.update(planes)
    timeline.set_prompts({1: {0: "b"}})
    assert timeline.stale_frames(1).tolist() == [0, 1, 2, 4]
    assert timeline.flags_at(1, 2) == PRESENT | STALE


def test_a_correction_followed_as_far_as_it_changes_anything_renews_the_rest(timeline, planes):
    timeline.set_prompts({1: {0: "a"}, 2: {0: "a"}})
    propagate(timeline, planes, range(50), {1: 0.9, 2: 0.9})
    timeline.set_prompts({1: {0: "a", 20: "b"}, 2: {0: "a", 20: "b"}})
    # object 1 was followed forward, until nothing changed on frame 30
    before = planes.snapshot(range(20, 30))
    propagate(timeline, planes, range(20, 30), {1: 0.8, 2: 0.9}, {1}, [range(1, 20)])
    assert stretch(timeline.stale_frames(1)) == (1, 19)
    assert set(timeline.stale_frames(2).tolist()) == {*range(1, 50)} - {20}
    planes.restore(before)  # undone
    timeline.update(planes)
    assert set(timeline.stale_frames(1).tolist()) == {*range(1, 50)} - {20}
    propagate(timeline, planes, range(50), {1: 0.9, 2: 0.9})
    assert len(timeline.stale_frames(1)) == 0


def test_results_of_an_earlier_day_are_taken_for_what_they_were_then(timeline, planes):
    draw(planes, range(50), {1: 0.9})
    timeline.set_prompts({1: {20: "a", 30: "b"}})
    timeline.update(planes)
    timeline.assume({(20, 1)}, np.arange(0))
    assert stretch(timeline.stale_frames(1)) == (21, 49)
    timeline.assume({(20, 1), (30, 1)}, np.arange(3, 9))
    assert stretch(timeline.stale_frames(1)) == (3, 8)


def test_undoing_a_propagation_makes_stale_again_what_it_had_renewed(timeline, planes):
    timeline.set_prompts({1: {0: "a"}})
    propagate(timeline, planes, range(50), {1: 0.9})
    timeline.set_prompts({1: {0: "a", 20: "b"}})
    before = planes.snapshot(range(20, 50))
    propagate(timeline, planes, range(20, 50), {1: 0.8})
    assert stretch(timeline.stale_frames(1)) == (1, 19)
    after = planes.snapshot(range(20, 50))
    planes.restore(before)
    timeline.update(planes)
    assert set(timeline.stale_frames(1).tolist()) == {*range(1, 50)} - {20}
    planes.restore(after)  # redone
    timeline.update(planes)
    assert stretch(timeline.stale_frames(1)) == (1, 19)
