"""What a project remembers of how it was worked with: settings, and the last run."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields
from types import MappingProxyType
from typing import Any, get_args

from napari_sam3.models.mask_settings import MaskSettings, read_mask_settings
from napari_sam3.session.propagation import plan_frames
from napari_sam3.values import Direction

MOST_NEARLY = 1000
"""Stops that a run remembers."""


@dataclass(frozen=True)
class ProjectState:
    """Settings of a piece of work.

    Attributes
    ----------
    model : str or None
        As `load_model` takes it; None: what is set for all.
    device : str or None
        "auto" or a device.
    resolution : int
        Side of the square that the model sees, px; 0: the model's own.
    direction : "forward", "backward" or "both"
        Of the next propagation, as are the next two.
    start_frame, max_frames : int or None
        As `VideoSession.propagate` takes them.
    text : str
        What was typed to look for.
    time_axis, channel_axis : int or None
        Axes of an image layer that is no file; None where it says itself.
    fixed : mapping of axis to index
        Which part of further axes is looked at.
    contrast_limits : (float, float) or None
        What the model sees as black and white.
    frame : int
        0-based, on screen.
    current_object : int or None
        That prompts are for.
    """

    model: str | None = None
    device: str | None = None
    resolution: int = 0
    direction: Direction = "forward"
    start_frame: int | None = None
    max_frames: int | None = None
    text: str = ""
    time_axis: int | None = None
    channel_axis: int | None = None
    fixed: Mapping[int, int] = field(default_factory=lambda: MappingProxyType({}))
    contrast_limits: tuple[float, float] | None = None
    frame: int = 0
    current_object: int | None = None

    def to_json(self) -> dict[str, Any]:
        """As JSON can say it."""
        data = {f.name: getattr(self, f.name) for f in fields(self)}
        data["fixed"] = {str(axis): index for axis, index in self.fixed.items()}
        limits = self.contrast_limits
        data["contrast_limits"] = None if limits is None else list(limits)
        return data

    @classmethod
    def from_json(cls, data: Any, n_frames: int, problems: list[str]) -> ProjectState:
        """Take what can be used; the rest is left as new, and `problems` gets a sentence of it."""
        if not isinstance(data, dict):
            problems.append("the settings (state in project.json) are no table; they are as new")
            return cls()
        known: dict[str, Any] = {}
        for name, read in _readers(n_frames).items():
            if name not in data:
                continue
            try:
                known[name] = read(data[name])
            except (ValueError, TypeError, OverflowError):
                problems.append(
                    f"the setting {name} was {str(data[name])[:80]!r}, which can't be; it is as new"
                )
        return cls(**known)


@dataclass(frozen=True)
class RunNote:
    """A propagation that was begun, so that another process can go on with it.

    Which of its frames are done the store tells: each line of a frame names the run.

    Attributes
    ----------
    number : int
        From 1, rising within a project.
    direction : "forward", "backward" or "both"
        As it was asked for.
    start : int
        0-based frame.
    limit : int or None
        At most so many frames in each direction.
    is_over : bool
        Whether it came to its end.
    stale : tuple of (int, int)
        First and last frame, in the order of the run, of frames that were done with other prompts
        than there are now; a pair for each leg that has such.
    request : str
        Tells what a program asked for, prompts and all, so that asking again goes on.
    nearly : tuple of int
        Frames at which it was gone on with from what was shown, in place of the tracker's own
        state: from there on it is near what a run that was never stopped would give.
    made_with : MaskSettings
        What was set when it began, as far as masks depend on it; empty where that is not known.
    """

    number: int
    direction: Direction
    start: int
    limit: int | None = None
    is_over: bool = False
    stale: tuple[tuple[int, int], ...] = ()
    request: str = ""
    nearly: tuple[int, ...] = ()
    made_with: MaskSettings = field(default_factory=dict)

    def legs(self, n_frames: int) -> tuple[range, ...]:
        """The frames planned, as `Propagation.legs`."""
        return plan_frames(n_frames, self.direction, self.start, self.limit)

    def stale_ranges(self) -> tuple[range, ...]:
        """The stale frames, with step 1."""
        return tuple(range(min(pair), max(pair) + 1) for pair in self.stale)

    def to_json(self) -> dict[str, Any]:
        """As JSON can say it."""
        stale = [list(pair) for pair in self.stale]
        return {**asdict(self), "stale": stale, "nearly": list(self.nearly)}

    @classmethod
    def from_json(cls, data: Any, n_frames: int, problems: list[str]) -> RunNote | None:
        """The note, if there is one and it can be; else `problems` gets a sentence."""
        if data is None:
            return None
        try:
            frame = _number(0, n_frames - 1)
            return cls(
                number=_number(1, 2**31 - 1)(data["number"]),
                direction=_one_of(get_args(Direction))(data["direction"]),
                start=frame(data["start"]),
                limit=_maybe(_number(1, 2**31 - 1))(data["limit"]),
                is_over=_flag(data["is_over"]),
                stale=tuple((frame(first), frame(last)) for first, last in data["stale"]),
                request=_text(100)(data.get("request", "")),
                nearly=tuple(map(frame, data.get("nearly", ())))[:MOST_NEARLY],
                made_with=read_mask_settings(data.get("made_with", {})),
            )
        except (KeyError, ValueError, TypeError, OverflowError):
            problems.append(
                "the note of the last run in project.json can't be; where it stopped is not known, "
                "the results are there"
            )
            return None


def _readers(n_frames: int) -> dict[str, Callable[[Any], Any]]:
    name, axis, frame = _text(300), _number(0, 15), _number(0, n_frames - 1)
    return {
        "model": _maybe(name),
        "device": _maybe(name),
        "resolution": _number(0, 2**15),
        "direction": _one_of(get_args(Direction)),
        "start_frame": _maybe(frame),
        "max_frames": _maybe(_number(1, 2**31 - 1)),
        "text": _text(1000),
        "time_axis": _maybe(axis),
        "channel_axis": _maybe(axis),
        "fixed": _fixed,
        "contrast_limits": _maybe(_limits),
        "frame": frame,
        "current_object": _maybe(_number(1, 2**31 - 1)),
    }


def _number(low: int, high: int) -> Callable[[Any], int]:
    def read(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise ValueError(value)
        return value

    return read


def _text(longest: int) -> Callable[[Any], str]:
    def read(value: Any) -> str:
        if not isinstance(value, str) or len(value) > longest:
            raise ValueError(value)
        return value

    return read


def _one_of(choices: tuple[Any, ...]) -> Callable[[Any], Any]:
    def read(value: Any) -> Any:
        if value not in choices:
            raise ValueError(value)
        return value

    return read


def _maybe(read: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda value: None if value is None else read(value)


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError(value)
    return value


def _fixed(value: Any) -> Mapping[int, int]:
    if not isinstance(value, dict):
        raise ValueError(value)
    index = _number(0, 2**31 - 1)
    return MappingProxyType(
        {_number(0, 15)(int(axis)): index(place) for axis, place in value.items()}
    )


def _limits(value: Any) -> tuple[float, float]:
    low, high = (float(v) for v in value)
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise ValueError(value)
    return low, high
