"""LabelStack, in memory and on disk, behave as the NumPy array that they stand for."""

from __future__ import annotations

import copy
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from napari_sam3.labels.label_stack import LabelStack
from napari_sam3.labels.label_store import LabelStore

SHAPE = (6, 7, 9)
MASK = np.random.default_rng(5).random(SHAPE) > 0.7
KEYS = [
    2,
    -1,
    np.int64(3),
    np.array(4),
    slice(None),
    slice(1, 5, 2),
    slice(4, 0, -1),
    slice(3, 3),
    ...,
    (..., 3),
    (2, ...),
    (0, 1, 2),
    (-1, -2, -3),
    (1, slice(2, 5), slice(3, 8)),
    (slice(1, 3), 4),
    (slice(None), slice(2, 4), 5),
    (slice(None), [1, 2], [3, 4]),
    (slice(None), [1, 2]),
    (3, [1, 2], [3, 4]),
    (3, slice(None), [3, 4]),
    [1, 3, -2],
    [],
    ([4, 1], slice(2, 5), slice(None)),
    ([4, 1], slice(2, 5), [0, 2]),
    ([1, 1, 5], [2, 3, 4], [0, 1, 8]),
    (np.array([[1], [2]]), 3, np.array([[0, 1]])),
    (np.array([], int), np.array([], int), np.array([], int)),
    MASK,
    (MASK[:, 0, 0],),
    (MASK[:, :, 0],),
    (2, MASK[0]),
]


@pytest.fixture(params=["one open frame", "all open", "on disk"])
def pair(request, tmp_path):
    """The stack, and the array that they must equal."""
    array = np.random.default_rng(0).integers(0, 4, SHAPE).astype(np.uint16)
    array[3] = 0
    if request.param == "on disk":
        stack = LabelStore.create(tmp_path, SHAPE, cache_bytes=1)
    else:
        stack = LabelStack(SHAPE, cache_bytes=2**26 if request.param == "all open" else 1)
    for frame_index in (0, 1, 2, 4, 5):
        stack[frame_index] = array[frame_index]
    yield stack, array
    stack.close()


@pytest.mark.parametrize("key", KEYS, ids=str)
def test_reads_as_numpy_does_and_hands_out_what_may_be_changed(pair, key):
    stack, array = pair
    found = stack[key]
    np.testing.assert_array_equal(found, array[key])
    assert found.shape == array[key].shape
    assert found.dtype == array.dtype
    if isinstance(found, np.ndarray):
        found[...] = 99
        np.testing.assert_array_equal(stack[:], array)


@pytest.mark.parametrize("key", KEYS, ids=str)
def test_writes_as_numpy_does(pair, key):
    stack, array = pair
    shape = array[key].shape
    values = np.arange(int(np.prod(shape))).reshape(shape) % 50
    stack[key] = values
    array[key] = values
    np.testing.assert_array_equal(stack[:], array)
    stack[key] = 7
    array[key] = 7
    np.testing.assert_array_equal(np.asarray(stack), array)


@pytest.mark.parametrize(
    "key",
    [6, -7, (0, 7), ([0, 9], 0, 0), (0, 0, 0, 0), None, True, 1.5, (..., ...), MASK[:, :3], "a"],
    ids=str,
)
def test_refuses_a_wrong_index_and_changes_nothing(pair, key):
    stack, array = pair
    with pytest.raises(IndexError):
        stack[key]
    with pytest.raises(IndexError):
        stack[key] = 1
    np.testing.assert_array_equal(stack[:], array)


def test_refuses_a_label_that_would_be_wrapped_round():
    stack = LabelStack((2, 3, 4), np.uint8)
    with pytest.raises(ValueError, match="label 256 does not fit into uint8"):
        stack[0] = np.full((3, 4), 256)
    with pytest.raises(ValueError, match="label -1"):
        stack[0, 0, 0] = -1
    with pytest.raises(TypeError, match="float64"):
        stack[0] = np.ones((3, 4))
    with pytest.raises(ValueError, match="broadcast"):
        stack[0] = np.ones((4, 3), int)
    assert stack.processed_frames().size == 0


