"""What came out of tracking a video."""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from napari_sam3.export.registry import Scene, choose_format, open_writer
from napari_sam3.export.writer import write_all
from napari_sam3.labels.label_stack import LabelStack
from napari_sam3.labels.objects import ObjectTable
from napari_sam3.projects.project import Project
from napari_sam3.projects.session import recall_from
from napari_sam3.session.frames import RgbFrames
from napari_sam3.values import FrameResult
from napari_sam3.video import as_video
from napari_sam3.video.plane_choice import NO_CHOICE, PlaneChoice
from napari_sam3.video.video_facts import describe_video


class TrackedVideo:
    """Results of one video; a context manager. Made by `track_video`.

    Parameters
    ----------
    source : path, Video or array
        The video; opened again for exports.
    labels : LabelStack
        The results.
    objects : ObjectTable
        What is known of the objects.
    project : Project, optional
        That keeps them; closed with this.
    is_complete : bool
        Whether all frames asked for were tracked.
    contrast_limits : (float, float), optional
        Values shown as black and white in a film.
    choice : PlaneChoice
        Which channel, depth and scene of the video.

    Attributes
    ----------
    labels : LabelStack
        (T, H, W) labels, 0 the background; an array that is read frame by frame. It knows which
        frames were tracked (`processed_frames`).
    objects : ObjectTable
        Names, classes and divisions of the objects, to be filled before an export.
    project : Project or None
        That keeps them.
    is_complete : bool
        Whether all frames asked for were tracked; not so after a stop.
    """

    def __init__(
        self,
        source: Any,
        labels: LabelStack,
        objects: ObjectTable,
        *,
        project: Project | None = None,
        is_complete: bool = True,
        contrast_limits: tuple[float, float] | None = None,
        choice: PlaneChoice = NO_CHOICE,
    ) -> None:
        self.labels = labels
        self.objects = objects
        self.project = project
        self.is_complete = is_complete
        self._source = source
        self._choice = choice
        self._contrast_limits = contrast_limits
        self._recall = recall_from(labels)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(T, H, W)."""
        frames, height, width = self.labels.shape
        return frames, height, width

    @property
    def object_ids(self) -> tuple[int, ...]:
        """Objects that are on any frame, rising."""
        return tuple(sorted(self.labels.mean_scores()))

    def scores(self, frame_index: int) -> dict[int, float]:
        """How sure the model is of each object on a frame, 0..1, by id."""
        notes = self.labels.notes(frame_index)
        return {i: note.score for i, note in sorted(notes.items()) if note.score is not None}

    def result(self, frame_index: int) -> FrameResult:
        """The objects of a frame as masks; none where it was not tracked."""
        return FrameResult(frame_index, self._recall(frame_index) or {})

    def export(self, path: str | os.PathLike[str], format: str | None = None) -> Path:
        """Write the results; what is there under that name is replaced.

        Parameters
        ----------
        path : path-like
            The file or folder to make.
        format : str, optional
            A name of `napari_sam3.export.registry.FORMATS`; told by the path if left out.

        Returns
        -------
        Path
            What was written.

        Raises
        ------
        RequestError
            If there is no such format, or the path does not tell it.
        VideoError
            If it can't be written.
        """
        place = Path(path).expanduser()
        name = choose_format(place, format)
        with ExitStack() as stack:
            video = as_video(self._source, self._choice)
            if video is not self._source:
                stack.callback(video.close)
            scene = Scene(
                shape=self.shape,
                facts=describe_video(video),
                video=video,
                frames=RgbFrames(video, self._contrast_limits),
                objects=self.objects,
            )
            write_all(open_writer(name, place, scene), self.labels)
        return place

    def close(self) -> None:
        """Let go of the project, if there is one, with all on disk. Closing again does nothing."""
        if self.project is not None:
            self.project.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        done = len(self.labels.processed_frames())
        return f"<TrackedVideo: {done} of {self.shape[0]} frames, objects {self.object_ids}>"
