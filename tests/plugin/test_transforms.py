import numpy as np
import pytest
from napari.layers import Image, Points

from napari_sam3.plugin.layers.transforms import (
    api_points,
    layer_shape,
    map_points,
    napari_points,
    world_to_indices,
)


def _image(**place):
    return Image(np.zeros((6, 20, 30), np.uint8), **place)


def test_centre_of_first_pixel_is_half_for_the_api():
    assert api_points([[0, 0], [2, 5]]).tolist() == [[0.5, 0.5], [5.5, 2.5]]


def test_api_points_come_back():
    points_yx = np.random.default_rng(0).uniform(-3, 40, (20, 2))
    assert np.allclose(napari_points(api_points(points_yx)), points_yx)


@pytest.mark.parametrize(
    "place",
    [
        {},
        {"scale": (0.04, 2, 3), "translate": (1, -5, 7)},
        {"rotate": (10, 20, 30), "scale": (1, 2, 2)},
        {"shear": (0.1, 0.2, 0.3), "affine": np.diag([2.0, 3, 4, 1])},
    ],
)
def test_map_points_goes_by_the_world(place):
    target = _image(**place)
    source = Points(ndim=3, scale=(0.5, 1, 1), translate=(3, 4, 5))
    points = np.array([[1.0, 2, 3], [4, 5, 6]])
    expected = [target.world_to_data(source.data_to_world(p)) for p in points]
    assert np.allclose(map_points(source, target, points), expected)


def test_map_points_converts_units_of_one_kind():
    target = _image(scale=(0.5, 1, 1), units=("s", "um", "um"))
    source = Points(ndim=3, units=("ms", "um", "um"))
    assert np.allclose(map_points(source, target, [[1500, 2, 3]]), [[3, 2, 3]])


def test_map_points_takes_numbers_as_they_are_where_units_do_not_go_together():
    target = _image(scale=(0.5, 1, 1), units=("s", "um", "um"))
    source = Points(ndim=3, units=("pixel", "nm", "nm"))
    assert np.allclose(map_points(source, target, [[1.5, 2, 3]]), [[3, 2, 3]])


def test_flat_layer_is_put_where_it_is_told():
    target = _image(scale=(0.04, 2, 2), translate=(1, 4, 4))
    source = Points(ndim=2)
    assert np.allclose(map_points(source, target, [[8, 10]], (5, 0, 0)), [[5, 2, 3]])


def test_leading_axes_of_the_source_alone_are_left_out():
    assert np.allclose(map_points(Points(ndim=4), _image(), [[9, 1, 2, 3]]), [[1, 2, 3]])


def test_world_to_indices_stays_inside_the_data():
    image = _image(scale=(0.1, 1, 1))
    assert world_to_indices(image, (0.31, 2, 3)) == (3, 2, 3)
    assert world_to_indices(image, (99, -4, 3)) == (5, 0, 3)


def test_colours_are_not_counted():
    assert layer_shape(Image(np.zeros((4, 8, 9, 3), np.uint8), rgb=True)) == (4, 8, 9)
