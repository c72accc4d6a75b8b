"""Arrays that people hand over as videos: what is taken, and what is refused at once."""

from __future__ import annotations

from typing import Any

import dask.array
import numpy as np
import pytest

from napari_sam3.errors import VideoError
from napari_sam3.video import as_video

FILM = np.random.default_rng(0).integers(0, 255, (5, 12, 9), np.uint8)


@pytest.mark.parametrize("channels", [3, 4])
def test_one_colour_picture_is_no_video(channels: int) -> None:
    picture = np.zeros((64, 96, channels), np.uint8)
    with pytest.raises(VideoError, match=r"looks like one colour picture.*array\[None\]"):
        as_video(picture)
    assert as_video(picture[None]).shape == (1, 64, 96, 3)
    assert as_video(picture[..., None]).shape == (64, 96, channels)


def test_a_last_axis_of_one_is_no_colour() -> None:
    video = as_video(FILM[..., None])
    assert video.shape == FILM.shape
    np.testing.assert_array_equal(video[2], FILM[2])


WRONG: dict[str, tuple[Any, str]] = {
    "a number": (5, "a int is no video"),
    "a list of numbers": ([1, 2], "frame 0 is a int, not an array"),
    "no axes": (np.zeros(()), r"of shape \(\)"),
    "one axis": (np.zeros(7), r"of shape \(7,\)"),
    "a picture": (FILM[0], "first axis to a single picture"),
    "five axes": (np.zeros((2, 2, 2, 2, 2)), r"which channel\?.*which depth\?"),
    "colours in front": (np.zeros((5, 3, 12, 9)), r"np\.moveaxis\(array, 1, -1\)"),
    "no frames": (np.zeros((0, 12, 9)), "holds nothing"),
    "objects": (FILM.astype(object), "array of object"),
    "complex": (FILM.astype(complex), "array of complex128"),
    "text": (FILM.astype(str), "convert it"),
    "times": (FILM.astype("M8[s]"), "convert it"),
    "fields": (np.zeros((5, 12, 9), [("r", "u1"), ("g", "u1")]), "convert it"),
}


@pytest.mark.parametrize(("source", "message"), WRONG.values(), ids=WRONG)
def test_what_is_no_video_is_refused(source: Any, message: str) -> None:
    with pytest.raises(VideoError, match=message):
        as_video(source)


def test_a_lazy_array_whose_size_is_not_known_yet_is_refused() -> None:
    lazy = dask.array.from_array(FILM, chunks=(1, 12, 9))
    with pytest.raises(VideoError, match="compute_chunk_sizes"):
        as_video(lazy[lazy[:, 0, 0] > 0])


def test_what_a_lazy_array_raises_names_the_frame() -> None:
    def fail(block: np.ndarray) -> np.ndarray:
        raise ZeroDivisionError("in somebody's function")

    lazy = dask.array.from_array(FILM, chunks=(1, 12, 9)).map_blocks(fail, dtype=np.uint8)
    with pytest.raises(VideoError, match=r"frame 3 of the array.*somebody's function"):
        as_video(lazy)[3]


class Tensor:
    """As PyTorch's: a type of numbers of its own, and no way to NumPy before it is detached."""

    dtype = "torch.float32"

    def __init__(self, array: np.ndarray, *, is_detached: bool = False) -> None:
        self._array, self._is_detached = array, is_detached
        self.shape = array.shape

    def __getitem__(self, key: Any) -> Tensor:
        return Tensor(self._array[key])

    def detach(self) -> Tensor:
        return Tensor(self._array, is_detached=True)

    def cpu(self) -> Tensor:
        return self

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        if not self._is_detached:
            raise RuntimeError("can't call numpy() on a tensor that requires grad")
        return self._array


def test_a_tensor_is_taken_frame_by_frame() -> None:
    video = as_video(Tensor(FILM))
    assert (video.shape, video.dtype) == (FILM.shape, np.uint8)
    np.testing.assert_array_equal(video[:], FILM)


@pytest.mark.parametrize("kind", ["uint8", "int16", "float32", "bool"])
def test_pytorch_tensors(kind: str) -> None:
    torch = pytest.importorskip("torch")
    tensor = torch.from_numpy(FILM).to(getattr(torch, kind))
    video = as_video(tensor)
    assert video.dtype == kind
    np.testing.assert_array_equal(video[3], FILM[3].astype(kind))
    if kind == "float32":
        np.testing.assert_array_equal(as_video(tensor.requires_grad_())[3], FILM[3])


def test_a_tensor_of_a_kind_that_numpy_has_not_is_refused_at_once() -> None:
    torch = pytest.importorskip("torch")
    with pytest.raises(VideoError, match="can't be had as numbers of NumPy"):
        as_video(torch.zeros((5, 12, 9), dtype=torch.bfloat16))
