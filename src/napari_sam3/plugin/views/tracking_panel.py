"""How far and in which direction to follow the objects."""

from __future__ import annotations

from typing import Any

from magicgui.widgets import CheckBox, ComboBox, ProgressBar, PushButton
from qtpy.QtWidgets import QSizePolicy
from superqt import QElidingLabel

from napari_sam3.plugin.model.app_state import AppState, Phase
from napari_sam3.plugin.views.widgets.binding import bind
from napari_sam3.plugin.views.widgets.groups import FoldedGroup, side_by_side
from napari_sam3.plugin.views.widgets.spin_box import NumberField

BAR_WIDTH = 130  # px
FIRST_PROMPT = -1
ALL_FRAMES = 0


class TrackingPanel:
    """What is done with the prompts, how far it is, and where it goes.

    Parameters
    ----------
    state : AppState

    Attributes
    ----------
    actions : QWidget
        A row of buttons.
    advance : QWidget
        A row of constant height: how far the job is.
    group : FoldedGroup
        In which direction, and how many frames.
    """

    def __init__(self, state: AppState) -> None:
        self._state = state
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
        self.from_here = PushButton(
            text="From here",
            tooltip="Propagate what was corrected on this frame, as far as that changes anything, "
            "or to the next frame that is locked or done by hand. Other objects stay as they are.",
        )
        self.stop = PushButton(
            text="Stop", tooltip="Stop before the next frame; what is done stays."
        )
        self.progress = ProgressBar(min=0, max=1, tooltip="Frames done.")
        self.pace = QElidingLabel("")
        self.actions = side_by_side(
            self.segment.native,
            self.propagate.native,
            self.from_here.native,
            self.stop.native,
            stretch=1,
        )
        self.advance = side_by_side(self.progress.native, self.pace, stretch=1)
        self.advance.setFixedHeight(self.pace.fontMetrics().lineSpacing() + 4)
        self.progress.native.setFixedWidth(BAR_WIDTH)
        self.progress.native.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Ignored)
        self.group = FoldedGroup("Track", "In which direction to follow the objects, and how far.")
        rows = self.group.rows
        for field in (self.direction, self.start, self.length):
            rows.add(field)
        rows.add_row(self.follow.native)
        events = state.events
        events.n_frames.connect(self._limit)
        self._limit(state.n_frames)
        bind(state, "direction", self.direction)
        bind(state, "start_frame", self.start, show=_or(FIRST_PROMPT), read=_none_for(FIRST_PROMPT))
        bind(state, "max_frames", self.length, show=_or(ALL_FRAMES), read=_none_for(ALL_FRAMES))
        bind(state, "is_followed", self.follow)
        self._state.hear(self._show_title, "direction", "start_frame", "max_frames")
        self._show_title()
        self._state.hear(self._show_progress, "steps_done", "steps_planned", "phase")
        self._state.hear(self._enable, "video", "project", "phase")
        self._show_progress()
        self._enable()

    def _limit(self, n_frames: int) -> None:
        """Offer only frames that the video has."""
        self.start.max = max(0, n_frames - 1)
        self.length.max = max(1, n_frames)

    def _show_title(self, _value: Any = None) -> None:
        """Say where Propagate goes, for the group is mostly folded."""
        state = self._state
        way = "both ways" if state.direction == "both" else state.direction
        start = "" if state.start_frame is None else f" from {state.start_frame}"
        length = "all frames" if state.max_frames is None else f"at most {state.max_frames} frames"
        self.group.setText(f"Track: {way}{start}, {length}")

    def _show_progress(self, _value: Any = None) -> None:
        """Show how far the job is; nothing where nothing is planned."""
        state, bar = self._state, self.progress.native
        is_shown = not state.is_idle and state.steps_planned > 0
        # a bar repaints itself, and with it the whole window, at each change: one is enough
        bar.setUpdatesEnabled(False)
        if is_shown:
            self.progress.max = state.steps_planned
            self.progress.value = min(state.steps_done, state.steps_planned)
        bar.setUpdatesEnabled(True)
        bar.setVisible(is_shown)
        self.pace.setText(state.pace if is_shown else "")

    def _enable(self, _value: Any = None) -> None:
        state = self._state
        for button in (self.segment, self.propagate, self.from_here):
            button.enabled = state.can_change and state.is_idle
        self.stop.enabled = not state.is_idle and state.phase is not Phase.STOPPING


def _or(lowest: int) -> Any:
    return lambda number: lowest if number is None else number


def _none_for(lowest: int) -> Any:
    return lambda number: None if number == lowest else number
