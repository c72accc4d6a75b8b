"""Whether a file breaks off before its end, as far as its container can tell."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

_SEGMENT = bytes.fromhex("18538067")
"""Matroska's element that holds the whole video (RFC 9559, 5.1)."""


def is_cut_short(path: Path, container: str) -> bool | None:
    """Whether a file is shorter than it says itself.

    Parameters
    ----------
    path : Path
    container : str
        FFmpeg's name of the format.

    Returns
    -------
    bool or None
        None where it can't be told (raw streams; MPEG-TS, unless cut inside one of its cells).
    """
    length = path.stat().st_size
    with path.open("rb") as file:
        if container == "avi":
            head = file.read(8)
            return head[:4] == b"RIFF" and int.from_bytes(head[4:], "little") + 8 > length
        if container == "mpegts" and length % 188 and length % 192 and length % 204:
            return True
        if container == "gif":
            file.seek(-1, 2)
            return file.read(1) not in (b"\x3b", b"\x00")
        if "matroska" in container:
            end = _segment_end(file)
            return None if end is None else end > length
    return None


def _segment_end(file: BinaryIO) -> int | None:
    """Where a Matroska file should end; None where it does not say (a live recording)."""
    head = file.read(4096)
    start = head.find(_SEGMENT)
    if start < 0 or start + 5 > len(head):
        return None
    # the number of leading zero bits tells how many bytes the size has
    place = start + 4
    width = 9 - head[place].bit_length()
    if width > 8:
        return None
    size = int.from_bytes(head[place : place + width], "big") & ((1 << 7 * width) - 1)
    if size == (1 << 7 * width) - 1:
        return None
    return place + width + size
