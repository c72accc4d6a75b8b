"""The line of text that says what happens, or what to do next."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import Qt
from qtpy.QtGui import QShowEvent
from qtpy.QtWidgets import QFrame, QLabel, QScrollArea

from napari_sam3.plugin.controllers.frame_lock import LOCK_KEY
from napari_sam3.plugin.model.app_state import NEW_EACH, AppState, Outcome, Phase
from napari_sam3.plugin.model.tools import Tool

N_LINES = 4


class _Text(QLabel):
    """Text that can be copied, for which Qt leaves more room round it than for other text."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.setTextFormat(Qt.TextFormat.PlainText)  # names are no markup
        self.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.setAlignment(Qt.AlignmentFlag.AlignTop)


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
        self._label = _Text()
        self._label.setWordWrap(True)
        self.setWidget(self._label)
        self.setWidgetResizable(True)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setObjectName("guidance")
        self.setStyleSheet("#guidance { border-left: 3px solid #4c82f0; padding-left: 4px; }")
        state.events.connect(self._show)
        self._show()

    def showEvent(self, event: QShowEvent | None) -> None:  # noqa: N802 (Qt's name)
        """Take room for the lines, in the type that the window's theme has."""
        super().showEvent(event)
        sample = _Text("\n".join("x" * N_LINES), self)
        sample.ensurePolished()
        frame = self.height() - self.maximumViewportSize().height()
        self.setFixedHeight(sample.sizeHint().height() + frame)
        sample.deleteLater()

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
    if state.tool is Tool.EXAMPLE and state.can_change and not state.detection.is_working:
        return _ask_for_example(state)
    if state.outcome is Outcome.FAILED:
        return _format_failure(state)
    if project.why_read_only:
        return f"This project can be looked at, but not changed: {project.why_read_only}."
    if project.earlier and is_new:
        return (
            f"Earlier work on this video was kept ({project.earlier}). Open it, or begin anew: it "
            "stays as it is."
        )
    if not state.is_model_ready and state.catalog.place:
        how = state.catalog.how_to_get(state.model)
        return f"{how[0].upper()}{how[1:]}; or choose another one."
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
    if state.detection.is_working:
        return f"Looking for objects with {state.detector.rstrip(':')} ..."
    if state.detection.n_proposals:
        return _format_proposals(state)
    if not state.n_prompts and is_new and not (state.takes_text and state.texts):
        unkept = "Results are not kept: see Project. " if project.why_not else ""
        return unkept + _ask_for_prompts(state)
    return _format_preview(state) or _format_outcome(state)


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
    return f"Tracking: {done}. Stop keeps what is done." + _format_drawn_meanwhile(state)


def _format_drawn_meanwhile(state: AppState) -> str:
    """What to say of prompts that are drawn during a run, which goes on without them."""
    preview = state.preview
    if preview.locked:
        return f" {_format_locked(state)}"
    if preview.comes_after_run:
        return " What you draw is previewed after the run."
    if preview.objects:
        return " Hatched is what you draw meanwhile: this run goes on without it."
    return ""


def _format_locked(state: AppState) -> str:
    """Why what was drawn changes nothing."""
    if state.preview.is_frame_locked:
        return (
            f"This frame is locked: what you draw on it changes nothing. Key {LOCK_KEY} unlocks it."
        )
    ids = state.preview.locked
    which = f"Object {ids[0]} is" if len(ids) == 1 else f"Objects {', '.join(map(str, ids))} are"
    return (
        f"{which} locked: what you draw there changes nothing. Unlock by the padlock in the "
        "table, or take another object."
    )


def _ask_for_prompts(state: AppState) -> str:
    words = ", or type what to look for" if state.takes_text else ""
    if state.points is None and state.boxes is None and state.masks is None:
        return f"Take a tool below, then click the object{words}."
    if state.object_in_hand == NEW_EACH:
        return f"Click one object after the other: each click is an object of its own{words}."
    return (
        f"Click the object in the picture, or draw a box round it{words}. Next object: key N. "
        "Many alike, as cells? Find objects below, or Each new and click."
    )


def _ask_for_example(state: AppState) -> str:
    if state.has_example:
        return (
            "Find objects looks for all that is like what the box on this frame holds. Not right? "
            "Drag another one. Escape: back to the tool before."
        )
    return (
        "Drag a box round one of the things to find, on this frame; then press Find objects. "
        "Escape: back to the tool before."
    )


def _format_proposals(state: AppState) -> str:
    frames = state.detection.frames
    where = f"frame {frames[0]}" if len(frames) == 1 else f"{len(frames)} frames"
    return (
        f"{_count(state.detection.n_proposals, 'object')} proposed on {where}, hatched: accept or "
        "reject them in the table, or all below Find objects. Only what is accepted is followed."
    )


def _format_failure(state: AppState) -> str:
    if not state.results_name or not state.frames_done:
        return state.failure
    return f"{state.failure} {_count(state.frames_done)} done stay in '{state.results_name}'."


def _format_missed(state: AppState) -> str:
    names = " or ".join(f"'{text}'" for text in state.missed)
    new = "new " if state.outcome is Outcome.SEGMENTED else ""
    return (
        f"Nothing {new}called {names} found on frame {state.missed_on}; try a shorter noun, "
        "another frame, or point it out by a click or a box."
    )


def _format_preview(state: AppState) -> str:
    """What to say of previews; empty if nothing."""
    preview = state.preview
    if preview.locked:
        return _format_locked(state)
    if preview.failure:
        return f"No preview: {preview.failure}"
    if preview.is_working:
        return (
            f"The model {state.resolved_model} is at work on the preview; here that takes seconds. "
            "You can go on drawing."
        )
    if preview.waits_for_enter:
        return (
            f"A preview takes {state.resolved_model} about {preview.seconds:.0f} s here: press "
            "Enter for one, or go on drawing."
        )
    if preview.empty and not preview.objects:
        return "Nothing was found there. Add a click, or draw a box round the object."
    if preview.objects and state.has_new_prompts and state.outcome is not Outcome.NONE:
        return (
            "The mask is out of date; hatched is a preview of what the new prompts mean. Segment "
            "frame keeps it, Propagate takes it to the other frames."
        )
    if preview.objects:
        return (
            "Hatched is a preview. Not right? Add clicks, or exclude. "
            "Right? Segment frame keeps it, Propagate follows it through the video."
        )
    return ""


def _format_outcome(state: AppState) -> str:
    if state.has_new_prompts and state.outcome is not Outcome.NONE:
        return (
            "The mask is out of date: there are new prompts. Segment frame shows what they mean "
            "here, Propagate takes it to the other frames."
        )
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
            "Wrong somewhere? Go there, correct it by clicks or with the brush, then press "
            "From here."
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
