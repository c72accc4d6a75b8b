"""Projects that could not be closed: tried again when they are opened, and at the program's end."""

from __future__ import annotations

import atexit
import logging
import os
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from napari_sam3.errors import ProjectError, StoreError

logger = logging.getLogger(__name__)


class Closable(Protocol):
    """A project, as far as it is of concern here."""

    def close(self) -> None:
        """Write what is left; raises where that can't be."""


_left_open: dict[Path, Closable] = {}


def note(folder: Path, project: Closable) -> None:
    """Note that a project could not be closed."""
    _left_open[folder] = project


def forget(folder: Path, project: Closable) -> None:
    """Let go of a project: it is closed, or worked on after all."""
    if _left_open.get(folder) is project:
        del _left_open[folder]


def close(folder: Path) -> None:
    """Close what was left open in a folder, if anything was."""
    left = _left_open.get(folder)
    if left is not None:
        left.close()


@atexit.register  # and so called before the store's own end, which was imported before this
def _close_all() -> None:
    for project in list(_left_open.values()):
        with suppress(StoreError):  # the store tries again after this, and says so
            try:
                project.close()
            except ProjectError as exc:
                logger.error("the program ends, and what is not on disk is lost: %s", exc)


if hasattr(os, "register_at_fork"):  # they stay the business of the process that opened them
    os.register_at_fork(after_in_child=_left_open.clear)
