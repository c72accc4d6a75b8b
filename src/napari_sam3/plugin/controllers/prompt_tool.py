"""What the next click or box says: its object, and whether it shows it, or is an example."""

from __future__ import annotations

from typing import Any

from napari.layers import Points, Shapes

from napari_sam3.plugin.layers.exemplars import COUNTEREXAMPLE, EXAMPLE
from napari_sam3.plugin.layers.prompt_layers import EXCLUDE, INCLUDE, NEW_OBJECT
from napari_sam3.plugin.model.app_state import AppState
from napari_sam3.values import MAX_OBJECT_ID

NEXT_OBJECT_KEY = "N"
SWITCH_SIGN_KEY = "W"


class PromptTool:
    """Keeps the features of new items in the chosen layers in line with the state.

    Layers that were made here get keys: N for the next object, W for include or exclude.

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
            if self._state.is_prompt_layer(layer):
                layer.bind_key(NEXT_OBJECT_KEY, self._take_next_object, overwrite=True)
                layer.bind_key(SWITCH_SIGN_KEY, self._switch_sign, overwrite=True)
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

    def _take_next_object(self, _layer: Any) -> None:
        """Go on to the next object."""
        self._state.object_in_hand = min(self._state.object_in_hand + 1, MAX_OBJECT_ID)

    def _switch_sign(self, _layer: Any) -> None:
        """Switch between include and exclude."""
        self._state.sign = EXCLUDE if self._state.sign == INCLUDE else INCLUDE
