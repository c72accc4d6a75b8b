"""Projects opened again: their layers and state, a video that is lost, another place to be."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import replace
from pathlib import Path
from typing import Any
from weakref import WeakSet

from napari.layers import Image, Layer
from napari.utils.notifications import show_error, show_warning
from psygnal import Signal
from qtpy.QtCore import QObject, QTimer

from napari_sam3.errors import LayerError, Sam3Error
from napari_sam3.plugin.controllers.autosave import close_project
from napari_sam3.plugin.controllers.pieces import Pieces
from napari_sam3.plugin.controllers.project_controller import ProjectController
from napari_sam3.plugin.controllers.project_mover import move_project
from napari_sam3.plugin.controllers.project_snapshot import (
    axes_of,
    hold_view,
    restore_camera,
    restore_state,
)
from napari_sam3.plugin.controllers.screen_decoding import let_screen_lead
from napari_sam3.plugin.controllers.tracking_controller import TrackingController
from napari_sam3.plugin.controllers.worker import Errand
from napari_sam3.plugin.layers.carried_layers import carry, lay_on
from napari_sam3.plugin.layers.layer_roles import BOXES, FOLDER, MASKS, POINTS, RESULTS, ROLE, VIDEO
from napari_sam3.plugin.layers.mask_state import masks_entry
from napari_sam3.plugin.layers.project_layers import (
    LoadedProject,
    open_project,
    open_to_editing,
    project_layers,
    video_of_then,
)
from napari_sam3.plugin.layers.prompt_layers import colour_prompts
from napari_sam3.plugin.layers.stack_axes import frame_count
from napari_sam3.plugin.layers.transforms import layer_shape
from napari_sam3.plugin.model.open_project import OpenProject, video_path
from napari_sam3.plugin.model.project_lookup import EarlierProject, find_earlier
from napari_sam3.plugin.model.video_source import VideoSource, find_source, named_path
from napari_sam3.projects import Project
from napari_sam3.video import PlaneChoice
from napari_sam3.video.open import open_chosen
from napari_sam3.video.proxy import show_proxy


class ProjectOpener(QObject):
    """Opens and moves projects, one at a time, in a thread.

    Parameters
    ----------
    tracking : TrackingController
        Which is brought to where it was.
    projects : ProjectController
        Keeps what is open.
    """

    opened = Signal()
    """The layers of a project are all there, and can be worked in."""

    def __init__(self, tracking: TrackingController, projects: ProjectController) -> None:
        super().__init__()
        self._tracking, self._state, self._viewer = tracking, tracking.state, tracking.viewer
        self._projects = projects
        self._errand, self._search = Errand(), Errand()
        self._showing = Pieces(self)  # a project, layer by layer
        self._earlier: EarlierProject | None = None
        self._refused: WeakSet[Layer] = WeakSet()  # of projects that could not be opened
        self._coloured: WeakSet[Layer] = WeakSet()
        self._state.events.video.connect(self._on_video_chosen)
        tracking.resetting.connect(self._open_prompts)
        self._on_video_chosen(self._state.video)

    # ---------------------------------------------------------- earlier work

    def _on_video_chosen(self, image_layer: Image | None) -> None:
        """See whether there is earlier work on a video; said within a moment."""
        self._search.drop()
        self._offer(None)
        self.follow_layers()  # the dock may be opened after them
        self._take_for_array(image_layer)
        self._projects.refresh()
        if image_layer is None or self._state.tracked(image_layer).project:
            return
        self._state.tracked(image_layer).source = None
        try:
            axes = self._tracking.axes.read(image_layer)
        except LayerError:  # no video, as the one who chose it hears
            return
        if named_path(image_layer) is None:
            self._note_source(image_layer, find_source(image_layer, axes))
            return
        held = tuple(opened.project.folder for opened in self._projects.open)

        def look() -> tuple[VideoSource, EarlierProject | None]:
            source = find_source(image_layer, axes)
            assert source.path is not None, "it names one"
            return source, find_earlier(source.path, held, source.choice)

        self._search.start(
            look, lambda found: self._on_found(image_layer, *found), lambda _error: None
        )

    def _on_found(
        self, image_layer: Image, source: VideoSource, earlier: EarlierProject | None
    ) -> None:
        self._note_source(image_layer, source)
        if self._projects.project is None and not self._waiting():
            self._offer(earlier)

    def _note_source(self, image_layer: Image, source: VideoSource) -> None:
        self._state.tracked(image_layer).source = source
        if image_layer is self._state.video:
            self._state.channel_names = source.channels
        self._projects.refresh()

    def _offer(self, earlier: EarlierProject | None) -> None:
        self._earlier = earlier
        self._projects.earlier = "" if earlier is None else earlier.when
        self._projects.refresh()

    def open_earlier(self) -> None:
        """Open the earlier work that is offered."""
        if self._earlier is not None:
            self.open(self._earlier.folder)

    def close(self) -> None:
        """Look for nothing more; called when projects are closed, so what comes in is given up."""
        self._search.drop()
        self._showing.finish()

    # --------------------------------------------------------------- opening

    def open(self, folder: Path) -> None:
        """Open a project; its layers and state are there within a moment."""
        if self._is_at_work or self._tracking.job is not None:
            return
        folder = Path(folder).expanduser().absolute()
        if any(
            opened.project.folder == folder and not opened.project.is_read_only
            for opened in self._projects.open
        ):
            show_warning(f"the project {folder.name!r} is open in this window already")
            return
        shown = tuple(one for one in map(self._shown_by, self._images()) if one is not None)
        self._start(
            lambda: open_project(folder, shown=shown),
            self._on_opened,
            lambda: self._refuse(folder),
        )

    def _refuse(self, folder: Path) -> None:
        """Try no more to take over layers that are there now."""
        layers = self._viewer.layers
        self._refused.update(i for i in layers if i.metadata.get(FOLDER) == str(folder))

    def reload(self) -> None:
        """Show what was written elsewhere since a project was opened to be looked at."""
        project = self._projects.project
        if project is not None and project.is_read_only:
            self.open(project.folder)

    def follow_layers(self) -> None:
        """Take over what a reader has opened."""
        if self._waiting() and not self._is_at_work:
            # when the last of its layers is there
            QTimer.singleShot(0, self._open_waiting)

    @property
    def is_waiting(self) -> bool:
        """Whether a project is about to bring its layers."""
        return self._errand.is_running or bool(self._waiting())

    def _waiting(self) -> list[str]:
        """Folders whose layers wait to be taken over."""
        held = {str(opened.project.folder) for opened in self._projects.open}
        named = (
            layer.metadata.get(FOLDER)
            for layer in self._viewer.layers
            if layer.metadata.get(ROLE) == RESULTS and layer not in self._refused
        )
        return [folder for folder in named if isinstance(folder, str) and folder not in held]

    def _open_waiting(self) -> None:
        waiting = [] if self._projects.is_closed else self._waiting()
        if waiting:
            self.open(Path(waiting[0]))

    def _start(
        self,
        call: Callable[[], Any],
        on_done: Callable[[Any], None],
        on_failed: Callable[[], None] = lambda: None,
    ) -> None:
        def finish(result: Any) -> None:
            self._projects.is_busy = False
            on_done(result)
            self._projects.refresh()

        def fail(error: Sam3Error) -> None:
            self._projects.is_busy = False
            show_error(str(error))
            on_failed()
            self._projects.refresh()

        self._errand.start(call, finish, fail)
        self._projects.is_busy = True
        self._projects.refresh()

    @property
    def _is_at_work(self) -> bool:
        return self._errand.is_running or self._showing.is_running

    def _on_opened(self, loaded: LoadedProject) -> None:
        self._projects.is_busy = True
        self._showing.start(self._show_all(loaded))

    def _show_all(self, loaded: LoadedProject) -> Generator[None, None, None]:
        try:
            yield from self._show(loaded)
        finally:
            self._projects.is_busy = False
            self._projects.refresh()
        self.opened.emit()

    def _show(self, loaded: LoadedProject) -> Generator[None, None, None]:
        if self._projects.is_closed:
            _discard(loaded)
            return
        folder, turn_back = loaded.project.folder, None
        for opened in [o for o in self._projects.open if o.project.folder == folder]:
            self._projects.let_go(opened)  # it was looked at only
            turn_back = hold_view(self._viewer)
            for layer in [i for i in self._viewer.layers if _is_prompts(i, folder)]:
                self._viewer.layers.remove(layer)  # there may be others now
        if loaded.video is not None:
            let_screen_lead(loaded.video)
        if turn_back is None:
            layers = yield from self._layers_of(loaded)
        else:
            layers = _all_of(self._layers_of(loaded))  # nobody is to see it without them
        if self._projects.is_closed or any(i not in self._viewer.layers for i in layers.values()):
            for layer in [i for i in layers.values() if i in self._viewer.layers]:
                self._viewer.layers.remove(layer)  # the person wants it no more
            _discard(loaded)
            return
        image_layer = self._find_image(loaded, layers)
        opened = OpenProject(loaded.project, problems=loaded.problems, layers=[layers[RESULTS]])
        if image_layer is None:
            self._projects.hold(opened)
            layers[RESULTS].data = opened.project.labels
            open_to_editing(layers, not opened.project.is_read_only)
            self._take_for_array(self._state.video)
        else:
            self._attach(opened, image_layer, layers)
        if turn_back is not None:
            turn_back()
        if opened.problems:
            show_warning("\n".join(opened.problems))
        self._offer(None)

    def _layers_of(self, loaded: LoadedProject) -> Generator[None, None, dict[str, Layer]]:
        """The project's layers by role, a step each.

        Those that are not in the viewer are added; prompts have the colours of their objects.
        """
        folder, viewer = str(loaded.project.folder), self._viewer
        others = [o for o in self._projects.open if o.project is not loaded.project]
        taken = {layer for opened in others for layer in opened.layers}
        found: dict[str, Layer] = {
            str(layer.metadata.get(ROLE)): layer
            for layer in viewer.layers
            if layer.metadata.get(FOLDER) == folder and layer not in taken
        }
        for data, arguments, kind in loaded.layers:
            role = arguments["metadata"][ROLE]
            if role not in found:
                found[role] = viewer.add_layer(Layer.create(data, arguments, kind))
                yield
                if self._projects.is_closed:
                    break
            elif role == VIDEO:
                data.close()
        for role in (POINTS, BOXES):
            if role in found and found[role] not in self._coloured:
                self._coloured.add(found[role])
                if _are_prompts_ours(loaded.project):
                    colour_prompts(found[role])
                    yield
        return found

    def _find_image(self, loaded: LoadedProject, layers: dict[str, Layer]) -> Image | None:
        if VIDEO in layers or loaded.video_path is None:
            return layers.get(VIDEO)
        wanted = loaded.video_path, loaded.project.video.choice
        fitting = (i for i in self._images() if self._shown_by(i) == wanted)
        return next(fitting, None)

    def _attach(self, opened: OpenProject, image_layer: Image, layers: dict[str, Layer]) -> None:
        """Bring state and layers to where the project's were."""
        tracking, project, saved = self._tracking, opened.project, opened.project.state
        opened.image_layer = image_layer  # before it is chosen: it is no longer lost
        tracking.choose_video(image_layer)
        axes = axes_of(saved, image_layer, tracking.axes.read(image_layer))
        tracking.axes.pin(image_layer, axes)
        opened.axes = axes
        self._state.tracked(image_layer).project = opened
        results = tracking.shown.adopt(image_layer, axes, layers[RESULTS])
        opened.layers = [results.layer]
        self._choose_prompts(image_layer, layers, project)
        self._lay_on_video(image_layer, layers, project)
        opened.masks = masks_entry(project)
        if saved.contrast_limits is not None and not image_layer.rgb:
            image_layer.contrast_limits = saved.contrast_limits  # the model saw it like that
        opened.problems += restore_state(
            tracking, saved, image_layer, axes, is_of_window=bool(project.layers)
        )
        if set(self._viewer.layers) <= set(layers.values()):  # else somebody looks at other things
            restore_camera(self._viewer, project.layers, self._projects.canvas_size())
        tracking.objects.show(results.layer)
        self._projects.attach(opened, image_layer, axes)
        self._state.tracked(image_layer).history.clear()
        open_to_editing(layers, not project.is_read_only)

    def _lay_on_video(self, image_layer: Image, layers: dict[str, Layer], project: Project) -> None:
        """Put the layers onto a video that may lie elsewhere than when they were kept."""
        if layers[RESULTS].ndim > 3:
            lay_on(layers[RESULTS], image_layer)
        before = video_of_then(project)
        if before is not None and image_layer.ndim == before.ndim:
            for role in (RESULTS, POINTS, BOXES, MASKS):
                if layers.get(role) is not None:
                    carry(layers[role], before, image_layer)

    def _choose_prompts(
        self, image_layer: Image, layers: dict[str, Layer], project: Project
    ) -> None:
        points, boxes = layers.get(POINTS), layers.get(BOXES)
        is_made_here = _are_prompts_ours(project)
        if points is not None and boxes is not None and is_made_here:
            self._state.tracked(image_layer).prompt_layers = (points, boxes)
        chosen = {"points": points, "boxes": boxes, "masks": layers.get(MASKS)}
        ours = (points, boxes) if is_made_here else ()
        self._state.tracked(image_layer).carried.add(
            *(one for one in (*ours, layers.get(MASKS)) if one is not None)
        )
        self._state.update(**{name: one for name, one in chosen.items() if one is not None})

    # ----------------------------------------------------------- a lost video

    def point_to(self, path: Path) -> None:
        """Say where the video of the project is now; its layers come to life within a moment."""
        opened = self._projects.current
        if opened is None or opened.image_layer is not None or self._is_at_work:
            return

        def look() -> LoadedProject:
            opened.project.point_to(path)
            video = open_chosen(path, opened.project.video.choice)
            video = let_screen_lead(show_proxy(video))
            loaded = LoadedProject(opened.project, video, path)
            loaded.layers = project_layers(loaded)
            return loaded

        self._start(look, lambda loaded: self._on_pointed(opened, loaded))

    def _take_for_array(self, image_layer: Image | None) -> None:
        """Take a layer that is chosen for the array that a project was made of."""
        opened = self._projects.current
        if (
            image_layer is None
            or opened is None
            or opened.image_layer is not None
            or opened.project.video.path is not None
        ):
            return
        n_frames = frame_count(image_layer, self._tracking.axes.read(image_layer))
        if opened.project.labels.shape == (n_frames, *layer_shape(image_layer)[-2:]):
            opened.problems = list(opened.project.problems)
            layers = _all_of(self._layers_of(LoadedProject(opened.project)))
            self._attach(opened, image_layer, layers)

    def _on_pointed(self, opened: OpenProject, loaded: LoadedProject) -> None:
        assert loaded.video is not None, "it was pointed to"
        if self._projects.is_closed or opened not in self._projects.open:
            loaded.video.close()
            return
        lost = set(opened.project.problems)
        opened.problems = [p for p in opened.problems if p in lost]
        layers = _all_of(self._layers_of(loaded))
        viewer_layers = self._viewer.layers
        viewer_layers.move(viewer_layers.index(layers[VIDEO]), 0)
        self._attach(opened, layers[VIDEO], layers)

    # ----------------------------------------------------------------- moving

    def move_to(self, folder: Path) -> None:
        """Move the project; the work goes on there."""
        opened = self._projects.current
        if opened is None or self._is_at_work or self._tracking.job is not None:
            return
        self._projects.stop_saving(opened)
        self._tracking.sessions.close()
        results = self._tracking.results
        if results is not None:
            results.painted()  # what was just painted is known before the planes are others
            results.layer.editable = False
        self._projects.open.remove(opened)
        target = Path(folder).expanduser().absolute()
        self._start(
            lambda: move_project(opened.project, target),
            lambda moved: self._on_moved(opened, *moved),
            lambda: self._on_moved(opened, opened.project, None),
        )

    def _on_moved(self, opened: OpenProject, project: Project, problem: str | None) -> None:
        if self._projects.is_closed:
            close_project(project)
            return
        if problem is not None:
            show_error(problem)
        for layer in self._viewer.layers:
            if layer.metadata.get(FOLDER) == str(opened.project.folder):
                layer.metadata[FOLDER] = str(project.folder)
        again = replace(opened, project=project, saved_at="", failure="")
        if again.image_layer is None or again.axes is None:
            opened.layers[0].data = project.labels
            self._projects.hold(again)
            return
        self._state.tracked(again.image_layer).project = again
        results = self._tracking.shown.adopt(again.image_layer, again.axes, opened.layers[0])
        results.layer.editable = not project.is_read_only
        self._projects.attach(again, again.image_layer, again.axes)

    def _open_prompts(self, image_layer: Image) -> None:
        """Let a person draw prompts again in layers that could only be looked at."""
        points, boxes = self._state.tracked(image_layer).prompt_layers or (None, None)
        open_to_editing({POINTS: points, BOXES: boxes}, True)
        folders = [o.project.folder for o in self._projects.open if o.image_layer is image_layer]
        for layer in self._viewer.layers:
            if layer.metadata.get(ROLE) == MASKS and any(_is_prompts(layer, f) for f in folders):
                open_to_editing({MASKS: layer}, True)

    def _shown_by(self, image_layer: Image) -> tuple[Path, PlaneChoice] | None:
        """The file whose frames a layer shows, and which of them, as far as is known."""
        known = [video.source for video in self._state.videos if video.image_layer is image_layer]
        if known and known[0] is not None:
            path, choice = known[0].path, known[0].choice
            return (path, choice) if path is not None and known[0].is_readable else None
        path = video_path(image_layer)
        return None if path is None else (path, image_layer.data.choice)

    def _images(self) -> list[Image]:
        return [layer for layer in self._viewer.layers if isinstance(layer, Image)]


def _are_prompts_ours(project: Project) -> bool:
    """Whether the prompt layers of a project are none of a person's own."""
    entries = project.layers.get("layers")
    return not entries or all(e.get("made_here", True) for e in entries if isinstance(e, dict))


def _is_prompts(layer: Layer, folder: Path) -> bool:
    is_here = layer.metadata.get(FOLDER) == str(folder)
    return is_here and layer.metadata.get(ROLE) in (POINTS, BOXES, MASKS)


def _all_of(steps: Generator[None, None, dict[str, Layer]]) -> dict[str, Layer]:
    """Take all steps at once; gives what they come to."""
    try:
        while True:
            next(steps)
    except StopIteration as end:
        layers: dict[str, Layer] = end.value
        return layers


def _discard(loaded: LoadedProject) -> None:
    close_project(loaded.project)
    if loaded.video is not None:
        loaded.video.close()
