"""The tools in the hands of a person: mouse and keys on the real window."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from qtpy.QtCore import QPoint, QPointF, Qt
from qtpy.QtGui import QWheelEvent
from qtpy.QtWidgets import QApplication

from napari_sam3.errors import LayerError, UnsupportedPromptError
from napari_sam3.plugin.controllers.project_snapshot import read_zoom
from napari_sam3.plugin.layers.features_table import table_of
from napari_sam3.plugin.model.app_state import AppState, Outcome
from napari_sam3.plugin.model.tools import Tool
from napari_sam3.plugin.views.guidance import guide

from .conftest import labels_of
from .hands import CTRL, RIGHT, Hands
from .test_widget_fields import FILM


@pytest.fixture
def viewer(open_viewer):
    return open_viewer(show=True)


@pytest.fixture
def dock(open_dock, viewer, film):
    """A dock that was opened on a video, in a window that is shown."""
    viewer.add_image(film, name="film")
    QApplication.processEvents()
    return open_dock(viewer)


@pytest.fixture
def hands(dock):
    QApplication.processEvents()
    return Hands(dock.viewer)


@pytest.fixture
def segmented(dock, hands, work):
    """With two objects on the first frame, and the tool for clicks in hand."""
    dock.viewer.dims.set_current_step(0, 0)
    hands.click(30, 40)
    hands.type("n")
    hands.click(60, 20)
    work(dock, dock.segment_frame)
    return dock


def said(layer):
    return [tuple(row) for row in layer.features[["object", "label"]].itertuples(index=False)]


# ------------------------------------------------------------------- the first click


def test_the_first_click_on_an_opened_video_is_a_prompt(dock, hands):
    assert dock.state.tool is Tool.INCLUDE
    dock.viewer.dims.set_current_step(0, 7)
    hands.click(30, 40)
    assert said(dock.state.points) == [(1, "include")]
    np.testing.assert_allclose(dock.state.points.data, [[7, 30, 40]], atol=1)


def test_the_dock_leaves_the_whole_picture_to_be_seen(dock, hands, film):
    corners = [hands.place(0, 0), hands.place(film.shape[1], film.shape[2])]
    assert all(hands.canvas.rect().contains(corner) for corner in corners)


def test_layers_made_ready_move_nothing(open_dock, open_viewer, film):
    viewer = open_viewer()
    viewer.add_image(film, name="film", scale=(0.5, 2, 3), translate=(4, 100, -7))
    viewer.dims.set_current_step(0, 3)
    before = viewer.dims.current_step, viewer.dims.point, read_zoom(viewer)
    dock = open_dock(viewer)
    assert [layer.name for layer in viewer.layers] == ["film", "film boxes", "film clicks"]
    assert (viewer.dims.current_step, viewer.dims.point, read_zoom(viewer)) == before
    assert dock.state.n_prompts == 0
    assert not dock.state.has_new_prompts


def test_which_slice_is_meant_is_not_said_before_the_first_click(open_dock, open_viewer, film):
    viewer = open_viewer()
    viewer.add_image(np.stack([film, film]), name="film", axis_labels=("z", "t", "y", "x"))
    dock = open_dock(viewer)
    QApplication.processEvents()
    assert dock.state.current.axes is None


def test_a_video_opened_after_the_dock_is_ready_too(open_dock, film, qtbot):
    dock = open_dock()
    assert dock.state.tool is Tool.SELECT
    dock.viewer.add_image(film, name="film")
    qtbot.waitUntil(lambda: dock.state.points is not None)
    assert dock.viewer.layers.selection.active is dock.state.points
    assert dock.state.points.mode == "add"


def test_closing_the_dock_takes_away_what_was_never_used(open_dock, open_viewer, film):
    viewer = open_viewer()
    viewer.add_image(film, name="film")
    for _ in range(2):
        open_dock(viewer).shut_down()
        assert [layer.name for layer in viewer.layers] == ["film"]
    dock = open_dock(viewer)
    dock.state.points.add([[0, 30, 40]])
    dock.shut_down()
    assert [layer.name for layer in viewer.layers] == ["film", "film clicks"]


# ------------------------------------------------------------------------- the strip


def test_a_tool_brings_its_layer_and_mode_by_button_and_by_key(dock, hands):
    for tool, layer, mode in (
        (Tool.INCLUDE, "film clicks", "add"),
        (Tool.EXCLUDE, "film clicks", "add"),
        (Tool.BOX, "film boxes", "add_rectangle"),
        (Tool.LASSO, "film boxes", "add_polygon_lasso"),
        (Tool.SCRIBBLE, "film boxes", "add_path"),
        (Tool.SELECT, "film clicks", "pan_zoom"),
    ):
        for take in (
            partial(hands.press, dock.tool_strip.buttons[tool]),
            partial(hands.type, tool.about.key),
        ):
            dock.tools.take(Tool.BOX if tool is Tool.INCLUDE else Tool.INCLUDE)
            take()
            active = dock.viewer.layers.selection.active
            assert (active.name, str(active.mode)) == (layer, mode)
            assert dock.state.tool is tool
            assert dock.tool_strip.buttons[tool].isChecked()
            assert dock.tool_strip.hint.text().lower().startswith(tool.value)
            assert hands.has_canvas


def test_shapes_are_drawn_by_dragging(dock, hands):
    corner, way = (20.0, 20.0), [(20.0, 60.0), (50.0, 60.0), (50.0, 20.0), (21.0, 20.0)]
    for tool, kind in ((Tool.BOX, "rectangle"), (Tool.LASSO, "polygon"), (Tool.SCRIBBLE, "path")):
        dock.tools.take(tool)
        hands.drag([corner, *(way[:2] if tool is Tool.BOX else way)])
        assert dock.state.boxes.shape_type[-1] == kind
        assert said(dock.state.boxes)[-1] == (1, "include")


@pytest.mark.parametrize(("button", "held"), [(RIGHT, None), (None, CTRL)])
def test_the_second_button_or_a_modifier_excludes_once(dock, hands, button, held):
    how = {k: v for k, v in (("button", button), ("held", held)) if v is not None}
    zoom = read_zoom(dock.viewer)
    hands.click(30, 40, **how)
    hands.click(30, 60)
    assert said(dock.state.points) == [(1, "exclude"), (1, "include")]
    dock.tools.take(Tool.BOX)
    hands.drag([(20, 20), (30, 30), (50, 50)], **how)
    hands.drag([(20, 60), (50, 90)])
    assert said(dock.state.boxes) == [(1, "exclude"), (1, "include")]
    assert read_zoom(dock.viewer) == zoom
    assert [symbol.value for symbol in dock.state.points.symbol] == ["square", "disc"]


def test_the_next_object_is_a_new_one_and_includes(segmented, hands):
    state = segmented.state
    state.object_in_hand = 1
    hands.type("w")
    assert (state.tool, state.sign) == (Tool.EXCLUDE, "exclude")
    hands.type("n")
    assert (state.object_in_hand, state.tool, state.sign) == (3, Tool.INCLUDE, "include")
    hands.type("r")
    hands.type("w")
    assert state.sign == "exclude"
    hands.press(segmented.prompt_panel.next)
    assert (state.object_in_hand, state.tool, state.sign) == (4, Tool.BOX, "include")


def test_each_new_by_its_button(dock, hands, qtbot):
    hands.press(dock.prompt_panel.each_new)
    hands.click(30, 40)
    qtbot.waitUntil(lambda: said(dock.state.points) == [(1, "include")])  # numbered by its preview
    assert "each click is an object of its own" in guide(
        AppState(video=FILM, points=dock.state.points, object_in_hand=0)
    )
    hands.press(dock.prompt_panel.each_new)
    assert dock.state.object_in_hand == 1


def test_a_mode_chosen_in_naparis_own_controls_is_the_tool_in_hand(dock):
    dock.viewer.layers.selection.active = dock.state.boxes
    dock.state.boxes.mode = "add_path"
    assert dock.state.tool is Tool.SCRIBBLE
    dock.state.boxes.mode = "direct"
    assert dock.state.tool is Tool.SELECT


def test_a_tool_that_the_model_can_not_use_is_closed_and_says_why(dock, hands):
    dock.models.choose("optical-flow")
    button = dock.tool_strip.buttons[Tool.TEXT]
    assert not button.isEnabled()
    assert "takes no text" in button.toolTip()
    assert "type" not in dock.guidance.text()
    with pytest.raises(UnsupportedPromptError, match="takes no text"):
        dock.tools.take(Tool.TEXT)
    assert dock.state.tool is Tool.INCLUDE
    dock.models.choose("fake")
    hands.type("/")
    assert QApplication.focusWidget() is dock.prompt_panel.text.native


def test_text_is_looked_for_by_enter(dock, hands, qtbot):
    dock.viewer.dims.set_current_step(0, 0)
    hands.type("/")
    hands.type("person")
    with qtbot.waitSignal(dock.ended):
        hands.key(Qt.Key.Key_Return)
    assert labels_of(dock).data[0].any()
    assert hands.has_canvas


# ---------------------------------------------------------------- one object in hand


def test_a_click_on_a_mask_takes_its_object_in_hand_and_a_drag_does_not(segmented, hands):
    hands.type("q")
    assert segmented.viewer.layers.selection.active is labels_of(segmented)
    hands.click(34, 44)  # beside the click itself
    assert segmented.state.object_in_hand == 1
    hands.drag([(60, 24), (55, 30), (50, 40)])
    assert segmented.state.object_in_hand == 1
    hands.click(60, 20)  # on the click
    assert segmented.state.object_in_hand == 2
    hands.click(10, 100)
    assert segmented.state.object_in_hand == 2
    assert len(segmented.state.points.data) == 2


def test_a_click_on_a_preview_takes_its_object_in_hand(dock, hands, qtbot):
    dock.viewer.dims.set_current_step(0, 0)
    hands.click(30, 40)
    hands.type("n")
    hands.click(60, 20)
    qtbot.waitUntil(lambda: set(dock.tracking.preview.result(0).objects) == {1, 2})
    hands.type("q")
    hands.click(34, 44)
    assert dock.state.object_in_hand == 1
    hands.type("n")  # the keys stay where they were
    assert dock.state.object_in_hand == 3


def test_a_click_that_is_selected_takes_its_object_in_hand(segmented):
    points = segmented.state.points
    segmented.state.sign = "exclude"
    points.add([[0, 70, 70]])
    segmented.state.sign = "include"
    segmented.state.object_in_hand = 9
    points.selected_data = {0}
    assert segmented.state.object_in_hand == 1
    points.selected_data = {2}
    assert segmented.state.object_in_hand == 2
    # what comes next shows the object all the same
    assert points.feature_defaults["label"].iloc[0] == segmented.state.sign == "include"


class TestBrush:
    """napari's brush leaves its circle on a viewer: each test has one of its own."""

    @pytest.fixture
    def viewer(self, open_viewer):
        open_viewer()  # the one that is shared
        return open_viewer(show=True)

    @pytest.mark.parametrize(("tool", "mode"), [(Tool.PAINT, "paint"), (Tool.ERASE, "erase")])
    def test_it_has_a_layer_before_there_are_results(self, dock, hands, tool, mode):
        hands.press(dock.tool_strip.buttons[tool])
        active = dock.viewer.layers.selection.active
        assert (active.name, str(active.mode)) == ("film painted", mode)

    def test_the_brush_paints_the_object_in_hand_and_the_other_way_round(self, segmented, hands):
        layer = labels_of(segmented)
        segmented.prompt_panel.object.value = 2
        assert layer.selected_label == 2
        hands.type("p")
        hands.drag([(10, 60), (10, 70)])
        assert layer.data[0][10, 65] == 2
        layer.selected_label = 1
        assert segmented.prompt_panel.object.value == 1
        assert segmented.state.points.feature_defaults["object"].iloc[0] == 1
        assert segmented.state.has_new_prompts
        hands.drag([(10, 60), (10, 70)], held=CTRL)
        assert layer.data[0][10, 65] == 0
        assert (str(layer.mode), segmented.state.tool) == ("paint", Tool.PAINT)

    def test_what_is_painted_first_is_a_prompt_and_then_part_of_the_results(
        self, dock, hands, work
    ):
        dock.viewer.dims.set_current_step(0, 0)
        dock.state.object_in_hand = 3
        hands.type("p")
        dock.state.masks.brush_size = 12
        hands.drag([(40, 40), (40, 80)])
        work(dock, dock.segment_frame)
        layer = labels_of(dock)
        assert layer.data[0][40, 60] == 3
        assert [one.name for one in dock.viewer.layers if one.name.endswith("painted")] == []
        assert dock.viewer.layers.selection.active is layer
        hands.type("e")
        hands.drag([(40, 70), (40, 90)])
        work(dock, dock.propagate)
        assert layer.data[0][40, 75] == 0
        assert layer.data[0][40, 50] == 3
        assert layer.data[5].any()

    def test_an_object_begun_with_the_brush_among_results_is_followed(self, segmented, hands, work):
        segmented.state.object_in_hand = 7
        hands.type("p")
        hands.drag([(60, 80), (60, 100)])
        work(segmented, segmented.propagate)
        assert (labels_of(segmented).data[6] == 7).any()


