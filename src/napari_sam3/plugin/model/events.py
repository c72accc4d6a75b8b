"""What a job tells as it goes on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from napari_sam3.projects import Project
from napari_sam3.values import FrameResult


@dataclass(frozen=True)
class ModelReady:
    """The model is loaded."""

    name: str
    device: str


@dataclass(frozen=True)
class Planned:
    """A propagation begins.

    Attributes
    ----------
    n_frames : int
        Frames of the video that it goes to, each counted once; at most, where it ends by itself.
    n_steps : int
        How often it comes to a frame: to some it may come twice.
    """

    n_frames: int
    n_steps: int


@dataclass(frozen=True, eq=False)
class Prompted:
    """A frame as it is after a prompt on it."""

    result: FrameResult


@dataclass(frozen=True)
class TextMissed:
    """A text that found nothing on a frame, or nothing but what was pointed out before."""

    text: str
    frame_index: int


@dataclass(frozen=True, eq=False)
class Tracked:
    """A frame of a propagation.

    Attributes
    ----------
    result : FrameResult
    run : int
        Its number where results are kept, else 0.
    only : frozenset of int, optional
        Objects that were followed, where not all were.
    """

    result: FrameResult
    run: int = 0
    only: frozenset[int] | None = None


@dataclass(frozen=True)
class Erased:
    """A frame that a removed object has to be taken off."""

    frame_index: int
    obj_id: int


@dataclass(frozen=True, eq=False)
class ProjectMade:
    """A project was made: what comes now is kept in it."""

    project: Project


@dataclass(frozen=True)
class ProjectRefused:
    """No project could be made; `reason` says why. The work goes on in memory."""

    reason: str


@dataclass(frozen=True)
class Renumbered:
    """Objects found by text that have other ids than before, or are gone.

    Attributes
    ----------
    before, after : tuple of int
        All ids of objects found by text.
    same : mapping of id to id
        Which of them are the same objects.
    """

    before: tuple[int, ...]
    after: tuple[int, ...]
    same: Mapping[int, int] = field(default_factory=dict, compare=False)


JobEvent = (
    ModelReady
    | Planned
    | Prompted
    | TextMissed
    | Tracked
    | Erased
    | Renumbered
    | ProjectMade
    | ProjectRefused
)
