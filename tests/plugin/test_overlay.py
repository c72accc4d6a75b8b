import numpy as np
import pytest
from napari.layers import Image, Labels, Points

from napari_sam3.labels.label_stack import LabelStack
from napari_sam3.plugin.layers.overlay import overlay_labels, overlay_place
from napari_sam3.plugin.layers.stack_axes import StackAxes
from napari_sam3.plugin.layers.transforms import data_to_world_matrix, map_points

TYX = (6, 20, 30)


def _image(shape=TYX, **place):
    return Image(np.zeros(shape, np.uint8), contrast_limits=(0, 255), rgb=False, **place)


@pytest.mark.parametrize(
    ("shape", "axes", "place"),
    [
        (TYX, StackAxes(0), {"scale": (0.1, 2, 3), "translate": (1, 2, 3)}),
        (TYX, StackAxes(0), {"rotate": (10, 20, 30), "scale": (0.1, 2, 3)}),
        (TYX, StackAxes(0), {"shear": (0.1, 0.2, 0.3), "affine": np.diag([2.0, 3, 4, 1])}),
        ((2, *TYX), StackAxes(1, 0, {0: 1}), {"scale": (1, 0.1, 2, 3), "translate": (9, 1, 2, 3)}),
        ((6, 4, 20, 30), StackAxes(0, None, {1: 2}), {"scale": (0.1, 5, 2, 3)}),
    ],
)
def test_layer_lies_on_the_video(shape, axes, place):
    image = _image(shape, **place)
    layer = Points(ndim=image.ndim - axes.time, **overlay_place(image, axes))
    n = layer.ndim
    assert np.allclose(data_to_world_matrix(layer), data_to_world_matrix(image)[-n - 1 :, -n - 1 :])


def test_names_and_units_come_along():
    image = _image((2, *TYX), axis_labels=tuple("ctyx"), units=("pixel", "s", "um", "um"))
    place = overlay_place(image, StackAxes(1, 0, {0: 0}))
    layer = Points(ndim=3, **place)
    assert layer.axis_labels == ("t", "y", "x")
    assert [str(u) for u in layer.units] == ["second", "micrometer", "micrometer"]


def test_picture_gets_an_axis_for_time():
    image = _image((20, 30), scale=(2, 3), translate=(5, 6))
    layer = Labels(np.zeros((1, 20, 30), np.uint16), **overlay_place(image, StackAxes(None)))
    assert np.allclose(map_points(layer, image, [[0, 7, 8]]), [[7, 8]])


def test_labels_of_a_plain_video_are_the_planes_themselves():
    planes = LabelStack(TYX)
    assert overlay_labels(planes, _image(), StackAxes(0)) is planes
    assert overlay_labels(planes, _image((2, *TYX)), StackAxes(1, 0, {0: 1})) is planes


def _stacked(axes, shape):
    planes = LabelStack(TYX)
    planes[:] = np.random.default_rng(0).integers(0, 9, TYX)
    expected = np.zeros(shape, np.uint16)
    if axes.channel == 1:
        expected[:] = planes[:][:, None]
    else:
        expected[:, axes.fixed[1]] = planes[:]
    return planes, overlay_labels(planes, _image(shape), axes), expected


ON_A_SLICE = StackAxes(0, None, {1: 2})
ON_ALL_CHANNELS = StackAxes(0, 1, {1: 0})
T, Y, X = np.array([0, 3, 5]), np.array([1, 2, -1]), np.array([4, 4, 29])


@pytest.mark.parametrize("axes", [ON_A_SLICE, ON_ALL_CHANNELS])
@pytest.mark.parametrize(
    "key",
    [
        2,
        -1,
        np.s_[:],
        np.s_[3, 2],
        np.s_[3, 1],
        np.s_[3, -2, 4:9, 5],
        np.s_[3, 2, 7, 5],
        np.s_[::2, 1:4, ..., 3],
        np.s_[::-1, ::-1],
        np.s_[1:1],
        (T, np.array([2, 1, -2]), Y, X),
        (T, 2, Y, X),
    ],
)
def test_stacked_labels_are_read_as_an_array_would_be(axes, key):
    _, stacked, expected = _stacked(axes, (6, 4, 20, 30))
    assert stacked.shape == expected.shape
    assert np.array_equal(stacked[key], expected[key])
    assert np.shape(stacked[key]) == np.shape(expected[key])


@pytest.mark.parametrize(
    "key", [2, np.s_[3, 2], np.s_[3, 1], np.s_[1:3, :, 4:9], (T, np.array([2, 1, -2]), Y, X)]
)
def test_stacked_labels_keep_what_is_written_on_their_slice(key):
    planes, stacked, expected = _stacked(ON_A_SLICE, (6, 4, 20, 30))
    stacked[key] = 7
    expected[key] = 7
    assert np.array_equal(planes[:], expected[:, 2])


def test_what_is_written_on_one_channel_shows_on_all():
    _, stacked, _ = _stacked(ON_ALL_CHANNELS, (6, 4, 20, 30))
    stacked[3, 1, 4:6, 7] = (5, 6)
    assert stacked[3, 2, 4:6, 7].tolist() == [5, 6]


@pytest.mark.parametrize("key", [(1, 2, 3, 4, 5), (T, slice(None), Y, X), 6])
def test_impossible_index_of_stacked_labels_is_an_index_error(key):
    _, stacked, _ = _stacked(ON_A_SLICE, (6, 4, 20, 30))
    with pytest.raises(IndexError):
        stacked[key]


def test_stacked_labels_are_painted_in_napari():
    planes = LabelStack(TYX)
    image = _image((6, 4, 20, 30))
    layer = Labels(overlay_labels(planes, image, ON_A_SLICE), **overlay_place(image, ON_A_SLICE))
    layer.data_setitem((np.array([3]), np.array([2]), np.array([8]), np.array([9])), 5)
    assert planes[3, 8, 9] == 5
    layer.undo()
    assert planes[3, 8, 9] == 0