# -------------------------------------------------------------------------- the keyboard


def test_keys_after_a_press_are_for_the_picture_not_for_a_name(segmented, hands, gate, qtbot):
    segmented.objects_panel.fields.more.expand(animate=False)
    propagate = segmented.tracking_panel.propagate
    propagate.native.setFocus()  # as by Tab: it is closed while it runs
    hands.key(Qt.Key.Key_Space)
    assert not propagate.enabled
    assert hands.has_canvas
    hands.type("nw")
    with qtbot.waitSignal(segmented.ended):
        gate.open()
    assert hands.has_canvas
    assert table_of(labels_of(segmented)).names == {}
    assert segmented.state.object_in_hand == 3
    with qtbot.waitSignal(segmented.ended):
        hands.press(propagate)
        assert hands.has_canvas
    assert hands.has_canvas


def test_a_field_has_the_keyboard_when_it_was_clicked_until_escape_or_enter(segmented, hands):
    search = segmented.objects_panel.table.search
    hands.press(search)
    hands.type("new")
    assert search.text() == "new"
    hands.key(Qt.Key.Key_Return)
    assert hands.has_canvas
    hands.press(search)
    assert QApplication.focusWidget() is search
    hands.key(Qt.Key.Key_Escape)
    assert hands.has_canvas
    hands.press(search)
    hands.press(segmented.tool_strip.buttons[Tool.BOX])
    assert hands.has_canvas


