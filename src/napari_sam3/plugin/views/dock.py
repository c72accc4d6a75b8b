"""The dock widget: builds the panels, binds their buttons to the controllers; holds no state."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import napari.viewer
from napari.layers import Image
from napari.utils.notifications import show_error
from qtpy.QtCore import QSize, Qt, Signal
from qtpy.QtGui import QShortcut
from qtpy.QtWidgets import (
    QApplication,
    QFrame,
    QMainWindow,
    QPushButton,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from napari_sam3.errors import (
    MissingPromptError,
    OutOfDeviceMemoryError,
    Sam3Error,
    WeightsMissingError,
)
from napari_sam3.plugin.controllers.brush_object import BrushObject
from napari_sam3.plugin.controllers.frame_lock import LOCK_KEY, switch_lock
from napari_sam3.plugin.controllers.layer_keys import LayerKeys
from napari_sam3.plugin.controllers.model_controller import ModelController
from napari_sam3.plugin.controllers.pieces import Pieces
from napari_sam3.plugin.controllers.prefetch import Prefetch
from napari_sam3.plugin.controllers.project_controller import ProjectController
from napari_sam3.plugin.controllers.project_opener import ProjectOpener
from napari_sam3.plugin.controllers.project_snapshot import read_zoom, set_zoom
from napari_sam3.plugin.controllers.prompt_tool import PromptTool
from napari_sam3.plugin.controllers.review_controller import ReviewController
from napari_sam3.plugin.controllers.settings_controller import SettingsController
from napari_sam3.plugin.controllers.tool_controller import ToolController
from napari_sam3.plugin.controllers.tracking_controller import TrackingController
from napari_sam3.plugin.controllers.undo_keys import UndoKeys
from napari_sam3.plugin.model.tools import Tool
from napari_sam3.plugin.views.compute_panel import ComputePanel
from napari_sam3.plugin.views.detect_panel import DetectPanel
from napari_sam3.plugin.views.dock_lifetime import Lifetime
from napari_sam3.plugin.views.end_notice import EndNotice
from napari_sam3.plugin.views.export_dialog import ExportDialog
from napari_sam3.plugin.views.guidance import Guidance
from napari_sam3.plugin.views.help_panel import HELP_KEY, HelpPanel
from napari_sam3.plugin.views.history_list import HistoryList, add_shortcuts
from napari_sam3.plugin.views.model_panel import ModelPanel
from napari_sam3.plugin.views.objects_panel import ObjectsPanel
from napari_sam3.plugin.views.project_panel import ProjectPanel
from napari_sam3.plugin.views.prompt_panel import PromptPanel
from napari_sam3.plugin.views.review_panel import ReviewPanel
from napari_sam3.plugin.views.settings_panel import SettingsPanel
from napari_sam3.plugin.views.timeline_dock import close_timeline, show_timeline, switch_timeline
from napari_sam3.plugin.views.tool_strip import ToolStrip
from napari_sam3.plugin.views.tracking_panel import TrackingPanel
from napari_sam3.plugin.views.video_panel import VideoPanel
from napari_sam3.plugin.views.widgets.canvas_focus import CanvasFocus, is_closing
from napari_sam3.plugin.views.widgets.groups import side_by_side, tight
from napari_sam3.plugin.views.widgets.kept_view import KeptView
from napari_sam3.plugin.views.widgets.quiet_line import QuietLine

WIDTH = 340
"""What the dock asks for, px; at most 400 leave the picture its room."""


class SegmentAndTrackWidget(QWidget):
    """Segment and track objects of a video: click, draw, paint or type, then propagate.

    Every button is a method too, so that a script can do what a person does.

    Parameters
    ----------
    napari_viewer : napari.viewer.Viewer
        The viewer that it works in.

    Attributes
    ----------
    tracking : TrackingController
        Does what the buttons say; its `state` is all that is chosen and under way.
    """

    ended = Signal()
    """A job has ended: done, stopped or failed; the buttons can be used again."""

    def __init__(self, napari_viewer: "napari.viewer.Viewer") -> None:  # noqa: UP037 (napari reads it)
        super().__init__()
        # a widget is given a proxy, whose layers are proxies too
        self.viewer = getattr(napari_viewer, "__wrapped__", napari_viewer)
        self.tracking = TrackingController(self.viewer)
        self.state = self.tracking.state
        self.settings = SettingsController(self.state)
        self.models = ModelController(self.state, self.tracking.compute)
        self.prompt_tool = PromptTool(self.state)
        self.tools = ToolController(self.tracking)
        self.brush_object = BrushObject(self.tracking)
        self.keys = LayerKeys(self.tracking)
        self.prefetch = Prefetch(self.tracking)
        self.projects = ProjectController(self.tracking, self._canvas_size)
        self.project_opener = ProjectOpener(self.tracking, self.projects)
        self.review = ReviewController(self.tracking, self._canvas_size)
        self.review.setParent(self)
        self.quiet_line = QuietLine()
        self.video_panel = VideoPanel(self.tracking)
        self.prompt_panel = PromptPanel(self.tracking)
        self.detect_panel = DetectPanel(self.tracking, self.settings, self.hold_example)
        self.model_panel = ModelPanel(
            self.state, self.models, self.video_panel.group.rows, self.quiet_line, self
        )
        self.compute_panel = ComputePanel(
            self.state, self.tracking.compute, self.video_panel.group.rows, self
        )
        self.tracking_panel = TrackingPanel(self.state)
        self.objects_panel = ObjectsPanel(self.tracking)
        self.undo_keys = UndoKeys(self.tracking)
        self.history_list = HistoryList(self.tracking)
        self.project_panel = ProjectPanel(self.state, self.project_opener)
        self.review_panel = ReviewPanel(self.review)
        self.settings_panel = SettingsPanel(self.state, self.settings)
        self.guidance = Guidance(self.state)
        self.end_notice = EndNotice(self.state, self)
        self.tool_strip = ToolStrip(
            self.state, self.take_tool, self.switch_timeline, self.show_help
        )
        for held in (
            self.prefetch,
            self.projects,
            self.project_opener,
            self.objects_panel,
            self.tracking.preview,
            self.tracking.compute,
        ):
            held.setParent(self)  # else Python ends them after Qt, which a program may not survive
        self.help_panel = HelpPanel(lambda: self.keys.listed, self)
        self._lay_out()
        self.focus = CanvasFocus(self)
        self._connect()
        self._add_keys()
        self._readying = Pieces(self)
        self._on_video_picked(self.video_panel.video.value)
        self._on_layers_changed()
        self.timeline = show_timeline(self.tracking)
        self.tracking.preview.is_on = True

    # ----------------------------------------------------- what a person does

    @property
    def is_running(self) -> bool:
        """Whether a job is under way."""
        return self.tracking.job is not None

    @property
    def is_getting_ready(self) -> bool:
        """Whether the layers to draw in are about to come, after a video was chosen."""
        return self._readying.is_running

    def new_prompts(self) -> None:
        """Choose layers to draw prompts of the video in; those made before, if they fit."""
        self._do(self.tracking.chosen.new_prompts)

    def take_tool(self, tool: Tool) -> None:
        """Take a tool in hand; its layer is chosen, and made if need be."""
        self._do(lambda: self.tools.take(tool))

    def hold_example(self, is_held: bool) -> None:
        """Take the tool for examples in hand, or the one that was there before it."""
        if is_held:
            self.take_tool(Tool.EXAMPLE)
        else:
            self._do(self.tools.end_example)

    def switch_timeline(self) -> None:
        """Hide the timeline under the picture, or show it again."""
        self.timeline = switch_timeline(self.tracking)

    def show_help(self) -> None:
        """Show all keys, and what the mouse does; pressed again, hide it."""
        self.help_panel.toggle()

    def segment_frame(self) -> None:
        """Show what the prompts mean on the frame on screen."""
        self._do(self.tracking.segment_frame)

    def propagate(self) -> None:
        """Follow the objects through the video; nothing happens while a job is under way."""
        self._do(self.tracking.propagate)

    def propagate_from_here(self) -> None:
        """Follow what was corrected from the frame on screen, as far as that changes anything."""
        self._do(self.tracking.propagate_from_here)

    def find_objects(self) -> None:
        """Have a detector propose what is new on the frame on screen."""
        self._do(self._find_objects)

    def accept_proposals(self) -> None:
        """Make prompts of all objects that are proposed."""
        self._do(self.tracking.detection.accept)

    def reject_proposals(self) -> None:
        """Let all objects go that are proposed."""
        self._do(self.tracking.detection.reject)

    def export(self) -> None:
        """Ask for a format and a place, and write the results there."""
        ExportDialog(self.tracking, self).exec()

    def stop(self) -> None:
        """Stop before the next frame; what is done stays."""
        self.tracking.stop()

    def remove_object(self, obj_id: int | None = None) -> None:
        """Remove an object (the current one if none is said): prompts, results and all."""
        self._do(lambda: self.tracking.remove_object(obj_id))

    def reset(self) -> None:
        """Begin anew: forget all objects, empty our own prompt layers; labels stay as they are."""
        self._do(self.tracking.reset)

    def shut_down(self) -> None:
        """Stop the job and give back all memory; the widget is not used afterwards."""
        if self.is_shut_down:
            return
        for event in self._layer_events():
            event.disconnect(self._on_layers_changed)
        close_timeline(self.timeline)
        self._readying.drop()
        self.projects.close()
        self.project_opener.close()
        self.focus.close()
        self.brush_object.close()
        self.tools.close()
        self.keys.close()
        self.prompt_tool.close()
        self.undo_keys.close()
        self.history_list.close()
        self.objects_panel.close()
        self.prefetch.close()
        self.review_panel.close_panel()
        self.review.close()
        self.settings.close()
        self.models.close()
        self.model_panel.close()
        self.state.events.block()  # nothing is shown any more
        self.tracking.shut_down()

    @property
    def is_shut_down(self) -> bool:
        """Whether it can't be used any more."""
        return self.tracking.is_closed

    def _find_objects(self) -> None:
        try:
            self.tracking.detection.detect()
        except MissingPromptError:  # said, with the tool for what is missing in hand
            self.tools.take(Tool.EXAMPLE)
            raise
        self.tools.end_example()

    def _do(self, act: Callable[[], object]) -> None:
        """Do something; an error of ours is shown instead of raised."""
        try:
            act()
        except Sam3Error as exc:
            self._tell(exc)

    def _tell(self, error: Sam3Error) -> None:
        if isinstance(error, WeightsMissingError) and not self.state.compute:
            self.model_panel.open_dialog()  # which tells of it
        else:
            show_error(str(error))
        self.tracking.fail(error)

    # ----------------------------------------------------------------- wiring

    def _lay_out(self) -> None:
        """What is always needed stays in place; the rest folds, and scrolls where room is short."""
        column = QWidget()
        column.setMinimumWidth(1)  # as wide as the scroll bar leaves it
        groups = tight(QVBoxLayout(column), 2)
        for shown in (
            # the table of objects
            self.objects_panel.fields.group,
            self.detect_panel.group,
            self.tracking_panel.group,
            self.prompt_panel.group,
            self.video_panel.group,
            self.history_list.group,
            self.project_panel.group,  # the button that exports
            self.settings_panel.group,
        ):
            groups.addWidget(shown)
        groups.addStretch()
        body = QScrollArea()
        body.setWidgetResizable(True)
        body.setFrameShape(QFrame.Shape.NoFrame)
        body.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        body.setWidget(column)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(4, 4, 4, 4)
        layout.setSpacing(4)
        for fixed in (
            side_by_side(self.guidance, self.project_panel.offer, stretch=0),
            self.tool_strip,
            self.prompt_panel.options,
            self.prompt_panel.in_hand,
            self.tracking_panel.actions,
            self.tracking_panel.advance,  # of long work
            self.review_panel,
        ):
            layout.addWidget(fixed)
        layout.addWidget(body, 1)
        layout.addWidget(self.quiet_line)

    def _connect(self) -> None:
        objects, track = self.objects_panel.fields, self.tracking_panel
        for button, act in (
            (self.prompt_panel.new, self.new_prompts),
            (track.segment, self.segment_frame),
            (track.propagate, self.propagate),
            (track.from_here, self.propagate_from_here),
            (self.detect_panel.find, self.find_objects),
            (self.detect_panel.accept_all, self.accept_proposals),
            (self.detect_panel.reject_all, self.reject_proposals),
            (self.project_panel.export, self.export),
            (track.stop, self.stop),
            (objects.reset, self.reset),
            (self.prompt_panel.next, lambda: self._do(self.tools.next_object)),
        ):
            signal = button.clicked if isinstance(button, QPushButton) else button.changed
            signal.connect(lambda _pressed, act=act: act())
        self.prompt_panel.text.native.returnPressed.connect(self.segment_frame)
        self.video_panel.video.changed.connect(self._on_video_picked)
        self.state.events.prepared_frame.connect(self._show_prepared)
        self.tracking.ended.connect(self._on_job_ended)
        self.project_opener.opened.connect(self._get_ready)
        for event in self._layer_events():
            event.connect(self._on_layers_changed)
        add_shortcuts(self, self.tracking)
        Lifetime(self, self.shut_down)
        KeptView(self, partial(read_zoom, self.viewer), partial(set_zoom, self.viewer))

    def _add_keys(self) -> None:
        for tool in Tool:
            if tool is not Tool.EXCLUDE and tool.about.key:  # whose key changes back, too
                text = f"{tool.value}: {tool.about.hint}"
                self.keys.add(tool.about.key, text, partial(self.take_tool, tool))
        switch = Tool.EXCLUDE.about
        self.keys.add(switch.key, "include or exclude", lambda: self._do(self.tools.switch_sign))
        self.keys.add("N", "next object, a new one", lambda: self._do(self.tools.next_object))
        self.keys.add(LOCK_KEY, "lock the frame, or unlock it", partial(switch_lock, self.tracking))
        for key, text, act in self.review_panel.keys:
            self.keys.add(key, text, act)
        self._help_key = QShortcut(HELP_KEY, self)
        self._help_key.activated.connect(self.show_help)

    def _layer_events(self) -> tuple[Any, ...]:
        events = self.viewer.layers.events
        return events.inserted, events.removed, events.reordered, events.renamed

    def _on_video_picked(self, image_layer: Image | None) -> None:
        if image_layer is not self.state.video:
            self._do(lambda: self.tracking.choose_video(image_layer))
            # when the layer, which may have come just now, is on the screen
            self._get_ready()

    def _get_ready(self) -> None:
        self._readying.start(self._make_ready(self.tools.make_ready()))

    def _make_ready(self, steps: Iterator[None]) -> Iterator[None]:
        """Have the tool for clicks in hand, unless a project is about to bring its layers."""
        if not (self.is_shut_down or self.project_opener.is_waiting):
            try:
                yield from steps
            except Sam3Error as exc:
                self._tell(exc)

    def _on_layers_changed(self, _event: Any = None) -> None:
        prompts = self.prompt_panel
        for combo in (self.video_panel.video, prompts.points, prompts.boxes, prompts.masks):
            combo.offer()
        self.tracking.follow_layers()
        self.projects.let_go_of_deleted()
        self.project_opener.follow_layers()

    def _on_job_ended(self) -> None:
        self.models.refresh()  # it may be loaded now
        is_missing = isinstance(self.tracking.error, WeightsMissingError)
        if is_missing and not self.state.compute:  # the dialog gets it to this computer
            self.model_panel.open_dialog()
        elif isinstance(self.tracking.error, OutOfDeviceMemoryError):
            self.settings_panel.group.expand(animate=False)  # the resolution is a remedy
        self.ended.emit()

    def _show_prepared(self, frame_index: int | None) -> None:
        text = "" if frame_index is None else f"preparing frame {frame_index} …"
        self.quiet_line.show_text("prefetch", text)

    def _canvas_size(self) -> tuple[int, int]:
        """Width and height of what is in the middle of the window, screen px."""
        window = self.window()
        middle: Any = window.centralWidget() if isinstance(window, QMainWindow) else window
        return middle.width(), middle.height()

    def focusNextPrevChild(self, is_next: bool) -> bool:  # noqa: N802 (Qt's name)
        """Who is closed or hidden while it has the focus gives it to the canvas, to no field."""
        focused = QApplication.focusWidget()
        if is_closing(focused) and self.isAncestorOf(focused):
            self.focus.give_back()
            return True
        return super().focusNextPrevChild(is_next)

    def sizeHint(self) -> QSize:  # noqa: N802 (Qt's name)
        """Narrow enough to leave the picture its room."""
        return QSize(WIDTH, super().sizeHint().height())
