"""Undo and redo over all that a person does in a window, in one order."""

from __future__ import annotations

import random
from contextlib import suppress

import numpy as np
import pytest
from qtpy.QtCore import QPoint, Qt
from qtpy.QtWidgets import QLineEdit

from napari_sam3.errors import RequestError, Sam3Error
from napari_sam3.plugin.controllers.frame_lock import lock_frame
from napari_sam3.plugin.controllers.track_edits import TrackEdits
from napari_sam3.plugin.layers.features_table import table_of

from .conftest import SHAPE, click, disc, labels_of
from .hands import move


def all_of(dock):
    """All that was done to the video, as it can be seen and will be saved."""
    state, results = dock.state, dock.tracking.results
    seen = {
        "clicks": [] if state.points is None else [p.tolist() for p in state.points.data],
        "said": {} if state.points is None else state.points.features.to_dict("list"),
        "boxes": [] if state.boxes is None else [b.tolist() for b in state.boxes.data],
        "texts": state.texts,
    }
    planes = None if results is None else results.planes
    seen["frames"] = {
        t: (planes[t].tolist(), dict(planes.notes(t)), planes.is_locked(t))
        for t in range(SHAPE[0])
        if planes is not None and (planes.is_processed(t) or planes.is_locked(t))
    }
    seen["table"] = [] if results is None else table_of(results.layer).to_rows()
    seen["hand"] = [] if results is None else sorted(results.painted())
    return seen


def check_both_ways(dock, before):
    """Undo once and redo it; how it was before."""
    after = all_of(dock)
    assert after != before
    assert dock.tracking.undo()
    assert all_of(dock) == before
    assert dock.tracking.redo()
    assert all_of(dock) == after


def labels_of_history(dock):
    return [command.label for command in dock.state.current.history.done]


def test_a_click(ready):
    before = all_of(ready)
    click(ready, 60, 20, obj_id=2, sign="exclude")
    check_both_ways(ready, before)
    assert labels_of_history(ready) == ["click on object 1", "click off object 2"]


def test_a_segmented_frame_is_never_processed_again(ready, work):
    before = all_of(ready)
    ready.viewer.dims.set_current_step(0, 0)
    work(ready, ready.segment_frame)
    check_both_ways(ready, before)
    assert labels_of_history(ready)[1:] == ["segment frame 0"]


def test_a_propagation(ready, work):
    ready.viewer.dims.set_current_step(0, 0)
    work(ready, ready.segment_frame)
    before = all_of(ready)
    work(ready, ready.propagate)
    check_both_ways(ready, before)
    assert labels_of_history(ready)[-1] == f"propagate over {SHAPE[0] - 1} frames"
    ready.tracking.undo()
    ready.tracking.undo()
    work(ready, ready.propagate)
    assert not ready.tracking.redo()
    for t in range(SHAPE[0]):
        np.testing.assert_array_equal(labels_of(ready).data[t] == 1, disc(t, 30, 40))


def test_an_object_that_was_removed(ready, work):
    click(ready, 60, 20, obj_id=2)
    work(ready, ready.propagate)
    ready.tracking.objects.rename(labels_of(ready), 1, "Ann")
    before = all_of(ready)
    ready.prompt_panel.object.value = 1
    work(ready, ready.remove_object)
    assert labels_of_history(ready)[-1] == "remove object 1"
    check_both_ways(ready, before)
    ready.tracking.undo()
    work(ready, ready.propagate)  # and is followed again, under its id
    assert all_of(ready)["frames"][5][0] == before["frames"][5][0]


# ------------------------------------------------------------------ as a person acts


@pytest.fixture
def seen(open_dock, open_viewer, film):
    """A dock on a film, in a window on the screen, with prompt layers and nothing drawn yet."""
    return begin(open_dock(open_viewer(show=True)), film)


@pytest.fixture
def painted(open_dock, open_viewer, film):
    """The same in a viewer of its own: what a brush leaves of itself can't be cleaned off."""
    open_viewer()
    return begin(open_dock(open_viewer(show=True)), film)


def begin(dock, film):
    dock.viewer.window.resize(900, 600)
    dock.viewer.add_image(film, name="film")
    dock.new_prompts()
    dock.viewer.dims.set_current_step(0, 0)
    dock.viewer.reset_view()
    return dock