def test_every_control_is_reached_by_tab(dock, hands):
    dock.prompt_panel.object.native.setFocus()
    reached = set()
    for _ in range(12):
        reached.add(QApplication.focusWidget())
        hands.key(Qt.Key.Key_Tab)
    track = dock.tracking_panel
    assert {track.segment.native, track.propagate.native, dock.prompt_panel.next} <= reached


def test_the_wheel_changes_no_number_that_was_not_clicked(dock, hands):
    spin = dock.prompt_panel.object.native
    middle = QPointF(spin.rect().center())
    for _ in range(3):
        event = QWheelEvent(
            middle,
            QPointF(spin.mapToGlobal(spin.rect().center())),
            QPoint(0, 120),
            QPoint(0, 120),
            Qt.MouseButton.NoButton,
            Qt.KeyboardModifier.NoModifier,
            Qt.ScrollPhase.NoScrollPhase,
            False,
        )
        QApplication.sendEvent(spin, event)
    assert dock.state.object_in_hand == 1
    assert hands.has_canvas


def test_keys_are_on_our_layers_alone(dock, hands):
    mine = dock.viewer.add_points([[0, 5, 5]], name="mine")
    before = list(mine.keymap)
    dock.prompt_panel.points.value = mine
    dock.viewer.layers.selection.active = mine
    hands.canvas.setFocus()
    hands.type("n")
    assert dock.state.object_in_hand == 1
    assert list(mine.keymap) == before
    assert not {str(key) for key in dock.viewer.keymap} & {k.key for k in dock.keys.listed}


