"""Reading a project from its folder: as far as it can be read, telling what is lost."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

from napari_sam3.errors import ProjectError, PromptFileError, StoreError, UnsafeFileError
from napari_sam3.labels.frame_records import read_header
from napari_sam3.labels.label_stack import LabelStack
from napari_sam3.labels.label_store import CHUNKS_NAME, RECORDS_NAME, LabelStore
from napari_sam3.labels.objects import ObjectTable
from napari_sam3.projects.folders import LAYERS, OBJECTS, PROJECT, PROMPTS
from napari_sam3.projects.migrate import VERSION, migrate
from napari_sam3.projects.small_files import SmallFiles, set_aside
from napari_sam3.projects.state import ProjectState, RunNote
from napari_sam3.projects.video_reference import Shape, VideoReference
from napari_sam3.session.saved_prompts import PromptList, prompts_from_json
from napari_sam3.values import LABEL_DTYPE

T = TypeVar("T")


@dataclass
class Contents:
    """What the small files of a project say.

    Attributes
    ----------
    version : int
        As which `project.json` was read.
    """

    video: VideoReference
    version: int = VERSION
    state: ProjectState = field(default_factory=ProjectState)
    run: RunNote | None = None
    prompts: PromptList = field(default_factory=PromptList)
    layers: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    objects: ObjectTable = field(default_factory=ObjectTable)


def load(
    folder: Path, files: SmallFiles, *, read_only: bool
) -> tuple[Contents, LabelStack, list[str]]:
    """Read all of a project.

    Returns
    -------
    contents : Contents
    labels : LabelStack
        A `LabelStore`, unless they are lost and nothing may be written.
    problems : list of str
        What is lost, a sentence each.

    Raises
    ------
    ProjectError
        If it is of a newer version, or not even the video's size is left.
    UnsafeFileError
        If a small file is a link or no plain file, or too large.
    """
    problems: list[str] = []
    head, wrong = files.read(PROJECT, _parse_head)
    if wrong is not None:
        problems.append(wrong)
    data, version = head or ({}, VERSION)
    video = VideoReference.from_json(data.get("video"), problems)
    labels = _open_labels(folder, None if video is None else video.shape, read_only, problems)
    shape = (labels.shape[0], labels.shape[1], labels.shape[2])
    if video is None:
        files.mark_damaged(PROJECT)
        problems.append(
            f"{PROJECT} does not tell any more what video it is of; say where it is "
            "(point_to(path))"
        )
        video = VideoReference(shape)
    elif video.shape != shape:
        files.mark_damaged(PROJECT)
        problems.append(
            f"{PROJECT} tells of a video of shape {video.shape}, the results are of {shape}; the "
            "latter is taken"
        )
        video = replace(video, shape=shape)
    contents = Contents(video, version)
    before = len(problems)
    if head is not None:
        contents.state = ProjectState.from_json(data.get("state", {}), shape[0], problems)
        contents.run = RunNote.from_json(data.get("run"), shape[0], problems)
    if len(problems) > before:
        files.mark_damaged(PROJECT)
    contents.prompts = (
        _read(files, PROMPTS, _prompts_in(shape[0]), "what the model was told", problems)
        or contents.prompts
    )
    contents.prompts = _with_newcomers(contents.prompts, labels)
    layers = _read(files, LAYERS, _parse_layers, "how prompts were drawn", problems)
    contents.layers = contents.layers if layers is None else layers
    lost = "names, classes and divisions of objects"
    contents.objects = _read(files, OBJECTS, _parse_objects, lost, problems) or contents.objects
    return contents, labels, problems


def _read(
    files: SmallFiles,
    name: str,
    parse: Callable[[str, list[str]], T],
    lost: str,
    problems: list[str],
) -> T | None:
    found: list[str] = []

    def read(text: str) -> T:
        found.clear()
        return parse(text, found)

    parsed, wrong = files.read(name, read)
    if wrong is not None:
        problems.append(wrong if parsed is not None else f"{wrong}: {lost} can't be restored")
    elif found:
        files.mark_damaged(name)
    problems += found
    return parsed


def _parse_head(text: str) -> tuple[dict[str, Any], int]:
    data = json.loads(text)
    if not isinstance(data, dict):
        raise ValueError("it is no table")
    return migrate(data)


def _prompts_in(n_frames: int) -> Callable[[str, list[str]], PromptList]:
    def parse(text: str, problems: list[str]) -> PromptList:
        try:
            prompts = prompts_from_json(json.loads(text), PROMPTS, problems)
        except PromptFileError as exc:
            raise ValueError(str(exc)) from exc
        inside = [p for p in prompts if p.frame_index < n_frames]
        if len(inside) < len(prompts):
            problems.append(
                f"{len(prompts) - len(inside)} of the prompts are lost: the video has no such "
                "frames"
            )
        return prompts.with_only(inside)

    return parse


def _with_newcomers(prompts: PromptList, labels: LabelStack) -> PromptList:
    """Add what a concept had found on the way when the process ended."""
    if not any(p.is_concept for p in prompts):
        return prompts
    seen: set[int] = set()
    for frame_index in labels.processed_frames():
        notes = labels.notes(int(frame_index))
        seen.update(i for i, note in notes.items() if note.source == "propagated")
    return prompts.with_found(seen - {p.obj_id for p in prompts} - prompts.removed)


def _parse_layers(text: str, problems: list[str]) -> Mapping[str, Any]:
    data = json.loads(text)
    if not isinstance(data, dict):
        raise ValueError("it is no table")
    return MappingProxyType(data)


def _parse_objects(text: str, problems: list[str]) -> ObjectTable:
    rows = csv.DictReader(io.StringIO(text))
    try:
        if "id" not in (rows.fieldnames or ()):
            raise ValueError("it has no column id")
        found: list[str] = []
        table = ObjectTable.from_rows(rows, found)
    except csv.Error as exc:
        raise ValueError(str(exc)) from exc
    if not text.endswith("\n"):
        found.append("its last line breaks off: objects may be lost")
    problems += [f"{OBJECTS}, {problem}" for problem in found]
    return table


def _open_labels(
    folder: Path, shape: Shape | None, read_only: bool, problems: list[str]
) -> LabelStack:
    """The labels; new ones where they are lost and the size of the video is not."""
    try:
        read_header(folder / RECORDS_NAME)
    except (StoreError, UnsafeFileError) as exc:  # of a newer version, or no plain file
        raise ProjectError(f"{exc}. Nothing was changed") from exc
    try:
        labels = LabelStore.open(folder, read_only=read_only)
    except StoreError as exc:
        if exc.errno is not None:  # nothing is lost: the disk, or rights
            raise ProjectError(f"the project {str(folder)!r} can't be opened: {exc}") from exc
        if shape is None:
            raise ProjectError(
                f"nothing of the project {str(folder)!r} can be used: neither {PROJECT} nor "
                f"{CHUNKS_NAME} tells the size of the video ({exc})"
            ) from exc
        problems.append(f"{CHUNKS_NAME} can't be read: the results are lost ({exc})")
        if read_only:
            return LabelStack(shape, LABEL_DTYPE)
        kept = [set_aside(folder / name) for name in (CHUNKS_NAME, RECORDS_NAME)]
        if names := [place.name for place in kept if place is not None]:
            problems.append(f"what is left of them is kept as {' and '.join(names)}")
        return LabelStore.create(folder, shape, LABEL_DTYPE)
    problems += labels.problems
    return labels