def canvas_of(dock):
    return dock.viewer.window._qt_viewer.canvas.native


def point_at(dock, y, x):
    """Where a pixel of the film is on the canvas."""
    canvas, camera = canvas_of(dock), dock.viewer.camera
    return QPoint(
        round(canvas.width() / 2 + (x - camera.center[-1]) * camera.zoom),
        round(canvas.height() / 2 + (y - camera.center[-2]) * camera.zoom),
    )


def press(dock, qtbot, key, *modifiers, at=None):
    both = Qt.KeyboardModifier.NoModifier
    for modifier in modifiers:
        both |= modifier
    qtbot.keyClick(canvas_of(dock) if at is None else at, key, both)


CTRL, SHIFT = Qt.KeyboardModifier.ControlModifier, Qt.KeyboardModifier.ShiftModifier


def undo(dock, qtbot, at=None):
    press(dock, qtbot, Qt.Key.Key_Z, CTRL, at=at)


def redo(dock, qtbot, at=None):
    press(dock, qtbot, Qt.Key.Key_Z, CTRL, SHIFT, at=at)


def click_on_canvas(dock, qtbot, y, x):
    qtbot.mouseClick(canvas_of(dock), Qt.MouseButton.LeftButton, pos=point_at(dock, y, x))


def drag(dock, qtbot, begin, end):
    """Press the mouse, move it once, let it go."""
    canvas, button, at = canvas_of(dock), Qt.MouseButton.LeftButton, point_at(dock, *end)
    qtbot.mousePress(canvas, button, pos=point_at(dock, *begin))
    move(canvas, at, button)
    qtbot.mouseRelease(canvas, button, pos=at)


def test_keys_on_the_canvas_undo_and_redo_clicks(seen, qtbot):
    click_on_canvas(seen, qtbot, 30, 40)
    click_on_canvas(seen, qtbot, 50, 60)
    points = seen.state.points
    after = points.data.round().tolist()
    assert after == [[0, 30, 40], [0, 50, 60]]
    undo(seen, qtbot)
    assert points.data.round().tolist() == after[:1]
    undo(seen, qtbot)
    assert len(points.data) == 0
    undo(seen, qtbot)  # nothing is left
    redo(seen, qtbot)
    redo(seen, qtbot)
    redo(seen, qtbot)
    assert points.data.round().tolist() == after


def test_a_click_is_dragged_and_deleted_with_the_mouse_and_keys(seen, qtbot):
    points = seen.state.points
    click_on_canvas(seen, qtbot, 30, 40)
    points.mode = "select"
    drag(seen, qtbot, (30, 40), (50, 60))
    assert points.data.round().tolist() == [[0, 50, 60]]
    press(seen, qtbot, Qt.Key.Key_Delete)
    assert len(points.data) == 0
    assert labels_of_history(seen) == [
        "click on object 1",
        "move click on object 1",
        "remove click on object 1",
    ]
    undo(seen, qtbot)
    assert points.data.round().tolist() == [[0, 50, 60]]
    undo(seen, qtbot)
    assert points.data.round().tolist() == [[0, 30, 40]]


def test_a_box_is_drawn_and_taken_back(seen, qtbot):
    boxes = seen.state.boxes
    seen.viewer.layers.selection.active = boxes
    boxes.mode = "add_rectangle"
    drag(seen, qtbot, (20, 30), (50, 60))
    (drawn,) = boxes.data
    assert labels_of_history(seen) == ["box round object 1"]
    undo(seen, qtbot)
    assert len(boxes.data) == 0
    redo(seen, qtbot)
    np.testing.assert_array_equal(boxes.data[0], drawn)
    assert boxes.shape_type == ["rectangle"]
    assert np.ptp(drawn, axis=0).round().tolist() == [0, 30, 30]


