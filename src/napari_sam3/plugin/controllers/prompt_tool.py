"""What the next click or box says: its object, and whether it shows it, or is an example."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from napari.layers import Points, Shapes

from napari_sam3.plugin.layers.exemplars import COUNTEREXAMPLE, EXAMPLE
from napari_sam3.plugin.layers.prompt_layers import EXCLUDE, INCLUDE, NEW_OBJECT
from napari_sam3.plugin.views.prompt_panel import PromptFields

NEXT_OBJECT_KEY = "N"
SWITCH_SIGN_KEY = "W"


class PromptTool:
    """Keeps the features of new items in the chosen layers in line with the fields.

    Parameters
    ----------
    fields : PromptFields
        With `object`, `sign` and `examples`.
    on_drawn : callable
        Called when an item of a chosen layer was added, changed or removed.
    """

    def __init__(self, fields: PromptFields, on_drawn: Callable[[], None]) -> None:
        self._fields = fields
        self._on_drawn = on_drawn
        self._layers: tuple[Points | Shapes, ...] = ()
        fields.object.changed.connect(self._on_field_changed)
        fields.sign.changed.connect(self._on_field_changed)
        fields.examples.changed.connect(self._on_field_changed)
        fields.show_colour()

    def watch(self, *layers: Points | Shapes | None) -> None:
        """Draw with these layers from now on."""
        for layer in self._layers:
            layer.events.data.disconnect(self._on_layer_drawn)
        self._layers = tuple(layer for layer in layers if layer is not None)
        for layer in self._layers:
            layer.events.data.connect(self._on_layer_drawn)
        self._dip()

    def bind_keys(self, *layers: Points | Shapes) -> None:
        """Give layers of our own the keys for the next object and for include or exclude."""
        for layer in layers:
            layer.bind_key(NEXT_OBJECT_KEY, self._take_next_object, overwrite=True)
            layer.bind_key(SWITCH_SIGN_KEY, self._switch_sign, overwrite=True)

    def _dip(self) -> None:
        sign = str(self._fields.sign.value)
        for layer in self._layers:
            defaults = layer.feature_defaults
            known = {c: defaults[c].iloc[0] for c in defaults.columns}
            wanted = dict(known)
            if "object" in known:
                wanted["object"] = self._fields.object.value
            if "label" in known and isinstance(layer, Shapes) and self._fields.draws_examples:
                wanted["label"] = EXAMPLE if sign == INCLUDE else COUNTEREXAMPLE
                wanted["object"] = NEW_OBJECT
            elif "label" in known:
                # a layer of the person's own may say it by 1 and 0
                is_word = isinstance(known["label"], str)
                wanted["label"] = sign if is_word else int(sign == INCLUDE)
            if wanted != known:
                layer.feature_defaults = wanted

    def _on_field_changed(self, _value: Any) -> None:
        self._fields.show_colour()
        self._dip()

    def _on_layer_drawn(self, _event: Any) -> None:
        self._on_drawn()

    def _take_next_object(self, _layer: Any) -> None:
        """Go on to the next object."""
        box = self._fields.object
        box.value = min(box.value + 1, box.max)

    def _switch_sign(self, _layer: Any) -> None:
        """Switch between include and exclude."""
        self._fields.sign.value = EXCLUDE if self._fields.sign.value == INCLUDE else INCLUDE
