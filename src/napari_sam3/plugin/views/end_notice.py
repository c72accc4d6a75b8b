"""Tells a person who has turned to other things that long work is done."""

from __future__ import annotations

from time import perf_counter

from napari.utils.notifications import show_info
from qtpy.QtWidgets import QApplication, QWidget

from napari_sam3.plugin.model.app_state import AppState, Outcome, Phase

LONG = 20.0
"""Seconds; work that took longer is worth a word also while its window is in front."""


class EndNotice:
    """Says how a propagation ended, where the window is not in front any more or it took long.

    In napari's notifications, and by the window's mark in the task bar. What went wrong is said
    by others, always.

    Parameters
    ----------
    state : AppState
    widget : QWidget
        In the window that is meant.
    """

    def __init__(self, state: AppState, widget: QWidget) -> None:
        self._state, self._widget = state, widget
        self._began = 0.0
        self._was_in_front = False
        state.events.phase.connect(self._on_phase)

    def _on_phase(self, phase: Phase, before: Phase) -> None:
        state = self._state
        if before is Phase.IDLE:
            self._began = perf_counter()
            self._was_in_front = self._is_in_front()
        elif phase is Phase.IDLE and state.job_phase is Phase.TRACKING:
            took = perf_counter() - self._began
            text = format_end(state)
            # a window that was not looked at when it began was begun by a script
            if text and self._was_in_front and (took > LONG or not self._is_in_front()):
                show_info(text)
                QApplication.alert(self._widget.window())  # nothing, where it is in front

    def _is_in_front(self) -> bool:
        window = self._widget.window()
        return window is not None and window.isActiveWindow()


def format_end(state: AppState) -> str:
    """How a propagation ended, in a sentence; empty where that is said elsewhere."""
    frames = f"{state.frames_done} frame{'' if state.frames_done == 1 else 's'}"
    name = "" if state.video is None else f" of {state.video.name}"
    if state.outcome is Outcome.TRACKED:
        return f"Tracking is done: {frames}{name}."
    if state.outcome is Outcome.STOPPED:
        return f"Tracking was stopped: {frames}{name} are done and stay."
    return ""
