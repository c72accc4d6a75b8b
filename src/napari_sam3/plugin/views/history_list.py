"""The part "History" of the dock: what was done to the video, to be undone and redone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from qtpy.QtCore import QSignalBlocker, Qt
from qtpy.QtGui import QKeySequence, QShortcut
from qtpy.QtWidgets import QAbstractItemView, QListWidget, QListWidgetItem, QPushButton, QWidget

from napari_sam3.plugin.controllers.show_errors import show_errors
from napari_sam3.plugin.controllers.tracking_controller import TrackingController
from napari_sam3.plugin.controllers.undo_keys import redo_by_key, undo_by_key
from napari_sam3.plugin.model.command_history import CommandHistory
from napari_sam3.plugin.views.widgets.groups import FoldedGroup

ROWS_SHOWN = 6
DONE, UNDONE = "✓", "–"  # not by colour alone
BEGINNING = "beginning"


class HistoryList:
    """All that was done to the chosen video, the oldest first; what was undone comes last.

    A click on a row has all done up to it, and nothing after it.

    Parameters
    ----------
    tracking : TrackingController

    Attributes
    ----------
    group : FoldedGroup
        What the person sees.
    list : QListWidget
        A row for each, after one for the beginning.
    undo, redo : QPushButton
    """

    def __init__(self, tracking: TrackingController) -> None:
        self._tracking = tracking
        self._history: CommandHistory | None = None
        self.undo = _button("Undo", lambda: undo_by_key(tracking))
        self.redo = _button("Redo", lambda: redo_by_key(tracking))
        self.list = QListWidget()
        self.list.setToolTip(
            "What was done to this video, the oldest first. Click a row: all up to it is done "
            "then, and what came after it is undone, until you do something else."
        )
        self.list.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
        self.list.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.list.setTextElideMode(Qt.TextElideMode.ElideRight)
        self.list.itemClicked.connect(self._go_to)
        self.list.itemActivated.connect(self._go_to)
        self.group = FoldedGroup("History", "What was done to this video, to be undone and redone.")
        self.group.rows.add_row(self.undo, self.redo)
        self.group.rows.add_row(self.list)
        self.group.toggled.connect(self._show_if_seen)
        tracking.state.events.video.connect(self._watch)
        self._watch()

    def close(self) -> None:
        """Let go of the history."""
        if self._history is not None:
            self._history.changed.disconnect(self._show_if_seen)
            self._history = None

    def _watch(self, _video: Any = None) -> None:
        self.close()
        current = self._tracking.state.current
        if current is not None:
            self._history = current.history
            self._history.changed.connect(self._show_if_seen)
        self._show_if_seen()

    def _show_if_seen(self, _change: Any = None) -> None:
        """A row for each thing done takes its time with every click: not while it is folded."""
        if self.group.isExpanded():
            self._show()

    def _show(self) -> None:
        history = self._history
        done = [] if history is None else [command.label for command in history.done]
        undone = [] if history is None else [command.label for command in history.undone]
        for button, label, keys in (
            (self.undo, done[-1] if done else "", QKeySequence.StandardKey.Undo),
            (self.redo, undone[0] if undone else "", QKeySequence.StandardKey.Redo),
        ):
            button.setEnabled(bool(label))
            key = QKeySequence(keys).toString(QKeySequence.SequenceFormat.NativeText)
            button.setToolTip(f"{button.text()}: {label or 'nothing to do'} ({key})")
        with QSignalBlocker(self.list):
            self.list.clear()
            for number, label in enumerate([BEGINNING, *done, *undone]):
                self.list.addItem(_row(label, number <= len(done), number == len(done)))
        height = self.list.sizeHintForRow(0) * ROWS_SHOWN + 2 * self.list.frameWidth() + 6
        self.list.setFixedHeight(height)
        self.list.scrollToItem(self.list.item(len(done)))

    def _go_to(self, item: QListWidgetItem) -> None:
        show_errors(lambda: self._tracking.go_to(self.list.row(item)))


def add_shortcuts(dock: QWidget, tracking: TrackingController) -> None:
    """Undo and redo by keys where the dock has the focus; a text field that has it goes first."""
    for keys, act in (
        (QKeySequence.StandardKey.Undo, undo_by_key),
        (QKeySequence.StandardKey.Redo, redo_by_key),
    ):
        shortcut = QShortcut(QKeySequence(keys), dock)
        shortcut.setContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
        shortcut.activated.connect(lambda act=act: act(tracking))


def _button(text: str, act: Callable[[], object]) -> QPushButton:
    button = QPushButton(text)
    button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
    button.clicked.connect(lambda _pressed: act())
    return button


def _row(label: str, is_done: bool, is_newest: bool) -> QListWidgetItem:
    item = QListWidgetItem(f"{DONE if is_done else UNDONE} {label}")
    item.setToolTip(label if is_done else f"{label} (undone)")
    font = item.font()
    font.setItalic(not is_done)
    font.setBold(is_newest)
    item.setFont(font)
    return item
