"""What one frame of a propagation costs, for `doctor --run`: its parts, and what a GPU feels."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import Any

from napari_sam3.models.sam import device_facts
from napari_sam3.models.sam.model import SamModel
from napari_sam3.session.frames import RgbFrames
from napari_sam3.session.session import VideoSession
from napari_sam3.video import Video

MOST_FRAMES = 9
"""Frames until a model's memory is full; the last two are measured."""


def measure_step(
    figures: dict[str, Any],
    model: SamModel,
    session: VideoSession,
    video: Video,
    clicks: Sequence[tuple[int, Iterable[float]]],
    n_frames: int,
) -> None:
    """Have objects corrected and followed once more, and add what a frame cost to the figures.

    Parameters
    ----------
    clicks : sequence of (object id, (x, y))
        On the objects, on the first frame.
    n_frames : int
        That have been followed, whose features are at hand.
    """
    last = min(n_frames, MOST_FRAMES) - 1
    picture, encoder = model.time_encoding(RgbFrames(video)[last])
    figures["making a picture of a frame, s"] = round(picture, 4)
    figures["image encoder, s a frame"] = round(encoder, 4)
    if last < 2:
        return
    for obj_id, (x, y) in clicks:
        session.add_prompt(0, points=[[x, y + 1]], obj_id=obj_id)
    _follow(session, 0, last - 1)
    device_facts.reset_peak(model.device)
    began = time.perf_counter()
    with model.timing() as times:
        _follow(session, last - 1, 1)
    total = time.perf_counter() - began
    title = f"a step of {len(clicks)} objects"
    figures[f"{title}, s"] = round(total, 4)
    for part, seconds in times.seconds.items():
        figures[f"{title}: {part}, s"] = round(seconds, 4)
    figures[f"{title}: the rest, s"] = round(total - sum(times.seconds.values()), 4)
    figures[f"{title}: peak of the device's memory, bytes"] = device_facts.peak_bytes(model.device)
    with model.counting() as costs:
        _follow(session, last, 1)
    as_if = " (as on a GPU)" if model.device == "cpu" else ""
    figures[f"{title}: waits for the device{as_if}"] = costs.waits
    figures[f"{title}: brought from the device{as_if}, bytes"] = costs.bytes_to_host
    figures[f"{title}: casts"] = costs.casts
    figures[f"{title}: casts of weights"] = costs.weight_casts
    figures[f"{title}: operations"] = costs.operations


def _follow(session: VideoSession, first: int, n_frames: int) -> None:
    for _ in session.propagate("forward", first, n_frames):
        pass
