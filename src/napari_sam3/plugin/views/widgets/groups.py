"""How the fields are laid out: groups of labelled rows that fit a narrow dock."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import (
    QFormLayout,
    QFrame,
    QGroupBox,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QScrollArea,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

WIDTH = 340
"""What the dock asks for, px; at most 400 leave the picture its room."""


class Field(Protocol):
    """A magicgui widget, or something like one."""

    @property
    def label(self) -> str:
        """What it is called."""
        ...

    @property
    def native(self) -> Any:
        """Its Qt widget."""
        ...


class FieldGroup(QGroupBox):
    """A titled box of rows: a field with its label, or several things side by side.

    Parameters
    ----------
    title : str
        Of the box.
    """

    def __init__(self, title: str) -> None:
        super().__init__(title)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Maximum)
        self._form = QFormLayout(self._holder())
        self._form.setContentsMargins(6, 6, 6, 6)
        self._form.setHorizontalSpacing(8)
        self._form.setVerticalSpacing(4)
        self._form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)

    def _holder(self) -> QWidget:
        """What the rows are laid out in."""
        return self

    def add(self, field: Field, *beside: QWidget) -> None:
        """Add a labelled row; `beside` stands to the right of the field."""
        native = field.native
        label = QLabel(field.label)
        label.setToolTip(native.toolTip())
        self._form.addRow(label, side_by_side(native, *beside) if beside else native)

    def add_row(self, *natives: QWidget) -> None:
        """Add a row without a label."""
        self._form.addRow(natives[0] if len(natives) == 1 else side_by_side(*natives))

    def show_field(self, field: Field, is_shown: bool) -> None:
        """Show or hide a row."""
        field.native.setVisible(is_shown)
        label = self._form.labelForField(field.native)
        if label is not None:
            label.setVisible(is_shown)


class FoldedGroup(FieldGroup):
    """A group whose rows are hidden until its title is pressed.

    Parameters
    ----------
    title, tooltip : str
        Of the button that shows and hides the rows.
    """

    unfolded = Signal()

    def __init__(self, title: str, tooltip: str) -> None:
        self._title = title
        super().__init__("")
        self._button.setToolTip(tooltip)

    @property
    def is_open(self) -> bool:
        """Whether the rows are shown."""
        return not self._rows.isHidden()

    @property
    def title_text(self) -> str:
        """Its title now."""
        return self._title

    def rename(self, title: str) -> None:
        """Give it another title."""
        self._title = title
        self._show_title()

    def open(self, is_open: bool = True) -> None:
        """Show or hide the rows."""
        self._rows.setVisible(is_open)
        self._show_title()
        if is_open:
            self.unfolded.emit()

    def _show_title(self) -> None:
        self._button.setText(f"{'▾' if self.is_open else '▸'}  {self._title}")

    def _holder(self) -> QWidget:
        self._rows = QWidget()
        self._button = QPushButton()
        self._button.setFlat(True)
        self._button.setStyleSheet(
            "text-align: left; background: transparent; border: none; padding: 2px;"
        )
        self._button.clicked.connect(lambda: self.open(not self.is_open))
        layout = QVBoxLayout(self)
        layout.setContentsMargins(6, 2, 6, 2)
        layout.setSpacing(0)
        layout.addWidget(self._button)
        layout.addWidget(self._rows)
        self.open(False)
        return self._rows


def side_by_side(*widgets: QWidget) -> QWidget:
    """One widget that holds others in a row; they share its width as they want to."""
    row = QWidget()
    layout = QHBoxLayout(row)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setSpacing(6)
    for widget in widgets:
        layout.addWidget(widget)
    return row


class ElidedLabel(QLabel):
    """A line that shows as much of a text as there is room for; the rest is in its tooltip."""

    def __init__(self) -> None:
        super().__init__()
        self._whole = ""
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)

    def say(self, text: str) -> None:
        """Show a text."""
        self._whole = text
        self.setToolTip(text)
        self._fit()

    def resizeEvent(self, event: Any) -> None:  # noqa: N802 (Qt's name)
        """Fit the text to the room there is."""
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        # both ends of a path tell more than its middle
        mode = Qt.TextElideMode.ElideMiddle
        self.setText(self.fontMetrics().elidedText(self._whole, mode, self.width()))


class QuietLine(QLabel):
    """A line at the foot of the dock that never moves anything and never widens it."""

    def __init__(self) -> None:
        super().__init__()
        self.setStyleSheet("color: gray; padding-left: 4px;")
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.setFixedHeight(self.fontMetrics().lineSpacing() + 2)
        self._said: dict[str, str] = {}

    def say(self, who: str, text: str) -> None:
        """Show a text; of several speakers all that is not empty."""
        self._said[who] = text
        self.setText("; ".join(filter(None, self._said.values())))


def lay_out(groups: Sequence[QGroupBox]) -> tuple[QLabel, QScrollArea]:
    """Make the line of guidance, and a column of the groups that scrolls where room is short."""
    guidance = QLabel()
    guidance.setWordWrap(True)
    guidance.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    guidance.setAlignment(Qt.AlignmentFlag.AlignTop)
    guidance.setStyleSheet("border-left: 3px solid #4c82f0; padding: 2px 0 2px 6px;")
    # room for four lines, so that the fields below do not jump when the text changes
    guidance.setMinimumHeight(4 * guidance.fontMetrics().lineSpacing() + 6)
    column = QWidget()
    layout = QVBoxLayout(column)
    layout.setContentsMargins(0, 0, 0, 0)
    for group in groups:
        layout.addWidget(group)
    layout.addStretch()
    body = QScrollArea()
    body.setWidgetResizable(True)
    body.setFrameShape(QFrame.Shape.NoFrame)
    body.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    body.setWidget(column)
    return guidance, body
