"""What the next click or box says: its object, and whether it shows it, or is an example."""

from __future__ import annotations

from typing import Any

from napari.layers import Points, Shapes

from napari_sam3.plugin.layers.exemplars import COUNTEREXAMPLE, EXAMPLE
from napari_sam3.plugin.layers.prompt_layers import INCLUDE, NEW_OBJECT
from napari_sam3.plugin.model.app_state import AppState


class PromptTool:
    """Keeps the features of new items in the chosen layers in line with the state.

    Parameters
    ----------
    state : AppState
        Told of how many items are drawn.
    """

    def __init__(self, state: AppState) -> None:
        self._state = state
        self._layers: tuple[Points | Shapes, ...] = ()
        for name in ("points", "boxes", "masks"):
            state.events[name].connect(self._watch)
        for name in ("object_in_hand", "sign", "draws_exemplars"):
            state.events[name].connect(self._set_defaults)
        self._watch()

    def close(self) -> None:
        """Let go of the layers."""
        for layer in self._layers:
            layer.events.data.disconnect(self._count)
        self._layers = ()

    def _watch(self, _layer: Any = None) -> None:
        """Draw with the layers that are chosen."""
        self.close()
        chosen = (self._state.points, self._state.boxes)
        self._layers = tuple(layer for layer in chosen if layer is not None)
        for layer in self._layers:
            layer.events.data.connect(self._count)
        self._set_defaults()
        self._count()

    def _count(self, _event: Any = None) -> None:
        has_masks = self._state.masks is not None
        self._state.n_prompts = sum(len(layer.data) for layer in self._layers) + has_masks

    def _set_defaults(self, _value: Any = None) -> None:
        state, sign = self._state, self._state.sign
        for layer in self._layers:
            defaults = layer.feature_defaults
            known = {c: defaults[c].iloc[0] for c in defaults.columns}
            wanted = dict(known)
            if "object" in known:
                wanted["object"] = state.object_in_hand
            if "label" in known and isinstance(layer, Shapes) and state.draws_exemplars:
                wanted["label"] = EXAMPLE if sign == INCLUDE else COUNTEREXAMPLE
                wanted["object"] = NEW_OBJECT
            elif "label" in known:
                # a layer of the person's own may say it by 1 and 0
                is_word = isinstance(known["label"], str)
                wanted["label"] = sign if is_word else int(sign == INCLUDE)
            if wanted != known:
                layer.feature_defaults = wanted
