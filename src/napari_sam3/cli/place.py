"""Where results go: nothing that is there is touched without leave."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from napari_sam3.errors import VideoError


def check_free(targets: Iterable[Path], overwrite: bool) -> None:
    """Make sure that results can go there.

    Parameters
    ----------
    targets : iterable of Path
        The files and folders to be, all in one folder.
    overwrite : bool
        Whether what is there may be replaced.

    Raises
    ------
    VideoError
        If one is there and may not be replaced, or their folder is a file.
    """
    for path in targets:
        if path.parent.exists() and not path.parent.is_dir():
            raise VideoError(f"{str(path.parent)!r} is a file; name a folder for the results")
        if path.exists() and not overwrite:
            raise VideoError(
                f"{str(path)!r} exists already; add --overwrite to replace it, "
                "or name another folder"
            )
