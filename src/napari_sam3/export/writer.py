"""What all writers of results have in common."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Concatenate, NamedTuple, ParamSpec, Self

import numpy as np
from numpy.typing import NDArray

from napari_sam3.errors import LabelRangeError, VideoError
from napari_sam3.export.sidecar import remove_sidecar, sidecar_path, sidecar_ready
from napari_sam3.export.temporary_frames import TemporaryFrames, TemporaryLabels
from napari_sam3.export.whole_folder import check_replaceable
from napari_sam3.export.write_errors import explain_write_errors
from napari_sam3.labels.measures import Measure, measure_labels, measure_result
from napari_sam3.labels.object_notes import ObjectNote, Source
from napari_sam3.labels.objects import ObjectTable
from napari_sam3.values import MAX_OBJECT_ID, BoolArray, FrameResult, label_image
from napari_sam3.video.video_facts import VideoFacts

PathLike = str | os.PathLike[str]
Shape = tuple[int, int, int]
Options = ParamSpec("Options")


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
    objects : ObjectTable, optional
        Names, classes and divisions, for the formats that have a place for them; read at `close`.

    Attributes
    ----------
    own_names : str
        Where the results are a folder: the names in it, as a regular expression. A folder that
        holds anything else is refused. Empty where they are a file.
    highest_id : int
        The greatest label that the format holds.
    tells_frames : bool
        Whether the results themselves tell which frames were processed. If not, and some were not,
        the file beside `path` does.
    takes_all_frames : bool
        Whether `write_all` hands over frames that were never processed, too.
    writes_sidecar : bool
        Whether `facts` are written beside `path`; False where one file tells them for a folder.

    Raises
    ------
    ValueError
        If `facts` are those of a video of another shape.
    VideoError
        If it can't be written there.
    """

    own_names: ClassVar[str] = ""
    highest_id: ClassVar[int] = MAX_OBJECT_ID
    tells_frames: ClassVar[bool] = False
    takes_all_frames: ClassVar[bool] = False

    def __init__(
        self,
        path: PathLike,
        shape: Shape,
        *,
        facts: VideoFacts | None = None,
        objects: ObjectTable | None = None,
    ) -> None:
        if facts is not None and facts.shape != tuple(shape):
            raise ValueError(
                f"results of shape {tuple(shape)} are not those of a video of {facts.shape}"
            )
        self.path = Path(path).expanduser()
        self.shape = shape
        self.facts = facts
        self.writes_sidecar = True
        self._objects = ObjectTable() if objects is None else objects
        self._is_open = True
        self._held = ExitStack()
        self._processed: set[int] = set()
        with explain_write_errors(self.path):
            for place in (self.path, sidecar_path(self.path))[: 1 if facts is None else 2]:
                with suppress(FileNotFoundError, NotADirectoryError):
                    place.lstat()  # refuses a name that is too long
            if self.own_names:
                check_replaceable(self.path, self.own_names)
            elif self.path.is_dir():
                raise VideoError(f"{str(self.path)!r} is a folder; name a file for the results")
            self._prepare()

    def _prepare(self) -> None:  # noqa: B027 - not every writer needs something
        """Make what is needed before the first frame; what must be closed goes into `_held`."""

    @property
    def processed(self) -> list[int]:
        """Frames that have come, rising."""
        return sorted(self._processed)

    @property
    def known_facts(self) -> VideoFacts:
        """Of the video; its shape alone where no more is known."""
        return self.facts or VideoFacts(*self.shape)

    def check_ids(self, least: int, greatest: int) -> None:
        """Make sure that the format holds labels up to a number.

        Raises
        ------
        LabelRangeError
            If it does not, or one is under 0.
        """
        if least < 0 or greatest > self.highest_id:
            raise LabelRangeError(
                f"label {least if least < 0 else greatest} can't be written to {str(self.path)!r}: "
                f"labels go up to {self.highest_id} there; write a TIFF, or renumber the objects "
                "from 1"
            )

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
        labels = label_image(result.objects, self.shape[1:])
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
            If it can't be written, or the format does not hold a label.
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
        self.check_ids(int(labels.min()), int(labels.max()))
        with explain_write_errors(self.path):
            self._add(frame_index, labels, notes or {})
        self._processed.add(frame_index)

    @abstractmethod
    def _add(self, frame_index: int, labels: NDArray[Any], notes: Mapping[int, ObjectNote]) -> None:
        """Keep or write a frame."""

    @abstractmethod
    def _finish(self) -> None:
        """Put the file in its place."""

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
            with explain_write_errors(self.path):
                self._finish_with_facts()
        finally:
            self._held.close()

    def _finish_with_facts(self) -> None:
        """Put the file in its place, and what is to be told beside it; nothing earlier stays."""
        beside = sidecar_path(self.path)
        is_told = self.tells_frames or len(self._processed) == self.shape[0]
        if is_told and not (self.facts is not None and self.writes_sidecar):
            self._finish()
            remove_sidecar(self.path)
            return
        with sidecar_ready(beside, self.known_facts, None if is_told else self.processed):
            self._finish()
        if not self.path.exists():  # a film without a frame
            beside.unlink()

    def discard(self) -> None:
        """Close without a file."""
        if self._is_open:
            self._is_open = False
            self._held.close()

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


