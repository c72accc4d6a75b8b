"""What all writers of results have in common."""

from __future__ import annotations

import os
import re
import shutil
import uuid
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from napari_sam3.errors import VideoError
from napari_sam3.labels.notes import ObjectNote, Source
from napari_sam3.values import FrameResult, label_image
from napari_sam3.video.video_facts import KIND, VideoFacts


class ResultWriter(ABC):
    """Writes results to one file or folder, frame by frame.

    A context manager. Frames may come in any order; one that comes again replaces what was
    written of it. The file appears under its name at `close`; if the block is left by an
    exception it does not appear, and one that was there before stays as it was.

    Parameters
    ----------
    path : path-like
        Where to write.
    shape : (T, H, W)
        Of the video.
    facts : VideoFacts, optional
        Of the video: times and scale, for the formats that have a place for them. They are also
        written beside `path` (see `sidecar_path`).

    Attributes
    ----------
    writes_sidecar : bool
        Whether `facts` are written beside `path`; False where one file tells them for a folder.

    Raises
    ------
    ValueError
        If `facts` are those of a video of another shape.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        shape: tuple[int, int, int],
        *,
        facts: VideoFacts | None = None,
    ) -> None:
        if facts is not None and facts.shape != tuple(shape):
            raise ValueError(
                f"results of shape {tuple(shape)} are not those of a video of {facts.shape}"
            )
        self.path = Path(path).expanduser()
        self.shape = shape
        self.facts = facts
        self.writes_sidecar = True
        self._is_open = True

    def write(self, result: FrameResult, sources: Mapping[int, Source] | None = None) -> None:
        """Add a frame.

        Parameters
        ----------
        result : FrameResult
            With the scores.
        sources : mapping of id to Source, optional
            Where the masks come from; by default a propagation.

        Raises
        ------
        VideoError
            If it can't be written.
        ValueError
            If the writer is closed or there is no such frame.
        """
        highest = max(result.objects, default=0)
        dtype = np.uint16 if highest <= np.iinfo(np.uint16).max else np.uint32
        labels = label_image(result.objects, self.shape[1:], dtype)
        known = sources or {}
        notes = {
            obj_id: ObjectNote(mask.score, known.get(obj_id, "propagated"))
            for obj_id, mask in result.objects.items()
        }
        self.write_labels(result.frame_index, labels, notes)

    def write_labels(
        self,
        frame_index: int,
        labels: NDArray[Any],
        notes: Mapping[int, ObjectNote] | None = None,
    ) -> None:
        """Add a frame as labels.

        Parameters
        ----------
        frame_index : int
            0-based.
        labels : (H, W) integer array
            0 is background.
        notes : mapping of id to ObjectNote, optional
            Scores and sources, for the formats that have a place for them.

        Raises
        ------
        VideoError
            If it can't be written.
        ValueError
            If the writer is closed, or the frame does not fit.
        """
        self._check(frame_index)
        labels = np.asarray(labels)
        if labels.shape != self.shape[1:] or labels.dtype.kind not in "iub":
            raise ValueError(
                f"a label frame of shape {labels.shape} and {labels.dtype} does not fit into "
                f"{self.shape[1:]} of integers"
            )
        with saying_where(self.path):
            self._add(frame_index, labels, notes or {})

    @abstractmethod
    def _add(self, frame_index: int, labels: NDArray[Any], notes: Mapping[int, ObjectNote]) -> None:
        """Keep or write a frame."""

    @abstractmethod
    def _finish(self) -> None:
        """Put the file in its place."""

    def _release(self) -> None:  # noqa: B027 - not every writer holds something
        """Give back what is held; also called when there is nothing to finish."""

    def close(self) -> None:
        """Finish the file. Closing again does nothing.

        Raises
        ------
        VideoError
            If it can't be written.
        """
        if not self._is_open:
            return
        self._is_open = False
        try:
            with saying_where(self.path):
                self._finish()
                if self.facts is not None and self.writes_sidecar and self.path.exists():
                    write_sidecar(sidecar_path(self.path), self.facts)
        finally:
            self._release()

    def discard(self) -> None:
        """Close without a file."""
        if self._is_open:
            self._is_open = False
            self._release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if exc_type is None:
            self.close()
        else:
            self.discard()

    def _check(self, frame_index: int) -> None:
        if not self._is_open:
            raise ValueError(f"the writer of {str(self.path)!r} is closed")
        if not 0 <= frame_index < self.shape[0]:
            raise ValueError(f"there is no frame {frame_index}: the video has {self.shape[0]}")


@contextmanager
def saying_where(path: Path) -> Iterator[None]:
    """Turn what the system says about a file into a `VideoError` that names it."""
    try:
        yield
    except VideoError:
        raise
    except OSError as exc:
        raise VideoError(
            f"{str(path)!r} can't be written ({exc.strerror or exc}); check the folder's rights "
            "and the room on the disk"
        ) from exc


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a name to write to, beside `path`; at the end of the block it takes the place of `path`.

    A killed run leaves at most a hidden file, never half a file under its final name.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.stem}-{uuid.uuid4().hex}{path.suffix}")
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def check_replaceable(path: Path, own_names: str) -> None:
    """Make sure that a folder may be replaced as a whole: it holds nothing but earlier results.

    Parameters
    ----------
    path : Path
        May be missing.
    own_names : str
        Regular expression of the names that results of this format have.

    Raises
    ------
    VideoError
        If there is a file of that name, or something else in the folder.
    """
    if not path.exists():
        return
    if not path.is_dir():
        raise VideoError(f"{str(path)!r} is a file; name a folder for the results")
    own = re.compile(rf"{own_names}|\.DS_Store|Thumbs\.db")  # file managers leave these behind
    others = sorted(p.name for p in path.iterdir() if not own.fullmatch(p.name))
    if others:
        raise VideoError(
            f"{str(path)!r} holds other files ({', '.join(others[:3])}{', ...' * (len(others) > 3)}"
            "), which would be lost; name another folder"
        )


@contextmanager
def replacing_folder(path: Path, own_names: str) -> Iterator[Path]:
    """As `replacing`, for a folder: give an empty one that takes the place of `path`.

    A folder that is there must hold nothing but what `own_names` matches.
    """
    check_replaceable(path, own_names)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}-{uuid.uuid4().hex}")
    old = temporary.with_name(f"{temporary.name}-old")
    temporary.mkdir()
    try:
        yield temporary
        if path.is_dir():
            path.rename(old)
        temporary.rename(path)
    finally:
        if old.exists() and not path.exists():
            old.rename(path)
        shutil.rmtree(temporary, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def sidecar_path(path: Path) -> Path:
    """Where a video's facts lie: labels.tif.video.json beside labels.tif; alike for a folder."""
    return path.with_name(f"{path.name}.video.json")


