"""The rows of objects as Qt sees them: sorted and filtered here, with symbols for eye and lock."""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum
from typing import Any

from qtpy.QtCore import QAbstractTableModel, QModelIndex, QObject, QPointF, QRectF, Qt
from qtpy.QtGui import QColor, QPainter, QPainterPath, QPalette, QPen
from qtpy.QtWidgets import QStyledItemDelegate, QStyleOptionViewItem, QWidget

from napari_sam3.labels.frame_ranges import stretches
from napari_sam3.plugin.model.object_rows import ObjectRow, ObjectRows, ObjectState, RowsChange


class Column(IntEnum):
    """What stands where."""

    COLOUR = 0
    ID = 1
    NAME = 2
    CLASS = 3
    STATE = 4
    FRAMES = 5
    SCORE = 6
    PROMPTS = 7
    EYE = 8
    LOCK = 9


HEADERS = {
    Column.COLOUR: ("", "Colour, as in the labels. Double click: choose another one."),
    Column.ID: ("#", "Number of the object: its label in the results."),
    Column.NAME: ("Name", "What you call it. Double click or F2: type a name."),
    Column.CLASS: ("Class", "What it is, as 'cell'. Double click: type it."),
    Column.STATE: (
        "State",
        "new: only pointed out. previewed: shown where it was pointed out. tracked: followed. "
        "lost: not seen on frames that were followed. to check: found by a text; accept or reject.",
    ),
    Column.FRAMES: ("Frames", "On how many frames it is."),
    Column.SCORE: ("Score", "How sure the model is, 0 to 1; the mean of all frames."),
    Column.PROMPTS: ("✎", "Clicks, boxes and painted frames that show it."),
    Column.EYE: ("", "Eye: whether it is drawn; its labels stay as they are."),
    Column.LOCK: (
        "",
        "Padlock: a locked object stays as it is; no propagation, painting or edit changes it.",
    ),
}

_STATES = {state: place for place, state in enumerate(ObjectState)}

_SORTED_BY: dict[Column, Callable[[ObjectRow], Any]] = {
    Column.COLOUR: lambda row: QColor(row.color).hueF(),
    Column.ID: lambda row: row.obj_id,
    Column.NAME: lambda row: row.name.lower(),
    Column.CLASS: lambda row: row.class_name.lower(),
    Column.STATE: lambda row: _STATES[row.state],
    Column.FRAMES: lambda row: -1 if row.n_frames is None else row.n_frames,
    Column.SCORE: lambda row: -1.0 if row.score is None else row.score,
    Column.PROMPTS: lambda row: row.n_prompts,
    Column.EYE: lambda row: row.is_shown,
    Column.LOCK: lambda row: row.is_locked,
}


