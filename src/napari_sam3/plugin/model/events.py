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
    """A propagation begins."""

    n_frames: int


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
    """A frame of a propagation; `run` is its number where results are kept, else 0."""

    result: FrameResult
    run: int = 0


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
