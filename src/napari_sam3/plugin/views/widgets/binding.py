"""Fields and the state kept in line, both ways."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from napari_sam3.plugin.model.app_state import AppState


def bind(
    state: AppState,
    name: str,
    field: Any,
    *,
    show: Callable[[Any], Any] = lambda value: value,
    read: Callable[[Any], Any] = lambda value: value,
) -> None:
    """Let a field show one value of the state, and set it when a person changes the field.

    Parameters
    ----------
    state : AppState
    name : str
        Of the value.
    field : magicgui widget, or something like one
        With `value` and the signal `changed`.
    show, read : callable
        From the state's value to the field's, and back.
    """

    def on_state_changed(value: Any) -> None:
        with field.changed.blocked():
            field.value = show(value)

    def on_field_changed(value: Any) -> None:
        if value is not None:  # while choices are exchanged
            setattr(state, name, read(value))

    on_state_changed(getattr(state, name))
    state.events[name].connect(on_state_changed)
    field.changed.connect(on_field_changed)