SHARED = "video.json"
"""Name of the facts of the video that all results in a folder are of."""


def write_sidecar(place: Path, facts: VideoFacts) -> None:
    """Write facts of a video to a file."""
    with replacing(place) as temporary:
        temporary.write_text(facts.to_json(), encoding="utf-8")


def read_sidecar(path: Path) -> VideoFacts | None:
    """The facts of the video that lie beside a file or folder, or tell of all in its folder.

    Returns
    -------
    VideoFacts or None
        None if there are none.

    Raises
    ------
    VideoError
        If they can't be read.
    """
    for place in (sidecar_path(path), path.with_name(SHARED)):
        try:
            text = place.read_text(encoding="utf-8")
            if place.name != SHARED or KIND in text:  # others use the name too
                return VideoFacts.from_json(text)
        except FileNotFoundError:
            continue
        except (OSError, ValueError) as exc:
            raise VideoError(
                f"{str(place)!r} can't be read ({exc}); delete it to go on without it"
            ) from exc
    return None


def write_all(
    writer: ResultWriter, labels: Any, *, on_progress: Callable[[int, int], None] | None = None
) -> None:
    """Hand every frame of a (T, H, W) label array to a writer, and close it.

    `on_progress` is called with (frames handed over, frames); what it raises ends the writing.
    Labels that know their scores and sources by `notes` (`LabelStack`, `LabelFile`) hand them on.
    """
    notes = getattr(labels, "notes", None)
    with writer:
        for frame_index in range(writer.shape[0]):
            known = None if notes is None else notes(frame_index)
            writer.write_labels(frame_index, np.asarray(labels[frame_index]), known)
            if on_progress is not None:
                on_progress(frame_index + 1, writer.shape[0])


def label_shape(labels: Any) -> tuple[int, int, int]:
    """Check that labels are (T, H, W) integers, and give their shape.

    Raises
    ------
    ValueError
        If they are not.
    """
    shape = tuple(int(n) for n in labels.shape)
    if len(shape) != 3 or np.dtype(labels.dtype).kind not in "iub":
        raise ValueError(
            f"labels of shape {shape} and {labels.dtype} can't be exported; "
            "give (frames, height, width) of integers"
        )
    return shape
