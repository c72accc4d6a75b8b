"""Segment and track things in video: a napari plugin, and a core that needs no window.

The public names are loaded when they are first used, so that importing the package costs
nothing: neither torch nor Qt comes with it.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_sam3.batch import TrackedVideo, run_batch, track_video
    from napari_sam3.plugin.scripting.attach import attach
    from napari_sam3.session.predictor import Sam3VideoPredictor
    from napari_sam3.session.session import VideoSession
    from napari_sam3.video import Video, open_video

__version__ = version("napari-sam3")

_HOMES = {
    "Sam3VideoPredictor": "napari_sam3.session.predictor",
    "TrackedVideo": "napari_sam3.batch",
    "Video": "napari_sam3.video",
    "VideoSession": "napari_sam3.session.session",
    "attach": "napari_sam3.plugin.scripting.attach",
    "open_video": "napari_sam3.video",
    "run_batch": "napari_sam3.batch",
    "track_video": "napari_sam3.batch",
}

__all__ = [
    "Sam3VideoPredictor",
    "TrackedVideo",
    "Video",
    "VideoSession",
    "__version__",
    "attach",
    "open_video",
    "run_batch",
    "track_video",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'napari_sam3' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
