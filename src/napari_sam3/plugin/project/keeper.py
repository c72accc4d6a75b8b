"""The projects of one dock: made at the first result, saved as they grow, opened, moved, closed."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari.layers import Image, Labels, Layer
from napari.utils.notifications import show_error, show_warning
from qtpy.QtCore import QObject, QTimer
from qtpy.QtWidgets import QFileDialog

from napari_sam3.errors import ProjectError, ProjectReadOnlyError, Sam3Error
from napari_sam3.plugin.controller import SessionController
from napari_sam3.plugin.project.autosave import Autosave
from napari_sam3.plugin.project.earlier import EarlierWork, find_earlier, free_folder
from napari_sam3.plugin.project.gathering import axes_of, gather, restore_fields
from napari_sam3.plugin.project.moving import move_project
from napari_sam3.plugin.project.restore import (
    BOXES,
    FOLDER,
    POINTS,
    RESULTS,
    ROLE,
    VIDEO,
    Opened,
    open_project,
    project_layers,
)
from napari_sam3.plugin.project.words import Standing
from napari_sam3.plugin.prompt_layers import colour_shapes
from napari_sam3.plugin.stack import StackAxes, frame_count
from napari_sam3.plugin.transforms import layer_shape
from napari_sam3.plugin.worker import Run, run_once
from napari_sam3.settings import projects_path
from napari_sam3.video import Video

if TYPE_CHECKING:
    from napari_sam3.plugin.widget.dock import SegmentAndTrackWidget
    from napari_sam3.projects import Project


@dataclass(eq=False)
class _Held:
    """A project that is open in this dock."""

    project: Project
    image_layer: Image | None = None
    axes: StackAxes | None = None
    autosave: Autosave | None = None
    saved_at: str = ""
    problems: list[str] = field(default_factory=list)
    layers: list[Layer] = field(default_factory=list)
    watched: list[Any] = field(default_factory=list)


class ProjectKeeper(QObject):
    """Makes, saves, opens, moves and closes projects for a dock.

    Parameters
    ----------
    dock : SegmentAndTrackWidget
        With all its fields.
    """

    def __init__(self, dock: SegmentAndTrackWidget) -> None:
        super().__init__(dock)
        self._dock = dock
        self._held: list[_Held] = []
        self._errand: Run | None = None
        self._search: Run | None = None
        self._earlier: EarlierWork | None = None
        self._refused: set[str] = set()  # folders that could not be opened
        self._not_kept = ""
        self._is_closed = False
        fields = dock.project_fields
        fields.open.changed.connect(lambda _pressed: self.choose_and_open())
        fields.move.changed.connect(lambda _pressed: self.choose_and_move())
        fields.find_video.changed.connect(lambda _pressed: self.choose_video())
        fields.offer.accept.clicked.connect(self.open_earlier)
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
        held = self._current
        return None if held is None else held.project

    @property
    def is_busy(self) -> bool:
        """Whether a project is being opened or moved."""
        return self._errand is not None

    @property
    def standing(self) -> Standing:
        """What the group says."""
        held = self._current
        keeps = bool(self._dock.settings_fields.keep.value)
        if held is None:
            said = (self._not_kept,) if self._not_kept else ()
            earlier = self._earlier is not None
            return Standing(is_kept=keeps, problems=said, has_earlier=earlier, is_busy=self.is_busy)
        return Standing(
            folder=str(held.project.folder),
            is_kept=True,
            saved_at=held.saved_at,
            why_read_only=held.project.why_read_only or "",
            problems=tuple(dict.fromkeys(held.problems)),
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
        if self._is_closed:
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
        held = self._current
        if held is not None and held.autosave is not None:
            held.autosave.note()

    def _on_moved_in_time(self, _event: Any) -> None:
        held = self._current
        if held is not None and held.autosave is not None:
            held.autosave.note()

    @property
    def _current(self) -> _Held | None:
        chosen = self._dock.video_fields.video.value
        for held in self._held:
            is_here = held.image_layer is not None and held.image_layer is chosen
            if is_here and self._dock.bench.project_of(chosen) is held.project:
                return held
        # a video that is lost can't be chosen
        return next((h for h in self._held if h.image_layer is None), None)

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
        held = _Held(project, setup.image_layer, setup.axes)
        self._hold(held)
        self._earlier, self._not_kept = None, ""
        self.show()

    def on_not_kept(self, reason: str) -> None:
        """Say that there is no project."""
        self._not_kept = f"the results are not kept: {reason}"
        show_warning(self._not_kept)
        self.show()

    def on_work_ended(self) -> None:
        """Keep what has come of a piece of work."""
        held = self._current
        if held is not None and held.autosave is not None:
            held.autosave.end_run()
            self._watch(held)
            held.autosave.save()
        self.show()

    def release(self, image_layer: Image) -> None:
        """Begin anew: what was done stays in its project, and is shown on; the next has its own."""
        for held in [h for h in self._held if h.image_layer is image_layer]:
            if held.autosave is not None:
                held.autosave.save()
        self._dock.bench.stop_keeping(image_layer)
        self._earlier = None
        self.show()

    def _hold(self, held: _Held) -> None:
        self._held.append(held)
        project, image_layer, axes = held.project, held.image_layer, held.axes
        if project.is_read_only or image_layer is None or axes is None:
            return
        held.autosave = Autosave(
            project, lambda: gather(self._dock, image_layer, axes), parent=self
        )
        held.autosave.saved.connect(lambda clock: self._on_saved(held, clock))
        held.autosave.failed.connect(lambda reason: self._on_failed_to_save(held, reason))
        self._watch(held)
        held.autosave.note()

    def _watch(self, held: _Held) -> None:
        """Hear of every change of the layers that are kept."""
        if held.autosave is None:
            return
        results, fields = self._dock.bench.results_of(held.image_layer), self._dock.prompt_fields
        layers = [held.image_layer, fields.points.value, fields.boxes.value]
        if results is not None:
            layers.append(results.layer)
            held.layers = [results.layer]
            results.layer.metadata[FOLDER] = str(held.project.folder)
            results.layer.metadata[ROLE] = RESULTS
        for layer in layers:
            if layer is not None and layer not in held.watched:
                held.watched.append(layer)
                layer.events.connect(held.autosave.note)

    def _on_saved(self, held: _Held, clock: str) -> None:
        held.saved_at = clock
        self.show()

    def _on_failed_to_save(self, held: _Held, reason: str) -> None:
        if reason not in held.problems:
            held.problems.append(reason)
            show_error(reason)
        self.show()

    # --------------------------------------------------------------- opening

    def choose_and_open(self) -> None:
        """Ask for a project's folder and open it."""
        folder = QFileDialog.getExistingDirectory(
            self._dock, "Open a project (a folder that ends in .sam3)", str(projects_path())
        )
        if folder:
            self.open(Path(folder))

    def open_earlier(self) -> None:
        """Open the earlier work that the guidance offers."""
        if self._earlier is not None:
            self.open(self._earlier.folder)

    def open(self, folder: Path) -> None:
        """Open a project; its layers and fields are there within a moment."""
        if self._errand is not None or self._dock.job is not None:
            return
        folder = Path(folder).expanduser().absolute()
        if any(
            held.project.folder == folder and not held.project.is_read_only for held in self._held
        ):
            show_warning(f"the project {folder.name!r} is open in this window already")
            return
        shown = tuple(path for path in map(video_path, self._images()) if path is not None)
        self._start(lambda: open_project(folder, shown=shown), self._on_opened, folder)

    def look_at_layers(self) -> None:
        """Take over layers of projects that a reader has opened; let go of what was deleted."""
        if self._is_closed:
            return
        layers = self._dock.viewer.layers
        for held in list(self._held):
            kept = [held.image_layer, *held.layers]
            if not any(layer in layers for layer in kept if layer is not None):
                self._let_go(held)
        if self._waiting() and self._errand is None:
            # when the last of its layers is there
            QTimer.singleShot(0, self._open_waiting)

    def look_for_earlier(self, image_layer: Image | None) -> None:
        """See whether there is earlier work on a video; said within a moment."""
        self._drop_search()
        self._earlier, self._not_kept = None, ""
        self.show()
        path = video_path(image_layer)
        if path is None or self._dock.bench.project_of(image_layer) is not None:
            return
        held = tuple(h.project.folder for h in self._held)
        self._search = run_once(
            lambda: find_earlier(path, but=held), self._on_found, lambda _error: None
        )

    def _on_found(self, earlier: EarlierWork | None) -> None:
        self._search = None
        if self.project is None and not self._waiting():
            self._earlier = earlier
            self.show()

    def _waiting(self) -> list[str]:
        """Folders whose layers wait to be taken over."""
        held = {str(h.project.folder) for h in self._held} | self._refused
        told = (
            layer.metadata.get(FOLDER)
            for layer in self._dock.viewer.layers
            if layer.metadata.get(ROLE) == RESULTS
        )
        return [folder for folder in told if isinstance(folder, str) and folder not in held]

    def _open_waiting(self) -> None:
        waiting = [] if self._is_closed else self._waiting()
        if waiting:
            self.open(Path(waiting[0]))

    def _start(self, call: Callable[[], Any], on_done: Callable[[Any], None], folder: Path) -> None:
        def finish(result: Any) -> None:
            self._errand = None
            on_done(result)

        def fail(error: Sam3Error) -> None:
            self._errand = None
            self._refused.add(str(folder))
            show_error(str(error))
            self.show()

        self._errand = run_once(call, finish, fail)
        self.show()

    def _on_opened(self, opened: Opened) -> None:
        if self._is_closed:
            opened.project.close()
            return
        layers = self._layers_of(opened)
        image_layer = self._find_image(opened, layers)
        held = _Held(opened.project, problems=opened.problems, layers=[layers[RESULTS]])
        if image_layer is None:
            self._hold(held)
            self._show_unattached(held, layers)
        else:
            self._attach(held, image_layer, layers)
        if held.problems:
            show_warning("\n".join(held.problems))
        self._earlier = None
        self.show()

    def _layers_of(self, opened: Opened) -> dict[str, Layer]:
        """The project's layers by role; those that are not in the viewer are added."""
        folder, viewer = str(opened.project.folder), self._dock.viewer
        taken = {layer for held in self._held for layer in held.layers}
        found: dict[str, Layer] = {
            str(layer.metadata.get(ROLE)): layer
            for layer in viewer.layers
            if layer.metadata.get(FOLDER) == folder and layer not in taken
        }
        for data, arguments, kind in project_layers(opened):
            role = arguments["metadata"][ROLE]
            if role not in found:
                found[role] = viewer.add_layer(Layer.create(data, arguments, kind))
            elif role == VIDEO:
                data.close()
        return found

    def _find_image(self, opened: Opened, layers: dict[str, Layer]) -> Image | None:
        if VIDEO in layers or opened.video_path is None:
            return layers.get(VIDEO)
        fitting = (i for i in self._images() if video_path(i) == opened.video_path)
        return next(fitting, None)

    def _attach(self, held: _Held, image_layer: Image, layers: dict[str, Layer]) -> None:
        """Bring the dock to where the project's was."""
        dock, bench, project = self._dock, self._dock.bench, held.project
        held.image_layer = image_layer
        dock.video_fields.video.refresh()
        dock.video_fields.video.value = image_layer
        held.axes = axes_of(project.state, image_layer, dock.axes_choice.read(image_layer))
        dock.axes_choice.restore(image_layer, held.axes)
        bench.keep_in(image_layer, held.axes, project)
        results = bench.adopt_results(image_layer, held.axes, layers[RESULTS])
        held.layers = [results.layer]
        self._choose_prompts(image_layer, layers, project)
        held.problems += restore_fields(dock, project.state, image_layer, held.axes)
        dock.object_controls.desk.show(results.layer)
        self._hold(held)
        if project.is_read_only:
            self._close_to_editing(layers)

    def _choose_prompts(
        self, image_layer: Image, layers: dict[str, Layer], project: Project
    ) -> None:
        dock, fields = self._dock, self._dock.prompt_fields
        points, boxes = layers.get(POINTS), layers.get(BOXES)
        told = project.layers.get("layers")
        is_made_here = not told or all(
            e.get("made_here", True) for e in told if isinstance(e, dict)
        )
        if boxes is not None and is_made_here:
            colour_shapes(boxes)
        if points is not None and boxes is not None and is_made_here:
            dock.bench.adopt_prompts(image_layer, points, boxes)
            dock.pen.bind_keys(points, boxes)
        for choice, layer in ((fields.points, points), (fields.boxes, boxes)):
            choice.refresh()
            if layer is not None:
                choice.value = layer

    def _show_unattached(self, held: _Held, layers: dict[str, Layer]) -> None:
        """Show what there is while the video is lost."""
        results = layers[RESULTS]
        results.data = held.project.labels
        if held.project.is_read_only:
            self._close_to_editing(layers)

    def _close_to_editing(self, layers: dict[str, Layer]) -> None:
        for role in (RESULTS, POINTS, BOXES):
            layer = layers.get(role)
            if layer is not None:
                layer.editable = False
                layer.events.editable.connect(_keep_closed)

    # ----------------------------------------------------------- a lost video

    def choose_video(self) -> None:
        """Ask where the video is now."""
        name, _ = QFileDialog.getOpenFileName(self._dock, "Where the video is now")
        if name:
            self.point_to(Path(name))

    def point_to(self, path: Path) -> None:
        """Say where the video of the project is now; its layers come to life within a moment."""
        held = self._current
        if held is None or held.image_layer is not None or self._errand is not None:
            return

        def look() -> Video:
            from napari_sam3.video import open_video
            from napari_sam3.video.proxy import show_proxy

            held.project.point_to(path)
            return show_proxy(open_video(path))

        self._start(look, lambda video: self._on_pointed(held, video), held.project.folder)

    def _on_pointed(self, held: _Held, video: Video) -> None:
        if self._is_closed or held not in self._held:
            video.close()
            return
        self._held.remove(held)
        lost = set(held.project.problems)
        held.problems = [p for p in held.problems if p in lost]
        opened = Opened(held.project, video, video.path)
        layers = self._layers_of(opened)
        viewer_layers = self._dock.viewer.layers
        viewer_layers.move(viewer_layers.index(layers[VIDEO]), 0)
        self._attach(held, layers[VIDEO], layers)
        self.show()

    # ----------------------------------------------------------------- moving

    def choose_and_move(self) -> None:
        """Ask where the project is to be, and move it there."""
        project = self.project
        if project is None:
            return
        parent = QFileDialog.getExistingDirectory(
            self._dock, f"Move {project.folder.name} into this folder"
        )
        if parent:
            self.move_to(Path(parent) / project.folder.name)

    def move_to(self, folder: Path) -> None:
        """Move the project; the work goes on there."""
        held = self._current
        if held is None or self._errand is not None or self._dock.job is not None:
            return
        if held.autosave is not None:
            held.autosave.close()
        self._dock.bench.close_session()
        results = self._dock.bench.results_of(held.image_layer)
        if results is not None:
            results.painted()  # what was just painted is known before the planes are others
            results.layer.editable = False
        self._held.remove(held)
        target = Path(folder).expanduser().absolute()
        self._start(
            lambda: move_project(held.project, target),
            lambda moved: self._on_moved(held, *moved),
            target,
        )

    def _on_moved(self, held: _Held, project: Project, problem: str | None) -> None:
        if problem is not None:
            show_error(problem)
        again = replace(held, project=project, autosave=None, watched=[], saved_at="")
        bench, image_layer, axes = self._dock.bench, held.image_layer, held.axes
        if image_layer is not None and axes is not None:
            bench.keep_in(image_layer, axes, project)
            results = bench.adopt_results(image_layer, axes, held.layers[0])
            results.layer.editable = True
        else:
            held.layers[0].data = project.labels
        self._hold(again)
        self.show()

    # ---------------------------------------------------------------- closing

    def close(self) -> None:
        """Save and close all; layers that stay in the viewer can be looked at on."""
        if self._is_closed:
            return
        self._drop_search()
        self._is_closed = True
        self._dock.viewer.dims.events.current_step.disconnect(self._on_moved_in_time)
        for held in list(self._held):
            self._let_go(held)

    def _let_go(self, held: _Held) -> None:
        self._held.remove(held)
        if held.image_layer is not None and (
            self._dock.bench.project_of(held.image_layer) is held.project
        ):
            self._dock.bench.stop_keeping(held.image_layer)
        if held.autosave is not None:
            for layer in held.watched:
                with suppress(ValueError, KeyError):  # gone with its viewer
                    layer.events.disconnect(held.autosave.note)
            held.autosave.close()
        try:
            held.project.close()
        except (Sam3Error, OSError) as exc:
            show_error(str(exc))

    def _drop_search(self) -> None:
        if self._search is not None:
            self._search.drop()
        self._search = None

    def _images(self) -> list[Image]:
        return [layer for layer in self._dock.viewer.layers if isinstance(layer, Image)]


def video_path(image_layer: Image | None) -> Path | None:
    """The file or folder behind a video layer; None for any other."""
    data = None if image_layer is None else image_layer.data
    if not isinstance(data, Video):
        return None
    path = data.original.path
    return None if path is None else Path(path).expanduser().absolute()


def make_project(path: Path, shape: tuple[int, int, int]) -> Callable[[], Project]:
    """What makes a new project of a video, beside those there are; slow, for a thread."""

    def make() -> Project:
        from napari_sam3.projects import Project

        return Project.create(free_folder(path), path, shape)

    return make


def _keep_closed(event: Any) -> None:
    """Napari opens a layer to editing again when it is shown in 2D after 3D."""
    if event.source.editable:
        event.source.editable = False


__all__ = ["Labels", "ProjectKeeper", "make_project", "video_path"]
