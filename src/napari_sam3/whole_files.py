"""Files that are written whole or not at all: nobody sees half of one, and what was there stays."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


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
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
