"""What is said between a session and the worker that computes for it: JSON and bytes.

A message is a head, which is JSON, and masks: a table of their boxes in the head, and the bits of
all of them in one deflated piece. Nothing is pickled. What comes in was written by another program:
sizes are checked before memory is taken, and what does not fit together is a `WireError`.
"""

from __future__ import annotations

import json
import math
import struct
import zlib
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import version
from typing import Any

import numpy as np

from napari_sam3 import errors
from napari_sam3.errors import ComputeError, Sam3Error, WireError
from napari_sam3.values import MOST_PIXELS, ObjectMask

VERSION = 1
"""Of what is said; both sides must speak the same one."""

RELEASE = version("napari-sam3")
"""Of this program."""

MOST_HEAD = 2**26
"""Bytes of the JSON of one message."""

MOST_MASKED = 2**31
"""Pixels of all masks of one message."""

_MAGIC = b"NS3W"
_PREFIX = struct.Struct("<4sI")
_COUNT = struct.Struct("<I")
_MOST_DEFLATED = 1032  # times; no deflated piece gives more than that of its own size

Head = dict[str, Any]


def encode(head: Mapping[str, Any], masks: Sequence[ObjectMask] = ()) -> bytes:
    """Write a message.

    Parameters
    ----------
    head : mapping
        What JSON can say; it refers to masks by their place.
    masks : sequence of ObjectMask
    """
    said = dict(head)
    if masks:
        said["masks"] = [[*m.bbox, *m.size, float(m.score)] for m in masks]
    text = json.dumps(said, allow_nan=False, separators=(",", ":")).encode()
    bits = b"".join(np.packbits(m.crop).tobytes() for m in masks)
    return _PREFIX.pack(_MAGIC, len(text)) + text + (zlib.compress(bits, 1) if masks else b"")


def decode(data: bytes) -> tuple[Head, list[ObjectMask]]:
    """Read what `encode` wrote; masks are read-only, as all masks are.

    Raises
    ------
    WireError
        If it is something else.
    """
    if not isinstance(data, bytes | bytearray | memoryview) or len(data) < _PREFIX.size:
        raise WireError("a message that came is too short; is it another version that speaks?")
    magic, length = _PREFIX.unpack_from(data)
    if magic != _MAGIC or length > min(MOST_HEAD, len(data) - _PREFIX.size):
        raise WireError(
            f"a message that came begins with {bytes(data[:8])!r}, which is none of ours"
        )
    end = _PREFIX.size + length
    try:
        head = json.loads(bytes(data[_PREFIX.size : end]))
    except (ValueError, RecursionError) as exc:
        raise WireError(f"the head of a message that came is no JSON: {exc}") from exc
    if not isinstance(head, dict):
        raise WireError(f"the head of a message that came is {head!r:.80}, not a table")
    return head, _decode_masks(head.pop("masks", []), data[end:])


def is_message(data: bytes) -> bool:
    """Whether data are one message, as against several that were joined."""
    return data.startswith(_MAGIC)


