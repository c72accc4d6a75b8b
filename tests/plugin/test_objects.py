"""Names, classes, divisions, locked frames and tracks in the window."""

import gc
import threading
from pathlib import Path
from weakref import ref

import numpy as np
import pytest
from napari.layers import Labels

from napari_sam3.errors import StoreReadOnlyError
from napari_sam3.imports.file_label_stack import FileLabelStack
from napari_sam3.imports.label_file import LabelFile
from napari_sam3.labels.label_stack import LabelStack
from napari_sam3.labels.lineage import Division
from napari_sam3.labels.objects import ObjectTable
from napari_sam3.plugin.controllers.object_controller import ObjectController
from napari_sam3.plugin.controllers.tracks_layer import CentroidTracks
from napari_sam3.plugin.layers.features_table import table_of
from napari_sam3.plugin.model.command_history import CommandHistory
from napari_sam3.plugin.views.objects_table_model import Column
from tests.plugin.conftest import SHAPE, disc


@pytest.fixture
def tracked(open_dock, film, work):
    """A dock that has followed objects 1 and 2 over all frames."""
    dock = open_dock()
    dock.viewer.add_image(film, name="film", scale=(0.5, 2, 2))
    dock.new_prompts()
    for obj_id, place in ((1, (0, 20, 20)), (2, (0, 40, 30))):
        dock.prompt_panel.object.value = obj_id
        dock.prompt_panel.points.value.add([place])
    work(dock, dock.propagate)
    return dock


def results_of(dock):
    return dock.tracking.results


def type_in(dock, obj_id, column, text):
    table = dock.objects_panel.table
    table.refresh()
    table.model.setData(table.model.place(obj_id, column), text)


def row_of(layer, obj_id):
    table = layer.features
    return table[table["index"] == obj_id].iloc[0]


def test_what_is_typed_is_known_of_the_object_and_shown(tracked, qtbot):
    layer = results_of(tracked).layer
    desk = tracked.tracking.objects
    assert row_of(layer, 2)["score"] > 0
    assert row_of(layer, 2)["name"] is None
    with qtbot.waitSignal(desk.objects_changed) as told:
        type_in(tracked, 2, Column.NAME, "Ann")
    assert told.args == [layer]
    type_in(tracked, 2, Column.CLASS, "cell")
    assert tuple(row_of(layer, 2)[["id", "name", "class"]]) == (2, "Ann", "cell")
    rows = tracked.objects_panel.list.rows
    assert (rows[1].name, rows[1].class_name) == ("", "")
    assert (rows[2].name, rows[2].class_name) == ("Ann", "cell")
    tracked.viewer.dims.set_current_step(0, 0)
    position = layer.data_to_world((0, 40, 30))
    assert "name: Ann" in layer.get_status(position, world=True)["coordinates"]


def test_names_survive_runs_and_go_with_their_object(tracked, work):
    type_in(tracked, 2, Column.NAME, "Ann")
    work(tracked, tracked.propagate)
    layer = results_of(tracked).layer
    assert row_of(layer, 2)["name"] == "Ann"
    work(tracked, tracked.remove_object)
    assert layer.metadata["objects"].names == {}
    assert list(layer.features["index"]) == [0, 1]


def test_a_division_is_marked_on_the_frame_on_screen_and_unmarked(tracked, notes, qtbot):
    fields = tracked.objects_panel.fields
    table = results_of(tracked).layer.metadata["objects"]
    tracked.viewer.dims.set_current_step(0, 7)
    tracked.prompt_panel.object.value = 1
    fields.daughters.native.setText("1, 2")
    fields.divide.native.click()
    assert "own daughter" in notes[-1][1]
    fields.daughters.native.setText("2 and more")
    fields.divide.native.click()
    assert "as in 7, 8" in notes[-1][1]
    fields.daughters.native.setText("2, 5")
    fields.divide.native.click()
    assert table.divisions == (Division(1, (2, 5), 7),)
    assert fields.lineage.text() == "Divides on frame 7 into 2 and 5."
    tracked.prompt_panel.object.value = 5
    assert fields.lineage.text() == "Daughter of 1."
    assert not fields.undivide.enabled
    tracked.viewer.dims.set_current_step(0, 9)
    fields.new_daughters.native.click()
    qtbot.waitUntil(lambda: tracked.prompt_panel.object.value == 6)
    tracked.prompt_panel.object.value = 1
    fields.undivide.native.click()
    assert table.divisions == (Division(5, (6, 7), 9),)


