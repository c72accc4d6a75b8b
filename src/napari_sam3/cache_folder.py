"""The user's cache folder: what can be made again, kept as long as there is room."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path

import platformdirs

_STALE = 24 * 3600.0  # s; by then whoever wrote half a file is gone


def cache_folder(name: str) -> Path:
    """The folder of that name in the user's cache folder; it need not be there."""
    return platformdirs.user_cache_path("napari-sam3", appauthor=False) / name


def make_room(folder: Path, most_bytes: int) -> None:
    """Delete a folder's files not used for longest, and those left half-written.

    Parameters
    ----------
    folder : Path
        Of files whose time of change tells when they were last of use. Half-written ones have a
        name that begins with a dot (`whole_files.written_whole`).
    most_bytes : int
        What may stay, all files together.
    """
    used = 0
    with suppress(OSError):
        files = [(path, path.stat()) for path in folder.iterdir()]
        for path, status in sorted(files, key=lambda file: -file[1].st_mtime_ns):
            is_half = path.name.startswith(".")
            used += status.st_size
            if used > most_bytes or (is_half and time.time() - status.st_mtime > _STALE):
                with suppress(OSError):  # in use, which Windows minds
                    path.unlink(missing_ok=True)
