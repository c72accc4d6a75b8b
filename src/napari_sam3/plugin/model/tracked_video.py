"""What the window works on: a video layer, how it is read, its prompts, session and results."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from weakref import ReferenceType, WeakKeyDictionary, ref

import numpy as np
from napari.layers import Image, Labels, Points, Shapes

from napari_sam3.errors import LayerError
from napari_sam3.plugin.controllers.project_recorder import Keeping
from napari_sam3.plugin.controllers.session_controller import LoadedModel, SessionController
from napari_sam3.plugin.layers.features_table import table_of
from napari_sam3.plugin.layers.prompt_layers import make_prompt_layers
from napari_sam3.plugin.layers.results_layer import ResultLayer
from napari_sam3.plugin.layers.stack_axes import StackAxes, layer_video, video_contrast_limits
from napari_sam3.video import Video

if TYPE_CHECKING:
    from napari_sam3.projects import Project

PromptLayers = tuple[Points, Shapes]

# videos that a script works on, and its workbench
_held: WeakKeyDictionary[Image, ReferenceType[Workbench]] = WeakKeyDictionary()


@dataclass(frozen=True)
class Setup:
    """What a session is made for; with another one it is made anew."""

    image_layer: Image
    axes: StackAxes
    model: str
    device: str
    resolution: int


class Workbench:
    """Makes and keeps, for one dock: prompt layers, the session, the layers of results.

    There is one session at a time. It can always be made again from the layers, so turning
    to another video and back loses nothing.

    Parameters
    ----------
    viewer : napari viewer
        Gets the layers that are made.
    """

    def __init__(self, viewer: Any) -> None:
        self.viewer = viewer
        self.models = LoadedModel()
        self.controller: SessionController | None = None
        self.setup: Setup | None = None
        self._data: Any = None  # of the image layer, which may be given other data
        self._prompt_layers: WeakKeyDictionary[Image, PromptLayers] = WeakKeyDictionary()
        self._results: WeakKeyDictionary[Image, tuple[StackAxes, ResultLayer]] = WeakKeyDictionary()
        self._projects: WeakKeyDictionary[Image, tuple[StackAxes, Project]] = WeakKeyDictionary()

    # -------------------------------------------------------------- prompts

    def new_prompts(self, image_layer: Image, axes: StackAxes) -> PromptLayers:
        """Add a Points and a Shapes layer to draw prompts of a video in.

        Raises
        ------
        LayerError
            If the layer can't be used as a video.
        """
        points, shapes = make_prompt_layers(image_layer, axes)
        self.viewer.add_layer(shapes)
        self.viewer.add_layer(points)
        self._prompt_layers[image_layer] = (points, shapes)
        return points, shapes

    def prompt_layers_of(self, image_layer: Image | None) -> PromptLayers | None:
        """The layers made for a video, if they are still there."""
        made = None if image_layer is None else self._prompt_layers.get(image_layer)
        if made is None or any(layer not in self.viewer.layers for layer in made):
            return None
        return made

    def adopt_prompts(self, image_layer: Image, points: Points, shapes: Shapes) -> None:
        """Take layers that were made here earlier for those of a video."""
        self._prompt_layers[image_layer] = (points, shapes)

    def is_made_here(self, layer: Any) -> bool:
        """Whether a layer was made by `new_prompts`."""
        return any(layer in pair for pair in self._prompt_layers.values())

    # -------------------------------------------------------------- session

    def controller_for(self, setup: Setup) -> SessionController:
        """The session for this video and model; cheap, the model is loaded at the first use.

        Raises
        ------
        LayerError, VideoError
            If the layer can't be used as a video, or another workbench holds it.
        """
        self._check_free(setup.image_layer)
        data = setup.image_layer.data
        # a proxy only shows the same video
        data = data.original if isinstance(data, Video) else data
        if self.controller is None or self.setup != setup or self._data is not data:
            self.close_session()
            video = layer_video(setup.image_layer, setup.axes)
            self.controller = SessionController(
                video,
                self.models,
                setup.model,
                setup.device,
                contrast_of(setup.image_layer),
                resolution=setup.resolution,
                keeping=Keeping(self.project_of(setup.image_layer, setup.axes)),
            )
            self.setup, self._data = setup, data
        results = self.results_of(setup.image_layer, setup.axes)
        if results is not None:
            self.controller.is_alive = table_of(results.layer).is_alive
        return self.controller

    def hold(self, image_layer: Image) -> None:
        """Keep other workbenches from working on a video."""
        self._check_free(image_layer)
        _held[image_layer] = ref(self)

    def release(self, image_layer: Image) -> None:
        """Let others work on a video that was held."""
        _held.pop(image_layer, None)

    def _check_free(self, image_layer: Image) -> None:
        holder = _held[image_layer]() if image_layer in _held else None
        if holder is not None and holder is not self:
            raise LayerError(
                f"a script works on the layer {image_layer.name!r} (napari_sam3.attach); close its "
                "session first, or choose another layer"
            )

    def close_session(self) -> None:
        """Forget the session; layers stay."""
        if self.controller is not None:
            self.controller.close()
        self.controller, self.setup, self._data = None, None, None

    def close(self) -> None:
        """Give back all memory."""
        self.close_session()
        self.models.close()

    def give_away(self) -> Callable[[], None]:
        """Let go of session and model, for somebody else to close them by calling the result."""
        controller, models = self.controller, self.models
        self.controller, self.setup, self._data = None, None, None
        self.models = LoadedModel()

        def close() -> None:
            if controller is not None:
                controller.close()
            models.close()

        return close

    # -------------------------------------------------------------- results

    def results_for(self, image_layer: Image, axes: StackAxes) -> ResultLayer:
        """The layer of a video's results; a new one where there is none of ours any more."""
        found = self.results_of(image_layer, axes)
        if found is None:
            found = self._make_results(image_layer, axes)
            active = self.viewer.layers.selection.active
            self.viewer.add_layer(found.layer)
            self._lay_under_prompts(found.layer)
            # the person goes on clicking where they were
            self.viewer.layers.selection.active = active
        return found

    def adopt_results(self, image_layer: Image, axes: StackAxes, layer: Labels) -> ResultLayer:
        """Draw in a layer that shows the results of a video's project already."""
        return self._make_results(image_layer, axes, layer)

    def _make_results(
        self, image_layer: Image, axes: StackAxes, layer: Labels | None = None
    ) -> ResultLayer:
        project = self.project_of(image_layer, axes)
        if project is None:
            made = ResultLayer(image_layer, axes, layer=layer)
        else:
            made = ResultLayer(
                image_layer,
                axes,
                project.labels,
                layer=layer,
                objects=project.objects,
                own_ids=Keeping(project).ids_in_use,
            )
        self._results[image_layer] = (axes, made)
        return made

    def results_of(
        self, image_layer: Image | None, axes: StackAxes | None = None
    ) -> ResultLayer | None:
        """The layer of a video's results, if there is one (of the video read that way)."""
        known = None if image_layer is None else self._results.get(image_layer)
        if known is None or known[1].layer not in self.viewer.layers or not known[1].is_whole:
            return None
        if axes is not None and (known[0] != axes or not known[1].fits(image_layer, axes)):
            return None
        return known[1]

    def is_result(self, layer: Any) -> bool:
        """Whether a layer shows results of this dock."""
        return any(layer is found.layer for _, found in self._results.values())

    def forget_results(self, image_layer: Image) -> None:
        """Leave a video's results alone from now on."""
        self._results.pop(image_layer, None)

    # ------------------------------------------------------------- projects

    def keep_in(self, image_layer: Image, axes: StackAxes, project: Project) -> None:
        """Keep a video's work in a project from now on; whoever opened it closes it."""
        self._projects[image_layer] = (axes, project)
        if self.setup is not None and (self.setup.image_layer, self.setup.axes) == (
            image_layer,
            axes,
        ):
            assert self.controller is not None, "it comes with its setup"
            if self.controller.keeping.project is project:
                self.controller.keeping.claim()
            else:
                self.close_session()  # it is begun again from the project

    def project_of(
        self, image_layer: Image | None, axes: StackAxes | None = None
    ) -> Project | None:
        """The project of a video (read that way), if it is kept in one."""
        known = None if image_layer is None else self._projects.get(image_layer)
        if known is None or (axes is not None and known[0] != axes):
            return None
        return known[1]

    def stop_keeping(self, image_layer: Image) -> None:
        """Keep a video's work in its project no longer."""
        self._projects.pop(image_layer, None)

    def _lay_under_prompts(self, layer: Labels) -> None:
        """Clicks stay visible above the masks."""
        layers = self.viewer.layers
        lowest = [layers.index(one) for one in layers if self.is_made_here(one)]
        if lowest and min(lowest) < layers.index(layer):
            layers.move(layers.index(layer), min(lowest))


def contrast_of(image_layer: Image) -> tuple[float, float] | None:
    """Contrast limits for a video that has more than 8 bits; 8-bit video is taken as it is."""
    if np.dtype(image_layer.dtype) == np.uint8:
        return None
    return video_contrast_limits(image_layer)
