"""Which frames depend on a keyframe that was changed."""

import pytest

from napari_sam3.session.stale_frames import stale_range

THREE = {10: "a", 20: "b", 30: "c"}


@pytest.mark.parametrize("step", [1, -1])
def test_nothing_is_stale_while_the_same_is_said(step):
    assert not stale_range(THREE, dict(THREE), step, 40)
    assert not stale_range({}, {}, step, 40)


@pytest.mark.parametrize(
    ("now", "forward", "backward"),
    [
        # corrected, taken back, or said for the first time: between two keyframes both count
        ({**THREE, 20: "B"}, range(11, 40), range(30)),
        ({10: "a", 30: "c"}, range(11, 40), range(30)),
        ({**THREE, 15: "d"}, range(11, 40), range(20)),
        # the first one: what lies before it came from it, by the other chain
        ({**THREE, 10: "A"}, range(40), range(20)),
        ({**THREE, 5: "d"}, range(40), range(10)),
        ({**THREE, 30: "C"}, range(21, 40), range(40)),
        # moved in time: gone from one frame, new on another
        ({10: "a", 22: "b", 30: "c"}, range(11, 40), range(30)),
        ({}, range(40), range(40)),
    ],
)
def test_a_change_reaches_what_was_followed_behind_it(now, forward, backward):
    assert stale_range(THREE, now, 1, 40) == forward
    assert stale_range(THREE, now, -1, 40) == backward


def test_the_two_directions_mirror_each_other():
    now = {10: "a", 17: "x", 30: "c"}
    mirrored = stale_range(
        {39 - k: v for k, v in THREE.items()}, {39 - k: v for k, v in now.items()}, -1, 40
    )
    assert sorted(39 - f for f in mirrored) == list(stale_range(THREE, now, 1, 40))


def test_what_undo_brings_back_is_true_again():
    corrected = {**THREE, 15: "d"}
    assert stale_range(corrected, THREE, 1, 40)
    assert not stale_range(THREE, {k: v for k, v in corrected.items() if k != 15}, 1, 40)
