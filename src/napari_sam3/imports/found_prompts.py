"""What other tools say of objects without their outlines: boxes and points, as prompts."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np

from napari_sam3.errors import PromptFileError
from napari_sam3.labels.objects import ObjectTable
from napari_sam3.session.saved_prompts import PromptList, SavedPrompt

MOST_FOUND = 1_000_000
"""Boxes and points of a file; each is said to a model on its own."""


class FoundPrompt(NamedTuple):
    """A box, a point, or both, of an object on a frame.

    Attributes
    ----------
    frame_index : int
        0-based.
    obj_id : int
        From 1.
    box_xyxy : tuple of four floats or None
        In px, where pixel (x, y) spans x..x+1 and y..y+1.
    points_xy : tuple of pairs of floats
        Likewise; all on the object.
    is_said : bool
        Whether somebody said so; else it was reckoned from what lies before and behind.
    """

    frame_index: int
    obj_id: int
    box_xyxy: tuple[float, float, float, float] | None = None
    points_xy: tuple[tuple[float, float], ...] = ()
    is_said: bool = True


@dataclass(frozen=True)
class FoundPrompts:
    """The boxes and points of a file.

    Attributes
    ----------
    path : Path
        The file or folder.
    found : sequence of FoundPrompt
        By frame, then id.
    objects : ObjectTable
        Names, classes and divisions, where the format tells.
    told : sequence of str
        What is not sure, was changed, or can't be used.
    """

    path: Path
    found: Sequence[FoundPrompt]
    objects: ObjectTable = field(default_factory=ObjectTable)
    told: Sequence[str] = ()

    def to_prompts(self, size: tuple[int, int] | None = None) -> PromptList:
        """Prompts for a session: what somebody said, not what was reckoned between.

        Parameters
        ----------
        size : (height, width), optional
            Of the video. Boxes are cut to it; what lies outside is left out, with a warning.

        Raises
        ------
        PromptFileError
            If there is none.
        """
        prompts, outside = [], 0
        for one in self.found:
            if not one.is_said:
                continue
            box = cut_box(one.box_xyxy, size)
            points = [point for point in one.points_xy if _is_inside(point, size)]
            if box is None and not points:
                outside += 1
                continue
            where = f"{self.path.name}, frame {one.frame_index}, object {one.obj_id}"
            prompts.append(
                SavedPrompt(
                    one.frame_index,
                    one.obj_id,
                    np.array(points, np.float64).reshape(-1, 2),
                    box_xyxy=None if box is None else np.array(box, np.float64),
                    origin=where,
                )
            )
        told = [*self.told]
        if outside:
            told.append(f"what lies outside the frame is left out ({outside})")
        for sentence in told:
            warnings.warn(f"{str(self.path)!r}: {sentence}", stacklevel=2)
        if not prompts:
            raise PromptFileError(
                f"{str(self.path)!r} has no box and no point that lies on a frame; there is "
                "nothing to track"
            )
        return PromptList(prompts)


def cut_box(
    box: tuple[float, float, float, float] | None, size: tuple[int, int] | None
) -> tuple[float, float, float, float] | None:
    """The part of a box that lies on a frame of that size (height, width), if there is any."""
    if box is None:
        return None
    height, width = size or (np.inf, np.inf)
    x0, y0, x1, y1 = max(box[0], 0.0), max(box[1], 0.0), min(box[2], width), min(box[3], height)
    return (x0, y0, x1, y1) if x0 < x1 and y0 < y1 else None


def _is_inside(point: tuple[float, float], size: tuple[int, int] | None) -> bool:
    height, width = size or (np.inf, np.inf)
    return 0 <= point[0] <= width and 0 <= point[1] <= height
