"""For the tests of other tools' files."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any


def told_of(opening: Callable[[], Any]) -> tuple[Any, list[str]]:
    """What is opened, and what is told of it."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        opened = opening()
    return opened, [str(w.message) for w in said if issubclass(w.category, UserWarning)]
