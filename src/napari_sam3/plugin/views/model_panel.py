"""The model that the person chooses: its state, its licence, and what prompts it takes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from napari.utils.notifications import show_error
from qtpy.QtCore import QObject, Qt, Signal
from qtpy.QtWidgets import QComboBox, QWidget

from napari_sam3.errors import Sam3Error, WeightsMissingError
from napari_sam3.models.base import Capabilities
from napari_sam3.models.registry import ModelEntry, models_that_take
from napari_sam3.plugin.controllers.worker import Run, run_once
from napari_sam3.plugin.model.model_catalog import (
    AUTO,
    ModelCatalog,
    format_state,
    list_offers,
    survey_models,
)
from napari_sam3.plugin.views.model_dialog import GetModelDialog
from napari_sam3.plugin.views.model_dialog.text import link
from napari_sam3.plugin.views.prompt_panel import PromptFields, VideoFields
from napari_sam3.plugin.views.settings_panel import SettingsFields
from napari_sam3.plugin.views.widgets.groups import QuietLine
from napari_sam3.settings import read_settings, save_settings

OTHER = "other"
"""Choice that opens the dialog for a model that is not in the list."""

_TEXT_TOOLTIP = (
    "What to look for, in a word or two, such as: cell. Several things are parted by commas; "
    "every one found gets a number of its own."
)
_KINDS = {
    "text": "text",
    "exemplars": "examples",
    "points": "clicks",
    "boxes": "boxes",
    "masks": "painted masks",
}


class ModelChoice(QObject):
    """Fills the fields for model and device, and opens those for prompts that the model takes.

    Parameters
    ----------
    video, prompts, settings
        The dock's fields.
    line : QuietLine
        Says how far a download is.
    parent : QWidget
        Whose life it shares.
    """

    changed = Signal()
    """Another model was chosen, or more is known of them."""

    def __init__(
        self,
        video: VideoFields,
        prompts: PromptFields,
        settings: SettingsFields,
        line: QuietLine,
        parent: QWidget,
    ) -> None:
        super().__init__(parent)
        self._parent, self._line = parent, line
        self._dialog: GetModelDialog | None = None
        self._fields, self._prompts, self._device = video, prompts, settings.device
        self._wish = str(settings.device.value)  # of the person, whatever the model can do
        self._tooltips = {kind: field.native.toolTip() for kind, field in self._takers().items()}
        self._extra: list[str] = []
        self._offered: list[tuple[str, str]] = []
        self._run: Run | None = None
        self.survey = list_offers()
        self.is_surveyed = False
        self._offer(read_settings().model)
        self._name = str(video.model.value)
        video.model.changed.connect(self._on_model_changed)
        video.get.changed.connect(lambda _pressed: self.open_dialog())
        settings.device.changed.connect(self._on_device_changed)
        self._show()
        self.refresh()

    # --------------------------------------------------------------- what is chosen

    @property
    def name(self) -> str:
        """The model chosen, as `load_model` takes it."""
        return self._name

    @property
    def resolved(self) -> str:
        """The model's own name, also where "auto" is chosen and it is known what that means."""
        entry = self.entry
        return self._name if entry is None else entry.name

    @property
    def device(self) -> str:
        """The device chosen, as `load_model` takes it."""
        return str(self._device.value)

    @property
    def entry(self) -> ModelEntry | None:
        """What the choice stands for; None if that is not known (yet)."""
        return self.survey.entry(self._name)

    @property
    def takes_text(self) -> bool:
        """Whether the model chosen takes text; if it is not known, the model will say."""
        entry = self.entry
        return entry is None or entry.capabilities.text

    @property
    def is_ready(self) -> bool:
        """Whether it can be loaded without a download, as far as is known."""
        return self.survey.is_ready(self._name)

    @property
    def is_looking(self) -> bool:
        """Whether a survey is under way."""
        return self._run is not None

    def choose(self, model: str, device: str | None = None) -> None:
        """Choose for the person; a name that is not offered is said to be wrong when it is used."""
        if model not in self._fields.model.choices:
            self._extra.append(model)
        if device is not None:
            self._wish = device
        self._offer(model)
        self._take(model)

    def check_ready(self) -> None:
        """Open the dialog where the model must be got first.

        Raises
        ------
        WeightsMissingError
            Then; nothing is downloaded without being asked.
        """
        if not self.is_ready:
            self.open_dialog()
            raise WeightsMissingError(
                f"the model {self._name} is not on this machine; its dialog tells how to get it. "
                "Or choose another model"
            )

    def open_dialog(self) -> None:
        """Show the dialog of the model chosen; of one to be added where that needs no weights."""
        entry = self.entry
        self._open_dialog_of(None if entry is None or entry.weights is None else entry)

    # ------------------------------------------------------------------- its state

    def refresh(self) -> None:
        """Look again what is on the disk; what is shown follows within a moment."""
        self.drop()
        name = self._name
        self._run = run_once(lambda: survey_models(name), self._on_surveyed, self._on_failed)

    def drop(self) -> None:
        """Hear no more of a survey that is under way."""
        if self._run is not None:
            self._run.drop()
        self._run = None

    def close(self) -> None:
        """Look no more; a download is stopped, what has come of it is kept."""
        self.drop()
        if self._dialog is not None:
            self._dialog.abandon()

    def _on_surveyed(self, survey: ModelCatalog) -> None:
        self._run = None
        if self.survey.auto is not None:
            # not another one in the midst of work, for more or less memory is free
            survey = replace(survey, auto=self.survey.auto)
        self.survey = survey
        self.is_surveyed = True
        self._offer(self._name)
        self._show()
        self.changed.emit()

    def _on_failed(self, error: Sam3Error) -> None:
        self._run = None
        show_error(str(error))

    def _on_model_changed(self, name: str) -> None:
        if name == OTHER:
            self._fields.model.value = self._name  # it is a button, not a choice
            self._open_dialog_of(None)
            return
        if name == self._name:
            return
        self._take(name)
        if name in self.survey.entries or name == AUTO:
            _remember(name)

    def _take(self, name: str) -> None:
        self._name = name
        self._show()
        self.changed.emit()
        self.refresh()  # for its devices

    def _on_device_changed(self, device: str) -> None:
        self._wish = device

    # -------------------------------------------------------------------- dialog

    @property
    def dialog(self) -> GetModelDialog:
        """How models come to this machine; made when it is first needed."""
        if self._dialog is None:
            self._dialog = GetModelDialog(self._parent)
            self._dialog.arrived.connect(self._on_arrived)
            self._dialog.changed.connect(self.refresh)
            self._dialog.download.progressed.connect(self._on_progressed)
        return self._dialog

    def _open_dialog_of(self, entry: ModelEntry | None) -> None:
        if entry is None:
            self.dialog.show_for(None)
        else:
            self.dialog.show_for(entry.weights, entry.summary)

    def _on_arrived(self, name: str) -> None:
        self.survey = replace(self.survey, auto=None)  # it may be a better one
        # not while the person works with another one
        if self._fields.group.isEnabled():
            self.choose(name)
        else:
            self.refresh()

    def _on_progressed(self, text: str) -> None:
        self._line.say("download", text)

    # -------------------------------------------------------------- what is shown

    def _offer(self, chosen: str) -> None:
        """Fill the list of models; without a signal, for the choice stays."""
        survey, box = self.survey, self._fields.model
        auto = AUTO if survey.auto is None else f"{AUTO}: {survey.auto.name}"
        offered = [(auto, AUTO)]
        for name, entry in survey.entries.items():
            state = format_state(entry, survey.states.get(name))
            offered.append((f"{name}  ·  {state}" if state else name, name))
        offered += [(name, name) for name in self._extra if name not in survey.entries]
        offered.append(("add a folder or hub id …", OTHER))
        names = [name for _, name in offered]
        native: QComboBox = box.native
        with box.changed.blocked():
            if offered != self._offered:  # which may be open just now
                box.choices = ()  # else it keeps the order of before
                box.choices = self._offered = offered
                popup: Any = native.view()
                popup.setMinimumWidth(popup.sizeHintForColumn(0) + 24)
            box.value = chosen if chosen in names else AUTO
        for row, name in enumerate(names):
            found = survey.entry(name)
            if found is not None:
                native.setItemData(row, _describe(found), Qt.ItemDataRole.ToolTipRole)

    def _show(self) -> None:
        """Bring licence, devices and prompts in line with the choice."""
        entry, fields = self.entry, self._fields
        self._offer_devices()
        if entry is None:
            fields.licence.setText("")
            fields.model.tooltip = "What finds and follows the objects."
            fields.get.text = "Add …"
        else:
            fields.licence.setText(_say_licence(entry))
            fields.model.tooltip = (
                "What finds and follows the objects. auto: the best one on this machine; nothing "
                f"is downloaded.\n\n{_describe(entry)}"
            )
            has_weights = entry.weights is not None
            fields.get.text = ("About …" if self.is_ready else "Get …") if has_weights else "Add …"
        for kind, field in self._takers().items():
            self._open(kind, field.native, entry)

    def _takers(self) -> dict[str, Any]:
        prompts = self._prompts
        return {
            "text": prompts.text,
            "points": prompts.points.box,
            "boxes": prompts.boxes.box,
            "masks": prompts.masks.box,
            "exemplars": prompts.examples,
        }

    def _open(self, kind: str, native: QWidget, entry: ModelEntry | None) -> None:
        """Open or close the field for a kind of prompt, and say why."""
        is_taken = entry is None or bool(getattr(entry.capabilities, kind))
        native.setEnabled(is_taken)
        if is_taken or entry is None:
            native.setToolTip(_TEXT_TOOLTIP if kind == "text" else self._tooltips[kind])
        else:
            native.setToolTip(
                f"The model {entry.name} takes no {_KINDS[kind]}; it takes "
                f"{_say_kinds(entry.capabilities)}. Models that take {_KINDS[kind]}: "
                f"{models_that_take(kind)}."
            )
        if kind == "text":
            takers = [e.name for e in self.survey.entries.values() if e.capabilities.text]
            closed = f"takes no text; {takers[0]} does" if takers else "takes no text"
            self._prompts.text.native.setPlaceholderText("what to look for" if is_taken else closed)

    def _offer_devices(self) -> None:
        devices = self.survey.devices.get(self._name, ())
        with self._device.changed.blocked():
            self._device.choices = [AUTO, *devices]
            if self._wish not in self._device.choices and not devices:
                self._device.choices = [AUTO, self._wish]  # not known yet
            self._device.value = self._wish if self._wish in self._device.choices else AUTO


def _remember(name: str) -> None:
    try:
        save_settings(model=name)
    except OSError as exc:
        show_error(f"the choice holds for this window only, for it can't be saved: {exc}")


def _describe(entry: ModelEntry) -> str:
    """What a model is good for."""
    lines = [f"{entry.name}: {entry.summary}.", f"Takes {_say_kinds(entry.capabilities)}."]
    if entry.speed:
        lines.append(f"Speed: {entry.speed}.")
    if entry.weights is not None:
        lines.append(f"Licence: {entry.weights.licence.name}. {entry.weights.licence.summary}")
    return "\n".join(lines)


def _say_kinds(capabilities: Capabilities) -> str:
    kinds = [word for kind, word in _KINDS.items() if getattr(capabilities, kind)]
    return ", ".join(kinds) or "nothing"


def _say_licence(entry: ModelEntry) -> str:
    if entry.weights is None:
        return "Licence: BSD-3-Clause (part of this)"
    licence = entry.weights.licence
    return f"Licence: {link(licence.url, licence.name)}"
