"""The order of frames, against the contract's own examples."""

import pytest

from napari_sam3.session.propagation import plan_frames


@pytest.mark.parametrize(
    ("direction", "start", "limit", "expected"),
    [
        ("forward", 0, None, list(range(10))),
        ("forward", 4, 2, [4, 5]),
        ("forward", 9, 5, [9]),
        ("backward", 4, None, [3, 2, 1, 0]),
        ("backward", 4, 2, [3, 2]),
        ("backward", 0, None, []),
        ("both", 4, 2, [4, 5, 3, 2]),
        ("both", 0, 2, [0, 1]),
        ("both", 9, None, [9, *range(8, -1, -1)]),
    ],
)
def test_order(direction, start, limit, expected):
    legs = plan_frames(10, direction, start, limit)
    assert [frame for leg in legs for frame in leg] == expected


def test_both_of_the_page():
    forward, backward = plan_frames(150, "both", 50, 100)
    assert list(forward) == list(range(50, 150))
    assert list(backward) == list(range(49, -1, -1))
