"""What a person does with mouse and keyboard, as events of Qt on the real window."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import QEvent, QPoint, QPointF, Qt
from qtpy.QtGui import QMouseEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QWidget

LEFT, RIGHT = Qt.MouseButton.LeftButton, Qt.MouseButton.RightButton
NO_BUTTON = Qt.MouseButton.NoButton
NOTHING, CTRL = Qt.KeyboardModifier.NoModifier, Qt.KeyboardModifier.ControlModifier


def move(canvas: QWidget, to: QPoint, button: Any = NO_BUTTON, held: Any = NOTHING) -> None:
    """Move the mouse over the canvas, with a button pressed or none, and have it heard.

    Not by QTest: that knows no buttons, and moves the screen's own pointer, which may come late.
    """
    places = QPointF(to), QPointF(canvas.mapToGlobal(to))
    event = QMouseEvent(QEvent.Type.MouseMove, *places, NO_BUTTON, button, held)
    canvas._last_time = 0  # vispy leaves out what follows within 10 ms, as no hand does
    QApplication.sendEvent(canvas, event)


class Hands:
    """Mouse and keyboard on a viewer whose window is shown.

    Parameters
    ----------
    viewer : napari.Viewer
    """

    def __init__(self, viewer: Any) -> None:
        self._viewer = viewer
        QApplication.setActiveWindow(self.window)  # no window manager does it here
        self.canvas.setFocus()
        QApplication.processEvents()

    # not kept: the last test's hands outlive the window

    @property
    def window(self) -> QWidget:
        """The viewer's window."""
        return self._viewer.window._qt_window

    @property
    def canvas(self) -> QWidget:
        """Where the picture is."""
        return self._viewer.window._qt_viewer.canvas.native

    def place(self, y: float, x: float) -> QPoint:
        """Where a pixel of the lowest layer is on the canvas."""
        layer = self._viewer.layers[0]
        world = layer.data_to_world([*[0] * (layer.ndim - 2), y, x])
        scene = self._viewer.window._qt_viewer.canvas.view.scene
        left, top, *_ = scene.transform.map([world[-1], world[-2], 0, 1])
        return QPoint(round(left), round(top))

    def click(self, y: float, x: float, button: Any = LEFT, held: Any = NOTHING) -> None:
        """Press and release a button over a pixel."""
        self.drag([(y, x)], button, held)

    def drag(self, way: list[tuple[float, float]], button: Any = LEFT, held: Any = NOTHING) -> None:
        """Press a button over a pixel, go on to others, release it over the last one."""
        first, *others = [self.place(y, x) for y, x in way]
        self._move(first, NO_BUTTON, held)
        QTest.mousePress(self.canvas, button, held, first)
        last = first
        for last in others:
            self._move(last, button, held)
        QTest.mouseRelease(self.canvas, button, held, last)
        QApplication.processEvents()

    def _move(self, to: QPoint, button: Any, held: Any) -> None:
        move(self.canvas, to, button, held)
        QApplication.processEvents()

    def press(self, widget: Any) -> None:
        """Click a control in its middle."""
        native = getattr(widget, "native", widget)
        QTest.mouseClick(native, LEFT, NOTHING, native.rect().center())
        QApplication.processEvents()

    def type(self, keys: str) -> None:
        """Type letters to whoever has the keyboard."""
        for key in keys:
            QTest.keyClicks(QApplication.focusWidget() or self.window, key)
        QApplication.processEvents()

    def key(self, key: Any) -> None:
        """Press a key by its Qt name."""
        QTest.keyClick(QApplication.focusWidget() or self.window, key)
        QApplication.processEvents()

    @property
    def has_canvas(self) -> bool:
        """Whether the keyboard belongs to the picture."""
        return QApplication.focusWidget() is self.canvas
