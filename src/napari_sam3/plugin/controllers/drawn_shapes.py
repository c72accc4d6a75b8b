"""Shapes as a person draws them: of a press that draws nothing, nothing stays."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from napari.layers import Shapes
from napari.layers.base import ActionType

from napari_sam3.plugin.layers.prompt_items import delete_items, drop_spare_features

LEAST_WAY = 4.0
"""Screen pixels; who moves the mouse by less, with a button held, has clicked."""


class DrawnShapes:
    """Watches the layer that shapes are drawn in, and takes away those that are none.

    napari leaves a box without extent where a box was not drawn out, and what is said of an
    outline that had too few corners to stay. Neither is to be seen, told of or undone.

    Parameters
    ----------
    viewer : napari viewer
        Where the mouse is.
    """

    def __init__(self, viewer: Any) -> None:
        self._viewer = viewer
        self._layer: Shapes | None = None
        self._is_pressed = False  # and what was begun by it has not come to its end
        self._is_click = False
        viewer.mouse_drag_callbacks.append(self._on_press)

    def watch(self, layer: Shapes | None) -> None:
        """Watch this layer from now on, and no other."""
        if layer is self._layer:
            return
        if self._layer is not None:
            self._layer.events.data.disconnect(self._on_data)
        if layer is not None:
            # before anybody hears of a shape that is none
            layer.events.data.connect(self._on_data, position="first")
        self._layer, self._is_pressed = layer, False

    def give_up(self) -> None:
        """Take what is being drawn for none, when its drawing ends."""
        self._is_click = self._is_pressed

    def close(self) -> None:
        """Let go of viewer and layer."""
        self._viewer.mouse_drag_callbacks.remove(self._on_press)
        self.watch(None)

    def _on_press(self, viewer: Any, event: Any) -> Iterator[None]:
        layer = self._layer
        if layer is None or viewer.layers.selection.active is not layer:
            return
        if not str(layer.mode).startswith("add_"):
            return
        self._is_pressed = self._is_click = True
        begin = np.array(event.pos)
        yield
        while event.type == "mouse_move":
            if np.abs(np.array(event.pos) - begin).max() >= LEAST_WAY:
                self._is_click = False
            yield

    def _on_data(self, event: Any) -> None:
        layer = self._layer
        if layer is None or not self._is_pressed or event.action != ActionType.ADDED:
            return
        self._is_pressed = False
        is_taken_back = drop_spare_features(layer)
        if not is_taken_back and self._is_nothing(layer):
            delete_items(layer, [len(layer.data) - 1])

    def _is_nothing(self, layer: Shapes) -> bool:
        if layer.shape_type[-1] == "rectangle":
            return self._is_click
        return not np.ptp(layer.data[-1], axis=0).any()
