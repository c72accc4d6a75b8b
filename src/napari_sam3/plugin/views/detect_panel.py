"""Objects found by themselves: by what, and what becomes of those that are proposed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from magicgui.widgets import ComboBox, LineEdit, PushButton
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QLabel, QPushButton

from napari_sam3.detection import DetectorEntry, goes_by_example, list_detectors
from napari_sam3.plugin.controllers.settings_controller import SettingsController
from napari_sam3.plugin.controllers.tracking_controller import TrackingController
from napari_sam3.plugin.model.tools import Tool
from napari_sam3.plugin.views.widgets.groups import FoldedGroup, side_by_side
from napari_sam3.plugin.views.widgets.layer_combo import fit_narrow
from napari_sam3.settings import VARIABLES, settings_from_environment

_SIGNS = ("bright", "dark")


class DetectPanel:
    """The detector, the button that has it look, and the buttons for all that it proposes.

    Parameters
    ----------
    tracking : TrackingController
    settings : SettingsController
        Keeps the detector for the next time.
    hold_example : callable
        Called with whether the tool for examples shall be in hand.

    Attributes
    ----------
    group : FoldedGroup
        All of it.
    """

    def __init__(
        self,
        tracking: TrackingController,
        settings: SettingsController,
        hold_example: Callable[[bool], object],
    ) -> None:
        self._state, self._settings = tracking.state, settings
        self._hold_example = hold_example
        self.detector = ComboBox(
            label="By",
            tooltip="What looks for objects. blobs: what is brighter or darker than its ground, "
            "needs nothing. cellpose: cells, if that is installed. A model that takes text: what a "
            "word names, or what looks like an example that you draw a box round.",
            choices=[
                *((f"blobs{s and ', '}{s}", f"blobs{s and ':'}{s}") for s in ("", *_SIGNS)),
                *(
                    choice
                    for entry in list_detectors()
                    if entry.name != "blobs"
                    for choice in _choices(entry)
                ),
            ],
        )
        fit_narrow(self.detector)
        self.words = LineEdit(
            label="Look for",
            tooltip="A word or two, such as: cell.",
        )
        self.example = QPushButton("Example box")
        self.example.setCheckable(True)
        self.example.setToolTip(
            "Take the tool for examples in hand: drag a box round one of the things to find, on "
            "the frame on screen. It is no prompt. Ctrl+Z takes it back."
        )
        self.example_said = QLabel()
        self._example_row = side_by_side(self.example, self.example_said, stretch=1)
        self.find = PushButton(
            text="Find objects",
            tooltip="Look at the frame on screen. What is found, and neither prompted nor tracked "
            "there, is proposed: hatched in the picture, to check in the table. Nothing is taken "
            "by itself.",
        )
        self.accept_all = PushButton(
            text="Accept all",
            tooltip="Make a prompt of every object that is proposed. Ctrl+Z takes it back.",
        )
        self.reject_all = PushButton(
            text="Reject all",
            tooltip="Let all objects go that are proposed. Ctrl+Z proposes them again.",
        )
        self.said = QLabel()
        self.said.setWordWrap(True)
        self.said.setTextFormat(Qt.TextFormat.PlainText)  # words are no markup
        self.group = FoldedGroup(
            "Find objects", "First prompts by themselves, and what has come in since."
        )
        rows = self.group.rows
        rows.add(self.detector)
        rows.add(self.words)
        rows.add_row(self._example_row)
        rows.add_row(self.find.native, self.accept_all.native, self.reject_all.native)
        rows.add_row(self.said)
        events = self._state.events
        events.detector.connect(self._show_detector)
        for name in ("detection", "video", "phase", "project", "results_name"):
            events[name].connect(self._show)
        for name in ("tool", "has_example"):
            events[name].connect(self._show_example)
        if "detector" in settings_from_environment():
            tooltip = f"{VARIABLES['detector']} says so at first.\n{self.detector.tooltip}"
            self.detector.tooltip = tooltip
        self.detector.changed.connect(self._on_chosen)
        self.words.native.editingFinished.connect(self._on_chosen)
        self.example.clicked.connect(self._on_example_pressed)
        self._tracking = tracking
        self._show_detector(self._state.detector)
        self._show()

    def _on_chosen(self, _value: Any = None) -> None:
        name = self.detector.value
        if name is None:  # while choices are exchanged
            return
        chosen = f"{name}{self.words.value.strip()}" if _takes_words(name) else name
        if chosen != self._state.detector:
            self._state.detector = chosen
            if "detector" not in settings_from_environment():
                self._settings.save("detector", chosen)
            if self._state.can_change:
                self._hold_example(goes_by_example(name))

    def _on_example_pressed(self, is_held: bool) -> None:
        self._hold_example(is_held)
        self._show_example()  # the state may not have taken it, while Qt has pressed the button

    def _show_detector(self, asked: str) -> None:
        choices = self.detector.choices
        name, words = asked, ""
        if asked not in choices:
            head, colon, words = asked.partition(":")
            name = head + colon
        with self.detector.changed.blocked(), self.words.changed.blocked():
            if name not in choices:  # a script's or a setting's own
                self.detector.choices = [*_named(self.detector), (asked, asked)]
                name = asked
            self.detector.value = name
            if _takes_words(name):
                self.words.value = words
        self.group.rows.show_field(self.words, _takes_words(name))
        self.group.rows.show_row(self._example_row, goes_by_example(name))
        self._show()

    def _show(self, _value: Any = None) -> None:
        state, detection = self._state, self._state.detection
        can_change = state.can_change and not detection.is_working
        self.find.enabled = can_change
        self.find.text = "Find new objects" if self._tracking.results else "Find objects"
        for button in (self.accept_all, self.reject_all):
            button.enabled = can_change and state.is_idle and detection.n_proposals > 0
        said = "looking …" if detection.is_working else detection.said
        self.said.setText(said)
        self.said.setVisible(bool(said))
        self._show_example()

    def _show_example(self, _value: Any = None) -> None:
        state = self._state
        self.example.setChecked(state.tool is Tool.EXAMPLE)
        self.example.setEnabled(state.can_change)
        there = "drawn on this frame" if state.has_example else "none on this frame yet"
        self.example_said.setText(there)


def _choices(entry: DetectorEntry) -> list[tuple[str, str]]:
    """What is shown of a detector and what is asked for by it; a word comes behind a colon."""
    ways = []
    if entry.takes_words:
        ways.append((f"{entry.name}, a word", f"{entry.name}:"))
    if entry.takes_examples:
        ways.append((f"{entry.name}, an example", entry.name))
    return ways or [(entry.name if entry.is_ready else f"{entry.name} (not installed)", entry.name)]


def _takes_words(name: str) -> bool:
    return name.endswith(":")


def _named(box: ComboBox) -> list[tuple[str, Any]]:
    """The choices of a list, with what is shown of each."""
    native = box.native
    return [(native.itemText(i), native.itemData(i)) for i in range(native.count())]
