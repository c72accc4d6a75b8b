"""Signals heard for a while: of layers that are exchanged, of a viewer that outlives us."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class Connections:
    """What is connected by it is let go of together."""

    def __init__(self) -> None:
        self._held: list[tuple[Any, Callable[..., object]]] = []

    def hear(self, slot: Callable[..., object], *signals: Any) -> None:
        """Have a slot called by these signals, psygnal's or napari's."""
        for signal in signals:
            signal.connect(slot)
            self._held.append((signal, slot))

    def let_go(self) -> None:
        """Disconnect all of them."""
        held, self._held = self._held, []
        for signal, slot in held:
            signal.disconnect(slot)
