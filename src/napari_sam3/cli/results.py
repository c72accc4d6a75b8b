"""Results in a folder: several formats written side by side, nothing replaced without leave."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

from tqdm import tqdm

from napari_sam3.cli.progress import FilmProgress
from napari_sam3.errors import LabelRangeError, RequestError, Sam3Error, VideoError
from napari_sam3.export.pictures import KINDS
from napari_sam3.export.registry import FORMATS, Scene, expand_formats, open_writer
from napari_sam3.export.sidecar import SHARED, write_sidecar
from napari_sam3.export.write_errors import explain_write_errors
from napari_sam3.export.writer import ResultWriter
from napari_sam3.imports import LabelFile
from napari_sam3.labels.label_stack import LabelStack
from napari_sam3.labels.objects import ObjectTable
from napari_sam3.session.frames import RgbFrames
from napari_sam3.video import Video
from napari_sam3.video.video_facts import VideoFacts


def name_targets(
    folder: Path, formats: Iterable[str], *, has_video: bool = True
) -> dict[str, Path]:
    """The file or folder that each format makes, by format; `has_video` as `expand_formats`."""
    names = expand_formats(formats, has_video=has_video)
    return {name: folder / FORMATS[name].target for name in names}


def check_free(targets: Iterable[Path], overwrite: bool) -> None:
    """Make sure that results can go there.

    Parameters
    ----------
    targets : iterable of Path
        The files and folders to be, all in one folder.
    overwrite : bool
        Whether what is there may be replaced.

    Raises
    ------
    VideoError
        If one is there and may not be replaced, or their folder is a file.
    """
    for path in targets:
        if path.parent.exists() and not path.parent.is_dir():
            raise VideoError(f"{str(path.parent)!r} is a file; name a folder for the results")
        if path.exists() and not overwrite:
            raise VideoError(
                f"{str(path)!r} exists already; add --overwrite to replace it, "
                "or name another folder"
            )


def make_scene(
    facts: VideoFacts,
    video: Video | None,
    objects: ObjectTable,
    contrast: tuple[float, float] | None = None,
    images: str = "none",
) -> Scene:
    """What there is to write beside the masks.

    Parameters
    ----------
    facts : VideoFacts
        Of the video.
    video : Video or None
        For the film and the intensities.
    objects : ObjectTable
        Names, classes and divisions.
    contrast : (float, float), optional
        Values that are black and white in the film and in pictures.
    images : "jpg", "png" or "none"
        Pictures of the frames to be written.

    Raises
    ------
    RequestError
        If pictures are asked for, and there is no video.
    """
    if images != "none" and video is None:
        raise RequestError(f"pictures (--images {images}) can't be written without the video")
    return Scene(
        shape=facts.shape,
        facts=facts,
        video=video,
        frames=None if video is None else RgbFrames(video, contrast),
        objects=objects,
        on_progress=FilmProgress("film, pictures"),
        images=next((kind for kind in KINDS if kind == images), None),
    )


@contextmanager
def opened_writers(
    targets: Mapping[str, Path], scene: Scene, overwrite: bool
) -> Iterator[list[ResultWriter]]:
    """Open a writer for each format; those that are not closed at the end write nothing.

    What is known of the video is told once, for the whole folder.

    Raises
    ------
    VideoError
        If one can't be written there, its library is missing, or the folder has results of
        another video that may not be replaced.
    """
    for folder in {path.parent for path in targets.values()}:
        _check_shared(folder / SHARED, scene, overwrite)
    beside = [
        path.parent
        for name, path in targets.items()
        if "pictures" in FORMATS[name].takes and not FORMATS[name].target.endswith("/")
    ]
    check_free(chain.from_iterable(map(scene.pictures.folders, set(beside))), overwrite)
    with ExitStack() as stack:
        writers: list[ResultWriter] = []
        for name, path in targets.items():
            writers.append(open_writer(name, path, scene))
            stack.callback(writers[-1].discard)  # does nothing after `close`
            writers[-1].writes_sidecar = False
        yield writers


def write_frames(
    writers: Sequence[ResultWriter],
    labels: LabelFile | LabelStack,
    frames: Iterable[int],
    facts: dict[str, Any],
    *,
    may_leave_out: bool = False,
) -> None:
    """Write frames of labels in every format, finish them, and print where they are.

    Parameters
    ----------
    writers : sequence of ResultWriter
        One a format.
    labels : LabelFile or LabelStack
        What to write.
    frames : iterable of int
        Which frames of them.
    facts : dict
        Of the command, where "written" comes to say what --json tells of them.
    may_leave_out : bool
        Whether formats that do not hold the ids are no error, since nobody named them.

    Raises
    ------
    VideoError
        If a format can't be written. The others are finished; it says which.
    """
    failures: dict[Path, Sam3Error] = {}
    going = list(writers)

    def attempt(writer: ResultWriter, step: Callable[[], None]) -> None:
        try:
            step()
        except Sam3Error as exc:
            if may_leave_out and isinstance(exc, LabelRangeError):
                print(f"left out: {exc}", file=sys.stderr)
            else:
                failures[writer.path] = exc
            writer.discard()  # what it holds on the disk is room for the others
            going.remove(writer)

    for t in tqdm(list(frames), "writing", unit="frame", disable=None):
        frame, notes = labels[t], labels.notes(t)
        for writer in tuple(going):
            attempt(writer, partial(writer.write_labels, int(t), frame, notes))
    for writer in tuple(going):
        attempt(writer, writer.close)
    for place, video_facts in {w.path.with_name(SHARED): w.facts for w in going}.items():
        if video_facts is not None:
            try:
                with explain_write_errors(place):
                    write_sidecar(place, video_facts)
            except Sam3Error as exc:
                failures[place] = exc
    facts["written"] = [str(writer.path) for writer in going]
    for writer in going:
        print(f"wrote {writer.path}")
    if failures:
        first, *others = failures
        also = "".join(f"; nor can {path.name}" for path in others)
        done = ", ".join(writer.path.name for writer in going)
        raise VideoError(f"{failures[first]}{also}; written: {done or 'nothing'}")


def _check_shared(place: Path, scene: Scene, overwrite: bool) -> None:
    """Make sure that what tells of the video of a folder is ours, and of this video."""
    try:
        known = VideoFacts.from_json(place.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return
    except (OSError, ValueError) as exc:
        raise VideoError(
            f"{str(place)!r} is not of napari-sam3 and would be lost; name another folder"
        ) from exc
    if scene.facts is not None and not known.may_be(scene.facts) and not overwrite:
        raise VideoError(
            f"{str(place.parent)!r} has results of another video ({known.name or known.shape}); "
            "add --overwrite if they are not needed any more, or name another folder"
        )
