"""The keyboard belongs to the picture, but for fields that were clicked."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import QChildEvent, QEvent, QObject, Qt
from qtpy.QtGui import QKeyEvent
from qtpy.QtOpenGLWidgets import QOpenGLWidget
from qtpy.QtWidgets import (
    QAbstractButton,
    QAbstractSpinBox,
    QApplication,
    QComboBox,
    QLineEdit,
    QMainWindow,
    QWidget,
)


class CanvasFocus(QObject):
    """Gives the focus back to the canvas: after a press of a button, a choice, Escape or Enter.

    Buttons and lists never take it by the mouse; with Tab one gets to all of them. Of a control
    that is closed or hidden it goes to the canvas, not to the next field.

    Parameters
    ----------
    dock : QWidget
        Whose controls are looked after, those that are added later included.
    """

    def __init__(self, dock: QWidget) -> None:
        super().__init__(dock)
        self._dock = dock
        self._look_after(dock)
        application: Any = QApplication.instance()
        application.focusChanged.connect(self._on_focus_changed)

    def close(self) -> None:
        """Look after nothing more."""
        application: Any = QApplication.instance()
        application.focusChanged.disconnect(self._on_focus_changed)

    def give_back(self) -> None:
        """Let keys go to the canvas."""
        focus_canvas(self._dock)

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:  # noqa: N802
        """Look after what is added; hear of presses and keys.

        PyQt takes an event for the last one at the same place in memory where somebody (vispy,
        with the last press) still holds that: such a one has the right type, and the wrong class.
        """
        if event is None or not isinstance(watched, QWidget):
            return False
        kind = event.type()
        if kind == QEvent.Type.ChildPolished:
            # of those that were there before a press is heard twice then, which does no harm
            children = [event.child()] if isinstance(event, QChildEvent) else watched.children()
            for child in children:
                if isinstance(child, QWidget) and not child.isWindow():
                    self._look_after(child)
        elif kind == QEvent.Type.Wheel:
            # a list or number under the mouse must not change while the dock is scrolled
            if _has_value(watched) and not watched.hasFocus():
                event.ignore()
                return True
        elif kind == QEvent.Type.MouseButtonRelease and isinstance(watched, QAbstractSpinBox):
            self._give_back_later()  # its arrows; a click into its text goes to the text
        elif kind == QEvent.Type.KeyPress and isinstance(event, QKeyEvent):
            return self._on_key(watched, event)
        return False

    def _on_key(self, widget: QWidget, event: QKeyEvent) -> bool:
        if event.key() == Qt.Key.Key_Escape and not _has_popup(widget):
            self.give_back()
            return True
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and isinstance(
            widget, (QLineEdit, QAbstractSpinBox)
        ):
            self._give_back_later()
        return False

    def _give_back_later(self) -> None:
        """When the field has taken what was typed."""
        QApplication.postEvent(self, QEvent(_GIVE_BACK))

    def event(self, event: QEvent | None) -> bool:
        """Give the focus back, when what has led to it is dealt with."""
        if event is not None and event.type() == _GIVE_BACK:
            self.give_back()
            return True
        return super().event(event)

    def _look_after(self, widget: QWidget) -> None:
        for one in [widget, *widget.findChildren(QWidget)]:
            one.removeEventFilter(self)
            one.installEventFilter(self)
            if isinstance(one, (QAbstractButton, QComboBox)):
                one.setFocusPolicy(_without_click(one.focusPolicy()))
            elif isinstance(one, QAbstractSpinBox):
                one.setFocusPolicy(Qt.FocusPolicy.StrongFocus)  # not by the wheel
            if isinstance(one, QAbstractButton):
                one.clicked.connect(self._on_pressed)
            elif isinstance(one, QComboBox):
                one.activated.connect(self._on_pressed)

    def _on_pressed(self, _value: Any = None) -> None:
        focused = QApplication.focusWidget()
        # who has come here by Tab goes on with Tab
        if focused is not None and focused is not self.sender():
            self.give_back()

    def _on_focus_changed(self, before: QWidget | None, now: QWidget | None) -> None:
        # the window has it when something was pressed that is closed, or takes no focus
        is_lost = now is None and before is not None and self._dock.isAncestorOf(before)
        if now is self._dock.window() or (is_lost and is_closing(before)):
            self.give_back()


def focus_canvas(widget: QWidget) -> None:
    """Let keys go to the canvas of the window that a widget is in."""
    canvas = canvas_beside(widget)
    if canvas is not None:
        canvas.setFocus(Qt.FocusReason.OtherFocusReason)


def canvas_beside(widget: QWidget) -> QWidget | None:
    """The canvas that is shown in the window that a widget is in; None if there is none."""
    window = widget.window()
    middle = window.centralWidget() if isinstance(window, QMainWindow) else None
    shown = [] if middle is None else middle.findChildren(QOpenGLWidget)
    return next((canvas for canvas in shown if canvas.isVisible()), None)


_GIVE_BACK = QEvent.Type(QEvent.registerEventType())


def is_closing(widget: QWidget | None) -> bool:
    """Whether a control that has the focus loses it, for it is closed or hidden."""
    return widget is not None and not (widget.isEnabled() and widget.isVisible())


def _without_click(policy: Qt.FocusPolicy) -> Qt.FocusPolicy:
    return Qt.FocusPolicy.NoFocus if policy == Qt.FocusPolicy.NoFocus else Qt.FocusPolicy.TabFocus


def _has_value(widget: QWidget) -> bool:
    return isinstance(widget, (QComboBox, QAbstractSpinBox))


def _has_popup(widget: QWidget) -> bool:
    popup = widget.view() if isinstance(widget, QComboBox) else None
    return popup is not None and popup.isVisible()
