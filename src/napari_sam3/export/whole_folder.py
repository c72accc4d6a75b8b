"""Folders that are written whole or not at all, and never take the place of other things."""

from __future__ import annotations

import re
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from napari_sam3.errors import VideoError

NOTHING, ANYTHING = r"(?!)", r".*"
"""Expressions that match no name, and every one."""


def check_replaceable(path: Path, own_names: str) -> None:
    """Make sure that a folder may be replaced as a whole: it holds nothing but earlier results.

    Parameters
    ----------
    path : Path
        May be missing.
    own_names : str
        Regular expression of the names that results of this format have.

    Raises
    ------
    VideoError
        If there is a file of that name, or something else in the folder.
    """
    if not path.exists():
        return
    if not path.is_dir():
        raise VideoError(f"{str(path)!r} is a file; name a folder for the results")
    # file managers leave the others behind
    own = re.compile(rf"{own_names}|\.DS_Store|\._.*|Thumbs\.db|desktop\.ini")
    others = sorted(p.name for p in path.iterdir() if not own.fullmatch(p.name))
    if others:
        raise VideoError(
            f"{str(path)!r} holds other files ({', '.join(others[:3])}{', ...' * (len(others) > 3)}"
            "), which would be lost; name another folder"
        )


@contextmanager
def folder_written_whole(
    path: Path, own_names: str, *, keeps_others: bool = False
) -> Iterator[Path]:
    """Give an empty folder; it takes the place of `path` when the block ends without an error.

    A folder that is there must hold nothing but what `own_names` matches; or else, with
    `keeps_others`, what it matches is replaced in it and the rest stays.
    """
    check_replaceable(path, ANYTHING if keeps_others else own_names)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name[:40]}-{uuid.uuid4().hex}")
    old = part.with_name(f"{part.name}-old")
    part.mkdir()
    try:
        yield part
        if keeps_others and path.is_dir():
            for earlier in path.iterdir():
                if re.fullmatch(own_names, earlier.name):
                    earlier.unlink()
            for file in part.iterdir():
                file.rename(path / file.name)
            return
        if path.is_dir():
            path.rename(old)
        part.rename(path)
    finally:
        if old.exists() and not path.exists():
            old.rename(path)
        shutil.rmtree(part, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)