def test_strokes_keep_their_place_between_all_else(painted, qtbot, work):
    seen = painted
    click_on_canvas(seen, qtbot, 30, 40)
    work(seen, seen.segment_frame)
    layer = labels_of(seen)
    seen.viewer.layers.selection.active = layer
    layer.mode, layer.selected_label, layer.brush_size = "paint", 1, 5
    states = [all_of(seen)]
    drag(seen, qtbot, (60, 20), (60, 30))
    states.append(all_of(seen))
    seen.tracking.objects.rename(layer, 1, "Ann")
    states.append(all_of(seen))
    layer.mode = "erase"
    drag(seen, qtbot, (30, 40), (32, 42))
    states.append(all_of(seen))
    work(seen, seen.propagate)
    states.append(all_of(seen))
    assert labels_of_history(seen)[2:5] == [
        "paint object 1 on frame 0",
        "rename object 1",
        "erase on frame 0",
    ]
    for state in reversed(states[:-1]):
        undo(seen, qtbot)
        assert all_of(seen) == state
    for state in states[1:]:
        redo(seen, qtbot)
        assert all_of(seen) == state


def test_a_stroke_that_was_undone_is_no_prompt(seen, qtbot, work):
    click_on_canvas(seen, qtbot, 30, 40)
    work(seen, seen.propagate)
    before = labels_of(seen).data[5].tolist()
    layer = labels_of(seen)
    layer.brush_size = 5
    layer.paint((3, 60, 20), 1)
    work(seen, seen.propagate)
    assert layer.data[5].tolist() != before
    undo(seen, qtbot)
    undo(seen, qtbot)
    work(seen, seen.propagate)
    assert layer.data[5].tolist() == before


def test_labels_of_the_persons_own_keep_the_undo_of_napari(seen, qtbot):
    click_on_canvas(seen, qtbot, 30, 40)
    own = seen.viewer.add_labels(np.zeros(SHAPE, np.uint8), name="mine")
    own.paint((0, 60, 20), 1)
    assert own.data[0].any()
    undo(seen, qtbot)
    assert not own.data[0].any()
    undo(seen, qtbot)
    assert len(seen.state.points.data) == 1
    redo(seen, qtbot)
    assert own.data[0].any()


def test_nothing_happens_over_other_layers_of_the_persons_own(seen, qtbot):
    click_on_canvas(seen, qtbot, 30, 40)
    seen.viewer.add_points([[0, 5, 5]], name="mine")
    undo(seen, qtbot)
    assert len(seen.state.points.data) == 1
    seen.viewer.layers.selection.active = seen.viewer.layers["film"]
    undo(seen, qtbot)
    assert len(seen.state.points.data) == 0


def test_a_field_undoes_what_is_typed_in_it_and_a_button_what_was_done(seen, qtbot):
    click_on_canvas(seen, qtbot, 30, 40)
    seen.objects_panel.fields.group.setFocus()
    field = QLineEdit(seen)
    field.show()
    qtbot.keyClicks(field, "Ann")
    undo(seen, qtbot, at=field)
    assert field.text() == ""
    assert len(seen.state.points.data) == 1
    undo(seen, qtbot, at=seen.history_list.undo)
    assert len(seen.state.points.data) == 0
    redo(seen, qtbot, at=seen.history_list.undo)
    assert len(seen.state.points.data) == 1


def rows_of(dock):
    rows = dock.history_list.list
    return [rows.item(n).text() for n in range(rows.count())]


def test_the_list_shows_what_was_done_and_a_click_goes_there(seen, qtbot):
    for y in (30, 40, 50):
        click_on_canvas(seen, qtbot, y, 40)
    shown, points = seen.history_list, seen.state.points
    shown.group.expand(animate=False)  # what was done before it was opened is there, too
    assert rows_of(seen) == ["✓ beginning", *["✓ click on object 1"] * 3]
    assert "click on object 1" in shown.undo.toolTip()
    assert not shown.redo.isEnabled()
    place = shown.list.visualItemRect(shown.list.item(1)).center()
    qtbot.mouseClick(shown.list.viewport(), Qt.MouseButton.LeftButton, pos=place)
    assert len(points.data) == 1
    assert rows_of(seen)[2:] == ["– click on object 1"] * 2
    shown.redo.click()
    assert len(points.data) == 2
    shown.list.itemActivated.emit(shown.list.item(0))
    assert len(points.data) == 0
    click_on_canvas(seen, qtbot, 60, 70)
    assert rows_of(seen) == ["✓ beginning", "✓ click on object 1"]


# --------------------------------------------------------------- whatever was done


