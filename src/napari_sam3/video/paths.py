"""What people hand over as the path of a video."""

from __future__ import annotations

import os
from pathlib import Path

from napari_sam3.errors import VideoError


def as_path(path: str | os.PathLike[str]) -> Path:
    """Take a path as one, with `~` as the home folder.

    Raises
    ------
    VideoError
        If it is none: not text, empty (which would be the current folder), or of a home folder
        that is not known.
    """
    text = os.fspath(path) if isinstance(path, os.PathLike) else path
    if not isinstance(text, str) or not text.strip() or "\0" in text:
        raise VideoError(f"{text!r} is no path; give that of a file or folder")
    try:
        return Path(text).expanduser()
    except RuntimeError as exc:
        raise VideoError(f"{text!r}: there is no such home folder; write the whole path") from exc
