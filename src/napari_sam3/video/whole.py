"""Whether a file is whole, as far as it can be told, and what is said to the user if not."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import BinaryIO

_SEGMENT = bytes.fromhex("18538067")
"""Matroska's element that holds the whole video (RFC 9559, 5.1)."""

_NUT_INDEX = bytes.fromhex("4e58dd672f23e64e")
"""What the index starts with that FFmpeg writes last into a NUT file."""

_FILLER = 0x7FFFFFFF
"""No length of an AVI: its parts are split long before."""


def warn_of_loss(path: Path, lost: int | None, n_frames: int, *, has_holes: bool) -> None:
    """Tell the user of frames that are missing.

    Parameters
    ----------
    path : Path
    lost : int or None
        How many, 0 for none; None if some, but the file does not say how many.
    n_frames : int
        How many can be read.
    has_holes : bool
        Whether they are missing from the middle rather than at the end.
    """
    if lost == 0:
        return
    many = f"{lost} frame{'s' * (lost != 1)}" if lost else "frames (how many it does not say)"
    what = f"is damaged: {many}" if has_holes else f"breaks off: {many} at its end"
    verb = "is" if lost == 1 else "are"
    warnings.warn(f"{path.name!r} {what} {verb} lost, {n_frames} can be read", stacklevel=4)


def warn_of_left_out(path: Path, n_frames: int, n_places: int) -> None:
    """Tell the user of frames that are missing among others by their times."""
    if n_frames:
        warnings.warn(
            f"by the times of the others {n_frames} frame{'s' * (n_frames != 1)} of {path.name!r} "
            f"{'is' if n_frames == 1 else 'are'} missing in {n_places} "
            f"place{'s' * (n_places != 1)}: lost, or left out when it was recorded; the frames "
            "that are there are counted on without a gap",
            stacklevel=4,
        )


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
            told = int.from_bytes(head[4:], "little")
            # who can't go back to write it when all is done leaves a filler
            if head[:4] != b"RIFF" or told == 0 or told >= _FILLER:
                return None
            return told + 8 > length
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
