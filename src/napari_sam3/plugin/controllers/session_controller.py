"""The session behind the window, without the window: prompts kept in line, work in steps.

What the layers and fields say is the truth. Before each piece of work the session is brought in
line with it: what was added is added, what was moved is replaced, what was deleted is gone. The
steps are iterators, so that a thread can use them up one by one and stop in between.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple
from weakref import ReferenceType, ref

from napari.layers import Image

from napari_sam3.labels.label_stack import LabelStack
from napari_sam3.models.registry import LoadedModel
from napari_sam3.plugin.controllers.project_recorder import ProjectRecorder, Run
from napari_sam3.plugin.layers.exemplars import search_for
from napari_sam3.plugin.layers.layer_prompts import (
    Key,
    LayerPrompt,
    Painting,
    TargetPrompts,
    is_same_prompt,
)
from napari_sam3.plugin.layers.stack_axes import StackAxes, layer_video
from napari_sam3.plugin.model import events
from napari_sam3.plugin.model.events import JobEvent
from napari_sam3.plugin.model.object_matching import Remembered
from napari_sam3.projects import RunNote
from napari_sam3.projects.session import lives_of, recall_from
from napari_sam3.session.propagation import plan_frames
from napari_sam3.session.saved_prompts import PromptList
from napari_sam3.session.session import VideoSession
from napari_sam3.session.session_state import Said, SessionState
from napari_sam3.values import Direction, FrameResult, ObjectMask


@dataclass(frozen=True)
class Setup:
    """What a session is made for; with another one it is made anew.

    Attributes
    ----------
    image_layer, axes
        The video and how it is read.
    model, device, resolution
        As `load_model` takes them.
    compute : str
        Address of the scheduler whose worker has the model; empty: this computer.
    settings : tuple
        Values of the `MODEL_SETTINGS`.
    """

    image_layer: Image
    axes: StackAxes
    model: str = "auto"
    device: str = "auto"
    resolution: int = 0
    compute: str = ""
    settings: tuple[str | int, ...] = ()


class Moment(NamedTuple):
    """What a session was told at a moment, and what the project said of its last run."""

    session: ReferenceType[VideoSession]
    said: Said
    told: dict[Key, LayerPrompt | None]
    missed: set[Key]
    priors_lost: set[Key]
    removed: set[int]
    priors: dict[Key, ObjectMask]
    run: RunNote | None


class SessionController:
    """One video's session as the window uses it.

    Parameters
    ----------
    setup : Setup
        What it is made for.
    models : LoadedModel
        Where the model comes from.
    contrast_limits : (float, float), optional
        As `VideoSession` takes them.
    recorder : ProjectRecorder, optional
        The project of the work; nothing is kept if left out.
    """

    def __init__(
        self,
        setup: Setup,
        models: LoadedModel,
        contrast_limits: tuple[float, float] | None = None,
        recorder: ProjectRecorder | None = None,
    ) -> None:
        self.setup = setup
        self.video = layer_video(setup.image_layer, setup.axes)
        self.recorder = ProjectRecorder() if recorder is None else recorder
        self.session: VideoSession | None = None
        # says of an object and a frame whether it may be seen there
        self.is_alive: Callable[[int, int, Collection[int]], bool] | None = None
        self._models = models
        self._is_ready_told = False
        self._contrast_limits = contrast_limits
        self._missed: set[Key] = set()
        self._priors_lost: set[Key] = set()
        known = self.recorder.known
        # what the session was told, in the order it was told; None stands for a text
        self._told: dict[Key, LayerPrompt | None] = known.prompts
        self._removed: set[int] = known.removed
        # what was shown of an object when its prompt on a frame began to correct it
        self._priors: dict[Key, ObjectMask] = known.priors
        self._restored: set[int] = (
            set()
        )  # frames brought back since the prompts were brought in line
        self._labels: LabelStack | None = None  # where they were
        # as it was before the last job
        self.before_job: Moment | None = None

    @property
    def object_ids(self) -> tuple[int, ...]:
        """Objects of the session, rising."""
        return self.recorder.ids_in_use if self.session is None else self.session.object_ids

    @property
    def ids_in_use(self) -> tuple[int, ...]:
        """Ids that a new object must not get: the objects', and those of removed ones."""
        return tuple(sorted({*self.object_ids, *self._removed}))

    @property
    def found_objects(self) -> frozenset[int]:
        """Objects that a concept has found, and nobody has pointed at."""
        return self.recorder.candidates if self.session is None else self.session.found_objects

    @property
    def ids_removed(self) -> frozenset[int]:
        """Ids of objects that were found by text and removed; they are not used again."""
        return frozenset(self._removed)

    def rejected(self) -> PromptList | None:
        """What texts have found, for a session after this one, if some of it was rejected.

        None where nothing was, or a project keeps it.
        """
        if not self._removed or self.recorder.project is not None:
            return None
        if self.session is None:
            return self.recorder.earlier
        said = self.session.list_prompts()
        return said.with_only(prompt for prompt in said if prompt.is_concept or prompt.is_found)

    @property
    def painted_frames(self) -> tuple[int, ...]:
        """Frames on which painted labels were prompts."""
        return tuple(
            key[0]
            for key, prompt in self._told.items()
            if prompt is not None and any(source.kind == "labels" for source in prompt.sources)
        )

    def is_prompted(self, frame_index: int, obj_id: int) -> bool:
        """Whether something was said of an object on a frame; callable from any thread."""
        return (frame_index, obj_id) in self._told

    # ------------------------------------------------------------- undo, redo

    def moment(self) -> Moment | None:
        """What was told up to now, for `go_back`; None before there is a session."""
        if self.session is None:
            return None
        project = self.recorder.project
        return Moment(
            ref(self.session),
            self.session.said(),
            dict(self._told),
            set(self._missed),
            set(self._priors_lost),
            set(self._removed),
            dict(self._priors),
            None if project is None else project.run,
        )

    def nothing_told(self) -> Moment | None:
        """As if nothing had been told yet, for `go_back`; None before there is a session."""
        if self.session is None:
            return None
        return Moment(ref(self.session), SessionState().said(), {}, set(), set(), set(), {}, None)

    def go_back(self, moment: Moment) -> None:
        """Have been told what was told at a moment; of another session, the layers say all."""
        if self.session is None or moment.session() is not self.session:
            return
        self.session.go_back(moment.said)
        self._told, self._missed = dict(moment.told), set(moment.missed)
        self._priors_lost, self._removed = set(moment.priors_lost), set(moment.removed)
        self._priors = dict(moment.priors)
        self.recorder.save_prompts()
        if self.recorder.project is not None:
            self.recorder.project.put_back_run(moment.run)

    def see_restored(self, labels: LabelStack, frames: Collection[int]) -> None:
        """Take what is on frames from the results: they were brought back, or edited as a whole."""
        self._labels = labels
        self._restored.update(frames)
        self._recall(frames)

    def _recall(self, frames: Iterable[int]) -> None:
        if self.session is not None and self._labels is not None:
            here = list(frames)
            ids = {obj_id for i in here for obj_id in self._labels.notes(i)}
            self.session.recall_frames(recall_from(self._labels), here, ids)

    def is_told(self, key: Key, prompt: LayerPrompt) -> bool:
        """Whether the session was told just this; callable from any thread."""
        told = self._told.get(key)
        return told is not None and is_same_prompt(told, prompt)

    def told_prompt(self, key: tuple[int, int]) -> LayerPrompt | None:
        """What it was told last of an object on a frame."""
        return self._told.get(key)

    def note_drawn(self, target: TargetPrompts) -> None:
        """Learn what of the prompts of a project was drawn, when they are first read again."""
        for key, prompt in target.objects.items():
            told = self._told.get(key)
            if told is not None and told.painting is not None and not told.painting.is_known:
                painting = prompt.painting or Painting(drawn=prompt.mask)
                self._told[key] = replace(told, painting=painting)

    # ----------------------------------------------------------------- work

    def segment(self, target: TargetPrompts, frame_index: int) -> Iterator[JobEvent]:
        """Bring the prompts in line, then show the frame."""
        yield from self.sync_prompts(target)
        self.recorder.save_prompts()
        yield events.Prompted(self._open().result(frame_index))

    def track(
        self,
        target: TargetPrompts,
        direction: Direction,
        start_frame_index: int | None,
        max_frames: int | None,
    ) -> Iterator[JobEvent]:
        """Bring the prompts in line, then propagate; see `VideoSession.propagate`.

        Both ways without a start frame first goes backward from where the last object was named, if
        that is not where the first one was: so an object named late is followed to both ends too.
        """
        yield from self.sync_prompts(target)
        session = self._open()
        self.recorder.save_prompts()
        runs: list[Run] = [(direction, start_frame_index, max_frames)]
        named = session.first_frames.values()
        if (
            direction == "both"
            and start_frame_index is None
            and min(named, default=0) < max(named, default=0)
        ):
            # going forward then shows what is known of the late ones, and replaces all else
            runs = [("backward", max(named), max_frames), ("forward", None, max_frames)]
        yield from self._follow(runs)

    def track_within(self, target: TargetPrompts, first: int, last: int) -> Iterator[JobEvent]:
        """Bring the prompts in line, then propagate from `first` to `last` and nowhere else.

        What is known before goes forward, what is named later goes backward, as by `track`.
        """
        yield from self.sync_prompts(target)
        self.recorder.save_prompts()
        named = self._open().first_frames.values()
        runs: list[Run] = []
        begin, latest = max(first, min(named, default=0)), min(max(named, default=0), last + 1)
        if latest > first:
            runs.append(("backward", latest, latest - first))
        if begin <= last:
            runs.append(("forward", begin, last + 1 - begin))
        yield from self._follow(runs)

    def _follow(self, runs: Sequence[Run]) -> Iterator[JobEvent]:
        """Propagate one run after the other."""
        left = runs[self.recorder.count_done(runs) :]
        for number, run in enumerate(left):
            with self.recorder.propagate(*run) as propagation:
                if number == 0:
                    later = (leg for one in left[1:] for leg in self._legs(one))
                    yield _planned((*propagation.legs, *later))
                for result in propagation:
                    self.recorder.save_found_objects()
                    yield events.Tracked(result, self.recorder.run_number)
                if propagation.is_cancelled:
                    return

    def _legs(self, run: Run) -> tuple[range, ...]:
        direction, start, limit = run
        session = self._open()
        first = session.first_prompted_frame if start is None else start
        return plan_frames(len(session.video), direction, first, limit)

    def track_from(
        self,
        target: TargetPrompts,
        frame_index: int,
        direction: Direction,
        locked: Collection[int] = (),
    ) -> Iterator[JobEvent]:
        """Bring the prompts in line, then follow what was corrected, as far as it changes anything.

        See `VideoSession.propagate_from_here`; `locked` frames stay as they are.
        """
        yield from self.sync_prompts(target)
        self.recorder.save_prompts()
        session, recorder = self._open(), self.recorder
        with session.propagate_from_here(frame_index, direction, stop_at=locked) as correction:
            yield _planned(correction.legs)
            for result in correction:
                run = recorder.run_of(result.frame_index, correction.step)
                yield events.Tracked(result, run, correction.objects)
        recorder.note_corrected()

    def remove_object(self, obj_id: int, frames: list[int]) -> Iterator[JobEvent]:
        """Take an object out of the session, then off `frames`."""
        if self.recorder.project is not None:
            yield from self._begin_session()
        self.before_job = self.before_job or self.moment()
        for key in [key for key in self._told if key[1] == obj_id]:
            self._take_back(key)
        if obj_id in self.object_ids:
            self._open().remove_object(obj_id)  # found by text, which shall not find it again
            self._removed.add(obj_id)
        self.recorder.save_prompts()
        for frame_index in frames:
            yield events.Erased(frame_index, obj_id)

    def _limit_lives(self, session: VideoSession) -> None:
        session.limit_lives(self.is_alive and lives_of(self.is_alive, session))

    def begin(self) -> None:
        """Load the model; in a thread, for it may take long."""
        if self.session is not None:
            return
        with self._models.busy:
            if self.session is None:  # who warmed up may have done it meanwhile
                setup = self.setup
                model = self._models.get(setup.model, setup.device, setup.resolution, setup.compute)
                self.session = self.recorder.open_session(self.video, model, self._contrast_limits)

    def warm_up(self, frame_index: int) -> None:
        """Load the model, and have it get ready for prompts on a frame; in a thread."""
        with self._models.busy:
            self.begin()
            self._open().prefetch(frame_index)

    def preview(self, target: TargetPrompts, frame_index: int) -> FrameResult:
        """What `segment` would show of the objects about whom something new is said on a frame.

        Nothing is changed, but that the model is loaded. Of what is looked for nothing is said.
        """
        with self._models.busy:
            self.begin()
            session = self._open()
            with session.trial(frame_index) as trial:
                self._limit_lives(trial)
                result = self._on_trial(trial)._answer(target, frame_index)
        new = {
            obj_id
            for (frame, obj_id), prompt in target.objects.items()
            if frame == frame_index and not self.is_told((frame, obj_id), prompt)
        }
        return FrameResult(frame_index, {i: m for i, m in result.objects.items() if i in new})

    def _on_trial(self, trial: VideoSession) -> SessionController:
        """One that begins as this one is, and speaks to a session on trial."""
        twin = copy.copy(self)
        twin.session = trial
        twin._told, twin._priors = dict(self._told), dict(self._priors)
        twin._priors_lost = set(self._priors_lost)
        return twin

    def _answer(self, target: TargetPrompts, frame_index: int) -> FrameResult:
        """Bring what is said of objects on one frame in line, and give the frame."""
        here = [k for k in self._told if k[0] == frame_index and not isinstance(k[1], str)]
        for key in here:
            if key not in target.objects:
                self._take_back(key)
        for key in self._order(target):
            if key[0] == frame_index and not isinstance(key[1], str):
                for _ in self._pass_on(key, target):
                    pass
        return self._open().result(frame_index)

    def drop_found(self, obj_ids: Iterable[int]) -> None:
        """Let objects that a text has found be no more, and not be found again; no job may run."""
        for obj_id in set(obj_ids) & self.found_objects:
            if self.session is not None:
                self.session.remove_object(obj_id)
            self._removed.add(obj_id)
        if self.session is not None:
            self.recorder.save_prompts()
        else:
            self.recorder.save_removed(self._removed)

    def cancel(self) -> None:
        """Stop a propagation before its next frame; callable from any thread."""
        if self.session is not None:
            self.session.cancel()

    def close(self) -> None:
        """Give back the memory of the session; the model stays loaded."""
        if self.session is not None:
            self.session.close()
        self.video.close()
        self.recorder.close()

    # ------------------------------------------------------------- in line

    def _begin_session(self) -> Iterator[JobEvent]:
        self.begin()
        if not self._is_ready_told:
            self._is_ready_told = True
            model = self._open().model
            yield events.ModelReady(model.name, model.device)

    def sync_prompts(self, target: TargetPrompts) -> Iterator[JobEvent]:
        """Make the session's prompts those target, with as little work as possible."""
        yield from self._begin_session()
        session = self._open()
        self.before_job = self.before_job or self.moment()
        self._limit_lives(session)
        yield from self.recorder.begin(max((i for _, i in target.objects), default=0))
        keys = self._order(target)
        found_before = self._found_by_text()
        gone = [key for key in self._told if key not in keys]
        remembered = None
        if any(isinstance(name, str) for _, name in gone):
            remembered = Remembered(session, found_before, self._told)
            # what a text has found on the way can't be told apart from it: begin anew
            session.reset()
            self._told.clear()
            self._missed.clear()
            self._priors_lost = set(self._priors)
        else:
            for key in gone:
                self._take_back(key)
        restored, self._restored = self._restored, set()
        self._recall(restored)
        for key in keys:
            yield from self._pass_on(key, target)
        if remembered is not None:
            found_now = self._found_by_text()
            same = remembered.new_ids(found_now)
            if same != {obj_id: obj_id for obj_id in found_before}:
                yield events.Renumbered(found_before, found_now, same)

    def _order(self, target: TargetPrompts) -> list[Key]:
        """Keys target: those told before in that order, so that ids come out the same again."""
        texts: list[Key] = list(target.exemplars.items())
        for text in target.texts:
            asked = [key for key in self._told if key[1] == text]
            texts += asked
            here = (target.text_frame, text)
            if self._missed.issuperset(asked) and here not in asked:
                texts.append(here)
        objects: list[Key] = list(target.objects)
        now = {*objects, *texts}
        # text last: what it finds must not get a number that the person has given
        new = [key for key in (*objects, *texts) if key not in self._told]
        return [key for key in self._told if key in now] + new

    def _take_back(self, key: Key) -> None:
        frame_index, obj_id = key
        self._open().take_back_prompt(frame_index, int(obj_id))
        del self._told[key]
        self._priors.pop(key, None)
        self._priors_lost.discard(key)

    def _pass_on(self, key: Key, target: TargetPrompts) -> Iterator[JobEvent]:
        session = self._open()
        frame_index, name = key
        if isinstance(name, str):
            if key not in self._told:
                before = session.object_ids
                yield events.Prompted(search_for(session, frame_index, name))
                self._told[key] = None
                if session.object_ids == before:
                    self._missed.add(key)
                    yield events.TextMissed(name, frame_index)
            return
        prompt = target.objects[frame_index, name]
        told = self._told.get(key)
        if told is not None and is_same_prompt(told, prompt):
            self._told[key] = prompt  # which may have come about in another way
            return
        mask = prompt.mask
        if mask is None and prompt.box_xyxy is None:
            if key in self._priors_lost:
                mask = self._priors[key].mask
            elif told is None:
                prior = session.result(frame_index).objects.get(name)
                if prior is not None:
                    self._priors[key] = prior
        result = session.add_prompt(
            frame_index,
            points=prompt.points_xy if len(prompt.points_xy) else None,
            point_labels=prompt.point_labels if len(prompt.points_xy) else None,
            boxes=None if prompt.box_xyxy is None else prompt.box_xyxy[None],
            mask=mask,
            obj_id=name,
            clear_old_points=True,
        )
        self._told[key] = prompt
        yield events.Prompted(result)

    def _found_by_text(self) -> tuple[int, ...]:
        if not any(isinstance(key[1], str) for key in self._told):
            return ()
        named = {key[1] for key in self._told}
        return tuple(i for i in self.object_ids if i not in named)

    def _open(self) -> VideoSession:
        assert self.session is not None, "sync_prompts opens the session first"
        return self.session


def _planned(legs: Iterable[range]) -> events.Planned:
    """What is told of a plan; to a frame of two legs a propagation comes twice."""
    ways = list(legs)
    return events.Planned(len({f for leg in ways for f in leg}), sum(map(len, ways)))
