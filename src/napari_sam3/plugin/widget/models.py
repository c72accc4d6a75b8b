"""The model and device that the person chooses, and what this means for the text field."""

from __future__ import annotations

from magicgui.widgets import LineEdit

from napari_sam3.errors import ModelUnavailableError
from napari_sam3.models.registry import ModelEntry, choose_model, list_models, models_that_take
from napari_sam3.plugin.widget.fields import AUTO, VideoFields

_TEXT_TOOLTIP = (
    "What to look for, in a word or two, such as: cell. Several things are parted by commas; "
    "every one found gets a number of its own."
)


class ModelChoice:
    """Fills the fields `model` and `device`; the text field is open where the model takes text.

    Parameters
    ----------
    fields : VideoFields
        With `model` and `device`.
    text : LineEdit
        Closed, with the reason as its tooltip, where the model knows no words.
    """

    def __init__(self, fields: VideoFields, text: LineEdit) -> None:
        self._model, self._device, self._text = fields.model, fields.device, text
        self._entries = {entry.name: entry for entry in list_models()}
        auto = (f"{AUTO} ({self._auto_name()})", AUTO)
        self._offered = [auto, *((name, name) for name in self._entries)]
        self._model.choices = self._offered
        self._model.changed.connect(self._on_model_changed)
        self._on_model_changed(self._model.value)

    @property
    def takes_text(self) -> bool:
        """Whether the model chosen takes text."""
        entry = self._entry()
        return entry is not None and entry.capabilities.text

    @property
    def name(self) -> str:
        """The model chosen, as `load_model` takes it."""
        return str(self._model.value)

    @property
    def device(self) -> str:
        """The device chosen, as `load_model` takes it."""
        return str(self._device.value)

    def choose(self, model: str, device: str = AUTO) -> None:
        """Choose for the person; a name that is not offered is said to be wrong when it is used."""
        if model not in self._model.choices:
            self._model.choices = [*self._offered, (model, model)]
        self._model.value = model
        if device not in self._device.choices:
            self._device.choices = [*self._device.choices, device]
        self._device.value = device

    def _entry(self) -> ModelEntry | None:
        if self.name in self._entries:
            return self._entries[self.name]
        try:
            return choose_model()[0]
        except ModelUnavailableError:
            return None  # said when it is used

    def _auto_name(self) -> str:
        try:
            return choose_model()[0].name
        except ModelUnavailableError:
            return "none"

    def _on_model_changed(self, _name: str) -> None:
        entry = self._entry()
        devices = () if entry is None else entry.devices()
        chosen = self._device.value
        self._device.choices = [AUTO, *devices]
        if chosen in self._device.choices:
            self._device.value = chosen
        if entry is not None:
            self._model.tooltip = (
                "What finds and follows the objects. auto: the best one on this machine; nothing "
                f"is downloaded.\n{entry.name}: {entry.summary}"
            )
        self._text.enabled = self.takes_text
        if self.takes_text:
            self._text.tooltip = _TEXT_TOOLTIP
        else:
            name = self.name if entry is None else entry.name
            self._text.tooltip = (
                f"The model {name} knows no words; point the objects out by clicks, boxes or "
                f"masks. Models that take text: {models_that_take('text')}."
            )
        placeholder = "what to look for" if self.takes_text else "not with this model"
        self._text.native.setPlaceholderText(placeholder)
