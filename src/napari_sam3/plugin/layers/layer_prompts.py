"""What layers say, before a session hears of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from napari_sam3.plugin.layers.exemplars import Exemplars
from napari_sam3.values import BoolArray, FloatArray, no_labels, no_points

Kind = Literal["points", "shapes", "labels"]

_INCLUDE = {"include", "positive", "foreground", "true", "1", "1.0", "+"}
_EXCLUDE = {"exclude", "negative", "background", "false", "0", "0.0", "-"}


@dataclass(frozen=True)
class Source:
    """An item of a layer: the `index`-th point or shape, or the label of that value."""

    kind: Kind
    index: int


@dataclass(frozen=True)
class Skipped:
    """An item that is no prompt, and why not, in words for the person who drew it."""

    source: Source
    reason: str


@dataclass(frozen=True, eq=False)
class Painting:
    """How a prompt's mask was made of what was drawn and of what was painted among results.

    What was erased of a result stays erased, though the shape that it came from is still there;
    what is drawn afterwards is added. All are (H, W) bool, or None where there is nothing.

    Attributes
    ----------
    mask
        The object as the person's brush and eraser left it.
    drawn
        What shapes and painted layers filled.
    drawn_before
        What they filled when the result was painted in: part of what it began with.
    is_known : bool
        Whether these are known; of a prompt that was read from a project they are not.
    """

    mask: BoolArray | None = None
    drawn: BoolArray | None = None
    drawn_before: BoolArray | None = None
    is_known: bool = True


@dataclass(frozen=True, eq=False)
class LayerPrompt:
    """All that the layers say of one object on one frame.

    Attributes
    ----------
    frame_index : int
        0-based.
    obj_id : int
    points_xy : (N, 2) float64
        The API's pixels: the centre of the first is (0.5, 0.5).
    point_labels : (N,) bool
        True on the object, False on what is not.
    box_xyxy : (4,) float64 or None
        x0, y0, x1, y1 in the API's pixels.
    mask : (H, W) bool or None
        At the video's size.
    sources : tuple of Source
        The items that it was made of.
    painting : Painting or None
        How the mask was made; None if all of it was drawn.
    """

    frame_index: int
    obj_id: int
    points_xy: FloatArray = field(default_factory=no_points)
    point_labels: BoolArray = field(default_factory=no_labels)
    box_xyxy: FloatArray | None = None
    mask: BoolArray | None = None
    sources: tuple[Source, ...] = ()
    painting: Painting | None = None

    @property
    def drawn(self) -> BoolArray | None:
        """What shapes and painted layers fill, whatever was painted among the results."""
        return self.mask if self.painting is None else self.painting.drawn


@dataclass(frozen=True, eq=False)
class LayerPrompts(Sequence[LayerPrompt]):
    """Prompts in order of frame, then of object, and what was left out.

    `examples` are boxes that show what to look for, by frame: x0, y0, x1, y1 in the API's pixels,
    and whether it is that or what is not meant.
    """

    prompts: tuple[LayerPrompt, ...]
    skipped: tuple[Skipped, ...] = ()
    examples: dict[int, tuple[list[FloatArray], list[bool]]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.prompts)

    def __getitem__(self, index: Any) -> Any:
        return self.prompts[index]

    def __iter__(self) -> Iterator[LayerPrompt]:
        return iter(self.prompts)


def read_object_id(value: Any) -> int | None:
    """Read a cell of the feature `object`: a number from 1; None where it is 0, empty or NaN.

    Raises
    ------
    ValueError
        If it is anything else.
    """
    if pd.isna(value) or (isinstance(value, str) and not value.strip()):
        return None
    try:
        number = float(value)
    except (TypeError, ValueError) as exc:
        raise ValueError(f"{value!r} is no object id") from exc
    if number < 0 or not number.is_integer():
        raise ValueError(f"{value!r} is no object id")
    return int(number) or None


def read_include(value: Any) -> bool:
    """Read a cell of the feature `label`: 1, "include" and the like; or 0, "exclude".

    Raises
    ------
    ValueError
        If it is neither.
    """
    word = str(value).strip().lower()
    if word in _INCLUDE:
        return True
    if word in _EXCLUDE:
        return False
    raise ValueError(f"{value!r} says neither include nor exclude")


def is_same_prompt(one: LayerPrompt, other: LayerPrompt) -> bool:
    """Whether two prompts say the same."""
    return (
        np.array_equal(one.points_xy, other.points_xy)
        and np.array_equal(one.point_labels, other.point_labels)
        and _is_same(one.box_xyxy, other.box_xyxy)
        and _is_same(one.mask, other.mask)
    )


def _is_same(one: NDArray | None, other: NDArray | None) -> bool:
    if one is None or other is None:
        return one is other
    return np.array_equal(one, other)


Key = tuple[int, int | str]
"""Frame, and the object's id or what is looked for: a text, or `Exemplars`."""


@dataclass(frozen=True, eq=False)
class TargetPrompts:
    """All prompts that shall hold, read at one moment.

    Attributes
    ----------
    objects : mapping of (frame index, object id) to LayerPrompt
        Everything said of that object on that frame.
    texts : tuple of str
        What to look for; each is asked on the frame `text_frame` unless it was asked before, and
        found something.
    text_frame : int
        0-based.
    exemplars : mapping of frame index to Exemplars
        What boxes on that frame show as a thing to look for.
    """

    objects: Mapping[tuple[int, int], LayerPrompt] = field(default_factory=dict)
    texts: tuple[str, ...] = ()
    text_frame: int = 0
    exemplars: Mapping[int, Exemplars] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.objects or self.texts or self.exemplars)
