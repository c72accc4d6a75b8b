"""The layers that results are drawn in."""

from __future__ import annotations

from napari.layers import Image, Labels

from napari_sam3.plugin.controllers.added_layers import add_under_prompts
from napari_sam3.plugin.controllers.chosen_video import ChosenVideo
from napari_sam3.plugin.controllers.edit_recorder import EditRecorder
from napari_sam3.plugin.controllers.object_controller import ObjectController
from napari_sam3.plugin.controllers.project_recorder import ProjectRecorder
from napari_sam3.plugin.controllers.session_keeper import SessionKeeper
from napari_sam3.plugin.layers.results_layer import ResultsLayer
from napari_sam3.plugin.layers.stack_axes import StackAxes


class ResultsKeeper:
    """Makes layers of results, of a project's labels or of new ones, and has them watched.

    Parameters
    ----------
    chosen : ChosenVideo
        With the viewer, and what is known of videos.
    sessions : SessionKeeper
        The session is told of frames that were brought back.
    objects : ObjectController
        Shows their objects.
    edits : EditRecorder
        Remembers what is painted in them.
    """

    def __init__(
        self,
        chosen: ChosenVideo,
        sessions: SessionKeeper,
        objects: ObjectController,
        edits: EditRecorder,
    ) -> None:
        self._chosen = chosen
        self._sessions = sessions
        self._objects = objects
        self._edits = edits

    def layer_for(self, image_layer: Image, axes: StackAxes) -> ResultsLayer:
        """The layer of a video's results; a new one where there is none of ours any more."""
        layers, state = self._chosen.viewer.layers, self._chosen.state
        found = state.tracked(image_layer).results_in(layers, axes)
        if found is None:
            found = self.adopt(image_layer, axes)
            add_under_prompts(self._chosen.viewer, found.layer, state)
        return found

    def adopt(
        self, image_layer: Image, axes: StackAxes, layer: Labels | None = None
    ) -> ResultsLayer:
        """Draw in a layer that shows the results of a video's project already, or a new one."""
        tracked = self._chosen.state.tracked(image_layer)
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
        self._edits.watch_results(made, tracked)
        made.restored.connect(lambda frames: self._on_restored(image_layer, made, frames))
        return made

    def _on_restored(
        self, image_layer: Image, results: ResultsLayer, frames: tuple[int, ...]
    ) -> None:
        session = self._sessions.current
        if session is not None and session.setup.image_layer is image_layer:
            session.see_restored(results.planes, frames)
        self._objects.show(results.layer)
