"""`napari-sam3 export`: labels in, the same labels in other formats out."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from napari_sam3.cli.planes import chosen_planes
from napari_sam3.cli.results import (
    check_free,
    make_scene,
    name_targets,
    opened_writers,
    write_frames,
)
from napari_sam3.errors import RequestError
from napari_sam3.export.registry import ALL, FORMATS
from napari_sam3.imports import LabelFile, open_labels
from napari_sam3.projects import is_project
from napari_sam3.projects.label_file import ProjectLabels
from napari_sam3.video import Video
from napari_sam3.video.open import open_chosen
from napari_sam3.video.plane_choice import NO_CHOICE, PlaneChoice
from napari_sam3.video.video_facts import VideoFacts, describe_video


def run(arguments: argparse.Namespace) -> int:
    """Read, and write. Returns the exit code."""
    with ExitStack() as stack:
        video, size = None, None
        if arguments.video is not None:
            video = stack.enter_context(open_chosen(arguments.video, chosen_planes(arguments)))
            size = video.shape[1], video.shape[2]
        labels = stack.enter_context(open_results(arguments.labels, arguments.first_number, size))
        place = _find_video(labels, arguments.video, arguments.formats)
        targets = name_targets(arguments.output, arguments.formats, has_video=place is not None)
        for path in targets.values():
            # one file may have several names, by case or by links
            if path.exists() and path.samefile(arguments.labels.expanduser()):
                raise RequestError(
                    f"{str(path)!r} is what is read; name another folder for results"
                )
        check_free(targets.values(), arguments.overwrite)
        if place is not None and video is None:
            video = stack.enter_context(open_chosen(place, _choice(labels)))
        facts = _gather_facts(labels, video)
        if arguments.pixel_size is not None:
            size, unit = arguments.pixel_size
            facts = replace(facts, pixel_size=size, unit=unit)
        scene = make_scene(facts, video, labels.objects, images=arguments.images)
        writers = stack.enter_context(opened_writers(targets, scene, arguments.overwrite))
        frames = labels.processed_frames()
        arguments.facts["frames"] = len(frames)
        write_frames(
            writers, labels, frames, arguments.facts, may_leave_out=ALL in arguments.formats
        )
    return 0


def open_results(
    path: Path, first_number: int | None, size: tuple[int, int] | None = None
) -> LabelFile:
    """Open a project's results, or labels in a file; what is wrong with a project is told.

    Parameters
    ----------
    path, first_number, size
        As `open_labels` takes them.
    """
    place = path.expanduser()
    if not is_project(place):
        return open_labels(place, first_number=first_number, size=size)
    labels = ProjectLabels.open(place)
    for problem in labels.project.problems:
        print(f"warning: {problem}", file=sys.stderr)
    return labels


def _find_video(labels: LabelFile, named: Path | None, formats: Sequence[str]) -> Path | None:
    """The video that was named, else the project's own; what can't do without it is refused."""
    needing = [name for name in formats if name != ALL and FORMATS[name].needs_video]
    reason = "name it by --video"
    if named is None and isinstance(labels, ProjectLabels):
        named = labels.project.find_video()
        reason = f"{labels.project.video_problem}, or {reason}"
    if needing and named is None:
        raise RequestError(f"{needing[0]} can't be written without the video; {reason}")
    return named


def _choice(labels: LabelFile) -> PlaneChoice:
    """The channel, depth and scene that a project is of."""
    return labels.project.video.choice if isinstance(labels, ProjectLabels) else NO_CHOICE


def _gather_facts(labels: LabelFile, video: Video | None) -> VideoFacts:
    """Facts of the video, or what lies beside the labels; they must fit."""
    if video is None:
        return labels.facts or VideoFacts(*labels.shape)
    facts = describe_video(video)
    if facts.shape != labels.shape:
        raise RequestError(
            f"the labels have the shape {labels.shape} (frames, height, width), the video "
            f"{facts.shape}; name the video that they are of"
        )
    if labels.facts is not None and None not in (labels.facts.sha256, facts.sha256):
        if labels.facts.sha256 != facts.sha256:
            print(
                "warning: the labels say that they are of another video "
                f"({labels.facts.name}, SHA-256 {str(labels.facts.sha256)[:12]}...)",
                file=sys.stderr,
            )
        elif facts.pixel_size is None:
            return replace(facts, pixel_size=labels.facts.pixel_size, unit=labels.facts.unit)
    return facts
