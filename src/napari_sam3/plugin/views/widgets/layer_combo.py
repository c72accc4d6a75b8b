"""Combo boxes that offer the viewer's layers and follow them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from magicgui.widgets import ComboBox
from napari.layers import Layer
from qtpy.QtWidgets import QComboBox

LONGEST_NAME = 28


class LayerCombo:
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
        self.box = ComboBox(
            label=label, tooltip=tooltip, choices=self._choices, nullable=is_optional
        )
        fit_narrow(self.box)

    @property
    def changed(self) -> Any:
        """Emitted with the layer when another one is chosen."""
        return self.box.changed

    @property
    def value(self) -> Any:
        """The layer chosen, or None."""
        return self.box.value

    @value.setter
    def value(self, layer: Layer | None) -> None:
        self.box.value = layer

    def show(self, layer: Layer | None) -> None:
        """Show that a layer was chosen elsewhere; it may be newer than what is offered."""
        with self.box.changed.blocked():
            self.box.reset_choices()
            if layer in self.box.choices or (layer is None and self.box._nullable):
                self.box.value = layer

    def refresh(self) -> None:
        """Offer the layers there are now, under their present names; the choice stays."""
        chosen = self.box.value
        with self.box.changed.blocked():
            self.box.reset_choices()
            if chosen is not None and chosen in self.box.choices:
                self.box.value = chosen
            elif self.box._nullable:
                self.box.value = None
        if self.box.value is not chosen:
            self.box.changed.emit(self.box.value)

    def _choices(self, _box: Any) -> list[tuple[str, Layer]]:
        layers = [
            layer
            for layer in reversed(self._viewer.layers)
            if isinstance(layer, self._type) and self._is_offered(layer)
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
