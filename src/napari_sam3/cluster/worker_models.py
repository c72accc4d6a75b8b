"""The models of a worker: each loaded once, and used by one session at a time, in turn."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from napari_sam3.cluster.wire import Head
from napari_sam3.models.base import VideoModel
from napari_sam3.models.registry import choose_model, list_models, load_model
from napari_sam3.video.fair_lock import FairLock

_Asked = tuple[str, str | None, int | None]

_lock = threading.Lock()
_models: dict[_Asked, VideoModel] = {}
_turns = FairLock()


def get_model(name: str, device: str | None = None, resolution: int | None = None) -> VideoModel:
    """The model of that name, loaded if it is not; it stays loaded as long as the worker lives.

    Raises
    ------
    ModelError
        As of `load_model`.
    """
    if name == "auto":
        name = choose_model(device)[0].name
    asked = (name, device, resolution)
    with _lock:
        if asked not in _models:
            _models[asked] = load_model(name, device, resolution=resolution)
        return _models[asked]


def models_here() -> list[Head]:
    """What is told of the models that this worker knows, ready or not."""
    return [
        {
            "name": entry.name,
            "summary": entry.summary,
            "speed": entry.speed,
            "capabilities": vars(entry.capabilities),
            "is_ready": entry.is_ready,
        }
        for entry in list_models()
    ]


@contextmanager
def turn() -> Iterator[None]:
    """Wait until no other session computes, and keep others from it: taken for each frame."""
    with _turns:
        yield


@contextmanager
def others_turn() -> Iterator[None]:
    """Let others compute, in the midst of one's own turn."""
    _turns.__exit__()
    try:
        yield
    finally:
        _turns.__enter__()
