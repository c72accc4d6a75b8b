"""All that a person does to a video, kept so that it can be undone in order.

Names, classes, divisions and locks are commands from the start. Prompts are drawn, and results are
painted in, by napari's own tools, and jobs draw in a thread: these are recorded when they are done.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from weakref import WeakKeyDictionary, ref

from napari.layers import Labels
from psygnal import Signal

from napari_sam3.errors import RequestError
from napari_sam3.labels.frame_snapshot import ChangeLog, FramesSnapshot
from napari_sam3.plugin.controllers.commands import ChangeFrames
from napari_sam3.plugin.controllers.prompt_recorder import PromptRecorder
from napari_sam3.plugin.controllers.session_controller import Moment, SessionController
from napari_sam3.plugin.layers.results_layer import ResultsLayer
from napari_sam3.plugin.model.app_state import AppState, Phase
from napari_sam3.plugin.model.command_history import Command, CommandGroup, CommandHistory, Exchange
from napari_sam3.plugin.model.tracked_video import TrackedVideo


class JobDone(CommandGroup):
    """What a job made of frames and of the session; it is left alone while another one runs."""


class ReturnSession(Exchange):
    """Let a session have been told what it was told at another moment."""

    label = "tell the model"

    def __init__(self, session: SessionController, moment: Moment) -> None:
        self._session, self._moment = session, moment

    def do(self) -> bool:
        """Change places with what it was told up to now."""
        now = self._session.moment()
        self._session.go_back(self._moment)
        self._moment = now or self._moment
        return True


class EditRecorder:
    """Records what is done by others than commands, in the history of the video it is done to.

    Parameters
    ----------
    state : AppState
        Says which layers hold prompts.
    """

    results_watched = Signal(Labels)
    """A layer of results is watched from now on."""

    def __init__(self, state: AppState) -> None:
        self._state = state
        self._prompts: list[PromptRecorder] = []
        self._strokes: WeakKeyDictionary[Labels, tuple[ChangeLog, Any]] = WeakKeyDictionary()
        self._job: _RunningJob | None = None
        self._numbered: list[Command] = []
        self._joined: JobDone | None = None
        self._is_numbering = False
        state.hear(self._watch_prompts, "points", "boxes", "example", "video")
        self._watch_prompts()

    def close(self) -> None:
        """Let go of the layers."""
        for recorder in self._prompts:
            recorder.close()
        self._prompts = []
        for layer in list(self._strokes):
            layer.events.paint.disconnect(self._on_painted)
        self._strokes.clear()

    # ---------------------------------------------------------------- prompts

    def _watch_prompts(self, _value: Any = None) -> None:
        for recorder in self._prompts:
            recorder.close()
        layers = (*self._state.layers_of_prompts, self._state.example)
        self._prompts = [PromptRecorder(one, self._record) for one in layers if one is not None]

    @contextmanager
    def numbering(self) -> Iterator[None]:
        """Prompts without an object get one, for the job that is about to begin."""
        self._is_numbering = True
        try:
            yield
        finally:
            self._is_numbering = False

    def _record(self, command: Command) -> None:
        current = self._state.current
        if current is None or current.history.is_at_work:
            return
        if self._is_numbering:
            self._numbered.append(command)
            return
        self.settle(current)
        current.history.record(command)

    # ---------------------------------------------------------------- strokes

    def watch_results(self, results: ResultsLayer, tracked: TrackedVideo) -> None:
        """Record what is painted in a layer of results, and what the job under way draws there."""
        layer = results.layer
        if layer not in self._strokes:
            layer.events.paint.connect(self._on_painted)
        log = results.planes.log_changes(only_by_hand=True)
        self._strokes[layer] = (log, ref(tracked))
        job = self._job
        if job is not None and job.tracked is tracked and job.log is None:
            job.log = results.planes.log_changes()
        self.results_watched.emit(layer)

    def _on_painted(self, event: Any) -> None:
        layer = event.source
        self._take_strokes(layer, lambda frames: _describe_stroke(layer, frames))

    def settle(self, tracked: TrackedVideo) -> None:
        """Record what was changed by hand and not told, as by a script's `layer.data[...] =`."""
        results = tracked.results
        if results is not None and results.layer in self._strokes:
            self._take_strokes(results.layer, lambda f: f"change {_name_frames(f)} by hand")

    def _take_strokes(self, layer: Labels, describe: Callable[[tuple[int, ...]], str]) -> None:
        log, of_video = self._strokes[layer]
        tracked = of_video()
        if tracked is None or not len(log):
            return
        before = log.take()
        if not tracked.history.is_at_work:
            label = describe(before.frames)
            # painting is allowed on locked frames, too
            done = ChangeFrames.done(layer, label, before, changes_locked=True)
            tracked.history.record(done)

    # ------------------------------------------------------------------- jobs

    def join_next(self, done: JobDone) -> None:
        """The job that begins next is a part of something that is done already."""
        self._joined = done

    def begin_job(self, session: SessionController, tracked: TrackedVideo) -> None:
        """A job is about to start.

        Parameters
        ----------
        session : SessionController
            That it is done by.
        tracked : TrackedVideo
            Whose results it draws.
        """
        self.settle(tracked)
        session.before_job = None
        results, joined, numbered = tracked.results, self._joined, self._numbered
        self._numbered, self._joined = [], None
        log = None if results is None else results.planes.log_changes()
        done = tracked.history.done
        self._job = _RunningJob(session, tracked, log, numbered, joined, done[-1] if done else None)

    def end_job(self, phase: Phase) -> None:
        """The job has ended: what it did can be undone."""
        job, self._job = self._job, None
        if job is None:
            return
        # napari tells of what a script paints before it is painted
        self.settle(job.tracked)
        results = job.tracked.results
        parts: list[Command] = job.numbered
        if results is not None and job.log is not None:
            before = job.log.take()
            before = before.without(results.planes.snapshot(before.frames))
            if before:
                parts.append(self._draw(results.layer, phase, before))
        if not parts and job.joined is None:
            return
        is_changed = bool(parts)
        if job.session.before_job is not None:
            parts.insert(0, ReturnSession(job.session, job.session.before_job))
        history, joined = job.tracked.history, job.joined
        if joined is None:
            history.record_begun(JobDone(parts[-1].label, parts), job.last)
            return
        for part in parts:
            joined.add(part)
        if joined in history.done:
            history.changed.emit(joined)
        elif is_changed:
            history.record_begun(joined, job.last)

    def _draw(self, layer: Labels, phase: Phase, before: FramesSnapshot) -> ChangeFrames:
        verb = {Phase.TRACKING: "propagate over", Phase.ERASING: "erase on"}.get(phase, "segment")
        return ChangeFrames.done(layer, f"{verb} {_name_frames(before.frames)}", before)

    # ------------------------------------------------------------- undo, redo

    def undo(self, tracked: TrackedVideo) -> str:
        """Take back what was done last; gives what that was, or nothing.

        Raises
        ------
        RequestError
            If it can't be, as what a job did while another one runs.
        """
        self.settle(tracked)
        history = tracked.history
        return self._move(tracked, history.done[-1:], history.undo, "undo")

    def redo(self, tracked: TrackedVideo) -> str:
        """Do again what was undone last; gives what that was, or nothing.

        Raises
        ------
        RequestError
            If it can't be.
        """
        self.settle(tracked)
        history = tracked.history
        return self._move(tracked, history.undone[:1], history.redo, "redo")

    def _move(
        self,
        tracked: TrackedVideo,
        next_one: Sequence[Command],
        move: Callable[[], None],
        verb: str,
    ) -> str:
        if not next_one:
            return ""
        (command,) = next_one
        self._check(command, verb)
        move()
        results = tracked.results
        if results is not None and results.layer in self._strokes:
            self._strokes[results.layer][0].take()  # they are no strokes
        return command.label

    def _check(self, command: Command, verb: str) -> None:
        if self._state.phase is Phase.EDITING:
            raise RequestError(f"objects are being changed; wait for that, then {verb}")
        if self._job is not None and isinstance(command, JobDone):
            raise RequestError(
                f"{command.label!r} can't be changed while objects are being tracked; press Stop, "
                f"then {verb}"
            )


class _RunningJob:
    """What is known of the job under way."""

    def __init__(
        self,
        session: SessionController,
        tracked: TrackedVideo,
        log: ChangeLog | None,
        numbered: list[Command],
        joined: JobDone | None,
        last: Command | None,
    ) -> None:
        self.session, self.tracked, self.log = session, tracked, log
        self.numbered, self.joined, self.last = numbered, joined, last


def history_of(state: AppState) -> CommandHistory | None:
    """What a person did to the video that is chosen."""
    return None if state.current is None else state.current.history


def _describe_stroke(layer: Labels, frames: tuple[int, ...]) -> str:
    label = int(layer.selected_label)
    mode = str(layer.mode)
    if mode == "erase" or label == layer.colormap.background_value:
        return f"erase on {_name_frames(frames)}"
    verb = {"fill": "fill", "polygon": "outline"}.get(mode, "paint")
    return f"{verb} object {label} on {_name_frames(frames)}"


def _name_frames(frames: tuple[int, ...]) -> str:
    return f"frame {frames[0]}" if len(frames) == 1 else f"{len(frames)} frames"
