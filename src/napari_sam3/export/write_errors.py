"""What the system says of a file that can't be written, as an error that names it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from napari_sam3.errors import VideoError
from napari_sam3.whole_files import explain_refusal


@contextmanager
def explain_write_errors(path: Path) -> Iterator[None]:
    """Turn what the system says about a file into a `VideoError` that names it."""
    try:
        yield
    except VideoError:
        raise
    except OSError as exc:
        raise VideoError(
            f"{str(path)!r} can't be written ({explain_refusal(path, exc)}); check the folder's "
            "rights and the room on the disk"
        ) from exc
