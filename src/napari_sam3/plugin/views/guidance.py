"""The line of text that says what happens, or what to do next."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QFrame, QLabel, QScrollArea

from napari_sam3.plugin.model.app_state import AppState, Outcome, Phase


class Guidance(QScrollArea):
    """Shows `guide` of the state, in room for four lines: what needs more scrolls within them.

    So the fields below never jump when the text changes.

    Parameters
    ----------
    state : AppState
    """

    def __init__(self, state: AppState) -> None:
        super().__init__()
        self._state = state
        self._label = QLabel()
        self._label.setWordWrap(True)
        self._label.setTextFormat(Qt.TextFormat.PlainText)  # names are no markup
        self._label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self._label.setAlignment(Qt.AlignmentFlag.AlignTop)
        self.setWidget(self._label)
        self.setWidgetResizable(True)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setObjectName("guidance")
        self.setStyleSheet("#guidance { border-left: 3px solid #4c82f0; padding-left: 4px; }")
        self.setFixedHeight(4 * self.fontMetrics().lineSpacing() + 6)
        state.events.connect(self._show)
        self._show()

    def text(self) -> str:
        """What is said."""
        return self._label.text()

    def _show(self, _info: Any = None) -> None:
        text = guide(self._state)
        if text != self.text():
            self._label.setText(text)
            self.ensureVisible(0, 0)


def guide(state: AppState) -> str:
    """Say what happens, or what to do next, in one or two sentences."""
    project, is_new = state.project, state.outcome is Outcome.NONE
    if not state.is_idle:
        return _format_job(state)
    if state.video is None:
        return (
            "Open a video: drop a file or a folder of frames on the window, or use "
            "File > Open Sample."
        )
    if state.outcome is Outcome.FAILED:
        return _format_failure(state)
    if project.why_read_only:
        return f"This project can be looked at, but not changed: {project.why_read_only}."
    if project.earlier and is_new:
        return (
            f"Earlier work on this video was kept ({project.earlier}). Open it, or begin anew: it "
            "stays as it is."
        )
    if not state.is_model_ready:
        return (
            f"The model {state.model} is not on this machine yet: press Get … below its name, or "
            "choose another one."
        )
    if project.stopped_at is not None and is_new:
        return (
            f"Tracking was stopped after frame {project.stopped_at}; "
            f"{_count(project.frames_left)} {'is' if project.frames_left == 1 else 'are'} left. "
            "Propagate goes on from there."
        )
    if not state.n_prompts and not (state.takes_text and state.texts):
        return _ask_for_prompts(state)
    return _format_outcome(state)


def _format_job(state: AppState) -> str:
    if state.phase is Phase.LOADING:
        return f"Loading the model ({state.model}) ... Stop takes effect when it is loaded."
    if state.phase is Phase.SEGMENTING:
        return "Segmenting the frame ..."
    if state.phase is Phase.EDITING:
        done = f"{state.frames_done} of {state.frames_planned} frames"
        return f"Changing the objects: {done}."
    if state.phase is Phase.ERASING:
        return "Taking the object off the frames ..."
    done = f"{state.frames_done} of {state.frames_planned} frames"
    if state.phase is Phase.STOPPING:
        return f"Stopping; {done} are done and stay."
    return f"Tracking: {done}. Stop keeps what is done."


def _ask_for_prompts(state: AppState) -> str:
    words = ", or type what to look for" if state.takes_text else ""
    if state.points is None and state.boxes is None and state.masks is None:
        return f"Press New prompts, then click the object{words}."
    return (
        "Click the object in the picture (or draw a box in the boxes layer"
        f"{words}). For the next object raise the object number."
    )


def _format_failure(state: AppState) -> str:
    if not state.results_name or not state.frames_done:
        return state.failure
    return f"{state.failure} {_count(state.frames_done)} done stay in '{state.results_name}'."


def _format_missed(state: AppState) -> str:
    names = " or ".join(f"'{text}'" for text in state.missed)
    new = "new " if state.outcome is Outcome.SEGMENTED else ""
    return (
        f"Nothing {new}called {names} found on frame {state.missed_on}; try a shorter noun, or "
        "point it out by a click or a box."
    )


def _format_outcome(state: AppState) -> str:
    if state.missed and state.outcome in (Outcome.EMPTY, Outcome.SEGMENTED):
        return _format_missed(state)
    if state.outcome is Outcome.SEGMENTED:
        return (
            "Not quite right? Add clicks, with exclude for what is too much. "
            "Right? Propagate follows it through the video."
        )
    if state.outcome is Outcome.EMPTY:
        return "Nothing was found on this frame. Add a click or draw a box round the object."
    if state.outcome is Outcome.TRACKED:
        missed = f"{_format_missed(state)} " if state.missed else ""
        return (
            f"{missed}{_count(state.frames_done)} done, in the layer '{state.results_name}'. "
            "Wrong somewhere? Go to that frame, correct it by clicks or by painting in that layer, "
            "and propagate again."
        )
    if state.outcome is Outcome.STOPPED and not state.results_name:
        return "Stopped before the first frame."
    if state.outcome is Outcome.STOPPED:
        return (
            f"Stopped. {_count(state.frames_done)} done stay in '{state.results_name}'; "
            "Propagate goes on."
        )
    return (
        f"{_count(state.n_prompts, 'prompt')} set. Segment frame shows what they mean here, "
        "Propagate follows the objects through the video."
    )


def _count(number: int, what: str = "frame") -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
