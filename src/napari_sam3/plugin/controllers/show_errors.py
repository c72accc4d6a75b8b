"""What a person asked for and can't have is told to them."""

from __future__ import annotations

from collections.abc import Callable

from napari.utils.notifications import show_error

from napari_sam3.errors import Sam3Error


def show_errors(act: Callable[[], object]) -> None:
    """Do something; an error of ours is told instead of raised."""
    try:
        act()
    except Sam3Error as exc:
        show_error(str(exc))
