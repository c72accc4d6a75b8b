"""What the next press in the picture does: the tools, their keys, and what is told of them."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

EXCLUDE_MODIFIER = "Control"
"""Held at a press in the picture: it shows what is not the object. So does the second button."""


class Tool(Enum):
    """What the next press in the picture does."""

    SELECT = "select"
    INCLUDE = "include"
    EXCLUDE = "exclude"
    BOX = "box"
    LASSO = "lasso"
    SCRIBBLE = "scribble"
    PAINT = "paint"
    ERASE = "erase"
    TEXT = "text"
    EXAMPLE = "example"

    @property
    def about(self) -> ToolText:
        """Its key, and what a person reads of it."""
        return _TEXTS[self]

    @property
    def is_in_strip(self) -> bool:
        """Whether it stands among the others; that for examples is taken where they are used."""
        return self is not Tool.EXAMPLE

    @property
    def is_click(self) -> bool:
        """Whether it makes clicks."""
        return self in (Tool.INCLUDE, Tool.EXCLUDE)

    @property
    def is_shape(self) -> bool:
        """Whether it draws a shape round the object, or on it."""
        return self in (Tool.BOX, Tool.LASSO, Tool.SCRIBBLE)

    @property
    def is_brush(self) -> bool:
        """Whether it changes labels."""
        return self in (Tool.PAINT, Tool.ERASE)

    @property
    def prompt_kind(self) -> str:
        """What a model must take for it, by its name in `Capabilities`; empty: any model will do.

        What is painted among results corrects them; before there are any it is a mask to go by.
        """
        return _KINDS.get(self, "")


class ToolText(NamedTuple):
    """What is told of a tool.

    Attributes
    ----------
    key : str
        That takes it in hand, on the layers of the work; empty: none does.
    hint : str
        What to do with it, in one short line.
    more : str
        The same at length, beside it.
    """

    key: str
    hint: str
    more: str


_KINDS = {
    Tool.INCLUDE: "points",
    Tool.EXCLUDE: "points",
    Tool.SCRIBBLE: "points",
    Tool.BOX: "boxes",
    Tool.LASSO: "masks",
    Tool.PAINT: "masks",
    Tool.ERASE: "masks",
    Tool.TEXT: "text",
}
_OTHER_BUTTON = "With Ctrl held, or the second mouse button, it shows what is not the object."
_TEXTS = {
    Tool.SELECT: ToolText(
        "Q",
        "click an object to take it in hand",
        "Click on a mask, a click or a box in the picture: that object is in hand then. Dragging "
        "moves the picture.",
    ),
    Tool.INCLUDE: ToolText("C", "click on the object", f"A click on the object. {_OTHER_BUTTON}"),
    Tool.EXCLUDE: ToolText(
        "W",
        "click on what is not the object",
        "A click on what the mask holds too much of. The key changes between include and exclude.",
    ),
    Tool.BOX: ToolText(
        "R", "drag a box round the object", f"A rectangle round the object. {_OTHER_BUTTON}"
    ),
    Tool.LASSO: ToolText(
        "O",
        "draw round the object, button held",
        f"An outline drawn freely round the object. {_OTHER_BUTTON}",
    ),
    Tool.SCRIBBLE: ToolText(
        "T",
        "draw a line on the object",
        f"A line on the object, taken as clicks along it. {_OTHER_BUTTON}",
    ),
    Tool.PAINT: ToolText(
        "P",
        "paint the object; Ctrl erases",
        "A brush that paints the object in hand, as a mask to begin with or as a correction of a "
        "result. With Ctrl held it erases; [ and ] make it smaller and larger.",
    ),
    Tool.ERASE: ToolText(
        "E",
        "wipe off what is too much",
        "A brush that takes off what a mask holds too much of; [ and ] make it smaller and larger.",
    ),
    Tool.TEXT: ToolText(
        "/",
        "type what to look for, then Enter",
        "Words for what to look for, such as: cell. Every one found gets a number of its own.",
    ),
    Tool.EXAMPLE: ToolText(
        "",
        "drag a box round one thing to find",
        "A rectangle round one of the things that Find objects shall look for. It is no object and "
        "no prompt. Another one on the same frame takes its place; Escape lets go of the tool.",
    ),
}
