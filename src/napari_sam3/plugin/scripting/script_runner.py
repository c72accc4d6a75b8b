"""What a script's session works with: a workbench and one job at a time, its own or a dock's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from napari.layers import Image
from qtpy.QtWidgets import QApplication

from napari_sam3.errors import (
    LayerError,
    MissingPromptError,
    ProjectReadOnlyError,
    PropagationError,
    PropagationRunningError,
    Sam3Error,
)
from napari_sam3.plugin.controllers.job_runner import Work
from napari_sam3.plugin.controllers.session_controller import SessionController
from napari_sam3.plugin.controllers.tracking_job import Job
from napari_sam3.plugin.layers.layer_prompts import TargetPrompts
from napari_sam3.plugin.layers.prompt_reader import Skipped
from napari_sam3.plugin.layers.prompt_snapshot import describe_skipped
from napari_sam3.plugin.layers.results_layer import ResultsLayer
from napari_sam3.plugin.layers.stack_axes import StackAxes, guess_axes, layer_video
from napari_sam3.plugin.layers.transforms import world_to_indices
from napari_sam3.plugin.model.events import Event
from napari_sam3.plugin.model.status import Phase
from napari_sam3.plugin.model.tracked_video import Setup, Workbench
from napari_sam3.plugin.scripting.event_loop import (
    PacedSteps,
    check_window,
    interrupt_as_stop,
    wait_until,
)
from napari_sam3.plugin.scripting.prompt_writer import DrawnPrompts
from napari_sam3.plugin.views.dock import SegmentAndTrackWidget
from napari_sam3.projects import Project
from napari_sam3.projects.tracking import open_or_create
from napari_sam3.settings import read_settings
from napari_sam3.values import FrameResult

OnFrame = Callable[[FrameResult], object]


class ScriptWork:
    """Workbench, model and work of a script on one video layer; those of a dock that shows it.

    Parameters
    ----------
    viewer : napari viewer
        With a window.
    image_layer : Image
        The video.
    axes : StackAxes, optional
        How it is read; guessed if left out.
    project : path or Project, optional
        That keeps prompts and results.
    """

    def __init__(
        self,
        viewer: Any,
        image_layer: Image,
        axes: StackAxes | None,
        project: str | Path | Project | None,
    ) -> None:
        self.viewer, self.image_layer = viewer, image_layer
        self.dock = _find_dock(viewer, image_layer)
        self.is_closed = False
        self._model, self._device = "auto", "auto"
        self._own_project: Project | None = None
        self.project: Project | None = None
        if self.dock is not None:
            if project is not None:
                raise LayerError(
                    "the dock keeps this video's work in a project by itself (its group Project); "
                    "leave out project, or close the dock"
                )
            self.bench, self.work = self.dock.bench, self.dock.work
            self.axes = axes or self.dock.axes_choice.pin(image_layer)
            return
        self.bench = Workbench(viewer)
        self.work = Work(self.bench)
        self.axes = axes or _guess_axes(viewer, image_layer)
        self.bench.hold(image_layer)
        if project is not None:
            try:
                self._keep_in(project)
            except BaseException:
                self.bench.release(image_layer)
                raise

    def _keep_in(self, project: str | Path | Project) -> None:
        if isinstance(project, Project):
            self.project = project
        else:
            with layer_video(self.image_layer, self.axes) as video:
                self.project = self._own_project = open_or_create(project, video)
        if self.project.why_read_only is not None:
            why = self.project.why_read_only
            self.close_project()
            raise ProjectReadOnlyError(f"the project {str(project)!r} can't be changed: {why}")
        self.bench.keep_in(self.image_layer, self.axes, self.project)

    @property
    def is_open(self) -> bool:
        """Whether it can be used: not once it was closed, or the dock that it shares."""
        return not self.is_closed and not (self.dock is not None and self.dock.is_shut_down)

    @property
    def controller(self) -> SessionController | None:
        """The session, if there is one of this video now."""
        setup = self.bench.setup
        is_ours = setup is not None and setup.image_layer is self.image_layer
        return self.bench.controller if is_ours else None

    def results(self) -> ResultsLayer | None:
        """Where results are drawn, if there are any."""
        return self.bench.results_of(self.image_layer, self.axes)

    def choose_model(self, model: str | Path, device: str | None) -> None:
        """Take another model from the next work on."""
        if self.dock is None:
            self._model, self._device = str(model), device or read_settings().device
        elif str(model) != "auto" or device is not None:
            self.dock.model_choice.choose(str(model), device)

    def check_open(self) -> None:
        """Make sure that layers can be used, in this thread, for this video."""
        if not self.is_open:
            raise LayerError("this session was closed; attach to the layer again")
        check_window()
        if self.dock is not None and self.work.job is None:
            self.dock.video_fields.video.value = self.image_layer  # it may have turned to another

    def check_there(self) -> None:
        """Make sure that the video is still in the viewer."""
        if self.image_layer not in self.viewer.layers:
            raise LayerError(
                f"the layer {self.image_layer.name!r} is not in the viewer any more; add it again"
            )

    def open_controller(self) -> SessionController:
        """The session for the next work; cheap."""
        if self.work.job is not None:
            raise PropagationRunningError(
                f"work is under way on layer {self.image_layer.name!r}; let it end or stop it first"
            )
        self.check_there()
        if self.dock is not None:
            self.dock.projects.check_writable(self.image_layer)
        return self.bench.controller_for(self._setup())

    def prepare(
        self, prompts: DrawnPrompts, frame_index: int, *, is_needed: bool = True
    ) -> tuple[SessionController, TargetPrompts, tuple[Skipped, ...]]:
        """The session, the prompts that shall hold, and items that are none."""
        controller = self.open_controller()
        wanted, skipped = prompts.read(controller, self.results(), frame_index)
        if is_needed and not wanted:
            told = f": {describe_skipped(skipped)}" if skipped else ""
            raise MissingPromptError(f"there is nothing to go by yet; use add_prompt first{told}")
        return controller, wanted, skipped

    def _setup(self) -> Setup:
        model, device, resolution = self._model, self._device, read_settings().resolution
        if self.dock is not None:
            self.dock.model_choice.check_ready()
            model, device = self.dock.model_choice.resolved, self.dock.model_choice.device
            resolution = int(self.dock.settings_fields.resolution.value)
        return Setup(self.image_layer, self.axes, model, device, resolution)

    def run(
        self,
        controller: SessionController,
        steps: Iterator[Event],
        phase: Phase,
        on_frame: OnFrame | None = None,
        progress: bool = False,
        follow: bool = False,
    ) -> int:
        """Do a piece of work while the window lives; raise what went wrong.

        Returns
        -------
        int
            Frames tracked.
        """
        paced = PacedSteps(steps)
        raised: list[BaseException] = []

        def cancel() -> None:
            controller.cancel()
            paced.go_on()

        def on_tracked(result: FrameResult) -> None:
            try:
                if not raised and on_frame is not None and on_frame(result) is False:
                    self._stop(job)
            except BaseException as exc:  # Qt's slot: raised in the script, after the work
                raised.append(exc)
                self._stop(job)
            paced.go_on()

        def look() -> None:
            if job.has_lost_layer():
                self._stop(job)

        if self.dock is not None:
            self.dock.projects.prepare(controller)
        self.work.start(
            controller,
            steps if on_frame is None else paced,
            phase,
            self._model,
            is_followed=follow,
            cancel=cancel,
            shows_bar=progress,
            is_quiet=True,
        )
        job = self._job()
        job.tracked.connect(on_tracked)
        with interrupt_as_stop(self.work.stop):
            if not wait_until(lambda: self.work.job is not job, look):
                self.work.stop()
                raise PropagationError("the application was closed; what was done is kept")
        if self.project is not None and phase is Phase.TRACKING:
            self.project.end_run()
        if raised:
            raise raised[0]
        if job.error is not None:
            cause = job.error.__cause__
            raise cause if isinstance(cause, Sam3Error) else job.error
        if job.has_lost_layer():
            raise LayerError("the video or its results were deleted; the work was stopped")
        return job.frames_done

    def _job(self) -> Job:
        assert self.work.job is not None, "just begun"
        return self.work.job

    def _stop(self, job: Job) -> None:
        if self.work.job is job:
            self.work.stop()

    def _give_back(self) -> None:
        if self.work.job is None:
            self.bench.close()
            self.close_project()
            return
        # the thread may be inside the model: all is given back when it has come out
        give_back = self.bench.give_away()

        def end() -> None:
            give_back()
            self.close_project()

        self.work.abandon(end)

    def close(self) -> None:
        """Give back what is not a dock's."""
        if self.is_closed:
            return
        self.is_closed = True
        if self.dock is None:
            self.work.stop()
            self.bench.release(self.image_layer)
            controller = self.bench.controller
            model = (
                None
                if controller is None or controller.session is None
                else (controller.session.model)
            )
            try:
                if self.project is not None and model is not None:
                    state = replace(self.project.state, model=model.name, device=model.device)
                    self.project.save_state(state)
            finally:
                self._give_back()

    def close_project(self) -> None:
        """Let go of a project that was opened here, with all on disk."""
        own, self._own_project = self._own_project, None
        if own is not None:
            own.close()


def _guess_axes(viewer: Any, image_layer: Image) -> StackAxes:
    point = viewer.dims.point
    if len(point) < image_layer.ndim:
        return guess_axes(image_layer)
    return guess_axes(image_layer, world_to_indices(image_layer, point))


def _find_dock(viewer: Any, image_layer: Image) -> SegmentAndTrackWidget | None:
    """The dock of a viewer that shows a video layer."""
    for widget in QApplication.allWidgets():
        if (
            isinstance(widget, SegmentAndTrackWidget)
            and not widget.is_shut_down
            and getattr(widget.viewer, "__wrapped__", widget.viewer) is viewer
            and widget.video_fields.video.value is image_layer
        ):
            return widget
    return None
