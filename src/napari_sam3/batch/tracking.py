"""Track one video from its prompts, without a window."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from tqdm import tqdm

from napari_sam3.batch.tracked_video import TrackedVideo
from napari_sam3.errors import PromptFileError
from napari_sam3.imports import open_prompts
from napari_sam3.labels.objects import ObjectTable
from napari_sam3.models.base import VideoModel
from napari_sam3.models.registry import load_model
from napari_sam3.projects.project import Project
from napari_sam3.projects.tracking import LabelRun, MemoryRun, ProjectRun, open_or_create
from napari_sam3.session.recovery import Recover, check_recover
from napari_sam3.session.saved_prompts import PromptList, SavedPrompt
from napari_sam3.session.validation import check_contrast_limits, check_range
from napari_sam3.values import Direction, FrameResult, ObjectMask
from napari_sam3.video import Video, as_video
from napari_sam3.video.plane_choice import PlaneChoice

Prompts = Iterable[SavedPrompt | Mapping[str, Any]] | str | os.PathLike[str]
OnFrame = Callable[[FrameResult], object]


def track_video(
    video: str | os.PathLike[str] | Video | ArrayLike,
    prompts: Prompts | None,
    *,
    model: str | Path | VideoModel = "auto",
    device: str | None = None,
    direction: Direction = "forward",
    start_frame_index: int | None = None,
    max_frame_num_to_track: int | None = None,
    contrast_limits: tuple[float, float] | None = None,
    project: str | os.PathLike[str] | Project | None = None,
    recover: Recover = "exact",
    channel: int | str | None = None,
    z: int | str | None = None,
    scene: int | str | None = None,
    on_frame: OnFrame | None = None,
    progress: bool = False,
) -> TrackedVideo:
    """Track the objects of a video; returns when it is done.

    Parameters
    ----------
    video : path, Video, array, list or iterator of frames
        As `open_video` takes it.
    prompts : list of dict, path, or None
        What to track: dictionaries as in a file of prompts (`docs/projects.md`), in which
        arrays may stand for lists and a mask may be an (H, W) array; the path of such a file, of
        boxes or spots of another tool (as `open_prompts` reads them), or of a project; None to go
        on with what `project` holds.
    model, device : str, path or VideoModel; str
        As `load_model` takes them. A model that is loaded here is given back at the end.
    direction, start_frame_index, max_frame_num_to_track
        As `VideoSession.propagate`.
    contrast_limits : (float, float), optional
        As `VideoSession`.
    project : path or Project, optional
        Folder that keeps prompts and results as they come, made if need be. One that was
        begun with the same prompts and settings is gone on with where it stopped.
    recover : "exact" or "quick"
        How it is gone on with: as if it had never stopped, for which frames since the last
        checkpoint are computed again; or at once from what was shown, which is near that. So it
        is when a worker dies that the model is on.
    channel, z, scene : int or str, optional
        Which of several are meant, as `open_video` takes them.
    on_frame : callable, optional
        Called with the `FrameResult` of each frame. Returning False stops, and so does raising;
        what is done stays.
    progress : bool
        Whether to show a bar in the terminal.

    Returns
    -------
    TrackedVideo
        Labels, scores and exports. Close it (`with`) where there is a project.

    Raises
    ------
    RequestError
        If a prompt or setting is wrong, or the project holds other prompts.
    VideoError, ModelError, ProjectError
        If the video, the model or the project can't be had.
    """
    if prompts is None and project is None:
        raise PromptFileError("there is nothing to track: give prompts, or a project that has some")
    with ExitStack() as stack, ExitStack() as on_failure:
        film = as_video(video, PlaneChoice(channel, z, scene))
        if film.path is None:
            video = film  # an iterator can't be gone through again for an export
        elif film is not video:
            stack.callback(film.close)
        size = film.shape[1], film.shape[2]
        prompt_list = None if prompts is None else gather_prompts(prompts, size)
        if prompt_list is not None and film.path is not None:
            prompt_list = prompts_for(prompt_list, film.path)
        start, limit = check_range(len(film), direction, start_frame_index, max_frame_num_to_track)
        contrast_limits = check_contrast_limits(contrast_limits)
        check_recover(recover)
        loaded = load_model(model, device)
        if loaded is not model:
            stack.callback(loaded.close)
        settings: dict[str, Any] = {
            "direction": direction,
            "start": start,
            "limit": limit,
            "contrast_limits": contrast_limits,
            "recover": recover,
        }
        if project is None or isinstance(project, Project):
            kept = project
        else:
            kept = on_failure.enter_context(open_or_create(project, film))
        run: LabelRun
        if kept is None:
            run = MemoryRun(film, loaded, prompt_list or (), **settings)
        else:
            run = ProjectRun(kept, loaded, prompt_list or (), video=film, **settings)
        with run:
            n_done = _follow(run, on_frame, progress)
        on_failure.pop_all()
    return TrackedVideo(
        video,
        run.labels,
        ObjectTable() if kept is None else kept.objects,
        project=kept,
        is_complete=n_done == len(run),
        contrast_limits=contrast_limits,
        choice=film.choice,
    )


def gather_prompts(prompts: Prompts, size: tuple[int, int] | None = None) -> PromptList:
    """Read prompts of any form that `track_video` takes.

    Of a project what it found itself is left out: that is of its own video.

    Parameters
    ----------
    prompts : see `track_video`
        A path is read as `open_prompts` reads it.
    size : (height, width), optional
        Of the video, where it is known.

    Raises
    ------
    PromptFileError
        If there are none, or one is wrong.
    """
    if isinstance(prompts, str | os.PathLike):
        prompt_list = open_prompts(prompts, size=size)
        prompt_list = prompt_list.with_only(p for p in prompt_list if not p.is_found)
    elif isinstance(prompts, PromptList):
        prompt_list = prompts
    else:
        if not isinstance(prompts, Iterable) or isinstance(prompts, Mapping):
            raise PromptFileError(
                "prompts must be a list of dictionaries, as [{'frame': 0, 'points': [[x, y]]}], or "
                f"a file, not a {type(prompts).__name__}"
            )
        prompt_list = PromptList(
            one
            if isinstance(one, SavedPrompt)
            else SavedPrompt.from_json(_plain(one), f"prompt {number}")
            for number, one in enumerate(prompts, 1)
        )
    if not len(prompt_list):
        raise PromptFileError("there is nothing to track: no prompts were given")
    return prompt_list


def prompts_for(prompt_list: PromptList, video: Path) -> PromptList:
    """Those for a video, and those that name none.

    A name is that of the file, or the end of its path.

    Raises
    ------
    PromptFileError
        If there are none.
    """
    mine = prompt_list.for_video(video)
    if not len(mine):
        named = [repr(name) for name in dict.fromkeys(p.video for p in prompt_list)]
        more = ", ..." if len(named) > 3 else ""
        raise PromptFileError(
            f"there are no prompts for {video.name!r}; they name other videos "
            f"({', '.join(named[:3])}{more}), and must name this one or the end of its path"
        )
    return mine


def _follow(run: LabelRun, on_frame: OnFrame | None, progress: bool) -> int:
    """Do a run, until the end or the caller's stop; how many frames were done."""
    n_done = 0
    with tqdm(total=len(run), desc="tracking", unit="frame", disable=not progress) as bar:
        for result in run:
            n_done += 1
            bar.update()
            if on_frame is not None and on_frame(result) is False:
                break
    return n_done


def _plain(value: Any) -> Any:
    """A prompt as JSON has it, from one with arrays and NumPy's numbers."""
    if isinstance(value, Mapping):
        return {key: _plain_mask(v) if key == "mask" else _plain(v) for key, v in value.items()}
    if hasattr(value, "detach") or hasattr(value, "__array__"):
        value = np.asarray(value.detach().cpu() if hasattr(value, "detach") else value)
    if isinstance(value, np.ndarray | np.generic):
        return value.astype(int).tolist() if value.dtype == bool else value.tolist()
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


def _plain_mask(mask: Any) -> Any:
    if not isinstance(mask, np.ndarray) or mask.ndim != 2:
        return mask
    found = ObjectMask.from_mask(mask)
    if found is None:
        raise PromptFileError("a mask has no pixel; leave it out")
    return SavedPrompt(0, mask=found).to_json()["mask"]
