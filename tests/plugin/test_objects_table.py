"""The table of objects in the window, by mouse and keys."""

import numpy as np
import pytest
from qtpy.QtCore import QPoint, Qt
from qtpy.QtWidgets import QApplication

from napari_sam3.labels.label_stack import LabelStack
from napari_sam3.labels.object_notes import ObjectNote
from napari_sam3.labels.objects import ObjectTable
from napari_sam3.plugin.layers.features_table import table_of
from napari_sam3.plugin.model.object_rows import ObjectState
from napari_sam3.plugin.views.objects_table_model import Column
from tests.plugin.conftest import SHAPE

FOLLOWED = ObjectNote(0.5, "propagated")


@pytest.fixture
def tracked(open_dock, open_viewer, film, work):
    """A dock that has followed objects 1, 2 and 3 over all frames."""
    dock = open_dock(open_viewer(show=True))
    dock.viewer.add_image(film, name="film")
    dock.new_prompts()
    for obj_id, place in ((1, (0, 20, 20)), (2, (0, 40, 30)), (3, (0, 20, 50))):
        dock.prompt_panel.object.value = obj_id
        dock.prompt_panel.points.value.add([place])
    work(dock, dock.propagate)
    table_in(dock).refresh()
    QApplication.processEvents()  # lay out
    return dock


def table_in(dock):
    return dock.objects_panel.table


def row(dock, obj_id):
    return dock.objects_panel.list.rows[obj_id]


def place_of(dock, obj_id, column):
    view = table_in(dock).view
    return view.visualRect(table_in(dock).model.place(obj_id, column)).center()


def click(qtbot, dock, obj_id, column=Column.ID, keys=Qt.KeyboardModifier.NoModifier):
    viewport = table_in(dock).view.viewport()
    qtbot.mouseClick(viewport, Qt.LeftButton, keys, place_of(dock, obj_id, column))


def type_over(qtbot, dock, text):
    view = table_in(dock).view
    editor = view.indexWidget(view.currentIndex())
    editor.selectAll()
    qtbot.keyClicks(editor, text)
    qtbot.keyClick(editor, Qt.Key.Key_Return)


def shown_ids(dock):
    return table_in(dock).model.ids


def results_of(dock):
    return dock.tracking.results


# ---------------------------------------------------------------------- what is shown


def test_a_row_says_how_it_stands_with_its_object(tracked):
    assert shown_ids(tracked) == [1, 2, 3]
    one = row(tracked, 1)
    assert (one.n_frames, one.n_prompts, one.state) == (SHAPE[0], 1, ObjectState.TRACKED)
    assert 0 < one.score <= 1
    rgba = results_of(tracked).layer.get_color(1)
    expected = "#" + "".join(f"{round(255 * float(part)):02x}" for part in rgba[:3])
    assert one.color == expected


def test_an_object_that_was_pointed_out_alone_is_new_and_shown_where_it_is_previewed(
    open_dock, film, work
):
    dock = open_dock()
    dock.viewer.add_image(film, name="film")
    dock.new_prompts()
    dock.prompt_panel.points.value.add([(0, 20, 20)])
    table_in(dock).refresh()
    assert [r.state for r in dock.objects_panel.list.rows.values()] in ([], [ObjectState.NEW])
    work(dock, dock.segment_frame)
    table_in(dock).refresh()
    assert row(dock, 1).state is ObjectState.PREVIEWED
    assert row(dock, 1).n_frames == 1


def test_an_object_that_is_not_seen_where_others_were_followed_is_lost(tracked):
    planes = results_of(tracked).planes
    for frame_index in range(12, SHAPE[0]):
        results_of(tracked).erase(frame_index, 2)
    table_in(tracked).refresh()
    assert (row(tracked, 2).state, row(tracked, 2).lost_at) == (ObjectState.LOST, 12)
    assert row(tracked, 2).n_frames == 12
    assert row(tracked, 1).state is ObjectState.TRACKED
    # a mother is not lost where she has divided
    table_of(results_of(tracked).layer).mark_division(2, [8, 9], 12)
    table_in(tracked).refresh()
    assert row(tracked, 2).state is ObjectState.TRACKED
    assert planes.is_processed(12)


