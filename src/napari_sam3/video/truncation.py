"""Whether a file is shorter than it says itself, as far as its bytes tell."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

_SEGMENT = bytes.fromhex("18538067")
"""Matroska's element that holds the whole video (RFC 9559, 5.1)."""

_NUT_INDEX = bytes.fromhex("4e58dd672f23e64e")
"""What the index starts with that FFmpeg writes last into a NUT file."""

_FILLER = 0x7FFFFFFF
"""No length of an AVI: its parts are split long before."""


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
            declared = int.from_bytes(head[4:], "little")
            # who can't go back to write it when all is done leaves a filler
            if head[:4] != b"RIFF" or declared == 0 or declared >= _FILLER:
                return None
            return declared + 8 > length
        if container == "mpegts" and length % 188 and length % 192 and length % 204:
            return True
        if container == "nut":
            return not _ends_with_nut_index(file)
        if container == "gif":
            return not _walk_gif(file)[1]
        if "matroska" in container:
            end = _segment_end(file)
            return None if end is None else end > length
    return None


def _ends_with_nut_index(file: BinaryIO) -> bool:
    """Whether the last eight bytes before the last checksum lead back to where an index starts."""
    length = file.seek(0, 2)
    if length < 12:
        return False
    file.seek(-12, 2)
    back = int.from_bytes(file.read(8), "big")
    if not len(_NUT_INDEX) <= back <= length:
        return False
    file.seek(-back, 2)
    return file.read(len(_NUT_INDEX)) == _NUT_INDEX


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


def count_gif_pictures(path: Path) -> int:
    """How many pictures of a GIF are whole."""
    with path.open("rb") as file:
        return _walk_gif(file)[0]


def _walk_gif(file: BinaryIO) -> tuple[int, bool]:
    """Count a GIF's whole pictures, and see whether it comes to its end (GIF89a, 17 to 27)."""
    file.seek(0)
    head = file.read(13)
    n_pictures = 0
    if len(head) < 13:
        return n_pictures, False
    file.seek(_n_bytes_of_colours(head[10]), 1)
    while True:
        kind = file.read(1)
        if kind == b"\x21":
            file.seek(1, 1)
        elif kind == b"\x2c":
            head = file.read(9)
            if len(head) < 9:
                return n_pictures, False
            file.seek(_n_bytes_of_colours(head[8]) + 1, 1)
        else:
            # some programs write zeros behind the last picture
            return n_pictures, kind in (b"\x3b", b"\x00")
        while length := file.read(1):
            if length == b"\0":
                break
            file.seek(length[0], 1)
        else:
            return n_pictures, False
        n_pictures += kind == b"\x2c"


def _n_bytes_of_colours(flags: int) -> int:
    return 3 * 2 ** ((flags & 7) + 1) if flags & 0x80 else 0
