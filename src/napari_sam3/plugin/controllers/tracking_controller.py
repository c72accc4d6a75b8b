"""The verbs of the window and of scripts: segment, propagate, stop, correct, remove, reset."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import chain
from operator import methodcaller
from typing import Any, SupportsIndex

from napari.layers import Image, Labels, Points, Shapes
from napari.utils.notifications import show_error, show_warning
from psygnal import Signal

from napari_sam3.errors import (
    LayerError,
    MissingPromptError,
    ProjectError,
    ProjectReadOnlyError,
    RequestError,
    Sam3Error,
    WeightsMissingError,
)
from napari_sam3.models.registry import LoadedModel
from napari_sam3.plugin.controllers.axes_controller import NOTHING_TO_ASK, AxesController
from napari_sam3.plugin.controllers.commands import EditTable, RemovePrompts
from napari_sam3.plugin.controllers.compute_controller import ComputeController
from napari_sam3.plugin.controllers.edit_recorder import EditRecorder, JobDone
from napari_sam3.plugin.controllers.object_controller import ObjectController
from napari_sam3.plugin.controllers.preview_controller import PreviewController
from napari_sam3.plugin.controllers.project_recorder import ProjectRecorder
from napari_sam3.plugin.controllers.reset import Reset
from napari_sam3.plugin.controllers.session_controller import SessionController, Setup
from napari_sam3.plugin.controllers.tracking_job import TrackingJob
from napari_sam3.plugin.layers.features_table import table_of
from napari_sam3.plugin.layers.layer_prompts import Skipped, TargetPrompts
from napari_sam3.plugin.layers.prompt_items import find_items
from napari_sam3.plugin.layers.prompt_layers import make_prompt_layers
from napari_sam3.plugin.layers.prompt_snapshot import describe_skipped, read_prompts
from napari_sam3.plugin.layers.results_layer import ResultsLayer
from napari_sam3.plugin.layers.stack_axes import StackAxes, frame_count
from napari_sam3.plugin.layers.viewer_frame import frame_on_screen
from napari_sam3.plugin.model.app_state import AppState, Outcome, Phase
from napari_sam3.plugin.model.command_history import Command, CommandHistory
from napari_sam3.plugin.model.events import JobEvent, Renumbered
from napari_sam3.plugin.model.tracked_video import TrackedVideo, check_owner
from napari_sam3.values import BoolArray, Direction, FrameResult
from napari_sam3.video import Video


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
    preview : PreviewController
        Shows what prompts mean before anybody asks for it; off until it is switched on.
    job : TrackingJob or None
        The one under way.
    session : SessionController or None
        Of the video worked on last, if it is open.
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
        self.axes = AxesController(viewer, self.state)
        self.objects = ObjectController(self._history_of)
        self.edits = EditRecorder(self.state)
        self.preview = PreviewController(
            viewer, self.state, self.open_session, self.peek_at_prompts, self.frame_on_screen
        )
        self.job: TrackingJob | None = None
        self.session: SessionController | None = None
        self.error: BaseException | None = None
        self.is_closed = False
        self.compute = ComputeController(self.state)
        self._models = LoadedModel()
        self._models.elsewhere = self.compute.load
        self._is_quiet = False
        self._data: Any = None  # of the video layer, which may be given other data

    # -------------------------------------------------------------- the video

    def choose_video(self, image_layer: Image | None) -> None:
        """Turn to a video layer: its prompt layers are chosen, its axes offered.

        Raises
        ------
        LayerError
            If the layer can't be used as a video.
        """
        state, wrong = self.state, None
        try:
            changes = self.axes.options(image_layer)
        except LayerError as exc:
            changes, wrong = dict(NOTHING_TO_ASK), exc
        tracked = None if image_layer is None else state.tracked(image_layer)
        made = None if tracked is None else tracked.prompt_layers_in(self.viewer.layers)
        for name, layer in zip(("points", "boxes"), made or (None, None), strict=True):
            # a layer of the person's own stays chosen
            if layer is not None or state.is_prompt_layer(getattr(state, name)):
                changes[name] = layer
        if state.is_idle:
            changes["outcome"] = Outcome.NONE
        if image_layer is not state.video:
            changes["band"] = None
            if state.video is not None:
                state.video.events.data.disconnect(self._on_data_replaced)
            if image_layer is not None:
                image_layer.events.data.connect(self._on_data_replaced)
        state.update(video=image_layer, **changes)
        if wrong is not None:
            raise wrong

    def _on_data_replaced(self, _event: Any = None) -> None:
        """The whole video is there in place of its first frame, or another one."""
        with suppress(LayerError):  # it is said where it is to be used
            self.state.update(**self.axes.options(self.state.video))

    def video(self) -> Image:
        """The video layer that is chosen.

        Raises
        ------
        LayerError
            If there is none.
        """
        if self.state.video is None:
            raise LayerError("no video is open; drop a video on the window, or choose its layer")
        return self.state.video

    def frame_on_screen(self) -> int:
        """The frame of the chosen video that the viewer shows."""
        image_layer = self.video()
        return frame_on_screen(image_layer, self.axes.read(image_layer), self.viewer)

    @property
    def results(self) -> ResultsLayer | None:
        """Results of the chosen video, if there are any."""
        current = self.state.current
        return None if current is None else current.results_in(self.viewer.layers)

    def follow_layers(self) -> None:
        """Hear that layers came or went: let go of what was deleted."""
        layers, state = self.viewer.layers, self.state
        chosen = {name: getattr(state, name) for name in ("points", "boxes", "masks")}
        state.update(
            **{n: None for n, one in chosen.items() if one is not None and one not in layers}
        )
        self.preview.follow_layers()
        if self.job is not None:
            if self.job.has_lost_layer():
                self.stop()
        elif self.session is not None and self.session.setup.image_layer not in layers:
            self.close_session()

    # ---------------------------------------------------------------- prompts

    def new_prompts(self) -> tuple[Points, Shapes]:
        """Choose layers to draw prompts of the video in; those made before, if they fit.

        Raises
        ------
        LayerError
            If there is no video, or the layer can't be used as one.
        """
        image_layer, state = self.video(), self.state
        tracked = state.tracked(image_layer)
        before = self.axes.read(image_layer)
        self.axes.unpin(image_layer)
        axes = self.axes.pin(image_layer)
        # pressed again for a second object: what was drawn for the first one holds
        made = tracked.prompt_layers_in(self.viewer.layers) if axes == before else None
        points, shapes = made or self.make_prompt_layers(axes)
        state.update(points=points, boxes=shapes)
        self.viewer.layers.selection.active = points
        points.mode = "add"
        if state.is_idle:
            state.outcome = Outcome.NONE
        return points, shapes

    def make_prompt_layers(self, axes: StackAxes) -> tuple[Points, Shapes]:
        """Add a Points and a Shapes layer to draw prompts of the video in."""
        tracked = self.state.tracked(self.video())
        points, shapes = make_prompt_layers(tracked.image_layer, axes)
        self.viewer.add_layer(shapes)
        self.viewer.add_layer(points)
        tracked.prompt_layers = (points, shapes)
        tracked.carried.add(points, shapes)
        return points, shapes

    def read_prompts(
        self,
        frame_index: int,
        *,
        mask_frames: Iterable[int] = (),
        takes_screen: bool = True,
        ids_in_use: Iterable[int] = (),
    ) -> tuple[SessionController, TargetPrompts, tuple[Skipped, ...]]:
        """The session, all prompts that shall hold, and the items drawn that are none.

        Parameters
        ----------
        frame_index : int
            Where texts are asked; labels painted on it are prompts if `takes_screen`.
        mask_frames, ids_in_use
            As `prompt_snapshot.read_prompts` takes them, beside those of the session.
        """
        session, target, skipped, results = self._read(
            frame_index, mask_frames, takes_screen, ids_in_use, ResultsLayer.painted
        )
        if results is not None:
            results.show_again(target.objects)
        return session, target, skipped

    def peek_at_prompts(
        self, frame_index: int
    ) -> tuple[SessionController, TargetPrompts, tuple[Skipped, ...]]:
        """As `read_prompts`, of the screen; what was painted among results is not taken down."""
        session, target, skipped, _ = self._read(
            frame_index, (), True, (), ResultsLayer.painted_so_far
        )
        return session, target, skipped

    def _read(
        self,
        frame_index: int,
        mask_frames: Iterable[int],
        takes_screen: bool,
        ids_in_use: Iterable[int],
        painted_in: Callable[[ResultsLayer], Mapping[tuple[int, int], BoolArray]],
    ) -> tuple[SessionController, TargetPrompts, tuple[Skipped, ...], ResultsLayer | None]:
        self.check_writable()
        session, state = self._session_now(), self.state
        image_layer, axes = session.setup.image_layer, session.setup.axes
        results = state.tracked(image_layer).results_in(self.viewer.layers, axes)
        with self.edits.numbering():
            target, skipped = read_prompts(
                image_layer,
                axes,
                state.points,
                state.boxes,
                state.masks,
                # a window closes the field; a script hears from the model
                texts=state.texts if state.takes_text or not takes_screen else (),
                current_frame=frame_index,
                mask_frames={*mask_frames, *session.painted_frames},
                painted=None if results is None else painted_in(results),
                told=session.told_prompt,
                current_object=state.object_in_hand if takes_screen else 0,
                ids_in_use={*ids_in_use, *session.ids_in_use},
                takes_screen=takes_screen,
            )
        session.note_drawn(target)
        return session, target, skipped, results

    def _session_now(self) -> SessionController:
        """The session to ask; of a job under way its own, if it is on the chosen video."""
        if self.job is None:
            return self.open_session()
        session = self.session
        if session is None or session.setup.image_layer is not self.state.video:
            raise RequestError("a job is under way on another video; wait for it, or stop it")
        return session

    def _read_prompts_on_screen(self) -> tuple[SessionController, TargetPrompts, int]:
        image_layer = self.video()
        on_screen = frame_on_screen(image_layer, self.axes.pin(image_layer), self.viewer)
        session, target, skipped = self.read_prompts(on_screen)
        if skipped:
            show_warning(describe_skipped(skipped))
        if not target:
            raise MissingPromptError(
                "there is nothing to go by yet: press New prompts and click the object, draw a box "
                "round it or paint it, then try again"
            )
        return session, target, on_screen

    # ------------------------------------------------------------------- jobs

    def segment_frame(self) -> None:
        """Show what the prompts mean on the frame on screen; nothing happens during a job."""
        if self.job is None:
            session, target, on_screen = self._read_prompts_on_screen()
            self.start(session, session.segment(target, on_screen), Phase.SEGMENTING)

    def propagate(self) -> None:
        """Follow the objects through the video, or its `band`; nothing happens during a job."""
        if self.job is None:
            session, target, _ = self._read_prompts_on_screen()
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
            session, target, on_screen = self._read_prompts_on_screen()
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
            lambda: self.results_for(setup.image_layer, setup.axes),
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
        self.check_writable()
        results = self.results
        if results is not None:
            table_of(results.layer).check_unlocked(*numbers)
        session, current = self.session, self.state.current
        if session is None and current is not None and current.project is not None:
            session = self.open_session()  # what it holds of the object must go
        self.state.outcome = Outcome.NONE
        removal, frames = self.forget_objects(numbers)
        if session is not None:
            self.edits.join_next(removal)
            steps = map(session.remove_object, numbers, frames)
            self.start(session, chain.from_iterable(steps), Phase.ERASING)

    def forget_objects(self, obj_ids: Sequence[int]) -> tuple[JobDone, list[list[int]]]:
        """Take away prompts of objects and what is known of them; a job is to erase their masks.

        Returns
        -------
        (JobDone, list of list of int)
            What was done, for the job to join, and the frames that each may be drawn on.
        """
        state, results = self.state, self.results
        label = "remove object " + ", ".join(map(str, obj_ids))
        tracked = state.tracked(self.video())
        self.edits.settle(tracked)
        layers = [layer for layer in (state.points, state.boxes) if layer is not None]
        parts: list[Command] = [
            RemovePrompts(one, [item for i in obj_ids for item in find_items(one, i)])
            for one in layers
        ]
        frames: list[list[int]] = [[] for _ in obj_ids]
        for obj_id, drawn in zip(obj_ids, frames, strict=True):
            if results is not None:
                results.forget(obj_id)
                parts.append(EditTable(results.layer, label, methodcaller("remove", obj_id)))
                drawn += results.drawn_frames()
        removal = JobDone(label, parts)
        tracked.history.do(removal)
        return removal, frames

    def found_objects(self) -> frozenset[int]:
        """Objects of the chosen video that a text has found, and nobody has pointed at."""
        session, current = self.session, self.state.current
        if session is not None and session.setup.image_layer is self.state.video:
            return session.found_objects
        opened = None if current is None else current.project
        return frozenset() if opened is None else opened.project.prompts.candidates

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
        if tracked.project is not None and tracked.project.project.is_read_only:
            self.resetting.emit(image_layer)
            self.close_session()
            tracked.results = None
            Reset(state, tracked, None).do()
            tracked.history.clear()
        else:
            if session is None or session.session is None:
                self.close_session()
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

    # ---------------------------------------------------------------- session

    def check_writable(self) -> None:
        """Refuse work that could not be kept where it belongs.

        Raises
        ------
        LayerError
            If there is no video.
        ProjectReadOnlyError
            If the video's project is open for reading only.
        ProjectError
            While a project is being opened or moved.
        RequestError
            While objects are being merged, split or swapped.
        """
        opened = self.state.tracked(self.video()).project
        if self.state.phase is Phase.EDITING:
            raise RequestError("objects are being changed on all frames; wait for it")
        if self.state.project.is_busy:
            raise ProjectError("a project is being opened or moved; wait for it")
        if opened is not None and opened.project.is_read_only:
            raise ProjectReadOnlyError(
                "this project can be looked at, but not changed: "
                f"{opened.project.why_read_only}. Reset begins work of its own"
            )

    def open_session(self) -> SessionController:
        """The session for the chosen video and model; cheap, the model is loaded when needed.

        Raises
        ------
        LayerError, VideoError
            If the layer can't be used as a video, or somebody else works on it.
        WeightsMissingError
            If the model must be got first; nothing is downloaded without being asked.
        """
        image_layer, state = self.video(), self.state
        axes = self.axes.pin(image_layer)
        state.n_frames = frame_count(image_layer, axes)
        if not state.is_model_ready:
            raise WeightsMissingError(
                f"the model {state.model} is not on this machine; its dialog tells how to get it. "
                "Or choose another model"
            )
        check_owner(image_layer, state)
        setup = Setup(
            image_layer,
            axes,
            state.resolved_model,
            state.usable_device,
            state.resolution,
            state.compute,
        )
        data = image_layer.data
        # a proxy only shows the same video
        data = data.original if isinstance(data, Video) else data
        tracked = state.tracked(image_layer)
        if self.session is None or self.session.setup != setup or self._data is not data:
            self.close_session()
            opened = tracked.project_read_as(axes)
            recorder = ProjectRecorder(None if opened is None else opened.project)
            self.session = SessionController(setup, self._models, tracked.contrast_limits, recorder)
            self._data = data
        results = tracked.results_in(self.viewer.layers, axes)
        if results is not None:
            self.session.is_alive = table_of(results.layer).is_alive
        return self.session

    def close_session(self) -> None:
        """Forget the session; layers stay."""
        session, self.session, self._data = self.session, None, None
        if session is not None:
            self.preview.after(session.close)  # a thread may be inside the model

    def shut_down(self, at_end: Callable[[], object] = lambda: None) -> None:
        """Stop the job and give back all memory, then call `at_end`; it is not used afterwards."""
        if self.is_closed:
            return
        self.is_closed = True
        self.edits.close()
        self.preview.close()

        def give_back() -> None:
            self.close_session()
            self._models.close()
            self.compute.close()
            at_end()

        def end_preview() -> None:
            self.preview.after(give_back)

        job, self.job = self.job, None
        if job is None:
            end_preview()
        else:
            # the thread may be inside the model: memory is given back when it has come out
            job.abandon(end_preview)

    # ---------------------------------------------------------------- results

    def results_for(self, image_layer: Image, axes: StackAxes) -> ResultsLayer:
        """The layer of a video's results; a new one where there is none of ours any more."""
        found = self.state.tracked(image_layer).results_in(self.viewer.layers, axes)
        if found is None:
            found = self.adopt_results(image_layer, axes)
            active = self.viewer.layers.selection.active
            self.viewer.add_layer(found.layer)
            self._lay_under_prompts(found.layer)
            # the person goes on clicking where they were
            self.viewer.layers.selection.active = active
        return found

    def adopt_results(
        self, image_layer: Image, axes: StackAxes, layer: Labels | None = None
    ) -> ResultsLayer:
        """Draw in a layer that shows the results of a video's project already, or a new one."""
        tracked = self.state.tracked(image_layer)
        opened = tracked.project_read_as(axes)
        if opened is None:
            made = ResultsLayer(image_layer, axes, layer=layer)
        else:
            made = ResultsLayer(
                image_layer,
                axes,
                opened.project.labels,
                layer=layer,
                objects=opened.project.objects,
                own_ids=ProjectRecorder(opened.project).ids_in_use,
            )
        tracked.results, tracked.results_axes = made, axes
        tracked.carried.add(made.layer)
        self.edits.watch_results(made, tracked)
        made.restored.connect(lambda frames: self._on_restored(image_layer, made, frames))
        return made

    def _on_restored(
        self, image_layer: Image, results: ResultsLayer, frames: tuple[int, ...]
    ) -> None:
        session = self.session
        if session is not None and session.setup.image_layer is image_layer:
            session.see_restored(results.planes, frames)
        self.objects.show(results.layer)

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
        said = go(self.state.tracked(self.video()))
        results = self.results
        if results is not None:
            self.state.n_locked = len(results.planes.locked_frames())
        if said and self.state.is_idle:
            self.state.outcome = Outcome.NONE
        return said

    def _history_of(self, layer: Labels) -> CommandHistory | None:
        """The history of the video that a layer has the results of."""
        shown = ((v.results, v.history) for v in self.state.videos if v.results is not None)
        return next((history for results, history in shown if results.layer is layer), None)

    def _lay_under_prompts(self, layer: Labels) -> None:
        """Clicks stay visible above the masks."""
        layers = self.viewer.layers
        lowest = [layers.index(one) for one in layers if self.state.is_prompt_layer(one)]
        if lowest and min(lowest) < layers.index(layer):
            layers.move(layers.index(layer), min(lowest))


def controllers_in(viewer: Any) -> list[TrackingController]:
    """Those of the docks of a viewer that are in use, as they were opened."""
    widgets = getattr(viewer.window, "dock_widgets", {}).values()
    found = (getattr(getattr(w, "native", w), "tracking", None) for w in widgets)
    return [c for c in found if isinstance(c, TrackingController) and not c.is_closed]