def test_labels_of_a_file_are_read_for_daughters_where_the_window_does_not_wait(open_dock, qtbot):
    pressed, gate, read_by = threading.Event(), threading.Event(), set()

    class HeldFile(LabelFile):
        def _read(self, frame_index):
            if pressed.is_set():
                read_by.add(threading.current_thread())
                gate.wait(60)
            return np.full((8, 9), frame_index + 1)

    dock = open_dock()
    planes = FileLabelStack(HeldFile(Path("none"), (4, 8, 9), greatest=9))
    layer = dock.viewer.add_labels(planes, metadata={"objects": ObjectTable()})
    dock.viewer.dims.set_current_step(0, 1)
    dock.prompt_panel.object.value = 1
    button = dock.objects_panel.fields.new_daughters
    pressed.set()
    button.native.click()
    assert not button.enabled
    assert button.text == "Reading …"
    gate.set()
    qtbot.waitUntil(lambda: dock.prompt_panel.object.value == 5)
    assert layer.metadata["objects"].divisions == (Division(1, (5, 6), 1),)
    assert button.enabled
    assert button.text == "New daughters"
    assert read_by
    assert threading.main_thread() not in read_by


def test_a_mother_ends_and_daughters_begin_with_the_next_propagation(tracked, work, qtbot):
    tracked.viewer.dims.set_current_step(0, 8)
    tracked.prompt_panel.object.value = 1
    tracked.objects_panel.new_daughters()
    qtbot.waitUntil(lambda: tracked.prompt_panel.object.value == 3)
    for daughter, place in ((3, 20), (4, 60)):
        tracked.prompt_panel.object.value = daughter
        tracked.prompt_panel.points.value.add([[8, place, 60]])
    work(tracked, tracked.propagate)
    seen = [set(np.unique(labels)) - {0} for labels in results_of(tracked).planes]
    assert seen == [{1, 2}] * 8 + [{2, 3, 4}] * (SHAPE[0] - 8)


def test_daughters_are_clicked(tracked):
    fields, layer = tracked.objects_panel.fields, results_of(tracked).layer
    tracked.viewer.dims.set_current_step(0, 0)
    tracked.prompt_panel.object.value = 9
    points = tracked.prompt_panel.points.value
    tracked.viewer.layers.selection.active = points

    class Press:
        type = "mouse_press"
        view_direction = None
        dims_displayed = (1, 2)

        def __init__(self, y, x, then=()):
            self.position = layer.data_to_world((0, y, x))
            press = tracked.viewer.mouse_drag_callbacks[-1]
            for _ in press(tracked.viewer, self):
                self.type = then[0] if then else "mouse_release"
                then = then[1:]

    before = list(tracked.viewer.mouse_drag_callbacks)
    fields.pick.setChecked(True)
    assert tracked.viewer.layers.selection.active is layer
    Press(20, 20)
    Press(40, 30)
    Press(70, 110)  # background
    Press(20, 20, ["mouse_move"])  # the picture was moved
    assert fields.daughters.value == "1, 2"
    Press(20, 20)
    assert fields.daughters.value == "2"
    fields.pick.setChecked(False)
    assert tracked.viewer.mouse_drag_callbacks == before
    assert tracked.viewer.layers.selection.active is points


def test_a_locked_frame_is_left_alone_and_said_so(tracked, work):
    fields = tracked.objects_panel.fields
    tracked.viewer.dims.set_current_step(0, 3)
    assert fields.lock.text == "Lock frame 3"
    fields.lock.native.click()
    assert fields.lock.text == "Lock frame 3 (1 locked)"
    tracked.viewer.dims.set_current_step(0, 4)
    assert (fields.lock.value, fields.lock.text) == (False, "Lock frame 4 (1 locked)")
    tracked.prompt_panel.points.value.data = [[0, 60, 20], [0, 40, 30]]
    work(tracked, tracked.propagate)
    planes = results_of(tracked).planes
    np.testing.assert_array_equal(planes[3] == 1, disc(3, 20, 20) & (planes[3] == 1))
    assert planes[4][68, 32] == 1
    tracked.viewer.dims.set_current_step(0, 3)
    assert fields.lock.value
    press_key(tracked.viewer)
    assert list(planes.locked_frames()) == []


