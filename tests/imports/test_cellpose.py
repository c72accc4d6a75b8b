"""Cellpose's files are read as plain data: nothing of a pickle is ever run."""

from __future__ import annotations

import io
import os
import pickle
import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.imports.foreign import told_of

from napari_sam3.errors import VideoError
from napari_sam3.imports import open_labels
from napari_sam3.imports.plain_pickle import read_pickle

MASKS = np.zeros((8, 9), np.uint16)
MASKS[1:4, 2:5] = 1
MASKS[5:8, 6:9] = 2


def save(path, masks, **more):
    """As Cellpose saves what it found."""
    table = {
        "outlines": masks * (masks > 1),
        "masks": masks,
        "chan_choose": [0, 0],
        "ismanual": np.zeros(int(masks.max()), bool),
        "manual_changes": [["01/02/2024, 10:00:00", "added mask", [1, [2.5, 3]]]],
        "filename": "/data/a.tif",
        "flows": [np.zeros((*masks.shape, 3), np.uint8), [], np.ones((2, 3), ">f4")],
        "est_diam": np.float64(17.5),
        "model_path": 0,
        "normalize": None,
        **more,
    }
    np.save(path, table, allow_pickle=True)
    return path


def wrap(path, pickled):
    """A pickle as NumPy keeps an array of one object."""
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": "|O", "fortran_order": False, "shape": ()})
    path.write_bytes(file.getvalue() + pickled)
    return path


def test_masks_come_as_they_are(tmp_path):
    path = save(tmp_path / "a_seg.npy", MASKS)
    labels = open_labels(path)
    assert labels.shape == (1, 8, 9)
    np.testing.assert_array_equal(labels[0], MASKS)
    stack = open_labels(save(tmp_path / "b_seg.npy", np.asfortranarray(np.stack([MASKS, MASKS]))))
    assert stack.shape == (2, 8, 9)
    np.testing.assert_array_equal(stack[1], MASKS)


def test_a_folder_is_a_series_with_its_pictures(tmp_path):
    for n in range(4):
        Image.fromarray(np.zeros((8, 9), np.uint8)).save(tmp_path / f"t{n + 5}.png")
    save(tmp_path / "t6_seg.npy", MASKS)
    save(tmp_path / "t8_seg.npy", MASKS.astype(np.uint32) * 40_000)
    labels, told = told_of(lambda: open_labels(tmp_path))
    assert labels.shape == (4, 8, 9)
    assert labels.processed_frames().tolist() == [1, 3]
    np.testing.assert_array_equal(labels[1], MASKS)
    assert labels[3].max() == 80_000
    assert not labels[2].any()
    assert any("need not be one object" in one for one in told)


@pytest.mark.parametrize("protocol", range(2, 6))
def test_plain_data_is_read_in_every_protocol(protocol):
    data = {"a": [1, -(2**70), 2.5, True, None, ("x", b"y")], "b": {"c": []}, 3: "\u00e4"}
    arrays = [np.arange(6, dtype=k).reshape(2, 3) for k in ("<i2", ">f8", "u1")]
    arrays += [np.asfortranarray(arrays[0]), np.zeros((0, 3)), np.array(7)]
    found = read_pickle(pickle.dumps([data, arrays, np.int64(5), np.bool_(True)], protocol))
    assert found[0] == data
    for one, other in zip(found[1], arrays, strict=True):
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)
    assert found[2:] == [5, True]


def test_the_place_of_a_file_is_text():
    assert read_pickle(pickle.dumps({"filename": Path("data", "a.tif")})) == {
        "filename": "data/a.tif"
    }


class Runs:
    def __init__(self, call, *arguments):
        self.call, self.arguments = call, arguments

    def __reduce__(self):
        return self.call, self.arguments


@pytest.mark.parametrize("protocol", range(2, 6))
@pytest.mark.parametrize("call", [os.mkdir, eval, np.load, open, getattr])
def test_what_would_run_is_refused_by_name_and_not_run(tmp_path, protocol, call):
    target = tmp_path / "made"
    arguments = {eval: "1/0", getattr: "x"}.get(call, str(target))
    hostile = pickle.dumps({"masks": MASKS, "x": Runs(call, arguments)}, protocol)
    path = wrap(tmp_path / "a_seg.npy", hostile)
    with pytest.raises(VideoError, match=rf"asks for '[a-z._]*{call.__name__}'"):
        open_labels(path)
    assert not target.exists()


