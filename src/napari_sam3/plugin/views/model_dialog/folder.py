"""Weights of the person's own: a folder on this machine, or a repository of the hub."""

from __future__ import annotations

import re
from pathlib import Path

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import (
    QFileDialog,
    QGroupBox,
    QHBoxLayout,
    QLineEdit,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from napari_sam3.errors import Sam3Error
from napari_sam3.models.weights import Weights, use_folder
from napari_sam3.plugin.controllers.worker import Errand
from napari_sam3.plugin.views.widgets.groups import paragraph


class FolderPart(QGroupBox):
    """A button that takes a folder in place of a download; for one's own model, a hub id too."""

    named = Signal(object)
    """The `Weights` that have a name now."""

    failed = Signal(object)
    """The `Sam3Error` that says why it can't be used."""

    began = Signal()

    def __init__(self) -> None:
        super().__init__("Without a download")
        self.hint = paragraph(Qt.TextFormat.PlainText)
        self.browse = QPushButton("Use a local folder…")
        self.browse.setToolTip(
            "A folder in transformers' format: config.json, model.safetensors and what is beside "
            "them. It stays where it is."
        )
        self.hub_id = QLineEdit()
        self.hub_id.setPlaceholderText("or a hub id: who/what")
        self.hub_id.setToolTip(
            "A repository of the Hugging Face hub. Only its config.json is asked for, to see "
            "whether the model can be used."
        )
        self.add = QPushButton("Add")
        row = QHBoxLayout()
        row.addWidget(self.browse)
        row.addWidget(self.hub_id)
        row.addWidget(self.add)
        self._room = QWidget()
        row.addWidget(self._room, stretch=1)
        layout = QVBoxLayout(self)
        layout.addWidget(self.hint)
        layout.addLayout(row)
        self.browse.clicked.connect(self._on_browse_pressed)
        self.add.clicked.connect(self._on_add_pressed)
        self.hub_id.returnPressed.connect(self._on_add_pressed)
        self._name: str | None = None
        self._errand = Errand()

    def show_for(self, name: str | None) -> None:
        """Take a folder in place of a model of ours; of one that gets a name if None."""
        self._name = name
        is_own = name is None
        self.hub_id.setVisible(is_own)
        self.add.setVisible(is_own)
        self._room.setVisible(not is_own)
        self.setTitle("A model of your own" if is_own else "Without a download")
        self.hint.setText(
            "A model of the SAM 2, SAM 3 or EdgeTAM family in transformers' format, such as one "
            "fine-tuned for microscopy. It gets the name of its folder or repository."
            if is_own
            else f"A folder that has the weights of {name}, copied from another machine."
        )

    def use(self, place: str) -> None:
        """Take a folder, or a hub id; returns at once."""
        if self._errand.is_running or not place:
            return
        name = _name_of(place) if self._name is None else self._name
        self.began.emit()
        self.setEnabled(False)
        self._errand.start(lambda: use_folder(place, name), self._on_named, self._on_failed)

    def drop(self) -> None:
        """Hear no more of what was asked."""
        self._errand.drop()
        self.setEnabled(True)

    def _on_browse_pressed(self) -> None:
        self.use(QFileDialog.getExistingDirectory(self, "Folder of the model"))

    def _on_add_pressed(self) -> None:
        self.use(self.hub_id.text().strip())

    def _on_named(self, weights: Weights) -> None:
        self.setEnabled(True)
        self.hub_id.clear()
        self.named.emit(weights)

    def _on_failed(self, error: Sam3Error) -> None:
        self.setEnabled(True)
        self.failed.emit(error)


def _name_of(place: str) -> str | None:
    """A name for a folder, without blanks and the like; None for a hub id, which names itself."""
    folder = Path(place)
    return re.sub(r"[^\w.+-]+", "-", folder.name).strip("-.") if folder.is_dir() else None
