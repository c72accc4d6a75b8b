"""One video of a batch, from its prompts to its files."""

from __future__ import annotations

import logging
import shutil
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import chain, count, islice
from pathlib import Path

from napari_sam3.batch.summary import BatchRow, State
from napari_sam3.batch.tracked_video import TrackedVideo
from napari_sam3.batch.tracking import track_video
from napari_sam3.errors import (
    LabelRangeError,
    ModelUnavailableError,
    NoWorkerError,
    ProjectError,
    RequestError,
    Sam3Error,
)
from napari_sam3.export.registry import ALL, FORMATS, expand_formats
from napari_sam3.models.base import VideoModel
from napari_sam3.models.mask_settings import differing, memory_settings
from napari_sam3.models.registry import find_model
from napari_sam3.projects.folders import SUFFIX, is_project
from napari_sam3.projects.lock import ProjectLock
from napari_sam3.projects.packing import pack_project
from napari_sam3.projects.project import Project
from napari_sam3.projects.tracking import describe_request
from napari_sam3.session.recovery import Recover
from napari_sam3.session.saved_prompts import PromptList
from napari_sam3.settings import read_settings
from napari_sam3.values import Direction, FrameResult
from napari_sam3.video import as_video
from napari_sam3.video.plane_choice import NO_CHOICE, PlaneChoice

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class TaskSettings:
    """What holds for all videos of a batch; parameters as of `run_batch`."""

    model: str = "auto"
    device: str | None = None
    formats: tuple[str, ...] = ()
    direction: Direction = "forward"
    start_frame_index: int | None = None
    max_frame_num_to_track: int | None = None
    contrast_limits: tuple[float, float] | None = None
    overwrite: bool = False
    recover: Recover = "exact"
    choice: PlaneChoice = NO_CHOICE
    pack: bool = False


@dataclass(frozen=True, eq=False)
class Task:
    """One video.

    Attributes
    ----------
    video : Path
        To be tracked.
    prompts : PromptList
        What to track.
    results : Path
        Folder of its exports; its project has the same name with an ending.
    settings : TaskSettings
        As for all others.
    """

    video: Path
    prompts: PromptList
    results: Path
    settings: TaskSettings = field(default_factory=TaskSettings)

    @property
    def project(self) -> Path:
        """Where it is kept."""
        return self.results.with_name(self.results.name + SUFFIX)


GetModel = Callable[[str, str | None], VideoModel]


def do_task(
    task: Task,
    get_model: GetModel,
    stop: threading.Event,
    on_frames: Callable[[int], object],
    tell: Callable[[str], object] = lambda _news: None,
) -> BatchRow:
    """Track and export a video; what goes wrong is in the row.

    Parameters
    ----------
    task : Task
        What to do.
    get_model : callable
        Gives the model, of its name and device.
    stop : Event
        Once it is set it ends after the frame under way.
    on_frames : callable
        Called with the number of frames done, after each.
    tell : callable
        Called with a sentence about each thing that is not as it should be and was gone on with,
        as a project begun with another precision; when the frames are done.

    Raises
    ------
    NoWorkerError
        If the model is on workers, and there was no place on one to begin: nothing was done.
    """
    numbers = count(1)

    def goes_on(result: FrameResult) -> bool:
        on_frames(next(numbers))
        return not stop.is_set()

    began = time.perf_counter()
    frames = objects = 0
    state: State = "failed"
    error = ""
    failure: Sam3Error | None = None
    try:
        if task.settings.overwrite:
            _clear(task)
        known = _open_finished(task)
        is_packed = known is not None and getattr(known.labels, "is_packed", False)
        with known or _track(task, get_model, goes_on) as tracked:
            for problem in () if tracked.project is None else tracked.project.problems:
                tell(f"warning: {task.video.name}: {on_one_line(problem)}")
            frames = len(tracked.labels.processed_frames())
            objects = len(tracked.object_ids)
            wanted = list(expand_formats(task.settings.formats))
            if known is not None:
                wanted = [name for name in wanted if not _target(task, name).exists()]
            if tracked.is_complete:
                for name in wanted:
                    try:
                        tracked.export(_target(task, name), name)
                    except LabelRangeError:
                        if ALL not in task.settings.formats:
                            raise
                        logger.info("%s does not hold the ids of %s", name, task.video)
                state = "skipped" if known is not None and not wanted else "done"
            else:
                state = "stopped"
        if task.settings.pack and not is_packed and state != "stopped":
            pack_project(task.project)
    except Sam3Error as exc:
        failure, error = exc, on_one_line(exc)
    except Exception as exc:  # one bad video must not stop the others, whatever is wrong with it
        logger.exception("unforeseen error with %s", task.video)
        error = f"something went wrong that should not have: {type(exc).__name__}: {exc}"
    if error:
        state = "failed"
        if next(numbers) > 1:  # what was done before it went wrong stays
            frames, objects = count_kept(task)
        elif isinstance(failure, NoWorkerError):
            raise failure
    seconds = time.perf_counter() - began
    return BatchRow(str(task.video), frames, objects, seconds, state, error)


