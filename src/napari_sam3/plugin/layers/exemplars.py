"""Boxes that show what to look for, in place of being objects.

A rectangle is an example by its feature `label`: "example" shows the thing, "counterexample" what
is not meant by it. Those of one frame are one concept, with the text where there is one text.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from napari_sam3.session.session import VideoSession
from napari_sam3.values import BoolArray, FloatArray, FrameResult

EXAMPLE, COUNTEREXAMPLE = "example", "counterexample"
_SHOWN_BY = {EXAMPLE: True, COUNTEREXAMPLE: False}


class Exemplars(str):
    """What the examples of a frame look for: in words, by which a controller knows it again.

    Parameters
    ----------
    text : str or None
        What they are examples of.
    boxes_xyxy : (N, 4) float64
        x0, y0, x1, y1 in the API's pixels.
    labels : (N,) bool
        True where a box shows the thing.
    """

    text: str | None
    boxes_xyxy: FloatArray
    labels: BoolArray

    def __new__(
        cls, text: str | None, boxes_xyxy: Sequence[Any] | FloatArray, labels: Any
    ) -> Exemplars:
        """Put the boxes into words: equal words, equal examples."""
        boxes = np.asarray(boxes_xyxy, np.float64).reshape(-1, 4)
        signs = np.asarray(labels, bool)
        places = (
            f"{'' if sign else 'not '}({', '.join(f'{value:.1f}' for value in box)})"
            for box, sign in zip(boxes, signs, strict=True)
        )
        what = "examples" if text is None else f"{text!r} with examples"
        made = super().__new__(cls, f"{what} {' '.join(places)}")
        made.text, made.boxes_xyxy, made.labels = text, boxes, signs
        return made


def search_for(session: VideoSession, frame_index: int, what: str) -> FrameResult:
    """Look for a text, or for what examples show."""
    if not isinstance(what, Exemplars):
        return session.add_prompt(frame_index, text=what)
    return session.add_prompt(
        frame_index, text=what.text, boxes=what.boxes_xyxy, box_labels=what.labels, exemplar=True
    )


def read_examples(layer: Any) -> list[bool | None]:
    """Whether each item shows the thing looked for; None where it is no example of anything."""
    features = layer.features
    if "label" not in features:
        return [None] * len(features)
    # a column at a time: the window waits, and there may be thousands of items
    return [_SHOWN_BY.get(str(word).strip().lower()) for word in features["label"].tolist()]


def join_text(
    found: dict[int, tuple[list[FloatArray], list[bool]]], texts: tuple[str, ...]
) -> tuple[dict[int, Exemplars], tuple[str, ...]]:
    """Exemplars by frame, and the texts that are to be looked for by themselves.

    One text and its examples are looked for together: a counterexample shall hold for the text too.
    """
    text = texts[0] if found and len(texts) == 1 else None
    examples = {frame: Exemplars(text, boxes, signs) for frame, (boxes, signs) in found.items()}
    return examples, () if text is not None else texts
