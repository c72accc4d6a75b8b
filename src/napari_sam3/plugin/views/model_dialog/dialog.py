"""The dialog itself: the parts in the order in which they are gone through."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import QEvent, Qt, Signal
from qtpy.QtWidgets import QDialog, QGroupBox, QPushButton, QVBoxLayout, QWidget

from napari_sam3.errors import Sam3Error
from napari_sam3.models.weights import Weights, WeightsState, state_of
from napari_sam3.plugin.controllers.worker import Errand
from napari_sam3.plugin.views.model_dialog.access import AccessPart
from napari_sam3.plugin.views.model_dialog.download import DownloadPart
from napari_sam3.plugin.views.model_dialog.folder import FolderPart
from napari_sam3.plugin.views.model_dialog.text import (
    BAD,
    as_rich,
    link,
    say_error,
    say_what_it_is,
)
from napari_sam3.plugin.views.widgets.groups import paragraph

_WIDTH = 520


class GetModelDialog(QDialog):
    """How a model comes to this machine: what its licence says, access, download, own folder.

    The hub is asked when a button is pressed, never before; everything that takes time is done in
    a thread. Closing the dialog lets a download go on; opening it again shows how far it is.

    Parameters
    ----------
    parent : QWidget
        The dock that it belongs to.

    Attributes
    ----------
    look : Errand
        That looks on the disk.
    """

    arrived = Signal(str)
    """A model of this name can be used now."""

    changed = Signal()
    """A state has changed: access was checked, a download began or ended."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.weights: Weights | None = None
        self.about = paragraph()
        self.licence_name = paragraph()
        self.licence = QGroupBox("Licence")
        QVBoxLayout(self.licence).addWidget(self.licence_name)
        self.access = AccessPart()
        self.download = DownloadPart()
        self.folder = FolderPart()
        self.trouble = paragraph()
        self.trouble.setStyleSheet(f"border-left: 3px solid {BAD}; padding: 2px 0 2px 6px;")
        close = QPushButton("Close")
        close.setAutoDefault(False)  # Enter in the token field means Check
        close.clicked.connect(self.hide)
        layout = QVBoxLayout(self)
        for part in (self.about, self.licence, self.access, self.download, self.folder):
            layout.addWidget(part)
        layout.addWidget(self.trouble)
        layout.addStretch()
        layout.addWidget(close, alignment=Qt.AlignmentFlag.AlignRight)
        self.setMinimumWidth(_WIDTH)
        self.access.told.connect(self._on_access_told)
        self.access.failed.connect(self._on_news)
        self.download.began.connect(self._on_news)
        self.download.arrived.connect(self._on_arrived)
        self.download.failed.connect(self._on_failed)
        self.folder.began.connect(self._forget_trouble)
        self.folder.named.connect(self._on_named)
        self.folder.failed.connect(self._on_failed)
        self.look = Errand()
        self._forget_trouble()

    def event(self, event: QEvent | None) -> bool:
        """Give the texts the height that they need, whenever one of them has changed."""
        done = super().event(event)
        layout: Any = self.layout()
        if event is not None and event.type() == QEvent.Type.LayoutRequest and layout is not None:
            height = layout.totalHeightForWidth(self.width())
            self.setMinimumHeight(height)
            self.resize(self.width(), height)
        return done

    # ------------------------------------------------------------ what is shown

    def show_for(self, weights: Weights | None, summary: str = "") -> None:
        """Open on a model's weights; on a model of the person's own, to be named, if None.

        While a download is under way it stays in view.

        Parameters
        ----------
        summary : str
            What the model is good for.
        """
        if not self.download.is_running:
            self.folder.drop()
            self._set_weights(weights, summary)
        self.show()
        self.raise_()
        self.activateWindow()

    def abandon(self) -> None:
        """Stop what is under way, and listen no more; what has come is kept."""
        self.look.drop()
        self.access.drop()
        self.folder.drop()
        self.download.abandon()
        self.hide()

    def _set_weights(self, weights: Weights | None, summary: str) -> None:
        self.weights = weights
        self.access.drop()  # what it was asked is about other weights, or the same elsewhere
        self.download.get.setEnabled(False)  # until it is known what would be fetched
        self._forget_trouble()
        for part in (self.licence, self.access, self.download):
            part.setVisible(weights is not None)
        self.folder.show_for(None if weights is None else weights.name)
        if weights is None:
            self.setWindowTitle("Add a model")
            self.about.setText("Use a model that is not in the list.")
        else:
            self.setWindowTitle(f"Model {weights.name}")
            title = f"<b>{as_rich(weights.name)}</b>: {as_rich(summary)}"
            self.about.setText(f"{title}<br>{as_rich(say_what_it_is(weights))}")
            self.access.setVisible(weights.is_gated)
            self._say_licence(weights)
            self.refresh()

    def refresh(self) -> None:
        """Look on the disk again; the hub is not asked."""
        if self.weights is not None:
            weights = self.weights
            self.look.start(lambda: state_of(weights), self._show_state, self._say_error)

    def _say_licence(self, weights: Weights) -> None:
        licence = weights.licence
        text = f"<b>{link(licence.url, licence.name)}</b>. {as_rich(licence.summary)}"
        if weights.is_gated:
            text += (
                "<br>These weights are gated: log in to Hugging Face, accept the licence on "
                f"{link(weights.page, 'the model’s page')}, and wait for its authors to approve."
            )
        elif weights.page is not None:
            text += f" See {link(weights.page, 'the model’s page')}."
        self.licence_name.setText(text)

    def _show_state(self, now: WeightsState) -> None:
        self.access.show_state(now)
        self.access.setVisible(now.weights.is_gated and not now.is_ready)
        self.download.show_state(now)

    def _say_error(self, error: Sam3Error) -> None:
        self.trouble.setText(say_error(error))
        self.trouble.setVisible(True)

    def _forget_trouble(self) -> None:
        self.trouble.setVisible(False)

    # ------------------------------------------------------------ what happens

    def _on_access_told(self, now: WeightsState) -> None:
        self._forget_trouble()
        self.download.show_state(now)
        self.changed.emit()

    def _on_news(self) -> None:
        self._forget_trouble()
        self.changed.emit()

    def _on_arrived(self) -> None:
        self.refresh()
        self.changed.emit()
        if self.weights is not None:
            self.arrived.emit(self.weights.name)

    def _on_named(self, weights: Weights) -> None:
        self._set_weights(weights, "a model of your own")
        self.changed.emit()
        self.arrived.emit(weights.name)

    def _on_failed(self, error: Sam3Error) -> None:
        self._say_error(error)
        self.refresh()
        self.changed.emit()
