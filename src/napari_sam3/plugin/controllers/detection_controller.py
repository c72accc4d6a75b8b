"""Objects found by a detector on a frame: proposed, then accepted or rejected by a person."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from itertools import chain, count
from typing import Any
from weakref import WeakSet, ref

from napari.layers import Image
from napari.utils.notifications import show_error
from psygnal import Signal

from napari_sam3.detection import find_detector, known_of_prompts, new_objects
from napari_sam3.errors import Sam3Error
from napari_sam3.models.base import VideoModel
from napari_sam3.models.registry import LoadedModel, load_model
from napari_sam3.plugin.controllers.chosen_video import ChosenVideo
from napari_sam3.plugin.controllers.commands import check_unlocked, name_objects
from napari_sam3.plugin.controllers.edit_recorder import EditRecorder, JobDone
from napari_sam3.plugin.controllers.example_box import ExampleBox
from napari_sam3.plugin.controllers.proposal_display import ProposalDisplay
from napari_sam3.plugin.controllers.session_controller import SessionController
from napari_sam3.plugin.controllers.session_keeper import SessionKeeper
from napari_sam3.plugin.controllers.tracking_job import TrackingJob
from napari_sam3.plugin.controllers.worker import Run
from napari_sam3.plugin.layers.features_table import table_of
from napari_sam3.plugin.layers.label_planes import find_highest_id
from napari_sam3.plugin.layers.layer_prompts import LayerPrompt, Skipped, TargetPrompts
from napari_sam3.plugin.layers.prompt_items import find_names
from napari_sam3.plugin.layers.prompt_reader import prompts_from_labels, prompts_from_layers
from napari_sam3.plugin.layers.results_layer import ResultsLayer
from napari_sam3.plugin.layers.stack_axes import StackAxes, frame_count, layer_video
from napari_sam3.plugin.layers.transforms import layer_shape
from napari_sam3.plugin.model.app_state import Phase
from napari_sam3.plugin.model.command_history import Command
from napari_sam3.plugin.model.proposals import DetectionStatus, Proposal, Proposals
from napari_sam3.plugin.model.tracked_video import TrackedVideo
from napari_sam3.projects.session import recall_from
from napari_sam3.session.frames import RgbFrames
from napari_sam3.session.saved_prompts import SavedPrompt
from napari_sam3.session.validation import check_frame_index
from napari_sam3.values import ObjectMask, without_overlap

ReadPrompts = Callable[[int], tuple[SessionController, TargetPrompts, tuple[Skipped, ...]]]
"""Gives the session and all prompts that hold, for a frame."""


StartJob = Callable[..., TrackingJob]
"""Begins a job, as `TrackingController.start` does."""


class DetectionController:
    """Proposes objects on a frame that no prompt or result is of; takes none by itself.

    A detector looks in a thread, one frame at a time. What it finds is shown hatched, and stands in
    the table of objects, until it is accepted, which makes it a mask prompt of that frame and one
    thing to be undone, or rejected.

    Parameters
    ----------
    chosen : ChosenVideo
        The video, with its layers.
    sessions : SessionKeeper
        Knows ids in use.
    edits : EditRecorder
        Records what is accepted.
    models : LoadedModel
        The model in use, which may be the one that is told a word.
    read : callable
        Reads the prompts of the layers.
    start : callable
        Begins a job.

    Attributes
    ----------
    example : ExampleBox
        What a model goes by that is told no word.
    """

    changed = Signal()
    """Proposals of a video came or went."""

    ended = Signal()
    """A detector has looked, or has failed."""

    def __init__(
        self,
        chosen: ChosenVideo,
        sessions: SessionKeeper,
        edits: EditRecorder,
        models: LoadedModel,
        read: ReadPrompts,
        start: StartJob,
    ) -> None:
        self._chosen, self._state, self._sessions = chosen, chosen.state, sessions
        self._edits, self._models = edits, models
        self._read, self._start = read, start
        self.example = ExampleBox(chosen)
        self._display = ProposalDisplay(chosen.viewer, chosen.state)
        self._watched: WeakSet[TrackedVideo] = WeakSet()
        self._is_closed = False
        self._run: Run | None = None
        self._after: list[Callable[[], object]] = []
        self.error: Sam3Error | None = None
        self._said = ""
        self._state.events.video.connect(self._tell)

    # ------------------------------------------------------------ what is asked

    @property
    def proposals(self) -> Proposals:
        """Those of the chosen video."""
        current = self._state.current
        return Proposals() if current is None else current.proposals

    @property
    def is_working(self) -> bool:
        """Whether a detector is at work."""
        return self._run is not None

    def detect(
        self,
        detector: str | None = None,
        frame_index: int | None = None,
        *,
        is_quiet: bool = False,
    ) -> None:
        """Have a detector look at a frame; returns at once, and nothing happens while one looks.

        What was proposed on that frame before is replaced.

        Parameters
        ----------
        detector : str, optional
            As `napari_sam3.detection.find_detector` takes it; the one chosen if left out, which may
            be a model alone: that goes by the example drawn on the frame.
        frame_index : int, optional
            0-based; the frame on screen if left out.
        is_quiet : bool
            Whether who asked tells what went wrong (`error`).

        Raises
        ------
        LayerError, VideoError
            If there is no video, or its layer can't be used as one.
        ProjectReadOnlyError
            If the project of the video can't be changed.
        FrameIndexError
            If there is no such frame.
        MissingPromptError
            If the one chosen goes by an example, and none is drawn on the frame.
        """
        if self._run is not None:
            return
        chosen, state = self._chosen, self._state
        image_layer = chosen.layer()
        chosen.check_writable()
        axes = chosen.axes.pin(image_layer)
        frame = chosen.frame_on_screen() if frame_index is None else frame_index
        frame = check_frame_index(frame, frame_count(image_layer, axes))
        called = asked = detector or state.detector
        if not detector:
            asked = self.example.told_to(asked, frame)
            called = asked if asked == called else f"{called}, an example"
        video = layer_video(image_layer, axes)
        contrast = state.tracked(image_layer).contrast_limits
        in_use = state.resolved_model, state.usable_device, state.resolution, state.compute

        def look() -> Iterator[list[ObjectMask]]:
            with ExitStack() as stack:
                stack.callback(video.close)

                def load(name: str) -> VideoModel:
                    if name == in_use[0] and not in_use[3]:
                        stack.enter_context(self._models.busy)  # nobody exchanges it meanwhile
                        return self._models.get(*in_use)
                    model = load_model(name)
                    stack.callback(model.close)
                    return model

                found = find_detector(asked, load)
                stack.callback(found.close)
                yield found.detect(RgbFrames(video, contrast)[frame])

        self.error = None
        run = self._run = Run(look())
        run.gave.connect(lambda found: self._on_found(image_layer, axes, frame, called, found))
        run.failed.connect(lambda error: self._on_failed(error, is_quiet=is_quiet))
        run.at_end = self._on_ended
        self._tell()
        run.start()

    def accept(
        self,
        obj_ids: Iterable[int] | None = None,
        read: ReadPrompts | None = None,
        *,
        is_quiet: bool = False,
    ) -> TrackingJob | None:
        """Make mask prompts of proposals, all if none is named; one thing to be undone.

        Parameters
        ----------
        obj_ids : iterable of int, optional
            Which; what is no proposal is left out.
        read : callable, optional
            Reads all other prompts, where a script has its own way.
        is_quiet : bool
            Whether who asked tells what went wrong.

        Returns
        -------
        TrackingJob or None
            That tells the model and draws them; None where there is nothing to accept, and during
            another job.

        Raises
        ------
        LayerError
            If a frame of theirs is locked.
        WeightsMissingError
            If the model must be got first.
        """
        image_layer = self._chosen.layer()
        tracked, results = self._state.tracked(image_layer), self._chosen.results
        wanted = self._choose(obj_ids)
        if not wanted or not self._state.is_idle:
            return None
        frames = sorted({p.frame_index for p in wanted})
        if results is not None:
            for frame_index in frames:
                check_unlocked(results.layer, results.planes, frame_index)
        session, target, _ = (read or self._read)(frames[0])
        self._edits.settle(tracked)
        taken = {*session.ids_in_use, *(obj_id for _, obj_id in target.objects)}
        masks = _as_prompts(wanted, taken, tracked.proposals, results)
        command = JobDone(
            f"accept {name_objects([p.obj_id for p in wanted])}",
            [TakeProposals(tracked.proposals, [p.obj_id for p in wanted])],
        )
        tracked.history.do(command)
        self._edits.join_next(command)
        target = replace(target, objects={**target.objects, **masks})
        steps = chain.from_iterable(session.segment(target, i) for i in frames)
        job = self._start(session, steps, Phase.SEGMENTING, is_quiet=is_quiet)

        def keep_as_painted() -> None:
            drawn = self._state.tracked(image_layer).results
            if drawn is not None:
                for frame_index, obj_id in masks:
                    drawn.take_as_painted(frame_index, obj_id)

        def end() -> None:
            if job.error is not None and command in tracked.history.done[-1:]:
                tracked.history.undo()  # the model was not told: they are proposals still

        job.shown.connect(keep_as_painted)
        job.ended.connect(end)
        return job

    def reject(self, obj_ids: Iterable[int] | None = None) -> None:
        """Let proposals go, all if none is named; it can be undone."""
        ids = [p.obj_id for p in self._choose(obj_ids)]
        current = self._state.current
        if ids and current is not None:
            label = f"reject {name_objects(ids)}"
            current.history.do(TakeProposals(current.proposals, ids, label))

    def clear(self) -> None:
        """Forget all proposals of the chosen video, as work on it begins anew."""
        self._said = ""
        self.proposals.take(list(self.proposals))
        self._tell()

    def follow_layers(self) -> None:
        """Hear that layers came or went: who deletes the layer of proposals wants none."""
        for image_layer in self._display.lost():
            proposals = self._state.tracked(image_layer).proposals
            proposals.take(list(proposals))

    def after(self, call: Callable[[], object]) -> None:
        """Call something when no detector is at work; at once, if none is."""
        if self._run is None:
            call()
        else:
            self._after.append(call)

    def close(self) -> None:
        """Propose nothing more; see `after` for the thread."""
        if self._run is not None:
            self._run.blockSignals(True)
        self._is_closed = True
        self._display.close()
        self.example.close()

    def _choose(self, obj_ids: Iterable[int] | None) -> list[Proposal]:
        proposals = self.proposals
        ids = list(proposals) if obj_ids is None else sorted(set(obj_ids) & set(proposals))
        return [proposals[i] for i in ids]

    # ------------------------------------------------------------ what is found

    def _on_found(
        self,
        image_layer: Image,
        axes: StackAxes,
        frame_index: int,
        called: str,
        found: list[ObjectMask],
    ) -> None:
        if self._is_closed or image_layer not in self._chosen.viewer.layers:
            return
        tracked = self._state.tracked(image_layer)
        results = tracked.results_in(self._chosen.viewer.layers, axes)
        known = self._known_on(image_layer, axes, frame_index, results)
        new = list(without_overlap(dict(enumerate(new_objects(found, known)))).values())
        self._watch(tracked)
        proposals = tracked.proposals
        proposals.take(proposals.result(frame_index).objects)
        free = count(1 + max(self._ids_in_use(tracked, results), default=0))
        proposals.add(Proposal(next(free), frame_index, mask) for mask in new)
        what = "nothing new" if known else "nothing"
        if new:
            what = f"{len(new)} object{'' if len(new) == 1 else 's'}"
        self._said = f"{called}: {what} on frame {frame_index}"

    def _known_on(
        self, image_layer: Image, axes: StackAxes, frame_index: int, results: ResultsLayer | None
    ) -> list[ObjectMask]:
        """What results, and prompts that were drawn and not asked for yet, show on a frame."""
        known: list[ObjectMask] = []
        if results is not None:
            known += (recall_from(results.planes)(frame_index) or {}).values()
        state = self._state
        if state.video is not image_layer:
            return known
        drawn: list[LayerPrompt] = list(
            prompts_from_layers(
                image_layer, axes, state.points, state.boxes, current_frame=frame_index
            )
        )
        if state.masks is not None:
            drawn += prompts_from_labels(image_layer, axes, state.masks, frame_index)
        said = [
            SavedPrompt(
                p.frame_index,
                None,
                p.points_xy,
                p.point_labels,
                p.box_xyxy,
                None if p.mask is None else ObjectMask.from_mask(p.mask),
            )
            for p in drawn
        ]
        height, width = layer_shape(image_layer)[-2:]
        return known + known_of_prompts(said, frame_index, (height, width))

    def _ids_in_use(self, tracked: TrackedVideo, results: ResultsLayer | None) -> set[int]:
        session, state = self._sessions.current, self._state
        found = set(tracked.proposals)
        if session is not None and session.setup.image_layer is tracked.image_layer:
            found |= set(session.ids_in_use)
        for layer in (state.points, state.boxes):
            if layer is not None:
                found |= find_names(layer)
        if results is not None:
            found |= {*results.own_ids, *table_of(results.layer).ids}
            found.add(find_highest_id(results.layer))
        return found

    def _on_failed(self, error: Sam3Error, *, is_quiet: bool) -> None:
        cause = error.__cause__
        self.error = cause if isinstance(cause, Sam3Error) else error
        self._said = ""
        if not is_quiet:
            show_error(str(self.error))

    def _on_ended(self) -> None:
        self._run = None
        after, self._after = self._after, []
        for call in after:
            call()
        if not self._is_closed:
            self._tell()
            self.ended.emit()

    # ------------------------------------------------------------ what is shown

    def _watch(self, tracked: TrackedVideo) -> None:
        """Show what comes and goes of a video from now on."""
        if tracked in self._watched:
            return
        self._watched.add(tracked)
        of_video = ref(tracked)

        def show() -> None:
            video = of_video()
            if video is not None and video.axes is not None and not self._is_closed:
                self._display.draw(video, video.axes)
                self._tell()
                self.changed.emit()

        tracked.proposals.changed.connect(show)

    def _tell(self, _value: Any = None) -> None:
        proposals = self.proposals
        self._state.detection = DetectionStatus(
            self._run is not None, len(proposals), proposals.frames, self._said
        )


class TakeProposals(Command):
    """Take proposals away, as they are accepted or rejected.

    Parameters
    ----------
    proposals : Proposals
        All of the video.
    obj_ids : iterable of int
        Which.
    label : str
        What it does.
    """

    def __init__(
        self, proposals: Proposals, obj_ids: Iterable[int], label: str = "take proposals"
    ) -> None:
        self.label = label
        self._proposals, self._ids = proposals, tuple(obj_ids)
        self._taken: list[Proposal] = []

    def do(self) -> bool:
        """Take them away."""
        self._taken = self._proposals.take(self._ids)
        return bool(self._taken)

    def undo(self) -> None:
        """Propose them again."""
        self._proposals.add(self._taken)


def _as_prompts(
    wanted: Iterable[Proposal],
    taken: Collection[int],
    proposed: Collection[int],
    results: ResultsLayer | None,
) -> dict[tuple[int, int], LayerPrompt]:
    """Mask prompts of proposals, by frame and object; an id that is taken by now is exchanged.

    What results have on the frame keeps its pixels.
    """
    prompts = {}
    free = count(1 + max({*taken, *proposed}, default=0))
    for proposal in wanted:
        obj_id = next(free) if proposal.obj_id in taken else proposal.obj_id
        mask = proposal.mask.mask
        if results is not None:
            mask &= results.planes[proposal.frame_index] == 0
        key = proposal.frame_index, obj_id
        if mask.any():
            prompts[key] = LayerPrompt(*key, mask=mask)
    return prompts
