"""Telling videos by their content: exactly, or in a millisecond by samples of it."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

from napari_sam3.errors import VideoError
from napari_sam3.video.folder_contents import files_at, is_pattern, is_zarr, nested_files
from napari_sam3.video.numbered_files import natural_key

SAMPLE = 2**20
"""Bytes that are read at the beginning, in the middle and at the end."""


def hash_content(path: Path) -> str:
    """SHA-256 of a file, as `sha256sum` prints it; of a folder's files by name, see below.

    Of a folder, or a pattern that names files, the lines "<sha256 of the file>  <name>" of its
    files in order of their names, each with a line feed, are hashed; of a folder of Zarr also those
    of the folders in it, with their ways, but not of its "labels". An unchanged file is read once
    in a run of the program.

    Raises
    ------
    VideoError
        If it can't be read.
    """
    with _reading(path):
        if not _is_of_files(path):
            return _hash_whole_file(path)
        lines = hashlib.sha256()
        for file in sorted(_files_of(path)):
            name = os.fsencode(file.relative_to(_home(path)).as_posix())
            lines.update(f"{_hash_whole_file(file)}  ".encode() + name + b"\n")
        return lines.hexdigest()


def hash_samples(path: Path) -> str:
    """A hash of what a video file, a folder of frames or a pattern holds; wherever it lies.

    Of a file SHA-256 of the number of its bytes as a decimal with a line feed, then its first,
    middle and last MiB (the middle one begins at half the size less half a MiB); of a file of at
    most 3 MiB all of it. Of a folder SHA-256 of the lines "<bytes> <name>" of its files in natural
    order of their names, hidden ones left out, then of the hash, as hexadecimal digits, of the
    first, the middle and the last file. Of a folder of Zarr all files count, with their ways, in
    plain order, but not those of its "labels".

    Returns
    -------
    str
        64 hexadecimal digits.

    Raises
    ------
    VideoError
        If it can't be read.
    """
    with _reading(path):
        if not _is_of_files(path):
            return _hash_file_samples(path)
        files = _files_of(path)
        if not is_zarr(path):
            files = [file for file in files if not file.name.startswith(".")]
            files.sort(key=natural_key)
        digest, home = hashlib.sha256(), _home(path)
        for file in files:
            line = f"{file.stat().st_size} {file.relative_to(home).as_posix()}\n"
            digest.update(line.encode("utf-8", "surrogateescape"))
        for number in sorted({0, len(files) // 2, len(files) - 1}) if files else ():
            digest.update(_hash_file_samples(files[number]).encode())
        return digest.hexdigest()


def count_bytes(path: Path) -> int:
    """Bytes of a file, or of all files in a folder or of a pattern.

    Raises
    ------
    VideoError
        If it can't be read.
    """
    with _reading(path):
        files = _files_of(path) if _is_of_files(path) else [path]
        return sum(file.stat().st_size for file in files)


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        raise VideoError(f"{str(path)!r} can't be read ({exc.strerror or exc})") from exc


def _is_of_files(path: Path) -> bool:
    return path.is_dir() or is_pattern(path)


def _files_of(path: Path) -> list[Path]:
    return nested_files(path) if is_zarr(path) else files_at(path)


def _home(path: Path) -> Path:
    return path if path.is_dir() else path.parent


def _hash_file_samples(path: Path) -> str:
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


def _hash_whole_file(path: Path) -> str:
    status = path.stat()
    return _hash_unchanged_file(path.absolute(), status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=4096)
def _hash_unchanged_file(path: Path, size: int, changed_ns: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
