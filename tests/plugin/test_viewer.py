"""The layers in a real window: opening, sliding, drawing, menus."""

import copy

import numpy as np
import pytest

from napari_sam3.plugin.layers.prompt_layers import make_prompt_layers
from napari_sam3.plugin.layers.prompt_reader import prompts_from_layers
from napari_sam3.plugin.layers.prompt_snapshot import read_prompts
from napari_sam3.plugin.layers.stack_axes import guess_axes
from tests.video.clips import encode, read_number

PLUGIN = "napari-sam3"


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clips")
    return encode(folder / "clip.mp4", n_frames=60, rate=12, gop=20)


@pytest.fixture
def viewer(open_viewer):
    return open_viewer(show=True)


def _canvas_number(viewer):
    """The number that the clip's frame on the canvas carries; -1 where there is none."""
    (layer,) = viewer.layers
    picture = viewer.screenshot(canvas_only=True, flash=False)[..., :3]
    # the picture fills the canvas in one direction; look at its own pixels alone
    rows, columns = np.nonzero(picture.max(axis=2) > 15)
    if not rows.size:
        return -1
    picture = picture[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    height, width = layer.data.shape[1:3]
    at = np.ix_(
        np.linspace(0, len(picture) - 1, height).round().astype(int),
        np.linspace(0, picture.shape[1] - 1, width).round().astype(int),
    )
    return read_number(picture[at])


def test_opened_video_shows_the_frame_that_the_slider_says(viewer, clip):
    (layer,) = viewer.open(str(clip), plugin=PLUGIN)
    # napari shows them at the sliders from 0.9 on
    assert layer.axis_labels == ("t", "y", "x")
    for frame_index in (0, 59, 7, 41):
        viewer.dims.set_current_step(0, frame_index)
        assert _canvas_number(viewer) == frame_index
    assert layer.thumbnail[..., :3].any()


def test_folder_of_frames_is_opened(viewer, disc_folder, disc_film):
    (layer,) = viewer.open(str(disc_folder), plugin=PLUGIN)
    assert layer.rgb
    assert np.array_equal(layer.data[11], disc_film[11])


def test_sliding_in_the_background_ends_on_the_right_frame(viewer, clip, qtbot, monkeypatch):
    from napari.settings import get_settings

    monkeypatch.setattr(get_settings().experimental, "async_", True)
    (layer,) = viewer.open(str(clip), plugin=PLUGIN)
    for frame_index in (30, 5, 59, 12, 44):
        viewer.dims.set_current_step(0, frame_index)
    qtbot.waitUntil(lambda: layer.loaded and _canvas_number(viewer) == 44)


def test_video_layer_can_be_duplicated(viewer, clip):
    from napari.layers import Layer

    (layer,) = viewer.open(str(clip), plugin=PLUGIN)
    twin = Layer.create(*copy.deepcopy(layer.as_layer_data_tuple()))  # as napari does
    layer.data.close()
    assert read_number(twin.data[17]) == 17


def test_click_on_the_canvas_is_a_prompt_there(viewer, clip):
    (image,) = viewer.open(str(clip), plugin=PLUGIN)
    points, shapes = make_prompt_layers(image, guess_axes(image))
    viewer.add_layer(shapes)
    viewer.add_layer(points)
    viewer.dims.set_current_step(0, 31)
    points.mode = "add"
    points.feature_defaults = {"object": 4, "label": "exclude"}
    # what napari does on a click at this place of the world
    points.add([points.world_to_data((viewer.dims.point[0], 20, 33))])

    (prompt,) = prompts_from_layers(image, guess_axes(image), points, shapes)
    assert (prompt.frame_index, prompt.obj_id) == (31, 4)
    assert np.allclose(prompt.points_xy, [[33.5, 20.5]])
    assert prompt.point_labels.tolist() == [False]


def test_points_layer_of_napari_itself_takes_prompts_on_the_right_frames(viewer, clip):
    from napari._app_model.actions._file import add_new_points

    (image,) = viewer.open(str(clip), plugin=PLUGIN)
    for selected in (True, False):
        viewer.layers.selection = {image} if selected else set()
        add_new_points(viewer)
        points = viewer.layers[-1]
        viewer.dims.set_current_step(0, 31)
        points.add([points.world_to_data((viewer.dims.point[0], 20, 33))])
        target, _ = read_prompts(image, guess_axes(image), points)
        assert [frame_index for frame_index, _ in target.objects] == [31]
