"""The projects of one dock: made at the first result, saved as they grow, closed at the end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari.layers import Image
from napari.utils.notifications import show_error, show_warning
from qtpy.QtCore import QObject

from napari_sam3.errors import ProjectError, ProjectReadOnlyError
from napari_sam3.plugin.controllers.autosave import Autosave, close_project
from napari_sam3.plugin.controllers.project_opener import ProjectOpener
from napari_sam3.plugin.controllers.project_snapshot import gather
from napari_sam3.plugin.controllers.session_controller import SessionController
from napari_sam3.plugin.controllers.worker import Run, run_once
from napari_sam3.plugin.layers.layer_roles import BOXES, FOLDER, MASKS, POINTS, RESULTS, ROLE, VIDEO
from napari_sam3.plugin.layers.mask_state import describe_masks
from napari_sam3.plugin.layers.stack_axes import frame_count
from napari_sam3.plugin.layers.transforms import layer_shape
from napari_sam3.plugin.model.open_project import OpenProject, make_project, video_path
from napari_sam3.plugin.model.project_lookup import EarlierProject, find_earlier
from napari_sam3.plugin.model.project_status import ProjectStatus

if TYPE_CHECKING:
    from napari_sam3.plugin.views.dock import SegmentAndTrackWidget
    from napari_sam3.projects import Project


class ProjectKeeper(QObject):
    """Makes, saves and closes projects for a dock; its `opener` opens and moves them.

    Parameters
    ----------
    dock : SegmentAndTrackWidget
        With all its fields.
    """

    def __init__(self, dock: SegmentAndTrackWidget) -> None:
        super().__init__(dock)
        self._dock = dock
        self.held: list[OpenProject] = []
        self.is_closed = False
        self.opener = ProjectOpener(dock, self)
        self._search: Run | None = None
        self._earlier: EarlierProject | None = None
        self._not_kept = ""
        dock.project_fields.offer.accept.clicked.connect(self.open_earlier)
        dock.viewer.dims.events.current_step.connect(self._on_moved_in_time)
        track = dock.track_fields
        for changed in (track.direction.changed, track.start.changed, track.length.changed):
            changed.connect(self.note)
        dock.settings_fields.resolution.changed.connect(self.note)
        dock.settings_fields.keep.changed.connect(self.show)
        dock.work.kept.connect(self.on_kept)
        dock.work.not_kept.connect(self.on_not_kept)
        dock.work.ended.connect(self.on_work_ended)

    # --------------------------------------------------------------- how it is

    @property
    def project(self) -> Project | None:
        """The project of the video that is chosen, or that of a video that is lost."""
        held = self.current
        return None if held is None else held.project

    @property
    def is_busy(self) -> bool:
        """Whether a project is being opened or moved."""
        return self.opener.is_busy

    @property
    def standing(self) -> ProjectStatus:
        """What the group says."""
        held = self.current
        keeps = bool(self._dock.settings_fields.keep.value)
        if held is None:
            said = (self._not_kept,) if self._not_kept else ()
            earlier = self._earlier is not None
            return ProjectStatus(
                is_kept=keeps, problems=said, has_earlier=earlier, is_busy=self.is_busy
            )
        return ProjectStatus(
            folder=str(held.project.folder),
            is_kept=True,
            saved_at=held.saved_at,
            why_read_only=held.project.why_read_only or "",
            # the store may meet damaged frames later on
            problems=tuple(
                dict.fromkeys(
                    [
                        *held.problems,
                        *getattr(held.project.labels, "problems", ()),
                        *([held.failure] if held.failure else []),
                    ]
                )
            ),
            is_video_lost=held.image_layer is None,
            is_busy=self.is_busy,
        )

    def check_writable(self, image_layer: Image) -> None:
        """Refuse work that could not be kept where it belongs.

        Raises
        ------
        ProjectReadOnlyError
            If the video's project is open for reading only.
        ProjectError
            While a project is being opened or moved.
        """
        if self.is_busy:
            raise ProjectError("a project is being opened or moved; wait for it")
        project = self._dock.bench.project_of(image_layer)
        if project is not None and project.is_read_only:
            raise ProjectReadOnlyError(
                f"this project can be looked at, but not changed: {project.why_read_only}. "
                "Reset begins work of its own"
            )

    def show(self, _value: Any = None) -> None:
        """Bring group and guidance in line."""
        if self.is_closed:
            return
        dock, standing = self._dock, self.standing
        dock.project_fields.show(standing, is_idle=dock.job is None)
        project, at, n_left = self.project, None, 0
        if project is not None and dock.job is None:
            legs = project.frames_left
            n_left = sum(map(len, legs))
            if project.run is not None and legs and not project.run.stale:
                planned = project.run.legs(project.labels.shape[0])
                leg = next((p for p in planned if legs[0][0] in p), legs[0])
                done = leg.index(legs[0][0]) if legs[0][0] in leg else 0
                at = leg[done - 1] if done else None
        dock.work.tell(
            earlier="" if self._earlier is None or project is not None else self._earlier.when,
            why_read_only=standing.why_read_only,
            stopped_at=at,
            frames_left=n_left,
        )

    def note(self, _event: Any = None) -> None:
        """Something may have changed: show it, and save it within a moment."""
        self.show()
        held = self.current
        if held is not None and held.autosave is not None:
            held.autosave.note()

    def _on_moved_in_time(self, _event: Any) -> None:
        held = self.current
        if held is not None and held.autosave is not None:
            held.autosave.note()

    @property
    def current(self) -> OpenProject | None:
        """The project of the video that is chosen, or of one that is lost."""
        chosen = self._dock.video_fields.video.value
        for held in self.held:
            is_here = held.image_layer is not None and held.image_layer is chosen
            if is_here and self._dock.bench.project_of(chosen) is held.project:
                return held
        # a video that is lost can't be chosen
        return next((h for h in self.held if h.image_layer is None), None)

    def forget_earlier(self) -> None:
        """Offer earlier work no longer."""
        self._earlier, self._not_kept = None, ""

    # ---------------------------------------------------------------- making

    def prepare(self, controller: SessionController) -> None:
        """Have a project made at the first result, if results are to be kept."""
        bench = self._dock.bench
        assert bench.setup is not None, "a controller comes with its setup"
        image_layer, axes = bench.setup.image_layer, bench.setup.axes
        controller.keeping.make = None
        path = video_path(image_layer)
        if path is None or not self._dock.settings_fields.keep.value:
            return
        if bench.project_of(image_layer, axes) is not None:
            return
        if bench.results_of(image_layer, axes) is not None:
            return  # begun in memory: the next ones are kept
        size = layer_shape(image_layer)[-2:]
        controller.keeping.make = make_project(
            path, (frame_count(image_layer, axes), size[0], size[1])
        )

    def on_kept(self, project: Project) -> None:
        """Take over a project that a session has made."""
        setup = self._dock.bench.setup
        assert setup is not None, "its session has one"
        self._dock.bench.keep_in(setup.image_layer, setup.axes, project)
        held = OpenProject(project, setup.image_layer, setup.axes)
        self.hold(held)
        self.forget_earlier()
        self.show()

    def on_not_kept(self, reason: str) -> None:
        """Say that there is no project."""
        self._not_kept = f"the results are not kept: {reason}"
        show_warning(self._not_kept)
        self.show()

    def on_work_ended(self) -> None:
        """Keep what has come of a piece of work."""
        held = self.current
        if held is not None and held.autosave is not None:
            held.autosave.end_run()
            self._watch(held)
            self._look_at_masks(held)
            held.autosave.save()
        self.show()

    def _look_at_masks(self, held: OpenProject) -> None:
        """Remember what is painted as prompts: it changes what is done with the work alone."""
        bench, layer = self._dock.bench, self._dock.prompt_fields.masks.value
        controller, setup = bench.controller, bench.setup
        if controller is None or setup is None or setup.image_layer is not held.image_layer:
            return
        held.masks = None
        if layer is not None:
            frames = controller.painted_frames
            held.masks = describe_masks(layer, setup.image_layer, setup.axes, frames)

    def release(self, image_layer: Image) -> None:
        """Begin anew: what was done stays in its project, and is shown on; the next has its own."""
        for held in [h for h in self.held if h.image_layer is image_layer]:
            held.stop_saving()  # the layers are about to be emptied
        self._dock.bench.stop_keeping(image_layer)
        self.opener.open_prompts(image_layer)
        self._earlier = None
        self.show()

    def hold(self, held: OpenProject) -> None:
        """Save a project from now on, and close it at the end."""
        self.held.append(held)
        project, image_layer, axes = held.project, held.image_layer, held.axes
        if project.is_read_only or image_layer is None or axes is None:
            return
        held.autosave = Autosave(
            project, lambda: gather(self._dock, image_layer, axes, held.masks), parent=self
        )
        held.autosave.saved.connect(lambda clock: self._on_saved(held, clock))
        held.autosave.failed.connect(lambda reason: self._on_failed_to_save(held, reason))
        self._watch(held)
        held.autosave.note()

    def _watch(self, held: OpenProject) -> None:
        """Hear of every change of the layers that are kept."""
        if held.autosave is None:
            return
        results, fields = self._dock.bench.results_of(held.image_layer), self._dock.prompt_fields
        layers = {
            VIDEO: held.image_layer,
            POINTS: fields.points.value,
            BOXES: fields.boxes.value,
            MASKS: fields.masks.value,
            RESULTS: None if results is None else results.layer,
        }
        if results is not None:
            held.layers = [results.layer]
        for role, layer in layers.items():
            if layer is None:
                continue
            # a dock that is opened later knows them by it
            layer.metadata.update({FOLDER: str(held.project.folder), ROLE: role})
            if layer not in held.watched:
                held.watched.append(layer)
                layer.events.connect(held.autosave.note)

    def _on_saved(self, held: OpenProject, clock: str) -> None:
        held.saved_at, held.failure = clock, ""
        self.show()

    def _on_failed_to_save(self, held: OpenProject, reason: str) -> None:
        if reason != held.failure:
            held.failure = reason
            show_error(f"{reason}. It is tried again every few seconds; or save it elsewhere")
        self.show()

    def look_at_layers(self) -> None:
        """Take over layers of projects that a reader has opened; let go of what was deleted."""
        if self.is_closed:
            return
        layers = self._dock.viewer.layers
        for held in list(self.held):
            kept = [held.image_layer, *held.layers]
            if not any(layer in layers for layer in kept if layer is not None):
                self.let_go(held)
        self.opener.look_at_layers()

    def open_earlier(self) -> None:
        """Open the earlier work that the guidance offers."""
        if self._earlier is not None:
            self.opener.open(self._earlier.folder)

    def look_for_earlier(self, image_layer: Image | None) -> None:
        """See whether there is earlier work on a video; said within a moment."""
        self._drop_search()
        self.forget_earlier()
        self.opener.look_at_layers()  # the dock may be opened after them
        self.opener.look_at_choice(image_layer)
        self.show()
        path = video_path(image_layer)
        if path is None or self._dock.bench.project_of(image_layer) is not None:
            return
        held = tuple(h.project.folder for h in self.held)
        self._search = run_once(
            lambda: find_earlier(path, but=held), self._on_found, lambda _error: None
        )

    def _on_found(self, earlier: EarlierProject | None) -> None:
        self._search = None
        if self.project is None and not self.opener.is_awaited:
            self._earlier = earlier
            self.show()

    # ---------------------------------------------------------------- closing

    def close(self) -> None:
        """Save and close all; layers that stay in the viewer can be looked at on."""
        if self.is_closed:
            return
        self._drop_search()
        self.is_closed = True
        self._dock.viewer.dims.events.current_step.disconnect(self._on_moved_in_time)
        for held in list(self.held):
            self.let_go(held)

    def let_go(self, held: OpenProject) -> None:
        """Save and close a project; its layers stay."""
        self.held.remove(held)
        if held.image_layer is not None and (
            self._dock.bench.project_of(held.image_layer) is held.project
        ):
            self._dock.bench.stop_keeping(held.image_layer)
        held.stop_saving()
        close_project(held.project)

    def _drop_search(self) -> None:
        if self._search is not None:
            self._search.drop()
        self._search = None
