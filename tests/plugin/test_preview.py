"""What is drawn is previewed as it is drawn; with the fake model unless said otherwise."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from qtpy.QtCore import QPointF, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QOpenGLWidget

from napari_sam3.errors import OutOfDeviceMemoryError
from napari_sam3.models.fake import FakeTracker
from napari_sam3.models.weights import use_folder
from napari_sam3.plugin.layers.preview_layer import is_preview
from napari_sam3.plugin.views.dock import SegmentAndTrackWidget
from tests.models.sam import tiny
from tests.plugin.conftest import click, disc

from .hands import move


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
    move(canvas, place)
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
