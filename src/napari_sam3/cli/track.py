"""`napari-sam3 track`: a video and prompts in; masks, film and table out."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from napari_sam3.cli import INTERRUPTED
from napari_sam3.cli.arguments import FORMATS
from napari_sam3.cli.following import FilmProgress, follow
from napari_sam3.cli.place import check_free
from napari_sam3.cli.prompting import add_prompts
from napari_sam3.errors import RequestError, Sam3Error
from napari_sam3.export import LabelPngWriter, LabelTiffWriter, OverlayWriter, TableWriter
from napari_sam3.export.base import ResultWriter, saying_where
from napari_sam3.models.registry import load_model
from napari_sam3.session.frames import RgbFrames
from napari_sam3.session.session import VideoSession
from napari_sam3.values import FrameResult
from napari_sam3.video import Video, open_video


def run(arguments: argparse.Namespace) -> int:
    """Track, and write what was found. Returns the exit code."""
    if not arguments.prompts:
        raise RequestError(
            "there is nothing to track: give --point, --box, --mask or --text "
            "(napari-sam3 track --help shows how)"
        )
    targets = {name: arguments.output / FORMATS[name] for name in arguments.formats}
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
        writers = _open_writers(targets, video, arguments.contrast)
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
            _close(writers)
            print("what was tracked until then is kept", file=sys.stderr)
            raise
        _close(writers)
        print(f"{report.frames} of {len(propagation)} frames, {report.fps:.1f} a second")
        for path in targets.values():
            print(f"wrote {path}")
    return INTERRUPTED if report.was_interrupted else 0


def _open_writers(
    targets: dict[str, Path], video: Video, contrast: tuple[float, float] | None
) -> list[ResultWriter]:
    frames = RgbFrames(video, contrast)
    shape = (len(video), *frames.size)
    writers: list[ResultWriter] = []
    for name, path in targets.items():
        if name == "tiff":
            interval = 1 / video.fps if video.fps else None
            writers.append(LabelTiffWriter(path, shape, frame_interval=interval))
        elif name == "png":
            _remove_old_frames(path)
            writers.append(LabelPngWriter(path, shape))
        elif name == "csv":
            writers.append(TableWriter(path, shape, timestamps=video.timestamps))
        else:
            times, progress = video.timestamps, FilmProgress(path.name)
            writers.append(
                OverlayWriter(path, frames, fps=video.fps, timestamps=times, on_progress=progress)
            )
    return writers


def _remove_old_frames(folder: Path) -> None:
    """Frames of an earlier, longer run would be taken for part of this one."""
    with saying_where(folder):
        for old in folder.glob("*.png"):
            if old.stem.isdigit():
                old.unlink()


def _close(writers: Sequence[ResultWriter]) -> None:
    """Finish every format, also where another one fails; then say so."""
    failures = []
    for writer in writers:
        try:
            writer.close()
        except Sam3Error as exc:
            failures.append(exc)
    if failures:
        raise failures[0]
