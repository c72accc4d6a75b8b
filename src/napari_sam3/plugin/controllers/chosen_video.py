"""The video that is worked on: how it is read, its prompt layers, its results."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from napari.layers import Image, Points, Shapes

from napari_sam3.errors import LayerError, ProjectError, ProjectReadOnlyError, RequestError
from napari_sam3.plugin.controllers.axes_controller import NOTHING_TO_ASK, AxesController
from napari_sam3.plugin.layers.prompt_layers import make_prompt_layers
from napari_sam3.plugin.layers.results_layer import ResultsLayer
from napari_sam3.plugin.layers.stack_axes import StackAxes
from napari_sam3.plugin.layers.viewer_frame import frame_on_screen
from napari_sam3.plugin.model.app_state import AppState, Outcome, Phase


class ChosenVideo:
    """The one video layer that is worked on, as the state says, with the layers of its work.

    Parameters
    ----------
    viewer : napari viewer
        Has the layers.
    state : AppState
        Says which one is chosen.

    Attributes
    ----------
    axes : AxesController
        How video layers are read.
    """

    def __init__(self, viewer: Any, state: AppState) -> None:
        self.viewer = viewer
        self.state = state
        self.axes = AxesController(viewer, state)

    def choose(self, image_layer: Image | None) -> None:
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
        example = None if tracked is None else tracked.example
        changes["example"] = example if example in self.viewer.layers else None
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

    def layer(self) -> Image:
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
        image_layer = self.layer()
        return frame_on_screen(image_layer, self.axes.read(image_layer), self.viewer)

    @property
    def results(self) -> ResultsLayer | None:
        """Results of the chosen video, if there are any."""
        current = self.state.current
        return None if current is None else current.results_in(self.viewer.layers)

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
        opened = self.state.tracked(self.layer()).project
        if self.state.phase is Phase.EDITING:
            raise RequestError("objects are being changed on all frames; wait for it")
        if self.state.project.is_busy:
            raise ProjectError("a project is being opened or moved; wait for it")
        if opened is not None and opened.project.is_read_only:
            raise ProjectReadOnlyError(
                "this project can be looked at, but not changed: "
                f"{opened.project.why_read_only}. Reset begins work of its own"
            )

    def new_prompts(self) -> tuple[Points, Shapes]:
        """Choose layers to draw prompts of the video in; those made before, if they fit.

        Raises
        ------
        LayerError
            If there is no video, or the layer can't be used as one.
        """
        image_layer, state = self.layer(), self.state
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
        tracked = self.state.tracked(self.layer())
        points, shapes = make_prompt_layers(tracked.image_layer, axes)
        self.viewer.add_layer(shapes)
        self.viewer.add_layer(points)
        tracked.take_prompt_layers(points, shapes)
        return points, shapes
