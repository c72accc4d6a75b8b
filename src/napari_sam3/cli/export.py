"""`napari-sam3 export`: labels in, the same labels in other formats out."""

from __future__ import annotations

import argparse
import sys
from contextlib import ExitStack
from dataclasses import replace

from tqdm import tqdm

from napari_sam3.cli.following import FilmProgress
from napari_sam3.cli.place import check_free
from napari_sam3.cli.writing import close_writers, name_targets, open_writers
from napari_sam3.errors import RequestError
from napari_sam3.export.formats import FORMATS, Scene
from napari_sam3.imports import LabelFile, open_labels
from napari_sam3.session.frames import RgbFrames
from napari_sam3.video import Video, open_video
from napari_sam3.video.facts import VideoFacts, describe_video


def run(arguments: argparse.Namespace) -> int:
    """Read, and write. Returns the exit code."""
    needing = [name for name in arguments.formats if FORMATS[name].needs_video]
    if needing and arguments.video is None:
        raise RequestError(f"{needing[0]} can't be written without the video; name it by --video")
    targets = name_targets(arguments.output, arguments.formats)
    for path in targets.values():
        if path.absolute() == arguments.labels.expanduser().absolute():
            raise RequestError(f"{str(path)!r} is what is read; name another folder for results")
    check_free(targets.values(), arguments.overwrite)
    with ExitStack() as stack:
        labels = stack.enter_context(open_labels(arguments.labels))
        video = None
        if arguments.video is not None:
            video = stack.enter_context(open_video(arguments.video))
        facts = _gather_facts(labels, video)
        if arguments.pixel_size is not None:
            size, unit = arguments.pixel_size
            facts = replace(facts, pixel_size=size, unit=unit)
        scene = Scene(
            shape=labels.shape,
            facts=facts,
            video=video,
            frames=None if video is None else RgbFrames(video),
            objects=labels.objects,
            on_progress=FilmProgress("film"),
        )
        writers = open_writers(targets, scene, arguments.overwrite)
        for writer in writers:
            stack.callback(writer.discard)  # does nothing after `close`
        for t in tqdm(range(len(labels)), "reading", unit="frame", disable=None):
            frame, notes = labels[t], labels.notes(t)
            for writer in writers:
                writer.write_labels(t, frame, notes)
        close_writers(writers)
    for path in targets.values():
        print(f"wrote {path}")
    return 0


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
