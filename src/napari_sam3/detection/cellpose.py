"""Cells found by cellpose, where that is installed.

Its models are its own affair: cellpose fetches those it does not have, and they have licences of
their own.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_sam3.errors import ModelError, ModelUnavailableError
from napari_sam3.models.optical_flow.grey import is_grey
from napari_sam3.values import ObjectMask

_LEAST = 3  # version
_USUAL = {3: "cyto3"}  # later ones have one for all


class CellposeDetector:
    """Finds cells by `cellpose.models.CellposeModel`, of version 3 or later.

    Parameters
    ----------
    model : str
        A model of cellpose's, or a file of one; its usual one if empty.

    Raises
    ------
    ModelUnavailableError
        If cellpose is not installed, or too old.
    ModelError
        If its model can't be loaded.
    """

    def __init__(self, model: str = "") -> None:
        try:
            self._version = int(version("cellpose").partition(".")[0])
            models: Any = import_module("cellpose.models")
        # a library that can't be loaded is an OSError
        except (PackageNotFoundError, ImportError, OSError) as exc:
            raise ModelUnavailableError(
                "the detector 'cellpose' needs the package cellpose, which can't be imported here "
                f"({exc}); install it with: pip install cellpose. Or take 'blobs', which needs "
                "nothing"
            ) from exc
        if self._version < _LEAST:
            raise ModelUnavailableError(
                f"cellpose {version('cellpose')} is too old; {_LEAST} or later is needed: "
                "pip install --upgrade cellpose"
            )
        asked: dict[str, Any] = {}
        if name := model or _USUAL.get(self._version, ""):
            asked["model_type" if self._version == _LEAST else "pretrained_model"] = name
        self._model = _try("load its model", lambda: models.CellposeModel(gpu=True, **asked))

    def detect(self, frame: NDArray[np.uint8]) -> list[ObjectMask]:
        """Find cells (see `Detector.detect`); a score is how sure cellpose is of their pixels."""
        picture = frame.max(axis=2) if is_grey(frame) else frame
        asked: dict[str, Any] = {} if picture.ndim == 2 else {"channel_axis": -1}
        if self._version == _LEAST:
            asked["channels"] = [0, 0]  # of all colours the mean, no nuclei beside them
        labels, flows, *_ = _try("look at a frame", lambda: self._model.eval(picture, **asked))
        labels = np.asarray(labels)
        sureness = 1 / (1 + np.exp(-np.asarray(flows[2], np.float32)))
        found = []
        for number, place in enumerate(ndimage.find_objects(labels.astype(np.int64)), 1):
            if place is not None:
                crop = labels[place] == number
                score = float(sureness[place][crop].mean())
                x0, y0 = place[1].start, place[0].start
                found.append(ObjectMask.from_crop(crop, x0, y0, labels.shape, score))
        return sorted((m for m in found if m is not None), key=lambda mask: -mask.score)

    def close(self) -> None:
        """Let go of the model."""
        del self._model


def _try(what: str, call: Any) -> Any:
    try:
        return call()
    except Exception as exc:  # what cellpose may raise it does not say
        raise ModelError(f"cellpose can't {what}: {exc or type(exc).__name__}") from exc
