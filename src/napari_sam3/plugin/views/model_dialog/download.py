"""The download of a model's weights: progress in MB, stopped and gone on with at will."""

from __future__ import annotations

from pathlib import Path
from threading import Event

from qtpy.QtCore import QTimer, Signal
from qtpy.QtWidgets import QGroupBox, QHBoxLayout, QLabel, QProgressBar, QPushButton, QVBoxLayout

from napari_sam3.errors import Sam3Error
from napari_sam3.models.weights import State, WeightsState, download, format_bytes
from napari_sam3.plugin.controllers.worker import Errand
from napari_sam3.plugin.views.model_dialog.text import say_place, say_size
from napari_sam3.plugin.views.widgets.groups import paragraph

LOOK_MS = 100
_PARTS = 1000  # of the bar; bytes are too many for Qt's numbers


class DownloadPart(QGroupBox):
    """Where the weights are, and a button that fetches them."""

    arrived = Signal()
    """The weights are here."""

    failed = Signal(object)
    """The `Sam3Error` that ended the download; it says what is kept."""

    began = Signal()

    progressed = Signal(str)
    """How far it is, in a few words; empty at the end."""

    def __init__(self) -> None:
        super().__init__("Weights")
        self.where = paragraph()
        self.get = QPushButton("Download")
        self.cancel = QPushButton("Cancel")
        self.cancel.setToolTip("Stop the download; what has come is kept.")
        self.bar = QProgressBar()
        self.bar.setRange(0, _PARTS)
        self.amount = QLabel()
        row = QHBoxLayout()
        row.addWidget(self.get)
        row.addWidget(self.cancel)
        row.addStretch()
        layout = QVBoxLayout(self)
        layout.addWidget(self.where)
        layout.addWidget(self.bar)
        layout.addWidget(self.amount)
        layout.addLayout(row)
        self.get.clicked.connect(self.start)
        self.cancel.clicked.connect(self.stop)
        self._now: WeightsState | None = None
        self._errand = Errand()
        self._stop = Event()
        self._came = (0, 0)  # bytes here and in all; written by the thread
        self._clock = QTimer(self)
        self._clock.setInterval(LOOK_MS)
        self._clock.timeout.connect(self._show_progress)
        self._show_running(False)

    @property
    def is_running(self) -> bool:
        """Whether a download is under way."""
        return self._errand.is_running

    @property
    def progress(self) -> str:
        """How much has come, in words; empty before the hub has said how much there is."""
        here, total = self._came
        return f"{here / 1e6:,.0f} of {total / 1e6:,.0f} MB" if total else ""

    def show_state(self, now: WeightsState) -> None:
        """Say where the weights are; what can be done about it follows."""
        self._now = now
        self.where.setText(say_place(now).html())
        if now.partial_bytes:
            total = now.weights.download_bytes
            left = "" if total is None else format_bytes(max(0, total - now.partial_bytes))
            self.get.setText(f"Resume ({left} to come)" if left else "Resume")
        else:
            self.get.setText(f"Download {say_size(now.weights)}".rstrip())
        closed = {
            State.NO_TOKEN: "Check the token first.",
            State.NOT_REQUESTED: "Ask for access first, then check again.",
            State.PENDING: "Check access again when it was granted.",
            State.REFUSED: "This account was refused access.",
            State.OFFLINE: "The hub can't be reached.",
            State.DAMAGED: "Its folder was named by you: choose it again.",
        }
        self.get.setEnabled(now.state is State.TO_DOWNLOAD)
        self.get.setToolTip(closed.get(now.state, "Into the hub's cache; nothing comes twice."))
        self.get.setVisible(not now.is_ready and not self.is_running)

    def start(self) -> None:
        """Fetch what is not here yet; returns at once."""
        if self._now is None or self.is_running:
            return
        weights, self._stop, self._came = self._now.weights, Event(), (0, 0)

        def fetch() -> Path:
            return download(weights, self._note, self._stop)

        self.began.emit()
        self._errand.start(fetch, self._on_done, self._on_failed, self._stop.set)
        self._show_running(True)

    def stop(self) -> None:
        """Stop; what has come is kept."""
        self.cancel.setEnabled(False)
        self._stop.set()

    def abandon(self) -> None:
        """Stop, and listen no more."""
        self._clock.stop()
        self._stop.set()
        self._errand.drop()

    def _note(self, here: int, total: int) -> None:
        self._came = (here, total)

    def _show_progress(self) -> None:
        here, total = self._came
        if total:
            self.bar.setRange(0, _PARTS)
            self.bar.setValue(int(_PARTS * here / total))
        self.amount.setText(self.progress or "Asking the hub …")
        if self._now is not None:
            self.progressed.emit(f"downloading {self._now.weights.name}: {self.amount.text()}")

    def _show_running(self, is_running: bool) -> None:
        self.bar.setVisible(is_running)
        self.amount.setVisible(is_running)
        self.cancel.setVisible(is_running)
        self.cancel.setEnabled(is_running)
        self.get.setVisible(not is_running)
        if is_running:
            self.bar.setRange(0, 0)  # busy, until it is known how much there is
            self._show_progress()
            self._clock.start()
        else:
            self._clock.stop()
            self.progressed.emit("")

    def _on_done(self, _folder: Path) -> None:
        self._show_running(False)
        self.arrived.emit()

    def _on_failed(self, error: Sam3Error) -> None:
        self._show_running(False)
        self.failed.emit(error)