def test_a_layer_of_the_persons_own_says_what_it_can(dock, hands, notes):
    mine = dock.viewer.add_points(np.zeros((0, 3)), name="mine")
    dock.prompt_panel.points.value = mine
    dock.tools.take(Tool.INCLUDE)
    assert dock.viewer.layers.selection.active is mine
    with pytest.raises(LayerError, match="has no feature 'label'"):
        dock.tools.take(Tool.EXCLUDE)
    hands.click(30, 40, button=RIGHT)
    assert len(mine.data) == 0
    assert "can say exclude" in notes[-1][1]
    hands.click(30, 40)
    assert len(mine.data) == 1


def test_all_keys_are_told_in_the_help(dock, hands):
    hands.type("?")
    assert dock.help_panel.isVisible()
    told = dock.help_panel.text()
    assert all(f"<b>{key.key}</b>" in told for key in dock.keys.listed)
    assert all(tool.value in told for tool in Tool)
    assert hands.has_canvas
    hands.press(dock.tool_strip.help)
    assert not dock.help_panel.isVisible()


# ------------------------------------------------------------------------- what is said


def test_new_prompts_make_the_mask_out_of_date_until_they_are_read(segmented, hands, work):
    assert not segmented.state.has_new_prompts
    hands.click(50, 60)
    assert segmented.guidance.text().startswith("The mask is out of date")
    work(segmented, segmented.segment_frame)
    assert not segmented.guidance.text().startswith("The mask is out of date")


def test_nothing_jumps_when_texts_change(dock):
    state = dock.state
    watched = [dock.tool_strip, dock.prompt_panel.in_hand, dock.tracking_panel.actions]
    watched.append(dock.tracking_panel.group)

    def places():
        QApplication.processEvents()
        return [widget.mapTo(dock, QPoint(0, 0)) for widget in watched]

    before = places()
    state.update(outcome=Outcome.FAILED, failure="what went wrong, at length. " * 30)
    assert places() == before
    for tool in (Tool.TEXT, Tool.BOX, Tool.SELECT):
        state.tool = tool
        assert places() == before
    state.update(frames_planned=60, frames_done=3, pace="3 frames a second, 00:20 left")
    dock.tracking_panel.progress.native.show()
    assert places() == before


def test_all_that_the_loop_needs_is_seen_on_a_low_screen(dock):
    dock.resize(340, 620)  # of 768 px, less menus and titles
    QApplication.processEvents()
    pinned = [dock.tool_strip, dock.prompt_panel.in_hand, dock.tracking_panel.actions]
    assert all(w.mapTo(dock, QPoint(0, w.height())).y() < 300 for w in pinned)
    assert 300 <= dock.sizeHint().width() <= 400
    assert dock.minimumSizeHint().width() <= 340
