"""Going on with a project: its session as it was, and the run that was stopped."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import ArrayLike

from napari_sam3.errors import ProjectError
from napari_sam3.labels.measures import measure_labels
from napari_sam3.projects.project import Project
from napari_sam3.session.restoring import restore_prompts
from napari_sam3.session.session import VideoSession
from napari_sam3.values import ObjectMask

if TYPE_CHECKING:
    from napari_sam3.labels.label_stack import LabelStack
    from napari_sam3.models.base import VideoModel
    from napari_sam3.session.propagation import Propagation
    from napari_sam3.video import Video


def open_session(
    project: Project,
    model: str | Path | VideoModel | None = None,
    *,
    video: str | Path | Video | ArrayLike | None = None,
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
        model = _load(state.model, state.device)
    session = VideoSession(video, model, contrast_limits=state.contrast_limits)
    try:
        shape = (len(session.video), *session.frame_size)
        if shape != tuple(project.labels.shape):
            raise ProjectError(
                f"the video has the shape {shape} (frames, height, width), the project "
                f"{tuple(project.labels.shape)}; name the video that it is of"
            )
        project.problems += tuple(restore_prompts(session, project.prompts))
        session.limit_lives(project.objects.is_alive)
        session.remember(recall_from(project.labels), project.fresh_frames)
    except BaseException:
        session.close()
        raise
    return session


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
    return session.follow(legs)


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


def _load(name: str | None, device: str | None) -> Any:
    from napari_sam3.models.registry import load_model

    return load_model(name or "auto", None if device in (None, "auto") else device)