@pytest.mark.parametrize("shape", [(0, 4, 4), (4, 4), (1, 2, 3, 4)])
def test_refuses_a_shape_that_is_no_video(shape):
    with pytest.raises(ValueError, match="frames, height, width"):
        LabelStack(shape)


def test_refuses_labels_that_are_no_integers():
    with pytest.raises(ValueError, match="float32"):
        LabelStack((1, 2, 3), np.float32)


def test_tells_background_from_never_written():
    stack = LabelStack(SHAPE)
    stack[4] = np.zeros(SHAPE[1:], np.uint16)
    stack[1, 2, 3] = 5
    assert stack.is_processed(4)
    assert not stack.is_processed(0)
    np.testing.assert_array_equal(stack.processed_frames(), [1, 4])


def test_a_long_video_takes_memory_for_what_is_used_only():
    stack = LabelStack((108_000, 1080, 1920), cache_bytes=8 * 2**20)
    assert stack.memory_bytes == 0
    rows, columns = np.mgrid[:1080, :1920]
    disc = ((rows - 500) ** 2 + (columns - 900) ** 2 < 200**2).astype(np.uint16)
    for frame_index in range(0, 108_000, 5400):
        stack[frame_index] = disc * 3
    assert stack.memory_bytes < 9 * 2**20
    np.testing.assert_array_equal(stack[5400], disc * 3)
    assert stack[5401].max() == 0
    assert stack.max() == 3


def test_copies_are_their_own():
    stack = LabelStack(SHAPE)
    stack[0, 1, 1] = 3
    for other in (stack.copy(), copy.deepcopy(stack)):
        other[0, 1, 1] = 8
        other[2] = 1
        assert stack[0, 1, 1] == 3
        assert not stack.is_processed(2)
        assert other.is_processed(0)


def test_changes_its_type_without_losing_labels(pair):
    stack, array = pair
    wide = stack.astype(np.uint32)
    assert wide.dtype == np.uint32
    np.testing.assert_array_equal(wide[:], array)
    stack[0, 0, 0] = 300
    with pytest.raises(ValueError, match="300"):
        stack.astype(np.uint8)


def test_knows_its_least_and_greatest_label(pair):
    stack, array = pair
    stack[2, 3, 3] = array[2, 3, 3] = 41
    assert np.max(stack) == 41
    assert np.min(stack) == 0
    np.testing.assert_array_equal(np.max(stack, axis=0), array.max(axis=0))
    stack[:] = 2
    assert (stack.min(), stack.max()) == (2, 2)


@pytest.mark.parametrize("where", ["in memory", "on disk"])
def test_frames_stay_whole_when_threads_read_and_write_them(where, tmp_path):
    shape, cache_bytes = (8, 40, 50), 2 * 40 * 50 * 2
    if where == "in memory":
        stack = LabelStack(shape, cache_bytes=cache_bytes)
    else:
        stack = LabelStore.create(tmp_path, shape, cache_bytes=cache_bytes)

    def write_and_read(label: int) -> bool:
        for frame_index in range(8):
            frame = np.full((40, 50), label, np.uint16)
            if label % 2:
                stack.draw(frame_index, frame)
            else:
                stack[frame_index] = frame
            if len(np.unique(stack[(frame_index + label) % 8])) != 1:
                return False
        return True

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(write_and_read, range(1, 25)))
    stack.close()


def test_looking_at_edits_takes_none():
    stack = LabelStack((2, 4, 4))
    stack[0, 1, 1] = 3
    seen = stack.edits([3])
    assert seen.keys() == {(0, 3)}
    assert seen[0, 3].sum() == 1
    assert stack.is_edited(0)
    assert stack.take_edits([3]).keys() == {(0, 3)}
    assert stack.edits([3]) == {}
