"""The timeline of the chosen video: kept in line with the work, and what is done on it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from napari.layers import Image, Labels
from psygnal import Signal

from napari_sam3.errors import LayerError
from napari_sam3.labels.label_stack import LabelStack
from napari_sam3.plugin.controllers.commands import (
    ChangeFrames,
    MovePrompt,
    RemovePrompts,
    check_unlocked,
)
from napari_sam3.plugin.controllers.session_controller import SessionController
from napari_sam3.plugin.controllers.tracking_controller import TrackingController
from napari_sam3.plugin.layers.features_table import table_of
from napari_sam3.plugin.layers.prompt_items import PromptLayer
from napari_sam3.plugin.layers.prompt_marks import PromptMark, moved_in_time, read_marks
from napari_sam3.plugin.layers.stack_axes import StackAxes, frame_count
from napari_sam3.plugin.layers.viewer_frame import frame_on_screen, show_frame
from napari_sam3.plugin.model.app_state import Outcome, Phase
from napari_sam3.plugin.model.command_history import Command, CommandGroup
from napari_sam3.plugin.model.connections import Connections
from napari_sam3.plugin.model.timeline import (
    ABSENT,
    LOCKED,
    PAINTED,
    PRESENT,
    STALE,
    UNPROCESSED,
    Timeline,
)
from napari_sam3.values import FrameResult

MarkKind = Literal["click", "box", "division", "painted"]

_ANSWERED = (Outcome.SEGMENTED, Outcome.EMPTY, Outcome.TRACKED, Outcome.STOPPED)


@dataclass(frozen=True)
class Mark:
    """Something that a person said of an object on a frame.

    Attributes
    ----------
    kind : "click", "box", "division" or "painted"
    obj_id, frame_index : int
        Of a division: the mother, and her daughters' first frame.
    shows : bool
        Whether it shows the object, not what it is not.
    items : tuple of (layer, index)
        Of a click or box: what is drawn there.
    """

    kind: MarkKind
    obj_id: int
    frame_index: int
    shows: bool = True
    items: tuple[tuple[PromptLayer, int], ...] = field(default=(), compare=False)


class TimelineController:
    """Where the objects of the chosen video are over time; seeks, bands and marks.

    `update` brings it in line with the labels; a view calls it as often as it draws. All methods
    are called in the window's thread; what is asked wrongly raises a `Sam3Error`, and changes
    nothing.

    Parameters
    ----------
    tracking : TrackingController
        Whose work it shows.
    """

    changed = Signal()
    """Something is to be shown differently; `timeline` may be another one."""

    def __init__(self, tracking: TrackingController) -> None:
        self._tracking, self._state = tracking, tracking.state
        self._of_job: Timeline | None = None
        self._only: frozenset[int] | None = None  # objects that the job follows, if not all
        self._watched: tuple[PromptLayer, ...] = ()
        self._prompt_marks: list[PromptMark] = []
        self._marks: tuple[Mark, ...] | None = None
        self._n_paintings = 0
        self._table: tuple[Any, ...] = ()
        self._are_prompts_due = True
        self._is_updating = self._is_changed = False
        self._shown: Timeline | None = None
        self._heard, self._of_layers = Connections(), Connections()
        events = self._state.events
        for slot, *signals in (
            (self._on_job_starting, tracking.starting),
            (self._on_tracked, tracking.tracked),
            (self._on_job_ended, tracking.ended),
            (self._on_resetting, tracking.resetting),
            (self._watch, events.video, events.points, events.boxes),
            (self._tell, events.band, events.object_in_hand),
        ):
            self._heard.hear(slot, *signals)
        self._watch()

    def close(self) -> None:
        """Let go of layers and of the work."""
        self._heard.let_go()
        self._of_layers.let_go()
        if self._shown is not None:
            self._shown.changed.disconnect(self._tell)
            self._shown = None

    # ------------------------------------------------------------------ what there is

    @property
    def timeline(self) -> Timeline | None:
        """That of the chosen video; None where there is none, or it can't be read as a video."""
        current, place = self._state.current, self._place()
        if current is None or place is None:
            return None
        n_frames = frame_count(*place)
        if current.timeline is None or current.timeline.n_frames != n_frames:
            current.timeline = Timeline(n_frames)
            self._are_prompts_due = True
        return current.timeline

    @property
    def ids(self) -> tuple[int, ...]:
        """Objects that have a lane, rising: those somewhere or prompted, and the one in hand."""
        timeline, in_hand = self.timeline, self._state.object_in_hand
        if timeline is None:
            return ()
        return tuple(sorted({*timeline.ids, *([in_hand] if in_hand > 0 else [])}))

    @property
    def frame(self) -> int:
        """The frame on screen."""
        place = self._place()
        return 0 if place is None else frame_on_screen(*place, self._tracking.viewer)

    @property
    def results(self) -> Labels | None:
        """The layer that shows the objects, if there is one."""
        results = self._tracking.results
        return None if results is None else results.layer

    @property
    def marks(self) -> tuple[Mark, ...]:
        """What was said of the objects, by frame."""
        timeline = self.timeline
        if timeline is None:
            return ()
        if self._marks is None or self._n_paintings != timeline.n_paintings:
            self._n_paintings = timeline.n_paintings
            marks = [
                Mark(m.kind, m.obj_id, m.frame_index, m.shows, m.items) for m in self._prompt_marks
            ]
            marks += [Mark("division", d.mother, d.frame_index) for d in self._table]
            for obj_id in timeline.ids:
                marks += [Mark("painted", obj_id, f) for f in timeline.painted_frames(obj_id)]
            self._marks = tuple(sorted(marks, key=lambda m: (m.frame_index, m.obj_id, m.kind)))
        return self._marks

    def name_of(self, obj_id: int) -> str:
        """An object's number and name, in words."""
        layer = self.results
        name = "" if layer is None else table_of(layer)[obj_id].name
        return f"object {obj_id} {name!r}" if name else f"object {obj_id}"

    def describe(self, obj_id: int, frame_index: int) -> str:
        """What is known of an object on a frame, in words."""
        timeline, results = self.timeline, self._tracking.results
        flags = UNPROCESSED if timeline is None else timeline.flags_at(obj_id, frame_index)
        states = ["never processed"]
        if flags & PRESENT:
            note = None if results is None else results.planes.notes(frame_index).get(obj_id)
            score = None if note is None else note.score
            states = ["found" if score is None else f"found, score {score:.2f}"]
        elif flags & ABSENT:
            states = ["not there"]
        for bit, words in (
            (PAINTED, "changed by hand"),
            (LOCKED, "locked"),
            (STALE, "out of date: propagate again"),
        ):
            states += [words] if flags & bit else []
        return f"frame {frame_index}, {self.name_of(obj_id)}: {', '.join(states)}"

    def update(self) -> bool:
        """Take over what has changed, or a part of it; False while there is more to take over.

        What `changed` tells is told once, when all is taken over.
        """
        self._is_updating, self._is_changed = True, False
        try:
            return self._update()
        finally:
            self._is_updating = False
            if self._is_changed:
                self.changed.emit()

    def _update(self) -> bool:
        timeline = self.timeline
        if timeline is not self._shown:
            if self._shown is not None:
                self._shown.changed.disconnect(self._tell)
            if timeline is not None:
                timeline.changed.connect(self._tell)
            self._shown, self._marks = timeline, None
            self._tell()
        if timeline is None:
            return True
        self._read_prompts(timeline)
        results = self._tracking.results
        table = () if results is None else table_of(results.layer).divisions
        if table != self._table:
            self._table, self._marks = table, None
            self._tell()
        timeline.update(None if results is None else results.planes)
        if timeline.is_up_to_date and timeline.freshness.is_blank and results is not None:
            self._assume(timeline)
        return timeline.is_up_to_date

    # ------------------------------------------------------------- what a person does

    def seek(self, frame_index: int) -> None:
        """Show a frame; the first or the last one for what lies beyond."""
        place, timeline = self._place(), self.timeline
        if place is not None and timeline is not None:
            wanted = min(max(int(frame_index), 0), timeline.n_frames - 1)
            show_frame(*place, self._tracking.viewer, wanted)

    def seek_mark(self, step: int) -> Mark | None:
        """Show the next frame with a mark (`step` 1), or the one before (-1); gives the mark.

        Those of the object in hand count, if it has any; else all do.
        """
        in_hand, here = self._state.object_in_hand, self.frame
        marks = [m for m in self.marks if m.obj_id == in_hand] or list(self.marks)
        ahead = [m for m in marks if (m.frame_index - here) * step > 0]
        found = min(ahead, key=lambda m: abs(m.frame_index - here), default=None)
        if found is not None:
            self.seek(found.frame_index)
        return found

    def choose(self, obj_id: int) -> None:
        """Take an object in hand."""
        self._state.object_in_hand = int(obj_id)

    def set_band(self, first: int, last: int) -> None:
        """Choose the stretch that is propagated through, both frames included.

        Raises
        ------
        LayerError
            If there is no video, or it has no such frames.
        """
        timeline = self.timeline
        if timeline is None:
            raise LayerError("no video is open; drop a video on the window, or choose its layer")
        first, last = sorted((int(first), int(last)))
        if first < 0 or last >= timeline.n_frames:
            raise LayerError(
                f"frames {first} to {last} are not all in the video; choose from 0 to "
                f"{timeline.n_frames - 1}"
            )
        self._state.band = (first, last)

    def clear_band(self) -> None:
        """Choose no stretch: all of the video is propagated through."""
        self._state.band = None

    def move(self, mark: Mark, frame_index: int) -> None:
        """Take a mark to another frame; it can be undone.

        Raises
        ------
        LayerError
            If there is no such frame, or what is marked can't be moved.
        LineageError
            If nothing can divide there.
        """
        video = self._tracking.video()
        if mark.kind == "painted":
            raise LayerError(
                "what was painted belongs to its frame; copy it to another one, or paint there"
            )
        self._tracking.chosen.check_writable()
        if mark.kind == "division":
            layer, daughters = self._divided(mark)
            self._tracking.objects.divide(layer, mark.obj_id, daughters, frame_index)
            return
        axes = self._axes()
        by_layer: dict[PromptLayer, dict[int, Any]] = {}
        for layer_of_prompt, index in self._check_items(mark):
            data = moved_in_time(layer_of_prompt, index, video, axes, frame_index)
            by_layer.setdefault(layer_of_prompt, {})[index] = data
        label = f"move prompts of object {mark.obj_id} to frame {frame_index}"
        moves = [MovePrompt(layer, data, label=label) for layer, data in by_layer.items()]
        self._do(label, moves)

    def delete(self, mark: Mark) -> None:
        """Take back what is marked; it can be undone.

        Prompts go; an object divides no more; of what was painted by hand on a frame nothing is
        left, and the next propagation finds the object there anew.

        Raises
        ------
        LayerError
            If it can't be.
        """
        self._tracking.video()
        self._tracking.chosen.check_writable()
        if mark.kind == "painted":
            self._give_back(mark)
            return
        if mark.kind == "division":
            layer, _ = self._divided(mark)
            self._tracking.objects.undivide(layer, mark.obj_id)
            return
        by_layer: dict[PromptLayer, list[int]] = {}
        for layer_of_prompt, index in self._check_items(mark):
            by_layer.setdefault(layer_of_prompt, []).append(index)
        label = f"remove prompts of object {mark.obj_id} on frame {mark.frame_index}"
        self._do(label, [RemovePrompts(layer, indices) for layer, indices in by_layer.items()])

    def _give_back(self, mark: Mark) -> None:
        """Take off a frame what was painted of an object, and forget that it was."""
        results = self._tracking.results
        if results is None:
            raise LayerError("there are no results any more; press Propagate first")
        layer, frame_index = results.layer, mark.frame_index
        check_unlocked(layer, results.planes, frame_index)
        results.painted()  # what was painted last is taken over first

        def edit(planes: LabelStack) -> None:
            labels, notes = planes[frame_index], dict(planes.notes(frame_index))
            labels[labels == mark.obj_id] = 0
            notes.pop(mark.obj_id, None)
            planes.draw(frame_index, labels, notes)

        label = f"forget what was painted of object {mark.obj_id} on frame {frame_index}"
        self._do(label, [ChangeFrames(layer, label, edit)])

    def _do(self, label: str, commands: list[Any]) -> None:
        current = self._state.current
        assert current is not None, "a mark is of a video"
        whole: Command = CommandGroup(label, commands)
        current.history.do(whole)
        self._note_prompts()

    def _check_items(self, mark: Mark) -> tuple[tuple[PromptLayer, int], ...]:
        """The items of a mark, if they are what they were when it was made."""
        self.update()
        if mark not in self.marks:
            raise LayerError(
                f"object {mark.obj_id} has no {mark.kind} on frame {mark.frame_index} any more"
            )
        return self.marks[self.marks.index(mark)].items

    def _divided(self, mark: Mark) -> tuple[Labels, tuple[int, ...]]:
        layer = self.results
        division = None if layer is None else table_of(layer).division_of(mark.obj_id)
        if layer is None or division is None:
            raise LayerError(f"object {mark.obj_id} does not divide any more")
        return layer, division.daughters

    # ------------------------------------------------------------------------ in line

    def _place(self) -> tuple[Image, StackAxes] | None:
        video = self._state.video
        if video is None:
            return None
        try:
            return video, self._tracking.axes.read(video)
        except LayerError:
            return None

    def _axes(self) -> StackAxes:
        return self._tracking.axes.read(self._tracking.video())

    def _watch(self, _value: Any = None) -> None:
        self._of_layers.let_go()
        self._watched = self._state.layers_of_prompts
        for layer in self._watched:
            self._of_layers.hear(self._note_prompts, layer.events.data, layer.events.features)
        self._note_prompts()

    def _note_prompts(self, _event: Any = None) -> None:
        self._are_prompts_due = True

    def _read_prompts(self, timeline: Timeline) -> None:
        if self._are_prompts_due:
            self._are_prompts_due = False
            place = self._place()
            self._prompt_marks = [] if place is None else read_marks(*place, self._watched)
            self._marks = None
            said: dict[int, dict[int, Any]] = {}
            for mark in self._prompt_marks:
                said.setdefault(mark.obj_id, {})[mark.frame_index] = mark.said
            timeline.set_prompts(said)
            self._tell()

    def _tell(self, _value: Any = None) -> None:
        if self._is_updating:
            self._is_changed = True
        else:
            self.changed.emit()

    def _on_job_starting(self, session: SessionController) -> None:
        self.update()
        self._of_job, self._only = self.timeline, None
        if self._of_job is not None:
            self._of_job.begin_job()

    def _on_tracked(self, result: FrameResult, only: frozenset[int] | None = None) -> None:
        if self._of_job is not None:
            self._only = only
            self._of_job.follow(result.frame_index, only)

    def _on_job_ended(self) -> None:
        state, timeline = self._state, self._of_job
        self._of_job = None
        if timeline is not None:
            is_whole = state.outcome is not Outcome.STOPPED or state.frames_done > 0
            is_meant = state.job_phase in (Phase.SEGMENTING, Phase.TRACKING)
            opened = self._tracking.session
            if self._only and opened is not None and opened.session is not None:
                # it ends where nothing changes any more: what lies beyond is as it would become
                stale = opened.session.stale_frames
                for obj_id in self._only:
                    timeline.freshness.confirm(obj_id, stale.get(obj_id, ()))
            timeline.end_job(is_meant and is_whole and state.outcome in _ANSWERED)

    def _on_resetting(self, image_layer: Image) -> None:
        self._state.tracked(image_layer).timeline = None

    def _assume(self, timeline: Timeline) -> None:
        """Take results that were there before for what project or session say of them."""
        current, session = self._state.current, self._tracking.session
        assert current is not None, "a timeline is of a video"
        stale: np.ndarray[Any, Any] = np.arange(0)
        told: set[tuple[int, int]] | None = None
        opened = current.project
        if opened is not None:
            project = opened.project
            removed = project.prompts.removed
            told = {
                (p.frame_index, p.obj_id)
                for p in project.prompts
                if p.obj_id is not None and not p.is_concept and not p.is_found
            }
            told = {key for key in told if key[1] not in removed}
            if project.run is not None:
                ends = [sorted(pair) for pair in project.run.stale]
                if ends:
                    stale = np.concatenate([np.arange(a, b + 1) for a, b in ends])
        elif session is not None and session.setup.image_layer is current.image_layer:
            said = ((m.frame_index, m.obj_id) for m in self._prompt_marks)
            told = {key for key in said if session.is_prompted(*key)}
        timeline.assume(told, stale)
