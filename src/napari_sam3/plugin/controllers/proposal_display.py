"""The layers that show proposals: hatched, as previews are, while there are some."""

from __future__ import annotations

from typing import Any
from weakref import WeakKeyDictionary

from napari.layers import Image

from napari_sam3.plugin.controllers.added_layers import add_under_prompts
from napari_sam3.plugin.layers.features_table import table_of
from napari_sam3.plugin.layers.preview_layer import PreviewLayer
from napari_sam3.plugin.layers.stack_axes import StackAxes
from napari_sam3.plugin.model.app_state import AppState
from napari_sam3.plugin.model.tracked_video import TrackedVideo


class ProposalDisplay:
    """Draws the proposals of each video in a layer of its own, which comes and goes with them.

    Parameters
    ----------
    viewer : napari viewer
    state : AppState
        Says which layers hold prompts.
    """

    def __init__(self, viewer: Any, state: AppState) -> None:
        self._viewer, self._state = viewer, state
        self._shown: WeakKeyDictionary[Image, PreviewLayer] = WeakKeyDictionary()

    def draw(self, tracked: TrackedVideo, axes: StackAxes) -> None:
        """Show the proposals of a video, read so, as they are now."""
        image_layer, layers = tracked.image_layer, self._viewer.layers
        shown = self._shown.pop(image_layer, None)
        if shown is not None and shown.layer in layers and not tracked.proposals:
            layers.remove(shown.layer)
        if not tracked.proposals or image_layer not in layers:
            return
        if shown is None or shown.layer not in layers:
            shown = self._make_layer(tracked, axes)
        self._shown[image_layer] = shown
        colours = {} if tracked.results is None else table_of(tracked.results.layer).colors
        shown.draw_all(map(tracked.proposals.result, tracked.proposals.frames), colours)
        shown.layer.visible = True
        shown.layer.refresh()

    def lost(self) -> list[Image]:
        """Videos whose layer of proposals somebody has deleted, or that are deleted themselves.

        They are forgotten.
        """
        for image_layer, shown in list(self._shown.items()):
            if image_layer not in self._viewer.layers and shown.layer in self._viewer.layers:
                self._viewer.layers.remove(shown.layer)
        gone = [v for v, shown in self._shown.items() if shown.layer not in self._viewer.layers]
        for image_layer in gone:
            del self._shown[image_layer]
        return gone

    def close(self) -> None:
        """Take all layers away."""
        for shown in list(self._shown.values()):
            if shown.layer in self._viewer.layers:
                self._viewer.layers.remove(shown.layer)
        self._shown.clear()

    def _make_layer(self, tracked: TrackedVideo, axes: StackAxes) -> PreviewLayer:
        made = PreviewLayer(tracked.image_layer, axes, "proposals")
        tracked.carried.add(made.layer)
        add_under_prompts(self._viewer, made.layer, self._state)
        return made
