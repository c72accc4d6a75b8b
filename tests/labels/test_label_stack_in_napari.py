"""LabelStack as the data of a Labels layer, in a real viewer."""

from __future__ import annotations

import copy
import os
import sys

import numpy as np
import pytest

from napari_sam3.labels.label_stack import LabelStack

if sys.platform == "linux" and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
    pytest.skip("needs a display (run under xvfb-run)", allow_module_level=True)

pytest.importorskip("pytestqt")


@pytest.fixture
def stack():
    """Two squares on frame 1 of 4, the rest never written."""
    stack = LabelStack((4, 60, 80))
    frame = np.zeros((60, 80), np.uint16)
    frame[10:30, 10:30] = 1
    frame[40:50, 50:70] = 2
    stack[1] = frame
    return stack


@pytest.fixture
def viewer(open_viewer):
    return open_viewer(show=True)


@pytest.fixture
def layer(viewer, stack):
    layer = viewer.add_labels(stack, name="objects")
    viewer.dims.set_current_step(0, 1)
    return layer


def displayed(layer) -> np.ndarray:
    return np.asarray(layer._slice.image.raw)


def test_is_shown_without_being_converted(layer, stack, viewer):
    assert layer.data is stack
    np.testing.assert_array_equal(displayed(layer), stack[1])
    assert layer.get_value((1, 45, 60)) == 2
    picture = viewer.screenshot(canvas_only=True, flash=False)
    assert len(np.unique(picture[..., :3].reshape(-1, 3), axis=0)) >= 3
    viewer.dims.set_current_step(0, 0)
    assert displayed(layer).max() == 0


def test_paint_erase_undo_redo(layer, stack):
    before = stack[:]
    layer.brush_size = 8
    layer.paint((1, 20, 60), 5)
    painted = stack[:]
    assert painted[1, 20, 60] == 5
    np.testing.assert_array_equal(painted[[0, 2, 3]], before[[0, 2, 3]])
    np.testing.assert_array_equal(displayed(layer), painted[1])
    layer.paint((1, 20, 20), 0)
    assert stack[1, 20, 20] == 0
    layer.undo()
    np.testing.assert_array_equal(stack[:], painted)
    layer.undo()
    np.testing.assert_array_equal(stack[:], before)
    np.testing.assert_array_equal(displayed(layer), before[1])
    layer.redo()
    np.testing.assert_array_equal(stack[:], painted)


def test_paint_on_a_frame_never_written(layer, stack, viewer):
    viewer.dims.set_current_step(0, 3)
    layer.paint((3, 5, 5), 4)
    assert stack[3, 5, 5] == 4
    assert stack.is_processed(3)
    layer.undo()
    assert stack[3].max() == 0


def test_fill_and_undo(layer, stack):
    before = stack[:]
    layer.fill((1, 20, 20), 9)
    assert set(np.unique(stack[1])) == {0, 2, 9}
    layer.undo()
    np.testing.assert_array_equal(stack[:], before)


def test_polygon_over_several_frames(layer, stack):
    layer.n_edit_dimensions = 2
    layer.paint_polygon([(1, 30, 30), (1, 30, 45), (1, 45, 45)], 6)
    assert stack[1, 33, 42] == 6
    layer.undo()
    assert stack[1, 33, 42] == 0
    layer.n_edit_dimensions = 3
    layer.paint((1, 20, 60), 5)
    assert stack[0, 20, 60] == stack[2, 20, 60] == 5
    layer.undo()
    assert stack[0].max() == 0


def test_data_setitem_and_undo(layer, stack):
    before = stack[:]
    index = (np.array([1, 1, 0]), np.array([0, 1, 2]), np.array([3, 4, 5]))
    layer.data_setitem(index, 8)
    np.testing.assert_array_equal(stack[index], [8, 8, 8])
    np.testing.assert_array_equal(displayed(layer), stack[1])
    layer.undo()
    np.testing.assert_array_equal(stack[:], before)


def test_a_frame_written_from_behind_shows_after_refresh(layer, stack):
    stack[1] = np.full((60, 80), 3, np.uint16)
    layer.refresh()
    np.testing.assert_array_equal(displayed(layer), stack[1])


def test_layer_survives_duplication_new_type_and_another_order_of_axes(layer, stack, viewer):
    data, state, kind = layer.as_layer_data_tuple()
    other = type(layer).create(copy.deepcopy(data), {**state, "name": "other"}, kind)
    viewer.add_layer(other)
    other.paint((1, 0, 0), 7)
    assert stack[1, 0, 0] == 0
    layer.data = layer.data.astype(np.uint32)
    assert layer.data.dtype == np.uint32
    viewer.dims.order = (1, 0, 2)
    viewer.dims.set_current_step(1, 20)
    assert displayed(layer).shape == (4, 80)
    viewer.dims.order = (0, 1, 2)
    viewer.dims.ndisplay = 3
    assert displayed(layer).shape == (4, 60, 80)
