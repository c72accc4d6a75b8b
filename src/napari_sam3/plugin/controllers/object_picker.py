"""Choosing objects by clicks in the picture."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from napari.layers import Labels, Layer

from napari_sam3.plugin.layers.prompt_items import value_under


class ObjectPicker:
    """While it is on, a click on an object of a layer is told, and draws nothing.

    Parameters
    ----------
    viewer : napari viewer
        Whose clicks count.
    on_picked : callable
        Called with the id of the object clicked.
    """

    def __init__(self, viewer: Any, on_picked: Callable[[int], None]) -> None:
        self._viewer = viewer
        self._on_picked = on_picked
        self._layer: Labels | None = None
        self._before: tuple[Layer | None, str] | None = None

    @property
    def is_on(self) -> bool:
        """Whether clicks count."""
        return self._layer is not None

    def start(self, layer: Labels) -> None:
        """Count clicks on a layer from now on."""
        self.stop()
        selection = self._viewer.layers.selection
        self._before = selection.active, str(layer.mode)
        self._layer = layer
        # in any other layer, or mode, the click would draw
        selection.active = layer
        layer.mode = "pan_zoom"
        self._viewer.mouse_drag_callbacks.append(self._on_press)

    def stop(self) -> None:
        """Leave clicks alone, and give back the layer that was worked in."""
        if self._layer is None or self._before is None:
            return
        layer, (active, mode) = self._layer, self._before
        self._layer = self._before = None
        self._viewer.mouse_drag_callbacks.remove(self._on_press)
        layer.mode = mode
        if active in self._viewer.layers and self._viewer.layers.selection.active is layer:
            self._viewer.layers.selection.active = active

    def _on_press(self, _viewer: Any, event: Any) -> Iterator[None]:
        """A click: pressed and released in one place; anything else moves the picture."""
        layer = self._layer
        label = 0
        if layer is not None and layer in self._viewer.layers:
            label = label_under(layer, event)
        yield
        while event.type == "mouse_move":
            label = 0
            yield
        if label > 0:
            self._on_picked(label)


def label_under(layer: Labels, event: Any) -> int:
    """The label under the mouse; 0 where there is none."""
    return value_under(layer, event, 1) or 0  # multiscale: level and label


def is_picking(viewer: Any) -> bool:
    """Whether clicks in a viewer are for a picker, and mean nothing else."""
    callbacks = viewer.mouse_drag_callbacks
    return any(isinstance(getattr(one, "__self__", None), ObjectPicker) for one in callbacks)
