"""Undo and redo over all that a person does in a window, in one order."""

from __future__ import annotations

import numpy as np
import pytest
from qtpy.QtCore import QEvent, QPoint, QPointF, Qt
from qtpy.QtGui import QMouseEvent
from qtpy.QtWidgets import QApplication

from napari_sam3.plugin.layers.features_table import table_of

from .conftest import SHAPE, click, disc, labels_of


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
    """Press the mouse, move it once, let it go: napari leaves out moves that follow at once."""
    canvas, button, at = canvas_of(dock), Qt.MouseButton.LeftButton, point_at(dock, *end)
    qtbot.mousePress(canvas, button, pos=point_at(dock, *begin))
    move = QMouseEvent(
        QEvent.Type.MouseMove,
        QPointF(at),
        QPointF(canvas.mapToGlobal(at)),
        Qt.MouseButton.NoButton,
        button,
        Qt.KeyboardModifier.NoModifier,
    )
    QApplication.sendEvent(canvas, move)
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


def test_a_field_undoes_what_is_typed_in_it(seen, qtbot, work):
    click_on_canvas(seen, qtbot, 30, 40)
    work(seen, seen.segment_frame)
    n_done = len(labels_of_history(seen))
    field = seen.objects_panel.fields.name.native
    qtbot.mouseClick(field, Qt.MouseButton.LeftButton)
    qtbot.keyClicks(field, "Ann")
    undo(seen, qtbot, at=field)
    assert field.text() == ""
    assert len(labels_of_history(seen)) == n_done
