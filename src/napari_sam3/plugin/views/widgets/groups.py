"""How the fields are laid out: groups of labelled rows that fit a narrow dock."""

from __future__ import annotations

from typing import Any, Protocol, TypeVar

from qtpy.QtCore import Qt
from qtpy.QtGui import QColor, QIcon, QPainter, QPixmap
from qtpy.QtWidgets import (
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QLayout,
    QWidget,
)
from superqt import QCollapsible

Layout = TypeVar("Layout", bound=QLayout)


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


class Rows:
    """Rows of fields with their labels, or of several things side by side.

    Parameters
    ----------
    holder : QWidget
        Gets the rows as its layout.
    """

    def __init__(self, holder: QWidget) -> None:
        self._form = QFormLayout(holder)
        self._form.setContentsMargins(6, 6, 6, 6)
        self._form.setHorizontalSpacing(8)
        self._form.setVerticalSpacing(4)
        self._form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)

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
        """Show or hide the row of a field."""
        self.show_row(field.native, is_shown)

    def show_row(self, native: QWidget, is_shown: bool) -> None:
        """Show or hide the row that a widget was added as."""
        self._form.setRowVisible(native, is_shown)


class FoldedGroup(QCollapsible):
    """A group whose rows are hidden until its title is pressed.

    Parameters
    ----------
    title, tooltip : str
        Of the button that shows and hides the rows.
    """

    def __init__(self, title: str, tooltip: str) -> None:
        super().__init__(title, expandedIcon=_icon("▾"), collapsedIcon=_icon("▸"))
        self.setDuration(0)  # a dock that moves while it is read is a nuisance
        self.toggleButton().setToolTip(tooltip)
        # as plain as the titles of the other groups
        self.toggleButton().setStyleSheet(
            "text-align: left; background: transparent; border: none; padding: 2px;"
        )
        outer: Any = self.layout()
        outer.setContentsMargins(6, 2, 6, 2)
        outer.setSpacing(0)
        inner: Any = self.content().layout()
        inner.setContentsMargins(0, 0, 0, 0)
        content = QWidget()
        self.rows = Rows(content)
        self.addWidget(content)


def _icon(symbol: str) -> QIcon:
    """A symbol in a grey that is seen in napari's dark and light themes, as superqt's is not."""
    pixmap = QPixmap(16, 16)
    pixmap.fill(Qt.GlobalColor.transparent)
    painter = QPainter(pixmap)
    painter.setPen(QColor("#909090"))
    painter.drawText(pixmap.rect(), Qt.AlignmentFlag.AlignCenter, symbol)
    painter.end()
    return QIcon(pixmap)


def tight(layout: Layout, spacing: int) -> Layout:
    """A layout that has no room around it, and so much between what it holds."""
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setSpacing(spacing)
    return layout


def side_by_side(*widgets: QWidget, stretch: int | None = None) -> QWidget:
    """One widget that holds others in a row; they share its width as they want to.

    What is left over is for the one with the index `stretch`, if that is given.
    """
    row = QWidget()
    layout = tight(QHBoxLayout(row), 6)
    for index, widget in enumerate(widgets):
        layout.addWidget(widget, int(index == stretch))
    return row


def paragraph(text_format: Qt.TextFormat = Qt.TextFormat.RichText) -> QLabel:
    """A text of several lines, whose links open."""
    label = QLabel()
    label.setWordWrap(True)
    label.setOpenExternalLinks(True)
    label.setTextFormat(text_format)
    return label
