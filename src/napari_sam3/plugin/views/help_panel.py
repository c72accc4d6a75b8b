"""All keys, and what the mouse does: shown on request."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape

from qtpy.compat import isalive
from qtpy.QtCore import Qt
from qtpy.QtGui import QHideEvent, QShortcut, QShowEvent
from qtpy.QtWidgets import QDialog, QLabel, QScrollArea, QVBoxLayout, QWidget

from napari_sam3.plugin.controllers.layer_keys import LayerKey
from napari_sam3.plugin.model.tools import Tool
from napari_sam3.plugin.views.widgets.canvas_focus import canvas_beside

HELP_KEY = "?"

_MOUSE = (
    ("Left button", "what the tool says, for the object in hand"),
    ("Ctrl held, or the second button", "the same, for what is not the object"),
    ("Space held", "moves the picture; the wheel zooms"),
)
_ELSEWHERE = (
    ("Ctrl+Z", "undo what was done last; in a field: what was typed"),
    ("Ctrl+Shift+Z", "redo"),
    ("← →", "one frame back, one on"),
    ("[ ]", "smaller or larger brush"),
    ("Esc", "closes this; in a field of the dock: back to the picture"),
    ("Tab", "in the dock: to the next control"),
)


class HelpPanel(QDialog):
    """A window beside the picture, which does not take the keyboard away from it.

    Escape closes it, pressed over the picture as well.

    Parameters
    ----------
    list_keys : callable
        Gives the keys that there are beside those of tools.
    parent : QWidget
    """

    def __init__(self, list_keys: Callable[[], Sequence[LayerKey]], parent: QWidget) -> None:
        super().__init__(parent, Qt.WindowType.Tool)
        self._list_keys = list_keys
        self._escape: QShortcut | None = None  # of the picture, while this is shown
        self.setWindowTitle("Keys and mouse")
        self.setAttribute(Qt.WidgetAttribute.WA_ShowWithoutActivating)
        self._text = QLabel()
        self._text.setTextFormat(Qt.TextFormat.RichText)
        self._text.setWordWrap(True)
        self._text.setMargin(10)
        area = QScrollArea()
        area.setWidgetResizable(True)
        area.setWidget(self._text)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(area)
        self.resize(420, 560)

    def text(self) -> str:
        """What it says, as rich text."""
        return self._text.text()

    def toggle(self) -> None:
        """Show it, or hide it."""
        if self.isVisible():
            self.hide()
            return
        self._text.setText(format_help(self._list_keys()))
        self.show()

    def showEvent(self, event: QShowEvent | None) -> None:  # noqa: N802 (Qt's name)
        """Hear of Escape in the picture."""
        super().showEvent(event)
        dock = self.parentWidget()
        canvas = None if dock is None else canvas_beside(dock)
        if canvas is not None and self._escape is None:
            self._escape = QShortcut(Qt.Key.Key_Escape, canvas)
            self._escape.setContext(Qt.ShortcutContext.WidgetShortcut)
            self._escape.activated.connect(self.hide)

    def hideEvent(self, event: QHideEvent | None) -> None:  # noqa: N802 (Qt's name)
        """Leave Escape to the picture again."""
        super().hideEvent(event)
        escape, self._escape = self._escape, None
        if escape is not None and isalive(escape):  # the window may have gone before
            escape.deleteLater()


def format_help(keys: Sequence[LayerKey]) -> str:
    """Tables of keys and of what the mouse does, as rich text."""
    tools = [(t.about.key, f"{t.value}: {t.about.hint}") for t in Tool]
    others = [(key.key, key.text) for key in keys if key.key not in dict(tools)]
    return (
        "<p>These keys work in the picture while a layer of this work is chosen: clicks, boxes, "
        "painted masks or results. Layers of your own keep the keys of napari.</p>"
        f"{_table('Tools', tools)}{_table('Work', [*others, (HELP_KEY, 'show or hide this')])}"
        f"{_table('Mouse', _MOUSE)}{_table('Everywhere', _ELSEWHERE)}"
    )


def _table(title: str, rows: Sequence[tuple[str, str]]) -> str:
    key_cell = "<td style='padding-right: 12px;'><b>{}</b></td>"
    cells = "".join(
        f"<tr>{key_cell.format(escape(key))}<td>{escape(what)}</td></tr>" for key, what in rows
    )
    return f"<h4>{title}</h4><table>{cells}</table>"
