"""The object in hand, what the tool in hand can be told, and the layers that are drawn in."""

from __future__ import annotations

from typing import Any

import numpy as np
from magicgui.widgets import CheckBox, LineEdit, PushButton, RadioButtons
from napari.layers import Labels, Points, Shapes
from qtpy.QtWidgets import QLabel, QPushButton, QStackedWidget, QWidget

from napari_sam3.plugin.controllers.tracking_controller import TrackingController
from napari_sam3.plugin.layers.example_layer import is_example_layer
from napari_sam3.plugin.layers.features_table import table_of
from napari_sam3.plugin.layers.label_look import own_colors
from napari_sam3.plugin.layers.prompt_layers import EXCLUDE, INCLUDE
from napari_sam3.plugin.model.app_state import NEW_EACH, split_text
from napari_sam3.plugin.model.tools import Tool
from napari_sam3.plugin.views.widgets.binding import bind
from napari_sam3.plugin.views.widgets.groups import FoldedGroup, side_by_side
from napari_sam3.plugin.views.widgets.layer_combo import LayerCombo
from napari_sam3.plugin.views.widgets.spin_box import NumberField
from napari_sam3.values import MAX_OBJECT_ID

OPTIONS_HEIGHT = 28
"""Of the row of what a tool can be told, px: nothing moves when another tool is taken."""


class PromptPanel:
    """What is said of the next prompt; fields that the model can't use are closed, and say why.

    Parameters
    ----------
    tracking : TrackingController

    Attributes
    ----------
    in_hand : QWidget
        A row: the object that the next prompt belongs to.
    options : QStackedWidget
        A row of constant height: what the tool in hand can be told.
    group : FoldedGroup
        The layers that are drawn in.
    """

    def __init__(self, tracking: TrackingController) -> None:
        viewer, state, self._tracking = tracking.viewer, tracking.state, tracking
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
            is_offered=lambda layer: not is_example_layer(layer),
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
            "The object in hand: the next click, box or stroke belongs to it. 'each new': every "
            "click and every box is an object of its own, which is best for cells.",
            min=NEW_EACH,
            max=MAX_OBJECT_ID,
            lowest="each new",
        )
        self.sign = RadioButtons(
            choices=[INCLUDE, EXCLUDE],
            orientation="horizontal",
            tooltip="include: the next one shows the object. exclude: it shows what does not "
            "belong to it. Key W changes it.",
        )
        self.sign.native.layout().setContentsMargins(0, 0, 0, 0)
        self.exemplars = CheckBox(
            text="as examples",
            tooltip="The next rectangle is no object by itself: all that looks like what it shows "
            "is looked for (include), or left out (exclude), together with the text if there is "
            "one.",
        )
        self.next = QPushButton("Next")
        self.next.setToolTip("Go on to a new object. Key N.")
        self.each_new = QPushButton("Each new")
        self.each_new.setCheckable(True)
        self.each_new.setToolTip(
            "While this is pressed every click and every box is an object of its own: the fastest "
            "way for many alike, such as cells."
        )
        self.swatch = QLabel()
        self.swatch.setFixedSize(18, 18)
        self.swatch.setToolTip("The colour of this object's clicks, boxes and mask.")
        title = QLabel(self.object.label)
        title.setToolTip(self.object.native.toolTip())
        self.in_hand = side_by_side(
            title, self.object.native, self.swatch, self.next, self.each_new, stretch=1
        )
        self.options = QStackedWidget()
        self._pages = {
            "": QWidget(),
            "shape": side_by_side(self.sign.native, self.exemplars.native),
            "text": side_by_side(QLabel(self.text.label), self.text.native),
        }
        for page in self._pages.values():
            self.options.addWidget(page)
        self.options.setFixedHeight(OPTIONS_HEIGHT)
        self.group = FoldedGroup(
            "Prompt layers", "The layers that you draw in; layers of your own will do, too."
        )
        rows = self.group.rows
        rows.add_row(self.new.native)
        for field in (self.points, self.boxes, self.masks):
            rows.add(field)
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
        self.each_new.clicked.connect(self._on_each_new_pressed)
        events = state.events
        events.texts.connect(self._show_texts)
        events.object_in_hand.connect(self._show_object)
        tracking.objects.objects_changed.connect(self._show_object)
        events.tool.connect(self._show_options)
        self._state.hear(self._enable, "video", "project")
        self._state.hear(self._show_kinds, "model", "catalog", "compute")
        self._show_object()
        self._show_options(state.tool)
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

    def _on_each_new_pressed(self, is_pressed: bool) -> None:
        self._state.object_in_hand = NEW_EACH if is_pressed else 1

    def _show_object(self, _obj_id: Any = None) -> None:
        """Give the swatch the colour of the object in hand."""
        is_each_new = self._state.object_in_hand == NEW_EACH
        self.each_new.setChecked(is_each_new)
        colour = "transparent"
        if not is_each_new:
            results = self._tracking.results
            chosen = {} if results is None else table_of(results.layer).colors
            rgb = own_colors(np.array([self._state.object_in_hand]), chosen)[0, :3]
            colour = "rgb({}, {}, {})".format(*(round(255 * float(part)) for part in rgb))
        self.swatch.setStyleSheet(
            f"background-color: {colour}; border: 1px solid gray; border-radius: 3px;"
        )

    def _show_options(self, tool: Tool) -> None:
        kind = "text" if tool is Tool.TEXT else "shape" if tool.is_shape else ""
        self.options.setCurrentWidget(self._pages[kind])
        self.exemplars.native.setVisible(tool is Tool.BOX)
        if tool is Tool.TEXT and self.text.native.isVisible():
            self.text.native.setFocus()

    def _enable(self, _value: Any = None) -> None:
        self.new.enabled = self._state.can_change

    def _show_kinds(self, _value: Any = None) -> None:
        """Open the fields for prompts that the model takes."""
        for kind, native in self._natives.items():
            why_not = self._state.why_not_taken(kind)
            native.setEnabled(not why_not)
            native.setToolTip(why_not or self._tooltips[kind])
        takers = [e.name for e in self._state.catalog.entries.values() if e.capabilities.text]
        closed = f"takes no text; {takers[0]} does" if takers else "takes no text"
        is_open = self.text.native.isEnabled()
        self.text.native.setPlaceholderText("what to look for" if is_open else closed)
        self._on_exemplars_ticked(bool(self.exemplars.value))
