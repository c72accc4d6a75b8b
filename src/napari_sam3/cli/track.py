"""`napari-sam3 track`: a video and prompts in; masks, film and table out."""

from __future__ import annotations

import argparse
import sys
from contextlib import ExitStack
from pathlib import Path

from napari_sam3.cli import INTERRUPTED
from napari_sam3.cli.following import FilmProgress, follow
from napari_sam3.cli.place import check_free
from napari_sam3.cli.prompting import add_prompts
from napari_sam3.cli.writing import close_writers, name_targets, open_writers
from napari_sam3.errors import RequestError, Sam3Error
from napari_sam3.export.base import ResultWriter
from napari_sam3.export.formats import Scene
from napari_sam3.models.registry import load_model
from napari_sam3.session.frames import RgbFrames
from napari_sam3.session.session import VideoSession
from napari_sam3.values import FrameResult
from napari_sam3.video import Video, open_video
from napari_sam3.video.facts import describe_video


def run(arguments: argparse.Namespace) -> int:
    """Track, and write what was found. Returns the exit code."""
    if not arguments.prompts:
        raise RequestError(
            "there is nothing to track: give --point, --box, --mask or --text "
            "(napari-sam3 track --help shows how)"
        )
    targets = name_targets(arguments.output, arguments.formats)
    check_free(targets.values(), arguments.overwrite)
    with ExitStack() as stack:
        video = stack.enter_context(open_video(arguments.video))
        model = load_model(arguments.model, arguments.device)
        stack.callback(model.close)
        session = stack.enter_context(
            VideoSession(video, model, contrast_limits=arguments.contrast)
        )
        prompted = add_prompts(session, arguments.prompts, arguments.frame)
        propagation = session.propagate(arguments.direction, arguments.start, arguments.frames)
        print(
            f"tracking objects {', '.join(map(str, session.object_ids)) or 'yet to appear'} over "
            f"{len(propagation)} frames with "
            f"{model.name} on {model.device}",
            file=sys.stderr,
        )
        writers = _open_writers(targets, video, arguments.contrast, arguments.overwrite)
        for writer in writers:
            stack.callback(writer.discard)  # does nothing after `close`

        def write(result: FrameResult) -> None:
            for writer in writers:
                writer.write(result)

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


def _open_writers(
    targets: dict[str, Path],
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
