"""The object in hand and the label that napari's brush paints: the same, both ways."""

from __future__ import annotations

from typing import Any

import numpy as np
from napari.layers import Labels
from napari.utils.notifications import show_error

from napari_sam3.errors import LayerError
from napari_sam3.plugin.controllers.tracking_controller import TrackingController
from napari_sam3.plugin.layers.features_table import OBJECTS
from napari_sam3.plugin.model.connections import Connections
from napari_sam3.values import MAX_OBJECT_ID


class BrushObject:
    """Keeps the chosen label in line with the object in hand; says that something was painted.

    In results, in painted masks, and in the layer that is chosen if it knows of objects.

    Parameters
    ----------
    tracking : TrackingController
        With the layers, and the state that knows the object in hand.
    """

    def __init__(self, tracking: TrackingController) -> None:
        self._tracking, self._state = tracking, tracking.state
        self._layers: list[Labels] = []
        self._heard, self._of_layers = Connections(), Connections()
        self._state.hear(self.refresh, "masks", "video", "project")
        self._state.events.object_in_hand.connect(self._show)
        tracking.ended.connect(self.refresh)
        layers = tracking.viewer.layers
        self._heard.hear(self.refresh, layers.events.inserted, layers.selection.events.active)
        self.refresh()

    def close(self) -> None:
        """Let go of the layers."""
        self._heard.let_go()
        self._of_layers.let_go()

    def refresh(self, _value: Any = None) -> None:
        """Follow the layers that there are now."""
        results = self._tracking.results
        layers: list[Any] = [None if results is None else results.layer, self._state.masks]
        active = self._tracking.viewer.layers.selection.active
        if isinstance(active, Labels) and OBJECTS in active.metadata and active not in layers:
            layers.append(active)
        found = [layer for layer in layers if layer is not None and layer.editable]
        if found != self._layers:
            self._of_layers.let_go()
            self._layers = found
            for layer in found:
                self._of_layers.hear(self._on_label_chosen, layer.events.selected_label)
                self._of_layers.hear(self._on_painted, layer.events.paint)
            self._show(self._state.object_in_hand)

    def _show(self, obj_id: int) -> None:
        if obj_id < 1:  # each new one gets its number when it is read
            return
        for layer in self._layers:
            if layer.selected_label != obj_id and self._can_hold(layer, obj_id):
                layer.selected_label = obj_id

    def _can_hold(self, layer: Labels, obj_id: int) -> bool:
        """Whether a label can be painted; the labels are widened for it where that goes."""
        results = self._tracking.results
        if results is not None and layer is results.layer:
            try:
                results.make_room(obj_id)
            except LayerError as exc:
                show_error(str(exc))
                return False
        return obj_id <= np.iinfo(layer.data.dtype).max

    def _on_painted(self, _event: Any) -> None:
        self._state.has_new_prompts = True

    def _on_label_chosen(self, event: Any) -> None:
        label = int(event.source.selected_label)
        if 0 < label <= MAX_OBJECT_ID:
            self._state.object_in_hand = label
