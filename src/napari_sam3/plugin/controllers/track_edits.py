"""What is done to whole objects: the verbs of the table of objects, and of scripts."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import TypeAlias

from napari.layers import Labels
from napari.utils.notifications import show_error
from psygnal import Signal

from napari_sam3.errors import LayerError, RequestError, Sam3Error
from napari_sam3.labels.frame_snapshot import FramesSnapshot
from napari_sam3.labels.label_stack import LabelStack
from napari_sam3.labels.objects import ObjectTable
from napari_sam3.plugin.controllers.commands import (
    ChangeFrames,
    Relabel,
    relabel_frame,
    stack_of,
)
from napari_sam3.plugin.controllers.relabeling import (
    Key,
    Relabeling,
    plan_merge,
    plan_split,
    plan_swap,
)
from napari_sam3.plugin.controllers.session_controller import Moment, SessionController
from napari_sam3.plugin.controllers.tracking_controller import TrackingController
from napari_sam3.plugin.controllers.worker import Run
from napari_sam3.plugin.layers.features_table import table_of
from napari_sam3.plugin.layers.label_planes import find_highest_id
from napari_sam3.plugin.layers.prompt_items import PromptLayer
from napari_sam3.plugin.layers.prompt_marks import PromptMark, read_marks
from napari_sam3.plugin.layers.results_layer import ResultsLayer
from napari_sam3.plugin.model.app_state import Outcome, Phase
from napari_sam3.plugin.model.command_history import Command, CommandGroup

PIXELS_AT_ONCE = 2**24
"""Of all frames that a change touches; where there are more, it is made in a thread."""

MakePlan: TypeAlias = Callable[[LabelStack, ObjectTable, Collection[Key] | None], Relabeling]


class TrackEdits:
    """Changes objects of a layer as a person asks for it; each change can be undone.

    Objects that are locked are refused, but for locks, names, classes and colours.

    Parameters
    ----------
    tracking : TrackingController
        With the results.
    layer_of : callable, optional
        Gives the layer whose objects are meant; the results if left out.
    """

    ended = Signal()
    """What was done in a thread is done, or was stopped."""

    def __init__(
        self,
        tracking: TrackingController,
        layer_of: Callable[[], Labels | None] | None = None,
    ) -> None:
        self._tracking = tracking
        self._layer_of = layer_of or self._results_layer
        self._run: Run | None = None

    def _results_layer(self) -> Labels | None:
        results = self._tracking.results
        return None if results is None else results.layer

    @property
    def layer(self) -> Labels:
        """The layer whose objects are changed.

        Raises
        ------
        LayerError
            If there is none.
        """
        layer = self._layer_of()
        if layer is None:
            raise LayerError("there are no objects yet; press Segment frame or Propagate first")
        return layer

    # ------------------------------------------------------- what is known of them

    def recolor(self, obj_ids: Iterable[int], color: str) -> None:
        """Give objects a colour, as "#ff8800"; the one of their number by an empty string."""
        self._tracking.objects.recolor(self.layer, obj_ids, color)

    def lock(self, obj_ids: Iterable[int], is_locked: bool = True) -> None:
        """Keep all that is propagated, painted or edited off objects, or let it in again."""
        self._tracking.objects.lock(self.layer, obj_ids, is_locked)

    def accept(self, obj_ids: Iterable[int]) -> None:
        """Say that objects that a text or a detector has found are what was looked for."""
        ids = set(obj_ids)
        proposed = ids.intersection(self._tracking.detection.proposals)
        if ids - proposed:
            self._tracking.objects.accept(self.layer, ids - proposed)
        if proposed:
            self._tracking.detection.accept(proposed)

    # ------------------------------------------------------------ whole objects

    def remove(self, obj_ids: Iterable[int]) -> None:
        """Remove objects: prompts, labels and all; a text does not find them again.

        Those that are only proposed are rejected.

        Raises
        ------
        LockedObjectError
            If one is locked.
        """
        ids = list(obj_ids)
        proposed = self._tracking.detection.proposals.keys() & set(ids)
        self._tracking.detection.reject(proposed)
        numbers = [obj_id for obj_id in ids if obj_id not in proposed]
        if not numbers:
            return
        if self._layer_of() is not None:
            table_of(self.layer).check_unlocked(*numbers)
        self._tracking.remove_object(numbers)

    def merge(self, obj_ids: Iterable[int], into: int) -> None:
        """Make one object of several, on all frames; `into` keeps its number, name and class.

        Like `split` and `swap` it returns at once where there is much to change, and is done a
        frame at a time in a thread; `is_running` until then.

        Parameters
        ----------
        obj_ids : iterable of int
            The objects that are no more then.
        into : int
            The object that they become.

        Raises
        ------
        LineageError
            If it can't be.
        LockedObjectError
            If one is locked.
        """
        ids = list(obj_ids)
        self._do(lambda planes, table, marks: plan_merge(planes, table, marks, ids, into))

    def split(self, obj_id: int, frame_index: int | None = None) -> int:
        """Make a new object of the tail of one, and give its id.

        Parameters
        ----------
        obj_id : int
            The object; it ends before that frame.
        frame_index : int, optional
            The first frame of the new one; the one on screen if left out.

        Raises
        ------
        LayerError
            If the object has no frames before, or none from there on.
        LockedObjectError
            If it is locked.
        """
        begin, layer = self._frame(frame_index), self.layer
        session = self._tracking.session
        taken = () if session is None else session.ids_in_use
        named = (mark.obj_id for mark in self._marks()[1])
        new = 1 + max((find_highest_id(layer), *table_of(layer).ids, *taken, *named))
        results = self._results_of(layer)
        if results is not None:
            results.own(new)
        self._do(lambda planes, table, marks: plan_split(planes, table, marks, obj_id, new, begin))
        return new

    def swap(self, one: int, other: int, frame_index: int | None = None) -> None:
        """Let two objects change ids from a frame on.

        Parameters
        ----------
        one, other : int
            The objects.
        frame_index : int, optional
            The first frame; the one on screen if left out.

        Raises
        ------
        LayerError
            If neither is on a frame from there on.
        LineageError
            If their divisions can't be then.
        LockedObjectError
            If one is locked.
        """
        begin = self._frame(frame_index)
        self._do(lambda planes, table, marks: plan_swap(planes, table, marks, one, other, begin))

    # ----------------------------------------------------------------- carried out

    @property
    def is_running(self) -> bool:
        """Whether frames are being changed in a thread."""
        return self._run is not None

    def close(self) -> None:
        """Stop what is under way; what it has changed is brought back."""
        if self._run is not None:
            self._run.stop()

    def _do(self, make_plan: MakePlan) -> None:
        state, layer = self._tracking.state, self.layer
        if self._tracking.job is not None or self.is_running:
            raise RequestError("objects can't be changed while other work goes on; wait for it")
        planes, results = stack_of(layer), self._results_of(layer)
        if results is not None:
            self._tracking.chosen.check_writable()
            results.painted()  # what was painted is told; it would be in the way
        marks, items = self._marks()
        plan = make_plan(planes, table_of(layer), marks if results is not None else None)
        plan.edit_table(table_of(layer).copy())  # before anything is changed
        renamed = _rename(items, plan) if results is not None else []
        more = self._drop_found(plan.gone) if results is not None else None
        if len(plan.frames) * planes.shape[1] * planes.shape[2] <= PIXELS_AT_ONCE:
            self._finish(layer, Relabel(layer, plan, renamed), more)
            return
        log = planes.log_changes()
        self._run = run = Run(_relabel(layer, planes, plan))
        failures: list[Sam3Error] = []
        run.gave.connect(lambda n: state.update(frames_done=n))
        run.failed.connect(failures.append)

        def end() -> None:
            self._run = None
            state.phase = Phase.IDLE
            before = log.take()
            if failures or run.is_stopped:
                planes.restore(before)
                layer.refresh()
                if failures:
                    show_error(str(failures[0]))
            else:
                done = _FramesDone(layer, plan.label, before)
                self._finish(layer, Relabel(layer, plan, renamed, done), more)
            self.ended.emit()

        run.ended.connect(end)
        state.update(phase=Phase.EDITING, frames_done=0, frames_planned=len(plan.frames), pace="")
        run.start()

    def _finish(self, layer: Labels, command: Relabel, more: Command | None) -> None:
        whole: Command = command
        if more is not None:
            whole = CommandGroup(command.label, [command, more])
        self._tracking.objects.history(layer).do(whole)
        self._tracking.objects.show(layer)
        if self._results_of(layer) is not None:
            self._tracking.state.outcome = Outcome.NONE

    def _frame(self, frame_index: int | None) -> int:
        layer = self.layer
        if frame_index is not None:
            return range(stack_of(layer).shape[0])[frame_index]
        if self._results_of(layer) is not None:
            return self._tracking.frame_on_screen()
        viewer = self._tracking.viewer
        place = layer.world_to_data(viewer.dims.point[viewer.dims.ndim - layer.ndim :])
        return round(float(place[0]))

    def _results_of(self, layer: Labels) -> ResultsLayer | None:
        results = self._tracking.results
        return results if results is not None and results.layer is layer else None

    def _marks(self) -> tuple[dict[Key, PromptMark], list[PromptMark]]:
        """Prompts of the video's layers: by frame and object, and in a list."""
        state = self._tracking.state
        if state.video is None:
            return {}, []
        found = read_marks(
            state.video, self._tracking.axes.read(state.video), state.layers_of_prompts
        )
        return {(mark.frame_index, mark.obj_id): mark for mark in found}, found

    def _drop_found(self, obj_ids: Collection[int]) -> Command | None:
        """What keeps a text from finding objects again that are no more; None if nothing does."""
        gone = self._tracking.sessions.found_objects().intersection(obj_ids)
        return DropFound(self._tracking.sessions.open(), gone) if gone else None


