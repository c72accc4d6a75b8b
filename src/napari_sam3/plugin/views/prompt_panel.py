"""Where the objects are pointed out, and what the next click or box says."""

from __future__ import annotations

from typing import Any

from magicgui.widgets import CheckBox, LineEdit, PushButton, RadioButtons
from napari.layers import Labels, Points, Shapes
from napari.utils.colormaps import label_colormap
from qtpy.QtWidgets import QLabel

from napari_sam3.models.registry import ModelEntry, models_that_take
from napari_sam3.plugin.controllers.tracking_controller import TrackingController
from napari_sam3.plugin.layers.prompt_layers import EXCLUDE, INCLUDE
from napari_sam3.plugin.model.app_state import NEW_EACH, split_text
from napari_sam3.plugin.model.model_catalog import KINDS_OF_PROMPTS, format_kinds
from napari_sam3.plugin.views.widgets.binding import bind
from napari_sam3.plugin.views.widgets.groups import FieldGroup
from napari_sam3.plugin.views.widgets.layer_combo import LayerCombo
from napari_sam3.plugin.views.widgets.spin_box import NumberField
from napari_sam3.values import MAX_OBJECT_ID


class PromptPanel:
    """The group "Prompts"; fields that the model can't use are closed, and say why.

    Parameters
    ----------
    tracking : TrackingController
    """

    def __init__(self, tracking: TrackingController) -> None:
        viewer, state = tracking.viewer, tracking.state
        self._state = state
        self.new = PushButton(
            text="New prompts",
            tooltip="Choose a points layer and a boxes layer to point out objects in; they are "
            "added where there are none yet.",
        )
        self.points = LayerCombo(
            viewer,
            Points,
            "Points",
            "Clicks on the objects. A layer of your own will do: its feature 'object' says which "
            "object a click belongs to, 'label' says include or exclude.",
            is_optional=True,
        )
        self.boxes = LayerCombo(
            viewer,
            Shapes,
            "Boxes",
            "Rectangles round the objects; ellipses and polygons are taken as outlines, lines as "
            "rows of clicks.",
            is_optional=True,
        )
        self.masks = LayerCombo(
            viewer,
            Labels,
            "Masks",
            "A labels layer: what is painted on the frame on screen is the mask of the object of "
            "that number.",
            is_optional=True,
            is_offered=lambda layer: not state.is_results(layer),
        )
        self.text = LineEdit(
            label="Text",
            tooltip="What to look for, in a word or two, such as: cell. Several things are parted "
            "by commas; every one found gets a number of its own.",
        )
        self.object = NumberField(
            "Object",
            "The object that the next click or box belongs to. 'each new': every click and every "
            "box is an object of its own. Key N: next object.",
            min=NEW_EACH,
            max=MAX_OBJECT_ID,
            lowest="each new",
        )
        self.sign = RadioButtons(
            label="It shows",
            choices=[INCLUDE, EXCLUDE],
            orientation="horizontal",
            tooltip="include: the next click or box shows the object. exclude: it shows what does "
            "not belong to it. Key W switches.",
        )
        self.exemplars = CheckBox(
            text="Boxes are examples of what to look for",
            tooltip="The next rectangle is no object by itself: all that looks like what it shows "
            "is looked for (include), or left out (exclude), together with the text if there is "
            "one.",
        )
        self.swatch = QLabel()
        self.swatch.setFixedSize(18, 18)
        self.swatch.setToolTip("The colour of this object's clicks, boxes and mask.")
        self.group = FieldGroup("Prompts")
        rows = self.group.rows
        rows.add_row(self.new.native)
        for field in (self.points, self.boxes, self.masks, self.text):
            rows.add(field)
        rows.add(self.object, self.swatch)
        rows.add(self.sign)
        rows.add_row(self.exemplars.native)
        self._natives = {
            "text": self.text.native,
            "points": self.points.native,
            "boxes": self.boxes.native,
            "masks": self.masks.native,
            "exemplars": self.exemplars.native,
        }
        self._tooltips = {kind: native.toolTip() for kind, native in self._natives.items()}
        for name in ("points", "boxes", "masks"):
            combo: LayerCombo = getattr(self, name)
            state.events[name].connect(combo.choose)
            combo.changed.connect(lambda layer, name=name: setattr(state, name, layer))
        bind(state, "object_in_hand", self.object)
        bind(state, "sign", self.sign)
        self.exemplars.changed.connect(self._on_exemplars_ticked)
        self.text.changed.connect(self._on_text_typed)
        events = state.events
        events.texts.connect(self._show_texts)
        events.object_in_hand.connect(self._show_colour)
        for name in ("video", "project"):
            events[name].connect(self._enable)
        for name in ("model", "catalog"):
            events[name].connect(self._show_kinds)
        self._show_colour()
        self._enable()
        self._show_kinds()

    def _on_text_typed(self, text: str) -> None:
        self._state.texts = split_text(text)

    def _show_texts(self, texts: tuple[str, ...]) -> None:
        if split_text(self.text.value) != texts:  # else it would change under the typing hand
            with self.text.changed.blocked():
                self.text.value = ", ".join(texts)

    def _on_exemplars_ticked(self, is_ticked: bool) -> None:
        self._state.draws_exemplars = is_ticked and self.exemplars.native.isEnabled()

    def _show_colour(self, _obj_id: Any = None) -> None:
        """Give the swatch the colour of the current object."""
        colour = "transparent"
        if self._state.object_in_hand != NEW_EACH:
            # with the colours that Labels layers have
            rgb = label_colormap(49, 0.5, 0).map(self._state.object_in_hand)[:3]
            colour = "rgb({}, {}, {})".format(*(round(255 * float(part)) for part in rgb))
        self.swatch.setStyleSheet(
            f"background-color: {colour}; border: 1px solid gray; border-radius: 3px;"
        )

    def _enable(self, _value: Any = None) -> None:
        self.new.enabled = self._state.can_change

    def _show_kinds(self, _value: Any = None) -> None:
        """Open the fields for prompts that the model takes."""
        catalog, entry = self._state.catalog, self._state.catalog.entry(self._state.model)
        for kind, native in self._natives.items():
            is_taken = entry is None or bool(getattr(entry.capabilities, kind))
            native.setEnabled(is_taken)
            native.setToolTip(
                self._tooltips[kind] if is_taken or entry is None else _why_closed(kind, entry)
            )
        takers = [e.name for e in catalog.entries.values() if e.capabilities.text]
        closed = f"takes no text; {takers[0]} does" if takers else "takes no text"
        is_open = self.text.native.isEnabled()
        self.text.native.setPlaceholderText("what to look for" if is_open else closed)
        self._on_exemplars_ticked(bool(self.exemplars.value))


def _why_closed(kind: str, entry: ModelEntry) -> str:
    return (
        f"The model {entry.name} takes no {KINDS_OF_PROMPTS[kind]}; it takes "
        f"{format_kinds(entry.capabilities)}. Models that take {KINDS_OF_PROMPTS[kind]}: "
        f"{models_that_take(kind)}."
    )