def on_one_line(error: BaseException | str) -> str:
    """What an error or a warning says, as a row holds it."""
    return " ".join(str(error).split())


def count_kept(task: Task) -> tuple[int, int]:
    """Frames, and objects on them, that the project of a video holds by now; 0 without one."""
    try:
        with Project.open(task.project, read_only=True) as project:
            return len(project.labels.processed_frames()), len(project.labels.mean_scores())
    except (Sam3Error, OSError):
        return 0, 0


def next_frames(task: Task, n_frames: int) -> list[int]:
    """The next frames that the project of a video is to get; none without a project."""
    try:
        with Project.open(task.project, read_only=True) as project:
            return list(islice(chain.from_iterable(project.frames_to_do), n_frames))
    except (Sam3Error, OSError):
        return []


def _track(task: Task, get_model: GetModel, goes_on: Callable[[FrameResult], bool]) -> TrackedVideo:
    settings = task.settings
    return track_video(
        task.video,
        task.prompts,
        model=get_model(settings.model, settings.device),
        direction=settings.direction,
        start_frame_index=settings.start_frame_index,
        max_frame_num_to_track=settings.max_frame_num_to_track,
        contrast_limits=settings.contrast_limits,
        project=task.project,
        recover=settings.recover,
        channel=settings.choice.channel,
        z=settings.choice.z,
        scene=settings.choice.scene,
        on_frame=goes_on,
    )


def _open_finished(task: Task) -> TrackedVideo | None:
    """What an earlier run has made of the same video, prompts and settings; None if not all."""
    if not is_project(task.project):
        return None
    settings = task.settings
    with ExitStack() as stack:
        project = stack.enter_context(Project.open(task.project, read_only=True))
        _check_model(task, project)
        request = describe_request(
            task.prompts,
            settings.direction,
            settings.start_frame_index,
            settings.max_frame_num_to_track,
            settings.contrast_limits,
        )
        run = project.run
        if run is None or not run.is_over or run.request != request or project.problems:
            return None
        # refuses another content
        project.video.moved_to(task.video, project.folder, even_if_changed=False)
        if project.video.choice or settings.choice:
            with as_video(task.video, settings.choice) as video:  # names become indices
                project.video.check_choice(video.choice)
        stack.pop_all()
    return TrackedVideo(
        task.video,
        project.labels,
        project.objects,
        project=project,
        contrast_limits=settings.contrast_limits,
        choice=project.video.choice,
    )


def _check_model(task: Task, project: Project) -> None:
    """Refuse to mix the results of two models, or of two settings of one."""
    made_by, asked = project.state.model, task.settings.model
    if asked != "auto":
        name = find_model(asked).name
        if made_by not in (None, name):
            raise RequestError(
                f"{str(task.project)!r} was made with the model {made_by!r}, not {name!r}; add "
                "--overwrite to begin anew, or name another folder"
            )
    other = _other_settings(project)
    if other:
        raise RequestError(
            f"{str(task.project)!r} was made with other settings ({other}); set the same, add "
            "--overwrite to begin anew, or name another folder"
        )


def _other_settings(project: Project) -> str:
    """What masks depend on and is set otherwise now; empty if nothing is known to be."""
    run, made_by = project.run, project.state.model
    if run is None or not run.made_with or made_by is None:
        return ""
    try:
        weights = find_model(made_by).weights
    except ModelUnavailableError:
        return ""  # of a model that is here no more
    if weights is None or weights.model_type is None:
        return ""
    return differing(run.made_with, memory_settings(read_settings(), weights.model_type))


def _clear(task: Task) -> None:
    """Delete what an earlier batch made of a video, if nobody works on it."""
    lock = ProjectLock(task.project) if is_project(task.project) else None
    why = None if lock is None else lock.take()
    if why is not None:
        raise ProjectError(f"the project {str(task.project)!r} can't be deleted: {why}")
    for name in FORMATS:  # before the project, or they would pass for what follows
        target = _target(task, name)
        if target.is_dir():
            shutil.rmtree(target)
        else:
            target.unlink(missing_ok=True)
    if lock is not None:
        lock.give_back()
        shutil.rmtree(task.project)


def _target(task: Task, name: str) -> Path:
    return task.results / FORMATS[name].target.rstrip("/")
