"""Layers of a video go where it goes in the world: a click keeps its pixel."""

from __future__ import annotations

import numpy as np
import pytest
from napari.layers import Image

from napari_sam3.plugin.layers.carried_layers import CarriedLayers
from napari_sam3.plugin.layers.overlay import overlay_place
from napari_sam3.plugin.layers.prompt_layers import make_prompt_layers
from napari_sam3.plugin.layers.stack_axes import guess_axes
from napari_sam3.plugin.layers.transforms import map_points
from tests.plugin.conftest import click, disc, labels_of

MOVES = {
    "scale": {"scale": (0.04, 0.5, 0.25)},
    "translate": {"translate": (3, -40, 7.5)},
    "units": {"units": ("s", "um", "um")},
    "turned": {"rotate": [[1, 0, 0], [0, 0.8, -0.6], [0, 0.6, 0.8]]},
    "sheared": {"shear": (0, 0, 0.4)},
    "affine": {"affine": [[1, 0, 0, 0], [0, 2, 0.5, 3], [0, 0, 3, 4], [0, 0, 0, 1]]},
    "all": {
        "scale": (0.5, 2, 3),
        "translate": (1, 2, 3),
        "rotate": [[1, 0, 0], [0, 0, -1], [0, 1, 0]],
        "units": ("ms", "nm", "nm"),
        "axis_labels": ("t", "y", "x"),
    },
}


def move(layer, change, n_more=0):
    for name, value in change.items():
        if name in ("scale", "translate"):
            value = (*[1.5] * n_more, *value)
        elif name in ("units", "axis_labels"):
            value = (*["pixel" if name == "units" else "c"] * n_more, *value)
        setattr(layer, name, value)


def image(*shape, **place):
    data = np.zeros(shape, np.uint8)
    return Image(data, rgb=False, contrast_limits=(0, 255), **place)


def with_layers(layer):
    axes = guess_axes(layer)
    points, shapes = make_prompt_layers(layer, axes)
    CarriedLayers.of(layer).add(points, shapes)
    return points, shapes


@pytest.mark.parametrize("change", MOVES)
@pytest.mark.parametrize("place", [{}, {"scale": (0.1, 2, 2), "units": ("s", "um", "um")}])
def test_a_click_keeps_its_pixel(change, place):
    film = image(9, 20, 30, **place)
    points, shapes = with_layers(film)
    move(film, MOVES[change])
    for layer in (points, shapes):
        np.testing.assert_allclose(map_points(layer, film, [[3, 7, 11]]), [[3, 7, 11]], atol=1e-9)
        assert layer.units == film.units
        assert layer.axis_labels == film.axis_labels
    expected = overlay_place(film, guess_axes(film))
    np.testing.assert_allclose(points.scale, expected["scale"])
    np.testing.assert_allclose(points.translate, expected["translate"])


@pytest.mark.parametrize(
    "shape", [(2, 9, 20, 30), (9, 2, 20, 30), (9, 6, 20, 30), (9, 2, 3, 20, 30)]
)
@pytest.mark.parametrize("change", ["scale", "translate", "units"])
def test_channels_and_slices(shape, change):
    film = image(*shape)
    points, _ = with_layers(film)
    click = [[3, 0, 0, 7, 11][i] for i in range(points.ndim - 2)] + [7, 11]
    before = map_points(points, film, [click])
    move(film, MOVES[change], len(shape) - 3)
    np.testing.assert_allclose(map_points(points, film, [click]), before, atol=1e-9)


def test_a_single_picture():
    picture = image(20, 30)
    points, _ = with_layers(picture)
    picture.scale, picture.translate, picture.units = (0.5, 0.5), (4, 5), ("um", "um")
    np.testing.assert_allclose(map_points(points, picture, [[0, 7, 11]]), [[7, 11]])


@pytest.mark.parametrize("change", MOVES)
def test_what_a_person_has_moved_keeps_its_distance(change):
    film = image(9, 20, 30)
    points, _ = with_layers(film)
    points.translate = (0, 2, -3)
    move(film, MOVES[change])
    np.testing.assert_allclose(map_points(points, film, [[3, 7, 11]]), [[3, 9, 8]], atol=1e-9)
    points.scale = np.asarray(points.scale) * (1, 2, 1)
    before = map_points(points, film, [[3, 7, 11]])
    film.scale = (1, 5, 4)
    np.testing.assert_allclose(map_points(points, film, [[3, 7, 11]]), before, atol=1e-9)


def test_one_that_has_come_already_is_not_taken_further():
    film = image(9, 20, 30)
    points, _ = with_layers(film)
    film.events.scale.connect(lambda _event: setattr(points, "scale", film.scale), position="first")
    film.scale = (1, 3, 3)  # as of layers that are linked
    np.testing.assert_allclose(points.scale, (1, 3, 3))
    np.testing.assert_allclose(map_points(points, film, [[3, 7, 11]]), [[3, 7, 11]])


def test_a_copy_of_the_video_has_no_say():
    film = image(9, 20, 30)
    points, _ = with_layers(film)
    data, arguments, _ = film.as_layer_data_tuple()
    copy = Image(data, **arguments)
    others, _ = with_layers(copy)
    copy.scale = (1, 3, 3)
    np.testing.assert_allclose(points.scale, (1, 1, 1))
    np.testing.assert_allclose(others.scale, (1, 3, 3))


# ------------------------------------------------------------------------- in the window


@pytest.mark.parametrize("change", ["scale", "translate", "units", "turned"])
def test_results_and_prompts_follow_and_mean_the_same(ready, work, change):
    dock, film = ready, ready.tracking.video()
    work(dock, dock.segment_frame)
    move(film, MOVES[change])
    results = labels_of(dock)
    np.testing.assert_allclose(map_points(results, film, [[0, 30, 40]]), [[0, 30, 40]], atol=1e-9)
    assert results.units == film.units
    click(dock, 60, 90, obj_id=2)
    work(dock, dock.segment_frame)
    frame = results.data[0]
    assert ((frame == 1) == disc(0, 30, 40)).all()
    assert ((frame == 2) == disc(0, 60, 90)).all()


def test_tracks_follow_the_results(ready, work):
    work(ready, ready.segment_frame)
    results = labels_of(ready)
    tracks = ready.objects_panel.tracks.show_now(results)
    film = ready.tracking.video()
    film.scale, film.units = (0.5, 2, 3), ("s", "um", "um")
    np.testing.assert_allclose(tracks.scale, (0.5, 2, 3))
    assert tracks.units == film.units


def test_layers_of_the_persons_own_are_told_of_once(ready, notes):
    viewer, film = ready.viewer, ready.tracking.video()
    mine = viewer.add_points(np.array([[0, 30, 40]]), name="mine", ndim=3)
    ready.state.points = mine
    film.scale = (1, 2, 2)
    film.scale = (1, 3, 3)
    np.testing.assert_allclose(mine.scale, (1, 1, 1))
    told = [text for _, text in notes if "mine" in text]
    assert len(told) == 1
    assert "other pixels" in told[0]
    film.axis_labels = ("t", "y", "x")
    assert len([text for _, text in notes if "mine" in text]) == 1
