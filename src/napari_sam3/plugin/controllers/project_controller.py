"""The projects that keep a window's work: made at the first result, saved as they grow, closed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from napari.layers import Image
from napari.utils.notifications import show_error, show_warning
from psygnal import EmissionInfo
from qtpy.QtCore import QObject

from napari_sam3.plugin.controllers.autosave import Autosave, close_project
from napari_sam3.plugin.controllers.project_snapshot import Size, take_snapshot
from napari_sam3.plugin.controllers.session_controller import SessionController
from napari_sam3.plugin.controllers.tracking_controller import TrackingController
from napari_sam3.plugin.layers.layer_roles import BOXES, FOLDER, MASKS, POINTS, RESULTS, ROLE, VIDEO
from napari_sam3.plugin.layers.mask_state import describe_masks
from napari_sam3.plugin.layers.stack_axes import StackAxes, frame_count
from napari_sam3.plugin.layers.transforms import layer_shape
from napari_sam3.plugin.model.events import ProjectMade, ProjectRefused
from napari_sam3.plugin.model.open_project import OpenProject
from napari_sam3.plugin.model.project_lookup import make_project
from napari_sam3.plugin.model.project_status import ProjectStatus
from napari_sam3.plugin.model.video_source import find_source, is_from_file
from napari_sam3.projects import Project

_SAVED_FIELDS = {
    "object_in_hand",
    "texts",
    "direction",
    "start_frame",
    "max_frames",
    "model",
    "device",
    "resolution",
    "points",
    "boxes",
    "masks",
    "n_prompts",
}


class ProjectController(QObject):
    """Makes, saves and closes the projects of one window.

    Parameters
    ----------
    tracking : TrackingController
        Whose work is kept; its state is told how things stand.
    canvas_size : callable
        Gives width and height of what is in the middle of the window, screen px.

    Attributes
    ----------
    open : list of OpenProject
        All that are open here.
    autosaves : dict of OpenProject to Autosave
        Of those that can be written.
    earlier : str
        When earlier work on the chosen video was done; empty if there is none.
    is_busy : bool
        Whether one is being opened or moved.
    """

    def __init__(self, tracking: TrackingController, canvas_size: Callable[[], Size]) -> None:
        super().__init__()
        self.canvas_size = canvas_size
        self.open: list[OpenProject] = []
        self.earlier = ""
        self.is_busy = False
        self.is_closed = False
        self._tracking, self._state, self._viewer = tracking, tracking.state, tracking.viewer
        self.autosaves: dict[OpenProject, Autosave] = {}
        self._refusal = ""
        self._state.events.connect(self._on_state_changed)
        self._viewer.dims.events.current_step.connect(self._note)
        tracking.starting.connect(self._prepare)
        tracking.told.connect(self._on_job_told)
        tracking.ended.connect(self._on_job_ended)
        tracking.resetting.connect(self._release)

    # --------------------------------------------------------------- how it is

    @property
    def current(self) -> OpenProject | None:
        """The project of the video that is chosen, or of one that is lost."""
        tracked = self._state.current
        if tracked is not None and tracked.project is not None:
            return tracked.project
        # a video that is lost can't be chosen
        return next((opened for opened in self.open if opened.image_layer is None), None)

    @property
    def project(self) -> Project | None:
        """The same as it is on disk."""
        opened = self.current
        return None if opened is None else opened.project

    def refresh(self) -> None:
        """Bring the status in line."""
        if not self.is_closed:
            self._state.project = self._status()

    def _status(self) -> ProjectStatus:
        opened = self.current
        if opened is None:
            tracked = self._state.current
            source = None if tracked is None else tracked.source
            return ProjectStatus(
                is_kept=self._state.keeps_results,
                why_not="" if source is None else source.problem,
                problems=(self._refusal,) if self._refusal else (),
                earlier=self.earlier,
                is_busy=self.is_busy,
            )
        stopped_at, n_left = opened.stopped_run() if self._tracking.job is None else (None, 0)
        return ProjectStatus(
            folder=str(opened.project.folder),
            saved_at=opened.saved_at,
            why_read_only=opened.project.why_read_only or "",
            problems=opened.all_problems(),
            is_video_lost=opened.image_layer is None,
            is_busy=self.is_busy,
            stopped_at=stopped_at,
            frames_left=n_left,
        )

    def _on_state_changed(self, info: EmissionInfo) -> None:
        name = info.signal.name
        if name in ("video", "keeps_results", "phase"):
            if name == "video":
                self._refusal = ""
            self.refresh()
        if name in _SAVED_FIELDS:
            self._note()
            self._watch_current()

    def _note(self, _event: Any = None) -> None:
        """What is saved may have changed."""
        opened = self.current
        if opened in self.autosaves:
            self.autosaves[opened].note()

    # ---------------------------------------------------------------- making

    def _prepare(self, session: SessionController) -> None:
        """Have a project made at the first result, if results are to be kept."""
        image_layer = self._tracking.video()
        tracked = self._state.tracked(image_layer)
        axes = self._tracking.axes.read(image_layer)
        session.recorder.make = None
        if not is_from_file(image_layer) or not self._state.keeps_results:
            return
        if tracked.project_read_as(axes) is not None:
            return
        if tracked.results_in(self._viewer.layers, axes) is not None:
            return  # begun in memory: the next ones are kept
        size = layer_shape(image_layer)[-2:]
        session.recorder.make = make_project(
            lambda: find_source(image_layer, axes),
            (frame_count(image_layer, axes), size[0], size[1]),
        )

    def _on_job_told(self, event: object) -> None:
        if isinstance(event, ProjectMade):
            session = self._tracking.session
            assert session is not None, "it has told of it"
            setup = session.setup
            self.attach(OpenProject(event.project), setup.image_layer, setup.axes)
            self.earlier = ""
        elif isinstance(event, ProjectRefused):
            self._refusal = f"the results are not kept: {event.reason}"
            show_warning(self._refusal)
        self.refresh()

    def _on_job_ended(self) -> None:
        opened = self.current
        if opened in self.autosaves:
            autosave = self.autosaves[opened]
            autosave.end_run()
            untold = opened.project.checkpoints.take_untold()
            if untold:
                show_warning("\n".join(untold))
            self._watch_current()
            self._describe_masks(opened)
            autosave.save()
        self.refresh()

    def _describe_masks(self, opened: OpenProject) -> None:
        """Remember what is painted as prompts: it changes what is done with the work alone."""
        layer, session = self._state.masks, self._tracking.session
        if session is None or session.setup.image_layer is not opened.image_layer:
            return
        opened.masks = None
        if layer is not None:
            setup, frames = session.setup, session.painted_frames
            opened.masks = describe_masks(layer, setup.image_layer, setup.axes, frames)

    # ---------------------------------------------------------------- keeping

    def attach(self, opened: OpenProject, image_layer: Image, axes: StackAxes) -> None:
        """Keep the work on a video in a project from now on."""
        opened.image_layer, opened.axes = image_layer, axes
        self._state.tracked(image_layer).project = opened
        session = self._tracking.session
        if session is not None and session.setup.image_layer is image_layer:
            if session.recorder.project is opened.project:
                session.recorder.claim()
            else:
                self._tracking.sessions.close()  # it is begun again from the project
        self.hold(opened)

    def hold(self, opened: OpenProject) -> None:
        """Save a project from now on, and close it at the end."""
        if opened not in self.open:
            self.open.append(opened)
        if opened.project.is_read_only or opened.image_layer is None:
            return
        autosave = Autosave(
            opened.project,
            lambda: take_snapshot(self._tracking, opened, self.canvas_size()),
            parent=self,
        )
        autosave.saved.connect(lambda clock: self._on_saved(opened, clock))
        autosave.failed.connect(lambda reason: self._on_failed_to_save(opened, reason))
        self.autosaves[opened] = autosave
        self._watch_current()
        autosave.note()

    def stop_saving(self, opened: OpenProject) -> None:
        """Save what there is, and hear of no further change."""
        autosave = self.autosaves.pop(opened, None)
        if autosave is not None:
            autosave.close()

    def _watch_current(self) -> None:
        """Hear of every change of the layers that are kept."""
        opened = self.current
        if opened not in self.autosaves or opened.image_layer is None:
            return
        state = self._state
        results = state.tracked(opened.image_layer).results_in(self._viewer.layers)
        layers = {
            VIDEO: opened.image_layer,
            POINTS: state.points,
            BOXES: state.boxes,
            MASKS: state.masks,
            RESULTS: None if results is None else results.layer,
        }
        if results is not None:
            opened.layers = [results.layer]
        for role, layer in layers.items():
            if layer is not None:
                # a dock that is opened later knows them by it
                layer.metadata.update({FOLDER: str(opened.project.folder), ROLE: role})
                self.autosaves[opened].watch(layer)

    def _on_saved(self, opened: OpenProject, clock: str) -> None:
        opened.saved_at, opened.failure = clock, ""
        self.refresh()

    def _on_failed_to_save(self, opened: OpenProject, reason: str) -> None:
        if reason != opened.failure:
            opened.failure = reason
            show_error(f"{reason}. It is tried again every few seconds; or save it elsewhere")
        self.refresh()

    # ---------------------------------------------------------------- closing

    def _release(self, image_layer: Image) -> None:
        """Begin anew: what was done stays in its project, and is shown on; the next has its own."""
        for opened in [o for o in self.open if o.image_layer is image_layer]:
            self.stop_saving(opened)  # the layers are about to be emptied
        self._state.tracked(image_layer).project = None
        self.earlier = ""
        self.refresh()

    def let_go_of_deleted(self) -> None:
        """Close the projects of which no layer is left."""
        layers = self._viewer.layers
        for opened in list(self.open):
            kept = [opened.image_layer, *opened.layers]
            if not any(layer in layers for layer in kept if layer is not None):
                self.let_go(opened)
        self.refresh()

    def let_go(self, opened: OpenProject) -> None:
        """Save and close a project; its layers stay."""
        self.open.remove(opened)
        self.stop_saving(opened)
        if opened.image_layer is not None:
            tracked = self._state.tracked(opened.image_layer)
            if tracked.project is opened:
                tracked.project = None
        close_project(opened.project)

    def close(self) -> None:
        """Save and close all; layers that stay in the viewer can be looked at on."""
        if not self.is_closed:
            self.is_closed = True
            self._viewer.dims.events.current_step.disconnect(self._note)
            for opened in list(self.open):
                self.let_go(opened)
