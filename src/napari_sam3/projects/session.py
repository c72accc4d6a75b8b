"""The session of a project: opened as it was, its prompts and propagations kept as they come."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from pathlib import Path

from numpy.typing import ArrayLike

from napari_sam3.errors import ProjectError
from napari_sam3.labels.label_stack import LabelStack
from napari_sam3.labels.measures import measure_labels
from napari_sam3.models.base import VideoModel
from napari_sam3.models.mask_settings import differing, mask_settings_of
from napari_sam3.models.registry import load_model
from napari_sam3.projects.project import Project
from napari_sam3.projects.run_progress import still_stale
from napari_sam3.session.propagation import Propagation
from napari_sam3.session.recovery import Recover, check_recover
from napari_sam3.session.session import VideoSession
from napari_sam3.session.session_prompts import restore_prompts
from napari_sam3.values import Direction, FrameResult, ObjectMask
from napari_sam3.video import Video


def open_session(
    project: Project,
    model: str | Path | VideoModel | None = None,
    *,
    video: str | Path | Video | ArrayLike | None = None,
    contrast_limits: tuple[float, float] | None = None,
    recover: Recover = "exact",
) -> VideoSession:
    """Begin a session where a project's last one was.

    Objects, ids, prompts and the model's answers are those of then; nothing is computed, unless
    another model is taken: it answers the prompts anew. What was shown is read from the project
    when it is needed.

    Parameters
    ----------
    project : Project
        Open for writing or not.
    model : str, path or VideoModel, optional
        The project's own if left out.
    video : path, Video or array, optional
        What to read frames from; the project's video, looked for, if left out.
    contrast_limits : (float, float), optional
        As of `VideoSession`; the project's own if left out.
    recover : "exact" or "quick"
        How a run that was stopped is gone on with: as if it had never stopped, for which frames
        since the last checkpoint are computed again; or at once from what was shown, nearly.

    Returns
    -------
    VideoSession
        To be closed by the caller; what could not be restored it says in `project.problems`.

    Raises
    ------
    ProjectError
        If the video is not to be found, or is of another size.
    """
    if video is None:
        video = project.find_video()
        if video is None:
            raise ProjectError(project.video_problem or "the video is not to be found")
    state = project.state
    if model is None:
        device = None if state.device == "auto" else state.device
        model = load_model(state.model or "auto", device)
    if contrast_limits is None:
        contrast_limits = state.contrast_limits
    session = VideoSession(video, model, contrast_limits=contrast_limits)
    try:
        shape = (len(session.video), *session.frame_size)
        if shape != tuple(project.labels.shape):
            raise ProjectError(
                f"the video has the shape {shape} (frames, height, width), the project "
                f"{tuple(project.labels.shape)}; name the video that it is of"
            )
        keep_checkpoints(project, session, recover)
        session.limit_lives(lives_of(project.objects.is_alive, session))
        if len(project.prompts):
            project.problems += tuple(restore_prompts(session, project.prompts))
            stale = () if project.run is None else project.run.stale_ranges()
            session.remember(recall_from(project.labels), project.fresh_frames, stale)
    except BaseException:
        session.close()
        raise
    return session


def lives_of(
    is_alive: Callable[[int, int, Collection[int]], bool], session: VideoSession
) -> Callable[[int, int], bool]:
    """What `VideoSession.limit_lives` is told, of `ObjectTable.is_alive`."""
    return lambda obj_id, frame: is_alive(obj_id, frame, session.prompted_frames(obj_id))


def continue_run(project: Project, session: VideoSession) -> Propagation:
    """Go on with the project's run that was stopped, on a session from `open_session`.

    Frames that were done before a prompt ahead of them was changed are done again, first. All of
    them are to be kept as frames of the run (`Project.keep`).

    Raises
    ------
    ProjectError
        If nothing is left to do.
    RequestError
        If the session can't propagate.
    """
    legs = project.frames_to_do
    if not legs:
        raise ProjectError(
            f"nothing is left of the last run of {str(project.folder)!r}; begin a new one "
            "(session.propagate)"
        )
    run = project.run
    assert run is not None, "it has frames to do"
    return session.follow(legs, run.legs(project.labels.shape[0]))


def keep_checkpoints(project: Project, session: VideoSession, recover: Recover = "exact") -> None:
    """Have a session's checkpoints kept in a project, and taken from there."""
    session.recovery.keeper = project.checkpoints
    session.recovery.mode = check_recover(recover)


