"""What a window or a script works on: plain values that tell when they change."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, ClassVar
from weakref import WeakKeyDictionary, WeakSet

from napari.layers import Image, Labels, Points, Shapes
from napari.utils.notifications import show_warning
from psygnal import SignalGroupDescriptor

from napari_sam3.models.registry import ModelEntry
from napari_sam3.plugin.layers.prompt_layers import INCLUDE
from napari_sam3.plugin.model.command_history import CommandHistory
from napari_sam3.plugin.model.model_catalog import (
    AUTO,
    ModelCatalog,
    list_offers,
    why_not_taken,
)
from napari_sam3.plugin.model.preview_status import PreviewStatus
from napari_sam3.plugin.model.project_status import ProjectStatus
from napari_sam3.plugin.model.proposals import DetectionStatus
from napari_sam3.plugin.model.tools import Tool
from napari_sam3.plugin.model.tracked_video import TrackedVideo
from napari_sam3.values import Direction

NEW_EACH = 0
"""In place of an object: every click and every box is an object of its own."""


class Phase(Enum):
    """What is happening."""

    IDLE = "idle"
    LOADING = "loading"
    SEGMENTING = "segmenting"
    TRACKING = "tracking"
    ERASING = "erasing"
    EDITING = "editing"
    STOPPING = "stopping"


class Outcome(Enum):
    """How the last job ended."""

    NONE = "none"
    SEGMENTED = "segmented"
    EMPTY = "empty"
    TRACKED = "tracked"
    STOPPED = "stopped"
    FAILED = "failed"


@dataclass(eq=False)
class AppState:
    """The one place where it is said what is worked on; panels, controllers and scripts read it.

    Every field tells of its changes: `state.events.text.connect(f)` calls `f` with the new value,
    `state.events.connect(f)` of any field. All of it belongs to the window's thread.

    Attributes
    ----------
    video : Image or None
        The video layer that is chosen.
    time_axes : tuple of (str, int)
        Axes that may be time, by name; empty where it is clear which one is.
    time_axis : int or None
        The one chosen among them.
    n_channels, channel : int
        How many channels there are to choose from, and the one that is looked at.
    channel_names : tuple of str
        What the file calls them; empty where it does not.
    n_frames : int
        Of the video.
    points, boxes, masks : layers or None
        Where prompts are drawn.
    n_prompts : int
        Items that are drawn in them.
    example : Shapes or None
        Where the box round an example for a detector is drawn.
    has_example : bool
        Whether there is one on the frame on screen.
    has_new_prompts : bool
        Whether prompts were drawn, moved or removed since a job has read them: what is shown is
        out of date.
    texts : tuple of str
        What is looked for.
    tool : Tool
        What the next press in the picture does.
    object_in_hand : int
        The object that the next click or box belongs to; `NEW_EACH`: one of its own.
    sign : str
        Whether it shows the object: `INCLUDE` or `EXCLUDE`.
    draws_exemplars : bool
        Whether the next box is an example of what to look for.
    direction, start_frame, max_frames
        How far to follow, as `VideoSession.propagate` takes it.
    band : (int, int) or None
        First and last frame of a stretch; where there is one, it alone is propagated through, both
        ways, in place of what the three before say.
    is_followed : bool
        Whether the viewer shows each frame as it is done.
    model, device, resolution
        As `load_model` takes them; the device is a wish.
    precision, compile_encoder
        How a SAM model computes on a CUDA card, as in `Settings`.
    memory_selection, prompted_frames, distractor_memory, motion_prior
        What a SAM model makes of the past, as in `Settings`.
    compute, compute_state : str
        Address of the scheduler whose workers have the model, empty: this computer; and how things
        stand there, in a word.
    catalog : ModelCatalog
        What is known of the models here, or of those of the workers.
    keeps_results : bool
        Whether results of video files are kept in projects.
    phase, job_phase : Phase
        What is happening, and what the last job was for.
    outcome : Outcome
        How it ended.
    frames_done, frames_planned : int
        Of the propagation under way, or the last one; each frame of the video counts once.
    steps_done, steps_planned : int
        How often it came, and will come, to a frame: to some it may come twice.
    pace : str
        Frames a second and time left, in words.
    results_name : str
        Name of the layer that the last job drew into; empty if it drew nothing.
    failure : str
        What went wrong in it.
    missed, missed_on
        Texts that found nothing, and the frame that they were asked on.
    prepared_frame : int or None
        The frame that the model gets ready for.
    preview : PreviewStatus
        How things stand with what is shown before it is asked for.
    detector : str
        What looks for objects by itself, as `napari_sam3.detection.find_detector` takes it.
    detection : DetectionStatus
        How things stand with what it has found.
    n_locked : int
        Frames of the video that are locked.
    project : ProjectStatus
        How things stand with the project of the video.
    """

    events: ClassVar[SignalGroupDescriptor] = SignalGroupDescriptor()

    video: Image | None = None
    time_axes: tuple[tuple[str, int], ...] = ()
    time_axis: int | None = None
    n_channels: int = 0
    channel: int = 0
    channel_names: tuple[str, ...] = ()
    n_frames: int = 0
    points: Points | None = None
    boxes: Shapes | None = None
    masks: Labels | None = None
    n_prompts: int = 0
    example: Shapes | None = None
    has_example: bool = False
    has_new_prompts: bool = False
    texts: tuple[str, ...] = ()
    tool: Tool = Tool.SELECT
    object_in_hand: int = 1
    sign: str = INCLUDE
    draws_exemplars: bool = False
    # both ways at first: napari opens a video in its middle, and there the first click is made
    direction: Direction = "both"
    start_frame: int | None = None
    max_frames: int | None = None
    band: tuple[int, int] | None = None
    is_followed: bool = False
    model: str = AUTO
    device: str = AUTO
    resolution: int = 0
    precision: str = "auto"
    compile_encoder: bool = False
    memory_selection: str = "auto"
    prompted_frames: int = 0
    distractor_memory: bool = False
    motion_prior: bool = False
    compute: str = ""
    compute_state: str = ""
    catalog: ModelCatalog = field(default_factory=list_offers)
    keeps_results: bool = True
    phase: Phase = Phase.IDLE
    job_phase: Phase = Phase.IDLE
    outcome: Outcome = Outcome.NONE
    frames_done: int = 0
    frames_planned: int = 0
    steps_done: int = 0
    steps_planned: int = 0
    pace: str = ""
    results_name: str = ""
    failure: str = ""
    missed: tuple[str, ...] = ()
    missed_on: int = 0
    prepared_frame: int | None = None
    preview: PreviewStatus = field(default_factory=PreviewStatus)
    detector: str = "blobs"
    detection: DetectionStatus = field(default_factory=DetectionStatus)
    n_locked: int = 0
    project: ProjectStatus = field(default_factory=ProjectStatus)

    def __post_init__(self) -> None:
        self._videos: WeakKeyDictionary[Image, TrackedVideo] = WeakKeyDictionary()
        self._told: WeakSet[Any] = WeakSet()

    def hear(self, slot: Callable[..., object], *names: str) -> None:
        """Have a slot called when one of these fields has another value."""
        for name in names:
            self.events[name].connect(slot)

    def update(self, **changes: Any) -> None:
        """Change several fields, then tell of those that have another value."""
        before = {name: getattr(self, name) for name in changes}
        with self.events.blocked():
            for name, value in changes.items():
                setattr(self, name, value)
        for name, old in before.items():
            new = getattr(self, name)
            if new is not old and new != old:
                self.events[name].emit(new, old)

    def tracked(self, image_layer: Image) -> TrackedVideo:
        """All that belongs to a video layer."""
        if image_layer not in self._videos:
            tracked = self._videos[image_layer] = TrackedVideo(image_layer)
            tracked.carried.moved.connect(self._tell_of_own_layers)
        return self._videos[image_layer]

    def _tell_of_own_layers(self, image_layer: Image) -> None:
        """Say once of each layer of the person's own that it does not go where its video went."""
        chosen = (self.points, self.boxes, self.masks) if image_layer is self.video else ()
        for layer in chosen:
            if layer is not None and layer not in self._told and not self.is_ours(layer):
                self._told.add(layer)
                show_warning(
                    f"the layer {layer.name!r} is your own and stays where it is in the world "
                    f"while {image_layer.name!r} goes elsewhere: its prompts lie on other pixels "
                    "now; give it the same scale, translate and units to take it along"
                )

    def is_ours(self, layer: Any) -> bool:
        """Whether a layer goes where its video goes."""
        return any(layer in video.carried for video in self.videos)

    @property
    def current(self) -> TrackedVideo | None:
        """All that belongs to the video that is chosen."""
        return None if self.video is None else self.tracked(self.video)

    @property
    def videos(self) -> tuple[TrackedVideo, ...]:
        """Those of all video layers that were worked on and are there."""
        return tuple(self._videos.values())

    @property
    def layers_of_prompts(self) -> tuple[Points | Shapes, ...]:
        """The layers of clicks and of boxes that are chosen."""
        return tuple(layer for layer in (self.points, self.boxes) if layer is not None)

    def is_prompt_layer(self, layer: Any) -> bool:
        """Whether a layer was made here to draw prompts in."""
        return any(layer in video.prompt_layers for video in self.videos if video.prompt_layers)

    def is_results(self, layer: Any) -> bool:
        """Whether a layer shows results."""
        return any(layer is v.results.layer for v in self.videos if v.results is not None)

    def history_of(self, results: Any) -> CommandHistory | None:
        """What was done to the video that a layer has the results of; None if it has none."""
        shown = ((v.results, v.history) for v in self.videos if v.results is not None)
        return next((history for one, history in shown if one.layer is results), None)

    @property
    def is_idle(self) -> bool:
        """Whether no job is under way."""
        return self.phase is Phase.IDLE

    @property
    def is_following(self) -> bool:
        """Whether a job follows objects, all prompts being passed on."""
        return self.phase is Phase.TRACKING and self.frames_planned > 0

    @property
    def can_change(self) -> bool:
        """Whether there is a video, and its work may be changed."""
        return self.video is not None and not self.project.why_read_only

    @property
    def takes_text(self) -> bool:
        """Whether the model chosen takes text; if it is not known, the model will say."""
        return not self.why_not_taken("text")

    def why_not_taken(self, kind: str) -> str:
        """Why the model chosen can't use a kind of prompts; empty if it can, or is not known."""
        return why_not_taken(self.catalog, self._entry, kind)

    @property
    def resolved_model(self) -> str:
        """The model's own name, also where "auto" is chosen and it is known what that means."""
        entry = self._entry
        return self.model if entry is None else entry.name

    @property
    def _entry(self) -> ModelEntry | None:
        """The model chosen; what "auto" stands for elsewhere is not known here."""
        if self.compute and self.model == AUTO:
            return None
        return self.catalog.entry(self.model)

    @property
    def usable_device(self) -> str:
        """The device wished for, if the model can run on it, as far as is known."""
        if self.compute:
            return AUTO
        devices = self.catalog.devices.get(self.model, ())
        return self.device if not devices or self.device in devices else AUTO

    @property
    def is_model_ready(self) -> bool:
        """Whether it can be loaded without a download, as far as is known."""
        return self.catalog.is_ready(self.model)


def split_text(text: str) -> tuple[str, ...]:
    """What a line of text looks for: several things are parted by commas."""
    return tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
