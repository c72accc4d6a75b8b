"""A task and its row as messages between a command and a worker say them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any, get_args

from napari_sam3.batch.summary import BatchRow, State
from napari_sam3.batch.task import Task, TaskSettings
from napari_sam3.cluster.addresses import map_path
from napari_sam3.cluster.wire import Head, items, whole
from napari_sam3.errors import WireError
from napari_sam3.export.registry import expand_formats
from napari_sam3.session.recovery import check_recover
from napari_sam3.session.saved_prompts import prompts_from_json, prompts_to_json
from napari_sam3.session.validation import check_contrast_limits
from napari_sam3.video.plane_choice import PlaneChoice

_MOST_NEWS, _LONGEST_NEWS = 100, 2000


def task_to_head(task: Task, path_map: Mapping[str, str]) -> Head:
    """A task as a worker is told it, with paths as the worker sees them.

    Parameters
    ----------
    task : Task
    path_map : mapping of str to str
        As `map_path` takes it.
    """
    return {
        "video": map_path(str(task.video.absolute()), path_map),
        "results": map_path(str(task.results.absolute()), path_map),
        "prompts": prompts_to_json(task.prompts),
        "origins": [prompt.origin for prompt in task.prompts],
        "settings": {**asdict(task.settings), "choice": task.settings.choice.to_json() or None},
    }


def task_from_head(said: Any) -> Task:
    """Read what `task_to_head` made.

    Raises
    ------
    Sam3Error
        If it is something else.
    """
    if not isinstance(said, dict):
        raise WireError(f"a task that came is {said!r:.80}, not a table")
    prompts = prompts_from_json(said.get("prompts"))
    origins = items(said.get("origins"))
    if len(origins) != len(prompts):
        raise WireError(f"a task that came has {len(prompts)} prompts and {len(origins)} origins")
    return Task(
        Path(_text(said, "video")),
        prompts.with_only(
            replace(prompt, origin=str(origin))
            for prompt, origin in zip(prompts, origins, strict=True)
        ),
        Path(_text(said, "results")),
        _settings(said.get("settings")),
    )


def row_to_head(row: BatchRow) -> Head:
    """How it went, as the command is told."""
    return asdict(row)


def row_from_head(said: Any, task: Task, path_map: Mapping[str, str]) -> BatchRow:
    """Read what `row_to_head` made; it names the command's paths.

    Raises
    ------
    WireError
        If it is something else.
    """
    if not isinstance(said, dict) or said.get("state") not in get_args(State):
        raise WireError(f"a row that came is {said!r:.120}")
    seconds = said.get("seconds")
    return BatchRow(
        str(task.video),
        whole(said.get("frames")),
        whole(said.get("objects")),
        float(seconds) if isinstance(seconds, int | float) else 0.0,
        said["state"],
        _as_here(_text(said, "error"), task, path_map),
    )


def news_from_head(said: Any, task: Task, path_map: Mapping[str, str]) -> list[str]:
    """Sentences about a task that a worker tells; they name the command's paths.

    Raises
    ------
    WireError
        If it is something else.
    """
    news = [] if said is None else items(said)
    if not all(isinstance(one, str) for one in news):
        raise WireError(f"what a worker tells of a task is {said!r:.120}")
    return [_as_here(one[:_LONGEST_NEWS], task, path_map) for one in news[:_MOST_NEWS]]


def _as_here(text: str, task: Task, path_map: Mapping[str, str]) -> str:
    """A text that names a task's files as the worker sees them, as the command sees them."""
    for here in (task.project, task.results, task.video):
        text = text.replace(map_path(str(here.absolute()), path_map), str(here))
    return text


def _settings(said: Any) -> TaskSettings:
    names = {field.name for field in fields(TaskSettings)}
    if not isinstance(said, dict) or set(said) != names:
        raise WireError(f"the settings of a task that came are {said!r:.120}")
    limits = said["contrast_limits"]
    checked: Head = {
        "model": _text(said, "model"),
        "device": None if said["device"] is None else _text(said, "device"),
        "formats": tuple(str(name) for name in items(said["formats"])),
        "contrast_limits": check_contrast_limits(None if limits is None else items(limits)),
        "recover": check_recover(said["recover"]),
        "choice": PlaneChoice.from_json(said["choice"]),
    }
    expand_formats(checked["formats"])  # refuses what there is not
    return TaskSettings(**{**said, **checked})  # frames are looked at with the video's length


def _text(head: Head, key: str) -> str:
    value = head.get(key)
    if not isinstance(value, str):
        raise WireError(f"a message that came says {key} is {value!r:.80}, not a text")
    return value