class LabelWriter(ResultWriter):
    """A writer that keeps label frames on disk, in `_frames`, until all have come."""

    def _prepare(self) -> None:
        folder = self.path.absolute().parent
        self._frames = TemporaryLabels(folder, self.shape[1:])
        self._held.callback(self._frames.close)

    def _add(self, frame_index: int, labels: NDArray[Any], notes: Mapping[int, ObjectNote]) -> None:
        self._frames.put(frame_index, labels)


class FoundObject(NamedTuple):
    """An object on a frame.

    Attributes
    ----------
    measure : Measure
        Its box, area, centroid and score.
    crop : (h, w) bool ndarray
        Its mask inside the box.
    """

    measure: Measure
    crop: BoolArray


class ObjectWriter(ResultWriter):
    """A writer that takes the objects of a frame by rising id, come as masks or as labels.

    What it makes of a frame is kept in `_frames` until all have come.
    """

    def _prepare(self) -> None:
        self._frames = TemporaryFrames(self.path.absolute().parent)
        self._held.callback(self._frames.close)

    def write(self, result: FrameResult, sources: Mapping[int, Source] | None = None) -> None:
        """Add a frame, with its scores; without drawing it first."""
        self._check(result.frame_index)
        ids = result.objects.keys()
        self.check_ids(min(ids, default=0), max(ids, default=0))
        measures = measure_result(result, sources)
        found = [FoundObject(m, result.objects[m.obj_id].crop) for m in measures]
        with explain_write_errors(self.path):
            self._add_objects(result.frame_index, found)
        self._processed.add(result.frame_index)

    def _add(self, frame_index: int, labels: NDArray[Any], notes: Mapping[int, ObjectNote]) -> None:
        found = []
        for measure in measure_labels(labels, frame_index, notes):
            x0, y0, x1, y1 = measure.bbox
            found.append(FoundObject(measure, labels[y0:y1, x0:x1] == measure.obj_id))
        self._add_objects(frame_index, found)

    @abstractmethod
    def _add_objects(self, frame_index: int, found: list[FoundObject]) -> None:
        """Keep the objects of a frame, instead of earlier ones."""


def write_all(
    writer: ResultWriter, labels: Any, *, on_progress: Callable[[int, int], None] | None = None
) -> None:
    """Hand the frames of a (T, H, W) label array to a writer, and close it.

    `on_progress` is called with (frames handed over, frames); what it raises ends the writing.
    Labels that know their scores and sources by `notes` (`LabelStack`, `LabelFile`) hand them on.
    Of those that know which frames were ever processed only these are handed over.
    """
    notes = getattr(labels, "notes", None)
    processed = getattr(labels, "processed_frames", None)
    frames: Sequence[int]
    if processed is None or writer.takes_all_frames:
        frames = range(writer.shape[0])
    else:
        frames = processed().tolist()
    with writer:
        for done, frame_index in enumerate(frames, 1):
            known = None if notes is None else notes(frame_index)
            writer.write_labels(frame_index, np.asarray(labels[frame_index]), known)
            if on_progress is not None:
                on_progress(done, len(frames))


def label_shape(labels: Any) -> Shape:
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


def exporter(
    writer: Callable[Concatenate[PathLike, Shape, Options], ResultWriter],
) -> Callable[Concatenate[PathLike, Any, Options], None]:
    """Make the function that writes a whole label array with a writer, and takes its options."""

    def export(path: PathLike, labels: Any, *args: Options.args, **options: Options.kwargs) -> None:
        write_all(writer(path, label_shape(labels), *args, **options), labels)

    name = getattr(writer, "__name__", "the writer")
    export.__doc__ = f"""Write a whole (T, H, W) label array, read frame by frame; see `{name}`.

    Parameters
    ----------
    path : path-like
        Where to write; what is there is replaced once the new is whole.
    labels : (T, H, W) integer array-like
        0 is background.
    **options
        As `{name}` takes them.

    Raises
    ------
    VideoError
        If it can't be written.
    ValueError
        If `labels` has another shape or type.
    """
    return export  # type: ignore[return-value]  # may be called by these names, too