def press_key(viewer):
    """K, for the layer that is chosen."""
    keymap = viewer.layers.selection.active.keymap
    (act,) = [act for key, act in keymap.items() if str(key) == "K"]
    act(viewer.layers.selection.active)


def test_the_key_is_for_the_dock_whose_layer_is_chosen(tracked, open_dock, film, work):
    viewer, mine = tracked.viewer, results_of(tracked)
    other = open_dock(viewer)
    other.video_panel.video.value = viewer.add_image(film, name="other", scale=(0.5, 2, 2))
    other.new_prompts()
    other.prompt_panel.points.value.add([[0, 20, 20]])
    work(other, other.segment_frame)
    theirs = results_of(other)
    viewer.dims.set_current_step(0, 3)
    for chosen in (mine.layer, theirs.layer):
        viewer.layers.selection.active = chosen
        press_key(viewer)
    assert list(mine.planes.locked_frames()) == list(theirs.planes.locked_frames()) != []
    other.shut_down()
    assert "K" not in map(str, theirs.layer.keymap)
    viewer.layers.selection.active = mine.layer
    press_key(viewer)
    assert list(mine.planes.locked_frames()) == []


def test_tracks_follow_the_objects_and_their_divisions(tracked, qtbot, work):
    controls, layer = tracked.objects_panel, results_of(tracked).layer
    with qtbot.waitSignal(controls.tracks.shown) as told:
        controls.fields.tracks.native.click()
    (tracks,) = told.args
    assert tracks.graph == {}
    assert (tracks.scale.tolist(), tracks.units) == (layer.scale.tolist(), layer.units)
    first = tracks.data[0]
    assert first[0] == 1
    assert first[1] == 0
    assert first[2:] == pytest.approx([20, 20], abs=0.2)
    tracked.viewer.dims.set_current_step(0, 5)
    tracked.prompt_panel.object.value = 1
    with qtbot.waitSignal(controls.tracks.shown):
        controls.divide([2])
    type_in(tracked, 1, Column.NAME, "Ann")
    assert set(tracks.features["name"][tracks.features["id"] == 1]) == {"Ann"}
    assert tracks.graph == {4: [1], 3: [1]}  # 1 and 2 were there all the time
    assert sorted(set(tracks.features["id"])) == [1, 2]
    for colour in ("class", "name", "score", "id"):
        tracks.color_by = colour
    with qtbot.waitSignal(controls.tracks.shown):
        work(tracked, tracked.propagate)
    assert tracks.color_by == "id"
    assert [one.name for one in tracked.viewer.layers].count(tracks.name) == 1
    # what is chosen next to it is still in question
    tracked.viewer.layers.selection.active = tracks
    assert controls.layer is layer


def test_features_that_a_person_changes_are_taken_over():
    layer, heard = Labels(np.ones(SHAPE, np.uint16)), []
    desk = ObjectController()
    desk.objects_changed.connect(heard.append)
    desk.rename(layer, 1, "Ann")
    table = layer.features.copy()
    table.loc[table["index"] == 1, "name"] = "Eve"
    layer.features = table
    assert layer.metadata["objects"].names == {1: "Eve"}
    assert heard == [layer, layer]
    layer.features = table.drop(columns="name")  # not known is not empty
    assert layer.metadata["objects"].names == {1: "Eve"}


def test_tracks_of_labels_with_more_axes(open_viewer, qtbot):
    viewer = open_viewer()
    layer = viewer.add_labels(np.zeros((2, 2, 2, 8, 8), np.uint16))
    tracks = CentroidTracks(viewer)
    with pytest.raises(ValueError, match="leave out the others"):
        tracks.show(layer)
    tracks.close()


