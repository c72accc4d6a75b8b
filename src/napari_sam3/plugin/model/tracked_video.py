"""All that belongs to one video layer."""

from __future__ import annotations

from typing import Any
from weakref import ref

import numpy as np
from napari.layers import Image, Points, Shapes

from napari_sam3.errors import LayerError
from napari_sam3.plugin.layers.carried_layers import CarriedLayers
from napari_sam3.plugin.layers.results_layer import ResultsLayer
from napari_sam3.plugin.layers.stack_axes import StackAxes, video_contrast_limits
from napari_sam3.plugin.model.command_history import CommandHistory
from napari_sam3.plugin.model.open_project import OpenProject
from napari_sam3.plugin.model.proposals import Proposals
from napari_sam3.plugin.model.timeline import Timeline
from napari_sam3.plugin.model.video_source import VideoSource
from napari_sam3.session.saved_prompts import PromptList

_OWNER = "sam3_owner"
"""In a layer's metadata: weak references to the layer, for a copy has them too, and its owner."""


class TrackedVideo:
    """How one video layer is read, its prompt layers, results and project.

    Parameters
    ----------
    image_layer : Image
        The video; not kept alive.

    Attributes
    ----------
    axes : StackAxes or None
        How it is read since the work on it began; None: by the sliders.
    prompt_layers : (Points, Shapes) or None
        Those that were made for it, whether or not they are in the viewer still.
    example : Shapes or None
        Where an example for a detector is drawn, likewise.
    results : ResultsLayer or None
        Where results are drawn, likewise.
    results_axes : StackAxes or None
        How the video was read for them.
    project : OpenProject or None
        What keeps its work.
    source : VideoSource or None
        Where its frames come from; None: nobody has looked yet.
    rejected : (StackAxes, PromptList) or None
        Of a session that is closed and kept nowhere: what texts have found, where some of it was
        rejected, and how the video was read for it.
    history : CommandHistory
        What a person did to it.
    timeline : Timeline or None
        Where its objects are over time, once somebody looks at it.
    carried : CarriedLayers
        All that were made for it; they go where it goes.
    """

    def __init__(self, image_layer: Image) -> None:
        self._image_layer = ref(image_layer)
        self.axes: StackAxes | None = None
        self.prompt_layers: tuple[Points, Shapes] | None = None
        self.example: Shapes | None = None
        self.results: ResultsLayer | None = None
        self.results_axes: StackAxes | None = None
        self.project: OpenProject | None = None
        self.source: VideoSource | None = None
        self.rejected: tuple[StackAxes, PromptList] | None = None
        self.history = CommandHistory()
        self.timeline: Timeline | None = None
        self.proposals = Proposals()
        self.carried = CarriedLayers.of(image_layer)

    @property
    def image_layer(self) -> Image:
        """The video layer."""
        layer = self._image_layer()
        assert layer is not None, "whoever asks has it"
        return layer

    @property
    def contrast_limits(self) -> tuple[float, float] | None:
        """Limits for a video that has more than 8 bits; 8-bit video is taken as it is."""
        if np.dtype(self.image_layer.dtype) == np.uint8:
            return None
        return video_contrast_limits(self.image_layer)

    def project_read_as(self, axes: StackAxes) -> OpenProject | None:
        """Its project, if that is of the video read so."""
        return None if self.project is None or self.project.axes != axes else self.project

    def results_in(self, layers: Any, axes: StackAxes | None = None) -> ResultsLayer | None:
        """Its results, if their layer is among these (and of the video read so)."""
        results = self.results
        if results is None or results.layer not in layers or not results.is_whole:
            return None
        is_other = axes is not None and axes != self.results_axes
        if is_other or (axes is not None and not results.fits(self.image_layer, axes)):
            return None
        return results

    def prompt_layers_in(self, layers: Any) -> tuple[Points, Shapes] | None:
        """The prompt layers made for it, if both are among these."""
        made = self.prompt_layers
        return made if made is not None and all(layer in layers for layer in made) else None

    def take_prompt_layers(self, points: Points, shapes: Shapes) -> None:
        """Know layers for those to draw its prompts in; they go where it goes."""
        self.prompt_layers = (points, shapes)
        self.carried.add(points, shapes)


def own_video(image_layer: Image, owner: object) -> None:
    """Keep others from working on a video layer as long as the owner is there.

    Raises
    ------
    LayerError
        If another one owns it.
    """
    check_owner(image_layer, owner)
    image_layer.metadata[_OWNER] = (ref(image_layer), ref(owner))


def disown_video(image_layer: Image) -> None:
    """Let others work on a video layer again."""
    image_layer.metadata.pop(_OWNER, None)


def check_owner(image_layer: Image, one: object) -> None:
    """Make sure that nobody else works on a video layer.

    Raises
    ------
    LayerError
        If somebody does.
    """
    of_layer, owner = image_layer.metadata.get(_OWNER, (None, None))
    if owner is not None and of_layer() is image_layer and owner() not in (None, one):
        raise LayerError(
            f"a script works on the layer {image_layer.name!r} (napari_sam3.attach); close its "
            "session first, or choose another layer"
        )
