"""`napari-sam3 track`: a video and prompts in; masks, film and table out."""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from napari_sam3.cli import INTERRUPTED
from napari_sam3.cli.compute import begin_model
from napari_sam3.cli.detection import (
    PROPOSALS,
    USUAL,
    find_first,
    open_detector,
    propose_new,
)
from napari_sam3.cli.planes import chosen_planes
from napari_sam3.cli.progress import follow
from napari_sam3.cli.prompts import gather_prompts, say_prompts
from napari_sam3.cli.results import (
    check_free,
    make_scene,
    name_targets,
    opened_writers,
    write_frames,
)
from napari_sam3.errors import RequestError, Sam3Error
from napari_sam3.export.registry import ALL
from napari_sam3.export.writer import ResultWriter
from napari_sam3.labels.objects import ObjectTable
from napari_sam3.models.base import VideoModel
from napari_sam3.projects import Project, ProjectRun, is_project
from napari_sam3.projects.tracking import LabelRun, MemoryRun, open_or_create
from napari_sam3.session.frames import RgbFrames
from napari_sam3.session.saved_prompts import SavedPrompt
from napari_sam3.video import Video
from napari_sam3.video.open import open_chosen
from napari_sam3.video.video_facts import describe_video


def run(arguments: argparse.Namespace) -> int:
    """Track, and write what was found. Returns the exit code."""
    facts: dict[str, Any] = arguments.facts
    is_told = bool(arguments.prompts or arguments.prompt_files or arguments.detect)
    if not is_told and (arguments.project is None or not is_project(arguments.project)):
        raise RequestError(
            "there is nothing to track: give --point, --box, --mask, --text or --prompts, "
            "or have --detect look for objects (napari-sam3 track --help shows how)"
        )
    targets: dict[str, Path] = {}
    if arguments.output is not None:
        targets = name_targets(arguments.output, arguments.formats)
        check_free(targets.values(), arguments.overwrite)
    proposals = _place_proposals(arguments)
    with ExitStack() as stack:
        video = stack.enter_context(open_chosen(arguments.video, chosen_planes(arguments)))
        prompts = gather_prompts(
            arguments.prompts or (), arguments.prompt_files or (), arguments.frame, video
        )
        run = stack.enter_context(_begin(arguments, video, prompts, stack))
        project = run.project if isinstance(run, ProjectRun) else None
        if targets:
            scene = make_scene(
                describe_video(video),
                video,
                ObjectTable() if project is None else project.objects,
                arguments.contrast if project is None else project.state.contrast_limits,
                arguments.images,
            )
            writers = stack.enter_context(opened_writers(targets, scene, arguments.overwrite))
            if ALL not in arguments.formats:  # of all, those that can't are left out
                for writer in writers:
                    writer.check_ids(0, max(run.session.object_ids, default=0))
        try:
            was_interrupted = _follow(run, facts)
        except Sam3Error:
            if project is None:
                _write(arguments, writers, run)
            where = "" if project is None else f" in {project.folder}"
            print(f"what was tracked until then is kept{where}", file=sys.stderr)
            raise
        if project is not None:
            if was_interrupted:
                print("the same command goes on from there", file=sys.stderr)
            print(f"kept in {project.folder}")
            facts["project"] = str(project.folder)
        if targets:
            _write(arguments, writers, run)
        if proposals is not None and not was_interrupted:
            contrast = arguments.contrast if project is None else project.state.contrast_limits
            local = run.session.model if arguments.scheduler is None else None
            detector = open_detector(arguments, arguments.detect or USUAL, stack, local)
            frames = RgbFrames(video, contrast)
            propose_new(detector, run, frames, arguments.detect_every, proposals, facts)
    return INTERRUPTED if was_interrupted else 0


def _write(arguments: argparse.Namespace, writers: Sequence[ResultWriter], run: LabelRun) -> None:
    """Write what is there of the results."""
    write_frames(
        writers,
        run.labels,
        run.labels.processed_frames(),
        arguments.facts,
        may_leave_out=ALL in arguments.formats,
    )


