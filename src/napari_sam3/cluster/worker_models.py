"""The models of a worker: each loaded once, and used by one session at a time, in turn."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from napari_sam3.checkpoint import Checkpoint
from napari_sam3.cluster.wire import Head
from napari_sam3.models.base import TrackedFrame, VideoModel, VideoTracker
from napari_sam3.models.mask_settings import mask_settings_of
from napari_sam3.models.registry import choose_model, list_models, load_model
from napari_sam3.values import Concept, Frames, Journal, ObjectMask, ObjectPrompt
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


class SharedModel:
    """A worker's model, for what knows nothing of turns: each call of a tracker takes its own.

    Parameters
    ----------
    model : VideoModel
        That `get_model` has given; it stays loaded.
    """

    def __init__(self, model: VideoModel) -> None:
        self._model = model
        self.name, self.device = model.name, model.device
        self.capabilities = model.capabilities
        self.mask_settings = mask_settings_of(model)

    def start(self, frames: Frames) -> _SharedTracker:
        """Begin on a video; see `VideoModel.start`."""
        return _SharedTracker(self._model.start(frames))

    def close(self) -> None:
        """Nothing: others use it too."""


class _SharedTracker:
    """Fulfils `VideoTracker`."""

    def __init__(self, tracker: VideoTracker) -> None:
        self._tracker = tracker
        self.prefetch, self.close = tracker.prefetch, tracker.close

    def segment(self, frame_index: int, prompt: ObjectPrompt) -> ObjectMask | None:
        with turn():
            return self._tracker.segment(frame_index, prompt)

    def detect(self, frame_index: int, concept: Concept) -> Sequence[ObjectMask]:
        with turn():
            return self._tracker.detect(frame_index, concept)

    def propagate(
        self, journal: Journal, frames: range, new_id: Callable[[], int]
    ) -> Iterator[TrackedFrame]:
        source = self._tracker.propagate(journal, frames, new_id)
        while True:
            with turn():
                tracked = next(source, None)
            if tracked is None:
                return
            yield tracked

    def checkpoint(self, frame_index: int, step: int) -> Checkpoint | None:
        with turn():
            return self._tracker.checkpoint(frame_index, step)

    @property
    def preparing(self) -> int | None:
        return self._tracker.preparing