def test_what_is_open_elsewhere_is_not_changed(open_dock):
    class Elsewhere(LabelStack):
        is_read_only = True

    dock = open_dock()
    layer = dock.viewer.add_labels(Elsewhere(SHAPE))
    controls = dock.objects_panel
    controls.refresh()
    assert controls.layer is layer
    controls.table.refresh()
    assert not controls.table.model.can_edit
    with pytest.raises(StoreReadOnlyError, match="open elsewhere"):
        dock.tracking.objects.rename(layer, 1, "Ann")


def test_names_follow_objects_that_get_other_numbers():
    layer = Labels(np.zeros(SHAPE, np.uint16))
    desk = ObjectController()
    for obj_id, name in ((1, "one"), (2, "two"), (3, "three")):
        desk.rename(layer, obj_id, name)
    desk.renumber(layer, {2: 1, 3: 2}, lost=[1])
    assert layer.metadata["objects"].names == {1: "two", 2: "three"}


def test_names_follow_what_a_text_finds_when_another_is_taken_back(tracked, work):
    text = tracked.prompt_panel.text
    text.value = "dog, person"
    work(tracked, tracked.segment_frame)
    layer = results_of(tracked).layer
    tracked.tracking.objects.rename(layer, 3, "Rex")
    tracked.tracking.objects.rename(layer, 4, "Ann")
    text.value = "person"
    work(tracked, tracked.segment_frame)
    # of the two persons one is object 2 already
    assert layer.metadata["objects"].names == {3: "Ann"}


def test_changes_are_undone_and_shown_in_every_window():
    layer, heard = Labels(np.ones(SHAPE, np.uint16)), []
    history = CommandHistory()
    one, other = ObjectController(lambda _: history), ObjectController(lambda _: history)
    for controller in (one, other):
        controller.show(layer)
        controller.objects_changed.connect(heard.append)
    one.rename(layer, 1, "Ann")
    other.classify(layer, 1, "cell")
    one.divide(layer, 1, [2, 3], 4)
    assert [command.label for command in history.done] == [
        "rename object 1",
        "say the class of object 1",
        "divide object 1",
    ]
    assert heard == [layer] * 6
    history.undo()
    history.undo()
    assert tuple(row_of(layer, 1)[["name", "class"]]) == ("Ann", None)
    history.redo()
    assert tuple(row_of(layer, 1)[["name", "class"]]) == ("Ann", "cell")
    history.undo()
    history.undo()
    assert len(layer.features) == 1
    assert table_of(layer) == ObjectTable()


def test_what_is_typed_into_the_features_is_undone():
    layer = Labels(np.ones(SHAPE, np.uint16))
    controller = ObjectController()
    controller.rename(layer, 1, "Ann")
    table = layer.features.copy()
    table.loc[table["index"] == 1, "name"] = "Eve"
    layer.features = table
    history = controller.history(layer)
    assert len(history.done) == 2
    history.undo()
    assert row_of(layer, 1)["name"] == "Ann"
    assert controller.history(Labels(np.ones(SHAPE, np.uint16))) is not history


def test_what_others_change_in_a_table_is_shown():
    layer, heard = Labels(np.ones(SHAPE, np.uint16)), []
    controller = ObjectController()
    controller.objects_changed.connect(heard.append)
    controller.show(layer)
    table_of(layer).rename(1, "Ann")
    assert row_of(layer, 1)["name"] == "Ann"
    before = table_of(layer)
    layer.metadata["objects"] = ObjectTable()  # as when its project is opened
    controller.show(layer)
    table_of(layer).rename(2, "Eve")
    before.rename(1, "Bob")
    assert table_of(layer).names == {2: "Eve"}
    assert layer.features["name"].dropna().tolist() == ["Eve"]
    assert heard == [layer, layer]


def test_a_layer_is_not_held_by_its_table():
    layer = Labels(np.ones(SHAPE, np.uint16))
    controller = ObjectController()
    controller.show(layer)
    table, gone = table_of(layer), ref(layer)
    del layer
    gc.collect()
    assert gone() is None
    table.rename(1, "Ann")  # heard by nobody
