"""Tracking without a window: frames are kept as they come, in a project or in memory.

In a project, asking again goes on where it stopped.
"""

from __future__ import annotations

import hashlib
import json
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from napari_sam3.errors import ProjectError, RequestError
from napari_sam3.labels.drawing import draw_result
from napari_sam3.labels.label_stack import LabelStack
from napari_sam3.models.base import VideoModel
from napari_sam3.models.mask_settings import MaskSettings, differing, mask_settings_of
from napari_sam3.models.registry import load_model
from napari_sam3.projects.folders import is_project
from napari_sam3.projects.project import Project
from napari_sam3.projects.session import ProjectSession, continue_run, open_session
from napari_sam3.projects.state import RunNote
from napari_sam3.session.propagation import Propagation
from napari_sam3.session.recovery import Recover, check_recover
from napari_sam3.session.saved_prompts import SavedPrompt
from napari_sam3.session.session import VideoSession
from napari_sam3.session.session_prompts import apply_prompts
from napari_sam3.session.validation import check_contrast_limits, check_range
from napari_sam3.values import LABEL_DTYPE, Direction, FrameResult
from napari_sam3.video import Video

Say = Callable[[VideoSession, Sequence[SavedPrompt]], object]


def open_or_create(folder: str | os.PathLike[str], video: Video) -> Project:
    """Open the project of a video, or make it.

    Parameters
    ----------
    folder : path-like
        Of the project.
    video : Video
        That it is or shall be of; one that was moved since is taken note of.

    Raises
    ------
    ProjectError
        If it is of another video, or there is something else.
    """
    folder = Path(folder).expanduser()
    frames, height, width = video.shape[:3]
    if not is_project(folder):
        return Project.create(folder, video, (frames, height, width))
    project = Project.open(folder)
    try:
        if project.video.shape != (frames, height, width):
            raise ProjectError(
                f"the project {str(folder)!r} is of {project.video.name!r}, of shape "
                f"{project.video.shape}; this video is of {(frames, height, width)}. Name another "
                "folder"
            )
        project.video.check_choice(video.choice)
        if video.path is not None and project.find_video() != video.path.absolute():
            project.point_to(video.path)
    except BaseException:
        project.close()
        raise
    return project


class LabelRun(ABC):
    """A propagation whose frames are kept as labels; a context manager.

    Attributes
    ----------
    session : VideoSession
        Closed with the run.
    propagation : Propagation or None
        The frames to do; None if there is none.
    labels : LabelStack
        Where they are kept, the prompted frames too: a backward run does not pass those.
    is_resumed : bool
        Whether it goes on where another process stopped.
    """

    session: VideoSession
    propagation: Propagation | None = None
    labels: LabelStack
    is_resumed: bool = False

    def __len__(self) -> int:
        """Frames that are left to do."""
        return 0 if self.propagation is None else len(self.propagation)

    def __iter__(self) -> Iterator[FrameResult]:
        """Compute the frames that are left, one by one; each is kept before it is given."""
        if self.propagation is None:
            return
        for result in self.propagation:
            self.keep(result)
            yield result
        self.finish()

    @abstractmethod
    def keep(self, result: FrameResult) -> None:
        """Keep a frame of `propagation`, for who goes through that."""

    def finish(self) -> None:  # noqa: B027 - in memory there is nothing to note
        """Take note that all frames are done, if they are."""

    def close(self) -> None:
        """End it; what is done stays."""
        if self.propagation is not None:
            self.propagation.close()
        self.session.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _prompted_results(self) -> list[FrameResult]:
        frames = {p.frame_index for p in self.session.list_prompts()}
        return [self.session.result(frame_index) for frame_index in sorted(frames)]


class MemoryRun(LabelRun):
    """A propagation whose frames are kept in memory.

    Parameters are those of `ProjectRun`; there must be prompts.
    """

    def __init__(
        self,
        video: Video,
        model: VideoModel,
        prompts: Sequence[SavedPrompt],
        *,
        direction: Direction = "forward",
        start: int | None = None,
        limit: int | None = None,
        contrast_limits: tuple[float, float] | None = None,
        say: Say = apply_prompts,
        recover: Recover = "exact",
    ) -> None:
        check_recover(recover)
        self.session = VideoSession(video, model, contrast_limits=contrast_limits)
        self.session.recovery.mode = recover
        try:
            say(self.session, prompts)
            self.propagation = self.session.propagate(direction, start, limit)
            self.labels = LabelStack((len(video), *self.session.frame_size), LABEL_DTYPE)
            for result in self._prompted_results():
                self.keep(result)
        except BaseException:
            self.session.close()
            raise

    def keep(self, result: FrameResult) -> None:
        """Keep a frame of `propagation`, for who goes through that."""
        draw_result(self.labels, result, self.session.prompted_objects(result.frame_index))


