import dask.array as da
import numpy as np
import pytest
from napari.layers import Image, Labels

from napari_sam3.errors import LayerError
from napari_sam3.plugin.layers.stack_axes import (
    StackAxes,
    frame_count,
    guess_axes,
    layer_video,
    video_contrast_limits,
)
from napari_sam3.video import open_video


class LazyStack:
    """An array that counts the elements read of it and can't be read whole."""

    def __init__(self, data):
        self.data, self.shape, self.dtype, self.ndim = data, data.shape, data.dtype, data.ndim
        self.size = data.size
        self.read = 0

    def __len__(self):
        return len(self.data)

    def __getitem__(self, key):
        part = self.data[key]
        self.read += part.size
        return part

    def __array__(self, dtype=None, copy=None):
        raise AssertionError("the whole stack was asked for")


def _stack(*shape, dtype=np.uint16):
    return np.random.default_rng(0).integers(0, 200, shape).astype(dtype)


def _layer(data, **arguments):
    return Image(data, **{"contrast_limits": (0, 255), "rgb": False, **arguments})


@pytest.mark.parametrize(
    ("shape", "labels", "expected"),
    [
        ((9, 20, 30), None, StackAxes(0)),
        ((20, 30), None, StackAxes(None)),
        ((9, 2, 20, 30), None, StackAxes(0, 1, {1: 0})),
        ((2, 9, 20, 30), None, StackAxes(1, 0, {0: 0})),
        ((9, 12, 20, 30), None, StackAxes(0, None, {1: 0})),
        ((9, 12, 20, 30), "tzyx", StackAxes(0, None, {1: 0})),
        ((12, 9, 20, 30), "ztyx", StackAxes(1, None, {0: 0})),
        ((9, 2, 20, 30), "ctyx", StackAxes(1, 0, {0: 0})),
        ((9, 2, 20, 30), "tcyx", StackAxes(0, 1, {1: 0})),
        ((9, 20, 30), "zyx", StackAxes(0)),
        ((3, 20, 30), "cyx", StackAxes(None, 0, {0: 0})),
        ((5, 2, 7, 20, 30), "tczyx", StackAxes(0, 1, {1: 0, 2: 0})),
    ],
)
def test_axes_are_guessed(shape, labels, expected):
    arguments = {"axis_labels": tuple(labels)} if labels else {}
    assert guess_axes(_layer(_stack(*shape), **arguments)) == expected


def test_axes_by_long_names():
    layer = _layer(_stack(3, 4, 20, 30), axis_labels=("Channel", "Time", "Y", "X"))
    assert guess_axes(layer) == StackAxes(1, 0, {0: 0})


def test_other_axes_stand_where_the_viewer_is():
    layer = _layer(_stack(9, 12, 20, 30))
    assert guess_axes(layer, (3, 7, 0, 0)).fixed == {1: 7}
    assert guess_axes(layer, (5, 3, 99, 0, 0)).fixed == {1: 11}, "longer, and beyond the end"
    assert guess_axes(layer, (0, 0)).fixed == {1: 0}, "shorter"


@pytest.mark.parametrize("wrap", [np.asarray, da.from_array, LazyStack])
@pytest.mark.parametrize(
    ("shape", "axes", "where"),
    [
        ((4, 20, 30), StackAxes(0), lambda a, t: a[t]),
        ((4, 3, 20, 30), StackAxes(0, 1, {1: 2}), lambda a, t: a[t, 2]),
        ((3, 4, 20, 30), StackAxes(1, 0, {0: 1}), lambda a, t: a[1, t]),
        ((2, 4, 3, 20, 30), StackAxes(1, None, {0: 1, 2: 0}), lambda a, t: a[1, t, 0]),
    ],
)
def test_video_has_the_frames_of_the_stack(shape, axes, where, wrap):
    data = _stack(*shape)
    video = layer_video(_layer(wrap(data)), axes)
    assert video.shape == (4, 20, 30)
    assert video.dtype == np.uint16
    for t in range(4):
        assert np.array_equal(video.frame(t), where(data, t))
    assert np.array_equal(video[1:3, 5], np.stack([where(data, t)[5] for t in (1, 2)]))


def test_one_frame_reads_one_frame():
    data = LazyStack(_stack(50, 3, 20, 30))
    video = layer_video(_layer(data), StackAxes(0, 1, {1: 2}))
    data.read = 0
    video.frame(7)
    assert data.read == 20 * 30


def test_colours_lose_their_alpha():
    data = _stack(4, 20, 30, 4, dtype=np.uint8)
    video = layer_video(Image(data, rgb=True), StackAxes(0))
    assert np.array_equal(video[2], data[2, ..., :3])


def test_picture_is_a_video_of_one_frame():
    data = _stack(20, 30, 3, dtype=np.uint8)
    layer = Image(data, rgb=True)
    axes = guess_axes(layer)
    assert frame_count(layer, axes) == 1
    assert np.array_equal(layer_video(layer, axes)[0], data)


def test_multiscale_layer_gives_its_finest_level():
    data = _stack(4, 20, 30)
    layer = Image([data, data[:, ::2, ::2]], multiscale=True, contrast_limits=(0, 255))
    assert np.array_equal(layer_video(layer, guess_axes(layer))[3], data[3])


def test_video_file_is_opened_anew(disc_folder, disc_film):
    shown = open_video(disc_folder)
    layer = Image(shown, rgb=True, contrast_limits=(0, 255))
    with layer_video(layer, guess_axes(layer)) as video:
        assert video is not shown
    assert np.array_equal(shown[3], disc_film[3]), "closing the one leaves the other open"


def test_contrast_limits_are_the_layers():
    assert video_contrast_limits(_layer(_stack(4, 20, 30), contrast_limits=(3, 90))) == (3, 90)
    assert video_contrast_limits(_layer(_stack(4, 20, 30, dtype=np.uint8))) is None


@pytest.mark.parametrize(
    ("dtype", "limits"), [(np.uint8, None), (np.uint16, (0, 65535)), (np.float32, (0, 1))]
)
def test_colours_are_shown_over_the_range_of_their_type(dtype, limits):
    layer = Image(np.zeros((4, 20, 30, 3), dtype), rgb=True)
    assert video_contrast_limits(layer) == limits


@pytest.mark.parametrize(
    ("layer", "axes", "message"),
    [
        (None, StackAxes(0), "choose an Image layer"),
        (Labels(np.zeros((4, 20, 30), int)), StackAxes(0), "Labels layer"),
        (_layer(np.zeros((0, 20, 30))), StackAxes(0), "no picture"),
        (_layer(_stack(4, 20, 30)), StackAxes(1), "can't be time"),
        (_layer(_stack(4, 20, 30)), StackAxes(7), "can't be time"),
        (_layer(_stack(4, 3, 20, 30)), StackAxes(0), r"stands still on axes \[1\]"),
        (_layer(_stack(4, 3, 20, 30)), StackAxes(0, 1, {1: 3}), "choose 0 to 2"),
    ],
)
def test_what_is_no_video_is_refused_with_the_reason(layer, axes, message):
    with pytest.raises(LayerError, match=message):
        layer_video(layer, axes)
