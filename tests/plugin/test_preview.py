"""What is drawn is previewed as it is drawn; with the fake model unless said otherwise."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from napari.layers import Image
from qtpy.QtCore import QEvent, QPointF, Qt
from qtpy.QtGui import QMouseEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QOpenGLWidget

from napari_sam3.errors import OutOfDeviceMemoryError
from napari_sam3.models.fake import FakeModel, FakeTracker
from napari_sam3.models.weights import use_folder
from napari_sam3.plugin.controllers import preview_controller
from napari_sam3.plugin.controllers.frame_lock import lock_frame
from napari_sam3.plugin.controllers.session_controller import SessionController
from napari_sam3.plugin.layers.preview_layer import is_preview
from napari_sam3.plugin.views.dock import SegmentAndTrackWidget
from tests.models.sam import tiny
from tests.plugin.conftest import click, disc


@pytest.fixture
def ready(open_dock, film):
    """A dock on the first frame of a film, with empty prompt layers."""
    dock = open_dock()
    dock.viewer.add_image(film, name="film")
    dock.viewer.dims.set_current_step(0, 0)
    dock.new_prompts()
    return dock


@pytest.fixture
def settle(qtbot):
    """A function that waits until all that is drawn was looked at; gives what is shown, by id."""

    def settle(dock, frame_index=0):
        qtbot.waitUntil(lambda: not dock.tracking.preview.is_working)
        shown = dock.tracking.preview.result(frame_index).objects
        layer = layer_of(dock)
        assert (layer is not None and layer.visible) == bool(dock.state.preview.objects)
        return {obj_id: found.mask for obj_id, found in shown.items()}

    return settle


@pytest.fixture
def held(monkeypatch):
    """Holds the fake model at each prompt until it is set; `calls` are the prompts it got."""
    go_on, segment = threading.Event(), FakeTracker.segment
    go_on.calls = []

    def wait(self, frame_index, prompt):
        go_on.calls.append(prompt)
        assert go_on.wait(60)
        return segment(self, frame_index, prompt)

    monkeypatch.setattr(FakeTracker, "segment", wait)
    yield go_on
    go_on.set()


def layer_of(dock):
    found = [one for one in dock.viewer.layers if is_preview(one)]
    assert len(found) < 2
    return found[0] if found else None


def same(one, other):
    return one.keys() == other.keys() and all(np.array_equal(one[i], other[i]) for i in one)


def results_on(dock, frame_index):
    plane = np.asarray(dock.tracking.results.planes[frame_index])
    return {int(i): plane == i for i in np.unique(plane) if i}


def canvas_place(dock, y, x):
    """The canvas, and where a pixel of the film lies on it."""
    canvas = dock.window().centralWidget().findChild(QOpenGLWidget)
    camera = dock.viewer.camera
    down, across = (np.array([y, x]) - camera.center[-2:]) * camera.zoom
    return canvas, QPointF(canvas.width() / 2 + across, canvas.height() / 2 + down).toPoint()


def press(dock, y, x):
    canvas, place = canvas_place(dock, y, x)
    QTest.mouseMove(canvas, place)
    QTest.mouseClick(canvas, Qt.MouseButton.LeftButton, pos=place)


# ------------------------------------------------------------------ what is shown


def test_a_mouse_click_shows_its_mask_and_segment_frame_keeps_it(ready, settle, work):
    ready.viewer.window.show()
    QApplication.processEvents()
    press(ready, 30, 40)
    shown = settle(ready)
    assert list(shown) == [1]
    assert shown[1][30, 40]
    picture = np.asarray(layer_of(ready).data[0])
    assert picture[..., 3].any()
    assert not picture[..., 3][~shown[1]].any()
    assert ready.tracking.results is None
    assert ready.guidance.text().startswith("Hatched is a preview.")
    assert ready.viewer.layers.selection.active is ready.state.points
    work(ready, ready.segment_frame)
    assert settle(ready) == {}
    assert same(results_on(ready, 0), shown)
    assert ready.guidance.text().startswith("Not quite right?")


def draw_box(dock):
    dock.state.boxes.add_rectangles([[0, 10, 12], [0, 10, 50], [0, 40, 50], [0, 40, 12]])
    dock.state.boxes.features = dock.state.boxes.features.assign(object=1)


def draw_lasso(dock):
    corners = [[0, 10, 12], [0, 12, 60], [0, 50, 40], [0, 40, 14]]
    dock.state.boxes.add_polygons(corners)
    dock.state.boxes.features = dock.state.boxes.features.assign(object=1)


def draw_scribble(dock):
    dock.state.boxes.add_paths([[0, 20, 20], [0, 24, 40], [0, 30, 70]])
    dock.state.boxes.features = dock.state.boxes.features.assign(object=1)


def paint(dock):
    masks = dock.viewer.add_labels(np.zeros(dock.state.video.data.shape, np.uint16), name="mine")
    dock.prompt_panel.masks.value = masks
    masks.selected_label = 1
    masks.paint((0, 40, 40), 1)


def click_twice(dock):
    click(dock, 30, 40)
    click(dock, 34, 46, sign="exclude")


def two_that_overlap(dock):
    click(dock, 30, 40)
    click(dock, 30, 46, obj_id=2)


def box_and_clicks(dock):
    draw_box(dock)
    click(dock, 60, 60)


@pytest.mark.parametrize(
    "draw",
    [draw_box, draw_lasso, draw_scribble, paint, click_twice, two_that_overlap, box_and_clicks],
)
def test_a_preview_is_what_segment_frame_answers(ready, settle, work, draw):
    draw(ready)
    shown = settle(ready)
    assert shown
    work(ready, ready.segment_frame)
    assert same(results_on(ready, 0), shown)
    assert settle(ready) == {}


def test_a_correction_is_previewed_on_what_was_tracked(ready, settle, work):
    click(ready, 30, 40)
    work(ready, ready.propagate)
    ready.viewer.dims.set_current_step(0, 5)
    click(ready, *np.argwhere(disc(5, 30, 40))[0], t=5, sign="exclude")
    shown = settle(ready, 5)
    assert 0 < shown[1].sum() < disc(5, 30, 40).sum()
    work(ready, ready.segment_frame)
    assert same(results_on(ready, 5), shown)


def test_a_preview_has_its_objects_colour_and_lies_on_the_results(ready, settle, work):
    click(ready, 30, 40)
    work(ready, ready.segment_frame)
    results = ready.tracking.results.layer
    ready.tracking.objects.recolor(results, [2], "#ff8000")
    click(ready, 60, 90, obj_id=2)
    shown = settle(ready)
    picture = np.asarray(layer_of(ready).data[0])
    seen = picture[shown[2] & (picture[..., 3] > 0)]
    # black beside it, to be seen on results of the same colour
    assert set(map(tuple, seen.tolist())) == {(255, 128, 0, 255), (0, 0, 0, 255)}
    layers = ready.viewer.layers
    assert layers.index(results) < layers.index(layer_of(ready)) < layers.index(ready.state.boxes)


def test_a_stroke_among_results_is_previewed_and_its_undo_leaves_no_trace(ready, settle, work):
    click(ready, 30, 40)
    work(ready, ready.segment_frame)
    layer, before = ready.tracking.results.layer, results_on(ready, 0)
    layer.selected_label = 1
    layer.paint((0, 60, 90), 1)
    assert settle(ready)[1][60, 90]
    layer.undo()
    work(ready, ready.segment_frame)
    assert np.array_equal(results_on(ready, 0)[1], before[1])
    assert ready.tracking.results.planes.notes(0)[1].source == "prompt"


def test_taking_a_prompt_back_takes_its_preview(ready, settle):
    click(ready, 30, 40)
    click(ready, 60, 90, obj_id=2)
    assert list(settle(ready)) == [1, 2]
    ready.state.points.selected_data = {0}
    ready.state.points.remove_selected()
    assert list(settle(ready)) == [2]
    ready.state.points.selected_data = {0}
    ready.state.points.remove_selected()
    assert settle(ready) == {}


def test_a_moved_click_is_previewed_where_it_is_now(ready, settle):
    click(ready, 30, 40)
    settle(ready)
    ready.state.points.data = [[0, 50, 70]]
    assert np.array_equal(settle(ready)[1], disc(0, 50, 70))


def test_previews_stay_on_their_frames(ready, settle, qtbot):
    click(ready, 30, 40)
    settle(ready)
    ready.viewer.dims.set_current_step(0, 3)
    click(ready, 50, 50, t=3, obj_id=2)
    assert list(settle(ready, 3)) == [2]
    assert list(settle(ready, 0)) == [1]
    picture = layer_of(ready).data
    assert not np.asarray(picture[1]).any()
    assert np.asarray(picture[3])[50, 50 - 8 : 50 + 8, 3].any()


def test_prompts_drawn_elsewhere_are_previewed_when_their_frame_is_looked_at(ready, settle, qtbot):
    click(ready, 30, 40, t=6)
    assert settle(ready, 6) == {}
    ready.viewer.dims.set_current_step(0, 6)
    qtbot.waitUntil(lambda: ready.state.preview.objects == (1,))


def test_only_the_newest_is_shown_and_asked_for(ready, settle, held, qtbot):
    click(ready, 30, 40)
    qtbot.waitUntil(lambda: len(held.calls) == 1)
    shown = []
    ready.tracking.preview.shown.connect(shown.append)
    for x in (50, 60, 70):
        ready.state.points.data = [[0, 30, x]]
        QApplication.processEvents()
    held.set()
    assert np.array_equal(settle(ready)[1], disc(0, 30, 70))
    assert len(held.calls) == 2
    assert shown == [0]


def test_the_model_is_asked_once_for_a_preview_and_its_result(ready, settle, held, work):
    held.set()
    click(ready, 30, 40)
    settle(ready)
    work(ready, ready.segment_frame)
    assert len(held.calls) == 1


def test_segment_frame_while_a_preview_is_made(ready, settle, held, work, qtbot):
    click(ready, 30, 40)
    qtbot.waitUntil(lambda: len(held.calls) == 1)
    ready.segment_frame()
    assert ready.is_running
    with qtbot.waitSignal(ready.ended):
        held.set()
    assert settle(ready) == {}
    assert np.array_equal(results_on(ready, 0)[1], disc(0, 30, 40))


def test_a_script_asks_for_a_preview(ready, settle):
    preview = ready.tracking.preview
    preview.is_on = False
    click(ready, 30, 40)
    assert settle(ready) == {}
    preview.show()
    assert list(settle(ready)) == [1]
    preview.clear()
    assert settle(ready) == {}


def test_many_objects_on_a_frame_are_asked_for_once_each(ready, settle, held):
    held.set()
    for obj_id in range(1, 13):
        click(ready, 6 * obj_id, 9 * obj_id, obj_id=obj_id)
        assert len(settle(ready)) == obj_id
    assert len(held.calls) == 12


# ------------------------------------------------------------------------- before it is clicked


@pytest.fixture
def quick(monkeypatch):
    """On a busy machine, too, the model is quick enough to be asked ahead of a click."""
    monkeypatch.setattr(preview_controller, "QUICK_S", 1000)


def rest_cursor(dock, y, x):
    canvas, place = canvas_place(dock, y, x)
    places = QPointF(place), QPointF(canvas.mapToGlobal(place))
    none = Qt.MouseButton.NoButton
    # not QTest's: that moves the screen's own pointer, which may come late, or be there already
    move = QMouseEvent(QEvent.Type.MouseMove, *places, none, none, Qt.KeyboardModifier.NoModifier)
    QApplication.sendEvent(canvas, move)


def test_a_click_where_the_cursor_rested_is_answered_already(ready, settle, held, qtbot, quick):
    held.set()
    ready.viewer.window.show()
    QApplication.processEvents()
    click(ready, 20, 20)
    settle(ready)
    ready.prompt_panel.object.value = 2
    rest_cursor(ready, 50, 80)
    qtbot.waitUntil(lambda: len(held.calls) == 2)
    assert list(settle(ready)) == [1]  # nothing is shown of it
    assert len(ready.state.points.data) == 1
    press(ready, 50, 80)
    assert settle(ready)[2][50, 80]
    assert len(held.calls) == 2


def test_a_correction_where_the_cursor_rested_is_answered_already(
    ready, settle, held, qtbot, quick
):
    held.set()
    ready.viewer.window.show()
    QApplication.processEvents()
    draw_box(ready)
    click(ready, 20, 20)
    settle(ready)
    n_calls = len(held.calls)
    ready.prompt_panel.sign.value = "exclude"
    rest_cursor(ready, 35, 45)
    qtbot.waitUntil(lambda: len(held.calls) == n_calls + 1)
    settle(ready)
    press(ready, 35, 45)
    assert not settle(ready)[1][35, 45]
    assert len(held.calls) == n_calls + 1


def test_only_a_click_tool_and_a_quick_model_look_ahead(ready, settle, held, slow, qtbot):
    held.set()
    rested = []
    ready.tracking.preview._cursor.rested.connect(lambda: rested.append(1))
    ready.viewer.window.show()
    QApplication.processEvents()
    click(ready, 20, 20)
    settle(ready)
    rest_cursor(ready, 50, 80)
    qtbot.waitUntil(lambda: len(rested) == 1)
    settle(ready)
    assert len(held.calls) == 1  # it takes seconds
    slow[0] = 0.1
    for _ in range(2):
        click(ready, 30, 30)
        settle(ready)
    n_calls = len(held.calls)
    ready.state.points.mode = "select"
    rest_cursor(ready, 60, 100)
    ready.state.points.mode = "add"
    rest_cursor(ready, 61, 100)
    qtbot.waitUntil(lambda: len(rested) == 2)
    settle(ready)
    assert len(held.calls) == n_calls + 1


# --------------------------------------------------------------------------- while a job is done


def test_what_is_drawn_during_a_run_is_previewed_between_its_frames(
    ready, settle, gate, qtbot, monkeypatch, work
):
    arrived, preview = threading.Event(), SessionController.preview

    def note_and_ask(self, target, frame_index):
        arrived.set()
        return preview(self, target, frame_index)

    click(ready, 30, 40)
    settle(ready)
    arrived.clear()
    monkeypatch.setattr(SessionController, "preview", note_and_ask)
    ready.propagate()
    qtbot.waitUntil(lambda: gate.n_waiting == 1 and ready.state.frames_planned > 0)
    ready.viewer.dims.set_current_step(0, 0)
    click(ready, 60, 90, obj_id=2)
    qtbot.waitUntil(arrived.is_set)
    while ready.state.preview.objects != (2,):
        n_waiting = gate.n_waiting
        gate.let(1)
        qtbot.waitUntil(
            lambda n=n_waiting: gate.n_waiting > n or ready.state.preview.objects == (2,)
        )
    assert ready.is_running
    assert "this run goes on without it" in ready.guidance.text()
    with qtbot.waitSignal(ready.ended):
        gate.open()
    assert list(settle(ready)) == [2]
    assert sorted(results_on(ready, 0)) == [1]
    work(ready, ready.segment_frame)
    assert np.array_equal(results_on(ready, 0)[2], disc(0, 60, 90))


def test_what_is_drawn_during_another_job_is_previewed_after_it(ready, settle, held, qtbot):
    click(ready, 30, 40)
    qtbot.waitUntil(lambda: len(held.calls) == 1)
    ready.segment_frame()
    click(ready, 60, 90, obj_id=2)
    qtbot.waitUntil(lambda: ready.state.preview.comes_after_run)
    with qtbot.waitSignal(ready.ended):
        held.set()
    assert list(settle(ready)) == [2]
    assert not ready.state.preview.comes_after_run


def test_prompts_on_what_is_locked_say_that_they_change_nothing(ready, settle, work):
    click(ready, 30, 40)
    work(ready, ready.propagate)
    ready.viewer.dims.set_current_step(0, 0)
    results = ready.tracking.results.layer
    ready.tracking.objects.lock(results, [1])
    click(ready, 34, 50)
    assert settle(ready) == {}
    assert ready.guidance.text().startswith("Object 1 is locked: what you draw there changes")
    click(ready, 60, 90, obj_id=2)
    assert list(settle(ready)) == [2]
    ready.tracking.objects.lock(results, [1], False)
    assert sorted(settle(ready)) == [1, 2]
    assert "locked" not in ready.guidance.text()
    lock_frame(ready.tracking, True)
    assert settle(ready) == {}
    assert ready.guidance.text().startswith("This frame is locked")
    lock_frame(ready.tracking, False)
    assert sorted(settle(ready)) == [1, 2]


# ------------------------------------------------------------------------- it is nobody's data


def test_a_preview_is_offered_to_nobody(ready, settle):
    click(ready, 30, 40)
    settle(ready)
    layer = layer_of(ready)
    ready.viewer.layers.selection.active = layer
    panel = ready.prompt_panel
    for combo in (ready.video_panel.video, panel.points, panel.boxes, panel.masks):
        combo.offer()
        assert layer not in combo.choices
    assert ready.state.video.name == "film"
    assert ready.objects_panel.layer is None


# ------------------------------------------------------------------------------ what goes wrong


def test_an_error_is_told_quietly_and_changes_nothing(ready, settle, work, notes, monkeypatch):
    def fail(*_args):
        raise OutOfDeviceMemoryError("the memory is used up")

    click(ready, 30, 40)
    settle(ready)
    with monkeypatch.context() as broken:
        broken.setattr(FakeTracker, "segment", fail)
        click(ready, 60, 90, obj_id=2)
        assert list(settle(ready)) == [1]
    assert ready.guidance.text() == "No preview: the memory is used up"
    assert notes == []
    work(ready, ready.segment_frame)
    assert sorted(results_on(ready, 0)) == [1, 2]


def test_clicks_that_only_exclude_say_what_is_missing(ready, settle, notes):
    click(ready, 30, 40, sign="exclude")
    assert settle(ready) == {}
    assert ready.guidance.text().startswith("No preview: negative points alone")
    assert notes == []


def test_a_deleted_layer_comes_back_with_the_next_click(ready, settle):
    click(ready, 30, 40)
    settle(ready)
    ready.viewer.layers.remove(layer_of(ready))
    assert ready.state.preview.objects == ()
    click(ready, 60, 90, obj_id=2)
    assert list(settle(ready)) == [1, 2]


def test_another_video_has_previews_of_its_own(ready, settle, film):
    click(ready, 30, 40)
    settle(ready)
    other = ready.viewer.add_image(film[:, :40], name="other")
    ready.video_panel.video.value = other
    assert settle(ready) == {}
    assert layer_of(ready) is None
    ready.video_panel.video.value = ready.viewer.layers["film"]
    assert list(settle(ready)) == [1]


def test_the_video_is_deleted_while_a_preview_is_made(ready, settle, held, qtbot):
    click(ready, 30, 40)
    qtbot.waitUntil(lambda: len(held.calls) == 1)
    ready.viewer.layers.remove("film")
    held.set()
    assert settle(ready) == {}
    assert layer_of(ready) is None


def test_another_model_is_taken_while_a_preview_is_made(ready, settle, held, qtbot):
    click(ready, 30, 40)
    qtbot.waitUntil(lambda: len(held.calls) == 1)
    before = ready.tracking.session.session
    ready.models.choose("optical-flow")
    held.set()
    settle(ready)
    qtbot.waitUntil(lambda: ready.tracking.session.session is not before)
    assert ready.tracking.session.setup.model == "optical-flow"


def test_the_dock_is_closed_while_a_preview_is_made(ready, held, qtbot):
    closed = []
    click(ready, 30, 40)
    qtbot.waitUntil(lambda: len(held.calls) == 1)
    session = ready.tracking.session.session
    ready.tracking.preview.after(lambda: closed.append(session.is_propagating))
    ready.shut_down()
    assert closed == []
    held.set()
    qtbot.waitUntil(lambda: session._closed)
    assert layer_of(ready) is None


def test_two_windows_preview_their_own(ready, open_dock, open_viewer, film, settle):
    other = open_dock(open_viewer())
    other.viewer.add_image(film, name="film")
    other.viewer.dims.set_current_step(0, 0)
    other.new_prompts()
    click(ready, 30, 40)
    assert list(settle(ready)) == [1]
    assert settle(other) == {}
    click(other, 50, 60, obj_id=3)
    assert list(settle(other)) == [3]
    assert list(settle(ready)) == [1]


@pytest.mark.sweep
def test_a_dock_opened_and_closed_many_times_leaves_nothing(
    open_viewer, film, settle, weights_home
):
    # what is left in the viewer is an error of its fixture
    viewer = open_viewer()
    image = viewer.add_image(film, name="film")
    n_threads = threading.active_count()
    for _ in range(20):
        dock = SegmentAndTrackWidget(viewer)
        viewer.window.add_dock_widget(dock)
        dock.models.choose("fake")
        dock.new_prompts()
        viewer.dims.set_current_step(0, 0)
        click(dock, 30, 40)
        assert list(settle(dock)) == [1]
        viewer.window.remove_dock_widget(dock)
        dock.shut_down()
        dock.deleteLater()
        viewer.layers[:] = [image]
        assert image in viewer.layers
    assert threading.active_count() < n_threads + 10


# --------------------------------------------------------------------------------- slow models


@pytest.fixture
def slow(monkeypatch):
    """The clock of previews: each answer takes as long as is said."""
    taken = [6.0]
    times = iter(range(10**6))
    monkeypatch.setattr(preview_controller, "perf_counter", lambda: taken[0] * next(times))
    return taken


def test_a_slow_model_previews_on_enter(ready, settle, slow, qtbot):
    told = []
    ready.tracking.preview.slow.connect(told.append)
    ready.viewer.window.show()
    QApplication.processEvents()
    click(ready, 30, 40)
    assert list(settle(ready)) == [1]  # nobody knew
    ready.viewer.dims.set_current_step(0, 3)
    click(ready, 50, 50, t=3, obj_id=2)
    assert settle(ready, 3) == {}
    assert told[-1] == 6.0
    assert "press Enter" in ready.guidance.text()
    ready.viewer.layers.selection.active = ready.state.points
    canvas, _ = canvas_place(ready, 0, 0)
    QTest.keyClick(canvas, Qt.Key.Key_Return)
    assert list(settle(ready, 3)) == [2]
    # what the frame needed is known now: more clicks on it are quick
    slow[0] = 0.1
    click(ready, 52, 60, t=3, obj_id=2)
    assert settle(ready, 3)[2][52, 60]


def test_a_model_at_work_for_long_says_so(ready, settle, held, qtbot, monkeypatch):
    click(ready, 30, 40)
    qtbot.waitUntil(lambda: len(held.calls) == 1)
    qtbot.waitUntil(lambda: ready.state.preview.is_working)
    assert "is at work on the preview" in ready.guidance.text()
    held.set()
    assert list(settle(ready)) == [1]
    assert not ready.state.preview.is_working


def test_a_model_that_got_quick_is_asked_by_itself_again():
    pace = preview_controller._Pace()
    for frame, seconds in ((0, 3.0), (1, 3.0)):
        assert pace.expect(frame) == 0
        pace.note(frame, seconds)
    assert pace.expect(2) == 3.0
    assert pace.expect(1) == 0
    pace.note(2, 0.2)
    assert pace.expect(3) == 0


# ----------------------------------------------------------------------- ready before the click


def test_the_model_is_loaded_while_the_person_looks_for_the_object(open_dock, film, qtbot, notes):
    dock = open_dock()
    assert dock.tracking.session is None
    dock.viewer.add_image(film, name="film")
    qtbot.waitUntil(lambda: dock.tracking.session is not None)
    qtbot.waitUntil(lambda: dock.tracking.session.session is not None)
    assert dock.state.is_idle
    assert notes == []


def test_a_model_that_can_not_be_loaded_is_no_matter_before_it_is_needed(
    open_dock, film, settle, monkeypatch, notes
):
    def fail(*_args, **_kwargs):
        raise OutOfDeviceMemoryError("no room for it")

    with monkeypatch.context() as broken:
        broken.setattr(FakeModel, "__init__", fail)
        dock = open_dock()
        dock.viewer.add_image(film, name="film")
        dock.viewer.dims.set_current_step(0, 0)
        dock.new_prompts()
        settle(dock)
        assert "Click the object" in dock.guidance.text()
        click(dock, 30, 40)
        assert settle(dock) == {}
        assert dock.guidance.text() == "No preview: no room for it"
    click(dock, 30, 44)
    assert list(settle(dock)) == [1]
    assert notes == []


def test_axes_are_not_chosen_for_the_person(open_dock, settle):
    dock = open_dock()
    stack = Image(np.zeros((6, 5, 40, 50), np.uint8), axis_labels=("t", "z", "y", "x"))
    dock.viewer.add_layer(stack)
    settle(dock)
    assert dock.state.tracked(stack).axes is None


# --------------------------------------------------------------------------------- other models


def test_the_embedded_model_answers_the_same(open_dock, disc_film, settle, work):
    dock = open_dock()
    dock.viewer.add_image(disc_film, name="film", rgb=True)
    dock.viewer.dims.set_current_step(0, 0)
    dock.models.choose("optical-flow")
    dock.new_prompts()
    click(dock, 40, 34)
    dock.state.boxes.add_rectangles([[0, 60, 64], [0, 60, 96], [0, 92, 96], [0, 92, 64]])
    dock.state.boxes.features = dock.state.boxes.features.assign(object=2)
    shown = settle(dock)
    assert sorted(shown) == [1, 2]
    work(dock, dock.segment_frame)
    assert same(results_on(dock, 0), shown)


def test_a_sam_model_previews_and_encodes_a_frame_once(
    open_dock, disc_film, settle, work, tmp_path, monkeypatch
):
    from napari_sam3.models.sam.features import FeatureSource

    encoded, encode = [], FeatureSource._encode
    monkeypatch.setattr(
        FeatureSource, "_encode", lambda self, i, p: encoded.append(i) or encode(self, i, p)
    )
    folder = tiny.save(tiny.make_sam2(), tmp_path / "tiny-sam2")
    dock = open_dock()
    use_folder(folder)
    dock.viewer.add_image(disc_film[:1], name="film", rgb=True)
    dock.models.choose("tiny-sam2", "cpu")
    dock.new_prompts()
    click(dock, 40, 34)
    settle(dock)
    click(dock, 44, 50, sign="exclude")
    shown = settle(dock)
    assert list(shown) == [1]
    work(dock, dock.segment_frame)
    assert same(results_on(dock, 0), shown)
    assert encoded == [0]
