"""The rows of the table of objects, without a window."""

import pytest

from napari_sam3.labels.note_tally import ObjectTally
from napari_sam3.plugin.model.object_rows import (
    ObjectRow,
    ObjectRows,
    ObjectState,
    RowsChange,
    judge,
)


def test_rows_tell_once_what_is_another():
    rows, told = ObjectRows(), []
    rows.changed.connect(told.append)
    rows.replace([ObjectRow(1), ObjectRow(2), ObjectRow(3)])
    rows.replace([ObjectRow(2), ObjectRow(3, name="Ann"), ObjectRow(4)])
    rows.replace([ObjectRow(2), ObjectRow(3, name="Ann"), ObjectRow(4)])
    assert told == [
        RowsChange(added=frozenset({1, 2, 3})),
        RowsChange(frozenset({4}), frozenset({1}), frozenset({3})),
    ]
    assert list(rows) == [2, 3, 4]


@pytest.mark.parametrize(
    ("frames", "n_followed", "processed", "end", "expected"),
    [
        (0, 0, 0b1111, None, (ObjectState.NEW, None)),
        (0b1, 0, 0b1, None, (ObjectState.PREVIEWED, None)),
        (0b1111, 3, 0b1111, None, (ObjectState.TRACKED, None)),
        # not before it came, nor on single frames far away
        (0b1100, 2, 0b100001111, None, (ObjectState.TRACKED, None)),
        (0b0011, 2, 0b1111, None, (ObjectState.LOST, 2)),
        (0b1001, 2, 0b1111, None, (ObjectState.LOST, 1)),
        # not where nobody looked
        (0b1001, 2, 0b1001, None, (ObjectState.TRACKED, None)),
        # nor where it has divided
        (0b0011, 2, 0b1111, 2, (ObjectState.TRACKED, None)),
        (0b0001, 2, 0b1111, 2, (ObjectState.LOST, 1)),
    ],
)
def test_how_far_it_has_come_with_an_object(frames, n_followed, processed, end, expected):
    tally = ObjectTally(frames, n_followed)
    assert judge(tally, processed, end) == expected
