"""Which models are loaded in this process. They drop out when they are closed or let go of."""

from __future__ import annotations

import threading
from weakref import WeakKeyDictionary

_LOCK = threading.Lock()
_LOADED: WeakKeyDictionary[object, str] = WeakKeyDictionary()


def note_loaded(model: object, name: str) -> None:
    """Take note that a model was loaded under a name."""
    with _LOCK:
        _LOADED[model] = name


def note_closed(model: object) -> None:
    """Take note that a model was closed; its own `close` says so."""
    with _LOCK:
        _LOADED.pop(model, None)


def is_loaded(name: str) -> bool:
    """Whether a model of that name is loaded."""
    with _LOCK:
        return name in _LOADED.values()
