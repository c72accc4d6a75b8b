"""The layer of results holds every id that a prompt may name."""

from __future__ import annotations

import numpy as np
import pytest
from napari.layers import Image

from napari_sam3.errors import LayerError
from napari_sam3.labels.label_stack import LabelStack
from napari_sam3.plugin.layers.mask_state import describe_masks, draw_masks
from napari_sam3.plugin.layers.results_layer import ResultsLayer
from napari_sam3.plugin.layers.stack_axes import StackAxes
from napari_sam3.values import MAX_OBJECT_ID, FrameResult, ObjectMask

SHAPE = (3, 20, 30)
HERE = np.s_[4:9, 5:15]


@pytest.fixture
def video():
    return Image(np.zeros(SHAPE, np.uint8), contrast_limits=(0, 255), rgb=False)


def result(*ids: int) -> FrameResult:
    objects = {}
    for place, obj_id in enumerate(ids):
        mask = np.zeros(SHAPE[1:], bool)
        mask[4:9, 5 + 12 * place : 15 + 12 * place] = True
        objects[obj_id] = ObjectMask.from_mask(mask)
    return FrameResult(1, objects)


def test_the_highest_id_is_drawn_painted_and_drawn_over(video):
    results = ResultsLayer(video, StackAxes(0))
    layer = results.layer
    results.write(result(7, MAX_OBJECT_ID))
    assert set(np.unique(layer.data[1]).tolist()) == {0, 7, MAX_OBJECT_ID}
    layer.selected_label = MAX_OBJECT_ID
    layer.data_setitem((np.array([1]), np.array([0]), np.array([0])), layer.selected_label)
    ((key, mask),) = results.painted().items()
    assert key == (1, MAX_OBJECT_ID)
    assert mask[0, 0]
    layer.data_setitem((np.array([1]), np.array([0]), np.array([1])), 3_000_000)  # no object's
    results.painted()
    results.write(result(7))
    assert layer.data[1][0, 1] == 3_000_000
    assert (layer.data[1][HERE] == 7).all()


def test_an_older_project_says_which_ids_it_holds(video):
    results = ResultsLayer(video, StackAxes(0), LabelStack(SHAPE, np.uint16))
    with pytest.raises(LayerError, match="up to 65535"):
        results.write(result(65536))
    results.write(result(65535))


def test_masks_of_the_highest_id_are_kept(video):
    results = ResultsLayer(video, StackAxes(0))
    results.write(result(MAX_OBJECT_ID))
    told = describe_masks(results.layer, video, StackAxes(0), [1])
    np.testing.assert_array_equal(draw_masks(told, SHAPE)[1], results.layer.data[1])
