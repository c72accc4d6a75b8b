"""The dock widget: fields and buttons wired to the workbench and to one run at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import napari.viewer
from napari.layers import Image
from napari.utils.notifications import show_warning
from qtpy.QtCore import QSize, Signal
from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_sam3.errors import (
    LayerError,
    MissingPromptError,
    OutOfDeviceMemoryError,
    WeightsMissingError,
)
from napari_sam3.plugin.controllers.job_runner import Work
from napari_sam3.plugin.controllers.prefetch import Prefetch
from napari_sam3.plugin.controllers.project_controller import ProjectKeeper
from napari_sam3.plugin.controllers.prompt_tool import PromptTool
from napari_sam3.plugin.controllers.session_controller import SessionController
from napari_sam3.plugin.controllers.tracking_job import Job
from napari_sam3.plugin.layers.layer_prompts import TargetPrompts
from napari_sam3.plugin.layers.prompt_snapshot import describe_skipped, read_prompts, remove_items
from napari_sam3.plugin.layers.stack_axes import frame_count
from napari_sam3.plugin.layers.viewer_frame import frame_on_screen
from napari_sam3.plugin.model.events import Event as RunEvent
from napari_sam3.plugin.model.status import Outcome, Phase, State
from napari_sam3.plugin.model.tracked_video import Setup, Workbench
from napari_sam3.plugin.views.axes_selector import AxesChoice
from napari_sam3.plugin.views.buttons import enable_buttons
from napari_sam3.plugin.views.dock_lifetime import Lifetime
from napari_sam3.plugin.views.model_panel import ModelChoice
from napari_sam3.plugin.views.objects_panel import ObjectControls
from napari_sam3.plugin.views.project_panel import ProjectFields
from napari_sam3.plugin.views.prompt_panel import PromptFields, TrackFields, VideoFields
from napari_sam3.plugin.views.settings_panel import SettingsFields, SettingsKeeper
from napari_sam3.plugin.views.status_text import guide
from napari_sam3.plugin.views.widgets.groups import WIDTH, QuietLine, lay_out


class SegmentAndTrackWidget(QWidget):
    """Segment and track objects of a video: click, draw, paint or type, then propagate.

    Every button is a method too, so that a script can do what a person does.

    Parameters
    ----------
    napari_viewer : napari.viewer.Viewer
        The viewer that it works in.
    """

    ended = Signal()
    """A piece of work has ended: done, stopped or failed; the buttons can be used again."""

    def __init__(self, napari_viewer: "napari.viewer.Viewer") -> None:  # noqa: UP037 (napari reads it)
        super().__init__()
        self.viewer = napari_viewer
        self.bench = Workbench(napari_viewer)
        self.video_fields = VideoFields(self.bench)
        self.prompt_fields = PromptFields(self.bench)
        self.track_fields = TrackFields()
        self.project_fields = ProjectFields()
        self.settings_fields = SettingsFields()
        self.settings = SettingsKeeper(self.settings_fields, self)
        self.axes_choice = AxesChoice(napari_viewer, self.video_fields)
        self.quiet_line = QuietLine()
        self.model_choice = ModelChoice(
            self.video_fields, self.prompt_fields, self.settings_fields, self.quiet_line, self
        )
        self.look_ahead = Prefetch(self.bench, self.quiet_line, self)
        self.pen = PromptTool(self.prompt_fields, self._update)
        self.work = Work(self.bench)
        self.object_controls = ObjectControls(
            self.bench, self.prompt_fields, self.video_fields, self.axes_choice, self
        )
        self.projects = ProjectKeeper(self)
        self.is_shut_down = False
        groups = (
            self.video_fields,
            self.prompt_fields,
            self.track_fields,
            self.object_controls.fields,
            self.project_fields,
            self.settings_fields,
        )
        self.guidance, body = lay_out([fields.group for fields in groups])
        layout = QVBoxLayout(self)
        layout.setContentsMargins(4, 4, 4, 4)
        layout.addWidget(self.guidance)
        layout.addWidget(self.project_fields.offer)
        layout.addWidget(body)
        layout.addWidget(self.quiet_line)
        self._connect()
        self._on_video_changed(self.video_fields.video.value)

    # ----------------------------------------------------- what a person does

    @property
    def is_running(self) -> bool:
        """Whether a piece of work is under way."""
        return self.work.job is not None

    @property
    def job(self) -> Job | None:
        """The piece of work under way."""
        return self.work.job

    @property
    def state(self) -> State:
        """What the guidance says in words."""
        return self.work.state

    def new_prompts(self) -> None:
        """Choose layers to draw prompts of the video in; those made before, if they fit."""
        with self.work.errors_shown():
            image_layer = self._video()
            before = self.axes_choice.read(image_layer)
            self.axes_choice.unpin()
            axes = self.axes_choice.pin(image_layer)
            # pressed again for a second object: what was drawn for the first one holds
            made = self.bench.prompt_layers_of(image_layer) if axes == before else None
            points, shapes = made or self.bench.new_prompts(image_layer, axes)
            self.pen.bind_keys(points, shapes)
            self.prompt_fields.points.value = points
            self.prompt_fields.boxes.value = shapes
            self.viewer.layers.selection.active = points
            points.mode = "add"
            self.work.set(ending=Outcome.NONE)

    def segment_frame(self) -> None:
        """Show what the prompts mean on the frame on screen."""
        with self.work.errors_shown():
            if self.job is None:
                controller, wanted, on_screen = self._prepare()
                self._start(controller, controller.segment(wanted, on_screen), Phase.SEGMENTING)

    def propagate(self) -> None:
        """Follow the objects through the video; nothing happens while work is under way."""
        with self.work.errors_shown():
            if self.job is None:
                controller, wanted, _ = self._prepare()
                fields = self.track_fields
                steps = controller.track(
                    wanted, fields.direction.value, fields.first_frame, fields.most_frames
                )
                self._start(controller, steps, Phase.TRACKING)

    def stop(self) -> None:
        """Stop before the next frame; what is done stays."""
        self.work.stop()

    def remove_object(self, obj_id: int | None = None) -> None:
        """Remove an object (the current one if none is said): prompts, results and all."""
        with self.work.errors_shown():
            if self.job is not None:
                return
            number = self.prompt_fields.object.value if obj_id is None else int(obj_id)
            image_layer = self._video()
            self.projects.check_writable(image_layer)
            for layer in (self.prompt_fields.points.value, self.prompt_fields.boxes.value):
                if layer is not None:
                    remove_items(layer, number)
            results, controller = self.bench.results_of(image_layer), self.bench.controller
            self.work.set(ending=Outcome.NONE)
            if results is not None:
                results.forget(number)
                self.object_controls.desk.remove(results.layer, number)
            if controller is None and self.bench.project_of(image_layer) is not None:
                controller = self._controller(image_layer)  # what it holds of the object must go
            if results is not None and controller is not None:
                steps = controller.remove_object(number, results.drawn_frames())
                self._start(controller, steps, Phase.ERASING)

    def reset(self) -> None:
        """Begin anew: forget all objects, empty our own prompt layers; labels stay as they are."""
        with self.work.errors_shown():
            if self.job is not None:
                return
            image_layer = self._video()
            self.projects.release(image_layer)
            self.bench.close_session()
            self.bench.forget_results(image_layer)
            self.axes_choice.unpin()
            fields = self.prompt_fields
            for choice in (fields.points, fields.boxes, fields.masks):
                layer = choice.value
                if self.bench.is_made_here(layer):
                    layer.selected_data = set(range(len(layer.data)))
                    layer.remove_selected()
                else:
                    choice.value = None
            fields.text.value = ""
            fields.object.value = 1
            self.work.set(ending=Outcome.NONE)

    def shut_down(self) -> None:
        """Stop the work and give back all memory; the widget is not used afterwards."""
        if self.is_shut_down:
            return
        self.is_shut_down = True
        for event in self._layer_events():
            event.disconnect(self._on_layers_changed)
        self.projects.close()
        self.pen.watch()
        self.object_controls.close()
        self.look_ahead.close()
        self.settings.drop()
        self.model_choice.close()
        if self.job is None:
            self.bench.close()
        else:
            # the thread may be inside the model: memory is given back when it has come out
            self.work.abandon(self.bench.give_away())

    # ------------------------------------------------------------------ work

    def _video(self) -> Image:
        image_layer = self.video_fields.video.value
        if image_layer is None:
            raise LayerError("no video is open; drop a video on the window, or choose its layer")
        return image_layer

    def _controller(self, image_layer: Image) -> SessionController:
        """The session of a video, by the fields."""
        axes = self.axes_choice.pin(image_layer)
        self.track_fields.limit_to(frame_count(image_layer, axes))
        choice = self.model_choice
        choice.check_ready()
        resolution = int(self.settings_fields.resolution.value)
        return self.bench.controller_for(
            Setup(image_layer, axes, choice.resolved, choice.device, resolution)
        )

    def _prepare(self) -> tuple[SessionController, TargetPrompts, int]:
        """The session, the prompts that shall hold, and the frame on screen."""
        image_layer = self._video()
        self.projects.check_writable(image_layer)
        controller = self._controller(image_layer)
        axes = self.axes_choice.pin(image_layer)
        on_screen = frame_on_screen(image_layer, axes, self.viewer)
        fields = self.prompt_fields
        results = self.bench.results_of(image_layer, axes)
        wanted, skipped = read_prompts(
            image_layer,
            axes,
            fields.points.value,
            fields.boxes.value,
            fields.masks.value,
            text=fields.text.value if self.model_choice.takes_text else "",
            current_frame=on_screen,
            mask_frames=controller.painted_frames,
            painted=None if results is None else results.painted(),
            current_object=fields.object.value,
            ids_in_use=controller.ids_in_use,
        )
        if results is not None:
            results.show_again(wanted.objects)
        if skipped:
            show_warning(describe_skipped(skipped))
        if not wanted:
            raise MissingPromptError(
                "there is nothing to go by yet: press New prompts and click the object, draw a box "
                "round it or paint it, then try again"
            )
        return controller, wanted, on_screen

    def _start(
        self, controller: SessionController, steps: Iterator[RunEvent], phase: Phase
    ) -> None:
        is_followed = bool(self.track_fields.follow.value)
        self.projects.prepare(controller)
        self.work.start(controller, steps, phase, self.model_choice.name, is_followed=is_followed)

    def _on_work_ended(self) -> None:
        self._on_layers_changed()
        self.object_controls.on_results()
        self.model_choice.refresh()  # it may be loaded now
        if isinstance(self.work.error, WeightsMissingError):
            self.model_choice.open_dialog()
        elif isinstance(self.work.error, OutOfDeviceMemoryError):
            self.settings_fields.group.open()  # the resolution is a remedy
        self.ended.emit()

    # ----------------------------------------------------------------- wiring

    def _connect(self) -> None:
        self.work.changed.connect(self._update)
        self.work.ended.connect(self._on_work_ended)
        self.work.renumbered.connect(self.object_controls.on_renumbered)
        Lifetime(self, self._on_lifetime_ended)
        prompts, track = self.prompt_fields, self.track_fields
        objects = self.object_controls.fields
        for button, act in (
            (prompts.new, self.new_prompts),
            (track.segment, self.segment_frame),
            (track.propagate, self.propagate),
            (track.stop, self.stop),
            (objects.remove, self.remove_object),
            (objects.reset, self.reset),
        ):
            button.changed.connect(lambda _pressed, act=act: act())
        self.video_fields.video.box.changed.connect(self._on_video_changed)
        for choice in (prompts.points, prompts.boxes, prompts.masks):
            choice.box.changed.connect(self._on_prompt_layers_changed)
        prompts.text.changed.connect(self._update)
        prompts.object.changed.connect(self._update)
        self.model_choice.changed.connect(self._on_model_changed)
        track.follow.changed.connect(self._on_follow_changed)
        for event in self._layer_events():
            event.connect(self._on_layers_changed)

    def _layer_events(self) -> tuple[Any, ...]:
        events = self.viewer.layers.events
        return events.inserted, events.removed, events.reordered, events.renamed

    def _on_lifetime_ended(self) -> None:
        self.shut_down()
        if self.parent() is None:  # nobody else would delete it
            self.deleteLater()

    def _on_model_changed(self) -> None:
        choice = self.model_choice
        is_other = choice.name != self.state.model
        if is_other and self.state.ending is Outcome.FAILED:
            self.work.set(ending=Outcome.NONE)  # what failed was the model of before
        self.work.set(is_model_ready=choice.is_ready, model=choice.name)

    def _on_layers_changed(self, _event: Any = None) -> None:
        fields = self.prompt_fields
        for choice in (self.video_fields.video, fields.points, fields.boxes, fields.masks):
            choice.refresh()
        setup = self.bench.setup
        if self.job is not None:
            if self.job.has_lost_layer():
                self.stop()
        elif setup is not None and setup.image_layer not in self.viewer.layers:
            self.bench.close_session()
        self.projects.look_at_layers()
        self._update()

    def _on_video_changed(self, image_layer: Image | None) -> None:
        with self.work.errors_shown():
            self.axes_choice.show(image_layer)
            n_frames = 0
            if image_layer is not None:
                n_frames = frame_count(image_layer, self.axes_choice.read(image_layer))
            self.track_fields.limit_to(n_frames)
        made = self.bench.prompt_layers_of(image_layer)
        fields = self.prompt_fields
        for choice, layer in zip((fields.points, fields.boxes), made or (None, None), strict=True):
            # a layer of the person's own stays chosen
            if layer is not None or self.bench.is_made_here(choice.value):
                choice.value = layer
        self._on_prompt_layers_changed()
        self.work.set(ending=Outcome.NONE)
        self.projects.look_for_earlier(image_layer)

    def _on_prompt_layers_changed(self, _layer: Any = None) -> None:
        fields = self.prompt_fields
        self.pen.watch(fields.points.value, fields.boxes.value)
        self._update()

    def _on_follow_changed(self, is_followed: bool) -> None:
        if self.job is not None:
            self.job.is_followed = is_followed

    # ------------------------------------------------------------ what is seen

    def _update(self, _value: Any = None) -> None:
        """Bring the guidance and the buttons in line with the state."""
        fields, takes_text = self.prompt_fields, self.model_choice.takes_text
        layers = [c.value for c in (fields.points, fields.boxes) if c.value is not None]
        has_masks = fields.masks.value is not None
        self.work.state = replace(
            self.state,
            has_video=self.video_fields.video.value is not None,
            has_prompt_layers=bool(layers) or has_masks,
            n_prompts=sum(len(layer.data) for layer in layers) + has_masks,
            takes_text=takes_text,
            has_text=takes_text and bool(fields.text.value.strip()),
        )
        self.guidance.setText(guide(self.state))
        job = self.job
        if job is None:
            self.track_fields.show_progress(0, 0, "")
        else:
            self.track_fields.show_progress(job.frames_done, job.frames_planned, job.pace)
        self.look_ahead.set_idle(job is None)
        enable_buttons(self)
        self.projects.note()

    def sizeHint(self) -> QSize:  # noqa: N802 (Qt's name)
        """Narrow enough to leave the picture its room."""
        return QSize(WIDTH, super().sizeHint().height())
