"""What can be said on the command line, and how it is read: a function for each kind of value."""

from __future__ import annotations

import argparse
import glob
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from napari_sam3.export.registry import ALL, FORMATS

DEFAULT_FORMATS = ("tiff", "png", "overlay", "csv")
"""What `track` writes when nothing is said."""

FORMATS_HELP = "some of " + ", ".join(
    f"{name} ({kind.target}: {kind.summary})" for name, kind in FORMATS.items()
)
FORMATS_HELP += f"; or {ALL}"


@dataclass(frozen=True)
class GivenPrompt:
    """One prompt as it was given.

    Attributes
    ----------
    kind : "point", "box", "mask" or "text"
        What it is.
    obj_id : int or None
        The object meant; None: one of its own.
    frame_index : int or None
        None: the frame of --frame.
    numbers : tuple of float
        x, y of a point; x0, y0, x1, y1 of a box, px.
    is_positive : bool
        Of a point: whether it lies on the object.
    words : str
        The text, or the mask's file.
    """

    kind: Literal["point", "box", "mask", "text"]
    obj_id: int | None = None
    frame_index: int | None = None
    numbers: tuple[float, ...] = ()
    is_positive: bool = True
    words: str = ""


def index_or_name(text: str) -> int | str:
    """Read an index from 0, or a name."""
    return int(text) if text.isascii() and text.isdecimal() else text


def point(text: str) -> GivenPrompt:
    """Read "[ID:]X,Y[,+|-][@N]"."""
    obj_id, body, frame_index = _split(text)
    parts = body.split(",")
    sign = parts.pop().strip() if len(parts) == 3 else "+"
    if len(parts) != 2 or sign not in ("+", "-"):
        raise _wrong(text, "[ID:]X,Y[,+|-][@N], as 120,80 or 1:120,80,- or 120,80@30")
    if sign == "-" and obj_id is None:
        raise argparse.ArgumentTypeError(
            f"{text!r} is a click off an object, but which? Say it as 1:{text}"
        )
    return GivenPrompt("point", obj_id, frame_index, _numbers(text, parts), sign == "+")


def box(text: str) -> GivenPrompt:
    """Read "[ID:]X0,Y0,X1,Y1[@N]"."""
    obj_id, body, frame_index = _split(text)
    parts = body.split(",")
    if len(parts) != 4:
        raise _wrong(text, "[ID:]X0,Y0,X1,Y1[@N], as 10,20,110,90 or 1:10,20,110,90@30")
    return GivenPrompt("box", obj_id, frame_index, _numbers(text, parts))


def mask(text: str) -> GivenPrompt:
    """Read "[ID:]FILE[@N]"; a file whose name looks like that is taken as it is."""
    if Path(text).is_file():
        return GivenPrompt("mask", words=text)
    obj_id, body, frame_index = _split(text)
    if not body:
        raise _wrong(text, "[ID:]FILE[@N], as labels.png or 1:cell.png@30")
    return GivenPrompt("mask", obj_id, frame_index, words=body)


def text(text: str) -> GivenPrompt:
    """Read a noun phrase."""
    if not text.strip():
        raise argparse.ArgumentTypeError("the text is empty; name what to look for, as 'cell'")
    return GivenPrompt("text", words=text.strip())


def there(text: str) -> Path:
    """Read the path of a file or folder that is there, or a pattern of files."""
    path = Path(text)
    if not _may_be_there(path):
        raise argparse.ArgumentTypeError(f"there is no file or folder {text!r}; check the path")
    return path


def _may_be_there(path: Path) -> bool:
    try:
        path = path.expanduser()
        return path.exists() or (glob.has_magic(path.name) and path.parent.is_dir())
    except (OSError, RuntimeError):  # closed, too long, "~somebody": who opens it says which
        return True


def _number_parser(least: int, refusal: str) -> Callable[[str], int]:
    """What reads a whole number from `least`."""

    def parse(text: str) -> int:
        if not re.fullmatch(r"[0-9]+", text) or int(text) < least:
            raise argparse.ArgumentTypeError(f"{text!r} is {refusal}")
        return int(text)

    return parse


index = _number_parser(0, "no frame number; frames count from 0")
count = _number_parser(1, "no number of frames; give 1 or more")
jobs = _number_parser(1, "no number of processes; give 1 or more")
pixels = _number_parser(1, "no number of pixels; give 1 or more")


def contrast(text: str) -> tuple[float, float]:
    """Read "LOW,HIGH"."""
    parts = text.split(",")
    if len(parts) != 2:
        raise _wrong(text, "LOW,HIGH, as 200,4095")
    low, high = _numbers(text, parts)
    if low >= high:
        raise argparse.ArgumentTypeError(f"{text!r}: LOW must be less than HIGH")
    return low, high


def formats(text: str) -> tuple[str, ...]:
    """Read a list of formats."""
    names = tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    for name in names:
        if name != ALL and name not in FORMATS:
            raise argparse.ArgumentTypeError(
                f"there is no format {name!r}; choose from {', '.join(FORMATS)}, or {ALL}"
            )
    if not names:
        raise argparse.ArgumentTypeError(f"no format given; choose from {', '.join(FORMATS)}")
    return names


def pixel_size(text: str) -> tuple[tuple[float, float], str]:
    """Read "SIZE[,WIDTH]UNIT": height and width of a pixel, and their unit."""
    found = re.fullmatch(r"\s*([0-9.eE+-]+)(?:,([0-9.eE+-]+))?\s*(nm|um|µm|mm|cm|m)\s*", text)
    if not found:
        raise _wrong(text, "SIZE[,WIDTH]UNIT, as 0.65um or 0.65,0.6um (nm, um, mm, cm or m)")
    numbers = _numbers(text, [found[1], found[2] or found[1]])
    if min(numbers) <= 0:
        raise argparse.ArgumentTypeError(f"{text!r}: a pixel's size must be above 0")
    return (numbers[0], numbers[1]), found[3].replace("µ", "u")


def _split(text: str) -> tuple[int | None, str, int | None]:
    """Take "ID:" from the front and "@N" from the back."""
    obj_id, frame_index = None, None
    if found := re.match(r"([0-9]+):", text):
        obj_id, text = int(found[1]), text[found.end() :]
        if obj_id == 0:
            raise argparse.ArgumentTypeError("ids count from 1; 0 is the background")
    if found := re.search(r"@([0-9]+)$", text):
        frame_index, text = int(found[1]), text[: found.start()]
    return obj_id, text, frame_index


def _numbers(text: str, parts: list[str]) -> tuple[float, ...]:
    try:
        numbers = tuple(float(part) for part in parts)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} holds something that is no number") from None
    if not all(map(math.isfinite, numbers)):
        raise argparse.ArgumentTypeError(f"{text!r} holds something that is no finite number")
    return numbers


def _wrong(text: str, form: str) -> argparse.ArgumentTypeError:
    return argparse.ArgumentTypeError(f"{text!r} is not of the form {form}")