def test_only_rows_that_changed_are_told_of(tracked, qtbot):
    told = []
    model = table_in(tracked).model
    model.dataChanged.connect(
        lambda first, last, _roles=None: told.append((first.row(), last.row()))
    )
    results_of(tracked).erase(5, 3)
    table_in(tracked).refresh()
    table_in(tracked).refresh()
    assert told == [(2, 2)]


def test_rows_follow_what_is_painted(tracked, qtbot):
    layer = results_of(tracked).layer
    layer.data_setitem((np.array([3]), np.array([70]), np.array([2])), 7)
    qtbot.waitUntil(lambda: 7 in shown_ids(tracked))
    assert row(tracked, 7).n_frames == 1
    assert row(tracked, 7).n_prompts == 1


def test_rows_follow_what_is_undone(tracked, qtbot):
    tracked.tracking.undo()
    qtbot.waitUntil(lambda: row(tracked, 1).n_frames == 0)
    assert row(tracked, 1).state is ObjectState.NEW
    tracked.tracking.redo()
    qtbot.waitUntil(lambda: row(tracked, 1).n_frames == SHAPE[0])


# ------------------------------------------------------------------------ one in hand


def test_a_click_takes_an_object_in_hand_and_the_other_way_round(tracked, qtbot):
    click(qtbot, tracked, 2)
    assert tracked.state.object_in_hand == 2
    assert tracked.prompt_panel.points.value.feature_defaults["object"].iloc[0] == 2
    tracked.prompt_panel.object.value = 1
    assert table_in(tracked).selected == [1]
    assert table_in(tracked).view.currentIndex().row() == 0


def test_arrows_walk(tracked, qtbot):
    click(qtbot, tracked, 1)
    qtbot.keyClick(table_in(tracked).view, Qt.Key.Key_Down)
    assert tracked.state.object_in_hand == 2
    qtbot.keyClick(table_in(tracked).view, Qt.Key.Key_Down, Qt.KeyboardModifier.ShiftModifier)
    assert table_in(tracked).selected == [3, 2]


