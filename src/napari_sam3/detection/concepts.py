"""Things that a word names, or that look like an example: found by a model that takes them."""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import NDArray

from napari_sam3.errors import RequestError, UnsupportedPromptError
from napari_sam3.models.base import Capabilities, VideoModel
from napari_sam3.models.registry import models_that_take
from napari_sam3.values import Concept, ObjectMask

_NUMBER = r"\s*-?\d+(?:\.\d*)?\s*"
_BOX = re.compile(",".join([f"({_NUMBER})"] * 4))


class ConceptDetector:
    """Finds all that a concept means on a frame.

    Parameters
    ----------
    model : VideoModel
        One that takes text, or example boxes.
    said : str
        A word or two, or an example box as "X0,Y0,X1,Y1" in px.
    owns_model : bool
        Whether the model is closed with this.

    Raises
    ------
    UnsupportedPromptError
        If the model takes no such prompt.
    RequestError
        If nothing is said.
    """

    def __init__(self, model: VideoModel, said: str, *, owns_model: bool = False) -> None:
        self._concept = check_concept(said, model.name, model.capabilities)
        self._model, self._owns_model = model, owns_model

    def detect(self, frame: NDArray[np.uint8]) -> list[ObjectMask]:
        """Find what is meant (see `Detector.detect`); a box lies on this very frame."""
        tracker = self._model.start(_OneFrame(frame))
        try:
            return list(tracker.detect(0, self._concept))
        finally:
            tracker.close()

    def close(self) -> None:
        """Give back the model's memory, if it is ours."""
        if self._owns_model:
            self._model.close()


class _OneFrame:
    """A video of one frame, for models."""

    identity = None

    def __init__(self, frame: NDArray[np.uint8]) -> None:
        self._frame = frame

    @property
    def size(self) -> tuple[int, int]:
        height, width = self._frame.shape[:2]
        return height, width

    def __len__(self) -> int:
        return 1

    def __getitem__(self, frame_index: int) -> NDArray[np.uint8]:
        return self._frame


def check_concept(said: str, model: str, capabilities: Capabilities) -> Concept:
    """Read what a model is told to look for.

    Parameters
    ----------
    said : str
        As of `ConceptDetector`.
    model : str
        Its name, for messages.
    capabilities : Capabilities
        What it takes.

    Raises
    ------
    RequestError
        If it is nothing, or no box.
    UnsupportedPromptError
        If the model does not take it.
    """
    if not said.strip():
        raise RequestError(
            f"what shall {model!r} look for? Say {model}:WORD, or {model}:X0,Y0,X1,Y1 for a box "
            "round an example"
        )
    match = _BOX.fullmatch(said)
    kind = "text" if match is None else "exemplars"
    if not getattr(capabilities, kind):
        raise UnsupportedPromptError(
            f"the model {model!r} takes no {kind}; models that do: {models_that_take(kind)}"
        )
    if match is None:
        return Concept(said.strip())
    box = np.array([float(part) for part in match.groups()])
    if not (box[0] < box[2] and box[1] < box[3]):
        raise RequestError(
            f"the example {said!r} is no box; give X0,Y0,X1,Y1 with X0 < X1 and Y0 < Y1"
        )
    return Concept(None, box[None], np.ones(1, bool))
