"""Several formats written side by side."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from napari_sam3.errors import Sam3Error, VideoError
from napari_sam3.export.registry import FORMATS, Scene, open_writer
from napari_sam3.export.sidecar import SHARED, write_sidecar
from napari_sam3.export.write_errors import explain_write_errors
from napari_sam3.export.writer import ResultWriter
from napari_sam3.video.video_facts import VideoFacts


def name_targets(folder: Path, formats: Iterable[str]) -> dict[str, Path]:
    """The file or folder that each format makes, by format."""
    return {name: folder / FORMATS[name].target for name in formats}


def open_writers(targets: Mapping[str, Path], scene: Scene, overwrite: bool) -> list[ResultWriter]:
    """Open a writer for each format; if one can't be opened, none is left open.

    What is known of the video is told once, for the whole folder.

    Raises
    ------
    VideoError
        If one can't be written there, its library is missing, or the folder has results of
        another video that may not be replaced.
    """
    for folder in {path.parent for path in targets.values()}:
        _check_shared(folder / SHARED, scene, overwrite)
    writers: list[ResultWriter] = []
    try:
        for name, path in targets.items():
            if name == "png":
                _remove_old_frames(path)
            writers.append(open_writer(name, path, scene))
            writers[-1].writes_sidecar = False
    except BaseException:
        for writer in writers:
            writer.discard()
        raise
    return writers


def close_writers(writers: Sequence[ResultWriter]) -> None:
    """Finish every format, also where another one fails; then say so."""
    failures: list[Sam3Error] = []
    for place, facts in {w.path.with_name(SHARED): w.facts for w in writers}.items():
        if facts is not None:
            try:
                with explain_write_errors(place):
                    write_sidecar(place, facts)
            except Sam3Error as exc:
                failures.append(exc)
    for writer in writers:
        try:
            writer.close()
        except Sam3Error as exc:
            failures.append(exc)
    if failures:
        raise failures[0]


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


def _remove_old_frames(folder: Path) -> None:
    """Frames of an earlier, longer run would be taken for part of this one."""
    with explain_write_errors(folder):
        for old in folder.glob("*.png"):
            if old.stem.isdigit():
                old.unlink()
