"""Which frames depend on a keyframe that was changed."""

import pytest

from napari_sam3.session.stale_frames import stale_ranges

THREE = {10: "a", 20: "b", 30: "c"}


def test_nothing_is_stale_while_the_same_is_said():
    assert stale_ranges(THREE, dict(THREE), 40) == ()
    assert stale_ranges({}, {}, 40) == ()


@pytest.mark.parametrize(
    ("now", "stale"),
    [
        # corrected, taken back, or said for the first time: up to the keyframes on both sides
        ({**THREE, 20: "B"}, [range(11, 30)]),
        ({10: "a", 30: "c"}, [range(11, 30)]),
        ({**THREE, 15: "d"}, [range(11, 20)]),
        # the first or last one: what lies beyond came from it alone
        ({**THREE, 10: "A"}, [range(20)]),
        ({**THREE, 5: "d"}, [range(10)]),
        ({**THREE, 30: "C"}, [range(21, 40)]),
        # moved in time: gone from one frame, new on another
        ({10: "a", 22: "b", 30: "c"}, [range(11, 30)]),
        ({10: "a", 20: "b", 35: "c"}, [range(21, 40)]),
        ({}, [range(40)]),
        # far apart
        ({**THREE, 5: "d", 35: "e"}, [range(10), range(31, 40)]),
    ],
)
def test_a_change_reaches_to_the_keyframes_that_are_the_same(now, stale):
    assert stale_ranges(THREE, now, 40) == tuple(stale)
    assert stale_ranges(now, THREE, 40) == tuple(stale)  # what undo brings back


@pytest.mark.parametrize(
    "now", [{**THREE, 15: "d"}, {10: "a", 22: "b", 30: "c"}, {**THREE, 5: "d"}]
)
def test_both_directions_are_the_same(now):
    def mirrored(prompts):
        return {39 - k: v for k, v in prompts.items()}

    there = stale_ranges(mirrored(THREE), mirrored(now), 40)
    frames = {39 - f for part in there for f in part}
    assert frames == {f for part in stale_ranges(THREE, now, 40) for f in part}
