"""The verbs of the window and of scripts: segment, propagate, stop, correct, remove, reset."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import Any, SupportsIndex

from napari.layers import Image
from napari.utils.notifications import show_error
from psygnal import Signal

from napari_sam3.errors import Sam3Error
from napari_sam3.models.registry import LoadedModel
from napari_sam3.plugin.controllers.axes_controller import AxesController
from napari_sam3.plugin.controllers.chosen_video import ChosenVideo
from napari_sam3.plugin.controllers.compute_controller import ComputeController
from napari_sam3.plugin.controllers.detection_controller import DetectionController
from napari_sam3.plugin.controllers.edit_recorder import EditRecorder
from napari_sam3.plugin.controllers.object_controller import ObjectController
from napari_sam3.plugin.controllers.object_removal import forget_objects
from napari_sam3.plugin.controllers.preview_controller import PreviewController
from napari_sam3.plugin.controllers.prompt_collector import PromptCollector
from napari_sam3.plugin.controllers.reset import Reset
from napari_sam3.plugin.controllers.results_keeper import ResultsKeeper
from napari_sam3.plugin.controllers.session_controller import SessionController
from napari_sam3.plugin.controllers.session_keeper import SessionKeeper
from napari_sam3.plugin.controllers.tracking_job import TrackingJob
from napari_sam3.plugin.layers.features_table import table_of
from napari_sam3.plugin.layers.results_layer import ResultsLayer
from napari_sam3.plugin.model.app_state import AppState, Outcome, Phase
from napari_sam3.plugin.model.events import JobEvent, Renumbered
from napari_sam3.plugin.model.tracked_video import TrackedVideo
from napari_sam3.values import Direction, FrameResult


class TrackingController:
    """Does what a person or a script asks for, one job at a time.

    There is one session at a time. It can always be made again from the layers, so turning to
    another video and back loses nothing. All methods are called in the window's thread; what is
    asked wrongly raises a `Sam3Error` and changes nothing.

    Parameters
    ----------
    viewer : napari viewer
        Gets the layers that are made.
    state : AppState, optional
        What is worked on; a new one if left out.

    Attributes
    ----------
    chosen : ChosenVideo
        The video that is worked on, with the layers of its work.
    compute : ComputeController
        Where the model runs.
    sessions : SessionKeeper
        Opens and closes the one session.
    prompts : PromptCollector
        Reads what is drawn.
    shown : ResultsKeeper
        Makes the layers that results are drawn in.
    objects : ObjectController
        Names, classes, colours and divisions.
    edits : EditRecorder
        Remembers what is to be undone.
    preview : PreviewController
        Shows what prompts mean before anybody asks for it; off until it is switched on.
    detection : DetectionController
        Proposes objects that a detector finds.
    job : TrackingJob or None
        The one under way.
    error : exception or None
        What ended the last job, as it was raised.
    """

    starting = Signal(SessionController)
    """A job is about to start on a session."""

    tracked = Signal(FrameResult, object)
    """A frame of a propagation has come, and the ids of those that were followed; None: all."""

    told = Signal(object)
    """A job told a `ProjectMade`, `ProjectRefused` or `Renumbered`."""

    ended = Signal()
    """A job has ended: done, stopped or failed; the next one can begin."""

    resetting = Signal(Image)
    """The work on a video is about to begin anew, beside a project that stays as it is."""

    def __init__(self, viewer: Any, state: AppState | None = None) -> None:
        self.viewer = viewer
        self.state = AppState() if state is None else state
        self.chosen = ChosenVideo(viewer, self.state)
        self.objects = ObjectController(self.state.history_of)
        self.edits = EditRecorder(self.state)
        self.compute = ComputeController(self.state)
        models = LoadedModel()
        models.elsewhere = self.compute.load
        self.sessions = SessionKeeper(self.chosen, models, lambda close: self.preview.after(close))
        self.prompts = PromptCollector(self.chosen, self.sessions, self.edits)
        self.shown = ResultsKeeper(self.chosen, self.sessions, self.objects, self.edits)
        self.preview = PreviewController(
            viewer, self.state, self.sessions.open, self.prompts.peek, self.frame_on_screen
        )
        self.detection = DetectionController(
            self.chosen, self.sessions, self.edits, models, self.prompts.read, self.start
        )
        self.job: TrackingJob | None = None
        self.error: BaseException | None = None
        self.is_closed = False
        self._is_quiet = False

    # -------------------------------------------------------------- the video

    @property
    def axes(self) -> AxesController:
        """How video layers are read."""
        return self.chosen.axes

    @property
    def session(self) -> SessionController | None:
        """Of the video worked on last, if it is open."""
        return self.sessions.current

    @property
    def results(self) -> ResultsLayer | None:
        """Results of the chosen video, if there are any."""
        return self.chosen.results

    def choose_video(self, image_layer: Image | None) -> None:
        """Turn to a video layer, as `ChosenVideo.choose` says."""
        self.chosen.choose(image_layer)

    def video(self) -> Image:
        """The video layer that is chosen, or a `LayerError`."""
        return self.chosen.layer()

    def frame_on_screen(self) -> int:
        """The frame of the chosen video that the viewer shows."""
        return self.chosen.frame_on_screen()

    def follow_layers(self) -> None:
        """Hear that layers came or went: let go of what was deleted."""
        layers, state = self.viewer.layers, self.state
        chosen = {name: getattr(state, name) for name in ("points", "boxes", "masks", "example")}
        state.update(
            **{n: None for n, one in chosen.items() if one is not None and one not in layers}
        )
        self.preview.follow_layers()
        self.detection.follow_layers()
        if self.job is not None:
            if self.job.has_lost_layer():
                self.stop()
        elif self.session is not None and self.session.setup.image_layer not in layers:
            self.sessions.close()

    # ------------------------------------------------------------------- jobs

    def segment_frame(self) -> None:
        """Show what the prompts mean on the frame on screen; nothing happens during a job."""
        if self.job is None:
            session, target, on_screen = self.prompts.read_on_screen()
            self.start(session, session.segment(target, on_screen), Phase.SEGMENTING)

    def propagate(self) -> None:
        """Follow the objects through the video, or its `band`; nothing happens during a job."""
        if self.job is None:
            session, target, _ = self.prompts.read_on_screen()
            state = self.state
            if state.band is None:
                steps = session.track(target, state.direction, state.start_frame, state.max_frames)
            else:
                steps = session.track_within(target, *state.band)
            self.start(session, steps, Phase.TRACKING)

    def propagate_from_here(self, direction: Direction | None = None) -> None:
        """Follow what was corrected from the frame on screen, as far as that changes anything.

        Locked frames and other objects stay; `direction` is that of the state if left out. See
        `VideoSession.propagate_from_here`. Nothing happens during a job.
        """
        if self.job is None:
            session, target, on_screen = self.prompts.read_on_screen()
            results = self.results
            locked = () if results is None else results.planes.locked_frames().tolist()
            steps = session.track_from(target, on_screen, direction or self.state.direction, locked)
            self.start(session, steps, Phase.TRACKING)

    def start(
        self,
        session: SessionController,
        steps: Iterator[JobEvent],
        phase: Phase,
        *,
        cancel: Callable[[], object] | None = None,
        shows_bar: bool = True,
        is_quiet: bool = False,
    ) -> TrackingJob:
        """Begin a job of steps of the session; returns at once.

        Parameters
        ----------
        session, steps, phase
            Whose steps they are, and what they are for.
        cancel : callable, optional
            Called when it is to stop; that of the session if left out.
        shows_bar : bool
            Whether a propagation gets a bar in napari's activity dock.
        is_quiet : bool
            Whether who began it tells what went wrong.
        """
        setup = session.setup
        self.starting.emit(session)
        self.edits.begin_job(session, self.state.tracked(setup.image_layer))
        job = TrackingJob(
            self.viewer,
            self.state,
            lambda: self.shown.layer_for(setup.image_layer, setup.axes),
            steps,
            cancel or session.cancel,
            session.is_prompted,
            shows_bar=shows_bar,
        )
        job.told.connect(self._on_job_told)
        job.shown.connect(self.preview.settle)
        # not `emit` itself: to see what it takes, psygnal would emit numbers
        job.tracked.connect(lambda result, only: self.tracked.emit(result, only))
        job.ended.connect(self._on_job_ended)
        self.job, self._is_quiet = job, is_quiet
        job.start(phase, is_loaded=session.session is not None)
        return job

    def stop(self) -> None:
        """Stop before the next frame; what is done stays."""
        if self.job is not None:
            self.job.stop()

    def remove_object(self, obj_id: int | Iterable[int] | None = None) -> None:
        """Remove objects (the one in hand if none is said): prompts, results and all.

        Raises
        ------
        LockedObjectError
            If one is locked.
        ProjectReadOnlyError
            If the project of the video can't be changed.
        """
        if self.job is not None:
            return
        said = self.state.object_in_hand if obj_id is None else obj_id
        numbers = [int(said)] if isinstance(said, SupportsIndex) else [int(i) for i in said]
        self.chosen.check_writable()
        results = self.results
        if results is not None:
            table_of(results.layer).check_unlocked(*numbers)
        session, current = self.session, self.state.current
        if session is None and current is not None and current.project is not None:
            session = self.sessions.open()  # what it holds of the object must go
        self.state.outcome = Outcome.NONE
        removal, frames = forget_objects(self.chosen, self.edits, numbers)
        if session is not None:
            self.edits.join_next(removal)
            steps = map(session.remove_object, numbers, frames)
            self.start(session, chain.from_iterable(steps), Phase.ERASING)

    def reset(self) -> None:
        """Begin anew: forget all objects with their masks, empty our own prompt layers.

        A project that can only be looked at is left as it is, and its labels too; the next work
        gets a project of its own.
        """
        if self.job is not None:
            return
        image_layer, state = self.video(), self.state
        tracked, session = state.tracked(image_layer), self.session
        if session is not None and session.setup.image_layer is not image_layer:
            session = None
        self.edits.settle(tracked)
        self.detection.clear()
        if tracked.project is not None and tracked.project.project.is_read_only:
            self.resetting.emit(image_layer)
            self.sessions.close()
            tracked.results = None
            Reset(state, tracked, None).do()
            tracked.history.clear()
        else:
            if session is None or session.session is None:
                self.sessions.close()
            tracked.history.do(Reset(state, tracked, session))
        state.outcome = Outcome.NONE

    def fail(self, error: Sam3Error) -> None:
        """Note that what was asked for can't be done."""
        self.state.update(outcome=Outcome.FAILED, failure=str(error), results_name="")

    def _on_job_told(self, event: Any) -> None:
        self.told.emit(event)
        results = self.results
        if isinstance(event, Renumbered) and results is not None:
            # their names follow
            lost = [obj_id for obj_id in event.before if obj_id not in event.same]
            self.objects.renumber(results.layer, event.same, lost)

    def _on_job_ended(self) -> None:
        job, self.job = self.job, None
        assert job is not None, "it was under way"
        self.error = None if job.error is None else job.error.__cause__ or job.error
        if job.error is not None and not self._is_quiet:
            show_error(str(job.error))
        self.state.update(
            phase=Phase.IDLE,
            outcome=job.outcome(),
            failure="" if job.error is None else str(job.error),
            frames_done=job.frames_done,
            results_name=job.results_name,
        )
        results = self.results
        if results is not None:
            self.objects.show(results.layer)
        self.edits.end_job(self.state.job_phase)
        self.follow_layers()
        self.preview.go_on()
        self.ended.emit()

    def shut_down(self, at_end: Callable[[], object] = lambda: None) -> None:
        """Stop the job and give back all memory, then call `at_end`; it is not used afterwards."""
        if self.is_closed:
            return
        self.is_closed = True
        self.edits.close()
        self.preview.close()
        self.detection.close()

        def give_back() -> None:
            self.sessions.give_back()
            self.compute.close()
            at_end()

        def end_preview() -> None:
            self.preview.after(lambda: self.detection.after(give_back))

        job, self.job = self.job, None
        if job is None:
            end_preview()
        else:
            # the thread may be inside the model: memory is given back when it has come out
            job.abandon(end_preview)

    # -------------------------------------------------------------- undo, redo

    def undo(self) -> str:
        """Take back what was done last to the chosen video; gives what that was.

        Raises
        ------
        LayerError
            If there is no video.
        RequestError
            If it can't be taken back, as what a job did while another one runs.
        """
        return self._travel(self.edits.undo)

    def redo(self) -> str:
        """Do again what was undone last; gives what that was.

        Raises
        ------
        LayerError, RequestError
            As of `undo`.
        """
        return self._travel(self.edits.redo)

    def go_to(self, n_done: int) -> None:
        """Undo or redo, until so many of the things that were done are done."""
        history = self.state.tracked(self.video()).history
        while len(history.done) > n_done and self.undo():
            pass
        while len(history.done) < n_done and self.redo():
            pass

    def _travel(self, go: Callable[[TrackedVideo], str]) -> str:
        tracked = self.state.tracked(self.video())
        said = go(tracked)
        opened = tracked.project
        if said and opened is not None and not opened.project.is_read_only:
            # undone so soon that its end was not noted, and all its frames are here again
            opened.project.end_run()
        results = self.results
        if results is not None:
            self.state.n_locked = len(results.planes.locked_frames())
        if said and self.state.is_idle:
            self.state.outcome = Outcome.NONE
        return said


def controllers_in(viewer: Any) -> list[TrackingController]:
    """Those of the docks of a viewer that are in use, as they were opened."""
    widgets = getattr(viewer.window, "dock_widgets", {}).values()
    found = (getattr(getattr(w, "native", w), "tracking", None) for w in widgets)
    return [c for c in found if isinstance(c, TrackingController) and not c.is_closed]
