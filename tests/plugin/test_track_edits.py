"""Objects that are merged, split and swapped, by the controller and by the table."""

import numpy as np
import pytest
from napari.layers import Labels
from qtpy.QtCore import Qt

from napari_sam3.errors import LayerError, LineageError, LockedObjectError, RequestError
from napari_sam3.labels.label_stack import LabelStack
from napari_sam3.labels.lineage import Division
from napari_sam3.labels.object_notes import PAINTED, ObjectNote
from napari_sam3.plugin.controllers import track_edits
from napari_sam3.plugin.controllers.track_edits import TrackEdits
from napari_sam3.plugin.controllers.tracking_controller import TrackingController
from napari_sam3.plugin.layers.features_table import table_of
from tests.plugin.conftest import SHAPE
from tests.plugin.test_objects_table import click, results_of, row, table_in, tracked

__all__ = ["tracked"]

FOLLOWED = ObjectNote(0.5, "propagated")
N, BEGIN = 6, 3


class Viewer:
    """As much of one as the controller asks for."""

    def __init__(self, layer):
        from napari.components import ViewerModel

        self.model = ViewerModel()
        self.model.add_layer(layer)

    def __getattr__(self, name):
        return getattr(self.model, name)


@pytest.fixture
def labels():
    """Objects 1 and 2 side by side on six frames, in memory."""
    planes = LabelStack((N, 4, 6))
    for n in range(N):
        frame = np.zeros((4, 6), int)
        frame[:, :2], frame[:, 3:5] = 1, 2
        planes.draw(n, frame, {1: ObjectNote(0.1 * n, "propagated"), 2: FOLLOWED})
    return Labels(planes)


@pytest.fixture
def edits(labels):
    tracking = TrackingController(Viewer(labels))
    return TrackEdits(tracking, lambda: labels)


def columns(labels, x):
    """The label in a column, frame by frame."""
    return [int(labels.data[n][0, x]) for n in range(N)]


def undo(edits, labels):
    edits._tracking.objects.history(labels).undo()


def test_the_tail_of_an_object_is_a_new_object(edits, labels):
    table_of(labels).classify(1, "cell")
    table_of(labels).rename(1, "Ann")
    before = table_of(labels).copy()
    assert edits.split(1, BEGIN) == 3
    assert columns(labels, 0) == [1] * 3 + [3] * 3
    assert columns(labels, 3) == [2] * N
    assert labels.data.notes(4)[3] == ObjectNote(0.4, "propagated")
    assert 1 not in labels.data.notes(4)
    table = table_of(labels)
    assert (table.classes, table.names) == ({1: "cell", 3: "cell"}, {1: "Ann"})
    assert [table.is_alive(1, n) for n in (2, 3)] == [True, False]
    assert [table.is_alive(3, n) for n in (2, 3)] == [False, True]
    undo(edits, labels)
    assert columns(labels, 0) == [1] * N
    assert table_of(labels) == before


def test_a_division_after_the_split_is_the_tails(edits, labels):
    table_of(labels).mark_division(1, [8, 9], 5)
    tail = edits.split(1, BEGIN)
    assert table_of(labels).divisions == (Division(tail, (8, 9), 5),)


def test_two_objects_change_ids_from_a_frame_on(edits, labels):
    table_of(labels).mark_division(2, [8, 9], 5)
    edits.swap(1, 2, BEGIN)
    assert columns(labels, 0) == [1] * 3 + [2] * 3
    assert columns(labels, 3) == [2] * 3 + [1] * 3
    assert labels.data.notes(4)[2] == ObjectNote(0.4, "propagated")
    assert table_of(labels).divisions == (Division(1, (8, 9), 5),)
    undo(edits, labels)
    assert columns(labels, 0) == [1] * N
    assert table_of(labels).divisions == (Division(2, (8, 9), 5),)


def test_several_objects_become_one(edits, labels):
    edits.split(1, BEGIN)
    edits.merge([2, 3], 1)
    assert columns(labels, 0) == columns(labels, 3) == [1] * N
    assert list(labels.data.notes(4)) == [1]
    assert table_of(labels).is_alive(1, N)
    undo(edits, labels)
    assert columns(labels, 0) == [1] * 3 + [3] * 3


def test_frames_that_are_locked_follow_and_stay_locked(edits, labels):
    labels.data.lock(4)
    edits.swap(1, 2, BEGIN)
    assert columns(labels, 0) == [1] * 3 + [2] * 3
    assert labels.data.is_locked(4)


def test_what_nobody_has_noted_follows_too(edits, labels):
    labels.data.draw(4, labels.data[4])
    edits.split(1, BEGIN)
    assert columns(labels, 0) == [1] * 3 + [3] * 3


@pytest.mark.parametrize(
    ("act", "error", "said"),
    [
        (lambda e: e.split(1, 0), LayerError, "on no frame before it"),
        (lambda e: e.split(7, 2), LayerError, "on no frame from there on"),
        (lambda e: e.swap(1, 1, 2), LineageError, "with itself"),
        (lambda e: e.swap(7, 8, 2), LayerError, "neither is on a frame"),
        (lambda e: e.merge([1], 1), LineageError, "with itself"),
    ],
)
def test_what_can_not_be_is_said_and_changes_nothing(edits, labels, act, error, said):
    before = table_of(labels).copy()
    with pytest.raises(error, match=said):
        act(edits)
    assert columns(labels, 0) == [1] * N
    assert table_of(labels) == before
    assert not edits._tracking.objects.history(labels).done


