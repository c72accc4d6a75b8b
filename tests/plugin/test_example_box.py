"""Find objects by an example that a person draws a box round, with mouse and keys."""

from __future__ import annotations

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication

from napari_sam3.models.fake import FakeModel, FakeTracker
from napari_sam3.plugin.controllers import detection_controller
from napari_sam3.plugin.model.tools import Tool
from tests.plugin.hands import LEFT, NOTHING, Hands

BOX = [(20, 30), (30, 40), (50, 70)]  # a way of the mouse, y and x
BOX_XYXY = (30.5, 20.5, 70.5, 50.5)  # its corners in the API's px
SLACK = 1.0  # px of the picture: a pixel of the screen may be less than one of it


@pytest.fixture
def asked(monkeypatch):
    """Has the window load the fake model for any name; gives the concepts that it was told."""
    told = []
    detect = FakeTracker.detect

    def hear(self, frame_index, concept):
        told.append(concept)
        return detect(self, frame_index, concept)

    monkeypatch.setattr(FakeTracker, "detect", hear)
    monkeypatch.setattr(detection_controller, "load_model", lambda name: FakeModel())
    return told


@pytest.fixture
def dock(open_dock, open_viewer, film, qtbot, asked):
    viewer = open_viewer(show=True)
    viewer.add_image(film, name="film")
    viewer.dims.set_current_step(0, 2)
    dock = open_dock(viewer)
    qtbot.waitUntil(lambda: not dock.is_getting_ready)
    dock.tracking.preview.is_on = False
    return dock


@pytest.fixture
def hands(dock, qtbot):
    hands = Hands(dock.viewer)
    hands.press(dock.detect_panel.group.toggleButton())
    qtbot.waitUntil(lambda: dock.detect_panel.find.native.isVisible())
    return hands


@pytest.fixture
def by_example(dock):
    """Chooses to find by an example, in the list."""
    dock.detect_panel.detector.value = "sam3"
    assert dock.detect_panel.detector.native.currentText() == "sam3, an example"


@pytest.fixture
def find(dock, hands, qtbot):
    def find():
        hands.press(dock.detect_panel.find)
        qtbot.waitUntil(lambda: not dock.state.detection.is_working)

    return find


def drawn(dock):
    return [] if dock.state.example is None else list(dock.state.example.data)


def test_choosing_by_example_hands_over_the_tool_and_what_is_drawn_is_the_example(
    dock, hands, by_example, find, asked
):
    assert dock.state.tool is Tool.EXAMPLE
    assert dock.detect_panel.example.isChecked()
    assert "Drag a box" in dock.guidance.text()
    assert dock.tool_strip.hint.text() == f"Example: {Tool.EXAMPLE.about.hint}"
    assert not any(button.isChecked() for button in dock.tool_strip.buttons.values())
    hands.drag(BOX)
    assert dock.detect_panel.example_said.text() == "drawn on this frame"
    find()
    (concept,) = asked
    np.testing.assert_allclose(concept.boxes_xyxy, [BOX_XYXY], atol=SLACK)
    assert concept.text is None
    assert dock.detect_panel.said.text() == "sam3, an example: 3 objects on frame 2"
    assert dock.state.tool is Tool.INCLUDE  # which was in hand before


def test_an_example_is_no_prompt_and_no_object(dock, hands, by_example, find, work):
    hands.drag(BOX)
    assert (dock.state.n_prompts, dock.state.has_new_prompts) == (0, False)
    assert dock.state.example not in dock.prompt_panel.boxes.choices
    find()
    dock.tracking.detection.accept([1])
    work(dock, dock.propagate)
    assert list(dock.tracking.session.ids_in_use) == [1]
    np.testing.assert_array_equal(np.unique(dock.tracking.results.planes[2]), [0, 1])


def test_without_a_box_it_is_said_what_to_draw_and_where(dock, hands, by_example, find, notes):
    hands.key(Qt.Key.Key_Escape)
    find()
    assert "no example on frame 2" in notes[-1][1]
    assert "Drag a box" in dock.guidance.text()
    assert dock.state.tool is Tool.EXAMPLE


