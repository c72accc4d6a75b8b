"""Which video, and how it is read."""

from __future__ import annotations

from typing import Any

from magicgui.widgets import ComboBox
from napari.layers import Image

from napari_sam3.plugin.controllers.tracking_controller import TrackingController
from napari_sam3.plugin.views.widgets.groups import FoldedGroup
from napari_sam3.plugin.views.widgets.layer_combo import LayerCombo, fit_narrow, shorten
from napari_sam3.plugin.views.widgets.spin_box import NumberField


class VideoPanel:
    """The group "Video"; axis and channel are asked for only where they are not clear.

    It opens by itself where something is to be chosen: an axis, or a model that is not here.

    Parameters
    ----------
    tracking : TrackingController
    """

    def __init__(self, tracking: TrackingController) -> None:
        self._axes, self._state = tracking.axes, tracking.state
        self.video = LayerCombo(
            tracking.viewer,
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
        fit_narrow(self.time_axis)
        self.group = FoldedGroup("Video", "The video that is worked on, and the model.")
        for field in (self.video, self.time_axis, self.channel):
            self.group.rows.add(field)
        self.time_axis.changed.connect(self._on_time_axis_picked)
        self.channel.changed.connect(self._axes.choose_channel)
        hear = self._state.hear
        hear(self._show_axes, "time_axes", "time_axis", "n_channels", "channel", "channel_names")
        hear(self.video.choose, "video")
        hear(self._on_phase_changed, "phase")
        hear(self._show_title, "video", "model", "catalog")
        self._show_axes()
        self._show_title()

    def _show_axes(self, _value: Any = None) -> None:
        state, rows = self._state, self.group.rows
        with self.time_axis.changed.blocked(), self.channel.changed.blocked():
            self.time_axis.choices = state.time_axes
            if state.time_axes:
                self.time_axis.value = state.time_axis
            self.channel.max = max(0, state.n_channels - 1)
            self.channel.value = min(state.channel, self.channel.max)
            names = state.channel_names
            self.channel.native.setSuffix(
                f"  {shorten(names[state.channel], 20)}" if state.channel < len(names) else ""
            )
        rows.show_field(self.time_axis, bool(state.time_axes))
        rows.show_field(self.channel, state.n_channels > 0)
        if state.time_axes:
            self.group.expand(animate=False)

    def _show_title(self, _value: Any = None) -> None:
        """Say what is chosen, for the group is mostly folded."""
        state = self._state
        name = "none" if state.video is None else shorten(state.video.name, 20)
        self.group.setText(f"Video: {name}, model: {shorten(state.resolved_model, 16)}")
        if not state.is_model_ready:
            self.group.expand(animate=False)

    def _on_phase_changed(self, _phase: Any) -> None:
        self.group.setEnabled(self._state.is_idle)

    def _on_time_axis_picked(self, axis: int | None) -> None:
        if axis is not None:
            self._axes.choose_time_axis(axis)
