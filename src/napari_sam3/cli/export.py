"""`napari-sam3 export`: labels in, the same labels in other formats out."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from tqdm import tqdm

from napari_sam3.cli.following import FilmProgress
from napari_sam3.cli.place import check_free
from napari_sam3.cli.writing import close_writers, name_targets, open_writers
from napari_sam3.errors import RequestError
from napari_sam3.export.registry import FORMATS, Scene
from napari_sam3.imports import LabelFile, open_labels
from napari_sam3.projects import is_project
from napari_sam3.projects.label_file import ProjectLabels
from napari_sam3.session.frames import RgbFrames
from napari_sam3.video import Video, open_video
from napari_sam3.video.video_facts import VideoFacts, describe_video


def run(arguments: argparse.Namespace) -> int:
    """Read, and write. Returns the exit code."""
    targets = name_targets(arguments.output, arguments.formats)
    for path in targets.values():
        if path.absolute() == arguments.labels.expanduser().absolute():
            raise RequestError(f"{str(path)!r} is what is read; name another folder for results")
    check_free(targets.values(), arguments.overwrite)
    with ExitStack() as stack:
        labels = stack.enter_context(_open(arguments.labels))
        video = None
        place = _find_video(labels, arguments.video, arguments.formats)
        if place is not None:
            video = stack.enter_context(open_video(place))
        write_labels(
            labels, video, targets, overwrite=arguments.overwrite, pixel_size=arguments.pixel_size
        )
    return 0


def write_labels(
    labels: LabelFile,
    video: Video | None,
    targets: Mapping[str, Path],
    *,
    overwrite: bool,
    contrast: tuple[float, float] | None = None,
    pixel_size: tuple[tuple[float, float], str] | None = None,
) -> None:
    """Write labels in several formats, and print where.

    Parameters
    ----------
    labels : LabelFile
        To be written; frames that nobody has labelled are left out.
    video : Video or None
        That they are of.
    targets : mapping of str to Path
        Where to write each format.
    overwrite : bool
        Whether earlier results may be replaced.
    contrast : (float, float), optional
        Values that are black and white in the film.
    pixel_size : ((float, float), str), optional
        Height and width of a pixel, and their unit, where the video does not tell.

    Raises
    ------
    VideoError
        If something can't be read or written.
    RequestError
        If the video is another.
    """
    facts = _gather_facts(labels, video)
    if pixel_size is not None:
        size, unit = pixel_size
        facts = replace(facts, pixel_size=size, unit=unit)
    scene = Scene(
        shape=labels.shape,
        facts=facts,
        video=video,
        frames=None if video is None else RgbFrames(video, contrast),
        objects=labels.objects,
        on_progress=FilmProgress("film"),
    )
    with ExitStack() as stack:
        writers = open_writers(targets, scene, overwrite)
        for writer in writers:
            stack.callback(writer.discard)  # does nothing after `close`
        for t in tqdm(labels.known_frames, "reading", unit="frame", disable=None):
            frame, notes = labels[t], labels.notes(t)
            for writer in writers:
                writer.write_labels(t, frame, notes)
        close_writers(writers)
    for path in targets.values():
        print(f"wrote {path}")


def _open(path: Path) -> LabelFile:
    place = path.expanduser()
    if not is_project(place):
        return open_labels(place)
    labels = ProjectLabels.open(place)
    for problem in labels.project.problems:
        print(f"warning: {problem}", file=sys.stderr)
    return labels


def _find_video(labels: LabelFile, named: Path | None, formats: Sequence[str]) -> Path | None:
    """The video that was named, else the project's own; some formats can't do without."""
    needing = [name for name in formats if FORMATS[name].needs_video]
    reason = "name it by --video"
    if named is None and isinstance(labels, ProjectLabels):
        named = labels.project.find_video()
        reason = f"{labels.project.video_problem}, or {reason}"
    if needing and named is None:
        raise RequestError(f"{needing[0]} can't be written without the video; {reason}")
    return named


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
