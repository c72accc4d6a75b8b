"""The model that the person chooses: its state and its licence, and how to get it."""

from __future__ import annotations

from typing import Any

from magicgui.widgets import ComboBox, PushButton
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QComboBox, QLabel, QSizePolicy, QWidget

from napari_sam3.models.registry import ModelEntry
from napari_sam3.plugin.controllers.model_controller import ModelController
from napari_sam3.plugin.model.app_state import AppState
from napari_sam3.plugin.model.model_catalog import AUTO, format_kinds
from napari_sam3.plugin.views.model_dialog import GetModelDialog
from napari_sam3.plugin.views.model_dialog.text import link
from napari_sam3.plugin.views.widgets.groups import Rows
from napari_sam3.plugin.views.widgets.layer_combo import fit_narrow
from napari_sam3.plugin.views.widgets.quiet_line import QuietLine

OTHER = "other"
"""Choice that opens the dialog for a model that is not in the list."""

_GET = "Licence and state of this model; get it, use a folder that has it, or add one of your own."
_GOT_ELSEWHERE = (
    "Models run on workers now: they are got on the workers' own machines, by 'napari-sam3 models "
    "get NAME' there; then press Reconnect."
)


class ModelPanel:
    """Rows for the model: the list, its licence, and the dialog that gets it.

    Parameters
    ----------
    state : AppState
    models : ModelController
    rows : Rows
        Where the fields are added.
    line : QuietLine
        Says how far a download is.
    parent : QWidget
        Of the dialog.
    """

    def __init__(
        self,
        state: AppState,
        models: ModelController,
        rows: Rows,
        line: QuietLine,
        parent: QWidget,
    ) -> None:
        self._state, self._models, self._line, self._parent = state, models, line, parent
        self._dialog: GetModelDialog | None = None
        self._offered: list[tuple[str, str]] = []
        self.model = ComboBox(label="Model", choices=[])
        fit_narrow(self.model)
        self.get = PushButton(text="Get …")
        self.get.native.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        self.licence = QLabel()
        self.licence.setOpenExternalLinks(True)
        self.licence.setToolTip("What the model's weights may be used for.")
        rows.add(self.model)
        rows.add_row(self.licence, self.get.native)
        self.model.changed.connect(self._on_model_picked)
        self.get.changed.connect(lambda _pressed: self.open_dialog())
        for name in ("model", "catalog"):
            state.events[name].connect(self._show)
        self._show()

    def close(self) -> None:
        """Stop a download; what has come of it is kept."""
        if self._dialog is not None:
            self._dialog.abandon()

    @property
    def dialog(self) -> GetModelDialog:
        """How models come to this machine; made when it is first needed."""
        if self._dialog is None:
            self._dialog = GetModelDialog(self._parent)
            self._dialog.arrived.connect(self._models.take_new)
            self._dialog.changed.connect(self._models.refresh)
            self._dialog.download.progressed.connect(self._on_progressed)
        return self._dialog

    def open_dialog(self) -> None:
        """Show the dialog of the model chosen; of one to be added where that needs no weights."""
        entry = self._state.catalog.entry(self._state.model)
        self._open_dialog_of(None if entry is None or entry.weights is None else entry)

    def _open_dialog_of(self, entry: ModelEntry | None) -> None:
        if entry is None:
            self.dialog.show_for(None)
        else:
            self.dialog.show_for(entry.weights, entry.summary)

    def _on_progressed(self, text: str) -> None:
        self._line.show_text("download", text)

    def _on_model_picked(self, name: str) -> None:
        if name == OTHER:
            with self.model.changed.blocked():
                self.model.value = self._state.model  # it is a button, not a choice
            self._open_dialog_of(None)
        elif name is not None:
            self._models.choose_for_good(name)

    def _show(self, _value: Any = None) -> None:
        """Bring the list, the licence and the button in line with the choice."""
        state = self._state
        self._show_list()
        is_here = not state.catalog.place
        self.get.enabled = is_here
        self.get.tooltip = _GET if is_here else _GOT_ELSEWHERE
        entry = state.catalog.entry(state.model)
        if entry is None:
            self.licence.setText("")
            self.model.tooltip = "What finds and follows the objects."
            self.get.text = "Add …"
            return
        self.licence.setText(_format_licence(entry))
        where = "the worker's" if state.catalog.place else "this"
        self.model.tooltip = (
            f"What finds and follows the objects. auto: the best one on {where} machine; nothing "
            f"is downloaded.\n\n{_describe(entry)}{self._how_to_get(entry.name)}"
        )
        if entry.weights is None:
            self.get.text = "Add …"
        else:
            self.get.text = "About …" if state.is_model_ready else "Get …"

    def _show_list(self) -> None:
        state, catalog, native = self._state, self._state.catalog, self.model.native
        auto = AUTO if catalog.auto is None else f"{AUTO}: {catalog.auto.name}"
        offered = [(auto, AUTO)]
        for name in catalog.entries:
            told = catalog.format_state(name)
            offered.append((f"{name}  ·  {told}" if told else name, name))
        if state.model not in (AUTO, *catalog.entries):
            offered.append((state.model, state.model))
        if not catalog.place:
            offered.append(("add a folder or hub id …", OTHER))
        with self.model.changed.blocked():
            if offered != self._offered:  # the list may be open just now
                self.model.choices = ()  # else it keeps the order of before
                self.model.choices = self._offered = offered
                popup: Any = native.view()
                popup.setMinimumWidth(popup.sizeHintForColumn(0) + 24)
            self.model.value = state.model
        for row, (_, name) in enumerate(offered):
            found = catalog.entry(name)
            if found is not None:
                _set_tooltip(native, row, _describe(found) + self._how_to_get(name))

    def _how_to_get(self, name: str) -> str:
        """A last line on how a model comes to the workers, if they lack it."""
        told = self._state.catalog.how_to_get(name)
        return f"\n\n{told[0].upper()}{told[1:]}." if told else ""


def _set_tooltip(box: QComboBox, row: int, text: str) -> None:
    box.setItemData(row, text, Qt.ItemDataRole.ToolTipRole)


def _describe(entry: ModelEntry) -> str:
    """What a model is good for."""
    lines = [f"{entry.name}: {entry.summary}.", f"Takes {format_kinds(entry.capabilities)}."]
    if entry.speed:
        lines.append(f"Speed: {entry.speed}.")
    if entry.weights is not None:
        lines.append(f"Licence: {entry.weights.licence.name}. {entry.weights.licence.summary}")
    return "\n".join(lines)


def _format_licence(entry: ModelEntry) -> str:
    if not entry.factory:
        return "Licence: see the model's files, on the worker"
    if entry.weights is None:
        return "Licence: BSD-3-Clause (part of this)"
    licence = entry.weights.licence
    return f"Licence: {link(licence.url, licence.name)}"
