"""The table of objects: what there is, how it stands, and what is done to whole objects."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from time import perf_counter
from typing import Any

from qtpy.QtCore import QItemSelection, QItemSelectionModel, QModelIndex, QSize, Qt, Signal
from qtpy.QtGui import QColor, QKeyEvent, QMouseEvent
from qtpy.QtWidgets import (
    QAbstractItemView,
    QColorDialog,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QLineEdit,
    QMenu,
    QTableView,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from napari_sam3.plugin.controllers.object_list import ObjectList
from napari_sam3.plugin.controllers.show_errors import show_errors
from napari_sam3.plugin.controllers.timers import single_shot
from napari_sam3.plugin.controllers.track_edits import TrackEdits
from napari_sam3.plugin.controllers.tracking_controller import TrackingController
from napari_sam3.plugin.layers.label_planes import is_read_only
from napari_sam3.plugin.model.connections import Connections
from napari_sam3.plugin.model.object_rows import ObjectState, RowsChange
from napari_sam3.plugin.views.objects_table_model import (
    Column,
    ObjectsTableModel,
    SymbolDelegate,
)
from napari_sam3.plugin.views.widgets.groups import tight

REFRESH_MS = 120
NEXT_PART_MS = 15  # of a long video, that is counted a part at a time
SHARE_OF_TIME = 0.2  # most that refreshing may take
HEIGHT = 150
"""Of the table itself, px; it scrolls."""

_WIDTHS = {
    Column.COLOUR: 18,
    Column.ID: 23,
    Column.CLASS: 35,
    Column.STATE: 68,
    Column.FRAMES: 44,
    Column.SCORE: 34,
    Column.PROMPTS: 18,
    Column.EYE: 18,
    Column.LOCK: 18,
}
_TOGGLES = (Column.EYE, Column.LOCK)


class ObjectsTable(QWidget):
    """All objects, a row each; the current row is the object in hand.

    F2 or a double click renames, Delete removes what is selected, arrows walk, Escape gives the
    keys back to the picture. More is in the menu that a right click opens.

    Parameters
    ----------
    tracking : TrackingController
        What is worked on.
    objects : ObjectList
        The rows.
    edits : TrackEdits
        Merges, splits, swaps.
    """

    def __init__(
        self, tracking: TrackingController, objects: ObjectList, edits: TrackEdits
    ) -> None:
        super().__init__()
        self._tracking, self._state = tracking, tracking.state
        self._objects, self._edits = objects, edits
        self._is_following = False  # while the selection is set by the program
        self.search = QLineEdit()
        self.search.setPlaceholderText("filter: number, name, class or state")
        self.search.setClearButtonEnabled(True)
        self.search.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
        self.search.setToolTip(
            "Show only the objects that have all these words, as in: cell lost. Escape empties it."
        )
        self.count = QLabel()
        self.model = ObjectsTableModel(objects.rows, self._edit_cell, self)
        self.view = _View(self.model)
        self._selection: Any = self.view.selectionModel()
        self.view.toggled.connect(self._on_toggled)
        self.view.removed.connect(self.remove)
        self.view.color_asked.connect(self.ask_color)
        self.buttons = {
            name: _button(name, tooltip, act)
            for name, tooltip, act in (
                (
                    "Remove",
                    "Remove the selected objects, hints and masks. Key Delete.",
                    self.remove,
                ),
                (
                    "Merge",
                    "Make one object of those selected; it keeps the number of the one in hand.",
                    self.merge,
                ),
                (
                    "Split",
                    "From the frame on screen on, the object in hand becomes a new object.",
                    self.split,
                ),
                (
                    "Swap",
                    "From the frame on screen on, the two selected objects change numbers.",
                    self.swap,
                ),
                (
                    "Accept",
                    "What a text or a detector has found is right: keep what is selected.",
                    self.accept,
                ),
                (
                    "Reject",
                    "What a text or a detector has found is wrong: remove what is selected.",
                    self.reject,
                ),
            )
        }
        self.more = QToolButton()
        self.more.setText("▾")
        self.more.setToolTip("All that can be done with the selected objects.")
        self.more.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.more.clicked.connect(self._open_menu)
        self._lay_out()
        self._due = single_shot(self, self.refresh)
        self._pause_ms = REFRESH_MS
        self._heard = Connections()
        self._connect()
        self.refresh()

    def _lay_out(self) -> None:
        top, row = tight(QHBoxLayout(), 3), tight(QHBoxLayout(), 0)
        top.addWidget(self.search, 1)
        top.addWidget(self.count)
        for button in self.buttons.values():
            row.addWidget(button)
        row.addStretch()
        row.addWidget(self.more)
        column = tight(QVBoxLayout(self), 3)
        column.addLayout(top)
        column.addWidget(self.view)
        column.addLayout(row)

    def _connect(self) -> None:
        self.search.textChanged.connect(self._on_filter_typed)
        self._selection.selectionChanged.connect(self._on_selection_changed)
        self._selection.currentRowChanged.connect(self._on_current_changed)
        self.view.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.view.customContextMenuRequested.connect(self._open_menu)
        self._state.hear(self._on_object_in_hand, "object_in_hand")
        self._state.hear(self.note, "video", "project", "n_prompts", "phase", "points", "boxes")
        self._heard.hear(self._on_rows_changed, self._objects.rows.changed)
        tracking, layers = self._tracking, self._tracking.viewer.layers
        self._heard.hear(
            self.note,
            *(tracking.ended, tracking.tracked, self._edits.ended),
            *(tracking.detection.changed, tracking.objects.objects_changed),
            *(layers.selection.events.active, layers.events.removed),
        )

    def close_down(self) -> None:
        """Let go of the viewer."""
        self._due.stop()
        self._due.timeout.disconnect(self.refresh)
        self._heard.let_go()
        self.model.close()

    # ------------------------------------------------------------ what is shown

    def note(self, _event: Any = None) -> None:
        """Something may be another; shown within a moment, however often it is told."""
        if not self._due.isActive():
            self._due.start(self._pause_ms)

    def refresh(self) -> None:
        """Show the objects as they are."""
        began = perf_counter()
        is_whole = self._objects.refresh()
        layer = self._objects.layer
        self.model.can_edit = layer is not None and not is_read_only(layer)
        self._enable()
        took_ms = 1000 * (perf_counter() - began)
        self._pause_ms = max(REFRESH_MS, int(took_ms / SHARE_OF_TIME))
        if not is_whole:
            self._due.start(NEXT_PART_MS)

    def _on_rows_changed(self, change: RowsChange) -> None:
        if change.added or change.removed:
            self._follow()
        n_shown, n_all = self.model.rowCount(), len(self._objects.rows)
        self.count.setText(str(n_all) if n_shown == n_all else f"{n_shown} of {n_all}")

    def _enable(self) -> None:
        selected = [self._objects.rows[i] for i in self.selected if i in self._objects.rows]
        is_proposed = not self._tracking.detection.proposals.keys().isdisjoint(self.selected)
        # there may be no labels yet
        can_change = self._can_change and self._state.is_idle
        is_candidate = any(row.state is ObjectState.TO_CHECK for row in selected)
        enough = {
            "Remove": bool(selected),
            "Merge": len(selected) > 1 and not is_proposed,
            "Split": len(selected) == 1 and not is_proposed,
            "Swap": len(selected) == 2 and not is_proposed,
            "Accept": is_candidate,
            "Reject": is_candidate,
        }
        for name, button in self.buttons.items():
            button.setEnabled(can_change and enough[name])
        self.more.setEnabled(bool(self._objects.rows))

    @property
    def _can_change(self) -> bool:
        """Whether objects may be kept or removed: there are labels, or proposals."""
        proposals = self._tracking.detection.proposals
        return self.model.can_edit or (bool(proposals) and self._state.can_change)

    # ---------------------------------------------------------------- selection

    @property
    def selected(self) -> list[int]:
        """Ids of the rows that are selected, as they are shown; the one in hand first."""
        rows = {index.row() for index in self._selection.selectedRows()}
        ids = [self.model.ids[n] for n in sorted(rows)]
        in_hand = self._state.object_in_hand
        return sorted(ids, key=lambda i: i != in_hand)

    def select(self, obj_ids: Iterable[int]) -> None:
        """Select the rows of objects; those that are not shown are left out."""
        chosen = QItemSelection()
        for place in map(self.model.place, obj_ids):
            if place.isValid():
                chosen.select(place, place)
        flags = QItemSelectionModel.SelectionFlag
        self._selection.select(chosen, flags.ClearAndSelect | flags.Rows)

    def _on_selection_changed(self, _new: QItemSelection, _old: QItemSelection) -> None:
        self._enable()

    def _on_current_changed(self, now: QModelIndex, _before: QModelIndex) -> None:
        if now.isValid() and not self._is_following and not self.model.is_arranging:
            self._is_following = True  # the view selects the row itself, after this
            try:
                self._state.object_in_hand = self.model.row(now).obj_id
            finally:
                self._is_following = False

    def _on_object_in_hand(self, _obj_id: int) -> None:
        if self._state.object_in_hand not in self._objects.rows:
            self.refresh()  # it is new
        self._follow()

    def _follow(self) -> None:
        """Have the row of the object in hand be the current one."""
        if self._is_following:
            return
        place = self.model.place(self._state.object_in_hand)
        selection = self._selection
        is_current = place.isValid() and place.row() == selection.currentIndex().row()
        if is_current and selection.isRowSelected(place.row(), QModelIndex()):
            return
        flags = QItemSelectionModel.SelectionFlag
        self._is_following = True
        try:
            if place.isValid():
                selection.setCurrentIndex(place, flags.ClearAndSelect | flags.Rows)
                self.view.scrollTo(place)
            else:
                selection.clear()
        finally:
            self._is_following = False

    def _on_filter_typed(self, text: str) -> None:
        self.model.filter(text)
        self._follow()
        self._on_rows_changed(RowsChange())

    # ----------------------------------------------------- what a person does

    def remove(self) -> None:
        """Remove the selected objects."""
        self._try(lambda: self._edits.remove(self.selected))

    def merge(self) -> None:
        """Make one object of those selected: the one in hand."""
        self._try(lambda: self._edits.merge(self.selected[1:], self.selected[0]))

    def split(self) -> None:
        """Make a new object of the one in hand, from the frame on screen on."""
        self._try(lambda: self._edits.split(self.selected[0]))

    def swap(self) -> None:
        """Let the two selected objects change numbers, from the frame on screen on."""
        self._try(lambda: self._edits.swap(*self.selected[:2]))

    def accept(self) -> None:
        """Keep those of the selected objects that were found and not checked."""
        self._try(lambda: self._edits.accept(self._to_check(self.selected)))

    def reject(self) -> None:
        """Remove those of the selected objects that were found and not checked."""
        self._try(lambda: self._edits.remove(self._to_check(self.selected)))

    def accept_all(self) -> None:
        """Keep all that a text or a detector has found."""
        self._try(lambda: self._edits.accept(self._to_check(self._objects.rows)))

    def reject_all(self) -> None:
        """Remove all that a text or a detector has found and nobody has accepted."""
        self._try(lambda: self._edits.remove(self._to_check(self._objects.rows)))

    def recolor(self, color: str) -> None:
        """Give the selected objects a colour, "#ff8800"; their own by an empty string."""
        self._try(lambda: self._edits.recolor(self.selected, color))

    def lock(self, is_locked: bool = True) -> None:
        """Lock the selected objects, or unlock them."""
        self._try(lambda: self._edits.lock(self.selected, is_locked))

    def ask_color(self) -> None:
        """Let the person choose a colour for the selected objects."""
        if self.selected and self.model.can_edit:
            now = QColor(self._objects.rows[self.selected[0]].color)
            chosen = QColorDialog.getColor(now, self, "Colour of the objects")
            if chosen.isValid():
                self.recolor(chosen.name())

    def show_only_selected(self) -> None:
        """Draw the selected objects and no others."""
        self._objects.show_only(self.selected)

    def _to_check(self, obj_ids: Iterable[int]) -> list[int]:
        rows = self._objects.rows
        return [i for i in obj_ids if rows[i].state is ObjectState.TO_CHECK]

    def _on_toggled(self, obj_id: int, column: int) -> None:
        row = self._objects.rows[obj_id]
        ids = self.selected if obj_id in self.selected else [obj_id]
        if column == Column.EYE:
            self._objects.show(ids, not row.is_shown)
        elif self.model.can_edit:
            self._try(lambda: self._edits.lock(ids, not row.is_locked))

    def _edit_cell(self, obj_id: int, column: Column, text: str) -> None:
        layer = self._objects.layer
        if layer is not None:
            objects = self._tracking.objects
            change = objects.rename if column is Column.NAME else objects.classify
            self._try(lambda: change(layer, obj_id, text))

    def _try(self, act: Callable[[], object]) -> None:
        """Do something; an error of ours is told instead of raised."""
        show_errors(act)
        self.refresh()

    # --------------------------------------------------------------------- menu

    def _open_menu(self, _place: Any = None) -> None:
        menu = self.make_menu()
        at = self.more.mapToGlobal(self.more.rect().bottomLeft())
        if self.sender() is self.view:
            seen: Any = self.view.viewport()
            at = seen.mapToGlobal(_place)
        menu.popup(at)

    def make_menu(self) -> QMenu:
        """All that can be done, with the names of what is meant."""
        ids, rows = self.selected, self._objects.rows
        can = self.model.can_edit and self._state.is_idle
        can_check = self._can_change and self._state.is_idle
        is_proposed = not self._tracking.detection.proposals.keys().isdisjoint(ids)
        can_join = can and not is_proposed
        to_check = self._to_check(rows)
        is_locked = bool(ids) and rows[ids[0]].is_locked
        hidden = self._objects.hidden()
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        for text, act, is_enabled in (
            ("Rename (F2)", self.view.rename, can and len(ids) == 1),
            ("Colour …", self.ask_color, can and bool(ids)),
            ("Colour of its number", partial(self.recolor, ""), can and bool(ids)),
            (
                "Unlock" if is_locked else "Lock",
                partial(self.lock, not is_locked),
                self.model.can_edit and bool(ids),
            ),
            (None, None, False),
            ("Show only these" if len(ids) > 1 else "Show only this", self.show_only_selected, ids),
            ("Show all", self._objects.show_all, hidden),
            (None, None, False),
            ("Merge into the one in hand", self.merge, can_join and len(ids) > 1),
            ("Split from this frame on", self.split, can_join and len(ids) == 1),
            ("Swap from this frame on", self.swap, can_join and len(ids) == 2),
            ("Remove (Delete)", self.remove, can_check and bool(ids)),
            (None, None, False),
            (f"Accept all to check ({len(to_check)})", self.accept_all, can_check and to_check),
            (f"Reject all to check ({len(to_check)})", self.reject_all, can_check and to_check),
        ):
            if text is None or act is None:
                menu.addSeparator()
            else:
                action: Any = menu.addAction(text)
                action.triggered.connect(lambda _checked=False, act=act: act())
                action.setEnabled(bool(is_enabled))
        return menu


class _View(QTableView):
    """The rows; eye and lock are clicked without selecting anything."""

    toggled = Signal(int, int)
    """An eye or a padlock was clicked: id, column."""

    removed = Signal()
    """The key Delete was pressed."""

    color_asked = Signal()
    """A colour was clicked twice."""

    def __init__(self, model: ObjectsTableModel) -> None:
        super().__init__()
        self._rows = model
        self.setModel(model)
        self.setItemDelegate(SymbolDelegate(self))
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.DoubleClicked)
        self.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
        self.setShowGrid(False)
        self.setWordWrap(False)
        self.setTabKeyNavigation(False)  # Tab goes on to the next control
        self.setFixedHeight(HEIGHT)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setAccessibleName("objects")
        font = self.font()
        font.setPointSizeF(font.pointSizeF() * 0.9)
        self.setFont(font)
        rows: Any = self.verticalHeader()
        rows.hide()
        rows.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        rows.setDefaultSectionSize(self.fontMetrics().height() + 5)
        columns: Any = self.horizontalHeader()
        columns.setFont(font)
        columns.setStyleSheet("QHeaderView::section { padding: 0 2px; border: none; }")
        columns.setMinimumSectionSize(16)
        columns.setHighlightSections(False)
        columns.setFixedHeight(self.fontMetrics().height() + 6)
        columns.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        for column, width in _WIDTHS.items():
            self.setColumnWidth(column, width)
        columns.setSectionResizeMode(Column.NAME, QHeaderView.ResizeMode.Stretch)
        self.setSortingEnabled(True)
        self.sortByColumn(Column.ID, Qt.SortOrder.AscendingOrder)

    def sizeHint(self) -> QSize:  # noqa: N802 (Qt's name)
        """As narrow as the dock wants it."""
        return QSize(300, HEIGHT)

    def rename(self) -> None:
        """Type a name into the current row."""
        index = self.currentIndex()
        if index.isValid():
            self.setCurrentIndex(index.siblingAtColumn(Column.NAME))
            self.edit(index.siblingAtColumn(Column.NAME))

    def mousePressEvent(self, event: QMouseEvent | None) -> None:  # noqa: N802 (Qt's name)
        """A click on an eye or a padlock switches it; any other one selects."""
        if event is None:
            return
        index = self.indexAt(event.position().toPoint())
        is_left = event.button() == Qt.MouseButton.LeftButton
        if is_left and index.isValid() and index.column() in _TOGGLES:
            self.toggled.emit(self._rows.row(index).obj_id, index.column())
        else:
            super().mousePressEvent(event)

    def mouseDoubleClickEvent(self, event: QMouseEvent | None) -> None:  # noqa: N802 (Qt's name)
        """A colour is chosen by clicking it twice; an eye clicked quickly is clicked twice."""
        if event is None:
            return
        column = self.indexAt(event.position().toPoint()).column()
        if column in _TOGGLES:
            self.mousePressEvent(event)
        elif column == Column.COLOUR:
            self.color_asked.emit()
        else:
            super().mouseDoubleClickEvent(event)

    def keyPressEvent(self, event: QKeyEvent | None) -> None:  # noqa: N802 (Qt's name)
        """F2 renames and Delete removes; letters search nothing."""
        if event is None:
            return
        if event.key() == Qt.Key.Key_F2:
            self.rename()
        elif event.key() in (Qt.Key.Key_Delete, Qt.Key.Key_Backspace):
            self.removed.emit()
        elif event.text().isprintable() and event.text() and not event.modifiers():
            event.ignore()
        else:
            super().keyPressEvent(event)


def _button(name: str, tooltip: str, act: Callable[[], object]) -> QToolButton:
    button = QToolButton()
    button.setText(name)
    button.setToolTip(tooltip)
    button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
    button.setMinimumWidth(20)
    button.setStyleSheet("padding: 1px 2px; font-size: 90%;")
    button.clicked.connect(lambda _checked=False: act())
    return button
