"""Jobs that a script waits for: done by the controller of a dock, or by one of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from napari.layers import Image

from napari_sam3.errors import (
    LayerError,
    ProjectReadOnlyError,
    PropagationError,
    PropagationRunningError,
    Sam3Error,
)
from napari_sam3.plugin.controllers.session_controller import SessionController
from napari_sam3.plugin.controllers.tracking_controller import TrackingController, controllers_in
from napari_sam3.plugin.controllers.tracking_job import TrackingJob
from napari_sam3.plugin.layers.results_layer import ResultsLayer
from napari_sam3.plugin.layers.stack_axes import StackAxes, layer_video
from napari_sam3.plugin.model.app_state import Phase
from napari_sam3.plugin.model.events import JobEvent
from napari_sam3.plugin.model.open_project import OpenProject
from napari_sam3.plugin.model.tracked_video import disown_video, own_video
from napari_sam3.plugin.scripting.event_loop import (
    OnFrame,
    PacedSteps,
    check_window,
    interrupt_as_stop,
    wait_until,
)
from napari_sam3.projects import Project
from napari_sam3.projects.tracking import open_or_create
from napari_sam3.settings import read_settings
from napari_sam3.values import FrameResult


class ScriptRunner:
    """Does a script's jobs on one video layer, and waits for them.

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

    Attributes
    ----------
    tracking : TrackingController
        That of a dock that shows the video; else the script's own.
    is_shared : bool
        Whether it is a dock's.
    """

    def __init__(
        self,
        viewer: Any,
        image_layer: Image,
        axes: StackAxes | None,
        project: str | Path | Project | None,
    ) -> None:
        self.viewer, self.image_layer = viewer, image_layer
        self.is_closed = False
        self._own_project: Project | None = None
        self.project: Project | None = None
        docks = [c for c in controllers_in(viewer) if c.state.video is image_layer]
        self.is_shared = bool(docks)
        if docks and project is not None:
            raise LayerError(
                "the dock keeps this video's work in a project by itself (its group Project); "
                "leave out project, or close the dock"
            )
        self.tracking = docks[0] if docks else TrackingController(viewer)
        self.state = self.tracking.state
        if self.is_shared:
            self.axes = self.tracking.axes.pin(image_layer, axes)
            return
        own_video(image_layer, self.state)
        try:
            self.tracking.choose_video(image_layer)
            self.axes = self.tracking.axes.pin(image_layer, axes)
            if project is not None:
                self._keep_in(project)
        except BaseException:
            disown_video(image_layer)
            raise
        viewer.layers.events.removed.connect(self._on_layers_removed)

    def _keep_in(self, project: str | Path | Project) -> None:
        if isinstance(project, Project):
            self.project = project
        else:
            with layer_video(self.image_layer, self.axes) as video:
                self.project = self._own_project = open_or_create(project, video)
        if self.project.why_read_only is not None:
            why = self.project.why_read_only
            self._close_project()
            raise ProjectReadOnlyError(f"the project {str(project)!r} can't be changed: {why}")
        self.state.tracked(self.image_layer).project = OpenProject(
            self.project, self.image_layer, self.axes
        )

    @property
    def is_open(self) -> bool:
        """Whether it can be used: not once it was closed, or the dock that it shares."""
        return not self.is_closed and not self.tracking.is_closed

    @property
    def session(self) -> SessionController | None:
        """The session, if there is one of this video now."""
        session = self.tracking.session
        is_ours = session is not None and session.setup.image_layer is self.image_layer
        return session if is_ours else None

    def results(self) -> ResultsLayer | None:
        """Where results are drawn, if there are any."""
        tracked = self.state.tracked(self.image_layer)
        return tracked.results_in(self.viewer.layers, self.axes)

    def choose_model(self, model: str | Path, device: str | None) -> None:
        """Take another model from the next job on."""
        if not self.is_shared:
            self.state.update(model=str(model), device=device or read_settings().device)
        elif str(model) != "auto" or device is not None:
            self.state.update(model=str(model), device=device or self.state.device)

    def check_open(self) -> None:
        """Make sure that layers can be used, in this thread, for this video."""
        if not self.is_open:
            raise LayerError("this session was closed; attach to the layer again")
        check_window()
        if self.tracking.job is None and self.state.video is not self.image_layer:
            self.tracking.choose_video(self.image_layer)  # the dock may have turned to another

    def check_there(self) -> None:
        """Make sure that the video is still in the viewer."""
        if self.image_layer not in self.viewer.layers:
            raise LayerError(
                f"the layer {self.image_layer.name!r} is not in the viewer any more; add it again"
            )

    def open_session(self) -> SessionController:
        """The session for the next job; cheap."""
        if self.tracking.job is not None:
            raise PropagationRunningError(
                f"work is under way on layer {self.image_layer.name!r}; let it end or stop it first"
            )
        self.check_there()
        self.tracking.chosen.check_writable()
        self.state.resolution = self.state.resolution or read_settings().resolution
        return self.tracking.sessions.open()

    def run(
        self,
        session: SessionController,
        steps: Iterator[JobEvent],
        phase: Phase,
        on_frame: OnFrame | None = None,
        progress: bool = False,
        follow: bool = False,
    ) -> int:
        """Do a job while the window lives; raise what went wrong.

        Returns
        -------
        int
            Frames tracked.
        """
        paced = PacedSteps(steps)
        raised: list[BaseException] = []

        def cancel() -> None:
            session.cancel()
            paced.go_on()

        def on_tracked(result: FrameResult) -> None:
            try:
                if not raised and on_frame is not None and on_frame(result) is False:
                    self._stop(job)
            except BaseException as exc:  # a slot: raised in the script, after the job
                raised.append(exc)
                self._stop(job)
            paced.go_on()

        def look() -> None:
            if job.has_lost_layer():
                self._stop(job)

        was_followed = self.state.is_followed
        self.state.is_followed = follow
        try:
            job = self.tracking.start(
                session,
                steps if on_frame is None else paced,
                phase,
                cancel=cancel,
                shows_bar=progress,
                is_quiet=True,
            )
            job.tracked.connect(on_tracked)
            self._wait_for(job, look)
        finally:
            self.state.is_followed = was_followed
        if self.project is not None and phase is Phase.TRACKING:
            self.project.end_run()
        if raised:
            raise raised[0]
        self._check(job)
        return job.frames_done

    def wait_for(self, job: TrackingJob) -> None:
        """Wait for a job that was begun, while the window lives; raise what went wrong."""
        self._wait_for(job, lambda: None)
        self._check(job)

    def _wait_for(self, job: TrackingJob, look: Callable[[], object]) -> None:
        with interrupt_as_stop(self.tracking.stop):
            if not wait_until(lambda: self.tracking.job is not job, look):
                self.tracking.stop()
                raise PropagationError("the application was closed; what was done is kept")

    def _check(self, job: TrackingJob) -> None:
        """Raise what went wrong in a job."""
        if job.error is not None:
            cause = job.error.__cause__
            raise cause if isinstance(cause, Sam3Error) else job.error
        if job.has_lost_layer():
            raise LayerError("the video or its results were deleted; the work was stopped")

    def _stop(self, job: TrackingJob) -> None:
        if self.tracking.job is job:
            self.tracking.stop()

    def _on_layers_removed(self, _event: Any) -> None:
        self.tracking.follow_layers()

    def close(self) -> None:
        """Give back what is not a dock's."""
        if self.is_closed:
            return
        self.is_closed = True
        if self.is_shared:
            return
        self.viewer.layers.events.removed.disconnect(self._on_layers_removed)
        disown_video(self.image_layer)
        session = self.tracking.session
        model = None if session is None or session.session is None else session.session.model
        try:
            if self.project is not None and model is not None:
                state = replace(self.project.state, model=model.name, device=model.device)
                self.project.save_state(state)
        finally:
            self.tracking.shut_down(self._close_project)

    def _close_project(self) -> None:
        """Let go of a project that was opened here, with all on disk."""
        own, self._own_project = self._own_project, None
        if own is not None:
            own.close()
