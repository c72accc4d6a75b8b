"""One piece of work as the window sees it: a run, its drawing and its progress."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from time import perf_counter

from napari.utils.notifications import show_warning
from qtpy.QtCore import QObject, Signal

from napari_sam3.errors import Sam3Error
from napari_sam3.plugin.controllers.live_drawing import LiveDrawing
from napari_sam3.plugin.controllers.project_recorder import Kept, NotKept
from napari_sam3.plugin.controllers.session_controller import (
    Erased,
    Event,
    ModelReady,
    Planned,
    Prompted,
    SessionController,
    TextMissed,
    Tracked,
)
from napari_sam3.plugin.controllers.worker import Run, as_propagation_error
from napari_sam3.plugin.model.object_matching import Renumbered
from napari_sam3.plugin.model.tracked_video import Workbench
from napari_sam3.plugin.views.status_text import Ending, Phase
from napari_sam3.plugin.views.widgets.progress import RunProgress, say_pace


class Job(QObject):
    """Steps of a controller, run in a thread and drawn as they come in.

    Parameters
    ----------
    bench : Workbench
        With the setup that the steps are made for.
    controller : SessionController
        Whose steps they are.
    steps : iterator of Event
        Used up in a worker thread.
    cancel : callable, optional
        Called when it is to stop, from the GUI thread; that of the controller if left out.
    shows_bar : bool
        Whether a propagation gets a bar in napari's activity dock.
    """

    changed = Signal()
    """Something to show has changed; at most about 30 times a second."""

    tracked = Signal(object)
    """A frame of a propagation has come, a `FrameResult`; it is drawn if its layer is there."""

    renumbered = Signal(object)
    """Objects have other ids now, a `Renumbered`."""

    kept = Signal(object)
    """A `Project` was made for what comes now."""

    not_kept = Signal(str)
    """None could be made; why."""

    ended = Signal()
    """The thread is done; emitted once."""

    def __init__(
        self,
        bench: Workbench,
        controller: SessionController,
        steps: Iterator[Event],
        *,
        cancel: Callable[[], object] | None = None,
        shows_bar: bool = True,
    ) -> None:
        super().__init__()
        assert bench.setup is not None, "a controller comes with its setup"
        self.frames_done = 0
        self.frames_planned = 0
        self.is_model_ready = False
        self.is_followed = False
        self.error: Sam3Error | None = None
        self.missed: tuple[str, ...] = ()
        self.missed_on = 0
        self._began = 0.0
        self._found_something = False
        self._bench = bench
        self._controller = controller
        self._setup = bench.setup
        self._live: LiveDrawing | None = None
        self._progress: RunProgress | None = None
        self._shows_bar = shows_bar
        self._run = Run(steps, cancel=cancel or controller.cancel)
        self._run.gave.connect(self._on_run_gave)
        self._run.failed.connect(self._on_run_failed)
        self._run.ended.connect(self._on_run_ended)

    def start(self) -> None:
        """Begin; returns at once."""
        self._run.start()

    def stop(self) -> None:
        """Stop before the next step; what is done stays."""
        self._run.stop()

    def abandon(self, at_end: Callable[[], object]) -> None:
        """Stop, and let go of layers and widgets at once; `at_end` is called after the thread."""
        for signal in (self._run.gave, self._run.failed, self._run.ended):
            signal.disconnect()
        self._close_progress()
        self._run.at_end = at_end
        self._run.stop()

    def has_lost_layer(self) -> bool:
        """Whether the video or the layer drawn into has been deleted."""
        layers = self._bench.viewer.layers
        if self._setup.image_layer not in layers:
            return True
        return self._live is not None and self._live.target.layer not in layers

    @property
    def pace(self) -> str:
        """Frames a second and time left, in words."""
        if not self.frames_planned:
            return ""
        return say_pace(self.frames_done, self.frames_planned, perf_counter() - self._began)

    @property
    def results_name(self) -> str:
        """Name of the layer drawn into; empty if nothing was drawn."""
        return "" if self._live is None else str(self._live.target.layer.name)

    def ending(self, work: Phase) -> Ending:
        """How it ended."""
        if self.error is not None:
            return Ending.FAILED
        if self._run.is_stopped:
            return Ending.STOPPED
        if work is Phase.SEGMENTING:
            return Ending.SEGMENTED if self._found_something else Ending.EMPTY
        return Ending.TRACKED if work is Phase.TRACKING else Ending.NONE

    def _on_run_gave(self, event: Event) -> None:
        if isinstance(event, ModelReady):
            self.is_model_ready = True
            self.changed.emit()
        elif isinstance(event, Planned):
            self.frames_planned = event.n_frames
            self._began = perf_counter()
            if self._shows_bar:
                self._progress = RunProgress(event.n_frames, self.stop)
            self.changed.emit()
        elif isinstance(event, Kept):
            self.kept.emit(event.project)
        elif isinstance(event, NotKept):
            self.not_kept.emit(event.reason)
        elif isinstance(event, TextMissed):
            self.missed += (event.text,)
            self.missed_on = event.frame_index
        elif isinstance(event, Renumbered):
            self.renumbered.emit(event)
            new = [f"{i} is now {j}" for i, j in sorted(event.same.items()) if i != j]
            if new:
                show_warning(
                    "objects found by text have new numbers, for a prompt was taken back: "
                    f"{', '.join(new)}"
                )
        else:
            if not self.has_lost_layer() and self.error is None:
                self._try_to_draw(event)
            if isinstance(event, Tracked):
                self.tracked.emit(event.result)

    def _try_to_draw(self, event: Prompted | Tracked | Erased) -> None:
        try:
            self._draw(event)
        except Exception as exc:
            # a slot's boundary: a paced thread would wait for ever. Mostly results that can't be
            # kept, for the disk is full; what is there stays
            self.error = as_propagation_error(exc)
            self._run.stop()

    def _draw(self, event: Prompted | Tracked | Erased) -> None:
        live = self._drawing()
        live.is_followed = self.is_followed
        if isinstance(event, Erased):
            live.erase(event.frame_index, event.obj_id)
            return
        run = 0
        if isinstance(event, Tracked):
            self.frames_done += 1
            run = event.run
        self._found_something = bool(event.result.objects)
        live.draw(event.result, is_prompted=self._controller.is_prompted, run=run)

    def _drawing(self) -> LiveDrawing:
        # not before there is something to draw: a model that can't be loaded leaves no empty layer
        if self._live is None:
            setup, bench = self._setup, self._bench
            results = bench.results_for(setup.image_layer, setup.axes)
            self._live = LiveDrawing(bench.viewer, setup.image_layer, setup.axes, results)
            self._live.refreshed.connect(self._on_live_refreshed)
        return self._live

    def _on_live_refreshed(self) -> None:
        self.changed.emit()
        if self._progress is not None:
            # last, for napari handles other events in here
            self._progress.advance_to(self.frames_done)

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
            self._close_progress()
            self.ended.emit()

    def _close_progress(self) -> None:
        progress, self._progress = self._progress, None
        if progress is not None:
            progress.close()
