"""What a tracker remembers after a frame, as numbers that can be kept and sent.

A checkpoint is JSON and named arrays, and as bytes it is just these one after the other: reading
one runs nothing, and takes no more memory than the bytes do. What the numbers mean its tracker
knows (`VideoTracker.checkpoint`), of what they are the session (`session.recovery`), and where they
are kept the project (`projects.checkpoints`).
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_sam3.errors import CheckpointError

MOST_BYTES = 2**28
"""Size of a checkpoint; a larger one is neither made nor read."""

_MOST_HEAD = 2**23
_MOST_ARRAYS = 200_000
_MOST_AXES = 8
_MAGIC = b"sam3 checkpoint 1\n"
_LENGTH = 8  # bytes that tell how long the head is
_DIGEST = hashlib.sha256().digest_size
_DTYPES = {
    name: np.dtype(name).newbyteorder("<")
    for name in ("uint8", "uint16", "int32", "int64", "float16", "float32", "float64")
}


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A tracker's state after a frame. Immutable.

    Attributes
    ----------
    frame : int
        0-based; what follows it in the tracker's direction can be computed from here.
    header : mapping
        JSON: what the arrays are.
    arrays : mapping of name to ndarray
        Of the dtypes uint8, uint16, int32, int64, float16, float32, float64.
    """

    frame: int
    header: Mapping[str, Any] = field(default_factory=dict)
    arrays: Mapping[str, NDArray[Any]] = field(default_factory=dict)

    @property
    def nbytes(self) -> int:
        """Size of the arrays."""
        return sum(array.nbytes for array in self.arrays.values())

    def to_bytes(self) -> bytes:
        """As `from_bytes` reads it.

        Raises
        ------
        CheckpointError
            If it is larger than `MOST_BYTES`.
        """
        arrays = {
            name: np.asarray(array, _DTYPES[array.dtype.name])
            for name, array in self.arrays.items()
        }
        told = [[name, a.dtype.name, list(a.shape)] for name, a in arrays.items()]
        head = json.dumps({"frame": self.frame, "header": self.header, "arrays": told}).encode()
        size = len(head) + self.nbytes
        if size > MOST_BYTES or len(head) > _MOST_HEAD or len(arrays) > _MOST_ARRAYS:
            raise CheckpointError(
                f"the tracker's state takes {size / 1e6:,.0f} MB, and no more than "
                f"{MOST_BYTES / 1e6:,.0f} MB are kept; a run that is stopped now is computed again "
                "from its prompts"
            )
        parts = [_MAGIC, len(head).to_bytes(_LENGTH, "little"), head]
        parts += [array.tobytes() for array in arrays.values()]
        digest = hashlib.sha256()
        for part in parts:
            digest.update(part)
        return b"".join([*parts, digest.digest()])

    @classmethod
    def from_bytes(cls, data: bytes) -> Checkpoint:
        """Read what `to_bytes` made; the arrays are views of the bytes, and read-only.

        Raises
        ------
        CheckpointError
            If it is damaged, or something else.
        """
        if not data.startswith(_MAGIC):
            raise CheckpointError("it is no checkpoint of this version of napari-sam3")
        if len(data) > MOST_BYTES + 2**12:
            raise CheckpointError(f"it takes {len(data) / 1e6:,.0f} MB, more than any is made")
        begin = len(_MAGIC) + _LENGTH
        end = len(data) - _DIGEST
        if end < begin or hashlib.sha256(memoryview(data)[:end]).digest() != data[end:]:
            raise CheckpointError("its bytes are not those that were written")
        n_head = int.from_bytes(data[len(_MAGIC) : begin], "little")
        if n_head > min(_MOST_HEAD, end - begin):
            raise CheckpointError("its head is longer than it can be")
        try:
            told = json.loads(data[begin : begin + n_head])
            frame, header = told["frame"], told["header"]
            if type(frame) is not int or frame < 0 or not isinstance(header, dict):
                raise TypeError("frame and header")
            arrays = _read_arrays(data[:end], begin + n_head, told["arrays"])
        except (ValueError, LookupError, TypeError, RecursionError) as exc:
            raise CheckpointError(f"its head can't be ({type(exc).__name__}: {exc})") from exc
        return cls(frame, header, arrays)


def _read_arrays(data: bytes, begin: int, told: Any) -> dict[str, NDArray[Any]]:
    """Arrays that fill the bytes from `begin` on, no less and no more."""
    if len(told) > _MOST_ARRAYS:
        raise ValueError(f"{len(told)} arrays")
    arrays: dict[str, NDArray[Any]] = {}
    for name, dtype_name, shape in told:
        dtype = _DTYPES[dtype_name]
        if len(shape) > _MOST_AXES or any(type(n) is not int or n < 0 for n in shape):
            raise ValueError(f"shape {shape!r}"[:80])
        count = math.prod(shape)
        if count * dtype.itemsize > len(data) - begin:
            raise ValueError(f"array {name!r} is longer than the file"[:80])
        array = np.frombuffer(data, dtype, count, begin).reshape(shape)
        arrays[str(name)] = array.astype(dtype.newbyteorder("="), copy=False)
        begin += count * dtype.itemsize
    if begin != len(data):
        raise ValueError("there are bytes behind the last array")
    return arrays