def _decode_masks(table: Any, deflated: bytes) -> list[ObjectMask]:
    if not isinstance(table, list):
        raise WireError(f"the masks of a message that came are {table!r:.80}, not a list")
    rows = [_check_row(row) for row in table]
    areas = [(y1 - y0) * (x1 - x0) for (x0, y0, x1, y1), _, _ in rows]
    n_bytes = sum((area + 7) // 8 for area in areas)
    if sum(areas) > MOST_MASKED or n_bytes > _MOST_DEFLATED * (len(deflated) + 1):
        raise WireError(
            f"the masks of a message that came have {sum(areas):,} pixels, which {len(deflated):,} "
            f"bytes can't hold, or more than {MOST_MASKED:,}"
        )
    if not rows:
        return []
    inflater = zlib.decompressobj()
    try:
        packed = inflater.decompress(deflated, n_bytes)
    except zlib.error as exc:
        raise WireError(f"the masks of a message that came are damaged: {exc}") from exc
    if len(packed) != n_bytes or inflater.unconsumed_tail:
        raise WireError("the masks of a message that came are damaged: their bits do not fit")
    bits = np.frombuffer(packed, np.uint8)
    masks, place = [], 0
    for (bbox, size, score), area in zip(rows, areas, strict=True):
        x0, y0, x1, y1 = bbox
        own = bits[place : place + (area + 7) // 8]
        place += len(own)
        crop = np.unpackbits(own, count=area).view(bool).reshape(y1 - y0, x1 - x0)
        crop.flags.writeable = False
        masks.append(ObjectMask(crop, bbox, size, score))
    return masks


def _check_row(row: Any) -> tuple[tuple[int, int, int, int], tuple[int, int], float]:
    is_row = isinstance(row, list) and len(row) == 7 and all(type(v) is int for v in row[:6])
    if is_row and isinstance(row[6], int | float) and not isinstance(row[6], bool):
        x0, y0, x1, y1, height, width = row[:6]
        fits = 0 <= x0 < x1 <= width and 0 <= y0 < y1 <= height and height * width <= MOST_PIXELS
        if fits and 0 <= row[6] <= 1:
            return (x0, y0, x1, y1), (height, width), float(row[6])
    raise WireError(f"a mask of a message that came is {row!r:.120}: no box that lies in a frame")


# -------------------------------------------------------------------- several


def join(messages: Iterable[bytes]) -> bytes:
    """Several messages as one piece."""
    parts = list(messages)
    lengths = b"".join(_COUNT.pack(len(part)) for part in parts)
    return _COUNT.pack(len(parts)) + lengths + b"".join(parts)


def split(data: bytes) -> list[bytes]:
    """The messages that `join` joined.

    Raises
    ------
    WireError
        If it is something else.
    """
    if len(data) < _COUNT.size:
        raise WireError("what came holds no messages")
    (count,) = _COUNT.unpack_from(data)
    place = _COUNT.size * (count + 1)
    if place > len(data):
        raise WireError(f"what came tells of {count:,} messages and has {len(data):,} bytes")
    lengths = struct.unpack_from(f"<{count}I", data, _COUNT.size)
    if place + sum(lengths) != len(data):
        raise WireError(f"what came has {len(data):,} bytes and tells of {place + sum(lengths):,}")
    parts = []
    for length in lengths:
        parts.append(bytes(data[place : place + length]))
        place += length
    return parts


# --------------------------------------------------------------------- errors


def encode_error(error: BaseException) -> bytes:
    """An error as its name and its text."""
    return encode({"error": [type(error).__name__, str(error)]})


def raise_error(head: Mapping[str, Any], where: str) -> None:
    """Raise the error that a message tells of, as our own of that name; nothing if it has none.

    Parameters
    ----------
    head : mapping
        Of the message.
    where : str
        The worker's address, for what is no error of ours.
    """
    said = head.get("error")
    if said is None:
        return
    if not (isinstance(said, list) and len(said) == 2 and all(isinstance(s, str) for s in said)):
        raise WireError(f"an error that came is {said!r:.80}, not its name and its text")
    name, text = said
    known = getattr(errors, name, None)
    if isinstance(known, type) and issubclass(known, Sam3Error):
        raise known(text)
    raise ComputeError(
        f"on the worker {where} something went wrong that should not have: {name}: {text}"
    )


# --------------------------------------------------------------- taking apart


def whole(value: Any, low: int = 0, high: int = 2**53) -> int:
    """A whole number of a message.

    Raises
    ------
    WireError
        If it is something else, or out of range.
    """
    if type(value) is not int or not low <= value <= high:
        raise WireError(f"a message that came says {value!r:.80}, not a number {low} to {high}")
    return value


def items(value: Any) -> list[Any]:
    """A list of a message.

    Raises
    ------
    WireError
        If it is something else.
    """
    if not isinstance(value, list):
        raise WireError(f"a message that came says {value!r:.80}, not a list")
    return value


def pairs(value: Any) -> list[tuple[Any, Any]]:
    """A list of pairs of a message.

    Raises
    ------
    WireError
        If it is something else.
    """
    found = items(value)
    if not all(isinstance(pair, list) and len(pair) == 2 for pair in found):
        raise WireError(f"a message that came says {value!r:.80}, not a list of pairs")
    return [(pair[0], pair[1]) for pair in found]


def numbers(value: Any, columns: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Rows of finite numbers of a message, (N, columns).

    Raises
    ------
    WireError
        If it is something else.
    """
    rows = items(value)
    for row in rows:
        is_row = isinstance(row, list) and len(row) == columns
        if not is_row or not all(type(v) in (int, float) and math.isfinite(v) for v in row):
            raise WireError(f"a message that came says {row!r:.80}, not {columns} numbers")
    return np.array(rows, np.float64).reshape(-1, columns)