def test_what_a_job_drew_is_not_taken_back_while_another_runs(ready, work, gate, qtbot):
    gate.open()
    work(ready, ready.segment_frame)
    ready.viewer.dims.set_current_step(0, 3)
    gate._is_open = False
    with qtbot.waitSignal(ready.ended):
        ready.propagate()
        with pytest.raises(RequestError, match=r"'segment.*press Stop, then undo"):
            ready.tracking.undo()
        click(ready, 60, 20, t=2)
        assert ready.tracking.undo() == "click on object 1"  # that disturbs nobody
        gate.open()
    assert ready.tracking.undo().startswith("propagate over")
    assert ready.tracking.undo().startswith("segment")


def test_a_stroke_during_a_job_comes_after_it(ready, work, qtbot, gate):
    gate.open()
    work(ready, ready.segment_frame)
    gate._is_open = False
    before = all_of(ready)
    with qtbot.waitSignal(ready.ended):
        ready.propagate()
        labels_of(ready).paint((9, 70, 100), 5)
        gate.open()
    stroke, *others = reversed(labels_of_history(ready))
    assert stroke == "change frame 9 by hand"
    assert others[0].startswith("propagate over")
    ready.tracking.undo()
    ready.tracking.undo()
    assert all_of(ready) == before


def edits_of(dock, work, chance):
    """What a person may do, by its name."""
    tracking, edits = dock.tracking, TrackEdits(dock.tracking)
    points, boxes = dock.state.points, dock.state.boxes

    def named(act):
        return lambda: tracking.results is not None and act(tracking.results.layer)

    def move():
        if len(points.data):
            points.data = np.add(points.data, [0, 1, 2])

    def delete():
        if len(points.data) > 1:
            points.selected_data = {len(points.data) - 1}
            points.remove_selected()

    def draw_box():
        corners = [(2, 10, 60), (2, 10, 90), (2, 25, 90), (2, 25, 60)]
        boxes.add([corners], shape_type="rectangle")

    def remove():
        dock.state.object_in_hand = 2
        if tracking.results is not None:
            work(dock, dock.remove_object)

    def change_tracks(act):
        with suppress(Sam3Error):  # not with these objects; then nothing is done
            act()

    return {
        "click": lambda: click(dock, chance.randrange(20, 70), 30, obj_id=chance.choice((1, 2))),
        "exclude": lambda: click(dock, 12, 12, obj_id=1, sign="exclude"),
        "move": move,
        "delete": delete,
        "box": draw_box,
        "segment": lambda: len(points.data) and work(dock, dock.segment_frame),
        "propagate": lambda: len(points.data) and work(dock, dock.propagate),
        "paint": named(lambda layer: layer.paint((chance.randrange(SHAPE[0]), 70, 90), 1)),
        "erase": named(lambda layer: layer.paint((chance.randrange(SHAPE[0]), 40, 50), 0)),
        "rename": named(lambda layer: tracking.objects.rename(layer, 1, f"n{chance.random()}")),
        "classify": named(lambda layer: tracking.objects.classify(layer, 2, "cell")),
        "recolour": named(lambda layer: tracking.objects.recolor(layer, [1], "#ff8800")),
        "divide": named(
            lambda layer: change_tracks(lambda: tracking.objects.divide(layer, 1, [7, 8], 9))
        ),
        "lock": lambda: lock_frame(tracking, True),
        "split": named(lambda layer: change_tracks(lambda: edits.split(1, 6))),
        "swap": named(lambda layer: change_tracks(lambda: edits.swap(1, 2, 4))),
        "merge": named(lambda layer: change_tracks(lambda: edits.merge([2], 1))),
        "remove": remove,
        "reset": dock.reset,
    }


@pytest.mark.sweep
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_any_edits_in_any_order_are_undone_and_redone(ready, work, seed):
    chance = random.Random(seed)
    edits, history = edits_of(ready, work, chance), ready.state.current.history
    order = ["click", "segment", *chance.sample(sorted(edits), len(edits))]
    history.clear()
    states = [all_of(ready)]
    for name in order:
        n_before = len(history.done)
        edits[name]()
        ready.tracking.edits.settle(ready.state.current)
        n_new = len(history.done) - n_before
        states += [None] * (n_new - 1) + [all_of(ready)] * (n_new > 0)
    for n_done in (*reversed(range(len(states))), *range(len(states))):
        ready.tracking.go_to(n_done)
        assert len(history.done) == n_done
        if states[n_done] is not None:
            assert all_of(ready) == states[n_done], labels_of_history(ready)
