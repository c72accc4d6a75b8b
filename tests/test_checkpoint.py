"""A checkpoint is what it was, or it is refused."""

from __future__ import annotations

import hashlib
import json

import numpy as np
import pytest

from napari_sam3 import checkpoint as module
from napari_sam3.checkpoint import Checkpoint
from napari_sam3.errors import CheckpointError

DTYPES = ("uint8", "uint16", "int32", "int64", "float16", "float32", "float64")


def make():
    rng = np.random.default_rng(0)
    arrays = {name: rng.integers(0, 99, (3, 5)).astype(name) for name in DTYPES}
    arrays |= {"empty": np.zeros((0, 4), np.uint8), "one": np.float32(3.5).reshape(())}
    return Checkpoint(12, {"kind": "ä", "values": [1, 0.1, None]}, arrays)


def forge(head, body=b""):
    """Bytes with a right digest, of somebody who knows the form."""
    text = head if isinstance(head, bytes) else json.dumps(head).encode()
    data = module._MAGIC + len(text).to_bytes(8, "little") + text + body
    return data + hashlib.sha256(data).digest()


def test_is_read_as_it_was():
    before = make()
    after = Checkpoint.from_bytes(before.to_bytes())
    assert (after.frame, after.header) == (before.frame, before.header)
    assert after.arrays.keys() == before.arrays.keys()
    for name, array in before.arrays.items():
        assert after.arrays[name].dtype == array.dtype
        assert after.arrays[name].shape == array.shape
        assert np.array_equal(after.arrays[name], array)


def test_what_lies_otherwise_in_memory_is_the_same():
    array = np.arange(24, dtype=">f4").reshape(4, 6)[::2, ::-1].T
    after = Checkpoint.from_bytes(Checkpoint(0, {}, {"a": array}).to_bytes())
    assert np.array_equal(after.arrays["a"], array)


def test_whatever_is_changed_or_missing_is_noticed():
    data = make().to_bytes()
    for place in range(0, len(data), 41):
        changed = bytearray(data)
        changed[place] ^= 4
        with pytest.raises(CheckpointError):
            Checkpoint.from_bytes(bytes(changed))
    for length in (0, 1, 17, 18, 26, 60, len(data) - 1):
        with pytest.raises(CheckpointError):
            Checkpoint.from_bytes(data[:length])
    with pytest.raises(CheckpointError):
        Checkpoint.from_bytes(data + b"\0")


HEADS = {
    "no json": b"{",
    "no table": [],
    "no frame": {"header": {}, "arrays": []},
    "negative frame": {"frame": -1, "header": {}, "arrays": []},
    "header is no table": {"frame": 0, "header": [], "arrays": []},
    "larger than the file": {"frame": 0, "header": {}, "arrays": [["a", "float64", [2**40]]]},
    "sizes that overflow": {
        "frame": 0,
        "header": {},
        "arrays": [["a", "uint8", [2**40, 2**40, 2**40]]],
    },
    "negative sizes": {"frame": 0, "header": {}, "arrays": [["a", "uint8", [-1, -4]]]},
    "too many axes": {"frame": 0, "header": {}, "arrays": [["a", "uint8", [1] * 99]]},
    "objects": {"frame": 0, "header": {}, "arrays": [["a", "object", [1]]]},
    "bytes left over": {"frame": 0, "header": {}, "arrays": [["a", "uint8", [1]]]},
    "nested deep": b'{"frame": 0, "header": ' + b'{"a":' * 90_000,
}


@pytest.mark.parametrize("what", HEADS)
def test_what_was_made_to_do_harm_is_refused(what):
    with pytest.raises(CheckpointError):
        Checkpoint.from_bytes(forge(HEADS[what], b"12345678"))


def test_a_head_longer_than_the_file_is_refused():
    data = module._MAGIC + (2**60).to_bytes(8, "little") + b"{}"
    with pytest.raises(CheckpointError):
        Checkpoint.from_bytes(data + hashlib.sha256(data).digest())


def test_what_is_too_large_is_not_made(monkeypatch):
    monkeypatch.setattr(module, "MOST_BYTES", 1000)
    with pytest.raises(CheckpointError, match="MB"):
        Checkpoint(0, {}, {"a": np.zeros(2000, np.uint8)}).to_bytes()
