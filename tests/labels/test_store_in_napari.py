"""Tools of a napari Labels layer do to labels on disk what they do to a NumPy array."""

from __future__ import annotations

import numpy as np
import pytest

from napari_sam3.labels.label_store import LabelStore

SHAPE = (4, 60, 80)

TOOLS = {
    "paint": lambda layer: layer.paint((1, 20, 60), 5),
    "paint over another": lambda layer: layer.paint((1, 20, 28), 5),
    "erase": lambda layer: layer.paint((1, 20, 20), 0),
    "paint at the edge": lambda layer: layer.paint((1, 0, 79), 3),
    "fill": lambda layer: layer.fill((1, 20, 20), 9),
    "polygon": lambda layer: layer.paint_polygon([(1, 30, 30), (1, 30, 45), (1, 45, 45)], 6),
    "single pixels": lambda layer: layer.data_setitem(
        (np.array([1, 1, 0]), np.array([0, 1, 2]), np.array([3, 4, 5])), 8
    ),
}


def stroke(layer):
    with layer.block_history():
        for step in range(12):
            layer.paint((1, 15 + step, 20 + 2 * step), 4)


TOOLS["stroke"] = stroke


@pytest.fixture
def layers(tmp_path):
    """Two layers of equal content: on disk, with one frame in memory at a time; and NumPy."""
    from napari.components import ViewerModel  # noqa: TID251

    array = np.zeros(SHAPE, np.uint16)
    array[1, 10:30, 10:30] = 1
    array[1, 40:50, 50:70] = 2
    store = LabelStore.create(tmp_path / "results", SHAPE, cache_bytes=1)
    for i, labels in enumerate(array):
        store.draw(i, labels)
    viewer = ViewerModel()
    layers = viewer.add_labels(store), viewer.add_labels(array)
    viewer.dims.set_current_step(0, 1)
    for layer in layers:
        layer.brush_size = 8
    yield layers
    store.close()


def assert_same(layers):
    on_disk, plain = layers
    np.testing.assert_array_equal(on_disk.data[:], plain.data)
    np.testing.assert_array_equal(on_disk._slice.image.raw, plain._slice.image.raw)


@pytest.mark.parametrize("tool", TOOLS)
def test_a_tool_and_its_undo(layers, tool):
    for layer in layers:
        TOOLS[tool](layer)
    assert_same(layers)
    for layer in layers:
        layer.undo()
    assert_same(layers)
    for layer in layers:
        layer.redo()
    assert_same(layers)


def test_all_of_them_undone_and_redone_and_there_when_opened_again(layers):
    for tool in TOOLS.values():
        for layer in layers:
            tool(layer)
    assert_same(layers)
    painted = layers[1].data.copy()
    for _ in TOOLS:
        for layer in layers:
            layer.undo()
        assert_same(layers)
    for _ in TOOLS:
        for layer in layers:
            layer.redo()
    np.testing.assert_array_equal(layers[0].data[:], painted)
    store = layers[0].data
    store.close()
    with LabelStore.open(store.folder) as again:
        np.testing.assert_array_equal(again[:], painted)


def test_an_undo_of_everything_leaves_no_edit(layers):
    store = layers[0].data
    TOOLS["stroke"](layers[0])
    layers[0].undo()
    assert store.take_edits(range(10)) == {}
    assert store.notes(1) == {}


def test_what_may_only_be_looked_at_is_shown_and_refuses_the_brush(layers):
    from napari.components import ViewerModel  # noqa: TID251

    store = layers[0].data
    store.flush()
    viewer = ViewerModel()
    layer = viewer.add_labels(LabelStore.open(store.folder, read_only=True))
    viewer.dims.set_current_step(0, 1)
    np.testing.assert_array_equal(layer._slice.image.raw, store[1])
    with pytest.raises(ValueError, match="looked at only"):
        layer.paint((1, 5, 5), 3)
    np.testing.assert_array_equal(layer.data[1], store[1])
