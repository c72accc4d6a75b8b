"""Which picture of many is meant, where a file holds channels, depth and scenes beside time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import Any, Self

from napari_sam3.errors import ChoiceError, ChoiceNeededError, VideoError
from napari_sam3.values import MOST_FRAMES

PROJECTIONS = ("max", "mean")

_OPTIONS = ("channel", "z", "scene")
_MOST_NAME = 1000


@dataclass(frozen=True)
class PlaneChoice:
    """Which channel, which depth, which scene; what is None was not chosen.

    Attributes
    ----------
    channel : int or str, optional
        Its index from 0, or its name.
    z : int, "max" or "mean", optional
        A plane's index from 0; or the brightest, or the mean, of all planes at each pixel.
    scene : int or str, optional
        Index from 0, or name, of one of several pictures in a file: a series, a position.

    Raises
    ------
    ChoiceError
        If one is something else.
    """

    channel: int | str | None = None
    z: int | str | None = None
    scene: int | str | None = None

    def __post_init__(self) -> None:
        for option in _OPTIONS:
            value = getattr(self, option)
            is_index = isinstance(value, Integral) and not isinstance(value, bool)
            if is_index and 0 <= value < MOST_FRAMES:
                object.__setattr__(self, option, int(value))
            elif option == "z" and not (value is None or value in PROJECTIONS):
                raise ChoiceError(f"z is {value!r}; give the index of a plane from 0, max or mean")
            elif is_index or not (value is None or _is_name(value)):
                raise ChoiceError(f"{option} is {value!r:.100}; give an index from 0, or a name")

    def __bool__(self) -> bool:
        return self != PlaneChoice()

    def __str__(self) -> str:
        """In words: "channel 1, z max"."""
        return ", ".join(f"{option} {value}" for option, value in self.to_json().items())

    def to_json(self) -> dict[str, int | str]:
        """What was chosen, as JSON can say it."""
        said = {option: getattr(self, option) for option in _OPTIONS}
        return {option: value for option, value in said.items() if value is not None}

    @classmethod
    def from_json(cls, said: Any) -> Self:
        """Read what `to_json` made; None is no choice.

        Raises
        ------
        VideoError
            If it is something else.
        """
        if said is None:
            return cls()
        if not isinstance(said, dict) or not set(said) <= set(_OPTIONS):
            raise VideoError(f"{said!r:.100} says no channel, z and scene")
        return cls(**said)


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= _MOST_NAME and "\0" not in value


NO_CHOICE = PlaneChoice()


@dataclass(frozen=True)
class PlanePlan:
    """How frames are read off the planes of a stack.

    Attributes
    ----------
    time : str or None
        The axis that frames follow each other along; None: there is one frame.
    fixed : dict of str to int
        The index on each other axis but a projected one.
    projected : str
        "max" or "mean" of all along Z; empty if there is no projection.
    choice : PlaneChoice
        As indices; what there was no choice of is left out, so that equal pictures have equal ones.
    """

    time: str | None
    fixed: Mapping[str, int]
    projected: str
    choice: PlaneChoice


def plan_planes(
    name: str,
    sizes: Mapping[str, int],
    choice: PlaneChoice,
    *,
    picture: str = "YX",
    channels: Sequence[str] = (),
) -> PlanePlan:
    """Find the frames of a stack of planes.

    Frames follow each other along T; without it along the one axis that is left.

    Parameters
    ----------
    name : str
        Of the file, for messages.
    sizes : dict of str to int
        How long each axis before the picture's own is; T is time, C channels, Z depth.
    choice : PlaneChoice
        Its scene was followed already.
    picture : str
        The picture's axes, for messages.
    channels : sequence of str
        Names of the channels.

    Raises
    ------
    ChoiceNeededError
        If a choice is missing; the message names the axis.
    ChoiceError
        If the file does not hold what was chosen.
    VideoError
        If it has an axis that is none of these.
    """
    long = {axis: size for axis, size in sizes.items() if size > 1}
    strange = [axis for axis in long if axis not in "TCZ"]
    if strange and len(long) > 1:
        raise VideoError(
            f"{_tell_axes(name, sizes, picture)}, and {strange[0]!r} is neither time nor channel "
            "nor depth; save the part that you mean as a file of its own, or open the file in "
            "napari and choose there"
        )
    channel = _index_of_channel(name, choice.channel, sizes.get("C", 1), channels)
    z = choice.z
    if isinstance(z, int) and z >= sizes.get("Z", 1):
        raise ChoiceError(
            f"there is no plane z={z} in {name!r}; {_range(sizes.get('Z', 1), 'plane')}"
        )
    chosen = {"C": channel is not None, "Z": z is not None}
    left = [axis for axis in long if not chosen.get(axis)]
    time = "T" if "T" in left else ("Z" if "Z" in left else (left[0] if left else None))
    asked = [axis for axis in left if axis != time]
    if asked:
        raise ChoiceNeededError(
            f"{_tell_axes(name, sizes, picture)}: {_ask(asked, sizes, channels)}",
            {{"C": "channel", "Z": "z"}[axis]: sizes[axis] for axis in asked},
        )
    fixed = {axis: 0 for axis in sizes if axis != time}
    if "C" in fixed:
        fixed["C"] = channel or 0
    projected = ""
    if "Z" in fixed and isinstance(z, str):
        projected = z if sizes["Z"] > 1 else ""
    elif "Z" in fixed:
        fixed["Z"] = z if isinstance(z, int) else 0
    if projected:
        del fixed["Z"]
    return PlanePlan(
        time,
        fixed,
        projected,
        PlaneChoice(channel if "C" in long else None, z if "Z" in long else None, choice.scene),
    )


def choose_scene(name: str, choice: int | str | None, scenes: Sequence[str]) -> int:
    """Which of several pictures of a file is meant.

    Raises
    ------
    ChoiceError
        If there are several, and none is chosen; or there is no such one.
    """
    if choice is None:
        if len(scenes) > 1:
            raise ChoiceNeededError(
                f"{name!r} holds {len(scenes)} scenes: which one? Say scene=0 (--scene 0), "
                f"{_range(len(scenes), 'scene')}{_named(scenes)}",
                {"scene": len(scenes)},
            )
        return 0
    if isinstance(choice, str) and choice in scenes:
        return list(scenes).index(choice)
    if not isinstance(choice, int) or choice >= len(scenes):
        raise ChoiceError(
            f"there is no scene {choice!r} in {name!r}; {_range(len(scenes), 'scene')}"
            f"{_named(scenes)}"
        )
    return choice


def refuse_choice(name: str, choice: PlaneChoice) -> None:
    """Refuse a choice where there is none; the first of one is no choice.

    Raises
    ------
    ChoiceError
        If another one than the first was chosen.
    """
    plan_planes(name, {"T": 1}, choice)
    choose_scene(name, choice.scene, ("",))


def _index_of_channel(
    name: str, choice: int | str | None, size: int, channels: Sequence[str]
) -> int | None:
    if choice is None:
        return None
    if isinstance(choice, str) and choice in channels[:size]:
        return list(channels).index(choice)
    if not isinstance(choice, int) or choice >= size:
        raise ChoiceError(
            f"there is no channel {choice!r} in {name!r}; {_range(size, 'channel')}"
            f"{_named(channels)}"
        )
    return choice


def _ask(asked: Sequence[str], sizes: Mapping[str, int], channels: Sequence[str]) -> str:
    questions = []
    if "C" in asked:
        questions.append(
            "which channel? Say channel=0 (--channel 0), "
            f"{_range(sizes['C'], 'channel')}{_named(channels)}"
        )
    if "Z" in asked:
        questions.append(
            f"which depth? Say z=0 (--z 0), {_range(sizes['Z'], 'plane')}; or z='max' or 'mean' "
            "(--z max) for a projection"
        )
    return "; ".join(questions)


def _tell_axes(name: str, sizes: Mapping[str, int], picture: str) -> str:
    axes = "".join(sizes) + picture
    lengths = ", ".join(f"{axis} {size}" for axis, size in sizes.items())
    return f"{name!r} has {len(axes)} axes {axes} ({lengths})"


def _range(size: int, word: str) -> str:
    return f"there is one {word}, 0" if size == 1 else f"{word}s are 0 to {size - 1}"


def _named(names: Sequence[str]) -> str:
    named = [name for name in names if name]
    if not named:
        return ""
    more = ", ..." if len(named) > 8 else ""
    return f" ({', '.join(map(repr, named[:8]))}{more})"
