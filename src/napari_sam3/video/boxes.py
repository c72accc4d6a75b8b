"""The boxes of MP4 and QuickTime files (ISO/IEC 14496-12, 4.2)."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO

LARGEST = 2**28
"""A box of tables larger than this is no table (a day of video at 100 fps takes 2**27 bytes)."""

_BEGINNINGS = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot")


def walk_boxes(file: BinaryIO, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Walk over the boxes at the top of a file: kind, and where the contents start and stop."""
    while start + 8 <= end:
        file.seek(start)
        head = file.read(16)
        size, kind, body = int.from_bytes(head[:4], "big"), head[4:8], start + 8
        if size == 1:
            size, body = int.from_bytes(head[8:16], "big"), start + 16
        elif size == 0:
            size = end - start
        if start + size < body:
            return
        yield kind, body, min(start + size, end)
        start += size


def children(box: memoryview) -> Iterator[tuple[bytes, memoryview]]:
    """Walk over the boxes inside a box."""
    start = 0
    while start + 8 <= len(box):
        size = int.from_bytes(box[start : start + 4], "big")
        if size < 8:
            return
        yield bytes(box[start + 4 : start + 8]), box[start + 8 : start + size]
        start += size


def child(box: memoryview | None, *kinds: bytes) -> memoryview | None:
    """The first box of these nested kinds."""
    for kind in kinds:
        if box is None:
            return None
        box = next((inner for name, inner in children(box) if name == kind), None)
    return box


def read_moov(file: BinaryIO, end: int) -> memoryview | None:
    """What the box of the tables holds; None where there is none in the file up to `end`."""
    for kind, start, stop in walk_boxes(file, 0, end):
        if kind == b"moov" and stop - start <= LARGEST:
            file.seek(start)
            return memoryview(file.read(stop - start))
    return None


@lru_cache(maxsize=64)
def most_samples(path: Path, size: int, changed_ns: int) -> int:
    """How many samples the tables of a file announce for the track with most of them.

    Parameters
    ----------
    path : Path
    size, changed_ns : int
        Its size and time of change: the answer for an unchanged file is remembered.
    """
    with path.open("rb") as file:
        if file.read(8)[4:] not in _BEGINNINGS:
            return 0
        moov = read_moov(file, size)
    tables = [
        child(trak, b"mdia", b"minf", b"stbl", b"stsz")
        for kind, trak in children(moov or memoryview(b""))
        if kind == b"trak"
    ]
    return max((int.from_bytes(t[8:12], "big") for t in tables if t is not None), default=0)
