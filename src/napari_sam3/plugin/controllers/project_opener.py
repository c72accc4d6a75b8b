"""Projects opened again: their layers and fields, a video that is lost, another place to be."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from napari.layers import Image, Layer
from napari.utils.notifications import show_error, show_warning
from qtpy.QtCore import QObject, QTimer
from qtpy.QtWidgets import QFileDialog

from napari_sam3.errors import Sam3Error
from napari_sam3.plugin.controllers.autosave import close_project
from napari_sam3.plugin.controllers.project_mover import move_project
from napari_sam3.plugin.controllers.project_snapshot import (
    axes_of,
    hold_view,
    restore_camera,
    restore_fields,
)
from napari_sam3.plugin.controllers.worker import Run, run_once
from napari_sam3.plugin.layers.layer_roles import BOXES, FOLDER, MASKS, POINTS, RESULTS, ROLE, VIDEO
from napari_sam3.plugin.layers.mask_state import masks_entry
from napari_sam3.plugin.layers.project_layers import (
    LoadedProject,
    open_project,
    open_to_editing,
    project_layers,
)
from napari_sam3.plugin.layers.prompt_layers import colour_prompts
from napari_sam3.plugin.layers.stack_axes import frame_count
from napari_sam3.plugin.layers.transforms import layer_shape
from napari_sam3.plugin.model.open_project import OpenProject, video_path
from napari_sam3.settings import projects_path

if TYPE_CHECKING:
    from napari_sam3.plugin.controllers.project_controller import ProjectKeeper
    from napari_sam3.plugin.views.dock import SegmentAndTrackWidget
    from napari_sam3.projects import Project


class ProjectOpener(QObject):
    """Opens and moves projects for a dock, one at a time, in a thread.

    Parameters
    ----------
    dock : SegmentAndTrackWidget
        Which is brought to where it was.
    keeper : ProjectKeeper
        Holds what is open.
    """

    def __init__(self, dock: SegmentAndTrackWidget, keeper: ProjectKeeper) -> None:
        super().__init__(keeper)
        self._dock = dock
        self._keeper = keeper
        self._errand: Run | None = None
        self._refused: WeakSet[Layer] = WeakSet()  # of projects that could not be opened
        fields = dock.project_fields
        fields.open.changed.connect(lambda _pressed: self.choose_and_open())
        fields.reload.changed.connect(lambda _pressed: self.reload())
        fields.move.changed.connect(lambda _pressed: self.choose_and_move())
        fields.find_video.changed.connect(lambda _pressed: self.choose_video())

    @property
    def is_busy(self) -> bool:
        """Whether a project is being opened or moved."""
        return self._errand is not None

    # --------------------------------------------------------------- opening

    def choose_and_open(self) -> None:
        """Ask for a project's folder and open it."""
        folder = QFileDialog.getExistingDirectory(
            self._dock, "Open a project (a folder that ends in .sam3)", str(projects_path())
        )
        if folder:
            self.open(Path(folder))

    def open(self, folder: Path) -> None:
        """Open a project; its layers and fields are there within a moment."""
        if self._errand is not None or self._dock.job is not None:
            return
        folder = Path(folder).expanduser().absolute()
        if any(
            held.project.folder == folder and not held.project.is_read_only
            for held in self._keeper.held
        ):
            show_warning(f"the project {folder.name!r} is open in this window already")
            return
        shown = tuple(path for path in map(video_path, self._images()) if path is not None)
        self._start(
            lambda: open_project(folder, shown=shown),
            self._on_opened,
            lambda: self._refuse(folder),
        )

    def _refuse(self, folder: Path) -> None:
        """Try no more to take over layers that are there now."""
        layers = self._dock.viewer.layers
        self._refused.update(i for i in layers if i.metadata.get(FOLDER) == str(folder))

    def reload(self) -> None:
        """Show what was written elsewhere since a project was opened to be looked at."""
        project = self._keeper.project
        if project is not None and project.is_read_only:
            self.open(project.folder)

    def look_at_layers(self) -> None:
        """Take over what a reader has opened."""
        if self._waiting() and self._errand is None:
            # when the last of its layers is there
            QTimer.singleShot(0, self._open_waiting)

    @property
    def is_awaited(self) -> bool:
        """Whether layers of a project wait to be taken over."""
        return bool(self._waiting())

    def _waiting(self) -> list[str]:
        """Folders whose layers wait to be taken over."""
        held = {str(h.project.folder) for h in self._keeper.held}
        told = (
            layer.metadata.get(FOLDER)
            for layer in self._dock.viewer.layers
            if layer.metadata.get(ROLE) == RESULTS and layer not in self._refused
        )
        return [folder for folder in told if isinstance(folder, str) and folder not in held]

    def _open_waiting(self) -> None:
        waiting = [] if self._keeper.is_closed else self._waiting()
        if waiting:
            self.open(Path(waiting[0]))

    def _start(
        self,
        call: Callable[[], Any],
        on_done: Callable[[Any], None],
        on_failed: Callable[[], None] = lambda: None,
    ) -> None:
        def finish(result: Any) -> None:
            self._errand = None
            on_done(result)

        def fail(error: Sam3Error) -> None:
            self._errand = None
            show_error(str(error))
            on_failed()
            self._keeper.show()

        self._errand = run_once(call, finish, fail)
        self._keeper.show()

    def _on_opened(self, opened: LoadedProject) -> None:
        if self._keeper.is_closed:
            close_project(opened.project)
            if opened.video is not None:
                opened.video.close()
            return
        folder, turn_back = opened.project.folder, None
        for held in [h for h in self._keeper.held if h.project.folder == folder]:
            self._keeper.let_go(held)  # it was looked at only
            turn_back = hold_view(self._dock)
            for layer in [i for i in self._dock.viewer.layers if _is_prompts(i, folder)]:
                self._dock.viewer.layers.remove(layer)  # there may be others now
        layers = self._layers_of(opened)
        image_layer = self._find_image(opened, layers)
        held = OpenProject(opened.project, problems=opened.problems, layers=[layers[RESULTS]])
        if image_layer is None:
            self._keeper.hold(held)
            self._show_unattached(held, layers)
        else:
            self._attach(held, image_layer, layers)
        if turn_back is not None:
            turn_back()
        if held.problems:
            show_warning("\n".join(held.problems))
        self._keeper.forget_earlier()
        self._keeper.show()

    def _layers_of(self, opened: LoadedProject) -> dict[str, Layer]:
        """The project's layers by role; those that are not in the viewer are added."""
        folder, viewer = str(opened.project.folder), self._dock.viewer
        taken = {layer for held in self._keeper.held for layer in held.layers}
        found: dict[str, Layer] = {
            str(layer.metadata.get(ROLE)): layer
            for layer in viewer.layers
            if layer.metadata.get(FOLDER) == folder and layer not in taken
        }
        for data, arguments, kind in opened.layers:
            role = arguments["metadata"][ROLE]
            if role not in found:
                found[role] = viewer.add_layer(Layer.create(data, arguments, kind))
            elif role == VIDEO:
                data.close()
        return found

    def _find_image(self, opened: LoadedProject, layers: dict[str, Layer]) -> Image | None:
        if VIDEO in layers or opened.video_path is None:
            return layers.get(VIDEO)
        fitting = (i for i in self._images() if video_path(i) == opened.video_path)
        return next(fitting, None)

    def _attach(self, held: OpenProject, image_layer: Image, layers: dict[str, Layer]) -> None:
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
        held.masks = masks_entry(project)
        limits = project.state.contrast_limits
        if limits is not None and not image_layer.rgb:
            image_layer.contrast_limits = limits  # the model saw it like that
        held.problems += restore_fields(
            dock, project.state, image_layer, held.axes, is_of_window=bool(project.layers)
        )
        if set(dock.viewer.layers) <= set(layers.values()):  # else somebody looks at other things
            restore_camera(dock, project.layers)
        dock.object_controls.desk.show(results.layer)
        self._keeper.hold(held)
        open_to_editing(layers, not project.is_read_only)

    def _choose_prompts(
        self, image_layer: Image, layers: dict[str, Layer], project: Project
    ) -> None:
        dock, fields = self._dock, self._dock.prompt_fields
        points, boxes = layers.get(POINTS), layers.get(BOXES)
        told = project.layers.get("layers")
        is_made_here = not told or all(
            e.get("made_here", True) for e in told if isinstance(e, dict)
        )
        for layer in (points, boxes):
            if layer is not None and is_made_here:
                colour_prompts(layer)
        if points is not None and boxes is not None and is_made_here:
            dock.bench.adopt_prompts(image_layer, points, boxes)
            dock.pen.bind_keys(points, boxes)
        chosen = (fields.points, points), (fields.boxes, boxes), (fields.masks, layers.get(MASKS))
        for choice, layer in chosen:
            choice.refresh()
            if layer is not None:
                choice.value = layer

    def _show_unattached(self, held: OpenProject, layers: dict[str, Layer]) -> None:
        """Show what there is while the video is lost."""
        results = layers[RESULTS]
        results.data = held.project.labels
        open_to_editing(layers, not held.project.is_read_only)

    # ----------------------------------------------------------- a lost video

    def choose_video(self) -> None:
        """Ask where the video is now."""
        name, _ = QFileDialog.getOpenFileName(self._dock, "Where the video is now")
        if name:
            self.point_to(Path(name))

    def point_to(self, path: Path) -> None:
        """Say where the video of the project is now; its layers come to life within a moment."""
        held = self._keeper.current
        if held is None or held.image_layer is not None or self._errand is not None:
            return

        def look() -> LoadedProject:
            from napari_sam3.video import open_video
            from napari_sam3.video.proxy import show_proxy

            held.project.point_to(path)
            opened = LoadedProject(held.project, show_proxy(open_video(path)), path)
            opened.layers = project_layers(opened)
            return opened

        self._start(look, lambda opened: self._on_pointed(held, opened))

    def look_at_choice(self, image_layer: Image | None) -> None:
        """Take a layer that is chosen for the array that a project was made of."""
        held = self._keeper.current
        if (
            image_layer is None
            or held is None
            or held.image_layer is not None
            or held.project.video.path is not None
            or held.project.labels.shape != _shape_of(image_layer, self._dock)
        ):
            return
        self._keeper.held.remove(held)
        held.problems = list(held.project.problems)
        self._attach(held, image_layer, self._layers_of(LoadedProject(held.project)))

    def _on_pointed(self, held: OpenProject, opened: LoadedProject) -> None:
        assert opened.video is not None, "it was pointed to"
        if self._keeper.is_closed or held not in self._keeper.held:
            opened.video.close()
            return
        self._keeper.held.remove(held)
        lost = set(held.project.problems)
        held.problems = [p for p in held.problems if p in lost]
        layers = self._layers_of(opened)
        viewer_layers = self._dock.viewer.layers
        viewer_layers.move(viewer_layers.index(layers[VIDEO]), 0)
        self._attach(held, layers[VIDEO], layers)
        self._keeper.show()

    # ----------------------------------------------------------------- moving

    def choose_and_move(self) -> None:
        """Ask where the project is to be, and move it there."""
        project = self._keeper.project
        if project is None:
            return
        parent = QFileDialog.getExistingDirectory(
            self._dock, f"Move {project.folder.name} into this folder"
        )
        if parent:
            self.move_to(Path(parent) / project.folder.name)

    def move_to(self, folder: Path) -> None:
        """Move the project; the work goes on there."""
        held = self._keeper.current
        if held is None or self._errand is not None or self._dock.job is not None:
            return
        held.stop_saving()
        self._dock.bench.close_session()
        results = self._dock.bench.results_of(held.image_layer)
        if results is not None:
            results.painted()  # what was just painted is known before the planes are others
            results.layer.editable = False
        self._keeper.held.remove(held)
        target = Path(folder).expanduser().absolute()
        self._start(
            lambda: move_project(held.project, target),
            lambda moved: self._on_moved(held, *moved),
            lambda: self._on_moved(held, held.project, None),
        )

    def _on_moved(self, held: OpenProject, project: Project, problem: str | None) -> None:
        if self._keeper.is_closed:
            close_project(project)
            return
        if problem is not None:
            show_error(problem)
        for layer in self._dock.viewer.layers:
            if layer.metadata.get(FOLDER) == str(held.project.folder):
                layer.metadata[FOLDER] = str(project.folder)
        again = replace(held, project=project, saved_at="", failure="")
        bench, image_layer, axes = self._dock.bench, held.image_layer, held.axes
        if image_layer is not None and axes is not None:
            bench.keep_in(image_layer, axes, project)
            results = bench.adopt_results(image_layer, axes, held.layers[0])
            results.layer.editable = not project.is_read_only
        else:
            held.layers[0].data = project.labels
        self._keeper.hold(again)
        self._keeper.show()

    def open_prompts(self, image_layer: Image) -> None:
        """Let a person draw prompts again in layers that could only be looked at."""
        points, boxes = self._dock.bench.prompt_layers_of(image_layer) or (None, None)
        open_to_editing({POINTS: points, BOXES: boxes}, True)
        folders = [h.project.folder for h in self._keeper.held if h.image_layer is image_layer]
        for layer in self._dock.viewer.layers:
            if layer.metadata.get(ROLE) == MASKS and any(_is_prompts(layer, f) for f in folders):
                open_to_editing({MASKS: layer}, True)

    def _images(self) -> list[Image]:
        return [layer for layer in self._dock.viewer.layers if isinstance(layer, Image)]


def _is_prompts(layer: Layer, folder: Path) -> bool:
    is_here = layer.metadata.get(FOLDER) == str(folder)
    return is_here and layer.metadata.get(ROLE) in (POINTS, BOXES, MASKS)


def _shape_of(image_layer: Image, dock: SegmentAndTrackWidget) -> tuple[int, ...]:
    size = layer_shape(image_layer)[-2:]
    return (frame_count(image_layer, dock.axes_choice.read(image_layer)), *size)
