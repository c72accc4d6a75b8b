"""Where the model runs, and how things stand there."""

from __future__ import annotations

from typing import Any

from magicgui.widgets import ComboBox, PushButton
from napari.utils.notifications import show_error
from qtpy.QtWidgets import QInputDialog, QLabel, QMessageBox, QSizePolicy, QWidget

from napari_sam3.errors import InsecureAddressError, Sam3Error
from napari_sam3.plugin.controllers.compute_controller import ComputeController
from napari_sam3.plugin.model.app_state import AppState
from napari_sam3.plugin.views.widgets.groups import Rows, side_by_side
from napari_sam3.plugin.views.widgets.layer_combo import fit_narrow
from napari_sam3.settings import read_settings

HERE = ""
OTHER = "other"
"""Choice that asks for an address."""


class ComputePanel:
    """Rows for where the model runs.

    Parameters
    ----------
    state : AppState
    compute : ComputeController
    rows : Rows
        Where the fields are added.
    parent : QWidget
        Of the question for an address.
    """

    def __init__(
        self, state: AppState, compute: ComputeController, rows: Rows, parent: QWidget
    ) -> None:
        self._state, self._compute, self._rows, self._parent = state, compute, rows, parent
        self._known = [a for a in (read_settings().scheduler,) if a]
        self.compute = ComboBox(
            label="Compute",
            tooltip="Where the model runs. A worker of a Dask scheduler does the model's work; "
            "prompts and results stay here.",
            choices=[],
        )
        fit_narrow(self.compute)
        self.word = QLabel()
        self.reconnect = PushButton(
            text="Reconnect", tooltip="Ask the scheduler again, and its workers for their models."
        )
        self.reconnect.native.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        self._row = side_by_side(self.word, self.reconnect.native, stretch=0)
        rows.add(self.compute)
        rows.add_row(self._row)
        self.compute.changed.connect(self._on_picked)
        self.reconnect.changed.connect(lambda _pressed: compute.reconnect())
        for name in ("compute", "compute_state"):
            state.events[name].connect(self._show)
        self._show()

    def ask(self) -> None:
        """Ask for an address, and compute there."""
        text, is_given = QInputDialog.getText(
            self._parent,
            "Compute elsewhere",
            "Address of a Dask scheduler, as tls://host:8786,\n"
            "or tcp://127.0.0.1:8786 at the end of an SSH tunnel:",
        )
        if is_given and text.strip():
            self._choose(text.strip())

    def _choose(self, address: str, *, insecure: bool = False) -> None:
        try:
            self._compute.choose(address, insecure=insecure)
        except InsecureAddressError as exc:
            self._show()
            if self._is_insisted_on(address, exc):
                self._choose(address, insecure=True)
        except Sam3Error as exc:
            show_error(str(exc))

    def _is_insisted_on(self, address: str, why: InsecureAddressError) -> bool:
        """Ask whether an address that is not encrypted is meant; each time anew."""
        answer = QMessageBox.warning(
            self._parent,
            "This address is not safe",
            f"{why}.\n\nCompute at {address} all the same?",
            QMessageBox.StandardButton.Yes | QMessageBox.StandardButton.No,
            QMessageBox.StandardButton.No,
        )
        return bool(answer == QMessageBox.StandardButton.Yes)

    def _on_picked(self, address: str | None) -> None:
        if address == OTHER:
            with self.compute.changed.blocked():
                self.compute.value = self._state.compute  # it is a button, not a choice
            self.ask()
        elif address is not None:
            self._choose(address)

    def _show(self, _value: Any = None) -> None:
        state = self._state
        if state.compute and state.compute not in self._known:
            self._known.append(state.compute)
        offered = [("this computer", HERE), *((a, a) for a in self._known)]
        offered.append(("another address …", OTHER))
        with self.compute.changed.blocked():
            self.compute.choices = ()  # else it keeps the order of before
            self.compute.choices = offered
            self.compute.value = state.compute
        self.word.setText(state.compute_state)
        self._row.setVisible(bool(state.compute))