def test_the_one_in_hand_is_kept_when_others_are_sorted_filtered_and_come(tracked, qtbot):
    click(qtbot, tracked, 2)
    desk, layer = tracked.tracking.objects, results_of(tracked).layer
    for obj_id, name in ((1, "Zoe"), (2, "Mia"), (3, "Ann")):
        desk.rename(layer, obj_id, name)
    table_in(tracked).refresh()
    view = table_in(tracked).view
    header = view.horizontalHeader()
    at = QPoint(header.sectionViewportPosition(Column.NAME) + 10, header.height() // 2)
    qtbot.mouseClick(header.viewport(), Qt.LeftButton, pos=at)
    assert shown_ids(tracked) == [3, 2, 1]
    qtbot.mouseClick(header.viewport(), Qt.LeftButton, pos=at)
    assert shown_ids(tracked) == [1, 2, 3]
    qtbot.keyClicks(table_in(tracked).search, "mi")
    assert shown_ids(tracked) == [2]
    assert table_in(tracked).count.text() == "1 of 3"
    assert (tracked.state.object_in_hand, table_in(tracked).selected) == (2, [2])
    table_in(tracked).search.setText("tracked ann")
    assert shown_ids(tracked) == [3]
    assert (tracked.state.object_in_hand, table_in(tracked).selected) == (2, [])
    table_in(tracked).search.clear()
    assert table_in(tracked).selected == [2]


def test_a_new_object_in_hand_has_a_row(tracked):
    tracked.state.object_in_hand = 9
    assert shown_ids(tracked) == [1, 2, 3, 9]
    assert table_in(tracked).selected == [9]
    assert row(tracked, 9).state is ObjectState.NEW


# --------------------------------------------------------------------- typed and clicked


def test_names_and_classes_are_typed_in_place_and_undone(tracked, qtbot):
    click(qtbot, tracked, 2)
    qtbot.keyClick(table_in(tracked).view, Qt.Key.Key_F2)
    type_over(qtbot, tracked, "Mia")
    table = table_of(results_of(tracked).layer)
    qtbot.waitUntil(lambda: table.names == {2: "Mia"})
    assert row(tracked, 2).name == "Mia"
    view = table_in(tracked).view
    qtbot.waitUntil(lambda: view.indexWidget(view.currentIndex()) is None)
    click(qtbot, tracked, 3, Column.CLASS)
    qtbot.mouseDClick(view.viewport(), Qt.LeftButton, pos=place_of(tracked, 3, Column.CLASS))
    type_over(qtbot, tracked, "cell")
    qtbot.waitUntil(lambda: table.classes == {3: "cell"})
    tracked.state.current.history.undo()
    tracked.state.current.history.undo()
    table_in(tracked).refresh()
    assert (row(tracked, 2).name, row(tracked, 3).class_name) == ("", "")


def test_letters_typed_in_the_table_write_nothing(tracked, qtbot):
    click(qtbot, tracked, 1)
    qtbot.keyClicks(table_in(tracked).view, "3zuw")
    assert table_of(results_of(tracked).layer).names == {}
    assert table_in(tracked).search.text() == ""
    assert table_in(tracked).selected == [1]


def test_nothing_takes_the_keys_that_was_not_clicked(tracked):
    table = table_in(tracked)
    takers = [table.search, table.view, table.more, *table.buttons.values()]
    assert not any(w.hasFocus() for w in takers)
    tracked.state.object_in_hand = 3
    table.refresh()
    assert QApplication.focusWidget() not in takers


def test_the_eye_hides_an_object_and_leaves_its_labels(tracked, qtbot):
    layer = results_of(tracked).layer
    before, selected = layer.data[0].copy(), table_in(tracked).selected
    click(qtbot, tracked, 2, Column.EYE)
    assert table_in(tracked).selected == selected
    assert not row(tracked, 2).is_shown
    assert layer.colormap.map(np.array([1, 2, 3]))[:, 3].tolist() == [1, 0, 1]
    np.testing.assert_array_equal(layer.data[0], before)
    colour = row(tracked, 2).color
    click(qtbot, tracked, 2, Column.EYE)
    assert layer.colormap.map(np.array([1, 2, 3]))[:, 3].tolist() == [1, 1, 1]
    assert row(tracked, 2).color == colour


def test_show_only_this_and_all(tracked, qtbot):
    click(qtbot, tracked, 3)
    table_in(tracked).show_only_selected()
    assert [r.is_shown for r in tracked.objects_panel.list.rows.values()] == [False, False, True]
    tracked.objects_panel.list.show_all()
    assert all(r.is_shown for r in tracked.objects_panel.list.rows.values())


def test_an_object_has_another_colour_everywhere(tracked, qtbot):
    click(qtbot, tracked, 2)
    table_in(tracked).recolor("#ff8800")
    layer, points = results_of(tracked).layer, tracked.prompt_panel.points.value
    assert layer.get_color(2) == pytest.approx([1, 0x88 / 255, 0, 1])
    assert points.border_color[1] == pytest.approx([1, 0x88 / 255, 0, 1])
    assert row(tracked, 2).color == "#ff8800"
    points.add([(0, 41, 31)])
    assert points.border_color[-1] == pytest.approx([1, 0x88 / 255, 0, 1])
    tracked.state.current.history.undo()  # the click
    tracked.state.current.history.undo()
    table_in(tracked).refresh()
    assert row(tracked, 2).color != "#ff8800"
    assert points.border_color[1] != pytest.approx([1, 0x88 / 255, 0, 1])


# ------------------------------------------------------------------------------ locks


def test_a_locked_object_is_left_alone_by_propagation_paint_and_removal(
    tracked, qtbot, work, notes
):
    click(qtbot, tracked, 2, Column.LOCK)
    assert row(tracked, 2).is_locked
    planes, layer = results_of(tracked).planes, results_of(tracked).layer
    before = [planes[n] == 2 for n in range(SHAPE[0])]
    tracked.prompt_panel.points.value.data = [[0, 20, 20], [0, 60, 80], [0, 20, 50]]
    work(tracked, tracked.propagate)
    np.testing.assert_array_equal([planes[n] == 2 for n in range(SHAPE[0])], before)
    assert planes.notes(3)[2].source == "propagated"
    where = np.nonzero(before[0])
    layer.data_setitem((np.zeros(len(where[0]), int), *where), 5)
    np.testing.assert_array_equal(planes[0] == 2, before[0])
    click(qtbot, tracked, 2)
    qtbot.keyClick(table_in(tracked).view, Qt.Key.Key_Delete)
    assert "object 2 is locked" in notes[-1][1]
    assert (planes[0] == 2).any()
    click(qtbot, tracked, 2, Column.LOCK)
    assert not row(tracked, 2).is_locked
    layer.data_setitem((np.zeros(len(where[0]), int), *where), 5)
    assert not (planes[0] == 2).any()


def test_delete_removes_what_is_selected(tracked, qtbot, work):
    click(qtbot, tracked, 1)
    click(qtbot, tracked, 3, keys=Qt.KeyboardModifier.ControlModifier)
    assert table_in(tracked).selected == [3, 1]
    view = table_in(tracked).view
    work(tracked, lambda: qtbot.keyClick(view, Qt.Key.Key_Delete))
    table_in(tracked).refresh()
    assert [i for i in shown_ids(tracked) if i != tracked.state.object_in_hand] == [2]
    assert set(np.unique(results_of(tracked).planes[4])) == {0, 2}


# ------------------------------------------------------------------ found by a text


@pytest.fixture
def searched(tracked, work):
    """Two persons and a dog were looked for besides."""
    tracked.prompt_panel.text.value = "dog, person"
    work(tracked, tracked.segment_frame)
    table_in(tracked).refresh()
    return tracked


def to_check(dock):
    rows = dock.objects_panel.list.rows.values()
    return [r.obj_id for r in rows if r.state is ObjectState.TO_CHECK]


def test_what_a_text_finds_is_to_be_checked_accepted_or_rejected(searched, qtbot, work):
    found = to_check(searched)
    assert len(found) >= 2
    table = table_in(searched)
    click(qtbot, searched, found[0])
    qtbot.mouseClick(table.buttons["Accept"], Qt.LeftButton)
    assert to_check(searched) == found[1:]
    click(qtbot, searched, found[1])
    work(searched, lambda: qtbot.mouseClick(table.buttons["Reject"], Qt.LeftButton))
    table.refresh()
    assert to_check(searched) == found[2:]
    # looked for again it does not come back
    work(searched, searched.segment_frame)
    table.refresh()
    assert found[1] not in np.unique(results_of(searched).planes[0])
    assert to_check(searched) == found[2:]


def test_all_that_a_text_found_is_accepted_at_once(searched):
    table_in(searched).accept_all()
    assert to_check(searched) == []
    searched.state.current.history.undo()
    table_in(searched).refresh()
    assert len(to_check(searched)) >= 2


def test_all_that_a_text_found_is_rejected_at_once(searched, work):
    found = to_check(searched)
    work(searched, table_in(searched).reject_all)
    table_in(searched).refresh()
    assert to_check(searched) == []
    assert not set(found) & set(np.unique(results_of(searched).planes[0]))


# ----------------------------------------------------------------------- other layers


def test_the_objects_of_a_layer_that_is_no_result_are_listed(open_dock):
    dock = open_dock()
    planes = LabelStack(SHAPE)
    planes.draw(2, np.full(SHAPE[1:], 4), {4: FOLLOWED})
    dock.viewer.add_labels(planes, metadata={"objects": ObjectTable()})
    table_in(dock).refresh()
    assert row(dock, 4).n_frames == 1


def test_every_control_has_a_tooltip_and_the_table_is_narrow(tracked):
    table = table_in(tracked)
    controls = [table.search, table.more, *table.buttons.values()]
    assert all(c.toolTip() for c in controls)
    heads = [table.model.headerData(c, Qt.Horizontal, Qt.ItemDataRole.ToolTipRole) for c in Column]
    assert all(heads)
    assert tracked.objects_panel.fields.group.minimumSizeHint().width() <= 340
