"""Timers that go off once each time that they are started."""

from __future__ import annotations

from collections.abc import Callable

from qtpy.QtCore import QObject, QTimer


def single_shot(parent: QObject, call: Callable[[], object], milliseconds: int = 0) -> QTimer:
    """A timer of a parent, that calls so long after it was started last."""
    timer = QTimer(parent)
    timer.setSingleShot(True)
    timer.setInterval(milliseconds)
    timer.timeout.connect(call)
    return timer