class DropFound(Command):
    """Keep a text from finding objects again: they are no more, or others."""

    label = "forget what a text has found"

    def __init__(self, session: SessionController, obj_ids: Collection[int]) -> None:
        self._session, self._ids = session, obj_ids
        self._moment: Moment | None = None

    def do(self) -> bool:
        """Forget them."""
        self._moment = self._session.moment()
        self._session.drop_found(self._ids)
        return True

    def undo(self) -> None:
        """Let them be found."""
        if self._moment is not None:
            self._session.go_back(self._moment)


class _FramesDone(ChangeFrames):
    """Frames that a thread has changed already; done for the first time it only tells so."""

    def __init__(self, layer: Labels, label: str, before: FramesSnapshot) -> None:
        super().__init__(layer, label, changes_locked=True)
        self._keep(before)
        self._is_new = True

    def do(self) -> bool:
        """Change them again, once they were brought back."""
        if not self._is_new:
            return super().do()
        self._is_new = False
        stack_of(self._layer).restored.emit(self.frames)
        self._layer.refresh()
        return bool(self.frames)


def _relabel(layer: Labels, planes: LabelStack, plan: Relabeling) -> Iterator[int]:
    """Change a frame at a time, in a thread; gives how many are done."""
    for n_done, frame_index in enumerate(plan.frames, 1):
        relabel_frame(layer, planes, plan, frame_index)
        yield n_done


def _rename(
    marks: Sequence[PromptMark], plan: Relabeling
) -> list[tuple[PromptLayer, dict[int, int]]]:
    """The items of prompt layers that are another object's then."""
    named: dict[PromptLayer, dict[int, int]] = {}
    for mark in marks:
        new = plan.name_of(mark.obj_id, mark.frame_index)
        if new != mark.obj_id:
            for layer, index in mark.items:
                named.setdefault(layer, {})[index] = new
    return list(named.items())