class ProjectRun(LabelRun):
    """A propagation whose frames are kept in a project; a context manager.

    What was begun with the same prompts and settings is gone on with: its session is restored,
    and only the frames that are left are computed. Without prompts whatever the project holds is
    gone on with.

    Parameters
    ----------
    project : Project
        Open for writing.
    model : str, path or VideoModel
        To be that of the project, where there is something to go on with.
    prompts : sequence of SavedPrompt
        To begin with; may be empty where the project has prompts.
    direction, start, limit : str, int or None, int or None
        As of `VideoSession.propagate`.
    video : path or Video, optional
        The project's own, looked for, if left out.
    contrast_limits : (float, float), optional
        As of `VideoSession`.
    say : callable
        Says prompts to a session.
    recover : "exact" or "quick"
        As of `open_session`; also when a worker dies that the model is on.

    Attributes
    ----------
    session : VideoSession
        Closed with the run.
    propagation : Propagation or None
        The frames left; None if nothing is.
    is_resumed : bool
        Whether it goes on where another process stopped.

    Raises
    ------
    ProjectError
        If the project can't be written, or its video is not to be found.
    RequestError
        If the project holds other prompts than those asked for, or was begun by another model or
        with other settings of it, or if a prompt can't be said.
    """

    def __init__(
        self,
        project: Project,
        model: str | Path | VideoModel,
        prompts: Sequence[SavedPrompt] = (),
        *,
        direction: Direction = "forward",
        start: int | None = None,
        limit: int | None = None,
        video: str | Path | Video | None = None,
        contrast_limits: tuple[float, float] | None = None,
        say: Say = apply_prompts,
        recover: Recover = "exact",
    ) -> None:
        if project.why_read_only is not None:
            raise ProjectError(
                f"the project {str(project.folder)!r} can't be written: {project.why_read_only}"
            )
        self.project = project
        start, limit = check_range(project.labels.shape[0], direction, start, limit)
        contrast_limits = check_contrast_limits(contrast_limits)
        request = describe_request(prompts, direction, start, limit, contrast_limits)
        run = project.run
        if prompts and len(project.prompts) and (run is None or run.request != request):
            raise RequestError(
                f"the project {str(project.folder)!r} was made with other prompts or settings; "
                "give none to go on with what it holds, or name another folder"
            )
        model = load_model(model)
        if project.frames_to_do and project.prompts.model not in (None, model.name):
            raise RequestError(
                f"the project {str(project.folder)!r} is being tracked by "
                f"{project.prompts.model!r}, not by {model.name!r}; name the same model to go on, "
                "or another folder"
            )
        if project.frames_to_do and run is not None:
            _check_settings(project, run, mask_settings_of(model))
        if not prompts and not len(project.prompts):
            raise RequestError("there is nothing to track: no prompts were given")
        if contrast_limits is not None:
            project.save_state(replace(project.state, contrast_limits=contrast_limits))
        self.session = open_session(project, model, video=video, recover=recover)
        self.labels = project.labels
        try:
            is_new = not len(project.prompts)
            self.is_resumed = not is_new and bool(prompts or project.frames_to_do)
            if is_new:
                say(self.session, prompts)
            self._recorder = ProjectSession(project, self.session)
            if not self.is_resumed:
                self._recorder.begin_run(direction, start, limit, request=request)
            if is_new:
                self._keep_prompts()
            if project.frames_to_do:
                self.propagation = continue_run(project, self.session)
            else:
                project.end_run()
        except BaseException:
            self.session.close()
            raise

    def _keep_prompts(self) -> None:
        """Keep the prompts, which tell that it was begun, last."""
        model = self.session.model
        state = replace(self.project.state, model=model.name, device=model.device)
        self.project.save_state(state)
        for result in self._prompted_results():
            self._recorder.keep(result, of_run=False)
        self._recorder.save_prompts()

    def keep(self, result: FrameResult) -> None:
        """Keep a frame of `propagation`, for who goes through that."""
        self._recorder.keep(result)

    def finish(self) -> None:
        """Take note that all frames are done, if they are."""
        self.project.end_run()

    def close(self) -> None:
        """End it; what is done stays, and can be gone on with."""
        super().close()
        self.project.flush()


def _check_settings(project: Project, run: RunNote, now: MaskSettings) -> None:
    """Refuse to go on with a run as another one would be made; what a machine can't is told."""
    other = differing(run.made_with, now)
    if other:
        raise RequestError(
            f"the project {str(project.folder)!r} is being tracked with other settings ({other}); "
            "set the same to go on, or name another folder"
        )
    other = differing(run.made_with, now, of_machine=True)
    if other:
        project.problems += (
            f"the run was begun with other settings ({other}); masks from here on may differ a "
            "little from what it would have given",
        )


def describe_request(
    prompts: Sequence[SavedPrompt],
    direction: str,
    start: int | None,
    limit: int | None,
    contrast_limits: tuple[float, float] | None = None,
) -> str:
    """What is asked for, as one short text: equal for equal prompts and settings."""
    asked: list[Any] = [[p.to_json(with_answers=False) for p in prompts], direction, start, limit]
    if contrast_limits is not None:
        asked.append([float(limit) for limit in contrast_limits])
    return hashlib.sha256(json.dumps(asked).encode()).hexdigest()
