"""The tools in a row, one of them in hand, and a line on what it does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from qtpy.QtCore import QRectF, QSize
from qtpy.QtGui import QPainter, QPaintEvent
from qtpy.QtSvg import QSvgRenderer
from qtpy.QtWidgets import QButtonGroup, QHBoxLayout, QToolButton, QVBoxLayout, QWidget
from superqt import QElidingLabel

from napari_sam3.plugin.layers.prompt_layers import EXCLUDE
from napari_sam3.plugin.model.app_state import AppState
from napari_sam3.plugin.model.tools import Tool
from napari_sam3.plugin.views.widgets.groups import tight

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
        self.buttons = {tool: ToolButton(tool.value) for tool in Tool if tool.is_in_strip}
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
        layout = tight(QVBoxLayout(self), 2)
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
        self._group.setExclusive(False)  # one tool has its button elsewhere
        for one, button in self.buttons.items():
            button.setChecked(one is tool)
        self._group.setExclusive(True)
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
        drawn = _SIGNS[self._name] + (_IN_HAND if self.isChecked() else "")
        colour = self.palette().color(self.foregroundRole()).name()
        painter = QPainter(self)
        if not self.isEnabled():
            painter.setOpacity(0.3)
        x, y = (self.width() - 20) / 2, (self.height() - 20) / 2
        svg = _FRAME.format(colour=colour, drawn=drawn)
        QSvgRenderer(svg.encode()).render(painter, QRectF(x, y, 20, 24))
        painter.end()


_FRAME = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 20 24" fill="none" stroke="{colour}"'
    ' color="{colour}" stroke-width="2" stroke-linecap="round" stroke-linejoin="round">'
    "{drawn}</svg>"
)
_IN_HAND = '<path d="M1 22 H19" stroke-width="2.5"/>'
# within 20 x 20
_SIGNS = {
    "select": (
        '<path d="M4 1 V16 L8 12 L11 18 L13.5 17 L10.5 11 H16 Z" fill="currentColor"'
        ' stroke-width="1"/>'
    ),
    "include": '<circle cx="10" cy="10" r="8"/><path d="M6 10 H14 M10 6 V14"/>',
    "exclude": '<circle cx="10" cy="10" r="8"/><path d="M6 10 H14"/>',
    "box": (
        '<rect x="2" y="4" width="16" height="12" stroke-width="1.8" stroke-dasharray="7.2 3.6"/>'
    ),
    "lasso": '<ellipse cx="10" cy="7" rx="8" ry="5"/><path d="M7 12 C3 13 5 18 10 18"/>',
    "scribble": '<path d="M2 13 C5 0 9 2 8 10 C7 20 12 18 13 10 C14 5 17 5 18 10"/>',
    "paint": (
        '<path d="M18 2 L9 11"/>'
        '<path d="M10 12 C10 18 5 18 2 18 C4 16 3 10 8 10 Z" fill="currentColor"/>'
    ),
    "erase": (
        '<path d="M7 17 L2 12 L11 3 L17 9 L9 17 Z M6 17.5 H18"/>'
        '<path d="M7 17 L2 12 L6 8 L12 14 L9 17 Z" fill="currentColor"/>'
    ),
    "text": '<path d="M4 4 H16 M10 4 V17" stroke-width="2.4"/>',
    "timeline": (
        '<path d="M2 4 H13 M6 10 H18 M2 16 H9" stroke-width="2.4"/>'
        '<path d="M11 0 V20" stroke-width="1.2"/>'
    ),
    "help": (
        '<path d="M6 7 C6 1 14 1 14 6 C14 10 10 9 10 13" stroke-width="2.6"/>'
        '<circle cx="10" cy="17" r="0.8"/>'
    ),
}
