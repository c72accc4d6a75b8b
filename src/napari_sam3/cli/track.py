"""`napari-sam3 track`: a video and prompts in; masks, film and table out."""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from napari_sam3.cli import INTERRUPTED
from napari_sam3.cli.export import write_labels
from napari_sam3.cli.following import FilmProgress, follow
from napari_sam3.cli.place import check_free
from napari_sam3.cli.prompting import gather_prompts, say_prompts
from napari_sam3.cli.writing import close_writers, name_targets, open_writers
from napari_sam3.errors import RequestError, Sam3Error
from napari_sam3.export.registry import Scene
from napari_sam3.export.writer import ResultWriter
from napari_sam3.labels.object_notes import Source
from napari_sam3.models.registry import load_model
from napari_sam3.projects import Project, ProjectRun, is_project
from napari_sam3.projects.label_file import ProjectLabels
from napari_sam3.projects.tracking import open_or_create
from napari_sam3.session.frames import RgbFrames
from napari_sam3.session.saved_prompts import SavedPrompt
from napari_sam3.session.session import VideoSession
from napari_sam3.values import FrameResult
from napari_sam3.video import Video, open_video
from napari_sam3.video.video_facts import describe_video


def run(arguments: argparse.Namespace) -> int:
    """Track, and write what was found. Returns the exit code."""
    is_told = bool(arguments.prompts or arguments.prompt_files)
    if not is_told and (arguments.project is None or not is_project(arguments.project)):
        raise RequestError(
            "there is nothing to track: give --point, --box, --mask, --text or --prompts "
            "(napari-sam3 track --help shows how)"
        )
    targets: dict[str, Path] = {}
    if arguments.output is not None:
        targets = name_targets(arguments.output, arguments.formats)
        check_free(targets.values(), arguments.overwrite)
    with ExitStack() as stack:
        video = stack.enter_context(open_video(arguments.video))
        prompts = gather_prompts(
            arguments.prompts or (), arguments.prompt_files or (), arguments.frame, video
        )
        if arguments.project is not None:
            return _track_in_project(arguments, video, prompts, targets)
        model = load_model(arguments.model, arguments.device)
        stack.callback(model.close)
        session = stack.enter_context(
            VideoSession(video, model, contrast_limits=arguments.contrast)
        )
        prompted = say_prompts(session, prompts)
        told = {(n, obj_id) for n in prompted for obj_id in session.result(n).objects}
        propagation = session.propagate(arguments.direction, arguments.start, arguments.frames)
        _announce(session, len(propagation))
        writers = _open_writers(targets, video, arguments.contrast, arguments.overwrite)
        for writer in writers:
            stack.callback(writer.discard)  # does nothing after `close`

        def write(result: FrameResult) -> None:
            here = [i for i in result.objects if (result.frame_index, i) in told]
            sources: dict[int, Source] = dict.fromkeys(here, "prompt")
            for writer in writers:
                writer.write(result, sources)

        # a backward run does not pass them again
        for frame_index in prompted:
            write(session.result(frame_index))
        try:
            report = follow(propagation, write)
        except Sam3Error:
            close_writers(writers)
            print("what was tracked until then is kept", file=sys.stderr)
            raise
        close_writers(writers)
        print(f"{report.frames} of {len(propagation)} frames, {report.fps:.1f} a second")
        for path in targets.values():
            print(f"wrote {path}")
    return INTERRUPTED if report.was_interrupted else 0


def _track_in_project(
    arguments: argparse.Namespace,
    video: Video,
    prompts: Sequence[SavedPrompt],
    targets: Mapping[str, Path],
) -> int:
    """Track with all kept in a project, from where an earlier run of the same stopped."""
    folder: Path = arguments.project.expanduser()
    is_new = not is_project(folder)
    was_interrupted = False
    with ExitStack() as stack:
        project = stack.enter_context(open_or_create(folder, video))
        for problem in project.problems:
            print(f"warning: {problem}", file=sys.stderr)
        try:
            model = load_model(_name_model(arguments.model, project), arguments.device)
            stack.callback(model.close)
            tracking = ProjectRun(
                project,
                model,
                prompts,
                direction=arguments.direction,
                start=arguments.start,
                limit=arguments.frames,
                video=video,
                contrast_limits=arguments.contrast,
                say=say_prompts,
            )
        except Sam3Error:
            if is_new:  # nothing was said that could be gone on with
                project.close()
                shutil.rmtree(folder, ignore_errors=True)
            raise
        with tracking:
            if tracking.propagation is None:
                print("all frames are done already", file=sys.stderr)
            else:
                if tracking.is_resumed:
                    print("going on where it stopped", file=sys.stderr)
                planned = len(tracking)
                _announce(tracking.session, planned)
                try:
                    report = follow(tracking.propagation, tracking.keep)
                except Sam3Error:
                    print(f"what was tracked until then is kept in {folder}", file=sys.stderr)
                    raise
                tracking.finish()
                was_interrupted = report.was_interrupted
                print(f"{report.frames} of {planned} frames, {report.fps:.1f} a second")
                if was_interrupted:
                    print("the same command goes on from there", file=sys.stderr)
        print(f"kept in {folder}")
        if targets:
            labels = ProjectLabels(project)
            contrast = project.state.contrast_limits
            write_labels(labels, video, targets, overwrite=arguments.overwrite, contrast=contrast)
    return INTERRUPTED if was_interrupted else 0


def _name_model(asked: str, project: Project) -> str:
    """What is best may be another model by now; a project goes on with its own."""
    return project.prompts.model or asked if asked == "auto" else asked


def _announce(session: VideoSession, n_frames: int) -> None:
    model = session.model
    print(
        f"tracking objects {', '.join(map(str, session.object_ids)) or 'yet to appear'} over "
        f"{n_frames} frames with {model.name} on {model.device}",
        file=sys.stderr,
    )


def _open_writers(
    targets: Mapping[str, Path],
    video: Video,
    contrast: tuple[float, float] | None,
    overwrite: bool,
) -> list[ResultWriter]:
    frames = RgbFrames(video, contrast)
    scene = Scene(
        shape=(len(video), *frames.size),
        facts=describe_video(video),
        video=video,
        frames=frames,
        on_progress=FilmProgress("film"),
    )
    return open_writers(targets, scene, overwrite)
