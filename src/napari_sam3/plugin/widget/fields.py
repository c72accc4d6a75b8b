"""The fields of the dock, group by group: what they are called, may hold and explain."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from magicgui.widgets import (
    CheckBox,
    ComboBox,
    Container,
    LineEdit,
    ProgressBar,
    PushButton,
    RadioButtons,
    SpinBox,
)
from magicgui.widgets.bases import Widget
from napari.layers import Image, Labels, Points, Shapes
from napari.utils.colormaps import label_colormap
from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QFrame,
    QGroupBox,
    QLabel,
    QScrollArea,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from napari_sam3.plugin.prompt_layers import EXCLUDE, INCLUDE
from napari_sam3.plugin.results import LABEL_DTYPE
from napari_sam3.plugin.widget.choices import LayerChoice, fit_narrow
from napari_sam3.plugin.workbench import Workbench

AUTO = "auto"
FIRST_PROMPT = -1
ALL_FRAMES = 0
NEW_EACH = 0


class VideoFields:
    """Which video, how it is read, by which model."""

    def __init__(self, bench: Workbench) -> None:
        self.video = LayerChoice(
            bench.viewer,
            Image,
            "Video",
            "The image layer to track in: a video, a stack, or a single picture.",
        )
        self.time_axis = ComboBox(
            label="Time axis",
            tooltip="The axis to track along. The other axes stay at the slice on screen.",
            choices=[],
        )
        self.channel = SpinBox(
            label="Channel",
            tooltip="The channel that the model looks at.",
            min=0,
        )
        self.model = ComboBox(
            label="Model",
            tooltip="What finds and follows the objects. auto: the best one on this machine; "
            "nothing is downloaded.",
            choices=[],
        )
        self.device = ComboBox(
            label="Device",
            tooltip="What the model runs on. auto: the fastest there is.",
            choices=[AUTO],
        )
        for box in (self.time_axis, self.model, self.device):
            fit_narrow(box)
        self.group = make_group(
            "Video", [self.video.box, self.time_axis, self.channel, self.model, self.device]
        )


class PromptFields:
    """Where the objects are pointed out."""

    def __init__(self, bench: Workbench) -> None:
        viewer = bench.viewer
        self.new = PushButton(
            text="New prompts",
            tooltip="Add a points layer and a boxes layer to point out objects in.",
        )
        self.points = LayerChoice(
            viewer,
            Points,
            "Points",
            "Clicks on the objects. A layer of your own will do: its feature 'object' says which "
            "object a click belongs to, 'label' says include or exclude.",
            is_optional=True,
        )
        self.boxes = LayerChoice(
            viewer,
            Shapes,
            "Boxes",
            "Rectangles round the objects; ellipses and polygons are taken as outlines, lines as "
            "rows of clicks.",
            is_optional=True,
        )
        self.masks = LayerChoice(
            viewer,
            Labels,
            "Painted masks",
            "A labels layer: what is painted on the frame on screen is the mask of the object of "
            "that number.",
            is_optional=True,
            is_offered=lambda layer: not bench.is_result(layer),
        )
        self.text = LineEdit(label="Text", tooltip="")
        self.object = SpinBox(
            tooltip="The object that the next click or box belongs to. 'each new': every click and "
            "every box is an object of its own. Key N: next object.",
            min=NEW_EACH,
            max=int(np.iinfo(LABEL_DTYPE).max),
            value=1,
        )
        self.object.native.setSpecialValueText("each new")
        self.sign = RadioButtons(
            choices=[INCLUDE, EXCLUDE],
            value=INCLUDE,
            orientation="horizontal",
            tooltip="Whether the next click shows the object or what does not belong to it. "
            "Key W switches.",
        )
        self.swatch = QLabel()
        self.swatch.setFixedSize(18, 18)
        self.swatch.setToolTip("The colour of this object's clicks, boxes and mask.")
        row = Container(widgets=[self.object, self.sign], layout="horizontal", labels=False)
        row.label = "Object"
        row.margins = (0, 0, 0, 0)
        row.native.layout().insertWidget(1, self.swatch)
        self.group = make_group(
            "Prompts",
            [self.new, self.points.box, self.boxes.box, self.masks.box, self.text, row],
        )

    def show_colour(self) -> None:
        """Give the swatch the colour of the current object."""
        number = int(self.object.value)
        if number == NEW_EACH:
            colour = "transparent"
        else:
            red, green, blue = (round(255 * c) for c in label_colormap().map(number)[:3])
            colour = f"rgb({red}, {green}, {blue})"
        self.swatch.setStyleSheet(
            f"background-color: {colour}; border: 1px solid gray; border-radius: 3px;"
        )


class TrackFields:
    """How far and in which direction to follow the objects."""

    def __init__(self) -> None:
        self.direction = ComboBox(
            label="Direction",
            tooltip="forward: from the start frame on. backward: from the frame before it, down. "
            "both: forward, then backward.",
            choices=["forward", "backward", "both"],
        )
        self.start = SpinBox(
            label="Start frame",
            tooltip="Where to begin, counted from 0. Lowest value: at the first prompt.",
            min=FIRST_PROMPT,
            max=0,
            value=FIRST_PROMPT,
        )
        self.start.native.setSpecialValueText("first prompt")
        self.length = SpinBox(
            label="Frames",
            tooltip="At most so many frames in each direction. Lowest value: all.",
            min=ALL_FRAMES,
            max=0,
            value=ALL_FRAMES,
        )
        self.length.native.setSpecialValueText("all")
        self.follow = CheckBox(
            text="Follow: show each frame as it is done",
            tooltip="Turn the viewer to the newest frame while tracking.",
        )
        self.segment = PushButton(
            text="Segment frame", tooltip="Show what the prompts mean on the frame on screen."
        )
        self.propagate = PushButton(
            text="Propagate", tooltip="Follow the objects through the video."
        )
        self.stop = PushButton(
            text="Stop", tooltip="Stop before the next frame; what is done stays.", enabled=False
        )
        self.progress = ProgressBar(value=0, min=0, max=1, visible=False, tooltip="Frames done.")
        self.pace = QLabel("")
        self.pace.hide()
        self.group = make_group(
            "Track",
            [
                self.direction,
                self.start,
                self.length,
                make_row(self.follow),
                make_row(self.segment, self.propagate, self.stop),
                make_row(self.progress),
            ],
        )
        self.group.layout().addWidget(self.pace)

    def limit_to(self, n_frames: int) -> None:
        """Offer only frames that the video has."""
        self.start.max = max(0, n_frames - 1)
        self.length.max = max(0, n_frames)

    def show_progress(self, n_done: int, n_planned: int, pace: str) -> None:
        """Show how far the work is; nothing where nothing is planned."""
        self.progress.visible = n_planned > 0
        self.pace.setVisible(n_planned > 0)
        self.pace.setText(pace)
        if n_planned > 0:
            self.progress.max = n_planned
            self.progress.value = min(n_done, n_planned)


class ObjectFields:
    """What is done to whole objects."""

    def __init__(self) -> None:
        self.remove = PushButton(text="Remove object", tooltip="")
        self.reset = PushButton(
            text="Reset",
            tooltip="Begin anew: forget all objects and empty the prompt layers made here. "
            "The labels done so far stay as they are; the next results get a new layer.",
        )
        self.group = make_group("Objects", [make_row(self.remove, self.reset)])

    def name_object(self, obj_id: int | None) -> None:
        """Say which object would be removed."""
        self.remove.text = "Remove object" if obj_id is None else f"Remove object {obj_id}"
        self.remove.tooltip = (
            "Choose the object's number above to remove it."
            if obj_id is None
            else f"Remove object {obj_id}: its clicks and boxes, its mask on every frame, and "
            "itself from everything that follows."
        )


def lay_out(groups: Sequence[QGroupBox]) -> tuple[QLabel, QScrollArea]:
    """Make the line of guidance, and a column of the groups that scrolls where room is short."""
    guidance = QLabel()
    guidance.setWordWrap(True)
    guidance.setObjectName("guidance")
    guidance.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    guidance.setAlignment(Qt.AlignmentFlag.AlignTop)
    # room for three lines, so that the fields below do not jump when the text changes
    guidance.setMinimumHeight(3 * guidance.fontMetrics().lineSpacing() + 6)
    column = QWidget()
    layout = QVBoxLayout(column)
    layout.setContentsMargins(0, 0, 0, 0)
    for group in groups:
        layout.addWidget(group)
    layout.addStretch()
    body = QScrollArea()
    body.setWidgetResizable(True)
    body.setFrameShape(QFrame.Shape.NoFrame)
    body.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    body.setWidget(column)
    return guidance, body


def make_row(*widgets: Widget) -> Container:
    """Put fields side by side, without labels."""
    row = Container(widgets=list(widgets), layout="horizontal", labels=False)
    row.margins = (0, 0, 0, 0)
    return row


def make_group(title: str, widgets: Sequence[Any]) -> QGroupBox:
    """Put fields under each other in a box with a title."""
    column = Container(widgets=list(widgets), labels=True)
    column.margins = (0, 0, 0, 0)
    column.native.layout().setSpacing(4)
    group = QGroupBox(title)
    group.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Maximum)
    layout = QVBoxLayout(group)
    layout.setContentsMargins(6, 6, 6, 6)
    layout.addWidget(column.native)
    group.fields = column  # the Python side of the fields lives as long as the box
    return group
