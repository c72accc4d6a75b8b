"""The tools in a row, one of them in hand, and a line on what it does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from qtpy.QtCore import QPointF, QRectF, QSize, Qt
from qtpy.QtGui import QColor, QPainter, QPainterPath, QPaintEvent, QPen, QPolygonF
from qtpy.QtWidgets import QButtonGroup, QHBoxLayout, QToolButton, QVBoxLayout, QWidget
from superqt import QElidingLabel

from napari_sam3.plugin.layers.prompt_layers import EXCLUDE
from napari_sam3.plugin.model.app_state import AppState
from napari_sam3.plugin.model.tools import Tool

SIDE = 28
"""Of a button, px: nine of them, and those for timeline and help, fit a narrow dock."""


class ToolStrip(QWidget):
    """Shows the tool in hand, and lets another one be taken.

    Parameters
    ----------
    state : AppState
        With the tool in hand.
    choose : callable
        Called with the tool that is pressed.
    show_timeline, show_help : callable
        Called when one of them is asked for.
    """

    def __init__(
        self,
        state: AppState,
        choose: Callable[[Tool], Any],
        show_timeline: Callable[[], Any],
        show_help: Callable[[], Any],
    ) -> None:
        super().__init__()
        self._state, self._choose = state, choose
        self.buttons = {tool: ToolButton(tool.value) for tool in Tool}
        self.timeline = ToolButton("timeline")
        self.timeline.setToolTip("Show the timeline under the picture, or hide it.")
        self.timeline.clicked.connect(lambda _checked: show_timeline())
        self.help = ToolButton("help")
        self.help.setToolTip("All keys, and what the mouse does. Key ?.")
        self.help.clicked.connect(lambda _checked: show_help())
        self.hint = QElidingLabel()
        self._group = QButtonGroup(self)
        row = QHBoxLayout()
        row.setSpacing(2)
        for tool, button in self.buttons.items():
            button.setCheckable(True)
            button.clicked.connect(lambda _checked, tool=tool: self._on_pressed(tool))
            self._group.addButton(button)
            row.addWidget(button)
        row.addStretch()
        row.addWidget(self.timeline)
        row.addWidget(self.help)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addLayout(row)
        layout.addWidget(self.hint)
        state.hear(self._show, "tool", "sign")
        state.hear(self._enable, "model", "catalog", "compute", "video", "project")
        self._show()
        self._enable()

    def _on_pressed(self, tool: Tool) -> None:
        self._choose(tool)
        self._show()  # the state may not have taken it, while Qt has pressed the button

    def _show(self, _value: Any = None) -> None:
        tool = self._state.tool
        self.buttons[tool].setChecked(True)
        is_other = tool.is_shape and self._state.sign == EXCLUDE
        name = f"{tool.value}, exclude" if is_other else tool.value
        self.hint.setText(f"{name.capitalize()}: {tool.about.hint}")
        self.hint.setToolTip(tool.about.more)

    def _enable(self, _value: Any = None) -> None:
        """Open the tools that the model can use; the others say why not."""
        state = self._state
        for tool, button in self.buttons.items():
            why_not = state.why_not_taken(tool.prompt_kind)
            button.setEnabled(state.can_change and not why_not)
            told = why_not or tool.about.more
            button.setToolTip(f"{tool.value.capitalize()} (key {tool.about.key})\n{told}")


class ToolButton(QToolButton):
    """A button that draws its own sign, in the colour that the theme gives to text.

    Parameters
    ----------
    name : str
        Of a tool, or "timeline", or "help".
    """

    def __init__(self, name: str) -> None:
        super().__init__()
        self._name = name
        self.setAccessibleName(name)
        self.setFixedSize(SIDE, SIDE)

    def sizeHint(self) -> QSize:  # noqa: N802 (Qt's name)
        """A square."""
        return QSize(SIDE, SIDE)

    def paintEvent(self, event: QPaintEvent | None) -> None:  # noqa: N802 (Qt's name)
        """Draw the button as the theme has it, the sign upon it, and a line under the one in hand.

        The line tells it without colour.
        """
        super().paintEvent(event)
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        colour = self.palette().color(self.foregroundRole())
        if not self.isEnabled():
            colour.setAlpha(80)
        painter.setPen(_pen(colour, 2))
        painter.translate((self.width() - 20) / 2, (self.height() - 20) / 2)
        _DRAWN[self._name](painter, colour)
        if self.isChecked():
            painter.setPen(_pen(colour, 2.5))
            painter.drawLine(QPointF(1, 22), QPointF(19, 22))
        painter.end()


def _pen(colour: QColor, width: float, style: Qt.PenStyle = Qt.PenStyle.SolidLine) -> QPen:
    return QPen(colour, width, style, Qt.PenCapStyle.RoundCap, Qt.PenJoinStyle.RoundJoin)


# each draws into 20 x 20 px with a pen of the text's colour


def _draw_select(painter: QPainter, colour: QColor) -> None:
    arrow = [(4, 1), (4, 16), (8, 12), (11, 18), (13.5, 17), (10.5, 11), (16, 11)]
    painter.setBrush(colour)
    painter.setPen(_pen(colour, 1))
    painter.drawPolygon(QPolygonF([QPointF(x, y) for x, y in arrow]))


def _draw_include(painter: QPainter, _colour: QColor) -> None:
    painter.drawEllipse(QRectF(2, 2, 16, 16))
    painter.drawLine(QPointF(6, 10), QPointF(14, 10))
    painter.drawLine(QPointF(10, 6), QPointF(10, 14))


def _draw_exclude(painter: QPainter, _colour: QColor) -> None:
    painter.drawEllipse(QRectF(2, 2, 16, 16))
    painter.drawLine(QPointF(6, 10), QPointF(14, 10))


def _draw_box(painter: QPainter, colour: QColor) -> None:
    painter.setPen(_pen(colour, 1.8, Qt.PenStyle.DashLine))
    painter.drawRect(QRectF(2, 4, 16, 12))


def _draw_lasso(painter: QPainter, _colour: QColor) -> None:
    painter.drawEllipse(QRectF(2, 2, 16, 10))
    path = QPainterPath(QPointF(7, 12))
    path.cubicTo(QPointF(3, 13), QPointF(5, 18), QPointF(10, 18))
    painter.drawPath(path)


def _draw_scribble(painter: QPainter, _colour: QColor) -> None:
    path = QPainterPath(QPointF(2, 13))
    path.cubicTo(QPointF(5, 0), QPointF(9, 2), QPointF(8, 10))
    path.cubicTo(QPointF(7, 20), QPointF(12, 18), QPointF(13, 10))
    path.cubicTo(QPointF(14, 5), QPointF(17, 5), QPointF(18, 10))
    painter.drawPath(path)


def _draw_paint(painter: QPainter, colour: QColor) -> None:
    painter.drawLine(QPointF(18, 2), QPointF(9, 11))
    painter.setBrush(colour)
    path = QPainterPath(QPointF(10, 12))
    path.cubicTo(QPointF(10, 18), QPointF(5, 18), QPointF(2, 18))
    path.cubicTo(QPointF(4, 16), QPointF(3, 10), QPointF(8, 10))
    path.closeSubpath()
    painter.drawPath(path)


def _draw_erase(painter: QPainter, colour: QColor) -> None:
    body = [(7, 17), (2, 12), (11, 3), (17, 9), (9, 17)]
    painter.drawPolygon(QPolygonF([QPointF(x, y) for x, y in body]))
    painter.setBrush(colour)
    painter.drawPolygon(
        QPolygonF([QPointF(x, y) for x, y in [(7, 17), (2, 12), (6, 8), (12, 14), (9, 17)]])
    )
    painter.drawLine(QPointF(6, 17.5), QPointF(18, 17.5))


def _draw_text(painter: QPainter, colour: QColor) -> None:
    painter.setPen(_pen(colour, 2.4))
    painter.drawLine(QPointF(4, 4), QPointF(16, 4))
    painter.drawLine(QPointF(10, 4), QPointF(10, 17))


def _draw_timeline(painter: QPainter, colour: QColor) -> None:
    painter.setPen(_pen(colour, 2.4))
    for y, begin, end in ((4, 2, 13), (10, 6, 18), (16, 2, 9)):
        painter.drawLine(QPointF(begin, y), QPointF(end, y))
    painter.setPen(_pen(colour, 1.2))
    painter.drawLine(QPointF(11, 0), QPointF(11, 20))


def _draw_help(painter: QPainter, _colour: QColor) -> None:
    font = painter.font()
    font.setPixelSize(17)
    font.setBold(True)
    painter.setFont(font)
    painter.drawText(QRectF(0, 0, 20, 20), Qt.AlignmentFlag.AlignCenter, "?")


_DRAWN: dict[str, Callable[[QPainter, QColor], None]] = {
    "select": _draw_select,
    "include": _draw_include,
    "exclude": _draw_exclude,
    "box": _draw_box,
    "lasso": _draw_lasso,
    "scribble": _draw_scribble,
    "paint": _draw_paint,
    "erase": _draw_erase,
    "text": _draw_text,
    "timeline": _draw_timeline,
    "help": _draw_help,
}