class ProjectSession:
    """A session whose prompts and propagations are kept in a project.

    Parameters
    ----------
    project : Project
        Open for writing.
    session : VideoSession
        On the project's video: from `open_session`, or a new one where the project is new.
    """

    def __init__(self, project: Project, session: VideoSession) -> None:
        self.project = project
        self.session = session
        self._saved_ids = session.object_ids
        if session.recovery.keeper is None:
            keep_checkpoints(project, session)

    def save_prompts(self) -> None:
        """Keep what the session was told, and what the model answered."""
        self._saved_ids = self.session.object_ids
        self.project.save_prompts(self.session.list_prompts())

    def save_found_objects(self) -> None:
        """Keep objects that were found or lost on the way, before they are shown or drawn."""
        if self.session.object_ids != self._saved_ids:
            self.save_prompts()

    def note_corrected(self) -> None:
        """Keep which frames of the last run are stale still, after a `Correction`."""
        run = self.project.run
        if run is not None:
            stale = [part for parts in self.session.stale_frames.values() for part in parts]
            self.project.put_back_run(still_stale(run, stale))

    def is_stopped(
        self, direction: Direction, start: int | None = None, limit: int | None = None
    ) -> bool:
        """Whether this run was begun and has frames left, with prompts and settings of then."""
        run = self.project.run
        return (
            run is not None
            and (run.direction, run.start, run.limit) == (direction, self._first(start), limit)
            and not differing(run.made_with, mask_settings_of(self.session.model))
            and not run.stale
            and bool(self.project.frames_left)
        )

    def propagate(
        self, direction: Direction, start: int | None = None, limit: int | None = None
    ) -> Propagation:
        """Begin a run; or go on with the one that was stopped, if it is the same (`is_stopped`).

        Its frames are to be drawn as those of the project's run (`keep`, or `run_number`); when
        they are, `Project.end_run` takes note of it.

        Raises
        ------
        MissingPromptError, PropagationRunningError, RequestError
            As `VideoSession.propagate`; nothing is noted then.
        ProjectError
            If the beginning can't be noted.
        """
        if self.is_stopped(direction, start, limit):
            return continue_run(self.project, self.session)
        propagation = self.session.propagate(direction, start, limit)
        self.begin_run(direction, start, limit)
        return propagation

    def begin_run(
        self,
        direction: Direction,
        start: int | None = None,
        limit: int | None = None,
        *,
        request: str = "",
    ) -> None:
        """Take note of a run that begins; see `Project.begin_run`.

        Without a start it is at the first prompted frame, as of `VideoSession.propagate`.
        """
        made_with = mask_settings_of(self.session.model)
        self.project.begin_run(
            direction, self._first(start), limit, request=request, made_with=made_with
        )

    def keep(self, result: FrameResult, *, of_run: bool = True) -> bool:
        """Keep a frame, and the objects that were found on the way to it; see `Project.keep`."""
        self.save_found_objects()  # first, so that no label is of nobody
        prompted = self.session.prompted_objects(result.frame_index)
        return self.project.keep(result, prompted=prompted, of_run=of_run)

    def _first(self, start: int | None) -> int:
        return self.session.first_prompted_frame if start is None else start


def recall_from(labels: LabelStack) -> Callable[[int], Mapping[int, ObjectMask] | None]:
    """What `VideoSession.remember` is told: the masks that labels hold on a frame."""

    def recall(frame_index: int) -> Mapping[int, ObjectMask] | None:
        if not labels.is_processed(frame_index):
            return None
        plane = labels[frame_index]
        notes = labels.notes(frame_index)
        masks = {}
        for measure in measure_labels(plane, frame_index):
            note = notes.get(measure.obj_id)
            score = 1.0 if note is None or note.score is None else note.score
            x0, y0, x1, y1 = measure.bbox
            crop = plane[y0:y1, x0:x1] == measure.obj_id
            crop.flags.writeable = False
            masks[measure.obj_id] = ObjectMask(crop, measure.bbox, plane.shape, score)
        return masks

    return recall
