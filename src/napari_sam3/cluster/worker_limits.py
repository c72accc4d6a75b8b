"""What a worker's owner allows: said by environment variables, or by options of the preload."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from platformdirs import user_cache_path

ROOTS = "NAPARI_SAM3_ROOTS"
UPLOADS = "NAPARI_SAM3_UPLOADS"
UPLOADS_MB = "NAPARI_SAM3_UPLOADS_MB"
MOST_SESSIONS = "NAPARI_SAM3_MAX_SESSIONS"
THREADS = "NAPARI_SAM3_THREADS"


@dataclass(frozen=True)
class WorkerLimits:
    """Limits of a worker.

    Attributes
    ----------
    roots : tuple of Path
        Folders whose videos may be asked for by path; none: only uploads are read.
    uploads : Path
        Where videos that were sent are kept.
    uploads_bytes : int
        How much of them.
    most_sessions : int
        Sessions at once.
    """

    roots: tuple[Path, ...]
    uploads: Path
    uploads_bytes: int
    most_sessions: int


def read_limits() -> WorkerLimits:
    """The limits of this process, as the environment says them now."""
    roots = [part for part in os.environ.get(ROOTS, "").split(os.pathsep) if part]
    uploads = os.environ.get(UPLOADS)
    return WorkerLimits(
        tuple(Path(root).expanduser().resolve() for root in roots),
        Path(uploads) if uploads else user_cache_path("napari-sam3") / "uploads",
        _number(UPLOADS_MB, 51200) * 2**20,
        max(1, _number(MOST_SESSIONS, 2)),
    )


def bound_threads() -> None:
    """Keep to a share of the processor where a library does not look at the environment itself."""
    n_threads = _number(THREADS, 0)
    if n_threads:
        import cv2

        cv2.setNumThreads(n_threads)


def _number(variable: str, default: int) -> int:
    text = os.environ.get(variable, "").strip()
    return int(text) if text.isdecimal() else default
