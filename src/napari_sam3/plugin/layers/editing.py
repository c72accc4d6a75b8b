"""Which layers of a project can be changed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from napari.layers import Layer

from napari_sam3.plugin.layers.project_layers import BOXES, MASKS, POINTS, RESULTS


def open_to_editing(layers: Mapping[str, Layer | None], is_open: bool) -> None:
    """Let a person change results and prompts, or keep them from it; layers by role."""
    for role in (RESULTS, POINTS, BOXES, MASKS):
        layer = layers.get(role)
        if layer is not None:
            layer.events.editable.disconnect(_keep_closed)
            layer.editable = is_open
            if not is_open:
                layer.events.editable.connect(_keep_closed)


def _keep_closed(event: Any) -> None:
    """Napari opens a layer to editing again when it is shown in 2D after 3D."""
    if event.source.editable:
        event.source.editable = False
