"""The line of text that says what to do next."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Phase(Enum):
    """What the window is doing."""

    IDLE = "idle"
    LOADING = "loading"
    SEGMENTING = "segmenting"
    TRACKING = "tracking"
    ERASING = "erasing"
    STOPPING = "stopping"


class Ending(Enum):
    """How the last piece of work ended."""

    NONE = "none"
    SEGMENTED = "segmented"
    EMPTY = "empty"
    TRACKED = "tracked"
    STOPPED = "stopped"
    REMOVED = "removed"
    FAILED = "failed"


@dataclass(frozen=True)
class State:
    """All that the guidance depends on; see `guide`.

    `phase` is what happens now, `work` what the last piece of work was for.
    """

    has_video: bool = False
    has_prompt_layers: bool = False
    n_prompts: int = 0
    takes_text: bool = False
    has_text: bool = False
    phase: Phase = Phase.IDLE
    work: Phase = Phase.IDLE
    ending: Ending = Ending.NONE
    model: str = ""
    frames_done: int = 0
    frames_planned: int = 0
    results_name: str = ""
    failure: str = ""


def guide(state: State) -> str:
    """Say what happens, or what to do next, in one or two sentences."""
    if state.phase is not Phase.IDLE:
        return _say_work(state)
    if not state.has_video:
        return (
            "Open a video: drop a file or a folder of frames on the window, or use "
            "File > Open Sample."
        )
    if state.ending is Ending.FAILED:
        return state.failure
    if not state.n_prompts and not state.has_text:
        return _ask_for_prompts(state)
    return _say_ending(state)


def _say_work(state: State) -> str:
    if state.phase is Phase.LOADING:
        return f"Getting the model ready ({state.model}) ..."
    if state.phase is Phase.SEGMENTING:
        return "Segmenting the frame ..."
    if state.phase is Phase.ERASING:
        return "Taking the object off the frames ..."
    done = f"{state.frames_done} of {state.frames_planned} frames"
    if state.phase is Phase.STOPPING:
        return f"Stopping; {done} are done and stay."
    return f"Tracking: {done}. Stop keeps what is done."


def _ask_for_prompts(state: State) -> str:
    words = ", or type what to look for" if state.takes_text else ""
    if not state.has_prompt_layers:
        return f"Press New prompts, then click the object{words}."
    return (
        "Click the object in the picture (or draw a box in the boxes layer"
        f"{words}). For the next object raise the object number."
    )


def _say_ending(state: State) -> str:
    if state.ending is Ending.SEGMENTED:
        return (
            "Not quite right? Add clicks, with exclude for what is too much. "
            "Right? Propagate follows it through the video."
        )
    if state.ending is Ending.EMPTY:
        hint = " A shorter, simpler word may help." if state.has_text else ""
        return f"Nothing was found on this frame. Add a click or draw a box round the object.{hint}"
    if state.ending is Ending.TRACKED:
        return (
            f"{_count(state.frames_done)} done, in the layer '{state.results_name}'. "
            "Wrong somewhere? Go to that frame, correct it by clicks or by painting in that layer, "
            "and propagate again."
        )
    if state.ending is Ending.STOPPED and not state.results_name:
        return "Stopped before the first frame."
    if state.ending is Ending.STOPPED:
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