class ObjectsTableModel(QAbstractTableModel):
    """A Qt model on `ObjectRows`; what changed there is changed here, and nothing else.

    Parameters
    ----------
    rows : ObjectRows
        What is shown.
    edit : callable
        Called with an id, `Column.NAME` or `Column.CLASS`, and the text that was typed.
    parent : QObject, optional
        Qt's.
    """

    def __init__(
        self,
        rows: ObjectRows,
        edit: Callable[[int, Column, str], object],
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._rows, self._edit = rows, edit
        self.ids: list[int] = []  # in the order of the rows on screen
        self._words: tuple[str, ...] = ()
        self._column, self._is_falling = Column.ID, False
        self.can_edit = True
        self.is_arranging = False  # rows come, go and move, and with them the current one
        rows.changed.connect(self._on_rows_changed)
        self._arrange()

    def close(self) -> None:
        """Hear no more of the rows."""
        self._rows.changed.disconnect(self._on_rows_changed)

    # ------------------------------------------------------------ what is where

    def row(self, index: QModelIndex) -> ObjectRow:
        """The object at a place."""
        return self._rows[self.ids[index.row()]]

    def place(self, obj_id: int, column: Column = Column.ID) -> QModelIndex:
        """Where an object is; an invalid index where it is not shown."""
        if obj_id in self.ids:
            return self.index(self.ids.index(obj_id), column)
        return QModelIndex()

    def filter(self, text: str) -> None:
        """Show the objects that have all words of a text in number, name, class or state."""
        self._words = tuple(text.lower().split())
        self._arrange()

    def sort(self, column: int, order: Qt.SortOrder = Qt.SortOrder.AscendingOrder) -> None:
        """Sort by a column; of equal ones the lower number comes first."""
        self._column = Column(max(column, 0)) if column >= 0 else Column.ID
        self._is_falling = order == Qt.SortOrder.DescendingOrder
        self._arrange()

    def _is_wanted(self, row: ObjectRow) -> bool:
        if not self._words:
            return True
        said = f"{row.obj_id} {row.name} {row.class_name} {row.state.value}".lower()
        return all(word in said for word in self._words)

    def _arrange(self) -> None:
        """Let rows come, go and change places; those that are selected stay so."""
        rows = self._rows
        wanted = sorted(i for i, row in rows.items() if self._is_wanted(row))
        if self._column is not Column.ID or self._is_falling:
            value = _SORTED_BY[self._column]
            wanted.sort(key=lambda i: value(rows[i]), reverse=self._is_falling)
        if wanted != self.ids:
            self.is_arranging = True
            try:
                self._rearrange(wanted)
            finally:
                self.is_arranging = False

    def _rearrange(self, wanted: list[int]) -> None:
        left = set(wanted)
        # those that go, last: so they go at once
        self._move([*(i for i in self.ids if i in left), *(i for i in self.ids if i not in left)])
        n_left = sum(i in left for i in self.ids)
        if n_left < len(self.ids):
            self.beginRemoveRows(QModelIndex(), n_left, len(self.ids) - 1)
            del self.ids[n_left:]
            self.endRemoveRows()
        new = sorted(left.difference(self.ids))
        if new:
            self.beginInsertRows(QModelIndex(), len(self.ids), len(self.ids) + len(new) - 1)
            self.ids += new
            self.endInsertRows()
        self._move(wanted)

    def _move(self, order: list[int]) -> None:
        """Let rows change places."""
        if self.ids == order:
            return
        self.layoutAboutToBeChanged.emit()
        held = self.persistentIndexList()
        places = {obj_id: n for n, obj_id in enumerate(order)}
        moved = [self.index(places[self.ids[i.row()]], i.column()) for i in held]
        self.ids = order
        self.changePersistentIndexList(held, moved)
        self.layoutChanged.emit()

    def _on_rows_changed(self, change: RowsChange) -> None:
        self._arrange()
        shown = [n for n, obj_id in enumerate(self.ids) if obj_id in change.changed]
        last = len(Column) - 1
        for begin, end in stretches(shown):
            self.dataChanged.emit(self.index(begin, 0), self.index(end, last))

    # ------------------------------------------------------------ what Qt asks

    def rowCount(self, parent: QModelIndex | None = None) -> int:  # noqa: N802 (Qt's name)
        """How many objects are shown."""
        return 0 if parent is not None and parent.isValid() else len(self.ids)

    def columnCount(self, parent: QModelIndex | None = None) -> int:  # noqa: N802 (Qt's name)
        """How many columns there are."""
        return 0 if parent is not None and parent.isValid() else len(Column)

    def headerData(  # noqa: N802 (Qt's name)
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole
    ) -> Any:
        """What stands over a column."""
        if orientation == Qt.Orientation.Horizontal:
            if role == Qt.ItemDataRole.DisplayRole:
                return HEADERS[Column(section)][0]
            if role == Qt.ItemDataRole.ToolTipRole:
                return HEADERS[Column(section)][1]
        return None

    def flags(self, index: QModelIndex) -> Qt.ItemFlag:
        """What can be done with a cell."""
        flags = Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable
        if index.column() in (Column.NAME, Column.CLASS) and self.can_edit:
            flags |= Qt.ItemFlag.ItemIsEditable
        return flags

    def data(self, index: QModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """What a cell says."""
        row, column = self.row(index), Column(index.column())
        if role in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.EditRole):
            return _text(row, column)
        if role == Qt.ItemDataRole.ToolTipRole:
            return _tooltip(row, column)
        if role == Qt.ItemDataRole.TextAlignmentRole and column in _NUMBERS:
            return Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        return None

    def setData(  # noqa: N802 (Qt's name)
        self, index: QModelIndex, value: Any, role: int = Qt.ItemDataRole.EditRole
    ) -> bool:
        """Hand on what was typed; the row changes when the rows do."""
        column = Column(index.column())
        if role != Qt.ItemDataRole.EditRole or str(value) == _text(self.row(index), column):
            return False
        self._edit(self.row(index).obj_id, column, str(value))
        return True


_NUMBERS = (Column.ID, Column.FRAMES, Column.SCORE, Column.PROMPTS)


_TEXTS: dict[Column, Callable[[ObjectRow], str]] = {
    Column.ID: lambda row: str(row.obj_id),
    Column.NAME: lambda row: row.name,
    Column.CLASS: lambda row: row.class_name,
    Column.STATE: lambda row: row.state.value,
    Column.FRAMES: lambda row: "" if row.n_frames is None else str(row.n_frames),
    Column.SCORE: lambda row: "" if row.score is None else f"{row.score:.2f}",
    Column.PROMPTS: lambda row: str(row.n_prompts or ""),
}


def _text(row: ObjectRow, column: Column) -> str:
    return _TEXTS[column](row) if column in _TEXTS else ""


def _tooltip(row: ObjectRow, column: Column) -> str:
    if column is Column.STATE and row.lost_at is not None:
        return f"not seen on frame {row.lost_at}, though that was followed"
    if column is Column.EYE:
        return "drawn; click to hide it" if row.is_shown else "hidden; click to draw it"
    if column is Column.LOCK:
        return "locked; click to unlock it" if row.is_locked else "click to lock it"
    return _text(row, column) or HEADERS[column][1]


class SymbolDelegate(QStyledItemDelegate):
    """Draws colours, eyes and padlocks, in the colours of the theme."""

    def paint(
        self, painter: QPainter | None, option: QStyleOptionViewItem, index: QModelIndex
    ) -> None:
        """Draw a cell."""
        super().paint(painter, option, index)
        model = index.model()
        if painter is None or not isinstance(model, ObjectsTableModel):
            return
        row, column = model.row(index), index.column()
        rect, widget = QRectF(option.rect), option.widget
        side = min(rect.width(), rect.height(), 18.0) - 4
        box = QRectF(rect.center() - QPointF(side / 2, side / 2), QRectF(0, 0, side, side).size())
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        ink = (widget if isinstance(widget, QWidget) else option).palette
        palette = ink() if callable(ink) else ink
        color = palette.color(QPalette.ColorRole.Text)
        if column == Column.COLOUR:
            painter.setPen(QPen(QColor("#909090"), 1))
            painter.setBrush(QColor(row.color))
            painter.drawRoundedRect(box, 2, 2)
        elif column == Column.EYE:
            draw_eye(painter, box, color, is_open=row.is_shown)
        elif column == Column.LOCK:
            draw_padlock(painter, box, color, is_closed=row.is_locked)
        painter.restore()


def draw_eye(painter: QPainter, box: QRectF, color: QColor, *, is_open: bool) -> None:
    """An eye; crossed out where it is closed."""
    if not is_open:
        color = QColor(color)
        color.setAlphaF(0.5)
    painter.setPen(QPen(color, 1.3))
    lid = QPainterPath(QPointF(box.left(), box.center().y()))
    for height in (box.top(), box.bottom()):
        lid.moveTo(box.left(), box.center().y())
        lid.quadTo(QPointF(box.center().x(), height), QPointF(box.right(), box.center().y()))
    painter.setBrush(Qt.BrushStyle.NoBrush)
    painter.drawPath(lid)
    painter.setBrush(color)
    painter.drawEllipse(box.center(), box.width() / 7, box.width() / 7)
    if not is_open:
        painter.drawLine(box.bottomLeft(), box.topRight())


def draw_padlock(painter: QPainter, box: QRectF, color: QColor, *, is_closed: bool) -> None:
    """A padlock; a faint open one where nothing is locked."""
    if not is_closed:
        color = QColor(color)
        color.setAlphaF(0.35)
    painter.setPen(QPen(color, 1.4))
    body = QRectF(box.left() + 2, box.center().y() - 1, box.width() - 4, box.height() / 2)
    bow = QRectF(body.left() + 1.5, box.top() + 1, body.width() - 3, box.height() - 4)
    painter.setBrush(Qt.BrushStyle.NoBrush)
    painter.drawArc(bow, 0 if is_closed else 35 * 16, (180 if is_closed else 145) * 16)
    painter.setBrush(color)
    painter.drawRoundedRect(body, 1.5, 1.5)