def numpy_array(shape, kind=b"u1", data=b""):
    """The pickle of an array that says what it likes."""
    text = pickle.dumps(np.zeros(2, np.uint8), 2)
    assert b"u1" in text
    state = pickle.dumps((1, shape, 0, False, data), 2)[2:-1]
    head = b"\x80\x02cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85C\x01b\x87R"
    made = b"cnumpy\ndtype\nX" + struct.pack("<I", len(kind)) + kind + b"\x89\x88\x87R"
    return head + state.replace(b"K\x00", made, 1) + b"b."


HOSTILE = {
    "an array larger than the file": numpy_array((2**20, 2**20)),
    "an array of a shape that is none": numpy_array((-1, 4)),
    "an array of objects out of bytes": numpy_array((1,), b"O8", b"12345678"),
    "an array of records": numpy_array((1,), b"V8", b"12345678"),
    "a number to remember beyond all memory": b"\x80\x02]r\xff\xff\xff\x7f0.",
    "text longer than the file": b"\x80\x04\x8d" + struct.pack("<Q", 2**62) + b"a.",
    "no end": b"\x80\x02]",
    "nothing": b"",
    "what was never put": b"\x80\x02h\x07.",
    "a mark that is missing": b"\x80\x02]e.",
    "an outside object": b"\x80\x02]Q.",
    "a registered extension": b"\x80\x02\x82\x01.",
    "the inside of a list": b"\x80\x02]}b.",
    "a list as a function": b"\x80\x02])R.",
    "a class to be made": b"\x80\x02cnumpy\nndarray\n)\x81.",
    "a list as a key": b"\x80\x02}]]s.",
    "tuples in tuples as a key": b"\x80\x02})" + b"\x85" * 30_000 + b"Ns.",
    "an object by text": b"(lp0\nS'a'\n.",
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_pickles_are_refused_without_taking_memory(kind):
    tracemalloc.start()
    try:
        with pytest.raises(ValueError):
            read_pickle(HOSTILE[kind])
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 50e6


def test_a_list_within_itself_and_within_many_takes_no_time():
    assert isinstance(read_pickle(b"\x80\x02]q\x00h\x00a."), list)
    doubled = b"\x80\x02]q\x00" + b"".join(b"]q%c(h%ch%ce" % (n + 1, n, n) for n in range(100))
    assert len(read_pickle(doubled + b".")) == 2


def test_what_is_something_else_is_refused_by_what_it_is(tmp_path):
    path = tmp_path / "a_seg.npy"
    np.save(path, MASKS)
    with pytest.raises(VideoError, match="array of uint16 of shape"):
        open_labels(path)
    np.save(path, np.array([{"masks": 1}, 2], object), allow_pickle=True)
    with pytest.raises(VideoError, match="array of object of shape"):
        open_labels(path)
    np.save(path, {"flows": [1], "img": 2}, allow_pickle=True)
    with pytest.raises(VideoError, match=r"no masks.*it has 'flows', 'img'"):
        open_labels(path)
    np.save(path, {"masks": np.zeros((3, 4))}, allow_pickle=True)
    with pytest.raises(VideoError, match="no masks"):
        open_labels(path)
    path.write_bytes(b"PK\x03\x04 no array")
    with pytest.raises(VideoError, match="can't be read"):
        open_labels(path)
    other = tmp_path / "a.npy"
    np.save(other, MASKS)
    with pytest.raises(VideoError, match="no format of labels"):
        open_labels(other)


def test_labels_that_can_not_be_are_refused(tmp_path):
    for masks, said in (
        (-MASKS.astype(np.int32), "values -2"),
        (MASKS.astype(np.uint64) * 2**40, "renumber"),
    ):
        path = tmp_path / "a_seg.npy"
        np.save(path, {"masks": masks}, allow_pickle=True)
        with pytest.raises(VideoError, match=said):
            open_labels(path)[0]
