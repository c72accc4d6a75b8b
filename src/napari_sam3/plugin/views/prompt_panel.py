"""The fields of the dock, group by group: what they are called, may hold and explain."""

from __future__ import annotations

import numpy as np
from magicgui.widgets import CheckBox, ComboBox, LineEdit, ProgressBar, PushButton, RadioButtons
from napari.layers import Image, Labels, Points, Shapes
from napari.utils.colormaps import label_colormap
from qtpy.QtWidgets import QLabel, QSizePolicy

from napari_sam3.plugin.layers.prompt_layers import EXCLUDE, INCLUDE
from napari_sam3.plugin.layers.results_layer import LABEL_DTYPE
from napari_sam3.plugin.model.tracked_video import Workbench
from napari_sam3.plugin.views.widgets.groups import FieldGroup
from napari_sam3.plugin.views.widgets.layer_combo import LayerChoice, fit_narrow
from napari_sam3.plugin.views.widgets.spin_box import NumberField

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
            "The image layer to track in: a video, a stack, or a single picture. What has more "
            "than 8 bits is scaled by its contrast limits as they are when the work begins.",
        )
        self.time_axis = ComboBox(
            label="Time axis",
            tooltip="The axis to track along. The other axes stay at the slice on screen.",
            choices=[],
        )
        self.channel = NumberField("Channel", "The channel that the model looks at, from 0.")
        self.model = ComboBox(label="Model", choices=[])
        self.get = PushButton(
            text="Get …",
            tooltip="Licence and state of this model; get it, use a folder that has it, or add "
            "one of your own.",
        )
        self.licence = QLabel()
        self.licence.setOpenExternalLinks(True)
        self.licence.setToolTip("What the model's weights may be used for.")
        for box in (self.time_axis, self.model):
            fit_narrow(box)
        self.group = FieldGroup("Video")
        for field in (self.video.box, self.time_axis, self.channel):
            self.group.add(field)
        self.group.add(self.model)
        self.get.native.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        self.group.add_row(self.licence, self.get.native)


class PromptFields:
    """Where the objects are pointed out."""

    def __init__(self, bench: Workbench) -> None:
        viewer = bench.viewer
        self.new = PushButton(
            text="New prompts",
            tooltip="Choose a points layer and a boxes layer to point out objects in; they are "
            "added where there are none yet.",
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
            "Masks",
            "A labels layer: what is painted on the frame on screen is the mask of the object of "
            "that number.",
            is_optional=True,
            is_offered=lambda layer: not bench.is_result(layer),
        )
        self.text = LineEdit(label="Text")
        self.object = NumberField(
            "Object",
            "The object that the next click or box belongs to. 'each new': every click and every "
            "box is an object of its own. Key N: next object.",
            min=NEW_EACH,
            max=int(np.iinfo(LABEL_DTYPE).max),
            value=1,
            lowest="each new",
        )
        self.sign = RadioButtons(
            label="It shows",
            choices=[INCLUDE, EXCLUDE],
            orientation="horizontal",
            tooltip="include: the next click or box shows the object. exclude: it shows what does "
            "not belong to it. Key W switches.",
        )
        self.sign.value = INCLUDE
        self.examples = CheckBox(
            text="Boxes are examples of what to look for",
            tooltip="The next rectangle is no object by itself: all that looks like what it shows "
            "is looked for (include), or left out (exclude), together with the text if there is "
            "one.",
        )
        self.swatch = QLabel()
        self.swatch.setFixedSize(18, 18)
        self.swatch.setToolTip("The colour of this object's clicks, boxes and mask.")
        self.group = FieldGroup("Prompts")
        self.group.add_row(self.new.native)
        for field in (self.points.box, self.boxes.box, self.masks.box, self.text):
            self.group.add(field)
        self.group.add(self.object, self.swatch)
        self.group.add(self.sign)
        self.group.add_row(self.examples.native)

    @property
    def draws_examples(self) -> bool:
        """Whether the next box is an example of what to look for."""
        return bool(self.examples.value) and self.examples.native.isEnabled()

    def show_colour(self) -> None:
        """Give the swatch the colour of the current object."""
        colour = "transparent"
        if self.object.value != NEW_EACH:
            # with the colours that Labels layers have
            rgb = label_colormap(49, 0.5, 0).map(self.object.value)[:3]
            colour = "rgb({}, {}, {})".format(*(round(255 * float(part)) for part in rgb))
        self.swatch.setStyleSheet(
            f"background-color: {colour}; border: 1px solid gray; border-radius: 3px;"
        )


class TrackFields:
    """How far and in which direction to follow the objects."""

    def __init__(self) -> None:
        # both at first: napari opens a video in its middle, and there the first click is made
        self.direction = ComboBox(
            label="Direction",
            tooltip="forward: from the start frame on. backward: from the frame before it, down. "
            "both: to both ends of the video.",
            choices=["both", "forward", "backward"],
        )
        self.start = NumberField(
            "Start frame",
            "Where to begin, counted from 0. Lowest value: at the first prompt.",
            min=FIRST_PROMPT,
            lowest="first prompt",
        )
        self.length = NumberField(
            "Frames",
            "At most so many frames in each direction. Lowest value: all.",
            min=ALL_FRAMES,
            lowest="all",
        )
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
            text="Stop", tooltip="Stop before the next frame; what is done stays."
        )
        self.progress = ProgressBar(min=0, max=1, tooltip="Frames done.")
        self.pace = QLabel("")
        self.group = FieldGroup("Track")
        for field in (self.direction, self.start, self.length):
            self.group.add(field)
        self.group.add_row(self.follow.native)
        self.group.add_row(self.segment.native, self.propagate.native, self.stop.native)
        self.group.add_row(self.progress.native)
        self.group.add_row(self.pace)
        self.show_progress(0, 0, "")

    @property
    def first_frame(self) -> int | None:
        """Where to begin; None: at the first prompt."""
        return None if self.start.value == FIRST_PROMPT else self.start.value

    @property
    def most_frames(self) -> int | None:
        """How many frames in each direction; None: all."""
        return None if self.length.value == ALL_FRAMES else self.length.value

    def limit_to(self, n_frames: int) -> None:
        """Offer only frames that the video has."""
        self.start.max = max(0, n_frames - 1)
        self.length.max = max(1, n_frames)

    def show_progress(self, n_done: int, n_planned: int, pace: str) -> None:
        """Show how far the work is; nothing where nothing is planned."""
        bar = self.progress.native
        # a bar repaints itself, and with it the whole window, at each change: one is enough
        bar.setUpdatesEnabled(False)
        if n_planned > 0:
            self.progress.max = n_planned
            self.progress.value = min(n_done, n_planned)
        bar.setUpdatesEnabled(True)
        bar.setVisible(n_planned > 0)
        self.pace.setVisible(n_planned > 0)
        self.pace.setText(pace)
