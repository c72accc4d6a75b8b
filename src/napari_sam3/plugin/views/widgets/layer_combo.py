"""Combo boxes that offer the viewer's layers and follow them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from magicgui.widgets import ComboBox
from napari.layers import Layer
from qtpy.QtWidgets import QComboBox

from napari_sam3.plugin.layers.preview_layer import is_preview

LONGEST_NAME = 28


class LayerCombo(ComboBox):
    """A combo box of the viewer's layers of one type.

    Parameters
    ----------
    viewer : napari viewer
        Whose layers are offered, the topmost first.
    layer_type : type
        Of the layers offered.
    label, tooltip : str
        What the person reads.
    is_optional : bool
        Whether no layer may be chosen; else the topmost one is chosen where there is any.
    is_offered : callable
        Says of a layer of that type whether it is offered.
    """

    def __init__(
        self,
        viewer: Any,
        layer_type: type[Layer],
        label: str,
        tooltip: str,
        *,
        is_optional: bool = False,
        is_offered: Callable[[Any], bool] = lambda layer: True,
    ) -> None:
        self._viewer = viewer
        self._type = layer_type
        self._is_offered = is_offered
        super().__init__(label=label, tooltip=tooltip, choices=self._list, nullable=is_optional)
        fit_narrow(self)

    def choose(self, layer: Layer | None) -> None:
        """Show that a layer was chosen elsewhere; it may be newer than what is offered."""
        with self.changed.blocked():
            self.reset_choices()
            if layer in self.choices or (layer is None and self._nullable):
                self.value = layer

    def offer(self) -> None:
        """Offer the layers there are now, under their present names; the choice stays."""
        chosen = self.value
        with self.changed.blocked():
            self.reset_choices()
            if chosen is not None and chosen in self.choices:
                self.value = chosen
            elif self._nullable:
                self.value = None
        if self.value is not chosen:
            self.changed.emit(self.value)

    def _list(self, _box: Any) -> list[tuple[str, Layer]]:
        layers = [
            layer
            for layer in reversed(self._viewer.layers)
            if isinstance(layer, self._type) and not is_preview(layer) and self._is_offered(layer)
        ]
        names = [shorten(layer.name) for layer in layers]
        if len(set(names)) < len(names):
            names = [layer.name for layer in layers]
        return list(zip(names, layers, strict=True))


def shorten(name: str, length: int = LONGEST_NAME) -> str:
    """Leave out the middle of a long name: what tells names apart is often at their ends."""
    if len(name) <= length:
        return name
    tail = length // 2
    return f"{name[: length - tail - 1]}…{name[-tail:]}"


def fit_narrow(box: ComboBox) -> None:
    """Let long names be cut off rather than widen the dock."""
    native: QComboBox = box.native
    native.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
    native.setMinimumContentsLength(10)