def test_a_locked_object_is_not_merged_split_or_swapped(edits, labels):
    edits.lock([1])
    for act in (
        lambda: edits.merge([2], 1),
        lambda: edits.merge([1], 2),
        lambda: edits.split(1, BEGIN),
        lambda: edits.swap(1, 2, BEGIN),
    ):
        with pytest.raises(LockedObjectError, match="object 1 is locked"):
            act()
    edits.lock([1], False)
    edits.swap(1, 2, BEGIN)


def test_a_locked_object_stays_where_others_are_drawn_over_it(labels, edits):
    edits.lock([1])
    labels.data.draw(4, np.full((4, 6), 2), {2: PAINTED})
    assert columns(labels, 0)[4] == 1
    assert labels.data.notes(4)[1] == ObjectNote(0.4, "propagated")
    labels.data[4, 0, 0] = 5
    assert columns(labels, 0)[4] == 1
    labels.data[4, 0, 2] = 1  # nor does it grow
    assert columns(labels, 2)[4] == 2
    assert labels.data.notes(4)[1] == ObjectNote(0.4, "propagated")


# ------------------------------------------------------------------------- the window


def test_many_frames_are_changed_while_the_window_goes_on(tracked, qtbot, monkeypatch):
    monkeypatch.setattr(track_edits, "PIXELS_AT_ONCE", 0)
    edits, planes = tracked.objects_panel.edits, results_of(tracked).planes
    before = [planes[n].copy() for n in range(SHAPE[0])]
    edits.split(1, 12)
    assert edits.is_running
    assert not tracked.state.is_idle
    with pytest.raises(RequestError, match="other work goes on"):
        edits.swap(1, 2, 3)
    with qtbot.waitSignal(edits.ended):
        pass
    assert tracked.state.is_idle
    history = tracked.state.current.history
    assert history.done[-1].label == "split object 1 at frame 12"
    assert set(np.unique(planes[15])) == {0, 2, 3, 4}
    history.undo()
    np.testing.assert_array_equal([planes[n] for n in range(SHAPE[0])], before)
    history.redo()
    assert set(np.unique(planes[15])) == {0, 2, 3, 4}


def test_a_later_propagation_agrees_with_a_split(tracked, qtbot, work):
    planes = results_of(tracked).planes
    tracked.viewer.dims.set_current_step(0, 12)
    click(qtbot, tracked, 1)
    qtbot.mouseClick(table_in(tracked).buttons["Split"], Qt.LeftButton)
    assert row(tracked, 4).n_frames == SHAPE[0] - 12
    shown = [planes[n].copy() for n in range(SHAPE[0])]
    # something else is corrected, and all is followed again
    tracked.prompt_panel.points.value.data = [[0, 20, 20], [0, 41, 30], [0, 20, 50]]
    work(tracked, tracked.propagate)
    for n in (0, 11, 12, 13, 19):
        for obj_id in (1, 4):
            np.testing.assert_array_equal(planes[n] == obj_id, shown[n] == obj_id)


def test_a_later_propagation_agrees_with_a_swap(tracked, qtbot, work):
    planes = results_of(tracked).planes
    tracked.viewer.dims.set_current_step(0, 12)
    click(qtbot, tracked, 1)
    click(qtbot, tracked, 2, keys=Qt.KeyboardModifier.ControlModifier)
    qtbot.mouseClick(table_in(tracked).buttons["Swap"], Qt.LeftButton)
    shown = [planes[n].copy() for n in range(SHAPE[0])]
    assert shown[12][44, 56] == shown[13][46, 59] == 2
    tracked.prompt_panel.points.value.data = [[0, 20, 20], [0, 40, 30], [0, 21, 50]]
    work(tracked, tracked.propagate)
    for n in (0, 11, 12, 13, 19):
        for obj_id in (1, 2):
            np.testing.assert_array_equal(planes[n] == obj_id, shown[n] == obj_id)


def test_a_later_propagation_agrees_with_a_merge_of_what_a_text_found(tracked, qtbot, work):
    tracked.prompt_panel.text.value = "dog"
    work(tracked, tracked.propagate)
    table_in(tracked).refresh()
    (found,) = [i for i in tracked.objects_panel.list.rows if i > 3]
    planes = results_of(tracked).planes
    edits = tracked.objects_panel.edits
    edits.merge([found], 1)
    shown = [planes[n].copy() for n in range(SHAPE[0])]
    assert not any((frame == found).any() for frame in shown)
    work(tracked, tracked.propagate)
    assert not any((planes[n] == found).any() for n in range(SHAPE[0]))
    np.testing.assert_array_equal(planes[0] == 1, shown[0] == 1)


def test_prompts_go_with_the_object_that_they_are_of_then(tracked, qtbot):
    points = tracked.prompt_panel.points.value
    points.add([(15, 50, 65)])  # of object 3, which is in hand
    tracked.objects_panel.edits.split(3, 10)
    assert list(points.features["object"]) == [1, 2, 3, 4]
    tracked.state.current.history.undo()
    assert list(points.features["object"]) == [1, 2, 3, 3]
