"""The window as a whole: opened again, help and timeline shown and hidden, closed unseen."""

from __future__ import annotations

import numpy as np
import pytest
from qtpy.compat import isalive
from qtpy.QtCore import QEvent, QPointF, Qt
from qtpy.QtGui import QMouseEvent
from qtpy.QtWidgets import QApplication, QPushButton

from napari_sam3.plugin.model.tools import Tool
from napari_sam3.projects import list_projects

from .conftest import click
from .hands import Hands
from .test_project import begin, clip, own_projects
from .test_robust import begin as begin_run
from .test_tools import dock, hands, viewer

__all__ = ["begin", "clip", "dock", "hands", "own_projects", "viewer"]


def test_the_first_action_on_a_project_that_is_opened_again_can_be_a_click(
    begin, open_dock, viewer, work, own_projects, qtbot, close
):
    before = begin()
    work(before, before.segment_frame)
    (folder,) = list_projects(own_projects)
    close(before)
    again = open_dock(viewer)
    viewer.open(str(folder), plugin="napari-sam3")
    qtbot.waitUntil(lambda: again.state.tool is Tool.INCLUDE)
    assert viewer.layers.selection.active is again.state.points
    viewer.dims.set_current_step(0, 4)
    QApplication.processEvents()
    Hands(viewer).click(40, 60)
    np.testing.assert_allclose(again.state.points.data, [[0, 20, 30], [4, 40, 60]], atol=1)
    assert again.state.points.features["object"].tolist() == [1, 1]


def test_escape_over_the_picture_closes_the_help(dock, hands):
    hands.click(30, 40)
    hands.type("?")
    assert dock.help_panel.isVisible()
    assert hands.has_canvas
    hands.key(Qt.Key.Key_Escape)
    assert not dock.help_panel.isVisible()
    assert hands.has_canvas
    hands.type("?")
    assert dock.help_panel.isVisible()
    hands.type("?")
    assert not dock.help_panel.isVisible()
    # and Escape is napari's own again: it ends an outline that is being drawn
    dock.take_tool(Tool.LASSO)
    hands.click(30, 40)
    hands.key(Qt.Key.Key_Escape)
    assert len(dock.state.boxes.data) == 0


def test_an_event_that_comes_as_one_of_another_class_is_told_by_its_type(open_dock):
    """As PyQt hands on one that lies where another one lay that somebody still holds."""
    dock = open_dock()
    late = QPushButton("late", dock)
    assert late.focusPolicy() == Qt.FocusPolicy.StrongFocus
    for kind in (QEvent.Type.ChildPolished, QEvent.Type.KeyPress):
        nothing = Qt.MouseButton.NoButton, Qt.MouseButton.NoButton, Qt.KeyboardModifier.NoModifier
        assert not dock.focus.eventFilter(dock, QMouseEvent(kind, QPointF(), QPointF(), *nothing))
    assert late.focusPolicy() == Qt.FocusPolicy.TabFocus


@pytest.mark.parametrize("button", ["hide_button", "close_button"])
def test_a_timeline_that_was_put_away_is_shown_again(dock, hands, button):
    before = dock.timeline
    hands.press(getattr(dock.timeline.parentWidget().title, button))
    QApplication.processEvents()
    assert not (isalive(before) and before.isVisible())
    for is_shown in (True, False, True):
        hands.press(dock.tool_strip.timeline)
        assert dock.timeline.isVisible() == is_shown
    assert not dock.timeline.is_shut_down
    assert (dock.timeline is before) == (button == "hide_button")
    assert hands.has_canvas


def test_a_window_that_was_never_shown_is_closed_amid_a_run(
    open_dock, open_viewer, film, gate, qtbot
):
    dock = open_dock(open_viewer())
    dock.viewer.add_image(film)
    dock.new_prompts()
    click(dock, 30, 40)
    QApplication.processEvents()
    begin_run(dock, gate, qtbot)
    job = dock.tracking.job
    dock.viewer.close()
    QApplication.processEvents()
    assert dock.is_shut_down
    gate.open()
    qtbot.waitUntil(lambda: not job._run.is_running)
