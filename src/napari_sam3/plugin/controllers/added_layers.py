"""Layers of ours that come while a person draws: they go on in the layer that they were in."""

from __future__ import annotations

from typing import Any

from napari_sam3.plugin.model.app_state import AppState


def add_quietly(viewer: Any, layer: Any) -> None:
    """Add a layer on top, and leave the chosen one chosen."""
    _insert(viewer.layers, len(viewer.layers), layer)


def add_under_prompts(viewer: Any, layer: Any, state: AppState) -> None:
    """Add a layer below those of the prompts, so that clicks stay visible; the chosen one stays."""
    layers = viewer.layers
    prompts = [layers.index(one) for one in layers if state.is_prompt_layer(one)]
    _insert(layers, min(prompts, default=len(layers)), layer)


def _insert(layers: Any, place: int, layer: Any) -> None:
    active = layers.selection.active
    layers.insert(place, layer)
    layers.selection.active = active
