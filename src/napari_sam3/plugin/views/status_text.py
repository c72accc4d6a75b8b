"""The line of text that says what to do next."""

from __future__ import annotations

from napari_sam3.plugin.model.status import Outcome, Phase, State


def guide(state: State) -> str:
    """Say what happens, or what to do next, in one or two sentences."""
    if state.phase is not Phase.IDLE:
        return _say_work(state)
    if not state.has_video:
        return (
            "Open a video: drop a file or a folder of frames on the window, or use "
            "File > Open Sample."
        )
    if state.ending is Outcome.FAILED:
        return _say_failure(state)
    if state.why_read_only:
        return f"This project can be looked at, but not changed: {state.why_read_only}."
    if state.earlier and state.ending is Outcome.NONE:
        return (
            f"Earlier work on this video was kept ({state.earlier}). Open it, or begin anew: it "
            "stays as it is."
        )
    if not state.is_model_ready:
        return (
            f"The model {state.model} is not on this machine yet: press Get … below its name, or "
            "choose another one."
        )
    if state.stopped_at is not None and state.ending is Outcome.NONE:
        return (
            f"Tracking was stopped after frame {state.stopped_at}; {_count(state.frames_left)} "
            f"{'is' if state.frames_left == 1 else 'are'} left. Propagate goes on from there."
        )
    if not state.n_prompts and not state.has_text:
        return _ask_for_prompts(state)
    return _say_ending(state)


def _say_work(state: State) -> str:
    if state.phase is Phase.LOADING:
        return f"Loading the model ({state.model}) ... Stop takes effect when it is loaded."
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


def _say_failure(state: State) -> str:
    if not state.results_name or not state.frames_done:
        return state.failure
    return f"{state.failure} {_count(state.frames_done)} done stay in '{state.results_name}'."


def _say_missed(state: State) -> str:
    names = " or ".join(f"'{text}'" for text in state.missed)
    new = "new " if state.ending is Outcome.SEGMENTED else ""
    return (
        f"Nothing {new}called {names} found on frame {state.missed_on}; try a shorter noun, or "
        "point it out by a click or a box."
    )


def _say_ending(state: State) -> str:
    if state.missed and state.ending in (Outcome.EMPTY, Outcome.SEGMENTED):
        return _say_missed(state)
    if state.ending is Outcome.SEGMENTED:
        return (
            "Not quite right? Add clicks, with exclude for what is too much. "
            "Right? Propagate follows it through the video."
        )
    if state.ending is Outcome.EMPTY:
        return "Nothing was found on this frame. Add a click or draw a box round the object."
    if state.ending is Outcome.TRACKED:
        missed = f"{_say_missed(state)} " if state.missed else ""
        return (
            f"{missed}{_count(state.frames_done)} done, in the layer '{state.results_name}'. "
            "Wrong somewhere? Go to that frame, correct it by clicks or by painting in that layer, "
            "and propagate again."
        )
    if state.ending is Outcome.STOPPED and not state.results_name:
        return "Stopped before the first frame."
    if state.ending is Outcome.STOPPED:
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
