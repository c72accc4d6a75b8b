"""What is pressed but not drawn leaves nothing: no shape, no warning, nothing to undo."""

from __future__ import annotations

import pytest

from napari_sam3.plugin.model.tools import Tool

from .hands import CTRL, LEFT, NOTHING, RIGHT
from .test_tools import dock, hands, said, viewer

pytestmark = pytest.mark.sweep

__all__ = ["dock", "hands", "viewer"]

WAY = [(20, 20), (20, 60), (60, 60), (60, 20)]


def is_untouched(dock):
    layer = dock.state.boxes
    return not (len(layer.data) or len(layer.features) or dock.state.current.history.done)


@pytest.mark.parametrize(("button", "held"), [(LEFT, NOTHING), (LEFT, CTRL), (RIGHT, NOTHING)])
def test_a_click_with_the_box_tool_leaves_no_box(dock, hands, notes, button, held):
    dock.take_tool(Tool.BOX)
    hands.click(30, 40, button, held)
    assert is_untouched(dock)
    assert (dock.state.tool, dock.state.sign) == (Tool.BOX, "include")
    hands.drag([WAY[0], WAY[2]])
    assert said(dock.state.boxes) == [(1, "include")]
    assert notes == []


@pytest.mark.parametrize("tool", [Tool.LASSO, Tool.SCRIBBLE])
def test_an_outline_of_one_place_leaves_none(dock, hands, tool):
    dock.take_tool(tool)
    for _ in range(2):  # napari begins an outline with a click, and ends it with the next one
        hands.click(30, 40)
    assert is_untouched(dock)
    dock.prompt_panel.object.value = 2
    hands.drag(WAY)
    assert said(dock.state.boxes) == [(2, "include")]


@pytest.mark.parametrize("tool", [Tool.LASSO, Tool.SCRIBBLE])
def test_a_second_button_that_is_not_dragged_begins_no_outline(dock, hands, tool):
    dock.take_tool(tool)
    hands.click(30, 40, RIGHT)
    assert is_untouched(dock)
    assert (dock.state.tool, dock.state.sign) == (tool, "include")
    hands.drag(WAY, RIGHT)
    assert said(dock.state.boxes) == [(1, "exclude")]
    assert dock.state.boxes.mode != "pan_zoom"


def test_an_outline_that_was_begun_is_given_up_with_the_tool(dock, hands):
    dock.take_tool(Tool.LASSO)
    hands.click(30, 40)
    dock.take_tool(Tool.BOX)
    assert is_untouched(dock)
