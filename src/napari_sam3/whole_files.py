"""Files that are written whole or not at all: nobody sees half of one, and what was there stays."""

from __future__ import annotations

import os
import re
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

MOST_PATH = 259 if os.name == "nt" else None
"""Characters that a path may have where the system has not been told to take longer ones."""

_MOST_NAME = 150  # bytes
# Windows replaces no file that somebody reads: another thread, a virus scanner, an indexer
_PAUSES_S = (0.01, 0.03, 0.1, 0.3)
_IN_USE = {5, 32}  # access denied, sharing violation


@contextmanager
def written_whole(path: Path, *, is_durable: bool = False) -> Iterator[Path]:
    """Give a file to write in; it takes the place of `path` when the block ends without an error.

    Parameters
    ----------
    path : Path
        The file to be made or replaced; its folder is there.
    is_durable : bool
        Whether the contents are on the disk before they take its place, so that a power cut
        leaves the one or the other.

    Yields
    ------
    Path
        An empty file in the same folder, with the same suffix and a random name. It is made
        exclusively: a link that somebody has laid is not followed.

    Raises
    ------
    OSError
        If it can't be written; what was at `path` is as it was.
    """
    part = path.with_name(f".{path.stem[:40]}-{secrets.token_hex(8)}{path.suffix}")
    flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | getattr(os, "O_NOFOLLOW", 0)
    os.close(os.open(part, flags, 0o666))
    try:
        yield part
        if is_durable:
            with part.open("r+b") as file:
                os.fsync(file.fileno())
        _replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def portable_name(name: str) -> str:
    """A name of a file or folder that every system takes, as near to this one as can be.

    Windows has no names with some signs, none that end in a dot or a space, none of its devices;
    long ones leave no room for what is put before or behind them.
    """
    said = name.encode("utf-8", "surrogateescape")
    if len(said) > _MOST_NAME:
        name = said[:_MOST_NAME].decode("utf-8", "ignore")
    name = re.sub(r'[<>:"/\\|?*\x00-\x1f]', "_", name).rstrip(" .") or "_"
    is_device = re.fullmatch(r"(con|prn|aux|nul|com\d|lpt\d)", name.split(".")[0].strip(), re.I)
    return f"_{name}" if is_device else name


def explain_refusal(path: Path, exc: OSError) -> str:
    """What the system says of a path, with what it does not say of why that may be."""
    said = exc.strerror or str(exc)
    length = len(str(path.absolute()))
    if (
        MOST_PATH is not None and length > MOST_PATH - 30
    ):  # names of what is half written are longer
        return (
            f"{said}: the path has {length} characters, and Windows takes {MOST_PATH} unless long "
            "paths are switched on there; choose a folder with a shorter path"
        )
    if getattr(exc, "winerror", None) in _IN_USE and path.exists():
        return f"{said}: it may be open, here or in another program; close it there"
    return said


def _replace(part: Path, path: Path) -> None:
    for pause in _PAUSES_S:
        try:
            part.replace(path)
            return
        except PermissionError as exc:
            if getattr(exc, "winerror", None) not in _IN_USE:
                raise
            time.sleep(pause)
    part.replace(path)
