"""Tracking without a window: one video, or many.

The names are loaded when they are first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_sam3.batch.run import BatchReport, run_batch
    from napari_sam3.batch.summary import BatchRow
    from napari_sam3.batch.tracked_video import TrackedVideo
    from napari_sam3.batch.tracking import track_video

_HOMES = {
    "BatchReport": "run",
    "BatchRow": "summary",
    "TrackedVideo": "tracked_video",
    "run_batch": "run",
    "track_video": "tracking",
}

__all__ = ["BatchReport", "BatchRow", "TrackedVideo", "run_batch", "track_video"]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
