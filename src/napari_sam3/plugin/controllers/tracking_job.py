"""One job: steps of a session done in a thread, drawn and told as they come in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from time import perf_counter
from typing import Any

from napari.utils.notifications import show_warning
from psygnal import Signal

from napari_sam3.errors import Sam3Error
from napari_sam3.plugin.controllers.activity_progress import ActivityProgress, format_pace
from napari_sam3.plugin.controllers.live_drawing import LiveDrawing
from napari_sam3.plugin.controllers.worker import Run, as_propagation_error
from napari_sam3.plugin.layers.results_layer import ResultsLayer
from napari_sam3.plugin.model import events
from napari_sam3.plugin.model.app_state import AppState, Outcome, Phase
from napari_sam3.plugin.model.events import JobEvent
from napari_sam3.values import FrameResult


class TrackingJob:
    """Steps that are run in a thread; what they give is drawn, and told to the state.

    Parameters
    ----------
    viewer : napari viewer
        Where results are shown.
    state : AppState
        Told of phase, progress and outcome.
    target : callable
        Gives the `ResultsLayer` to draw in; not called before there is something to draw.
    steps : iterator of JobEvent
        Used up in a worker thread.
    cancel : callable
        Called when it is to stop, in the window's thread.
    is_prompted : callable
        Of a frame index and an object id: whether there is a prompt.
    shows_bar : bool
        Whether a propagation gets a bar in napari's activity dock.

    Attributes
    ----------
    error : Sam3Error or None
        What ended it.
    """

    tracked = Signal(FrameResult, object)
    """A frame of a propagation has come, and the ids of the objects that were followed, None for
    all of them; it is drawn if its layer is there."""

    shown = Signal()
    """The screen shows what was drawn so far."""

    told = Signal(object)
    """What concerns others: a `Renumbered`, `Confirmed`, `ProjectMade` or `ProjectRefused`."""

    ended = Signal()
    """The thread is done and all is drawn; emitted once."""

    def __init__(
        self,
        viewer: Any,
        state: AppState,
        target: Callable[[], ResultsLayer],
        steps: Iterator[JobEvent],
        cancel: Callable[[], object],
        is_prompted: Callable[[int, int], bool],
        *,
        shows_bar: bool = True,
    ) -> None:
        assert state.video is not None, "a job is done on a video"
        self._frames: set[int] = set()
        self._n_steps = 0
        self.error: Sam3Error | None = None
        self.image_layer = state.video
        self._axes = state.tracked(state.video).axes
        self._viewer, self._state, self._target = viewer, state, target
        self._is_prompted = is_prompted
        self._shows_bar = shows_bar
        self._began = 0.0
        self._found_something = False
        self._live: LiveDrawing | None = None
        self._bar: ActivityProgress | None = None
        self._run = Run(steps, cancel=cancel)
        self._run.gave.connect(self._on_run_gave)
        self._run.failed.connect(self._on_run_failed)
        self._run.ended.connect(self._on_run_ended)

    def start(self, phase: Phase, *, is_loaded: bool) -> None:
        """Begin; returns at once.

        Parameters
        ----------
        phase : Phase
            What it is for.
        is_loaded : bool
            Whether the model need not be loaded first.
        """
        self._state.update(
            phase=phase if is_loaded else Phase.LOADING,
            job_phase=phase,
            outcome=Outcome.NONE,
            frames_done=0,
            frames_planned=0,
            steps_done=0,
            steps_planned=0,
            pace="",
            results_name="",
            failure="",
            missed=(),
        )
        self._run.start()

    def stop(self) -> None:
        """Stop before the next step; what is done stays."""
        self._state.phase = Phase.STOPPING
        self._run.stop()

    def abandon(self, at_end: Callable[[], object]) -> None:
        """Stop, and let go of layers and widgets at once; `at_end` is called after the thread."""
        for signal in (self._run.gave, self._run.failed, self._run.ended):
            signal.disconnect()
        self._close_bar()
        self._run.at_end = at_end
        self._run.stop()

    def has_lost_layer(self) -> bool:
        """Whether the video or the layer drawn into has been deleted."""
        layers = self._viewer.layers
        if self.image_layer not in layers:
            return True
        return self._live is not None and self._live.target.layer not in layers

    def _on_run_gave(self, event: JobEvent) -> None:
        state = self._state
        if isinstance(event, events.ModelReady):
            if state.phase is Phase.LOADING:
                state.phase = state.job_phase
        elif isinstance(event, events.Planned):
            self._began = perf_counter()
            if self._shows_bar:
                self._bar = ActivityProgress(event.n_steps, self.stop)
            state.update(frames_planned=event.n_frames, steps_planned=event.n_steps)
        elif isinstance(event, events.TextMissed):
            state.update(missed=(*state.missed, event.text), missed_on=event.frame_index)
        elif isinstance(
            event,
            events.Renumbered | events.Confirmed | events.ProjectMade | events.ProjectRefused,
        ):
            self.told.emit(event)
            if isinstance(event, events.Renumbered):
                _warn_of_new_ids(event)
        else:
            if not self.has_lost_layer() and self.error is None:
                self._try_to_draw(event)
            if isinstance(event, events.Tracked):
                self.tracked.emit(event.result, event.only)

    def _try_to_draw(self, event: events.Prompted | events.Tracked | events.Erased) -> None:
        try:
            self._draw(event)
        except Exception as exc:
            # a slot's boundary: a paced thread would wait for ever. Mostly results that can't be
            # kept, for the disk is full; what is there stays
            self.error = as_propagation_error(exc)
            self._run.stop()

    def _draw(self, event: events.Prompted | events.Tracked | events.Erased) -> None:
        live = self._drawing()
        if isinstance(event, events.Erased):
            live.erase(event.frame_index, event.obj_id)
            return
        run, only = 0, None
        if isinstance(event, events.Tracked):
            self._frames.add(event.result.frame_index)
            self._n_steps += 1
            run, only = event.run, event.only
        self._found_something = bool(event.result.objects)
        live.draw(event.result, is_prompted=self._is_prompted, run=run, only=only)

    def _drawing(self) -> LiveDrawing:
        # not before there is something to draw: a model that can't be loaded leaves no empty layer
        if self._live is None:
            assert self._axes is not None, "read before the job began"
            state = self._state
            self._live = LiveDrawing(
                self._viewer,
                self.image_layer,
                self._axes,
                self._target(),
                is_followed=lambda: state.is_followed,
            )
            self._live.refreshed.connect(self._on_live_refreshed)
        return self._live

    def _on_live_refreshed(self) -> None:
        self.shown.emit()
        state = self._state
        if state.frames_planned:
            seconds = perf_counter() - self._began
            pace = format_pace(self._n_steps, state.steps_planned, seconds)
            state.update(frames_done=self.frames_done, steps_done=self._n_steps, pace=pace)
        if self._bar is not None:
            # last, for napari handles other events in here
            self._bar.advance_to(self._n_steps)

    def _on_run_failed(self, error: Sam3Error) -> None:
        self.error = error

    def _on_run_ended(self) -> None:
        try:
            if self._live is not None:
                self._live.refresh()
        except Exception as exc:
            # the boundary of a slot: what napari can't show must not leave the dock busy for ever
            self.error = self.error or as_propagation_error(exc)
        finally:
            self._close_bar()
            self.ended.emit()

    @property
    def frames_done(self) -> int:
        """Frames of the video that were tracked so far."""
        return len(self._frames)

    @property
    def results_name(self) -> str:
        """Name of the layer drawn into; empty if nothing was drawn."""
        return "" if self._live is None else str(self._live.target.layer.name)

    def outcome(self) -> Outcome:
        """How it ended."""
        if self.error is not None:
            return Outcome.FAILED
        if self._run.is_stopped:
            return Outcome.STOPPED
        if self._state.job_phase is Phase.SEGMENTING:
            return Outcome.SEGMENTED if self._found_something else Outcome.EMPTY
        return Outcome.TRACKED if self._state.job_phase is Phase.TRACKING else Outcome.NONE

    def _close_bar(self) -> None:
        bar, self._bar = self._bar, None
        if bar is not None:
            bar.close()


def _warn_of_new_ids(event: events.Renumbered) -> None:
    new = [f"{i} is now {j}" for i, j in sorted(event.same.items()) if i != j]
    if new:
        show_warning(
            f"objects found by text have new numbers, for a prompt was taken back: {', '.join(new)}"
        )
