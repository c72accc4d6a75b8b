"""Whether the hub gives gated weights to this person: a token, checked."""

from __future__ import annotations

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QGroupBox, QHBoxLayout, QLabel, QLineEdit, QPushButton, QVBoxLayout

from napari_sam3.errors import Sam3Error
from napari_sam3.models.weights import (
    TOKEN_PAGE,
    Account,
    State,
    Weights,
    WeightsState,
    ask_hub,
    save_token,
    who_am_i,
)
from napari_sam3.plugin.controllers.worker import Errand
from napari_sam3.plugin.views.model_dialog.text import (
    BAD,
    GOOD,
    Line,
    as_rich,
    link,
    say_access,
    say_error,
    say_place,
)
from napari_sam3.plugin.views.widgets.groups import paragraph


class AccessPart(QGroupBox):
    """A field for the token, and what the hub says of it."""

    told = Signal(object)
    """The `WeightsState` that the hub has answered."""

    failed = Signal()
    """The hub could not be asked, or did not take the token; it is said here why.

    The token may have been saved before that.
    """

    def __init__(self) -> None:
        super().__init__("Access")
        self.token = QLineEdit()
        self.token.setEchoMode(QLineEdit.EchoMode.Password)
        self.token.setToolTip(
            "An access token of kind 'read'. It is saved where all programs that use the hub look "
            "for it, and sent nowhere else. Left empty: the one that is saved already."
        )
        self.check = QPushButton("Check")
        self.check.setToolTip("Ask the hub whether the token is right and access was granted.")
        self.answer = paragraph()
        hint = QLabel(f"A token of kind 'read', from {link(TOKEN_PAGE, 'your account')}:")
        hint.setOpenExternalLinks(True)
        row = QHBoxLayout()
        row.addWidget(self.token)
        row.addWidget(self.check)
        layout = QVBoxLayout(self)
        layout.addWidget(hint)
        layout.addLayout(row)
        layout.addWidget(self.answer)
        self._weights: Weights | None = None
        self.errand = Errand()
        self.check.clicked.connect(self._on_check_pressed)
        self.token.returnPressed.connect(self._on_check_pressed)

    def show_state(self, now: WeightsState) -> None:
        """Say how access to these weights stands, as far as it is known."""
        self._weights = now.weights
        has_token = now.state is not State.NO_TOKEN
        self.token.setPlaceholderText("the one that is saved" if has_token else "hf_…")
        said = say_access(now)
        self.answer.setText("" if said is None else said.html())
        self.answer.setVisible(said is not None)

    def drop(self) -> None:
        """Hear no more of what was asked, and ask nothing before the next `show_state`."""
        if self.errand.is_running:
            self.errand.drop()
            self.answer.clear()
        self._weights = None
        self.check.setEnabled(True)

    def _on_check_pressed(self) -> None:
        weights, token = self._weights, self.token.text().strip()
        if weights is None or not self.check.isEnabled():
            return
        self.check.setEnabled(False)
        self._say("Asking the hub …")

        def ask() -> tuple[Account, WeightsState]:
            account = save_token(token) if token else who_am_i()
            return account, ask_hub(weights)

        self.errand.start(ask, self._on_answer, self._on_failed)

    def _on_answer(self, answer: tuple[Account, WeightsState]) -> None:
        account, now = answer
        self.check.setEnabled(True)
        self.token.clear()
        self.show_state(now)
        lines = [Line("✓", GOOD, f"The token of {as_rich(account.name)} is accepted.")]
        if now.is_ready or now.state is State.TO_DOWNLOAD:
            lines.append(Line("✓", GOOD, "Access was granted."))
        else:
            lines.append(say_access(now) or say_place(now))
        self._say("<br>".join(line.html() for line in lines))
        self.told.emit(now)

    def _on_failed(self, error: Sam3Error) -> None:
        self.check.setEnabled(True)
        self._say(Line("✗", BAD, say_error(error)).html())
        self.failed.emit()

    def _say(self, text: str) -> None:
        self.answer.setText(text)
        self.answer.setVisible(True)
