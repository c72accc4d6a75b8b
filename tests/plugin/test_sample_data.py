import numpy as np
from napari.layers import Layer

from napari_sam3.plugin.io.sample_data import dividing_cells
from napari_sam3.plugin.layers.transforms import data_to_world_matrix


def test_truth_lies_hidden_on_the_video():
    image, truth = (Layer.create(*data) for data in dividing_cells())
    assert truth.data.shape == image.data.shape[:3]
    assert np.allclose(data_to_world_matrix(truth), data_to_world_matrix(image))
    assert truth.units == image.units
    assert (image.visible, truth.visible) == (True, False)


def test_truth_tells_mothers_of_cells_that_are_there():
    _, (labels, arguments, _) = dividing_cells()
    parents = arguments["metadata"]["objects"].parents
    assert parents, "some cell divides"
    assert set(parents) | set(parents.values()) <= set(np.unique(labels).tolist())
