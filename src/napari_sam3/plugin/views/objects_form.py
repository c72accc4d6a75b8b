"""The fields about whole objects."""

from __future__ import annotations

from magicgui.widgets import CheckBox, LineEdit, PushButton
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QLabel, QPushButton, QSizePolicy, QVBoxLayout, QWidget

from napari_sam3.plugin.controllers.frame_lock import LOCK_KEY
from napari_sam3.plugin.views.widgets.groups import FoldedGroup, tight


class ObjectsForm:
    """The table of objects; below it what becomes of the one in hand, locked frames and tracks.

    Parameters
    ----------
    table : QWidget
        The table.
    """

    def __init__(self, table: QWidget) -> None:
        self.daughters = LineEdit(
            label="Daughters",
            tooltip="The numbers of the objects that the current one becomes, as in 7, 8.",
        )
        self.daughters.native.setPlaceholderText("as in 7, 8")
        self.pick = QPushButton("Click them")
        self.pick.setCheckable(True)
        self.pick.setToolTip(
            "While this is pressed, a click on an object in the picture adds it to the daughters, "
            "another one takes it away."
        )
        self.pick.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        self.divide = PushButton(
            text="Divides here",
            tooltip="The current object divides into these daughters; the frame on screen is "
            "their first one.",
        )
        self.new_daughters = PushButton(
            text="New daughters",
            tooltip="The current object divides here into two that have no clicks yet: they get "
            "numbers, and the next click shows the first of them.",
        )
        self.undivide = PushButton(
            text="Unmark", tooltip="Take back that the current object divides."
        )
        self.lineage = QLabel()
        self.lineage.setWordWrap(True)
        self.lineage.setTextFormat(Qt.TextFormat.PlainText)  # names are no markup
        self.lock = CheckBox(
            text="Lock frame",
            tooltip="What is on the frame on screen is right: no propagation or prompt changes it. "
            f"You can still paint in it. Key {LOCK_KEY}.",
        )
        self.tracks = PushButton(
            text="Show tracks",
            tooltip="A layer of the objects' centres, with divisions; pressed again, and after "
            "each propagation, it is brought up to date.",
        )
        self.reset = PushButton(
            text="Reset",
            tooltip="Begin anew: forget all objects, with their masks and names, and empty the "
            "prompt layers made here. Ctrl+Z brings all of it back.",
        )
        self.more = FoldedGroup(
            "Divisions, frame lock, tracks", "What becomes of the object in hand, and of frames."
        )
        rows = self.more.rows
        rows.add(self.daughters, self.pick)
        rows.add_row(self.divide.native, self.new_daughters.native, self.undivide.native)
        rows.add_row(self.lineage)
        rows.add_row(self.lock.native)
        rows.add_row(self.tracks.native, self.reset.native)
        self.group = QWidget()
        column = tight(QVBoxLayout(self.group), 2)
        column.addWidget(table)
        column.addWidget(self.more)

    def show_search(self, is_on: bool, can_change: bool) -> None:
        """Say whether numbers for new daughters are being looked for."""
        self.new_daughters.enabled = can_change and not is_on
        self.new_daughters.text = "Reading …" if is_on else "New daughters"

    def show_lock(self, frame_index: int | None, is_locked: bool, n_locked: int) -> None:
        """Say whether the frame on screen is locked; None where there is nothing to lock."""
        self.lock.enabled = frame_index is not None
        others = f" ({n_locked} locked)" if n_locked else ""
        self.lock.text = (
            "Lock frame" if frame_index is None else f"Lock frame {frame_index}{others}"
        )
        self.lock.native.setChecked(is_locked)
