"""Telling a video by its content without reading all of it: an hour of film in a millisecond."""

from __future__ import annotations

import hashlib
from pathlib import Path

from napari_sam3.errors import VideoError
from napari_sam3.video.numbering import natural_key

SAMPLE = 2**20
"""Bytes that are read at the beginning, in the middle and at the end."""


def hash_samples(path: Path) -> str:
    """A hash of what a video file, or a folder of frames, holds; wherever it lies.

    Of a file SHA-256 of the number of its bytes as a decimal with a line feed, then its first,
    middle and last MiB (the middle one begins at half the size less half a MiB); of a file of at
    most 3 MiB all of it. Of a folder SHA-256 of the lines "<bytes> <name>" of its files in natural
    order of their names, hidden ones left out, then of the hash, as hexadecimal digits, of the
    first, the middle and the last file.

    Returns
    -------
    str
        64 hexadecimal digits.

    Raises
    ------
    VideoError
        If it can't be read.
    """
    try:
        return _hash_folder(path) if path.is_dir() else _hash_file(path)
    except OSError as exc:
        raise VideoError(f"{str(path)!r} can't be read ({exc.strerror or exc})") from exc


def _hash_file(path: Path) -> str:
    with path.open("rb") as file:
        size = file.seek(0, 2)
        digest = hashlib.sha256(b"%d\n" % size)
        if size <= 3 * SAMPLE:
            places = [(0, size)]
        else:
            places = [(0, SAMPLE), ((size - SAMPLE) // 2, SAMPLE), (size - SAMPLE, SAMPLE)]
        for place, length in places:
            file.seek(place)
            digest.update(file.read(length))
    return digest.hexdigest()


def _hash_folder(path: Path) -> str:
    files = sorted(
        (f for f in path.iterdir() if not f.name.startswith(".") and f.is_file()), key=natural_key
    )
    digest = hashlib.sha256()
    for file in files:
        digest.update(f"{file.stat().st_size} {file.name}\n".encode("utf-8", "surrogateescape"))
    for number in sorted({0, len(files) // 2, len(files) - 1}) if files else ():
        digest.update(_hash_file(files[number]).encode())
    return digest.hexdigest()


def count_bytes(path: Path) -> int:
    """Bytes of a file, or of all files in a folder.

    Raises
    ------
    VideoError
        If it can't be read.
    """
    try:
        files = [f for f in path.iterdir() if f.is_file()] if path.is_dir() else [path]
        return sum(f.stat().st_size for f in files)
    except OSError as exc:
        raise VideoError(f"{str(path)!r} can't be read ({exc.strerror or exc})") from exc
