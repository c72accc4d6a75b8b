"""The detectors there are, by name. Nothing is imported to list them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec

import numpy as np
from numpy.typing import ArrayLike

from napari_sam3.detection.base import Detector
from napari_sam3.errors import ModelError, ModelUnavailableError, RequestError
from napari_sam3.models.base import VideoModel
from napari_sam3.models.registry import find_model, list_models, load_model
from napari_sam3.session.frames import RgbFrames
from napari_sam3.values import ObjectMask
from napari_sam3.video import as_video

BLOBS, CELLPOSE = "blobs", "cellpose"

FORMS = "blobs, blobs:bright, blobs:dark, cellpose, cellpose:MODEL, sam3:WORD, sam3:X0,Y0,X1,Y1"
"""How a detector is asked for; for messages and help."""


@dataclass(frozen=True)
class DetectorEntry:
    """A detector that can be asked for.

    Attributes
    ----------
    name : str
        What it is asked for by; a model's takes ":" and what to look for behind it.
    summary : str
        One line for people.
    is_ready : bool
        Whether it can be used here as things are.
    takes_words : bool
        Whether it is told by a word what to look for.
    takes_examples : bool
        Whether it is told by a box round an example.
    """

    name: str
    summary: str
    is_ready: bool = True
    takes_words: bool = False
    takes_examples: bool = False


def list_detectors() -> tuple[DetectorEntry, ...]:
    """All detectors: those that find by themselves, then the models that are told a word."""
    return (
        DetectorEntry(BLOBS, "what is brighter or darker than its ground; needs nothing"),
        DetectorEntry(
            CELLPOSE, "cells, by the package cellpose", find_spec("cellpose") is not None
        ),
        *(
            DetectorEntry(
                entry.name,
                "what a word or an example names",
                entry.is_ready,
                entry.capabilities.text,
                entry.capabilities.exemplars,
            )
            for entry in list_models()
            if entry.capabilities.text or entry.capabilities.exemplars
        ),
    )


def goes_by_example(asked: str) -> bool:
    """Whether a detector is a model that takes examples, and is not told what to look for yet."""
    try:
        return find_model(asked).capabilities.exemplars
    except ModelError:
        return False


def find_detector(asked: str, load: Callable[[str], VideoModel] | None = None) -> Detector:
    """Make a detector.

    Parameters
    ----------
    asked : str
        "blobs", "blobs:bright", "blobs:dark"; "cellpose", "cellpose:MODEL"; or a model that takes
        text, with what to look for: "sam3:WORD", or for a box round an example "sam3:X0,Y0,X1,Y1".
    load : callable, optional
        Gives a loaded model by its name, who keeps it; a new one is loaded if left out, and closed
        with the detector.

    Raises
    ------
    RequestError
        If there is no such detector, or it can't be told that.
    ModelError
        If what it needs is not here.
    """
    asked = str(asked).strip()
    name, colon, said = asked.partition(":")
    if name == BLOBS:
        return _make_blobs(said, asked, is_said=bool(colon))
    if name == CELLPOSE:
        from napari_sam3.detection.cellpose import CellposeDetector

        return CellposeDetector(said.strip())
    name, _, said = asked.rpartition(":") if colon else (asked, "", "")  # a model may be a folder
    try:
        entry = find_model(name) if name else None
    except ModelUnavailableError:
        entry = None
    if entry is None:
        raise RequestError(f"there is no detector {asked!r}; there are: {FORMS}")
    from napari_sam3.detection.concepts import ConceptDetector, check_concept

    check_concept(said, name, entry.capabilities)  # before a model is loaded, which takes long
    model = load_model(name) if load is None else load(name)
    return ConceptDetector(model, said, owns_model=load is None)


def _make_blobs(said: str, asked: str, *, is_said: bool) -> Detector:
    from napari_sam3.detection.blobs import BlobDetector

    if not is_said:
        return BlobDetector()
    if said == "bright":
        return BlobDetector("bright")
    if said == "dark":
        return BlobDetector("dark")
    raise RequestError(f"there is no detector {asked!r}; blobs are blobs:bright or blobs:dark")


def detect_objects(
    frame: ArrayLike, detector: str | Detector = BLOBS, *, n_most: int | None = None
) -> list[ObjectMask]:
    """Find objects on one picture, without a prompt.

    Parameters
    ----------
    frame : (H, W) or (H, W, 3) array
        8-bit is taken as it is; anything else is scaled to its own range.
    detector : str or Detector
        As `find_detector` takes it.
    n_most : int, optional
        The best of so many alone.

    Returns
    -------
    list of ObjectMask
        The best first.

    Raises
    ------
    RequestError, ModelError
        As of `find_detector`.
    VideoError
        If it is no picture.
    """
    picture = RgbFrames(as_video(np.asarray(frame)[None]))[0]
    if not isinstance(detector, str):
        return detector.detect(picture)[:n_most]
    made = find_detector(detector)
    try:
        return made.detect(picture)[:n_most]
    finally:
        made.close()
