"""Frames in: any video file, folder of frames or array as one lazy, frame-exact array."""

from __future__ import annotations

from napari_sam3.video.base import Video
from napari_sam3.video.frame_cache import set_cache_budget
from napari_sam3.video.open import as_video, open_video
from napari_sam3.video.plane_choice import NO_CHOICE, PlaneChoice

__all__ = ["NO_CHOICE", "PlaneChoice", "Video", "as_video", "open_video", "set_cache_budget"]
