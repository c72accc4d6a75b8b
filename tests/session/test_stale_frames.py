"""Which frames depend on a keyframe that was changed."""

import pytest

from napari_sam3.session.stale_frames import stale_ranges

THREE = {10: "a", 20: "b", 30: "c"}
CHANGES = [
    # corrected, taken back, or said for the first time: between two keyframes both count
    ({**THREE, 20: "B"}, (11, 40), (0, 30), (11, 30)),
    ({10: "a", 30: "c"}, (11, 40), (0, 30), (11, 30)),
    ({**THREE, 15: "d"}, (11, 40), (0, 20), (11, 20)),
    # the first or last one: what lies beyond came from it, by one chain or the other
    ({**THREE, 10: "A"}, (0, 40), (0, 20), (0, 20)),
    ({**THREE, 5: "d"}, (0, 40), (0, 10), (0, 10)),
    ({**THREE, 30: "C"}, (21, 40), (0, 40), (21, 40)),
    # moved in time: gone from one frame, new on another
    ({10: "a", 22: "b", 30: "c"}, (11, 40), (0, 30), (11, 30)),
    ({}, (0, 40), (0, 40), (0, 40)),
]


@pytest.mark.parametrize("begins_anew", [True, False])
@pytest.mark.parametrize("step", [1, -1])
def test_nothing_is_stale_while_the_same_is_said(step, begins_anew):
    assert stale_ranges(THREE, dict(THREE), step, 40, begins_anew=begins_anew) == ()
    assert stale_ranges({}, {}, step, 40, begins_anew=begins_anew) == ()


@pytest.mark.parametrize(("now", "forward", "backward", "anew"), CHANGES)
def test_a_change_reaches_what_was_followed_behind_it(now, forward, backward, anew):
    assert stale_ranges(THREE, now, 1, 40) == (range(*forward),)
    assert stale_ranges(THREE, now, -1, 40) == (range(*backward),)
    for step in (1, -1):
        assert stale_ranges(THREE, now, step, 40, begins_anew=True) == (range(*anew),)


def test_changes_far_apart_leave_what_lies_between_where_all_begins_anew():
    now = {**THREE, 5: "d", 35: "e"}
    assert stale_ranges(THREE, now, 1, 40, begins_anew=True) == (range(10), range(31, 40))
    assert stale_ranges(THREE, now, 1, 40) == (range(40),)


@pytest.mark.parametrize("begins_anew", [True, False])
@pytest.mark.parametrize("now", [case[0] for case in CHANGES])
def test_the_two_directions_mirror_each_other(now, begins_anew):
    def frames(then, now, step):
        ranges = stale_ranges(then, now, step, 40, begins_anew=begins_anew)
        return sorted(f for part in ranges for f in part)

    def mirrored(prompts):
        return {39 - k: v for k, v in prompts.items()}

    there = frames(mirrored(THREE), mirrored(now), -1)
    assert sorted(39 - f for f in there) == frames(THREE, now, 1)