def _begin(
    arguments: argparse.Namespace, video: Video, prompts: Sequence[SavedPrompt], stack: ExitStack
) -> LabelRun:
    """Say the prompts, or go on in a project where an earlier run of the same stopped."""
    settings: dict[str, Any] = {
        "direction": arguments.direction,
        "start": arguments.start,
        "limit": arguments.frames,
        "contrast_limits": arguments.contrast,
        "say": say_prompts,
        "recover": arguments.recover,
    }
    if arguments.project is None:
        model = begin_model(arguments, arguments.model)
        stack.callback(model.close)
        return MemoryRun(video, model, _detect(arguments, video, prompts, model), **settings)
    folder: Path = arguments.project.expanduser()
    is_new = not is_project(folder)
    project = stack.enter_context(open_or_create(folder, video))
    _warn(project.problems)
    known = len(project.problems)
    try:
        model = begin_model(arguments, _name_model(arguments.model, project))
        stack.callback(model.close)
        prompts = _detect(arguments, video, prompts, model)
        run = ProjectRun(project, model, prompts, video=video, **settings)
    except Sam3Error:
        if is_new:  # nothing was said that could be gone on with
            project.close()
            shutil.rmtree(folder, ignore_errors=True)
        raise
    _warn(project.problems[known:])
    return run


def _warn(problems: Sequence[str]) -> None:
    for problem in problems:
        print(f"warning: {problem}", file=sys.stderr)


def _detect(
    arguments: argparse.Namespace, video: Video, prompts: Sequence[SavedPrompt], model: VideoModel
) -> list[SavedPrompt]:
    """The prompts, and all that --detect finds, if it was said."""
    asked: str | None = arguments.detect
    if asked is None:
        return list(prompts)
    frames = RgbFrames(video, arguments.contrast)
    with ExitStack() as stack:
        local = model if arguments.scheduler is None else None
        detector = open_detector(arguments, asked, stack, local)
        found = find_first(detector, asked, frames, arguments.frame, prompts)
    arguments.facts["detected"] = len(found)
    return [*prompts, *found]


def _place_proposals(arguments: argparse.Namespace) -> Path | None:
    """Where --detect-every writes; None if it was not said."""
    if arguments.detect_every is None:
        return None
    folder: Path = arguments.output or arguments.project
    place = folder.expanduser() / PROPOSALS
    check_free([place], arguments.overwrite)
    return place


def _name_model(asked: str, project: Project) -> str:
    """What is best may be another model by now; a project goes on with its own."""
    return project.prompts.model or asked if asked == "auto" else asked


def _follow(run: LabelRun, facts: dict[str, Any]) -> bool:
    """Do what is left, and say how it goes. Returns whether Ctrl-C stopped it."""
    facts |= {"frames": len(run), "frames_done": 0}
    if run.propagation is None:
        print("all frames are done already", file=sys.stderr)
        return False
    if run.is_resumed:
        print("going on where it stopped", file=sys.stderr)
    model, ids = run.session.model, ", ".join(map(str, run.session.object_ids))
    print(
        f"tracking objects {ids or 'yet to appear'} over {len(run)} frames with {model.name} on "
        f"{model.device}",
        file=sys.stderr,
    )
    report = follow(run.propagation, run.keep)
    run.finish()
    if isinstance(run, ProjectRun) and run.project.run is not None and run.project.run.nearly:
        frames = ", ".join(map(str, run.project.run.nearly))
        print(
            f"at frame {frames} it went on from what was shown: from there on it is near what a "
            "run that was never stopped gives, and may not be the same",
            file=sys.stderr,
        )
    facts |= {
        "frames_done": report.frames,
        "frames_per_second": round(report.fps, 2),
        "objects": list(run.session.object_ids),
        "model": model.name,
        "device": str(model.device),
    }
    print(f"{report.frames} of {len(run)} frames, {report.fps:.1f} a second")
    return report.was_interrupted