@pytest.mark.sweep
def test_an_example_holds_on_its_frame_alone(dock, hands, by_example, find, notes):
    hands.drag(BOX)
    dock.viewer.dims.set_current_step(0, 4)
    assert dock.detect_panel.example_said.text() == "none on this frame yet"
    find()
    assert "no example on frame 4" in notes[-1][1]
    dock.viewer.dims.set_current_step(0, 2)
    assert dock.detect_panel.example_said.text() == "drawn on this frame"


def test_another_box_on_the_frame_takes_its_place_and_undo_brings_it_back(dock, hands, by_example):
    hands.drag(BOX)
    (first,) = drawn(dock)
    hands.drag([(60, 80), (62, 90), (75, 110)])
    hands.click(5, 5)  # no box, and so no example
    (second,) = drawn(dock)
    assert second[0, 1] > 50
    dock.tracking.undo()
    np.testing.assert_array_equal(drawn(dock), [first])
    dock.tracking.undo()
    assert drawn(dock) == []
    assert not dock.state.has_example
    dock.tracking.redo()
    np.testing.assert_array_equal(drawn(dock), [first])
    assert dock.state.has_example


def test_escape_gives_up_the_box_under_the_hand_and_the_tool(dock, hands, by_example):
    begin, way, end = (hands.place(*place) for place in BOX)
    hands.click(5, 5)  # the picture has the keyboard
    QTest.mousePress(hands.canvas, LEFT, NOTHING, begin)
    hands._move(way, LEFT, NOTHING)
    hands.key(Qt.Key.Key_Escape)
    hands._move(end, LEFT, NOTHING)
    QTest.mouseRelease(hands.canvas, LEFT, NOTHING, end)
    QApplication.processEvents()
    assert drawn(dock) == []
    assert dock.state.tool is Tool.INCLUDE
    assert not dock.detect_panel.example.isChecked()
    assert dock.tracking.undo() == ""


@pytest.mark.sweep
def test_the_button_takes_the_tool_and_lets_go_of_it(dock, hands, by_example):
    button = dock.detect_panel.example
    hands.press(button)
    assert dock.state.tool is Tool.INCLUDE
    hands.press(button)
    assert dock.state.tool is Tool.EXAMPLE
    dock.detect_panel.detector.value = "blobs"
    assert dock.state.tool is Tool.INCLUDE


def test_a_detector_that_takes_no_example_is_not_offered_one(dock, hands):
    panel = dock.detect_panel
    for by, takes in (("blobs", False), ("cellpose", False), ("sam3:", False), ("sam3", True)):
        panel.detector.value = by
        assert (panel.detector.value, panel.example.isVisible()) == (by, takes)
        assert panel.words.native.isVisible() == (by == "sam3:")


@pytest.mark.sweep
def test_an_example_is_read_where_the_video_lies_in_the_world(
    open_dock, open_viewer, film, qtbot, asked
):
    viewer = open_viewer(show=True)
    viewer.add_image(film, name="film", scale=(0.5, 2, 3), translate=(4, 100, -7))
    dock = open_dock(viewer)
    qtbot.waitUntil(lambda: not dock.is_getting_ready)
    dock.state.detector = "sam3"
    dock.take_tool(Tool.EXAMPLE)
    Hands(viewer).drag(BOX)
    dock.find_objects()
    qtbot.waitUntil(lambda: not dock.state.detection.is_working)
    np.testing.assert_allclose(asked[0].boxes_xyxy, [BOX_XYXY], atol=SLACK)


@pytest.mark.sweep
def test_the_layer_goes_with_the_dock_and_is_let_go_of_if_it_is_deleted(dock, hands, by_example):
    hands.drag(BOX)
    dock.viewer.layers.remove("film example")
    assert dock.state.example is None
    assert not dock.state.has_example
    dock.take_tool(Tool.EXAMPLE)
    hands.drag(BOX)
    dock.shut_down()
    assert "film example" not in dock.viewer.layers


@pytest.mark.sweep
def test_a_reset_takes_the_example_too_and_can_be_undone(dock, hands, by_example):
    hands.drag(BOX)
    dock.reset()
    assert drawn(dock) == []
    dock.tracking.undo()
    assert len(drawn(dock)) == 1
