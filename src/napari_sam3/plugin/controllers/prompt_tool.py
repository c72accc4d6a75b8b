"""What the next click or box says: its object, and whether it shows it, or is an example."""

from __future__ import annotations

from typing import Any

from napari.layers import Points, Shapes
from napari.layers.base import ActionType

from napari_sam3.plugin.layers.exemplars import COUNTEREXAMPLE, EXAMPLE
from napari_sam3.plugin.layers.layer_prompts import read_object_id
from napari_sam3.plugin.layers.prompt_layers import INCLUDE, NEW_OBJECT
from napari_sam3.plugin.model.app_state import AppState, Phase
from napari_sam3.plugin.model.connections import Connections
from napari_sam3.values import MAX_OBJECT_ID

_DONE = (ActionType.ADDED, ActionType.REMOVED, ActionType.CHANGED)


class PromptTool:
    """Keeps the features of new items in the chosen layers in line with the state.

    Where a person selects items of another object, or edits what the next one is of, the object in
    hand is that one.

    Parameters
    ----------
    state : AppState
        Told of how many items are drawn, and whether there are new ones since the last job.
    """

    def __init__(self, state: AppState) -> None:
        self._state = state
        self._layers: tuple[Points | Shapes, ...] = ()
        self._of_layers = Connections()
        self._is_setting = False
        state.hear(self._watch, "points", "boxes", "masks")
        state.hear(self._set_defaults, "object_in_hand", "sign", "draws_exemplars")
        state.events.phase.connect(self._on_phase_changed)
        state.events.texts.connect(self._note_new)
        self._watch()

    def close(self) -> None:
        """Let go of the layers."""
        self._of_layers.let_go()
        self._layers = ()

    def _watch(self, _layer: Any = None) -> None:
        """Draw with the layers that are chosen."""
        self.close()
        self._layers = self._state.layers_of_prompts
        for layer in self._layers:
            self._of_layers.hear(self._on_drawn, layer.events.data)
            self._of_layers.hear(self._on_defaults_changed, layer.events.feature_defaults)
        self._set_defaults()
        self._count()

    def _count(self) -> None:
        has_masks = self._state.masks is not None
        self._state.n_prompts = sum(len(layer.data) for layer in self._layers) + has_masks

    def _on_drawn(self, event: Any) -> None:
        self._count()
        if getattr(event, "action", None) in _DONE:
            self._note_new()

    def _note_new(self, _value: Any = None) -> None:
        self._state.has_new_prompts = True

    def _on_phase_changed(self, phase: Phase) -> None:
        if phase is not Phase.IDLE:  # a job has read them
            self._state.has_new_prompts = False

    def _on_defaults_changed(self, event: Any) -> None:
        """The defaults follow what is selected: so does the object in hand, but not the sign."""
        defaults = event.source.feature_defaults
        if self._is_setting or "object" not in defaults:
            return
        try:
            obj_id = read_object_id(defaults["object"].iloc[0])
        except ValueError:
            return
        if obj_id is not None and obj_id <= MAX_OBJECT_ID:
            self._state.object_in_hand = obj_id
        self._set_defaults()

    def _set_defaults(self, _value: Any = None) -> None:
        if self._is_setting:
            return
        self._is_setting = True
        try:
            for layer in self._layers:
                self._set_defaults_of(layer)
        finally:
            self._is_setting = False

    def _set_defaults_of(self, layer: Points | Shapes) -> None:
        state, sign = self._state, self._state.sign
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
