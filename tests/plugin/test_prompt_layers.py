import numpy as np
import pytest
from napari.layers import Image, Labels

from napari_sam3.plugin.layers.object_colours import object_colormap
from napari_sam3.plugin.layers.prompt_layers import EXCLUDE, INCLUDE, make_prompt_layers
from napari_sam3.plugin.layers.prompt_snapshot import read_prompts
from napari_sam3.plugin.layers.stack_axes import StackAxes, guess_axes
from napari_sam3.plugin.layers.transforms import data_to_world_matrix

BOX = np.array([[3, 10, 10], [3, 10, 30], [3, 30, 30], [3, 30, 10]], float)


@pytest.fixture
def image():
    return Image(
        np.zeros((10, 60, 80), np.uint8),
        contrast_limits=(0, 255),
        scale=(0.5, 2, 2),
        translate=(1, 2, 3),
        units=("s", "um", "um"),
        axis_labels=("t", "y", "x"),
    )


def test_layers_lie_on_the_video(image):
    for layer in make_prompt_layers(image, guess_axes(image)):
        assert layer.ndim == 3
        assert np.allclose(data_to_world_matrix(layer), data_to_world_matrix(image))
        assert layer.units == image.units
        assert layer.axis_labels == image.axis_labels
        assert list(layer.features.columns) == ["object", "label"]


def test_layers_over_channels_show_on_all_of_them():
    image = Image(np.zeros((2, 10, 60, 80), np.uint8), contrast_limits=(0, 255))
    points, shapes = make_prompt_layers(image, StackAxes(1, 0, {0: 0}))
    assert (points.ndim, shapes.ndim) == (3, 3)


def say_of_the_next(layer, obj_id, include=True):
    layer.feature_defaults = {"object": obj_id, "label": INCLUDE if include else EXCLUDE}


def test_what_is_drawn_takes_what_is_current(image):
    axes = guess_axes(image)
    points, shapes = make_prompt_layers(image, axes)
    points.add([[3, 5, 5]])
    say_of_the_next(points, 2)
    points.add([[3, 40, 40]])
    say_of_the_next(points, 2, include=False)
    points.add([[3, 50, 50]])
    say_of_the_next(shapes, 7)
    shapes.add_rectangles(BOX)

    assert points.features["object"].tolist() == [0, 2, 2]
    assert points.features["label"].tolist() == ["include", "include", "exclude"]
    target, _ = read_prompts(image, axes, points, shapes)
    assert {obj_id: p.point_labels.tolist() for (_, obj_id), p in target.objects.items()} == {
        2: [True, False],
        7: [],
        8: [True],
    }


def test_items_drawn_and_selected_keep_their_meaning(image):
    points, _ = make_prompt_layers(image, guess_axes(image))
    points.add([[3, 5, 5]])
    points.selected_data = {0}
    say_of_the_next(points, 9, include=False)
    assert points.features.to_dict("records") == [{"object": 0, "label": "include"}]


def test_colours_show_object_and_label(image):
    points, shapes = make_prompt_layers(image, guess_axes(image))
    labels = Labels(np.zeros((4, 4), int), colormap=object_colormap())
    ids = 3, 0, 2**31 - 1
    for obj_id, include in zip(ids, (True, True, False), strict=True):
        say_of_the_next(points, obj_id, include)
        points.add([[3, 5, 5]])
        say_of_the_next(shapes, obj_id, include)
        shapes.add_rectangles(BOX)
    for borders in (points.border_color, shapes.edge_color):
        assert np.allclose(borders[0], labels.get_color(3), atol=0.01)
        assert np.allclose(borders[1], (1, 1, 1, 1))
        assert np.allclose(borders[2], labels.get_color(ids[2]), atol=0.01)
    for faces in (points.face_color, shapes.face_color):
        assert np.allclose(faces[0], faces[1])
        assert not np.allclose(faces[0, :3], faces[2, :3], atol=0.2)


def test_colours_follow_an_edited_feature(image):
    labels = Labels(np.zeros((4, 4), int), colormap=object_colormap())
    points, shapes = make_prompt_layers(image, guess_axes(image))
    points.add([[3, 5, 5]])
    shapes.add_rectangles(BOX)
    for layer in (points, shapes):
        layer.features = layer.features.assign(object=4)
    assert np.allclose(points.border_color[0], labels.get_color(4), atol=0.01)
    assert np.allclose(shapes.edge_color[0], labels.get_color(4), atol=0.01)
