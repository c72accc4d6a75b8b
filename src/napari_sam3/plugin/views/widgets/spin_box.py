"""A field for a whole number whose lowest value has a name."""

from __future__ import annotations

from psygnal import Signal
from qtpy.QtWidgets import QSpinBox


class NumberField:
    """A spin box like magicgui's, but with a word for its lowest value ("all", "first prompt").

    Parameters
    ----------
    label, tooltip : str
        What the person reads.
    min, max, value : int
        Its range, and what it holds at first.
    step : int
        What one press of its arrows changes.
    lowest : str
        Shown in place of the lowest value.
    """

    changed = Signal(int)

    def __init__(
        self,
        label: str,
        tooltip: str,
        *,
        min: int = 0,
        max: int = 0,
        value: int | None = None,
        step: int = 1,
        lowest: str = "",
    ) -> None:
        self.label = label
        self.native = QSpinBox()
        self.native.setRange(min, max)
        self.native.setValue(min if value is None else value)
        self.native.setSingleStep(step)
        self.native.setSpecialValueText(lowest)
        self.native.setToolTip(tooltip)
        self.native.setKeyboardTracking(False)
        self.native.valueChanged.connect(self._on_native_changed)

    @property
    def value(self) -> int:
        """The number."""
        return int(self.native.value())

    @value.setter
    def value(self, number: int) -> None:
        if not self.min <= number <= self.max:
            raise ValueError(f"{self.label}: {number} is outside {self.min} to {self.max}")
        self.native.setValue(int(number))

    @property
    def min(self) -> int:
        """The lowest number."""
        return int(self.native.minimum())

    @property
    def max(self) -> int:
        """The highest number."""
        return int(self.native.maximum())

    @max.setter
    def max(self, number: int) -> None:
        self.native.setMaximum(int(number))

    def _on_native_changed(self, number: int) -> None:
        self.changed.emit(number)
