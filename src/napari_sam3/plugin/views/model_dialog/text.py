"""What the dialog says. Remedies name its own buttons, where the core's name commands."""

from __future__ import annotations

from html import escape
from typing import NamedTuple

from napari_sam3.errors import DownloadCancelledError, PropagationError, Sam3Error
from napari_sam3.models.weights import (
    FAMILIES,
    TOKEN_PAGE,
    State,
    Weights,
    WeightsState,
    format_bytes,
)

LINK_COLOUR = "#5b8cf5"
"""Read well on dark and on light ground."""

GOOD, WAITING, BAD = "#3fa45b", "#d08a1d", "#e05252"


class Line(NamedTuple):
    """A line with its mark; a colour that reads on both themes. The text is rich text."""

    mark: str
    colour: str
    text: str

    def html(self) -> str:
        """As rich text."""
        return f'<span style="color: {self.colour}">{self.mark}</span> {self.text}'


def as_rich(text: object) -> str:
    """Rich text that shows just this, as for paths, names and what a server has said."""
    return escape(str(text), quote=False)


def link(url: str | None, text: str) -> str:
    """Rich text that opens a page; the text alone where there is none."""
    if url is None:
        return as_rich(text)
    return f'<a href="{escape(url)}" style="color: {LINK_COLOUR}">{as_rich(text)}</a>'


_ACCESS = {
    State.NO_TOKEN: Line(
        "…",
        WAITING,
        "The hub gives these weights only to accounts that it knows: accept the licence on "
        f"{{page}}, {link(TOKEN_PAGE, 'make a token')}, and paste it above.",
    ),
    State.NOT_REQUESTED: Line(
        "✗",
        BAD,
        "Access was not requested. Accept the licence on {page}; its authors approve each "
        "request. Then check again.",
    ),
    State.PENDING: Line(
        "…",
        WAITING,
        "Access was requested; the authors have not answered yet. Check again later: it can take "
        "days.",
    ),
    State.REFUSED: Line(
        "✗",
        BAD,
        "The authors have refused this account access. Use a folder that you may use, or another "
        "model.",
    ),
}


def say_size(weights: Weights) -> str:
    """The size of the download; empty if it is not known."""
    return "" if weights.download_bytes is None else format_bytes(weights.download_bytes)


def say_what_it_is(weights: Weights) -> str:
    """Family, size and need, in a line."""
    family = FAMILIES.get(weights.model_type or "")
    parts = ["" if family is None else family.title, say_size(weights)]
    parts.append(f"wants about {format_bytes(weights.memory_bytes)} of the device's memory")
    return " · ".join(part for part in parts if part)


def say_place(now: WeightsState) -> Line:
    """Where the weights are."""
    size = say_size(now.weights)
    if now.is_ready:
        return Line("✓", GOOD, f"On this machine, in {as_rich(now.folder)}")
    if now.state is State.DAMAGED:
        fault = as_rich(now.message.partition(". ")[0])
        return Line("✗", BAD, f"{fault}. Choose its folder again.")
    if now.state is State.OFFLINE:
        return Line("✗", BAD, _sentence(now.message))  # it alone knows why: net, proxy, 503
    if now.partial_bytes:
        part = format_bytes(now.partial_bytes)
        return Line("↓", WAITING, f"{part}{f' of {size}' if size else ''} are here already.")
    then = "" if now.state is State.TO_DOWNLOAD else ", once access is granted"
    return Line(
        "↓", WAITING, f"Not on this machine{f': {size} to download' if size else ''}{then}."
    )


def say_access(now: WeightsState) -> Line | None:
    """Whether the hub gives them to this account, and what to do; None if nobody asked yet."""
    said = _ACCESS.get(now.state)
    page = link(now.weights.page, "the model's page")
    return None if said is None else said._replace(text=said.text.format(page=page))


def say_error(error: Sam3Error) -> str:
    """What went wrong and the remedy, as rich text.

    The errors' own words: they alone know what was kept, what was deleted and what the hub said.
    """
    cause = error.__cause__
    if isinstance(error, PropagationError) and isinstance(cause, Sam3Error):
        error = cause
    if isinstance(error, DownloadCancelledError):
        return "Stopped. What has come is kept; Resume goes on from there."
    return _sentence(str(error))


def _sentence(text: str) -> str:
    """A message as a sentence in rich text; the page for tokens can be opened from it."""
    text = text.rstrip(". ")
    said = as_rich(f"{text[:1].upper()}{text[1:]}.")
    return said.replace(TOKEN_PAGE, link(TOKEN_PAGE, TOKEN_PAGE))
